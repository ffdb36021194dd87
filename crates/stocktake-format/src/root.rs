//! Roots: what a snapshot is made of.
//!
//! A root is a document ([`encode_document`](crate::encode_document)) named
//! `jobs/<job>/root-<first 16 hex digits of its hash>`. Its hash, plain BLAKE3
//! of its stored bytes, stands in the snapshot's record. Since the name holds
//! the hash, the document is sealed under the name up to the `-`. In JSON:
//!
//! ```json
//! {
//!   "version": 1,
//!   "totals": {"objects": 3, "bytes": 12},
//!   "state_sum": "<64 hex digits>",
//!   "seq": 2,
//!   "credit": 40,
//!   "fences": [{
//!     "low": "", "folded": 1, "pending": 4,
//!     "live": {"objects": 3, "bytes": 12}, "sum": "<64 hex digits>",
//!     "base": {
//!       "name": "jobs/<job>/c/000000-<16 hex digits>.base", "hash": "<64 hex digits>",
//!       "bytes": 2100, "rows": 3, "low": "61", "high": "63",
//!       "tail_bytes": 900, "tail_hash": "<32 hex digits>"
//!     }
//!   }],
//!   "runs": [{"seq": 2, "level": 0, "segments": [{"name": "...", "deletes": 1, "...": "..."}]}]
//! }
//! ```
//!
//! Keys are written as hexadecimal, since they are bytes.
//!
//! # What it means
//!
//! `fences` divide all keys: a fence holds for the keys from its `low` on, up to
//! the `low` of the next; the first `low` is empty. A fence has one `base`
//! segment, or none where there is no row. `runs` are what changed since, oldest
//! first, with ascending `seq`; the segments of a run are deltas, ascending and
//! apart from each other.
//!
//! The row of a key is found so: take the fence that holds for it. Of the runs
//! whose `seq` is greater than the fence's `folded`, the newest that has the key
//! decides: a row put is the row, a deleted key has none. If no such run has the
//! key, the base decides. Runs up to `folded` are in the base already and must be
//! passed over: a newer run that overruled one of them there may be gone.
//!
//! # What must hold
//!
//! `live` and `sum` of a fence are number, bytes and [`StateSum`] of its rows as
//! just defined; `totals` and `state_sum` are their sums over all fences. They
//! are kept up by what changed, and are not computed from the layers; so whoever
//! rewrites a fence can prove that nothing was lost, and whoever reads all of
//! one can prove that nothing is wrong.
//!
//! `pending` (rows of runs not folded yet, counted when they came), `level` of a
//! run and `credit` (rows that upkeep may rewrite, left over) serve only those
//! who write the next root.

use std::ops::Range;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use stocktake_core::{ContentHash, KeyRange, ObjectKey, Tally};

use crate::{FormatError, Result, StateSum, hex};

const VERSION: u32 = 1;

/// The layers of a snapshot, and what they add up to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Root {
    version: u32,
    /// Everything in the snapshot.
    pub totals: Tally,
    /// The sum over all rows.
    pub state_sum: StateSum,
    /// The number of the newest run there ever was in this line of snapshots.
    pub seq: u64,
    /// Rows that upkeep may rewrite, left over from earlier jobs.
    pub credit: u64,
    /// The division of all keys, ascending. Empty when there has been no row yet.
    pub fences: Vec<Fence>,
    /// What changed since the bases were written, oldest first.
    pub runs: Vec<Run>,
}

/// A range of keys, up to the next fence.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fence {
    /// The first key it may hold.
    #[serde(with = "key_text")]
    pub low: ObjectKey,
    /// Runs up to this number are in the base.
    pub folded: u64,
    /// About how many rows of later runs lie here.
    pub pending: u64,
    /// The rows here, whatever layer holds them.
    pub live: Tally,
    /// Their state sum.
    pub sum: StateSum,
    /// The base segment, unless it would have no row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<SegmentRef>,
}

/// What one or several jobs changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Its place in the order of changes.
    pub seq: u64,
    /// How many times runs were merged to make it.
    pub level: u32,
    /// Its segments, ascending by key.
    pub segments: Vec<SegmentRef>,
}

/// A segment, as its referrer knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentRef {
    /// The name of its blob.
    pub name: String,
    /// The keyed hash of its bytes.
    #[serde(with = "hash_text")]
    pub hash: [u8; 32],
    /// Its length in bytes.
    pub bytes: u64,
    /// Its rows, those that stand for deleted keys included.
    pub rows: u64,
    /// Its rows that stand for deleted keys.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub deletes: u64,
    /// Its first key.
    #[serde(with = "key_text")]
    pub low: ObjectKey,
    /// Its last key.
    #[serde(with = "key_text")]
    pub high: ObjectKey,
    /// The length of its tail in bytes.
    pub tail_bytes: u64,
    /// The keyed hash of its tail.
    #[serde(with = "tail_text")]
    pub tail_hash: ContentHash,
}

impl Root {
    /// The root of a snapshot without rows.
    pub fn empty() -> Self {
        Self::new(0, 0, Vec::new(), Vec::new())
    }

    /// A root of these layers; the totals are those of the fences.
    pub fn new(seq: u64, credit: u64, fences: Vec<Fence>, runs: Vec<Run>) -> Self {
        let (totals, state_sum) = totals(&fences);
        Self { version: VERSION, totals, state_sum, seq, credit, fences, runs }
    }

    /// Checks what must hold of any root, as far as it can be seen without its segments.
    ///
    /// # Errors
    /// [`FormatError::Unsupported`] for a newer version, [`FormatError::Damaged`] when something does not hold.
    pub fn check(&self) -> Result<()> {
        if self.version > VERSION {
            return Err(FormatError::Unsupported(format!("root version {}", self.version)));
        }
        let lows = self.fences.iter().map(|fence| &fence.low);
        let divided =
            lows.clone().next().is_none_or(|low| low.as_bytes().is_empty()) && lows.is_sorted_by(|a, b| a < b);
        let ordered = self.runs.is_sorted_by(|a, b| a.seq < b.seq)
            && self.runs.last().is_none_or(|newest| newest.seq <= self.seq);
        let bases = self.fences.iter().enumerate().all(|(index, fence)| {
            let end = self.fences.get(index + 1).map(|next| &next.low);
            fence.folded <= self.seq
                && fence
                    .base
                    .iter()
                    .all(|base| base.is_whole() && fence.low <= base.low && end.is_none_or(|end| base.high < *end))
        });
        if !(divided && ordered && bases && self.runs.iter().all(Run::is_whole)) {
            return Err(FormatError::damaged("the layers of the root overlap or are out of order"));
        }
        if totals(&self.fences) != (self.totals, self.state_sum) {
            return Err(FormatError::damaged("the totals of the root are not those of its fences"));
        }
        Ok(())
    }

    /// The place of the fence that holds for `key`. `None` when there is no fence at all.
    pub fn fence_of(&self, key: &[u8]) -> Option<usize> {
        self.fences.partition_point(|fence| fence.low.as_bytes() <= key).checked_sub(1)
    }

    /// The places of the fences that hold for any key between two, both included.
    pub fn fences_of(&self, low: &[u8], high: &[u8]) -> Range<usize> {
        let first = self.fence_of(low).unwrap_or(0);
        first..self.fence_of(high).map_or(first, |last| last + 1)
    }

    /// The keys that the fence at `index` holds for.
    ///
    /// # Panics
    /// When there is no such fence.
    pub fn range_of(&self, index: usize) -> KeyRange {
        let end = self.fences.get(index + 1).map(|next| next.low.clone().into_bytes());
        KeyRange::new(self.fences[index].low.clone().into_bytes(), end)
    }

    /// Every segment of the snapshot.
    pub fn segments(&self) -> impl Iterator<Item = &SegmentRef> {
        let bases = self.fences.iter().filter_map(|fence| fence.base.as_ref());
        bases.chain(self.runs.iter().flat_map(|run| &run.segments))
    }
}

/// The name that the root stored as `name` is sealed under.
pub fn root_sealing_name(name: &str) -> &str {
    name.rsplit_once('-').map_or(name, |(sealed, _)| sealed)
}

impl Run {
    fn is_whole(&self) -> bool {
        let apart = self.segments.is_sorted_by(|a, b| a.high < b.low);
        !self.segments.is_empty() && apart && self.segments.iter().all(SegmentRef::is_whole)
    }
}

impl SegmentRef {
    fn is_whole(&self) -> bool {
        self.rows > 0 && self.deletes <= self.rows && self.low <= self.high && self.tail_bytes <= self.bytes
    }
}

fn totals(fences: &[Fence]) -> (Tally, StateSum) {
    fences.iter().fold(Default::default(), |(mut tally, mut sum): (Tally, StateSum), fence| {
        tally += fence.live;
        sum.merge(fence.sum);
        (tally, sum)
    })
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Serialize for StateSum {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_hex())
    }
}

impl<'de> Deserialize<'de> for StateSum {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not a state sum"))
    }
}

/// Writes a module that serialises a type as hexadecimal text, for `serde(with)`.
macro_rules! hex_text {
    ($module:ident, $type:ty, $bytes:expr, $parse:expr) => {
        mod $module {
            use super::*;

            pub(super) fn serialize<S: serde::Serializer>(value: &$type, serializer: S) -> Result<S::Ok, S::Error> {
                let bytes: fn(&$type) -> &[u8] = $bytes;
                serializer.serialize_str(&hex::encode(bytes(value)))
            }

            pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<$type, D::Error> {
                let parse: fn(&str) -> Option<$type> = $parse;
                let text = String::deserialize(deserializer)?;
                parse(&text).ok_or_else(|| serde::de::Error::custom("not the hexadecimal text it should be"))
            }
        }
    };
}

hex_text!(key_text, ObjectKey, |key| key.as_bytes(), |text| hex::decode_vec(text)
    .map(|key| ObjectKey::new(Bytes::from(key))));
hex_text!(hash_text, [u8; 32], |hash| hash, |text| hex::decode(text));
hex_text!(tail_text, ContentHash, |hash| &hash.0, |text| hex::decode(text).map(ContentHash));

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(low: &str, high: &str) -> SegmentRef {
        SegmentRef {
            name: "jobs/j/c/000000-0.base".to_owned(),
            hash: [7; 32],
            bytes: 1000,
            rows: 3,
            deletes: 0,
            low: low.into(),
            high: high.into(),
            tail_bytes: 500,
            tail_hash: ContentHash([9; 16]),
        }
    }

    fn fence(low: &str, base: Option<SegmentRef>) -> Fence {
        Fence { low: low.into(), live: Tally { objects: 3, bytes: 12 }, base, ..Fence::default() }
    }

    fn root() -> Root {
        let fences = vec![fence("", Some(segment("a", "c"))), fence("d", None), fence("f", Some(segment("f", "g")))];
        let runs = vec![
            Run { seq: 1, level: 1, segments: vec![segment("a", "b"), segment("c", "z")] },
            Run { seq: 3, level: 0, segments: vec![segment("e", "e")] },
        ];
        Root::new(3, 5, fences, runs)
    }

    #[test]
    fn a_root_is_json_and_reads_back() {
        let root = root();
        let json = serde_json::to_string(&root).unwrap();
        assert_eq!(serde_json::from_str::<Root>(&json).unwrap(), root);
        assert!(json.contains(r#""low":"66""#), "{json}");
    }

    #[test]
    fn a_fence_holds_from_its_low_key_on() {
        let root = root();
        let fences = ["", "c", "d", "e", "f", "\u{ff}"].map(|key| root.fence_of(key.as_bytes()));
        assert_eq!(fences, [Some(0), Some(0), Some(1), Some(1), Some(2), Some(2)]);
        assert_eq!(Root::empty().fence_of(b"a"), None);
    }

    #[test]
    fn layers_out_of_order_are_refused() {
        assert_eq!(root().check(), Ok(()));
        assert_eq!(Root::empty().check(), Ok(()));
        let wrong: [fn(&mut Root); 9] = [
            |root| root.fences[0].low = "a".into(),
            |root| root.fences.swap(1, 2),
            |root| root.fences[1].low = "c".into(),
            |root| root.fences[2].low = "fa".into(),
            |root| root.runs.swap(0, 1),
            |root| root.seq = 2,
            |root| root.runs[0].segments.swap(0, 1),
            |root| root.runs[1].segments.clear(),
            |root| root.totals.objects += 1,
        ];
        for (index, change) in wrong.iter().enumerate() {
            let mut root = root();
            change(&mut root);
            assert!(matches!(root.check(), Err(FormatError::Damaged(_))), "{index}");
        }
        let newer = Root { version: 2, ..root() };
        assert!(matches!(newer.check(), Err(FormatError::Unsupported(_))));
    }
}
