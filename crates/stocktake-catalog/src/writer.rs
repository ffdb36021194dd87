//! Writes one snapshot.
//!
//! Changes go two ways: rows behind everything the parent has become bases of
//! their own, all others a delta run. At the commit the layers are kept up, and
//! then, in this order, become durable: segments with their sidecars, the root,
//! the slot. What is written before the slot is garbage if the slot is never
//! created; a collector finds it.

use std::sync::Arc;

use async_trait::async_trait;
use stocktake_core::{
    Clock, Error, JobId, JobSpec, JobSummary, ObjectKey, Result, RootRef, RowBatch, RowDelta, SnapshotRecord,
    SnapshotWriter,
};
use stocktake_format::{Root, Run, names, root_sealing_name};

use crate::catalog::SOFTWARE;
use crate::deltas::{DeltaBuilder, First};
use crate::ledger::{Change, Ledger, in_order};
use crate::options::CatalogOptions;
use crate::slots::Slots;
use crate::store::Store;
use crate::table::slice;
use crate::tail::{Tail, TailEnd};
use crate::upkeep::keep_up;
use crate::upload::Uploads;

/// Writes the snapshot of one job. Memory: the parent's root, at most three
/// segments, encoded (the staged run, the one being written, a base of the tail), and a few batches.
pub(crate) struct VaultWriter {
    slots: Arc<Slots>,
    clock: Arc<dyn Clock>,
    job: JobSpec,
    parent: Root,
    ledger: Ledger,
    uploads: Uploads,
    deltas: DeltaBuilder,
    tail: Tail,
    last_key: Option<ObjectKey>,
}

impl VaultWriter {
    pub(crate) fn new(
        store: Store,
        slots: Arc<Slots>,
        clock: Arc<dyn Clock>,
        options: CatalogOptions,
        job: JobSpec,
        parent: Root,
    ) -> Self {
        let uploads = Uploads::new(store, job.id, options);
        let (ledger, tail) = (Ledger::new(&parent), Tail::of(&parent));
        let deltas = DeltaBuilder::new(First::Staged);
        Self { slots, clock, job, parent, ledger, uploads, deltas, tail, last_key: None }
    }

    /// Checks that the keys of a delta come after all before it, and takes note of the last.
    fn check_order(&mut self, delta: &RowDelta) -> Result<()> {
        let puts = delta.puts.entries();
        let put_keys = &puts.columns().keys;
        let after_last = |first: Option<&[u8]>| match (&self.last_key, first) {
            (Some(last), Some(first)) => last.as_bytes() < first,
            _ => true,
        };
        if !after_last(put_keys.iter().next()) || !after_last(delta.deletes.iter().next()) {
            return Err(Error::invalid("the keys of a delta do not come after those of the one before"));
        }
        if !puts.is_strictly_ascending() {
            return Err(Error::invalid("the keys of a delta do not ascend strictly"));
        }
        let last_of =
            |keys: &stocktake_core::BytesColumn| keys.len().checked_sub(1).map(|last| ObjectKey::from(keys.get(last)));
        let last = last_of(put_keys).max(last_of(&delta.deletes));
        self.last_key = last.or(self.last_key.take());
        let last_delete = delta.deletes.len().checked_sub(1).map(|last| delta.deletes.get(last));
        if last_delete.is_some_and(|key| self.tail.contains(key)) {
            return Err(Error::invalid("a key is deleted behind the last key of the parent"));
        }
        Ok(())
    }

    /// Takes changes of keys that the parent's layers may speak of.
    async fn change(&mut self, delta: &RowDelta) -> Result<()> {
        let key = Arc::clone(self.uploads.store().key());
        for (change, previous) in in_order(delta)? {
            self.ledger.enter(&key, change, previous)?;
            self.deltas.push(&mut self.uploads, change).await?;
        }
        Ok(())
    }

    /// Writes every layer of the new snapshot, and says what they are.
    async fn finish_layers(mut self) -> Result<(Root, Finish)> {
        let seq = self.parent.seq + 1;
        let bases = match self.tail.finish(&mut self.uploads, seq).await? {
            TailEnd::Bases(bases) => bases,
            TailEnd::Few(batches) => {
                let key = Arc::clone(self.uploads.store().key());
                for row in batches.iter().flat_map(RowBatch::iter) {
                    self.ledger.enter(&key, Change::Put(row), None)?;
                    self.deltas.push(&mut self.uploads, Change::Put(row)).await?;
                }
                Vec::new()
            }
        };
        let Self { slots, clock, job, parent, ledger, mut uploads, deltas, .. } = self;
        let segments = deltas.finish(&mut uploads).await?;
        let finish = |uploads| Finish { uploads, slots, clock, job };
        if segments.is_empty() && bases.is_empty() {
            return Ok((parent, finish(uploads)));
        }
        let mut runs = parent.runs;
        if !segments.is_empty() {
            runs.push(Run { seq, level: 0, segments });
        }
        let fences = [ledger.fences, bases].concat();
        let root = keep_up(&mut uploads, Root::new(seq, parent.credit, fences, runs), ledger.changed).await?;
        uploads.settle(|name| root.segments().any(|segment| segment.name == name)).await?;
        Ok((root, finish(uploads)))
    }
}

#[async_trait]
impl SnapshotWriter for VaultWriter {
    fn job(&self) -> JobId {
        self.job.id
    }

    async fn apply(&mut self, delta: RowDelta) -> Result<()> {
        self.check_order(&delta)?;
        let keys = &delta.puts.entries().columns().keys;
        let known = keys.iter().take_while(|key| !self.tail.contains(key)).count();
        let mut tail = None;
        let changes = if known == delta.puts.len() {
            delta
        } else {
            let RowDelta { puts, deletes, previous } = delta;
            let changes = slice(&puts, 0..known)?;
            tail = Some(if known == 0 { puts } else { slice(&puts, known..puts.len())? });
            RowDelta { puts: changes, deletes, previous }
        };
        self.change(&changes).await?;
        match tail {
            Some(rows) => self.tail.push(&mut self.uploads, rows).await,
            None => Ok(()),
        }
    }

    async fn commit(self: Box<Self>, summary: JobSummary) -> Result<SnapshotRecord> {
        let (root, finish) = self.finish_layers().await?;
        finish.commit(root, summary).await
    }
}

/// What is left to do once all segments are stored.
struct Finish {
    uploads: Uploads,
    slots: Arc<Slots>,
    clock: Arc<dyn Clock>,
    job: JobSpec,
}

impl Finish {
    async fn commit(self, root: Root, summary: JobSummary) -> Result<SnapshotRecord> {
        let reference = self.store_root(&root).await?;
        let view = self.slots.view().await?;
        view.check_undecided(self.job.id)?;
        view.check_name(&self.job.name)?;
        let JobSpec { id, name, plan, trigger, parent, started } = self.job;
        let record = SnapshotRecord {
            id,
            name,
            plan,
            trigger,
            parent,
            started,
            committed: self.clock.now(),
            total: root.totals,
            state_sum: root.state_sum.to_hex(),
            root: reference,
            software: SOFTWARE.to_owned(),
            summary,
        };
        self.slots.commit(&record).await?;
        Ok(record)
    }

    async fn store_root(&self, root: &Root) -> Result<RootRef> {
        let store = self.uploads.store();
        root.check().map_err(|error| store.damaged("the new root", error))?;
        let sealing_name = names::root(self.job.id, "");
        let bytes = store.seal(root_sealing_name(&sealing_name), root)?;
        let hash = blake3::hash(&bytes).to_hex().to_string();
        let name = names::root(self.job.id, &hash[..16]);
        store.create_own(&name, bytes).await?;
        Ok(RootRef { name, hash })
    }
}

impl std::fmt::Debug for VaultWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VaultWriter").field("job", &self.job).finish_non_exhaustive()
    }
}
