//! Writes segments: encodes, reads back, names and stores them.
//!
//! Nothing is stored that was not decoded again and found to hold exactly the
//! rows that went in. So what a bug or a bad bit of memory alters between here
//! and there never becomes part of a snapshot.

use std::sync::Arc;

use bytes::Bytes;
use stocktake_core::{JobId, Result, RowBatch};
use stocktake_format::segment::{
    EncodedSegment, Part, SegmentKind, SegmentReader, SegmentRefs, SegmentWriter, Wanted, key_name,
};
use stocktake_format::{FormatError, SegmentRef, VaultKey, names};

use crate::options::CatalogOptions;
use crate::store::Store;
use crate::sum::RowSum;
use crate::task::compute;

/// A segment that refers to so many packs is cut: its sidecar has to stay a document that can be read. One object
/// of 50 TB refers to 780,000 more, and a sidecar of 3 million would be the largest.
const MAX_PACKS: usize = 500_000;

/// How many row groups a segment may have. The reader takes no footer of more than half a million structures, and a
/// row group has some seventy.
const MAX_GROUPS: u64 = 6_000;

/// A segment being filled, at most the maximum of rows in memory, encoded.
pub(crate) struct SegmentSink {
    seq: u32,
    key_name: String,
    writer: SegmentWriter,
    /// What the rows put add up to.
    sum: RowSum,
}

/// A segment that was written, or staged.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) segment: SegmentRef,
    /// What its rows put add up to.
    pub(crate) sum: RowSum,
}

/// The segments of one job.
pub(crate) struct Uploads {
    store: Store,
    job: JobId,
    options: CatalogOptions,
    next_seq: u32,
    /// Sidecars of segments that are staged.
    staged_refs: Vec<(String, SegmentRefs)>,
}

impl SegmentSink {
    /// Appends rows, as [`SegmentWriter::write`].
    pub(crate) fn write(&mut self, key: &VaultKey, rows: RowBatch, deleted: Vec<bool>) -> Result<()> {
        self.sum.add_batch(key, &rows, &deleted);
        self.writer.write(rows, deleted)
    }

    pub(crate) fn rows(&self) -> u64 {
        self.writer.rows()
    }

    /// Whether it must be cut, however few rows it has.
    pub(crate) fn is_full(&self) -> bool {
        self.writer.packs() >= MAX_PACKS
    }
}

impl Uploads {
    pub(crate) fn new(store: Store, job: JobId, options: CatalogOptions) -> Self {
        Self { store, job, options, next_seq: 0, staged_refs: Vec::new() }
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    pub(crate) fn options(&self) -> &CatalogOptions {
        &self.options
    }

    /// Begins a segment.
    pub(crate) fn begin(&mut self, kind: SegmentKind) -> SegmentSink {
        let seq = self.next_seq;
        self.next_seq += 1;
        let row_group_rows = match kind {
            SegmentKind::Base => self.options.base_group_rows,
            SegmentKind::Delta => self.options.delta_group_rows,
        };
        let fewest = 2 * self.options.max_segment_rows.max(self.options.target_segment_rows) / MAX_GROUPS + 1;
        let row_group_rows = row_group_rows.max(usize::try_from(fewest).unwrap_or(usize::MAX));
        let key_name = key_name(self.job, seq);
        let writer = SegmentWriter::new(self.store.key(), kind, &key_name, row_group_rows);
        SegmentSink { seq, key_name, writer, sum: RowSum::default() }
    }

    /// Finishes a segment and stores it.
    pub(crate) async fn upload(&mut self, sink: SegmentSink) -> Result<Written> {
        let (written, bytes, refs) = self.finish(sink).await?;
        self.put(&written.segment.name, bytes, &refs).await?;
        Ok(written)
    }

    /// Finishes a segment and keeps it in memory, where reads find it.
    pub(crate) async fn stage(&mut self, sink: SegmentSink) -> Result<Written> {
        let (written, bytes, refs) = self.finish(sink).await?;
        self.store.stage(&written.segment.name, bytes);
        self.staged_refs.push((written.segment.name.clone(), refs));
        Ok(written)
    }

    /// Stores the staged segments that are `needed`, and lets the others go.
    pub(crate) async fn settle(&mut self, needed: impl Fn(&str) -> bool) -> Result<()> {
        for (name, refs) in std::mem::take(&mut self.staged_refs) {
            match self.store.unstage(&name) {
                Some(bytes) if needed(&name) => self.put(&name, bytes, &refs).await?,
                _ => {}
            }
        }
        Ok(())
    }

    async fn put(&self, name: &str, bytes: Bytes, refs: &SegmentRefs) -> Result<()> {
        self.store.create_own(name, bytes).await?;
        self.store.create_document(&names::refs(name), refs).await
    }

    async fn finish(&self, sink: SegmentSink) -> Result<(Written, Bytes, SegmentRefs)> {
        let key = Arc::clone(self.store.key());
        let SegmentSink { seq, key_name, writer, sum } = sink;
        let prove = move || {
            let encoded = writer.finish();
            let proof = prove(&key, &key_name, &encoded, sum);
            (encoded, proof)
        };
        let (encoded, proof) = compute(prove).await?;
        let EncodedSegment { bytes, kind, hash, tail_bytes, tail_hash, rows, deletes, low, high, refs } = encoded;
        let hash16 = &blake3::Hash::from_bytes(hash).to_hex()[..16];
        let name = match kind {
            SegmentKind::Base => names::base_segment(self.job, seq, hash16),
            SegmentKind::Delta => names::delta_run(self.job, seq, hash16),
        };
        proof.map_err(|error| self.store.damaged(&name, error))?;
        let length = bytes.len() as u64;
        let segment = SegmentRef { name, hash, bytes: length, rows, deletes, low, high, tail_bytes, tail_hash };
        Ok((Written { segment, sum }, bytes, refs))
    }
}

/// Decodes an encoded segment and sees that it holds what went in.
fn prove(key: &VaultKey, key_name: &str, encoded: &EncodedSegment, expected: RowSum) -> Result<(), FormatError> {
    let EncodedSegment { bytes, tail_bytes, tail_hash, rows, deletes, .. } = encoded;
    let length = bytes.len() as u64;
    let reader =
        SegmentReader::open(key, key_name, length, &bytes.slice((length - tail_bytes) as usize..), *tail_hash)?;
    let (mut sum, mut read, mut read_deletes) = (RowSum::default(), 0, 0);
    for group in reader.groups(Wanted::All)? {
        let part = reader.part(group, Part::Rows)?;
        for batch in reader.rows_of(group, bytes.slice(part.start as usize..part.end as usize), Wanted::All)? {
            sum.add_batch(key, &batch.rows, &batch.deleted);
            read += batch.rows.len() as u64;
            read_deletes += batch.deleted.iter().filter(|deleted| **deleted).count() as u64;
        }
    }
    if (sum, read, read_deletes) == (expected, *rows, *deletes) {
        Ok(())
    } else {
        Err(FormatError::damaged("what was encoded does not decode to what went in"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stocktake_format::VaultId;
    use stocktake_testkit::states;

    #[test]
    fn nothing_altered_between_encoding_and_storing_gets_through() {
        let key = VaultKey::unencrypted(VaultId([1; 16]));
        let batch = states::batch(states::state("a=1 b=2 c=3"));
        let mut writer = SegmentWriter::new(&key, SegmentKind::Base, "job/1", 2);
        writer.write(batch.clone(), Vec::new()).unwrap();
        let encoded = writer.finish();
        let mut sum = RowSum::default();
        sum.add_batch(&key, &batch, &[]);
        assert_eq!(prove(&key, "job/1", &encoded, sum), Ok(()));
        assert!(prove(&key, "job/1", &encoded, RowSum::default()).is_err());
        let short = EncodedSegment { rows: 2, ..encoded.clone() };
        assert!(prove(&key, "job/1", &short, sum).is_err());
        // The four bytes in front are the same in every Parquet file.
        for at in 4..encoded.bytes.len() {
            let mut bytes = encoded.bytes.to_vec();
            bytes[at] ^= 2;
            let altered = EncodedSegment { bytes: bytes.into(), ..encoded.clone() };
            assert!(prove(&key, "job/1", &altered, sum).is_err(), "byte {at}");
        }
    }
}
