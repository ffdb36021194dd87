//! What a segment refers to: its sidecar.
//!
//! A collector must know which packs are needed, and how much of each, without
//! reading rows. So each segment has a small document beside it, named like it
//! with the ending `.refs`:
//!
//! ```json
//! {"version":1,"packs":[{"pack":"<job>/0.1-7","rows":812,"bytes":4194304}]}
//! ```
//!
//! `packs` ascends. `rows` counts the rows that name the pack, as the place of
//! their bytes or of a chunk. `bytes` sums the stored lengths of the distinct
//! blocks that rows name there; blocks named by chunk lists only are not in it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use stocktake_core::{Content, PackId, RowBatch};

use super::columns::extent;
use crate::text;

/// What a segment refers to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentRefs {
    version: u32,
    /// The packs, ascending.
    pub packs: Vec<PackUse>,
}

/// How much of a pack a segment needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackUse {
    /// The pack.
    #[serde(with = "text")]
    pub pack: PackId,
    /// Rows that name it.
    pub rows: u64,
    /// Stored bytes of the distinct blocks that rows name in it.
    pub bytes: u64,
}

/// Gathers what rows refer to, in 8 bytes a block of memory.
#[derive(Debug, Default)]
pub struct RefsCollector {
    packs: BTreeMap<PackId, Blocks>,
}

#[derive(Debug, Default)]
struct Blocks {
    rows: u64,
    /// Offset and length of each block; one that neighbouring rows share is noted once.
    places: Vec<(u32, u32)>,
}

impl RefsCollector {
    /// Takes note of what some rows refer to.
    pub fn add(&mut self, rows: &RowBatch) {
        for content in rows.contents() {
            if let Some(extent) = extent(content) {
                let blocks = self.packs.entry(extent.pack).or_default();
                let place = (extent.block_offset, extent.block_length);
                blocks.rows += 1;
                if blocks.places.last() != Some(&place) {
                    blocks.places.push(place);
                }
            }
            if let Content::Chunked { packs, .. } = content {
                packs.iter().for_each(|pack| self.packs.entry(*pack).or_default().rows += 1);
            }
        }
    }

    /// How many packs they refer to.
    pub fn packs(&self) -> usize {
        self.packs.len()
    }

    /// What all of them refer to.
    pub fn finish(self) -> SegmentRefs {
        let packs = self.packs.into_iter().map(|(pack, mut blocks)| {
            blocks.places.sort_unstable();
            blocks.places.dedup();
            let bytes = blocks.places.iter().map(|(_, length)| u64::from(*length)).sum();
            PackUse { pack, rows: blocks.rows, bytes }
        });
        SegmentRefs { version: 1, packs: packs.collect() }
    }
}
