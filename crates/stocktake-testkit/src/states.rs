//! Jobs and rows made up for tests of catalogs.
//!
//! A state of a bucket is written down as a text, such as `"a=1 b=2"`: keys, and a number that
//! stands for everything else about the row. What a job applies is the difference of two such states.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures::TryStreamExt;
use stocktake_core::{
    Attributes, Content, ContentHash, Entry, EntryFlags, Extent, InventoryFormat, InventoryUse, InventoryVersions,
    JobCounters, JobId, JobSpec, JobSummary, KeyRange, Location, ObjectKey, PackId, Provenance, Result, Row, RowBatch,
    RowDelta, Scope, SeededEntropy, Snapshot, SnapshotId, Tally, Timestamp, Trigger,
};

/// Rows by key: what a snapshot is.
pub type State = BTreeMap<ObjectKey, Row>;

/// The `n`-th job of a line, begun `n` minutes into 2026.
pub fn job(n: u64, parent: Option<SnapshotId>) -> JobSpec {
    let started = Timestamp::from_millis(1_767_225_600_000 + i64::try_from(n).expect("few jobs") * 60_000);
    JobSpec {
        id: JobId::generate(started, &SeededEntropy::new(n)),
        name: format!("snapshot-{n}"),
        plan: "plan".to_owned(),
        trigger: Trigger::Manual,
        parent,
        started,
    }
}

/// What a job that did nothing in particular says at its end.
pub fn summary() -> JobSummary {
    let time = Timestamp::from_millis(1_767_000_000_000);
    JobSummary {
        scope: Scope { source: Location::new("memory:bucket"), path: String::new(), filters: vec!["*.jpg".to_owned()] },
        as_of_start: time,
        as_of_end: Timestamp::from_millis(time.as_millis() + 1000),
        inventory: InventoryUse {
            location: Location::new("memory:bucket"),
            created: time,
            format: InventoryFormat::Listing,
            versions: InventoryVersions::Current,
            fields: vec!["size".to_owned()],
            coverage: Default::default(),
        },
        counters: JobCounters { copied: Tally { objects: 1, bytes: u128::MAX >> 1 }, ..JobCounters::default() },
    }
}

/// A row whose every part depends on `n`.
pub fn row(key: impl Into<ObjectKey>, n: u64) -> Row {
    let (id, at) = (blake3::hash(&n.to_le_bytes()), u32::try_from(n % 1000).expect("small"));
    let mut entry = Entry::new(key, n, Timestamp::from_millis(1_700_000_000_000 + i64::from(at)));
    entry.etag = Some(id.to_hex()[..32].into());
    entry.class = ["STANDARD", "STANDARD_IA", ""][n as usize % 3].to_owned();
    let extent = Extent { pack: pack(n % 4), block_offset: at * 100, block_length: 100, offset: at };
    let hash = ContentHash(id.as_bytes()[..16].try_into().expect("16 of 32 bytes"));
    Row { entry, content: Content::Whole { hash, extent }, provenance: Provenance::Exact, attributes: Bytes::new() }
}

/// The `n`-th pack of some job.
pub fn pack(n: u64) -> PackId {
    let job = JobId::generate(Timestamp::from_millis(1_767_000_000_000), &SeededEntropy::new(99));
    PackId { job, own: 0, worker: 1, seq: u32::try_from(n).expect("few packs") }
}

/// The state that a text such as `"a=1 b=2"` stands for.
pub fn state(text: &str) -> State {
    let rows = text.split_whitespace().map(|word| {
        let (key, n) = word.split_once('=').expect("key=number");
        row(key, n.parse().expect("key=number"))
    });
    rows.map(|row| (row.entry.key.clone(), row)).collect()
}

/// What leads from one state to another.
pub fn difference(before: &State, after: &State) -> RowDelta {
    let mut delta = RowDelta::default();
    for (key, row) in after.iter().filter(|(key, row)| before.get(*key) != Some(*row)) {
        delta.puts.push(&row.as_ref()).expect("few classes");
        if let Some(previous) = before.get(key) {
            delta.previous.push(&previous.as_ref()).expect("few classes");
        }
    }
    for (key, row) in before.iter().filter(|(key, _)| !after.contains_key(*key)) {
        delta.deletes.push(key.as_bytes());
        delta.previous.push(&row.as_ref()).expect("few classes");
    }
    delta.previous = batch(delta.previous.iter().map(|row| (ObjectKey::from(row.entry.key), row.to_row())).collect());
    delta
}

/// A batch of all rows of a state.
pub fn batch(state: State) -> RowBatch {
    let mut batch = RowBatch::default();
    state.values().for_each(|row| batch.push(&row.as_ref()).expect("few classes"));
    batch
}

/// The rows of a snapshot in a range. They must come in strictly ascending order.
///
/// # Errors
/// As the stream of the snapshot.
pub async fn read(snapshot: &dyn Snapshot, range: KeyRange) -> Result<State> {
    let batches: Vec<RowBatch> = snapshot.rows(range).try_collect().await?;
    let rows: Vec<Row> = batches.iter().flat_map(RowBatch::iter).map(|row| row.to_row()).collect();
    assert!(rows.is_sorted_by(|a, b| a.entry.key < b.entry.key), "rows do not ascend");
    Ok(rows.into_iter().map(|row| (row.entry.key.clone(), row)).collect())
}

/// Rows of every kind, ascending by key.
pub fn odd_rows() -> Vec<Row> {
    let mut rows = Vec::new();
    let mut add = |change: &dyn Fn(&mut Row)| {
        let mut row = row(format!("odd-{:02}", rows.len()).as_str(), rows.len() as u64);
        change(&mut row);
        rows.push(row);
    };
    add(&|row| row.content = Content::Absent);
    add(&|row| row.content = Content::Empty);
    let chunked = |packs| {
        move |row: &mut Row| {
            let Content::Whole { hash, extent } = row.content.clone() else { panic!("rows begin whole") };
            row.content = Content::Chunked { hash, list: extent, packs };
        }
    };
    add(&|row| chunked(vec![])(row));
    add(&|row| chunked(vec![pack(1), pack(7)])(row));
    add(&|row| row.entry.etag = None);
    add(&|row| row.entry.etag = Some("0CC175B9C0F1B6A831C399E269772661-17".into()));
    add(&|row| row.entry.etag = Some("W/not \"hex\" é".into()));
    add(&|row| row.entry.version = Some("null".to_owned()));
    add(&|row| row.entry.version = Some("3sL4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY+MTRCxf3vjVBH40Nr8X8gdRQBpUMLUo".to_owned()));
    add(&|row| (row.entry.size, row.entry.last_modified) = (u64::MAX, Timestamp::from_millis(i64::MIN)));
    add(&|row| (row.entry.size, row.entry.last_modified) = (0, Timestamp::from_millis(i64::MAX)));
    add(&|row| row.entry.flags = EntryFlags::MULTIPART.with(EntryFlags::ETAG_IS_MD5));
    add(&|row| row.entry.class = "Ünusual class".to_owned());
    for provenance in Provenance::ALL {
        add(&|row| row.provenance = provenance);
    }
    let user = BTreeMap::from([("owner".to_owned(), "é \"\\\"".to_owned())]);
    let attributes = Attributes { content_type: Some("image/jpeg".to_owned()), user, ..Attributes::default() };
    add(&|row| row.attributes = attributes.encode().into());
    rows
}
