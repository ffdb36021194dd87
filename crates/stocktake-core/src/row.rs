//! Catalog rows: an entry, and where its bytes are in the vault.

use bytes::Bytes;

use crate::batch::push_rare;
use crate::{Attributes, BytesColumn, ContentHash, Entry, EntryBatch, EntryRef, PackId, Result};

/// A place in a pack: bytes `offset..offset + length` of what the block at `block_offset` decodes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The pack.
    pub pack: PackId,
    /// Where the block's stored bytes begin in the pack.
    pub block_offset: u32,
    /// How many bytes the block takes in the pack.
    pub block_length: u32,
    /// Where the wanted bytes begin in the decoded block.
    pub offset: u32,
}

/// What a snapshot holds of an object's bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// The bytes are not in the vault: the object was archived, or could not be read.
    Absent,
    /// The object has no bytes.
    Empty,
    /// The bytes lie in one block.
    Whole {
        /// Identity of the bytes.
        hash: ContentHash,
        /// Where they are; their length is the entry's size.
        extent: Extent,
    },
    /// The bytes lie in chunks, named by a chunk list.
    Chunked {
        /// Identity of the bytes.
        hash: ContentHash,
        /// Where the chunk list is; it is a block of its own.
        list: Extent,
        /// Every other pack that holds a chunk, ascending. Lets a collector see what is
        /// needed without reading chunk lists.
        packs: Vec<PackId>,
    },
}

/// How what is stored relates to what the inventory said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Provenance {
    /// Exactly the version that the inventory listed.
    Exact,
    /// A newer version: the object changed between the inventory and the copy.
    Newer,
    /// Known, but archived in the source, so its bytes were not copied.
    Archived,
    /// The listed version could not be read; the row is what the parent snapshot had.
    Unreadable,
}

impl Provenance {
    /// All values, in the order of their codes.
    pub const ALL: [Self; 4] = [Self::Exact, Self::Newer, Self::Archived, Self::Unreadable];

    /// The code stored in catalogs.
    pub fn code(self) -> u8 {
        match self {
            Self::Exact => 0,
            Self::Newer => 1,
            Self::Archived => 2,
            Self::Unreadable => 3,
        }
    }

    /// The value of a stored code.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }

    /// The word for it in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Newer => "newer",
            Self::Archived => "archived",
            Self::Unreadable => "unreadable",
        }
    }
}

/// One object of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// What the object was. For [`Provenance::Newer`], the facts of the version that was stored.
    pub entry: Entry,
    /// Its bytes.
    pub content: Content,
    /// How it relates to the inventory.
    pub provenance: Provenance,
    /// Encoded [`Attributes`]; empty when none were captured.
    pub attributes: Bytes,
}

impl Row {
    /// The captured attributes; `None` when their stored form is damaged.
    pub fn attributes(&self) -> Option<Attributes> {
        Attributes::decode(&self.attributes)
    }

    /// A view of the row.
    pub fn as_ref(&self) -> RowRef<'_> {
        RowRef {
            entry: self.entry.as_ref(),
            content: &self.content,
            provenance: self.provenance,
            attributes: &self.attributes,
        }
    }
}

/// A view of a row inside a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowRef<'a> {
    /// What the object was.
    pub entry: EntryRef<'a>,
    /// Its bytes.
    pub content: &'a Content,
    /// How it relates to the inventory.
    pub provenance: Provenance,
    /// Encoded [`Attributes`].
    pub attributes: &'a [u8],
}

impl RowRef<'_> {
    /// A copy that owns its parts.
    pub fn to_row(&self) -> Row {
        Row {
            entry: self.entry.to_entry(),
            content: self.content.clone(),
            provenance: self.provenance,
            attributes: Bytes::copy_from_slice(self.attributes),
        }
    }
}

/// A batch of catalog rows: entries in columns, and their contents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowBatch {
    // INVARIANT: all parts have as many rows as `entries`.
    entries: EntryBatch,
    contents: Vec<Content>,
    provenances: Vec<Provenance>,
    attributes: Option<BytesColumn>,
}

impl RowBatch {
    /// Puts columns together.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::Error::InvalidInput) when they differ in length.
    pub fn from_columns(
        entries: EntryBatch,
        contents: Vec<Content>,
        provenances: Vec<Provenance>,
        attributes: Option<BytesColumn>,
    ) -> Result<Self> {
        let rows = entries.len();
        let attribute_rows = attributes.as_ref().map_or(rows, BytesColumn::len);
        if [contents.len(), provenances.len(), attribute_rows].iter().any(|length| *length != rows) {
            return Err(crate::Error::invalid("columns of a row batch differ in length"));
        }
        Ok(Self { entries, contents, provenances, attributes })
    }

    /// The entries.
    pub fn entries(&self) -> &EntryBatch {
        &self.entries
    }

    /// The contents.
    pub fn contents(&self) -> &[Content] {
        &self.contents
    }

    /// The encoded [`Attributes`] of each row; `None` when no row has any.
    pub fn attributes(&self) -> Option<&BytesColumn> {
        self.attributes.as_ref()
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The key at `index`.
    ///
    /// # Panics
    /// When `index` is out of range.
    pub fn key(&self, index: usize) -> &[u8] {
        self.entries.key(index)
    }

    /// The row at `index`.
    ///
    /// # Panics
    /// When `index` is out of range.
    pub fn get(&self, index: usize) -> RowRef<'_> {
        RowRef {
            entry: self.entries.get(index),
            content: &self.contents[index],
            provenance: self.provenances[index],
            attributes: self.attributes.as_ref().map_or(&[], |column| column.get(index)),
        }
    }

    /// All rows in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = RowRef<'_>> {
        (0..self.len()).map(|index| self.get(index))
    }

    /// Appends a row.
    ///
    /// # Errors
    /// As [`EntryBatch::push`].
    pub fn push(&mut self, row: &RowRef<'_>) -> Result<()> {
        let rows = self.len();
        self.entries.push(&row.entry)?;
        self.contents.push(row.content.clone());
        self.provenances.push(row.provenance);
        push_rare(&mut self.attributes, row.attributes, rows);
        Ok(())
    }
}
