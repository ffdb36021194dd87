//! Reading small objects in the order in which their bytes lie: neighbours in one request.

use bytes::Bytes;
use futures::stream::{self, StreamExt};
use stocktake_core::{Content, Extent, PackId, Result};

use super::{Wish, Write};
use crate::content::ContentReader;

/// The longest read of neighbouring blocks, in bytes.
pub(super) const SPAN_BYTES: u64 = 8 << 20;
/// How many bytes the blocks of one read may decode to: some compress a thousandfold.
pub(super) const SPAN_RAW_BYTES: u64 = 32 << 20;
/// What a block of small objects is taken to decode to. Writers cut them near this.
const BLOCK_RAW_BYTES: u64 = 256 << 10;
/// Blocks this near to each other, in bytes, are read in one request with what lies between.
const GAP_BYTES: u64 = 256 << 10;

/// Objects whose blocks are read in one request.
pub(super) struct Span {
    pub(super) pack: PackId,
    pub(super) start: u64,
    pub(super) end: u64,
    /// What its blocks decode to, at least about.
    pub(super) raw: u64,
    pub(super) wishes: Vec<(Extent, Wish)>,
}

/// Groups objects by where their blocks lie.
pub(super) fn spans(mut whole: Vec<(Extent, Wish)>) -> Vec<Span> {
    whole.sort_by_key(|(extent, _)| (extent.pack, extent.block_offset, extent.offset));
    let mut spans: Vec<Span> = Vec::new();
    for (extent, wish) in whole {
        let start = u64::from(extent.block_offset);
        let end = start + u64::from(extent.block_length);
        let raw = wish.row.entry.size.max(BLOCK_RAW_BYTES);
        match spans.last_mut() {
            Some(span) if span.pack == extent.pack && end <= span.end => span.wishes.push((extent, wish)),
            Some(span)
                if span.pack == extent.pack
                    && start <= span.end + GAP_BYTES
                    && end - span.start <= SPAN_BYTES
                    && span.raw + raw <= SPAN_RAW_BYTES =>
            {
                span.end = end;
                span.raw += raw;
                span.wishes.push((extent, wish));
            }
            _ => spans.push(Span { pack: extent.pack, start, end, raw, wishes: vec![(extent, wish)] }),
        }
    }
    spans
}

/// Decodes the blocks of a span, each once, and takes the objects out of them.
pub(super) fn take_out(reader: &ContentReader, start: u64, stored: &Bytes, wishes: Vec<(Extent, Wish)>) -> Vec<Write> {
    let mut decoded: Option<(u32, Result<Bytes>)> = None;
    let take = |(extent, wish): (Extent, Wish)| {
        if decoded.as_ref().is_none_or(|(offset, _)| *offset != extent.block_offset) {
            let from = usize::try_from(u64::from(extent.block_offset) - start).expect("a span is in memory");
            let frame = &stored[from..from + extent.block_length as usize];
            decoded = Some((extent.block_offset, reader.decode(&extent, frame)));
        }
        let block = match &decoded {
            Some((_, Ok(block))) => block,
            // The object alone: its error names the pack again.
            _ => return Write { body: Ok(reader.read(&wish.row, None)), wish },
        };
        let Content::Whole { hash, .. } = wish.row.content else { unreachable!("only whole objects are in spans") };
        let body = reader.slice(block, &extent, wish.row.entry.size, hash);
        Write { wish, body: body.map(|bytes| stream::iter([Ok(bytes)]).boxed()) }
    };
    wishes.into_iter().map(take).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use stocktake_core::{ContentHash, Entry, IfExists, JobId, ObjectKey, Provenance, Row, Timestamp};

    /// An object of `size` bytes in a block of its own, of `stored` bytes, at `at`.
    fn placed(at: u32, stored: u32, size: u64) -> (Extent, Wish) {
        let pack = PackId { job: JobId::from_bytes([0; 16]), own: 0, worker: 0, seq: 0 };
        let extent = Extent { pack, block_offset: at, block_length: stored, offset: 0 };
        let key = ObjectKey::new(at.to_string().into_bytes());
        let row = Row {
            entry: Entry::new(key.clone(), size, Timestamp::default()),
            content: Content::Whole { hash: ContentHash::default(), extent },
            provenance: Provenance::Exact,
            attributes: Bytes::new(),
        };
        (extent, Wish { row, key, if_exists: IfExists::Fail })
    }

    fn check_spans(wishes: impl IntoIterator<Item = (Extent, Wish)>, expected: &[usize]) {
        let spans = spans(wishes.into_iter().collect());
        assert_eq!(spans.iter().map(|span| span.wishes.len()).collect::<Vec<_>>(), expected);
        assert!(spans.iter().all(|span| span.raw <= SPAN_RAW_BYTES || span.wishes.len() == 1));
    }

    #[test]
    fn neighbours_are_read_together_as_long_as_they_fit_stored_and_decoded() {
        let mib = 1 << 20;
        check_spans((0..20).map(|n| placed(n * mib, mib, 1 << 20)), &[8, 8, 4]);
        // Blocks that compress a thousandfold are few to a read.
        check_spans((0..10).map(|n| placed(n * 8192, 8192, 8 << 20)), &[4, 4, 2]);
        check_spans((0..3).map(|n| placed(n * 1000, 1000, 100 << 20)), &[1, 1, 1]);
        // Far from each other; and several of one block, which is read once.
        check_spans([placed(0, 100, 5), placed(mib, 100, 5)], &[1, 1]);
        check_spans((0..1000).map(|_| placed(0, 100, 5)), &[1000]);
    }
}
