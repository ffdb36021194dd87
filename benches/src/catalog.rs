//! Catalogs of buckets that never were.

use std::sync::Arc;

use stocktake::catalog::VaultCatalog;
use stocktake::format::{VaultId, VaultKey};
use stocktake::{
    BytesColumn, Catalog, Content, ContentHash, EntryBatch, Extent, JobId, JobSummary, ManualClock, PackId, Provenance,
    Result, RowBatch, RowDelta, SnapshotId, SnapshotRecord, Timestamp, Vault,
};
use stocktake_testkit::inventories::Synthetic;
use stocktake_testkit::states::{job, summary};

const BLOCK_BYTES: u32 = 256 << 10;
const PACK_BYTES: u32 = 64 << 20;

/// The catalog of an unencrypted vault.
pub fn open_catalog(vault: Arc<dyn Vault>) -> VaultCatalog {
    let clock = ManualClock::new(Timestamp::from_millis(1_767_300_000_000));
    VaultCatalog::new(vault, Arc::new(VaultKey::unencrypted(VaultId([1; 16]))), Arc::new(clock))
}

/// Commits the `number`-th snapshot of a line.
///
/// # Errors
/// As the catalog's.
pub async fn commit(
    catalog: &VaultCatalog,
    number: u64,
    parent: Option<SnapshotId>,
    deltas: impl IntoIterator<Item = RowDelta>,
) -> Result<SnapshotRecord> {
    let mut writer = catalog.begin(job(number, parent)).await?;
    for delta in deltas {
        writer.apply(delta).await?;
    }
    writer.commit(JobSummary { as_of_start: Synthetic::FIRST_DAY, ..summary() }).await
}

/// Makes catalog rows of entries: as if their bytes had been packed in the order in which they come.
#[derive(Debug)]
pub struct Packed {
    pack: PackId,
    block_offset: u32,
    offset: u32,
    rows: u64,
}

impl Default for Packed {
    fn default() -> Self {
        let pack = PackId { job: JobId::from_bytes([1; 16]), own: 0, worker: 0, seq: 0 };
        Self { pack, block_offset: 0, offset: 0, rows: 0 }
    }
}

impl Packed {
    /// The rows of the next entries, which ascend.
    pub fn rows(&mut self, entries: EntryBatch) -> RowBatch {
        let contents: Vec<_> = entries.iter().map(|entry| self.content(entry.size)).collect();
        let provenances = vec![Provenance::Exact; contents.len()];
        let attributes: BytesColumn = contents.iter().map(|_| &br#"{"content_type":"image/jpeg"}"#[..]).collect();
        RowBatch::from_columns(entries, contents, provenances, Some(attributes)).expect("columns are equally long")
    }

    fn content(&mut self, size: u64) -> Content {
        // Small objects share a block, of which half is left when it is compressed.
        let length = u32::try_from(size % 60_000).expect("small");
        self.rows += 1;
        if self.offset + length > BLOCK_BYTES {
            self.offset = 0;
            self.block_offset += BLOCK_BYTES / 2;
        }
        if self.block_offset > PACK_BYTES {
            self.block_offset = 0;
            self.pack.seq += 1;
        }
        let hash = random_looking(self.rows);
        let extent = Extent {
            pack: self.pack,
            block_offset: self.block_offset,
            block_length: BLOCK_BYTES / 2,
            offset: self.offset,
        };
        self.offset += length;
        Content::Whole { hash: ContentHash(hash), extent }
    }
}

/// Sixteen bytes that look like a hash.
fn random_looking(number: u64) -> [u8; 16] {
    let mixed = u128::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    (mixed ^ (mixed >> 61)).wrapping_mul(0xbf58_476d_1ce4_e5b9_94d0_49bb_1331_11eb).to_le_bytes()
}
