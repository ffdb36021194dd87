//! Checks the structure of snapshots: every blob of the catalog, and that all adds up.
//!
//! Two passes. The first reads each segment whole: its hash, its order, its
//! counts and its sidecar. The second reads the layers as one table and
//! recomputes what every fence claims to hold. A damaged segment is left out of
//! the second pass, with all fences it touches, so that one damage is reported
//! once and everything else is still checked.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use stocktake_core::{CatalogDamage, Error, KeyRange, Result, RowBatch, SnapshotId};
use stocktake_format::segment::{
    Part, RefsCollector, SegmentKind, SegmentReader, SegmentRefs, Wanted, key_name_of_blob,
};
use stocktake_format::{FormatError, Root, SegmentRef, VaultKey, names};

use crate::catalog::VaultCatalog;
use crate::layers::Layers;
use crate::slots::Unsound;
use crate::store::Store;
use crate::sum::RowSum;
use crate::task::compute;

/// How many segments are checked at once. Each is held whole: about 30 MB.
const SEGMENTS_AT_ONCE: usize = 2;

/// Checks snapshots one after the other.
///
/// **Bound.** [`SEGMENTS_AT_ONCE`] segments, the name of every segment found sound, and the damage of one snapshot.
pub(crate) fn check(catalog: VaultCatalog, snapshots: Vec<SnapshotId>) -> BoxStream<'static, Result<CatalogDamage>> {
    let begin = async move {
        let (snapshots, records) = records(&catalog, snapshots).await?;
        let state = (catalog, snapshots.into_iter(), HashSet::new());
        let layers = stream::try_unfold(state, async |(catalog, mut snapshots, mut sound)| {
            let Some(snapshot) = snapshots.next() else { return Ok(None) };
            let issues = check_snapshot(&catalog, snapshot, &mut sound).await?;
            let damage = issues
                .into_iter()
                .map(move |Issue { blob, problem, keys }| Ok(CatalogDamage { snapshot, blob, problem, keys }));
            Ok::<_, Error>(Some((stream::iter(damage), (catalog, snapshots, sound))))
        });
        Ok::<_, Error>(stream::iter(records.into_iter().map(Ok)).chain(layers.try_flatten()))
    };
    stream::once(begin).try_flatten().boxed()
}

/// The snapshots to look into, all when none is named; and what is wrong with their slots and marks, of those whose
/// slot can't be read as well.
async fn records(catalog: &VaultCatalog, asked: Vec<SnapshotId>) -> Result<(Vec<SnapshotId>, Vec<CatalogDamage>)> {
    let view = catalog.slots.view().await?;
    let unsound: Vec<_> =
        view.unsound().filter(|unsound| asked.is_empty() || asked.contains(&unsound.job)).cloned().collect();
    let unreadable: HashSet<_> = unsound.iter().filter(|unsound| unsound.is_slot).map(|unsound| unsound.job).collect();
    let mut snapshots = if asked.is_empty() { view.snapshots().map(|record| record.id).collect() } else { asked };
    snapshots.retain(|snapshot| !unreadable.contains(snapshot));
    let damage = unsound.into_iter().map(|Unsound { job, blob, problem, is_slot }| CatalogDamage {
        snapshot: job,
        blob,
        problem,
        keys: if is_slot { vec![KeyRange::all()] } else { Vec::new() },
    });
    Ok((snapshots, damage.collect()))
}

/// Damage that was found in one snapshot.
struct Issue {
    blob: String,
    problem: String,
    keys: Vec<KeyRange>,
}

/// Checks a snapshot, but for the segments that are known as `sound`.
async fn check_snapshot(
    catalog: &VaultCatalog,
    snapshot: SnapshotId,
    sound: &mut HashSet<String>,
) -> Result<Vec<Issue>> {
    let record = catalog.find(snapshot).await?;
    let root = match damage(catalog.store.root(&record.root).await)? {
        Ok(root) => root,
        Err((blob, problem)) => return Ok(vec![Issue { blob, problem, keys: vec![KeyRange::all()] }]),
    };
    let mut issues = Vec::new();
    if (root.totals, root.state_sum.to_hex()) != (record.total, record.state_sum) {
        let problem = "its totals are not those of the snapshot's record".to_owned();
        issues.push(Issue { blob: record.root.name.clone(), problem, keys: Vec::new() });
    }
    let layers = Layers::new(catalog.store.clone(), Arc::new(root));
    let root = Arc::clone(layers.root());
    let mut sound_fences = vec![true; root.fences.len()];
    let unseen = places(&root).filter(|place| !sound.contains(&place.segment.name));
    let checks: Vec<_> = unseen.map(|place| check_place(&catalog.store, place)).collect();
    let mut checks = stream::iter(checks).buffer_unordered(SEGMENTS_AT_ONCE);
    while let Some((place, found)) = checks.try_next().await? {
        if found.iter().any(|issue| !issue.keys.is_empty()) {
            sound_fences[place.fences.clone()].fill(false);
        }
        if found.is_empty() {
            sound.insert(place.segment.name.clone());
        }
        issues.extend(found);
    }
    for fences in stretches(&sound_fences) {
        issues.extend(check_sums(&layers, fences, &record.root.name).await?);
    }
    Ok(issues)
}

/// A segment, and what rests on it.
struct Place<'a> {
    segment: &'a SegmentRef,
    kind: SegmentKind,
    fences: Range<usize>,
    keys: KeyRange,
}

fn places(root: &Root) -> impl Iterator<Item = Place<'_>> {
    let bases = root.fences.iter().enumerate().filter_map(|(index, fence)| {
        let segment = fence.base.as_ref()?;
        Some(Place { segment, kind: SegmentKind::Base, fences: index..index + 1, keys: root.range_of(index) })
    });
    let deltas = root.runs.iter().flat_map(|run| &run.segments).map(|segment| {
        let (low, high) = (segment.low.as_bytes(), segment.high.as_bytes());
        let end = KeyRange::key(high).end().map(Bytes::copy_from_slice);
        let keys = KeyRange::new(segment.low.clone().into_bytes(), end);
        Place { segment, kind: SegmentKind::Delta, fences: root.fences_of(low, high), keys }
    });
    bases.chain(deltas)
}

/// Checks a segment and its sidecar.
async fn check_place<'a>(store: &Store, place: Place<'a>) -> Result<(Place<'a>, Vec<Issue>)> {
    let refs_name = names::refs(&place.segment.name);
    let refs = match damage(check_segment(store, &place).await)? {
        Ok(refs) => refs,
        Err((blob, problem)) => {
            let issue = Issue { blob, problem, keys: vec![place.keys.clone()] };
            return Ok((place, vec![issue]));
        }
    };
    let problem = match damage(store.document::<SegmentRefs>(&refs_name).await)? {
        Ok(found) if found == refs => return Ok((place, Vec::new())),
        Ok(_) => "it does not say what the rows of its segment refer to".to_owned(),
        Err((_, problem)) => problem,
    };
    Ok((place, vec![Issue { blob: refs_name, problem, keys: Vec::new() }]))
}

/// Reads a segment whole, and says what it refers to.
async fn check_segment(store: &Store, place: &Place<'_>) -> Result<SegmentRefs> {
    let SegmentRef { name, hash, bytes: length, .. } = place.segment;
    let bytes = store.vault().read(name, Some(0..*length)).await?;
    // One that is longer than it was written is another one.
    let stored = store.vault().stat(name).await?.size;
    if stored != *length {
        return Err(store.damaged(name, FormatError::damaged(format!("it has {stored} bytes, and not {length}"))));
    }
    let (key, segment, kind) = (Arc::clone(store.key()), place.segment.clone(), place.kind);
    let hash = *hash;
    let check = move || {
        let mut hasher = key.content_hasher();
        hasher.update(&bytes);
        if hasher.finish_full() != hash {
            return Err(FormatError::damaged(format!("its {} bytes are not those that were written", bytes.len())));
        }
        check_rows(&key, &segment, kind, &bytes)
    };
    compute(check).await?.map_err(|error| store.damaged(name, error))
}

/// Decodes every row group, and compares with what the root says of the segment.
fn check_rows(
    key: &VaultKey,
    segment: &SegmentRef,
    kind: SegmentKind,
    bytes: &Bytes,
) -> Result<SegmentRefs, FormatError> {
    let SegmentRef { name, rows, deletes, low, high, tail_bytes, tail_hash, .. } = segment;
    let length = bytes.len() as u64;
    let key_name = key_name_of_blob(name).ok_or_else(|| FormatError::damaged("it is not named like a segment"))?;
    let tail = bytes.slice(length.saturating_sub(*tail_bytes) as usize..);
    let reader = SegmentReader::open(key, &key_name, length, &tail, *tail_hash)?;
    let mut seen = Seen::default();
    for group in reader.groups(Wanted::All)? {
        let part = reader.part(group, Part::Rows)?;
        for batch in reader.rows_of(group, bytes.slice(part.start as usize..part.end as usize), Wanted::All)? {
            seen.take(&batch.rows, &batch.deleted)?;
        }
    }
    let facts = (seen.rows, seen.deletes, seen.first.as_deref(), seen.last.as_deref(), reader.kind());
    if facts != (*rows, *deletes, Some(low.as_bytes()), Some(high.as_bytes()), kind) {
        return Err(FormatError::damaged("it does not hold the rows that the root says it holds"));
    }
    Ok(seen.refs.finish())
}

/// What was seen of a segment's rows.
#[derive(Default)]
struct Seen {
    rows: u64,
    deletes: u64,
    first: Option<Vec<u8>>,
    last: Option<Vec<u8>>,
    refs: RefsCollector,
}

impl Seen {
    fn take(&mut self, rows: &RowBatch, deleted: &[bool]) -> Result<(), FormatError> {
        let Some(last) = rows.len().checked_sub(1) else { return Ok(()) };
        let after = self.last.as_deref().is_none_or(|last| last < rows.key(0));
        if !after || !rows.entries().is_strictly_ascending() {
            return Err(FormatError::damaged("its rows do not ascend by key"));
        }
        self.rows += rows.len() as u64;
        self.deletes += deleted.iter().filter(|deleted| **deleted).count() as u64;
        self.first.get_or_insert_with(|| rows.key(0).to_vec());
        self.last = Some(rows.key(last).to_vec());
        self.refs.add(rows);
        Ok(())
    }
}

/// Recomputes what neighbouring fences hold. Says what does not add up.
async fn check_sums(layers: &Layers, fences: Range<usize>, root_name: &str) -> Result<Vec<Issue>> {
    let root = layers.root();
    let end = root.range_of(fences.end - 1).end().map(Bytes::copy_from_slice);
    let range = KeyRange::new(root.fences[fences.start].low.clone().into_bytes(), end);
    let mut sums = vec![RowSum::default(); fences.len()];
    let mut fence = fences.start;
    let mut batches = layers.scan::<RowBatch>(range.clone());
    loop {
        let batch = match damage(batches.try_next().await)? {
            Ok(Some(batch)) => batch,
            Ok(None) => break,
            Err((blob, problem)) => return Ok(vec![Issue { blob, problem, keys: vec![range] }]),
        };
        for row in batch.iter() {
            while root.fences.get(fence + 1).is_some_and(|next| next.low.as_bytes() <= row.entry.key) {
                fence += 1;
            }
            sums[fence - fences.start].add(layers.key(), &row);
        }
    }
    let wrong = sums.into_iter().zip(fences).filter(|(sum, index)| {
        let fence = &root.fences[*index];
        *sum != RowSum { tally: fence.live, sum: fence.sum }
    });
    let issues = wrong.map(|(_, index)| Issue {
        blob: root_name.to_owned(),
        problem: "the rows read do not add up to what the root says".to_owned(),
        keys: vec![root.range_of(index)],
    });
    Ok(issues.collect())
}

/// The stretches of fences that are sound.
fn stretches(sound: &[bool]) -> Vec<Range<usize>> {
    let mut stretches: Vec<Range<usize>> = Vec::new();
    for (index, _) in sound.iter().enumerate().filter(|(_, sound)| **sound) {
        match stretches.last_mut() {
            Some(last) if last.end == index => last.end += 1,
            _ => stretches.push(index..index + 1),
        }
    }
    stretches
}

/// Tells damage to a blob, its name and problem, from failures to look.
fn damage<T>(result: Result<T>) -> Result<Result<T, (String, String)>> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(Error::BlobDamaged { name, problem, .. }) => Ok(Err((name, problem))),
        Err(Error::BlobNotFound { name, .. }) => Ok(Err((name, "it is missing".to_owned()))),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_leave_out_what_is_not_sound() {
        assert_eq!(stretches(&[true, true, false, true]), [0..2, 3..4]);
        assert!(stretches(&[false]).is_empty());
    }
}
