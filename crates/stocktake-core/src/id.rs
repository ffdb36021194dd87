//! Identities: each a type of its own, so that one can't stand for another.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::{Builder, Uuid};

use crate::{Entropy, Timestamp};

/// A job, and the snapshot it commits: a UUIDv7, so ids sort by the time the job began.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(Uuid);

/// The identity of a snapshot is the job that committed it.
pub type SnapshotId = JobId;

impl JobId {
    /// A new id for a job that begins at `now`.
    pub fn generate(now: Timestamp, entropy: &dyn Entropy) -> Self {
        let mut random = [0; 10];
        entropy.fill(&mut random);
        let millis = u64::try_from(now.as_millis()).unwrap_or(0);
        Self(Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
    }

    /// The id's 16 bytes.
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// The id with these 16 bytes.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// The last 8 hex digits: random, so enough to tell the snapshots of a vault apart for a person.
    pub fn short(&self) -> String {
        let text = self.0.simple().to_string();
        text[24..].to_owned()
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for JobId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        Uuid::try_parse(text).map(Self).map_err(|_| InvalidId(text.to_owned()))
    }
}

/// A data pack: which job wrote it, in which ownership epoch and by which worker, and its number.
///
/// The id is the name: no two packs of a vault ever have the same one, and a
/// name is not used again after the pack is deleted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PackId {
    /// The job that wrote the pack.
    pub job: JobId,
    /// The ownership epoch of that job: 0 for the process that began it, one more at each resumption.
    pub own: u16,
    /// The worker within the process.
    pub worker: u16,
    /// The pack's number within the worker, from 0.
    pub seq: u32,
}

impl fmt::Display for PackId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}.{}-{}", self.job, self.own, self.worker, self.seq)
    }
}

impl fmt::Debug for PackId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for PackId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let parse = || {
            let (job, rest) = text.split_once('/')?;
            let (own, rest) = rest.split_once('.')?;
            let (worker, seq) = rest.split_once('-')?;
            let id = Self {
                job: job.parse().ok()?,
                own: own.parse().ok()?,
                worker: worker.parse().ok()?,
                seq: seq.parse().ok()?,
            };
            (id.to_string() == text).then_some(id)
        };
        parse().ok_or_else(|| InvalidId(text.to_owned()))
    }
}

/// The identity of an object's bytes: the first 16 bytes of their BLAKE3, keyed for the vault.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ContentHash(pub [u8; 16]);

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is not the identity it should be.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0:?} is not an id")]
pub struct InvalidId(String);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SeededEntropy;

    #[test]
    fn job_ids_sort_by_time() {
        let entropy = SeededEntropy::new(1);
        let ids: Vec<_> =
            (0..9).map(|n| JobId::generate(Timestamp::from_millis(1_772_326_800_000 + n), &entropy)).collect();
        assert!(ids.is_sorted());
    }

    #[test]
    fn a_pack_id_is_its_name() {
        let job = JobId::generate(Timestamp::from_millis(1), &SeededEntropy::new(1));
        let id = PackId { job, own: 0, worker: 3, seq: 17 };
        assert_eq!(id.to_string(), format!("{job}/0.3-17"));
        assert_eq!(id.to_string().parse::<PackId>().unwrap(), id);
        assert!(format!("{job}/0.3-017").parse::<PackId>().is_err());
    }
}
