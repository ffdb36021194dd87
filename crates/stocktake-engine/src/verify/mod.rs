//! Verification: every row of every snapshot can be restored, or is named.
//!
//! Rows lead the way, as in a restore. A snapshot's rows that its predecessor
//! has too were checked there and are passed over, so the work grows with what
//! the vault holds, not with the number of snapshots. A pack that is read for
//! its data is read once, whole: its blocks are decoded, each object's bytes
//! hashed, and its directory is kept for the rows that point into it.
//!
//! The catalog checks itself first; rows that it can't vouch for are passed over.
//!
//! **Bound.** A window of rows, [`PACKS_AHEAD`] packs, the directories of the
//! last [`pack::CACHED_DIRECTORIES`] packs, and 24 bytes for each pack of the
//! vault.

mod pack;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};
use stocktake_core::{
    Catalog, CatalogDamage, Content, ContentHash, Entropy, Error, Event, Extent, KeyRange, ObjectKey, Observer, Result,
    Row, RowBatch, SnapshotId, Tally,
};
use tokio_util::sync::CancellationToken;

use crate::OpenVault;
use crate::content::ContentReader;
use pack::{Found, Packs};

/// Rows that are grouped by pack at once.
const WINDOW_ROWS: usize = 16_384;
/// Packs that are read and checked at once.
const PACKS_AHEAD: usize = 2;
/// Keys listed for one damaged blob; further ones are only counted.
const LISTED_KEYS: usize = 10_000;

/// How much of the data to read.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DataShare {
    /// None: packs must be there and long enough.
    None,
    /// All of it.
    All,
    /// This percentage of the packs, chosen anew by chance each time.
    Percent(f64),
    /// About as many bytes, in packs chosen anew by chance each time.
    Bytes(u64),
}

/// A verification of snapshots: what does the work.
#[derive(Clone)]
pub struct Verify {
    reader: ContentReader,
    catalog: Arc<dyn Catalog>,
    entropy: Arc<dyn Entropy>,
    observer: Arc<dyn Observer>,
    cancel: CancellationToken,
}

/// What a verification found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifyReport {
    /// Rows that were checked, each content once, and their bytes.
    pub checked: Tally,
    /// Packs that were read whole.
    pub packs: u64,
    /// Rows that can't be restored.
    pub damaged: Tally,
    /// What is wrong, by blob.
    pub damage: Vec<Damage>,
}

/// A blob that is missing or altered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Damage {
    /// Its name.
    pub blob: String,
    /// What is wrong with it.
    pub problem: String,
    /// Keys that can't be restored because of it, of whatever snapshot: the first ten thousand.
    pub keys: Vec<ObjectKey>,
    /// How many keys there are in all.
    pub key_count: u64,
    /// Where the blob is the catalog's: the keys whose rows can't be relied on, of whatever snapshot.
    pub key_ranges: Vec<KeyRange>,
}

impl Damage {
    fn new(blob: String, problem: String) -> Self {
        Self { blob, problem, keys: Vec::new(), key_count: 0, key_ranges: Vec::new() }
    }
}

impl fmt::Debug for Verify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verify").field("vault", self.reader.vault()).finish_non_exhaustive()
    }
}

impl Verify {
    /// A verification of the snapshots in `catalog`, whose bytes are in `vault`.
    pub fn new(vault: &OpenVault, catalog: Arc<dyn Catalog>, entropy: Arc<dyn Entropy>) -> Self {
        let reader = ContentReader::new(vault.vault.clone(), vault.key.clone());
        Self { reader, catalog, entropy, observer: Arc::new(()), cancel: CancellationToken::new() }
    }

    /// Tells `observer` what happens.
    #[must_use]
    pub fn observer(self, observer: Arc<dyn Observer>) -> Self {
        Self { observer, ..self }
    }

    /// Ends with [`Error::Cancelled`] soon after `cancel` is.
    #[must_use]
    pub fn cancel(self, cancel: CancellationToken) -> Self {
        Self { cancel, ..self }
    }

    /// Checks `snapshots`, or all when empty. Damage is reported, and is not an error.
    ///
    /// # Errors
    /// [`Error::SnapshotNotFound`], and failures of the store that say nothing about what it holds.
    ///
    /// # Cancel safety
    /// Nothing is written.
    pub async fn run(self, snapshots: &[SnapshotId], data: DataShare) -> Result<VerifyReport> {
        let records = self.catalog.snapshots().await?;
        let ids: Vec<_> = records.iter().map(|record| record.id).collect();
        let chosen: Vec<_> = if snapshots.is_empty() { ids } else { snapshots.to_vec() };
        let total = records.iter().filter(|record| chosen.contains(&record.id)).map(|record| record.total.bytes).max();
        let packs = Packs::new(self.reader.clone(), data, total.unwrap_or(0), self.entropy.as_ref());
        let cancel = self.cancel.clone();
        let mut run = Run { verify: self, packs, findings: Mutex::default(), unsound: BTreeMap::new() };
        let all = async {
            run.catalog(snapshots).await?;
            run.all(&chosen).await
        };
        tokio::select! {
            biased;
            () = cancel.cancelled() => return Err(Error::Cancelled),
            done = all => done?,
        }
        let findings = run.findings.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        Ok(VerifyReport {
            checked: findings.checked,
            packs: run.packs.verified(),
            damaged: findings.damaged,
            damage: findings.damage.into_values().collect(),
        })
    }
}

struct Run {
    verify: Verify,
    packs: Packs,
    findings: Mutex<Findings>,
    /// The keys of each snapshot whose rows can't be relied on.
    unsound: BTreeMap<SnapshotId, Vec<KeyRange>>,
}

#[derive(Default)]
struct Findings {
    checked: Tally,
    damaged: Tally,
    damage: BTreeMap<String, Damage>,
}

/// The keys of a window that can't be restored, each with its size: one may miss something of several packs.
type Lost = BTreeMap<ObjectKey, u64>;

/// Something a row needs: bytes of a block, of which the hash is known.
#[derive(Clone, Debug)]
pub(crate) struct Need {
    pub extent: Extent,
    pub length: u64,
    /// `None` for a chunk list, whose own hash stands in the pack's directory only.
    pub hash: Option<ContentHash>,
    pub key: ObjectKey,
    pub size: u64,
}

impl Run {
    /// Has the catalog check itself.
    async fn catalog(&mut self, snapshots: &[SnapshotId]) -> Result<()> {
        let mut damage = self.verify.catalog.check(snapshots.to_vec());
        while let Some(CatalogDamage { snapshot, blob, problem, keys }) = damage.try_next().await? {
            self.unsound.entry(snapshot).or_default().extend(keys.iter().cloned());
            let mut findings = lock(&self.findings);
            let found = findings.damage.entry(blob.clone()).or_insert_with(|| Damage::new(blob, problem));
            let unknown = keys.into_iter().filter(|range| !found.key_ranges.contains(range)).collect::<Vec<_>>();
            found.key_ranges.extend(unknown);
        }
        Ok(())
    }

    async fn all(&self, snapshots: &[SnapshotId]) -> Result<()> {
        let mut before = None;
        for snapshot in snapshots {
            match self.snapshot(*snapshot, before).await {
                Err(error) => self.catalog_damage(error)?,
                Ok(()) => before = Some(*snapshot),
            }
        }
        Ok(())
    }

    /// Checks the rows of a snapshot that `before` does not have.
    async fn snapshot(&self, snapshot: SnapshotId, before: Option<SnapshotId>) -> Result<()> {
        let rows = self.sound_rows(snapshot).await?;
        let before = match before {
            Some(before) => self.sound_rows(before).await?,
            None => stream::empty().boxed(),
        };
        let mut windows = unseen(rows, before).try_chunks(WINDOW_ROWS);
        while let Some(window) = windows.try_next().await.map_err(|error| error.1)? {
            self.window(window).await?;
        }
        Ok(())
    }

    /// The rows of a snapshot that the catalog vouches for.
    async fn sound_rows(&self, snapshot: SnapshotId) -> Result<BoxStream<'static, Result<RowBatch>>> {
        let ranges = outside(self.unsound.get(&snapshot).cloned().unwrap_or_default());
        if ranges.is_empty() {
            return Ok(stream::empty().boxed());
        }
        let snapshot = self.verify.catalog.open(snapshot).await?;
        Ok(stream::iter(ranges).flat_map(move |range| snapshot.rows(range)).boxed())
    }

    async fn window(&self, rows: Vec<Row>) -> Result<()> {
        let (mut needs, mut large) = (Vec::new(), Vec::new());
        let (mut checked, mut lost) = (Tally::default(), Lost::new());
        for row in rows {
            let (key, size) = (row.entry.key.clone(), row.entry.size);
            checked.add(size);
            match row.content {
                Content::Absent | Content::Empty => {}
                Content::Whole { hash, extent } => {
                    needs.push(Need { extent, length: size, hash: Some(hash), key, size });
                }
                Content::Chunked { list, hash, .. } => {
                    let need = Need { extent: list, length: 0, hash: None, key, size };
                    needs.push(need.clone());
                    large.push((need, hash));
                }
            }
        }
        self.needs(needs, &mut lost).await?;
        for (list, hash) in large {
            if !lost.contains_key(&list.key) {
                self.chunks(list, hash, &mut lost).await?;
            }
        }
        let done = {
            let mut findings = lock(&self.findings);
            lost.into_values().for_each(|size| findings.damaged.add(size));
            findings.checked += checked;
            findings.checked
        };
        self.verify.observer.on_event(&Event::Progress { done, total: None });
        Ok(())
    }

    /// Checks the chunks of one large object, whose list's pack is there.
    async fn chunks(&self, list: Need, hash: ContentHash, lost: &mut Lost) -> Result<()> {
        let read = self.verify.reader.chunk_list_of(&list.extent, list.size, hash).await;
        let chunks = match read {
            Ok(list) => list.chunks,
            // Where the pack was not read whole, this is the first look at the list.
            Err(error) => {
                let found = Found { pack: list.extent.pack, problem: pack::problem(error)?, lost: vec![list] };
                self.pack_damage(found, lost);
                return Ok(());
            }
        };
        let need = |chunk: &stocktake_format::Chunk| Need {
            extent: chunk.extent,
            length: u64::from(chunk.length),
            hash: Some(chunk.hash),
            key: list.key.clone(),
            size: list.size,
        };
        self.needs(chunks.iter().map(need).collect(), lost).await
    }

    /// Checks needs, pack by pack.
    async fn needs(&self, mut needs: Vec<Need>, lost: &mut Lost) -> Result<()> {
        needs.sort_by_key(|need| (need.extent.pack, need.extent.block_offset, need.extent.offset));
        let groups: Vec<Vec<Need>> =
            needs.chunk_by(|a, b| a.extent.pack == b.extent.pack).map(<[Need]>::to_vec).collect();
        let mut checks = stream::iter(groups).map(|group| self.packs.check(group)).buffered(PACKS_AHEAD);
        while let Some(found) = checks.try_next().await? {
            if let Some(found) = found {
                self.pack_damage(found, lost);
            }
        }
        Ok(())
    }

    /// Notes a damaged pack, and the keys that are lost with it.
    fn pack_damage(&self, found: Found, lost: &mut Lost) {
        let Found { pack, problem, lost: needs } = found;
        let mut findings = lock(&self.findings);
        let blob = stocktake_format::names::pack(pack);
        let mut keys: Vec<(ObjectKey, u64)> = needs.into_iter().map(|need| (need.key, need.size)).collect();
        keys.sort_unstable();
        keys.dedup();
        lost.extend(keys.iter().cloned());
        let damage = findings.damage.entry(blob.clone()).or_insert_with(|| Damage::new(blob, problem));
        damage.key_count += keys.len() as u64;
        let room = LISTED_KEYS.saturating_sub(damage.keys.len());
        damage.keys.extend(keys.into_iter().take(room).map(|(key, _)| key));
    }

    /// Records damage that the catalog met only as its rows were read; other failures end the verification.
    fn catalog_damage(&self, error: Error) -> Result<()> {
        let (name, problem) = match error {
            Error::BlobDamaged { name, problem, .. } => (name, problem),
            Error::BlobNotFound { name, .. } => (name, "it is missing".to_owned()),
            error => return Err(error),
        };
        let mut findings = lock(&self.findings);
        findings.damage.entry(name.clone()).or_insert_with(|| Damage::new(name, problem));
        Ok(())
    }
}

/// All keys but those in `ranges`.
fn outside(mut ranges: Vec<KeyRange>) -> Vec<KeyRange> {
    ranges.sort_unstable_by(|a, b| a.start().cmp(b.start()));
    let (mut outside, mut from) = (Vec::new(), Some(Bytes::new()));
    for range in ranges {
        let Some(begin) = from else { break };
        if *begin < *range.start() {
            outside.push(KeyRange::new(begin.clone(), Some(Bytes::copy_from_slice(range.start()))));
        }
        from = range.end().map(|end| begin.max(Bytes::copy_from_slice(end)));
    }
    outside.extend(from.map(|begin| KeyRange::new(begin, None)));
    outside
}

/// The rows of one snapshot whose contents an earlier one does not have at the same key.
fn unseen(
    rows: BoxStream<'static, Result<RowBatch>>,
    before: BoxStream<'static, Result<RowBatch>>,
) -> BoxStream<'static, Result<Row>> {
    let state = (rows, Cursor { batches: before, batch: RowBatch::default(), at: 0 });
    stream::try_unfold(state, |(mut rows, mut before)| async move {
        let Some(batch) = rows.try_next().await? else { return Ok(None) };
        let mut fresh = Vec::new();
        for row in batch.iter() {
            if before.content_at(row.entry.key).await? != Some(row.content) {
                fresh.push(Ok(row.to_row()));
            }
        }
        Ok::<_, Error>(Some((stream::iter(fresh), (rows, before))))
    })
    .try_flatten()
    .boxed()
}

/// Walks through sorted rows as far as is asked for.
struct Cursor {
    batches: BoxStream<'static, Result<RowBatch>>,
    batch: RowBatch,
    at: usize,
}

impl Cursor {
    /// The content at `key`. Keys are asked for in ascending order.
    async fn content_at(&mut self, key: &[u8]) -> Result<Option<&Content>> {
        loop {
            while self.at < self.batch.len() && self.batch.key(self.at) < key {
                self.at += 1;
            }
            if self.at < self.batch.len() {
                let found = self.batch.key(self.at) == key;
                return Ok(found.then(|| &self.batch.contents()[self.at]));
            }
            match self.batches.try_next().await? {
                Some(batch) => (self.batch, self.at) = (batch, 0),
                None => return Ok(None),
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outside_of_ranges_is_what_no_range_holds() {
        let range = |start: &'static str, end: Option<&'static str>| KeyRange::new(start, end.map(Bytes::from));
        assert_eq!(outside(Vec::new()), [KeyRange::all()]);
        assert_eq!(outside(vec![KeyRange::all()]), []);
        let ranges = vec![range("m", Some("p")), range("c", Some("e")), range("d", Some("f")), range("d", Some("e"))];
        assert_eq!(outside(ranges), [range("", Some("c")), range("f", Some("m")), range("p", None)]);
        assert_eq!(outside(vec![range("b", None), range("c", Some("d"))]), [range("", Some("b"))]);
    }
}
