//! Checks packs, each once, and answers whether what rows need is in them.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use stocktake_core::{ContentHash, Entropy, Error, PackId, Result};
use stocktake_format::{DirectoryBlock, PackReader, TRAILER_BYTES, content_hash, names};

use super::{DataShare, Need, lock};
use crate::content::ContentReader;

/// Directories kept for rows to come.
pub(super) const CACHED_DIRECTORIES: usize = 32;

/// The packs of a vault, as far as they were looked at.
pub(super) struct Packs {
    reader: ContentReader,
    /// A pack is read whole if its lot is below this.
    threshold: u64,
    lot: u64,
    budget: Mutex<u64>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Packs whose every byte was verified.
    verified: HashSet<PackId>,
    cache: VecDeque<(PackId, Arc<Known>)>,
}

/// What is known of a pack.
enum Known {
    /// It is there, and this long.
    Length(u64),
    /// Its directory, by block and offset.
    Directory(HashMap<(u32, u32), Placed>),
}

/// Where the directory says an item is.
struct Placed {
    block_length: u32,
    length: u32,
    hash: ContentHash,
}

/// A pack with a problem, and what is lost with it.
pub(super) struct Found {
    pub(super) pack: PackId,
    pub(super) problem: String,
    pub(super) lost: Vec<Need>,
}

impl Packs {
    pub(super) fn new(reader: ContentReader, data: DataShare, total_bytes: u128, entropy: &dyn Entropy) -> Self {
        let mut lot = [0; 8];
        entropy.fill(&mut lot);
        let fraction = match data {
            DataShare::None => 0.0,
            DataShare::All => 1.0,
            DataShare::Percent(percent) => percent / 100.0,
            // Twice the share that is expected to suffice; the budget ends it.
            DataShare::Bytes(bytes) => 2.0 * bytes as f64 / (total_bytes as f64).max(1.0),
        };
        let threshold = if fraction >= 1.0 { u64::MAX } else { (fraction.max(0.0) * u64::MAX as f64) as u64 };
        let budget = if let DataShare::Bytes(bytes) = data { bytes } else { u64::MAX };
        Self { reader, threshold, lot: u64::from_le_bytes(lot), budget: Mutex::new(budget), state: Mutex::default() }
    }

    /// How many packs were read whole.
    pub(super) fn verified(&self) -> u64 {
        lock(&self.state).verified.len() as u64
    }

    /// Checks what is needed of one pack.
    pub(super) async fn check(&self, needs: Vec<Need>) -> Result<Option<Found>> {
        let pack = needs[0].extent.pack;
        let outcome = match self.known(pack) {
            Some(known) => Ok(known),
            None => self.learn(pack, &needs).await?,
        };
        Ok(match outcome {
            Ok(known) => {
                let lost: Vec<_> = needs.into_iter().filter(|need| !known.has(need)).collect();
                let problem = "a row points at something that is not in it".to_owned();
                (!lost.is_empty()).then_some(Found { pack, problem, lost })
            }
            Err(found) => Some(found),
        })
    }

    fn known(&self, pack: PackId) -> Option<Arc<Known>> {
        lock(&self.state).cache.iter().find(|(id, _)| *id == pack).map(|(_, known)| known.clone())
    }

    /// Looks at a pack for the first time, or again after it was forgotten.
    async fn learn(&self, pack: PackId, needs: &[Need]) -> Result<std::result::Result<Arc<Known>, Found>> {
        let verified = lock(&self.state).verified.contains(&pack);
        let known = if verified {
            self.directory(pack).await.map(Known::directory)
        } else if self.is_chosen(pack) {
            match self.read_whole(pack, needs).await? {
                Ok(directory) => Ok(Known::directory(directory)),
                Err(found) => return Ok(Err(found)),
            }
        } else {
            self.reader.vault().stat(&names::pack(pack)).await.map(|info| Known::Length(info.size))
        };
        match known {
            Ok(known) => {
                let known = Arc::new(known);
                self.remember(pack, known.clone());
                Ok(Ok(known))
            }
            Err(error) => Ok(Err(Found { pack, problem: problem(error)?, lost: needs.to_vec() })),
        }
    }

    fn remember(&self, pack: PackId, known: Arc<Known>) {
        let mut state = lock(&self.state);
        if matches!(*known, Known::Directory(_)) {
            state.verified.insert(pack);
        }
        state.cache.push_back((pack, known));
        if state.cache.len() > CACHED_DIRECTORIES {
            state.cache.pop_front();
        }
    }

    /// Whether the data of this pack is to be read.
    fn is_chosen(&self, pack: PackId) -> bool {
        if self.threshold == 0 || *lock(&self.budget) == 0 {
            return false;
        }
        let hash = blake3::keyed_hash(&self.lot_key(), names::pack(pack).as_bytes());
        u64::from_le_bytes(hash.as_bytes()[..8].try_into().expect("8 of 32 bytes")) <= self.threshold
    }

    fn lot_key(&self) -> [u8; 32] {
        blake3::derive_key("stocktake verify lot", &self.lot.to_le_bytes())
    }

    /// Reads and verifies a whole pack; if that fails, finds out what exactly is lost.
    async fn read_whole(
        &self,
        pack: PackId,
        needs: &[Need],
    ) -> Result<std::result::Result<Vec<DirectoryBlock>, Found>> {
        let bytes = match self.reader.vault().read(&names::pack(pack), None).await {
            Ok(bytes) => bytes,
            Err(error) => return Ok(Err(Found { pack, problem: problem(error)?, lost: needs.to_vec() })),
        };
        {
            let mut budget = lock(&self.budget);
            *budget = budget.saturating_sub(bytes.len() as u64);
        }
        let (reader, needs) = (self.reader.clone(), needs.to_vec());
        let check = move || {
            let verified = PackReader::new(reader.key(), pack).verify(reader.key(), &bytes);
            verified.map_err(|error| Found {
                pack,
                problem: error.to_string(),
                lost: needs.into_iter().filter(|need| !is_intact(&reader, &bytes, need)).collect(),
            })
        };
        Ok(tokio::task::spawn_blocking(check).await.expect("verifying does not panic"))
    }

    async fn directory(&self, pack: PackId) -> Result<Vec<DirectoryBlock>> {
        let (vault, name) = (self.reader.vault(), names::pack(pack));
        let fault = |error| self.reader.fault(pack, error);
        let end = vault.stat(&name).await?.size.saturating_sub(TRAILER_BYTES as u64);
        let trailer = vault.read(&name, Some(end..end + TRAILER_BYTES as u64)).await?;
        let length = PackReader::directory_length(&trailer).map_err(fault)? as u64;
        let stored = vault.read(&name, Some(end.saturating_sub(length)..end)).await?;
        PackReader::new(self.reader.key(), pack).directory(stored.to_vec()).map_err(fault)
    }
}

impl Known {
    fn directory(blocks: Vec<DirectoryBlock>) -> Self {
        let items = blocks.into_iter().flat_map(|block| {
            block.items.into_iter().map(move |item| {
                let placed =
                    Placed { block_length: block.stored_length, length: item.length, hash: content_hash(&item.hash) };
                ((block.offset, item.offset), placed)
            })
        });
        Self::Directory(items.collect())
    }

    /// Whether the pack holds what is needed.
    fn has(&self, need: &Need) -> bool {
        let extent = &need.extent;
        match self {
            Self::Length(length) => u64::from(extent.block_offset) + u64::from(extent.block_length) <= *length,
            Self::Directory(items) => items.get(&(extent.block_offset, extent.offset)).is_some_and(|placed| {
                placed.block_length == extent.block_length
                    && need.hash.is_none_or(|hash| hash == placed.hash && need.length == u64::from(placed.length))
            }),
        }
    }
}

/// Whether what is needed can be read from a pack that is damaged somewhere.
fn is_intact(reader: &ContentReader, pack: &Bytes, need: &Need) -> bool {
    let start = need.extent.block_offset as usize;
    let Some(stored) = pack.get(start..start.saturating_add(need.extent.block_length as usize)) else {
        return false;
    };
    let Ok(block) = reader.decode(&need.extent, stored) else { return false };
    need.hash.is_none_or(|hash| reader.slice(&block, &need.extent, need.length, hash).is_ok())
}

/// What is wrong with a blob; other failures say nothing about it and end the verification.
pub(super) fn problem(error: Error) -> Result<String> {
    match error {
        Error::BlobDamaged { problem, .. } => Ok(problem),
        Error::BlobNotFound { .. } => Ok("it is missing".into()),
        error => Err(error),
    }
}
