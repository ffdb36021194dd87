//! Single values: tags, keys, ids, times.

use stocktake_core::{ETag, ETagCode, Entry, JobId, KeyRange, PackId, Timestamp, display_key};
use stocktake_format::segment::key_name_of_blob;
use stocktake_format::{StateSum, VaultId};
use stocktake_inventory::{decode_key, encode_key, parse_bool, parse_record_time, parse_size, parse_time};

/// An entity tag: its text comes back exactly, whether it is packed or not.
pub fn etag(data: &[u8]) -> bool {
    if let Some((digest, [low, high, ..])) = data.split_first_chunk::<16>() {
        stored_etag(*digest, u16::from_le_bytes([*low, *high]));
    }
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let packed = ETagCode::packed(data);
    if let Some(code) = packed {
        assert_eq!(code.text().as_deref(), Some(text));
        assert_eq!(code, ETagCode::of(text));
    }
    let etag = ETag::new(text);
    let code = etag.code();
    let (digest, kind) = code.into_parts();
    assert_eq!(ETagCode::from_parts(digest, kind).map(ETagCode::into_parts), Some((digest, kind)));
    let entry = Entry::new("key", 0, Timestamp::default()).with_etag(etag.clone());
    let back = entry.as_ref().to_entry().etag;
    assert_eq!(back, Some(etag).filter(|_| !code.is_absent()));
    packed.is_some()
}

/// A tag as catalogs store it: absent, a text that stands beside it, or a text that makes the same code.
fn stored_etag(digest: [u8; 16], kind: u16) {
    let Some(code) = ETagCode::from_parts(digest, kind) else { return };
    assert_eq!(code.into_parts(), (digest, kind));
    match code.text() {
        Some(text) => assert_eq!(ETagCode::of(&text), code),
        None => assert!(code.is_text() || (code.is_absent() && code == ETagCode::ABSENT)),
    }
}

/// The key of an object, as a report encodes it.
pub fn key(data: &[u8]) -> bool {
    let mut text = Vec::new();
    encode_key(data, &mut text);
    assert!(text.is_ascii());
    assert_eq!(decoded(&text).as_deref(), Some(data));

    let shown = display_key(data).to_string();
    assert!(!shown.contains(char::is_control));

    let range = KeyRange::prefix(data);
    assert!(range.contains(data) && range.contains(&[data, b"\xff"].concat()));
    assert!(KeyRange::key(data).contains(data));

    let Some(key) = decoded(data) else { return false };
    assert!(key.len() <= data.len());
    text.clear();
    encode_key(&key, &mut text);
    assert_eq!(decoded(&text), Some(key));
    true
}

fn decoded(text: &[u8]) -> Option<Vec<u8>> {
    let mut key = Vec::new();
    decode_key(text, &mut key).ok().map(|()| key)
}

/// Identities and sums in their text form.
pub fn id(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let segment = key_name_of_blob(text);
    let job = text.parse::<JobId>().ok();
    if let Some(job) = job {
        assert_eq!(job.to_string().parse::<JobId>().ok(), Some(job));
        assert!(job.to_string().ends_with(&job.short()));
    }
    let pack = text.parse::<PackId>().ok();
    if let Some(pack) = pack {
        assert_eq!(pack.to_string(), text);
    }
    let vault = VaultId::parse(text);
    if let Some(vault) = vault {
        assert!(vault.to_string().eq_ignore_ascii_case(text));
    }
    let sum = StateSum::parse(text);
    if let Some(sum) = sum {
        assert!(sum.to_hex().eq_ignore_ascii_case(text));
    }
    segment.is_some() || job.is_some() || pack.is_some() || vault.is_some() || sum.is_some()
}

/// Times, sizes and truth values, as reports write them.
pub fn time(data: &[u8]) -> bool {
    let time = parse_time(data);
    if let Some(millis) = time {
        // A leap second can be the first of the year 10000, which is written in another way.
        let shown = Timestamp::from_millis(millis).to_string();
        assert!(shown.starts_with('+') || parse_time(shown.as_bytes()) == Some(millis), "{shown}");
    }
    let event = parse_record_time(data);
    // The zone of one is known, so whoever names it says nothing else.
    assert!(time.is_none() || event.is_none() || time == event);
    let size = parse_size(data);
    if let Some(size) = size {
        assert!(i64::try_from(size).is_ok());
    }
    let truth = parse_bool(data);
    let rfc3339 = std::str::from_utf8(data).ok().and_then(Timestamp::parse_rfc3339);
    if let Some(moment) = rfc3339 {
        assert_eq!(Timestamp::parse_rfc3339(&moment.to_string()), Some(moment));
        assert!(time.is_none_or(|millis| millis == moment.as_millis()));
    }
    time.is_some() || event.is_some() || size.is_some() || truth.is_some() || rfc3339.is_some()
}
