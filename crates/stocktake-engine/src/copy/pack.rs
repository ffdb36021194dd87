//! Places blocks in packs, and so completes rows.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use stocktake_core::{Content, ContentHash, Extent, PackId, Result};
use stocktake_format::{Block, Chunk, ChunkList, Item, ItemKind, PackWriter, content_hash, names};
use tokio::sync::mpsc::{Receiver, Sender};
use tokio_util::task::AbortOnDropHandle;

use super::assemble::{Assembled, MAX_REMEMBERED, Member, complete, item_facts};
use super::fetch::RowHead;
use super::upload::{Upload, publish};
use super::{CopyJob, RowOp};

/// Rows that wait for one pack at most. With objects of ordinary size a pack is full long before.
const MAX_ROWS: usize = 65_536;

/// The ownership epoch and the worker of the packs written here: one process, one packer.
const OWN: u16 = 0;
const WORKER: u16 = 0;

pub(crate) async fn run(job: &Arc<CopyJob>, mut blocks: Receiver<Assembled>, out: Sender<Upload>) -> Result<()> {
    let mut packer = Packer {
        job: job.clone(),
        out,
        writer: None,
        next_seq: 0,
        placed: HashMap::new(),
        rows: Vec::new(),
        chunks: Vec::new(),
    };
    while let Some(assembled) = blocks.recv().await {
        match assembled {
            Assembled::Block { block, members } => {
                let block = match block {
                    Some(block) => Some(block.await.expect("compressing does not panic")),
                    None => None,
                };
                packer.block(block, members).await;
            }
            Assembled::LargeEnd { head, hash } => packer.large(*head, hash).await,
            Assembled::LargeAbort { row } => {
                packer.chunks.clear();
                packer.rows.extend(row.map(|row| *row));
            }
        }
        if packer.rows.len() >= MAX_ROWS {
            packer.close().await;
        }
    }
    packer.close().await;
    Ok(())
}

struct Packer {
    job: Arc<CopyJob>,
    out: Sender<Upload>,
    writer: Option<PackWriter>,
    next_seq: u32,
    /// Where contents that may come again were placed. As bounded as the assembler's memory of them.
    placed: HashMap<ContentHash, Extent>,
    /// Rows whose bytes are in packs up to the one being filled.
    rows: Vec<RowOp>,
    /// Chunks of the current large object.
    chunks: Vec<Chunk>,
}

impl Packer {
    async fn block(&mut self, block: Option<Block>, members: Vec<Member>) {
        if members.is_empty() {
            // A large object begins, perhaps for the second time.
            self.chunks.clear();
        }
        let extent = match block {
            Some(block) => Some(self.append(block).await),
            None => None,
        };
        for member in members {
            self.member(member, extent);
        }
    }

    fn member(&mut self, member: Member, extent: Option<Extent>) {
        let own = |offset| Extent { offset, ..extent.expect("a member with bytes comes with its block") };
        match member {
            Member::Row(row) => self.rows.push(*row),
            Member::Object { head, hash, offset } => {
                self.remember(hash, own(offset));
                self.rows.push(complete(*head, Content::Whole { hash, extent: own(offset) }));
            }
            Member::Same { head, hash } => {
                let extent = self.placed[&hash];
                self.rows.push(complete(*head, Content::Whole { hash, extent }));
            }
            Member::Chunk { hash, length } => {
                self.remember(hash, own(0));
                self.chunks.push(Chunk { extent: own(0), length, hash });
            }
            Member::SameChunk { hash, length } => {
                let extent = self.placed[&hash];
                self.chunks.push(Chunk { extent, length, hash });
            }
            Member::KnownChunk(chunk) => self.chunks.push(chunk),
        }
    }

    fn remember(&mut self, hash: ContentHash, extent: Extent) {
        // Contents arrive here in the order in which the assembler came to know them,
        // so both remember the same ones.
        if self.placed.len() < MAX_REMEMBERED {
            self.placed.insert(hash, extent);
        }
    }

    /// Writes the chunk list of the object whose chunks were placed.
    async fn large(&mut self, head: RowHead, hash: [u8; 32]) {
        let list = ChunkList { hash, size: head.entry.size, chunks: std::mem::take(&mut self.chunks) };
        let bytes = list.encode();
        let length = u32::try_from(bytes.len()).expect("a chunk list fits a block");
        let mut hasher = self.job.key.content_hasher();
        hasher.update(&bytes);
        let kind = ItemKind::ChunkList(Box::new(item_facts(&head.entry, &head.attributes)));
        let items = vec![Item { offset: 0, length, hash: hasher.finish_full(), kind }];
        let extent = self.append(Block::compress(&bytes, items, self.job.options.zstd_level)).await;
        let packs: Vec<PackId> = list.packs().into_iter().filter(|pack| *pack != extent.pack).collect();
        self.rows.push(complete(head, Content::Chunked { hash: content_hash(&hash), list: extent, packs }));
    }

    async fn append(&mut self, block: Block) -> Extent {
        let full = |writer: &PackWriter| writer.len() + block.stored_bytes() > self.job.options.pack_bytes;
        if self.writer.as_ref().is_some_and(|writer| !writer.is_empty() && full(writer)) {
            self.close().await;
        }
        let (job, next_seq) = (&self.job, &mut self.next_seq);
        let writer = self.writer.get_or_insert_with(|| {
            let id = PackId { job: job.job, own: OWN, worker: WORKER, seq: *next_seq };
            *next_seq += 1;
            PackWriter::new(&job.key, id)
        });
        writer.append(block)
    }

    /// Sends the pack, if there is one, and the rows that waited for it.
    async fn close(&mut self) {
        let rows = std::mem::take(&mut self.rows);
        let durable = self.writer.take().map(|writer| {
            let id = writer.id();
            let job = self.job.clone();
            AbortOnDropHandle::new(tokio::spawn(async move {
                let bytes: Bytes = writer.finish();
                publish(&job, id, &names::pack(id), bytes).await
            }))
        });
        if durable.is_some() || !rows.is_empty() {
            // A closed queue means that the last stage failed, and its error ends the job.
            let _ = self.out.send(Upload { durable, rows }).await;
        }
    }
}
