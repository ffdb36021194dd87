//! Rows that can't be read, and such as only look odd.

use stocktake_core::{ETagCode, Vault};
use stocktake_testkit::inventories::{Shape, reseal};

use crate::support::{Fixture, fixture, gzip, row};

#[tokio::test]
async fn a_bad_row_is_named_by_file_and_number() {
    let fixture = fixture(Shape::S3Csv).await;
    let cases = [
        (row("ok") + "\"photo-store\",\"short\"\n", "row 2: it has 2 fields"),
        (row("ok") + &row("bad%ZZ"), "row 2: a key has a %"),
        (row(""), "row 1: its key is empty"),
        (row(&"k".repeat(1025)), "row 1: its key has 1025 bytes"),
        (row("a").replace("\"3\"", "\"-3\""), "row 1: its Size is"),
        (row("a").replace("2026-01-05", "2026-02-30"), "row 1: its LastModifiedDate is"),
        (row("a").replace("photo-store", "other-store"), "row 1: it is of the bucket \"other-store\""),
    ];
    for (text, problem) in cases {
        fixture.replace(2, gzip(&text)).await;
        let found = fixture.corrupt().await;
        assert!(found.starts_with(&format!("{}: {problem}", fixture.written.files[2])), "{found}");
    }
}

#[tokio::test]
async fn a_mark_of_byte_order_is_dropped_in_json_and_csv() {
    let fixture = fixture(Shape::S3Csv).await;
    fixture.replace(2, gzip(&format!("\u{feff}{}", row("a")))).await;
    let manifest = fixture.vault.read(&fixture.written.manifest, None).await.unwrap();
    fixture.vault.tamper(&fixture.written.manifest, [b"\xef\xbb\xbf", &manifest[..]].concat());
    reseal(&fixture.vault, &fixture.written.manifest).await;
    assert_eq!(fixture.read().await.unwrap().len(), 201);
}

impl Fixture {
    /// The entries of the third file, once it holds these rows.
    async fn rows(&self, text: &str) -> Vec<stocktake_core::Entry> {
        self.replace(2, gzip(text)).await;
        let entries = self.read().await.unwrap();
        entries.into_iter().filter(|entry| !entry.key.as_bytes().starts_with(b"photos/")).collect()
    }
}

#[tokio::test]
async fn a_row_with_too_few_or_too_many_fields_is_refused() {
    let fixture = fixture(Shape::S3Csv).await;
    for (text, count) in [(row("a").replace(",\"false\"", ""), 7), (row("a").replace('\n', ",\"\"\n"), 9)] {
        fixture.replace(2, gzip(&(row("ok") + &text))).await;
        assert!(fixture.corrupt().await.ends_with(&format!("row 2: it has {count} fields, the schema 8")));
    }
}

#[tokio::test]
async fn odd_keys_are_carried_unchanged_each_as_an_object_of_its_own() {
    let fixture = fixture(Shape::S3Csv).await;
    let keys: [(&str, &[u8]); 20] = [
        ("a%0Ab", b"a\nb"),
        ("a%0Db", b"a\rb"),
        ("a%00", b"a\0"),
        ("%22%2C%09", b"\",\t"),
        ("..", b".."),
        ("../../etc/passwd", b"../../etc/passwd"),
        (".", b"."),
        ("/a", b"/a"),
        ("a//b", b"a//b"),
        ("a", b"a"),
        ("a/", b"a/"),
        ("a/b", b"a/b"),
        ("A", b"A"),
        ("%C3%A9", "\u{e9}".as_bytes()),
        ("e%CC%81", "e\u{301}".as_bytes()),
        ("%FF%FE", b"\xff\xfe"),
        ("x+y", b"x y"),
        ("x%2By", b"x+y"),
        ("100%2525", b"100%25"),
        ("C:%5Cnul", b"C:\\nul"),
    ];
    let text: String = keys.iter().map(|(text, _)| row(text)).collect();
    let mut expected: Vec<_> = keys.iter().map(|(_, key)| key.to_vec()).collect();
    expected.sort();
    let found: Vec<_> = fixture.rows(&text).await.iter().map(|entry| entry.key.as_bytes().to_vec()).collect();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_size_that_is_none_is_refused_on_an_object() {
    let fixture = fixture(Shape::S3Csv).await;
    for size in ["", "-1", "+1", "1.5", "three", "9223372036854775808", "99999999999999999999"] {
        fixture.replace(2, gzip(&row("a").replace("\"3\"", &format!("\"{size}\"")))).await;
        assert!(fixture.corrupt().await.ends_with(&format!("row 1: its Size is {size:?}")));
    }
    let most = fixture.rows(&row("a").replace("\"3\"", "\"9223372036854775807\"")).await;
    assert_eq!(most[0].size, i64::MAX as u64);
}

#[tokio::test]
async fn tags_of_any_form_are_kept() {
    const MD5: &str = "0cc175b9c0f1b6a831c399e269772661";
    let fixture = fixture(Shape::S3Csv).await;
    let upper = MD5.to_uppercase();
    let cases = [
        (format!("\"\"{MD5}\"\""), MD5.to_owned()),
        (upper.clone(), upper.clone()),
        (format!("{MD5}-17"), format!("{MD5}-17")),
        ("W/odd".to_owned(), "W/odd".to_owned()),
        (String::new(), String::new()),
    ];
    for (written, kept) in cases {
        let entries = fixture.rows(&row("a").replace(MD5, &written)).await;
        let etag = entries[0].etag.as_ref().map(|etag| etag.as_str().to_owned());
        assert_eq!(etag.unwrap_or_default(), kept);
    }
    assert_eq!(ETagCode::of(MD5), ETagCode::of(&upper), "OSS writes upper case, so case does not count");
}

#[tokio::test]
async fn times_are_read_as_clouds_write_them_and_no_clock_judges_them() {
    let fixture = fixture(Shape::S3Csv).await;
    for time in
        ["2026-01-05T09-30-02Z", "2026-01-05T09:30:02Z", "2026-01-05T09:30:02.123456Z", "2026-01-05T09:30:02+00:00"]
    {
        let entries = fixture.rows(&row("a").replace("2026-01-05T09:30:02.000Z", time)).await;
        assert_eq!(entries[0].last_modified.as_millis() / 1000, 1_767_605_402, "{time}");
    }
    // Behind the start of the scan, in the future, before 1970.
    for time in ["2026-03-01T01:00:01.000Z", "2199-01-01T00:00:00.000Z", "1969-12-31T23:59:59.000Z"] {
        let entries = fixture.rows(&row("a").replace("2026-01-05T09:30:02.000Z", time)).await;
        assert_eq!(entries[0].last_modified.to_string(), time);
    }
    for time in ["", "2026-01-05", "2026-01-05T09:30:02+08:00", "2026-01-05T09:30:02", "1767605402"] {
        fixture.replace(2, gzip(&row("a").replace("2026-01-05T09:30:02.000Z", time))).await;
        assert!(fixture.corrupt().await.contains("its LastModifiedDate is"), "{time}");
    }
}
