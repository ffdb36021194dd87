//! Segments of a catalog.
//!
//! The first four bytes say how long the tail is; the rest is the file. The hash
//! that its referrer would hold is computed from what is there, as a forger would.

use bytes::Bytes;
use stocktake_core::{BytesColumn, EntryBatch, KeyRange, RowBatch};
use stocktake_format::segment::{Part, SegmentReader, Wanted};

use crate::VAULT_KEYS;

/// What the keys of encrypted seeds are derived from.
pub const SEGMENT_KEY_NAME: &str = "job/1";

/// Row groups that are read: a file says how many it has.
const MAX_GROUPS: usize = 8;

/// A segment of an encrypted vault or another.
pub fn segment(data: &[u8]) -> bool {
    let Some((tail_bytes, file)) = data.split_first_chunk() else { return false };
    let file = Bytes::copy_from_slice(file);
    let tail = file.slice(file.len().saturating_sub(u32::from_le_bytes(*tail_bytes) as usize)..);
    let mut accepted = false;
    for key in &*VAULT_KEYS {
        let mut hasher = key.content_hasher();
        hasher.update(&tail);
        let opened = SegmentReader::open(key, SEGMENT_KEY_NAME, file.len() as u64, &tail, hasher.finish());
        accepted |= opened.is_ok_and(|reader| read(&reader, &file));
    }
    accepted
}

/// Reads all of a segment in three ways, and sees that they agree.
fn read(reader: &SegmentReader, file: &Bytes) -> bool {
    let Ok(groups) = reader.groups(Wanted::All) else { return false };
    let mut whole = true;
    for group in groups.into_iter().take(MAX_GROUPS) {
        let entries = entries(reader, file, group, Wanted::All);
        let rows = rows(reader, file, group, Wanted::All);
        if let (Some(entries), Some(rows)) = (&entries, &rows) {
            assert!(entries.iter().eq(rows.iter().map(RowBatch::entries)));
            read_some(reader, file, group, entries);
        }
        whole &= entries.is_some() && rows.is_some();
    }
    whole
}

/// Reads the rows with a key's prefix, and that key's row. Bounds that lie may hide rows, but add none.
fn read_some(reader: &SegmentReader, file: &Bytes, group: usize, all: &[EntryBatch]) {
    let Some(first) = all.first().filter(|batch| !batch.is_empty()).map(|batch| batch.key(0)) else { return };
    let range = KeyRange::prefix(first);
    let keys: BytesColumn = [first].into_iter().collect();
    for wanted in [Wanted::Range(&range), Wanted::Keys(&keys)] {
        let found = rows(reader, file, group, wanted).unwrap_or_default();
        assert!(found.iter().map(RowBatch::len).sum::<usize>() <= all.iter().map(EntryBatch::len).sum());
    }
}

fn part(reader: &SegmentReader, file: &Bytes, group: usize, part: Part) -> Bytes {
    let range = reader.part(group, part).expect("a row group has its parts");
    file.slice(range.start as usize..range.end as usize)
}

fn entries(reader: &SegmentReader, file: &Bytes, group: usize, wanted: Wanted<'_>) -> Option<Vec<EntryBatch>> {
    let batches = reader.entries(group, part(reader, file, group, Part::Entries), wanted).ok()?;
    Some(batches.into_iter().map(|batch| batch.rows).collect())
}

fn rows(reader: &SegmentReader, file: &Bytes, group: usize, wanted: Wanted<'_>) -> Option<Vec<RowBatch>> {
    let batches = reader.rows_of(group, part(reader, file, group, Part::Rows), wanted).ok()?;
    Some(batches.into_iter().map(|batch| batch.rows).collect())
}
