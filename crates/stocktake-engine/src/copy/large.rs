//! Cuts a large object into chunks by its content, as it arrives.
//!
//! Cut points depend on the bytes around them, so an edit in the middle of an
//! object changes the chunks it touches and no others; those the vault has
//! already, from the parent's version or from this job, are not stored again.
//!
//! **Bound.** One object is cut at a time, with at most two of its longest
//! chunks in memory.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use fastcdc::v2020::{FastCDC, Normalization};
use stocktake_core::{Content, ContentHash, Provenance, Result, Row};
use stocktake_format::{Chunk, ChunkSizes, ContentHasher, Item, ItemKind, content_hash};

use super::CopyJob;
use super::assemble::{Assembled, Assembler, Member, complete, same_as_before};
use super::fetch::{Fetched, LargeBody, RowHead, damaged, reopen, replaced, settled, unread};
use crate::content::ContentReader;

/// Sends a large object's chunks to the pack stage, and counts the object.
///
/// One that was replaced or removed while it was read meets the same policy as one that was before: what came of
/// that is to be assembled in its place, if it is returned.
pub(crate) async fn assemble(assembler: &mut Assembler, head: RowHead, body: LargeBody) -> Result<Option<Fetched>> {
    assembler.flush().await;
    let job = assembler.job.clone();
    let known = parent_chunks(&job, &head.previous).await;
    let cut = match cut_object(assembler, &head, body, &known).await {
        Err((error, body)) if error.is_retryable() => {
            let reserved = body.into_reserved();
            match reopen(&job, &head.entry).await {
                // What was stored of the first attempt is found again by its hash.
                Ok(read) => {
                    let body = LargeBody::pump(&job, head.entry.clone(), read, reserved);
                    cut_object(assembler, &head, body, &known).await
                }
                Err(error) => Err((error, LargeBody::ended(reserved))),
            }
        }
        cut => cut,
    };
    let (error, body) = match cut {
        Ok(hash) => {
            let RowHead { entry, provenance, planned, .. } = &head;
            if *provenance == Provenance::Newer {
                job.progress.newer(&entry.key, entry.size);
            }
            job.progress.copied(&entry.key, entry.size);
            job.progress.step(*planned);
            assembler.send(finish(head, hash)).await;
            return Ok(None);
        }
        Err(failed) => failed,
    };
    let RowHead { entry, provenance, previous, planned, .. } = head;
    let instead = match provenance {
        // Read once more already.
        Provenance::Newer => unread(&job, &entry, previous, error),
        _ => replaced(&job, &entry, previous, error, body.into_reserved()).await,
    };
    let (row, instead) = match settled(&job, planned, instead?) {
        Fetched::Row(row) => (Some(row), None),
        other => (None, Some(other)),
    };
    assembler.send(Assembled::LargeAbort { row }).await;
    Ok(instead)
}

fn finish(head: RowHead, hash: [u8; 32]) -> Assembled {
    match same_as_before(&head.previous, content_hash(&hash)) {
        Some(content) => Assembled::LargeAbort { row: Some(Box::new(complete(head, content))) },
        None => Assembled::LargeEnd { head: Box::new(head), hash },
    }
}

/// The chunks of the parent's version. A list that can't be read costs space, nothing else.
async fn parent_chunks(job: &Arc<CopyJob>, previous: &Option<Row>) -> HashMap<ContentHash, Chunk> {
    let Some(Row { content: Content::Chunked { list, .. }, .. }) = previous else {
        return HashMap::new();
    };
    match ContentReader::new(job.vault.clone(), job.key.clone()).chunk_list(list).await {
        Ok(list) => list.chunks.into_iter().map(|chunk| (chunk.hash, chunk)).collect(),
        Err(error) => {
            tracing::warn!(%error, "the chunks of the parent's version can't be used");
            HashMap::new()
        }
    }
}

/// Cuts one object, and returns the hash of the whole.
async fn cut_object(
    assembler: &mut Assembler,
    head: &RowHead,
    mut body: LargeBody,
    known: &HashMap<ContentHash, Chunk>,
) -> std::result::Result<[u8; 32], (stocktake_core::Error, LargeBody)> {
    assembler.send(Assembled::Block { block: None, members: Vec::new() }).await;
    let sizes = ChunkSizes::for_object(head.entry.size);
    let mut cutter = Cutter::new(&assembler.job, sizes);
    let mut came = 0;
    loop {
        let piece = match body.bytes.recv().await {
            Some(Ok(piece)) => {
                came += piece.len() as u64;
                Some(piece)
            }
            Some(Err(error)) => return Err((error, body)),
            // A channel that closes early is what becomes of a reader that panicked, and no end.
            None if came != head.entry.size => {
                let problem = format!("{came} of {} bytes", head.entry.size);
                return Err((damaged(&assembler.job, &head.entry.key, problem), body));
            }
            None => None,
        };
        let last = piece.is_none();
        let cut;
        (cutter, cut) = cutter.feed(piece).await;
        for chunk in cut {
            place(assembler, chunk, known).await;
        }
        if last {
            return Ok(cutter.whole.finish_full());
        }
    }
}

async fn place(assembler: &mut Assembler, chunk: CutChunk, known: &HashMap<ContentHash, Chunk>) {
    let CutChunk { bytes, hash: full } = chunk;
    let hash = content_hash(&full);
    let length = u32::try_from(bytes.len()).expect("a chunk is far below 4 GiB");
    let (block, member) = if let Some(chunk) = known.get(&hash) {
        assembler.job.progress.deduplicated(u64::from(length));
        (None, Member::KnownChunk(*chunk))
    } else if assembler.is_known(hash, bytes.len()) {
        (None, Member::SameChunk { hash, length })
    } else {
        let items = vec![Item { offset: 0, length, hash: full, kind: ItemKind::Chunk }];
        (Some(assembler.compress(bytes.into(), items, Vec::new())), Member::Chunk { hash, length })
    };
    assembler.send(Assembled::Block { block, members: vec![member] }).await;
}

struct CutChunk {
    bytes: Bytes,
    hash: [u8; 32],
}

/// Holds what has arrived and was not cut yet.
struct Cutter {
    job: Arc<CopyJob>,
    sizes: ChunkSizes,
    seed: u64,
    buffer: BytesMut,
    whole: ContentHasher,
}

impl Cutter {
    fn new(job: &Arc<CopyJob>, sizes: ChunkSizes) -> Self {
        let buffer = BytesMut::with_capacity(2 * sizes.max);
        Self { job: job.clone(), sizes, seed: job.key.chunk_seed(), buffer, whole: job.key.content_hasher() }
    }

    /// Takes the next piece, or `None` at the end, and cuts what can be cut.
    async fn feed(mut self, piece: Option<Bytes>) -> (Self, Vec<CutChunk>) {
        let last = piece.is_none();
        if let Some(piece) = piece {
            self.buffer.extend_from_slice(&piece);
        }
        if self.buffer.len() < self.sizes.max && !last {
            return (self, Vec::new());
        }
        tokio::task::spawn_blocking(move || {
            let chunks = self.cut(last);
            (self, chunks)
        })
        .await
        .expect("cutting does not panic")
    }

    /// A cut is final only with a longest chunk's worth of bytes before it, or at the end of the object.
    fn cut(&mut self, last: bool) -> Vec<CutChunk> {
        let mut chunks = Vec::new();
        while self.buffer.len() >= self.sizes.max || (last && !self.buffer.is_empty()) {
            let ChunkSizes { min, average, max } = self.sizes;
            let cutter =
                FastCDC::with_level_and_seed(&self.buffer, min, average, max, Normalization::Level1, self.seed);
            let (_, end) = cutter.cut(0, self.buffer.len());
            let bytes = self.buffer.split_to(end).freeze();
            self.whole.update(&bytes);
            let mut hasher = self.job.key.content_hasher();
            hasher.update(&bytes);
            chunks.push(CutChunk { bytes, hash: hasher.finish_full() });
        }
        chunks
    }
}
