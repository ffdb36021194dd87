//! Where the parts of a segment's row groups lie, and their checksums.

use std::ops::Range;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::SegmentKind;
use crate::{FormatError, Result};

/// The key of the footer's metadata that holds a [`SegmentHeader`].
pub(super) const PROPERTY: &str = "stocktake.segment";

const VERSION: u32 = 1;

/// The bytes in front of the first row group.
const MAGIC_BYTES: u64 = 4;

/// How much of a row group is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// The entry columns, the first part.
    Entries,
    /// All columns: the whole row group.
    Rows,
}

/// What a segment says of itself.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SegmentHeader {
    version: u32,
    kind: SegmentKind,
    parts: Vec<GroupParts>,
}

/// The place of a row group: its begin, the begin of its content columns, its end, and the CRC-32 of either part.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct GroupParts(u64, u64, u64, u32, u32);

impl SegmentHeader {
    pub(super) fn new(kind: SegmentKind, parts: Vec<GroupParts>) -> Self {
        Self { version: VERSION, kind, parts }
    }

    pub(super) fn encode(&self) -> String {
        serde_json::to_string(self).expect("numbers and words are valid JSON")
    }

    /// Reads the header of a file of `row_groups` row groups whose tail begins at `body_end`.
    pub(super) fn decode(text: Option<&str>, row_groups: usize, body_end: u64) -> Result<Self> {
        let text = text.ok_or_else(|| FormatError::damaged("a Parquet file, but not a segment"))?;
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let broken = |error| FormatError::damaged(format!("the segment's own header does not parse: {error}"));
        let Version { version } = serde_json::from_str(text).map_err(broken)?;
        if version > VERSION {
            return Err(FormatError::Unsupported(format!("segment version {version}")));
        }
        let header: Self = serde_json::from_str(text).map_err(broken)?;
        let ends = std::iter::once(MAGIC_BYTES).chain(header.parts.iter().map(|parts| parts.2));
        let begins = header.parts.iter().map(|parts| parts.0).chain([body_end]);
        let whole = header.parts.iter().all(|parts| parts.0 < parts.1 && parts.1 < parts.2);
        if header.parts.len() != row_groups || !whole || !ends.eq(begins) {
            return Err(FormatError::damaged("the parts of row groups do not lie where they should"));
        }
        Ok(header)
    }

    pub(super) fn kind(&self) -> SegmentKind {
        self.kind
    }

    pub(super) fn group(&self, group: usize) -> Option<&GroupParts> {
        self.parts.get(group)
    }
}

impl GroupParts {
    /// Notes the checksums of a row group that begins at `start` in `file`, its content columns at `split`.
    pub(super) fn of(file: &[u8], start: u64, split: u64, end: u64) -> Self {
        let crc = |from: u64, to: u64| crc32fast::hash(&file[from as usize..to as usize]);
        Self(start, split, end, crc(start, split), crc(split, end))
    }

    /// Where in the file the part lies.
    pub(super) fn range(&self, part: Part) -> Range<u64> {
        match part {
            Part::Entries => self.0..self.1,
            Part::Rows => self.0..self.2,
        }
    }

    /// Checks that `bytes` are those of the part.
    pub(super) fn check(&self, part: Part, bytes: &Bytes) -> Result<()> {
        let range = self.range(part);
        let whole = bytes.len() as u64 == range.end - range.start;
        let (entries, contents) = bytes.split_at(bytes.len().min((self.1 - self.0) as usize));
        let sound =
            crc32fast::hash(entries) == self.3 && (part == Part::Entries || crc32fast::hash(contents) == self.4);
        if whole && sound { Ok(()) } else { Err(FormatError::damaged("the checksum of a row group differs")) }
    }
}
