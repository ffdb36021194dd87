//! Turns fetched objects into blocks, in key order.
//!
//! Small neighbours are laid end to end until a block is full; an object of
//! middle size is a block of its own; a large one becomes chunks. Bytes that the
//! vault has already are not put into a block again. Blocks are compressed on
//! blocking threads while the next ones are filled.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use stocktake_core::{Content, ContentHash, ETag, Entry, Result, Row};
use stocktake_format::{Block, Chunk, Item, ItemFacts, ItemKind, content_hash};
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::{Receiver, Sender};
use tokio_util::task::AbortOnDropHandle;

use super::fetch::{Fetched, Pending, RowHead};
use super::{CopyJob, RowOp, large};

/// Rows and bytes on their way to a pack.
pub(crate) enum Assembled {
    /// A block, or rows alone, in key order.
    Block { block: Option<AbortOnDropHandle<Block>>, members: Vec<Member> },
    /// All chunks of a large object were sent; its list can be written.
    LargeEnd { head: Box<RowHead>, hash: [u8; 32] },
    /// A large object came to nothing; its chunks so far are of no use. Its row, unless it is read once more.
    LargeAbort { row: Option<Box<RowOp>> },
}

/// What a block brings to be resolved once it has its place.
pub(crate) enum Member {
    /// A row that is complete.
    Row(Box<RowOp>),
    /// An object whose bytes are in this block.
    Object { head: Box<RowHead>, hash: ContentHash, offset: u32 },
    /// An object whose bytes were put into an earlier block of this job.
    Same { head: Box<RowHead>, hash: ContentHash },
    /// A chunk of the current large object: this block, alone.
    Chunk { hash: ContentHash, length: u32 },
    /// A chunk that was put into an earlier block of this job.
    SameChunk { hash: ContentHash, length: u32 },
    /// A chunk that the parent snapshot's version of the object has.
    KnownChunk(Chunk),
}

/// How many contents of this job are remembered, to store them once: what fills
/// two hash tables of 2^19 places, about 40 MiB.
pub(crate) const MAX_REMEMBERED: usize = 7 << 16;

/// Rows that share a block at most, so that empty objects and deletions don't pile up.
pub(super) const MAX_MEMBERS: usize = 4096;

/// Turns fetched objects into blocks.
pub(crate) struct Assembler {
    pub job: Arc<CopyJob>,
    out: Sender<Assembled>,
    known: HashSet<ContentHash>,
    raw: Vec<u8>,
    items: Vec<Item>,
    members: Vec<Member>,
    reserved: Vec<OwnedSemaphorePermit>,
}

pub(crate) async fn run(job: &Arc<CopyJob>, mut fetched: Receiver<Pending>, out: Sender<Assembled>) -> Result<()> {
    let mut assembler = Assembler {
        job: job.clone(),
        out,
        known: HashSet::new(),
        raw: Vec::new(),
        items: Vec::new(),
        members: Vec::new(),
        reserved: Vec::new(),
    };
    while let Some(pending) = fetched.recv().await {
        let mut next = Some(match pending {
            Pending::Ready(row) => Fetched::Row(row),
            Pending::Task(task) => task.await.expect("a fetch does not panic")?,
        });
        while let Some(fetched) = next.take() {
            match fetched {
                Fetched::Row(row) => assembler.member(Member::Row(row)).await,
                Fetched::Small { head, bytes, hash, reserved } => assembler.small(head, bytes, hash, reserved).await,
                // What was replaced while it was read may be of any length now.
                Fetched::Large { head, body } => next = large::assemble(&mut assembler, head, body).await?,
            }
        }
    }
    assembler.flush().await;
    Ok(())
}

impl Assembler {
    async fn small(&mut self, head: RowHead, bytes: Bytes, full: [u8; 32], reserved: OwnedSemaphorePermit) {
        let hash = content_hash(&full);
        if bytes.is_empty() {
            let row = Box::new(complete(head, Content::Empty));
            return self.member(Member::Row(row)).await;
        }
        if let Some(content) = same_as_before(&head.previous, hash) {
            self.job.progress.deduplicated(bytes.len() as u64);
            let row = Box::new(complete(head, content));
            return self.member(Member::Row(row)).await;
        }
        if self.is_known(hash, bytes.len()) {
            return self.member(Member::Same { head: Box::new(head), hash }).await;
        }
        if bytes.len() >= self.job.options.block_bytes {
            self.flush().await;
        }
        let offset = u32::try_from(self.raw.len()).expect("a block is far below 4 GiB");
        let length = u32::try_from(bytes.len()).expect("a small object is far below 4 GiB");
        let kind = ItemKind::Object(Box::new(item_facts(&head.entry, &head.attributes)));
        self.items.push(Item { offset, length, hash: full, kind });
        self.raw.extend_from_slice(&bytes);
        self.reserved.push(reserved);
        self.member(Member::Object { head: Box::new(head), hash, offset }).await;
        if self.raw.len() >= self.job.options.block_bytes {
            self.flush().await;
        }
    }

    /// Whether this job has stored these bytes already; if not, they are taken as stored from now on.
    pub(crate) fn is_known(&mut self, hash: ContentHash, bytes: usize) -> bool {
        if self.known.contains(&hash) {
            self.job.progress.deduplicated(bytes as u64);
            return true;
        }
        if self.known.len() < MAX_REMEMBERED {
            self.known.insert(hash);
        }
        false
    }

    /// Adds a member to the block being filled.
    async fn member(&mut self, member: Member) {
        self.members.push(member);
        if self.members.len() >= MAX_MEMBERS {
            self.flush().await;
        }
    }

    /// Sends the block being filled on its way.
    pub(crate) async fn flush(&mut self) {
        if self.members.is_empty() {
            return;
        }
        let members = std::mem::take(&mut self.members);
        let items = std::mem::take(&mut self.items);
        let raw = std::mem::take(&mut self.raw);
        let reserved = std::mem::take(&mut self.reserved);
        let block = (!raw.is_empty()).then(|| self.compress(raw, items, reserved));
        self.send(Assembled::Block { block, members }).await;
    }

    /// Compresses on another thread. What was reserved for the bytes is free again after that.
    pub(crate) fn compress(
        &self,
        raw: Vec<u8>,
        items: Vec<Item>,
        reserved: Vec<OwnedSemaphorePermit>,
    ) -> AbortOnDropHandle<Block> {
        let level = self.job.options.zstd_level;
        AbortOnDropHandle::new(tokio::task::spawn_blocking(move || {
            let block = Block::compress(&raw, items, level);
            drop(reserved);
            block
        }))
    }

    pub(crate) async fn send(&self, assembled: Assembled) {
        // A closed queue means that a later stage failed, and its error ends the job.
        let _ = self.out.send(assembled).await;
    }
}

/// The content of the parent's row, if it has the same bytes.
pub(crate) fn same_as_before(previous: &Option<Row>, hash: ContentHash) -> Option<Content> {
    let content = &previous.as_ref()?.content;
    match content {
        Content::Whole { hash: before, .. } | Content::Chunked { hash: before, .. } if *before == hash => {
            Some(content.clone())
        }
        _ => None,
    }
}

/// The finished row.
pub(crate) fn complete(head: RowHead, content: Content) -> RowOp {
    let RowHead { entry, provenance, attributes, previous, planned: _ } = head;
    RowOp { previous, put: Some(Row { entry, content, provenance, attributes }) }
}

/// What the pack's directory says of an object.
pub(crate) fn item_facts(entry: &Entry, attributes: &Bytes) -> ItemFacts {
    ItemFacts {
        key: entry.key.as_bytes().to_vec(),
        size: entry.size,
        last_modified: entry.last_modified.as_millis(),
        etag: entry.etag.as_ref().map_or("", ETag::as_str).to_owned(),
        class: entry.class.clone(),
        attributes: attributes.to_vec(),
    }
}
