//! Rows of a CSV data file.
//!
//! RFC 4180. S3 quotes every field, OSS all but the bucket; both end lines with a line
//! feed, and a key may hold one inside of its quotes. What stands between fields is a
//! comma, or what the user of GCS has chosen. A [`window`] slides over the decompressed
//! file, [`split`] finds the fields of a row in it, and here they become entries.

mod split;
mod window;

pub(crate) use split::{Fields, split_row};
pub(crate) use window::Window;

use std::io::Read;

use stocktake_core::EntryBatch;

use crate::columns::Columns;
use crate::fault::{Fault, Result};
use crate::rows::{BatchBuilder, flags};
use crate::rules::{Claims, RowRules, Standing, etag_is, impossible};
use crate::schema::{Field, Schema};
use crate::text::{parse_bool, parse_size};

/// Reads batches of objects from the decompressed text of a data file.
#[derive(Debug)]
pub(crate) struct CsvReader<R> {
    window: Window<R>,
    rules: RowRules,
    columns: Columns,
    /// How many columns a row has.
    column_count: usize,
    delimiter: u8,
    fields: Fields,
    /// Rows decoded, of which so many are of folders.
    row: u64,
    folders: u64,
}

impl<R: Read> CsvReader<R> {
    /// Reads the rows of a file. Its columns are those of `schema`, unless it is
    /// of a cloud whose files name their columns themselves.
    ///
    /// # Errors
    /// [`Fault::MissingField`]; [`Fault::Corrupt`] for a header that can't be read.
    pub(crate) fn new(input: R, schema: &Schema, rules: RowRules) -> Result<Self> {
        let mut window = Window::new(input);
        let header = if rules.dialect.has_header() { Some(window.take_header(rules.dialect)?) } else { None };
        let (schema, delimiter) = header.as_ref().map_or((schema, b','), |header| (&header.schema, header.delimiter));
        let columns = Columns::of_rows(schema, rules.dialect)?;
        let column_count = schema.columns().len();
        Ok(Self { window, rules, columns, column_count, delimiter, fields: Fields::default(), row: 0, folders: 0 })
    }

    /// How many rows were read so far, and how many of them are of folders.
    pub(crate) fn rows(&self) -> (u64, u64) {
        (self.row, self.folders)
    }

    /// The next batch; `None` at the end of the file.
    pub(crate) fn next_batch(&mut self, batch: &mut BatchBuilder) -> Result<Option<EntryBatch>> {
        while !batch.is_full() {
            let place = self.row + 1;
            let in_row = |fault: Fault| fault.within(format_args!("row {place}"));
            let Some(row) = self.window.next_row(self.delimiter, &mut self.fields).map_err(in_row)? else { break };
            self.row += 1;
            let count = self.fields.count();
            if count != self.column_count {
                let problem = format!("it has {count} fields, the schema {}", self.column_count);
                return Err(in_row(Fault::corrupt(problem)));
            }
            let standing = take_row(&self.columns, &self.rules, row, &self.fields, batch).map_err(in_row)?;
            self.folders += u64::from(standing == Standing::Folder);
        }
        if batch.len() == 0 { Ok(None) } else { batch.take().map(Some) }
    }
}

/// Appends the entry of a row, if it is one that is read. It has as many fields as columns.
#[inline]
fn take_row(
    columns: &Columns,
    rules: &RowRules,
    row: &[u8],
    fields: &Fields,
    batch: &mut BatchBuilder,
) -> Result<Standing> {
    let field = |index: usize| fields.get(row, index);
    if let Some(bucket) = columns.bucket.map(field) {
        rules.check_bucket(bucket)?;
    }
    let standing = rules.standing(&claims(columns, rules, row, fields)?);
    let Standing::Taken(marks) = standing else { return Ok(standing) };
    rules.take_key(field(columns.key), &mut batch.key_data)?;
    batch.end_key()?;
    let size = if marks.is_delete_marker() { b"0" } else { field(columns.size) };
    batch.push_size(parse_size(size).ok_or_else(|| impossible(Field::Size.name(rules.dialect), size))?);
    let time = field(columns.last_modified);
    let millis = rules.time(time).ok_or_else(|| impossible(Field::LastModified.name(rules.dialect), time))?;
    batch.push_last_modified(millis);
    batch.push_etag(if marks.is_delete_marker() { b"" } else { field(columns.etag) })?;
    let class = batch.class_code(field(columns.class))?;
    batch.push_class_code(class);
    // Empty where the store did not say.
    let multipart = columns.multipart.map(field).filter(|text| !text.is_empty());
    let multipart =
        multipart.map_or(Ok(false), |text| parse_bool(text).ok_or_else(|| impossible("IsMultipartUploaded", text)))?;
    let md5 = columns.encryption.is_some_and(|column| rules.etag_is_md5(field(column)))
        || columns.md5.is_some_and(|column| etag_is(field(columns.etag), field(column)));
    batch.push_flags(flags(multipart, md5).with(marks));
    if let Some(column) = columns.version {
        batch.push_version(batch.len() - 1, rules.version_id(field(column)))?;
    }
    Ok(standing)
}

/// What a row says of its standing.
#[inline]
fn claims(columns: &Columns, rules: &RowRules, row: &[u8], fields: &Fields) -> Result<Claims> {
    let truth = |column: Option<usize>, field: Field| match column {
        Some(column) => rules.truth(field.name(rules.dialect), fields.get(row, column)),
        None => Ok(None),
    };
    let is = |column, field| Ok::<_, Fault>(truth(column, field)?.unwrap_or(false));
    let has = |column: Option<usize>| column.is_some_and(|column| !fields.get(row, column).is_empty());
    Ok(Claims {
        latest: truth(columns.latest, Field::IsLatest)?,
        delete_marker: is(columns.delete_marker, Field::IsDeleteMarker)?,
        deleted: is(columns.deleted, Field::IsDeleted)?,
        past: has(columns.snapshot) || has(columns.deleted_time),
        folder: is(columns.folder, Field::IsFolder)?,
        versioned: columns.latest.is_some() && has(columns.version),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use stocktake_core::{Entry, InventoryFormat};

    use crate::manifest::Dialect;

    const PLAIN: &str =
        "Bucket, Key, Size, LastModifiedDate, ETag, StorageClass, IsMultipartUploaded, EncryptionStatus";
    const VERSIONED: &str =
        "Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size, LastModifiedDate, ETag, StorageClass";
    const MD5: &str = "0cc175b9c0f1b6a831c399e269772661";

    fn decode(schema: &str, dialect: Dialect, text: &[u8]) -> Result<Vec<Entry>> {
        let schema = Schema::parse(schema, InventoryFormat::Csv).unwrap();
        let rules = RowRules::new(dialect, "photo-store");
        let mut reader = CsvReader::new(text, &schema, rules)?;
        let (mut builder, mut entries) = (BatchBuilder::default(), Vec::new());
        while let Some(batch) = reader.next_batch(&mut builder)? {
            entries.extend(batch.iter().map(|entry| entry.to_entry()));
        }
        Ok(entries)
    }

    fn s3(row: &str) -> Result<Vec<Entry>> {
        decode(PLAIN, Dialect::S3, row.as_bytes())
    }

    fn fault(row: &str) -> String {
        s3(row).expect_err(row).to_string()
    }

    #[test]
    fn rows_of_s3_quote_every_field() {
        let row = format!(
            "\"photo-store\",\"2026/01/a%3Db+c.jpg\",\"18211\",\"2026-01-05T09:30:02.000Z\",\"{MD5}-3\",\"STANDARD\",\"true\",\"NOT-SSE\"\n"
        );
        let entry = s3(&row).unwrap().remove(0);
        assert_eq!(entry.key.as_str(), Some("2026/01/a=b c.jpg"));
        assert_eq!((entry.size, entry.last_modified.to_string()), (18211, "2026-01-05T09:30:02.000Z".into()));
        assert_eq!((entry.etag.unwrap().to_string(), entry.class), (format!("{MD5}-3"), "STANDARD".into()));
        assert_eq!(entry.flags, flags(true, true));
    }

    #[test]
    fn rows_of_oss_do_not_quote_the_bucket() {
        let schema = "Bucket, Key, Size, StorageClass, LastModifiedDate, ETag, EncryptionStatus";
        let upper = MD5.to_uppercase();
        let row = format!(
            "photo-store,\"clips%2F2026%2Fa.mp4\",\"102400\",\"Standard\",\"2026-02-14T07-06-00Z\",\"{upper}\",\"false\"\n"
        );
        let entry = decode(schema, Dialect::Oss, row.as_bytes()).unwrap().remove(0);
        assert_eq!(entry.key.as_str(), Some("clips/2026/a.mp4"));
        // The text is kept as it was read, and compares without case.
        assert_eq!(entry.as_ref().etag.code, stocktake_core::ETagCode::of(MD5));
        assert_eq!(entry.etag, Some(upper.as_str().into()));
        assert_eq!(entry.flags, flags(false, true));
    }

    /// What a file that names its columns says, by key, size and version.
    fn named(dialect: Dialect, text: &str) -> Result<Vec<(String, u64, Option<String>)>> {
        let entries = decode(PLAIN, dialect, text.as_bytes())?;
        let seen = entries.into_iter();
        Ok(seen.map(|entry| (entry.key.as_str().unwrap().to_owned(), entry.size, entry.version)).collect())
    }

    #[test]
    fn rows_of_gcs_are_plain_and_leave_out_what_was_deleted() {
        let text = "\
            timeDeleted;name;bucket;generation;size;updated;etag;storageClass;newThing\n\
            ;a+b%20c;photo-store;17;1;2026-01-05T09:30:02.5Z;CJj4=;STANDARD;x\n\
            ;\"line\nbreak; \"\"x\"\"\";photo-store;18;2;2026-01-05 09:30:02 UTC;CJj5=;STANDARD;\n\
            2026-01-06T00:00:00Z;gone;photo-store;16;3;2026-01-05T09:30:02Z;CJj6=;NEARLINE;\n";
        let expected = [("a+b%20c", 1, "17"), ("line\nbreak; \"x\"", 2, "18")];
        let expected = expected.map(|(key, size, version)| (key.to_owned(), size, Some(version.to_owned())));
        assert_eq!(named(Dialect::Gcs, text).unwrap(), expected);
        let other = text.replace("photo-store;18", "other;18");
        assert!(named(Dialect::Gcs, &other).unwrap_err().to_string().starts_with("row 2: it is of the bucket"));
    }

    #[test]
    fn rows_of_azure_are_of_current_blobs_in_one_container() {
        let text = format!(
            "\u{feff}Name,Content-Length,Last-Modified,Etag,AccessTier,VersionId,IsCurrentVersion,Deleted,Snapshot,hdi_isfolder,Content-MD5\n\
             photo-store/a,1,2026-01-05T09:30:02Z,0x8D,Hot,2026-01-05T09:30:02.1Z,true,,,,\n\
             photo-store/a,9,2026-01-04T09:30:02Z,0x8C,Hot,2026-01-04T09:30:02.1Z,,,,,\n\
             photo-store/b/c,2,2026-01-05T09:30:02Z,{MD5},Hot,,,,,false,DMF1ucDxtqgxw5niaXcmYQ==\n\
             photo-store/b,,2026-01-05T09:30:02Z,0x8E,,,,,,true,\n\
             photo-store/gone,3,2026-01-05T09:30:02Z,0x8F,Hot,,,true,,,\n\
             photo-store/b/c,4,2026-01-05T09:30:02Z,0x90,Hot,,,,2026-01-05T09:30:02.1Z,,\n"
        );
        let expected = [("a".to_owned(), 1, Some("2026-01-05T09:30:02.1Z".to_owned())), ("b/c".to_owned(), 2, None)];
        assert_eq!(named(Dialect::Azure, &text).unwrap(), expected);
        let entries = decode(PLAIN, Dialect::Azure, text.as_bytes()).unwrap();
        assert_eq!([entries[0].flags, entries[1].flags], [flags(false, false), flags(false, true)]);
        let schema = Schema::parse(PLAIN, InventoryFormat::Csv).unwrap();
        let mut reader =
            CsvReader::new(text.as_bytes(), &schema, RowRules::new(Dialect::Azure, "photo-store")).unwrap();
        while reader.next_batch(&mut BatchBuilder::default()).unwrap().is_some() {}
        assert_eq!(reader.rows(), (6, 1));
        let other = text.replace("photo-store/b/c,2", "others/b/c,2");
        assert!(named(Dialect::Azure, &other).is_err());
        assert_eq!(named(Dialect::Azure, &text.replace("AccessTier", "Tier")), Err(Fault::MissingField("AccessTier")));
        assert!(named(Dialect::Azure, text.split_once('\n').unwrap().1).is_err());
    }

    #[test]
    fn only_current_objects_are_read() {
        let text = format!(
            "\"photo-store\",\"a\",\"v2\",\"true\",\"false\",\"1\",\"2026-01-05T09:30:02.000Z\",\"{MD5}\",\"STANDARD\"\n\
             \"photo-store\",\"a\",\"v1\",\"false\",\"false\",\"9\",\"2026-01-04T09:30:02.000Z\",\"{MD5}\",\"STANDARD\"\n\
             \"photo-store\",\"gone\",\"v3\",\"true\",\"true\",\"\",\"2026-02-11T17:55:08.000Z\",\"\",\"\"\n\
             \"photo-store\",\"b\",\"\",\"TRUE\",\"False\",\"2\",\"2026-01-05T09:30:02.000Z\",\"{MD5}\",\"STANDARD\"\n"
        );
        let entries = decode(VERSIONED, Dialect::S3, text.as_bytes()).unwrap();
        let seen: Vec<_> =
            entries.iter().map(|entry| (entry.key.as_str().unwrap(), entry.version.as_deref())).collect();
        assert_eq!(seen, [("a", Some("v2")), ("b", Some("null"))]);
        let oss = decode(VERSIONED, Dialect::Oss, text.as_bytes()).unwrap();
        assert_eq!(oss[1].version, None);
    }

    #[test]
    fn standard_csv_is_read_too() {
        let row = |key: &str| format!("photo-store,{key},3,2026-01-05T09:30:02Z,{MD5},,,");
        let cases = [
            (row("a"), "a"),
            (row("a") + "\n", "a"),
            (row("a") + "\r\n", "a"),
            (row("\"a\"\"b\"\"\"") + "\n\n", "a\"b\""),
            (row("\"line\nbreak, comma\"") + "\r\n", "line\nbreak, comma"),
            ("\u{feff}".to_owned() + &row("a"), "a"),
        ];
        for (text, key) in cases {
            let entries = s3(&text).expect(&text);
            assert_eq!(entries.len(), 1, "{text}");
            assert_eq!((entries[0].key.as_str(), entries[0].class.as_str()), (Some(key), ""), "{text}");
        }
        assert_eq!(s3("").unwrap(), []);
    }

    #[test]
    fn odd_tags_are_kept_and_quotes_dropped() {
        let row = |etag: &str| format!("photo-store,a,3,2026-01-05T09:30:02Z,{etag},S,,");
        assert_eq!(s3(&row("\"\"\"abc\"\"\"")).unwrap()[0].etag, Some("abc".into()));
        assert_eq!(s3(&row("")).unwrap()[0].etag, None);
        let mixed: String = [row(MD5), row("W/odd"), row(MD5)].join("\n");
        let tags: Vec<_> = s3(&mixed).unwrap().into_iter().map(|entry| entry.etag.unwrap().to_string()).collect();
        assert_eq!(tags, [MD5, "W/odd", MD5]);
    }

    #[test]
    fn a_bad_row_is_named_with_its_fault() {
        let good = format!("photo-store,a,3,2026-01-05T09:30:02Z,{MD5},S,,\n");
        let cases = [
            ("photo-store,a,3", "row 2: it has 3 fields, the schema 8"),
            ("photo-store,a,3,2026-01-05T09:30:02Z,e,S,,,", "row 2: it has 9 fields, the schema 8"),
            ("other,a,3,2026-01-05T09:30:02Z,e,S,,", "row 2: it is of the bucket \"other\", not of \"photo-store\""),
            ("photo-store,bad%ZZ,3,2026-01-05T09:30:02Z,e,S,,", "row 2: a key has a % that encodes nothing"),
            ("photo-store,,3,2026-01-05T09:30:02Z,e,S,,", "row 2: its key is empty"),
            ("photo-store,a,,2026-01-05T09:30:02Z,e,S,,", "row 2: its Size is \"\""),
            ("photo-store,a,-1,2026-01-05T09:30:02Z,e,S,,", "row 2: its Size is \"-1\""),
            (
                "photo-store,a,9223372036854775808,2026-01-05T09:30:02Z,e,S,,",
                "row 2: its Size is \"9223372036854775808\"",
            ),
            ("photo-store,a,3,yesterday,e,S,,", "row 2: its LastModifiedDate is \"yesterday\""),
            ("photo-store,a,3,2026-01-05T09:30:02Z,e,S,maybe,", "row 2: its IsMultipartUploaded is \"maybe\""),
            ("photo-store,\"a,3,2026-01-05T09:30:02Z,e,S,,", "row 2: a quote is not closed"),
            ("photo-store,\"a\"b,3,2026-01-05T09:30:02Z,e,S,,", "row 2: text follows a closing quote"),
        ];
        for (row, message) in cases {
            assert_eq!(fault(&(good.clone() + row)), message);
        }
        let long = "x".repeat(1025);
        assert!(fault(&format!("photo-store,{long},3,2026-01-05T09:30:02Z,e,S,,")).contains("1025 bytes"));
        assert_eq!(s3(&format!("photo-store,{},3,2026-01-05T09:30:02Z,e,S,,", &long[1..])).unwrap().len(), 1);
    }

    #[test]
    fn a_row_without_an_end_is_not_read_into_memory() {
        let endless = std::io::Read::chain(&b"photo-store,\""[..], std::io::repeat(b'x'));
        let schema = Schema::parse(PLAIN, InventoryFormat::Csv).unwrap();
        let rules = RowRules::new(Dialect::S3, "photo-store");
        let mut reader = CsvReader::new(endless, &schema, rules).unwrap();
        assert!(reader.next_batch(&mut BatchBuilder::default()).unwrap_err().to_string().contains("more than"));
    }

    /// A source that gives a few bytes at a time.
    struct Trickle<'a>(&'a [u8], usize);

    impl Read for Trickle<'_> {
        fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
            let count = into.len().min(self.1);
            self.0.read(&mut into[..count])
        }
    }

    proptest! {
        #[test]
        fn small_pieces_give_the_same_entries(keys in prop::collection::vec("[a-z\",\n]{1,20}", 0..30), piece in 1..7_usize) {
            let text: String = keys.iter()
                .map(|key| format!("photo-store,\"{}\",3,2026-01-05T09:30:02Z,{MD5},S,,\n", key.replace('"', "\"\"")))
                .collect();
            let schema = Schema::parse(PLAIN, InventoryFormat::Csv).unwrap();
            let rules = RowRules::new(Dialect::S3, "photo-store");
            let mut reader = CsvReader::new(Trickle(text.as_bytes(), piece), &schema, rules).unwrap();
            let batch = reader.next_batch(&mut BatchBuilder::default()).unwrap().unwrap_or_default();
            let read: Vec<_> = batch.iter().map(|entry| String::from_utf8(entry.key.to_vec()).unwrap()).collect();
            prop_assert_eq!(read, keys);
        }

        #[test]
        fn no_bytes_panic(text in prop::collection::vec(any::<u8>(), 0..200)) {
            for dialect in [Dialect::S3, Dialect::Cos, Dialect::Gcs, Dialect::Azure] {
                let _ = decode(PLAIN, dialect, &text);
            }
        }
    }
}
