//! Streams the rows of one segment after another.
//!
//! Row groups are fetched and decoded on tasks of their own, some reads ahead of
//! the consumer. Memory of a stream: for each of these a read of at most
//! [`READ_BYTES`] (or one row group, where that is larger), and the batches
//! decoded from it.

use std::ops::Range;

use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use stocktake_core::{KeyRange, Result};
use stocktake_format::SegmentRef;
use stocktake_format::segment::{Part, SegmentBatch, SegmentReader, Wanted};

use crate::store::Store;
use crate::table::Table;
use crate::task::Task;

/// Reads are joined up to this many bytes.
const READ_BYTES: u64 = 1 << 20;

/// Reads nearer than this are joined, in bytes.
const GAP_BYTES: u64 = 256 << 10;

/// How many segments of a stream are open, the one that is read included.
const OPEN_SEGMENTS: usize = 2;

/// Batches of a segment or of several, ascending.
pub(crate) type Batches<B> = BoxStream<'static, Result<SegmentBatch<B>>>;

/// Streams the rows in `range` of segments that ascend and are apart from each other,
/// with `read_ahead` reads under way or waiting, the one that is consumed included.
pub(crate) fn scan<B: Table>(
    store: Store,
    segments: Vec<SegmentRef>,
    range: KeyRange,
    read_ahead: usize,
) -> Batches<B> {
    let opened = stream::iter(segments).map({
        let (store, range) = (store.clone(), range.clone());
        move |segment| Task::spawn(open::<B>(store.clone(), segment, range.clone()))
    });
    let reads = opened.buffered(OPEN_SEGMENTS).map_ok(move |(segment, reader, reads)| {
        let (store, range) = (store.clone(), range.clone());
        let batches = stream::iter(reads).map(move |read| {
            Task::spawn(read_groups::<B>(store.clone(), segment.clone(), reader.clone(), read, range.clone()))
        });
        batches.buffered(read_ahead).map_ok(|batches| stream::iter(batches.into_iter().map(Ok))).try_flatten()
    });
    reads.try_flatten().boxed()
}

/// The rows of a segment with the wanted keys, ascending.
pub(crate) async fn look_up<B: Table>(
    store: &Store,
    segment: &SegmentRef,
    wanted: Wanted<'_>,
) -> Result<Vec<SegmentBatch<B>>> {
    let reader = store.segment(segment).await?;
    let damaged = |error| store.damaged(&segment.name, error);
    let groups = reader.groups(wanted).map_err(damaged)?;
    let mut found = Vec::new();
    for group in groups {
        let bytes = store.read(&segment.name, reader.part(group, B::PART).map_err(damaged)?).await?;
        found.extend(B::decode(&reader, group, bytes, wanted).map_err(damaged)?);
    }
    Ok(found)
}

/// Neighbouring row groups, read at once.
struct Read {
    groups: Range<usize>,
    span: Range<u64>,
}

async fn open<B: Table>(
    store: Store,
    segment: SegmentRef,
    range: KeyRange,
) -> Result<(SegmentRef, SegmentReader, Vec<Read>)> {
    let reader = store.segment(&segment).await?;
    let reads = plan(&reader, &range, B::PART).map_err(|error| store.damaged(&segment.name, error))?;
    Ok((segment, reader, reads))
}

/// The reads that a range of keys takes.
fn plan(reader: &SegmentReader, range: &KeyRange, part: Part) -> stocktake_format::Result<Vec<Read>> {
    let mut reads: Vec<Read> = Vec::new();
    for group in reader.groups(Wanted::Range(range))? {
        let span = reader.part(group, part)?;
        match reads.last_mut() {
            Some(read)
                if read.groups.end == group
                    && span.start - read.span.end <= GAP_BYTES
                    && span.end - read.span.start <= READ_BYTES =>
            {
                *read = Read { groups: read.groups.start..group + 1, span: read.span.start..span.end };
            }
            _ => reads.push(Read { groups: group..group + 1, span }),
        }
    }
    Ok(reads)
}

async fn read_groups<B: Table>(
    store: Store,
    segment: SegmentRef,
    reader: SegmentReader,
    read: Read,
    range: KeyRange,
) -> Result<Vec<SegmentBatch<B>>> {
    let bytes = store.read(&segment.name, read.span.clone()).await?;
    let damaged = |error| store.damaged(&segment.name, error);
    let mut batches = Vec::new();
    for group in read.groups {
        let part = reader.part(group, B::PART).map_err(damaged)?;
        let part = (part.start - read.span.start) as usize..(part.end - read.span.start) as usize;
        batches.extend(B::decode(&reader, group, bytes.slice(part), Wanted::Range(&range)).map_err(damaged)?);
    }
    Ok(batches)
}
