//! Batches of entries, in columns.
//!
//! Inventories are read, sorted and compared by the million, so an entry is
//! never a heap of strings: keys share one arena, ETags are 16 bytes, classes
//! are one-byte codes into a small dictionary. A view of one entry costs no
//! allocation.

use crate::{ETagCode, ETagRef, Entry, EntryFlags, EntryRef, Error, Result, Timestamp};

/// How many entries a batch usually holds. A batch of keys of ordinary length is then about a mebibyte.
pub const BATCH_ROWS: usize = 8192;

/// A column of byte strings: one arena, and where each string ends in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BytesColumn {
    data: Vec<u8>,
    ends: Vec<u32>,
}

impl BytesColumn {
    /// An empty column with room for `rows` strings of `bytes` bytes in all.
    pub fn with_capacity(rows: usize, bytes: usize) -> Self {
        Self { data: Vec::with_capacity(bytes), ends: Vec::with_capacity(rows) }
    }

    /// Takes an arena and the end of each string in it.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] when the ends decrease or the last is not the arena's length.
    pub fn from_parts(data: Vec<u8>, ends: Vec<u32>) -> Result<Self> {
        let whole = ends.last().map_or(0, |end| *end as usize) == data.len();
        if whole && ends.is_sorted() {
            Ok(Self { data, ends })
        } else {
            Err(Error::invalid("the ends of a bytes column do not fit its data"))
        }
    }

    /// Number of strings.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no string.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The string at `index`.
    ///
    /// # Panics
    /// When `index` is out of range.
    #[inline]
    pub fn get(&self, index: usize) -> &[u8] {
        let start = if index == 0 { 0 } else { self.ends[index - 1] as usize };
        &self.data[start..self.ends[index] as usize]
    }

    /// Appends a string.
    ///
    /// # Panics
    /// When the arena would exceed 4 GiB; callers cut batches long before.
    #[inline]
    pub fn push(&mut self, bytes: &[u8]) {
        self.data.extend_from_slice(bytes);
        self.ends.push(u32::try_from(self.data.len()).expect("a batch stays far below 4 GiB"));
    }

    /// All strings in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> + Clone {
        (0..self.len()).map(|index| self.get(index))
    }

    /// The arena.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// Where each string ends in the arena.
    pub fn ends(&self) -> &[u32] {
        &self.ends
    }

    /// Drops all strings and keeps the memory.
    pub fn clear(&mut self) {
        self.data.clear();
        self.ends.clear();
    }
}

impl<'a> FromIterator<&'a [u8]> for BytesColumn {
    fn from_iter<I: IntoIterator<Item = &'a [u8]>>(strings: I) -> Self {
        let mut column = Self::default();
        strings.into_iter().for_each(|string| column.push(string));
        column
    }
}

/// The storage classes of a batch: a dictionary of at most 256 names, and a code for each entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClassColumn {
    names: Vec<Box<str>>,
    codes: Vec<u8>,
}

impl ClassColumn {
    /// Number of entries.
    pub fn len(&self) -> usize {
        self.codes.len()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.codes.is_empty()
    }

    /// The class of the entry at `index`.
    #[inline]
    pub fn get(&self, index: usize) -> &str {
        &self.names[usize::from(self.codes[index])]
    }

    /// The code of the entry at `index` in [`names`](Self::names).
    #[inline]
    pub fn code(&self, index: usize) -> u8 {
        self.codes[index]
    }

    /// The dictionary.
    pub fn names(&self) -> &[Box<str>] {
        &self.names
    }

    /// The code of `name`, if it is in the dictionary.
    #[inline]
    pub fn code_of(&self, name: &[u8]) -> Option<u8> {
        let code = self.names.iter().position(|known| known.as_bytes() == name)?;
        Some(u8::try_from(code).expect("at most 256 names"))
    }

    /// The code of `name`, put into the dictionary if it is new.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for the 257th name: no store has so many classes.
    #[inline]
    pub fn intern(&mut self, name: &str) -> Result<u8> {
        if let Some(code) = self.code_of(name.as_bytes()) {
            return Ok(code);
        }
        let code = u8::try_from(self.names.len())
            .map_err(|_| Error::invalid("more than 256 storage classes in one batch of entries"))?;
        self.names.push(name.into());
        Ok(code)
    }

    /// Appends an entry of the class that [`intern`](Self::intern) gave `code` for.
    ///
    /// # Panics
    /// When no such code was given.
    #[inline]
    pub fn push_code(&mut self, code: u8) {
        assert!(usize::from(code) < self.names.len(), "a code comes from the dictionary");
        self.codes.push(code);
    }

    /// Appends entries of classes that [`intern`](Self::intern) gave these codes for.
    ///
    /// # Panics
    /// When it gave no such code.
    pub fn extend_codes(&mut self, codes: impl IntoIterator<Item = u8>) {
        let first = self.codes.len();
        self.codes.extend(codes);
        let greatest = self.codes[first..].iter().max();
        assert!(greatest.is_none_or(|code| usize::from(*code) < self.names.len()), "codes come from the dictionary");
    }

    /// Appends an entry of class `name`.
    ///
    /// # Errors
    /// As [`intern`](Self::intern).
    #[inline]
    pub fn push(&mut self, name: &str) -> Result<()> {
        let code = self.intern(name)?;
        self.codes.push(code);
        Ok(())
    }
}

/// The columns of an [`EntryBatch`], filled one by one by a decoder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EntryColumns {
    /// Keys.
    pub keys: BytesColumn,
    /// Sizes in bytes.
    pub sizes: Vec<u64>,
    /// Last-modified times, in milliseconds since 1970.
    pub last_modified: Vec<i64>,
    /// Packed entity tags.
    pub etags: Vec<ETagCode>,
    /// Texts of the tags that are not packed, empty for the others. `None` when all are packed.
    pub etag_texts: Option<BytesColumn>,
    /// Storage classes.
    pub classes: ClassColumn,
    /// Flags.
    pub flags: Vec<EntryFlags>,
    /// Version ids, empty where unknown. `None` when none is known.
    pub versions: Option<BytesColumn>,
}

/// A batch of entries in columns of equal length.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EntryBatch {
    // INVARIANT: every column has as many rows as `keys`; versions and texts are UTF-8;
    // a tag that is a text has it in `etag_texts`.
    columns: EntryColumns,
}

impl EntryBatch {
    /// Takes filled columns.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] when the columns differ in length, or a version or tag is not UTF-8.
    pub fn from_columns(columns: EntryColumns) -> Result<Self> {
        let EntryColumns { keys, sizes, last_modified, etags, etag_texts, classes, flags, versions } = &columns;
        let rows = keys.len();
        let lengths = [
            sizes.len(),
            last_modified.len(),
            etags.len(),
            classes.len(),
            flags.len(),
            etag_texts.as_ref().map_or(rows, BytesColumn::len),
            versions.as_ref().map_or(rows, BytesColumn::len),
        ];
        if lengths.iter().any(|length| *length != rows) {
            return Err(Error::invalid(format!("columns of an entry batch differ in length: {rows}, {lengths:?}")));
        }
        let utf8 = |column: &Option<BytesColumn>| {
            column.as_ref().is_none_or(|column| column.iter().all(|text| std::str::from_utf8(text).is_ok()))
        };
        if !utf8(versions) || !utf8(etag_texts) {
            return Err(Error::invalid("a version id or an ETag is not UTF-8"));
        }
        if etag_texts.is_none() && etags.iter().any(|etag| etag.is_text()) {
            return Err(Error::invalid("an ETag that is a text has no text"));
        }
        Ok(Self { columns })
    }

    /// The columns.
    pub fn columns(&self) -> &EntryColumns {
        &self.columns
    }

    /// The columns, to fill them again.
    pub fn into_columns(self) -> EntryColumns {
        self.columns
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.columns.keys.len()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.columns.keys.is_empty()
    }

    /// The key at `index`.
    ///
    /// # Panics
    /// When `index` is out of range.
    #[inline]
    pub fn key(&self, index: usize) -> &[u8] {
        self.columns.keys.get(index)
    }

    /// The entry at `index`.
    ///
    /// # Panics
    /// When `index` is out of range.
    #[inline]
    pub fn get(&self, index: usize) -> EntryRef<'_> {
        let columns = &self.columns;
        let etag = columns.etags[index];
        EntryRef {
            key: columns.keys.get(index),
            version: Some(text_of(&columns.versions, index)).filter(|id| !id.is_empty()),
            size: columns.sizes[index],
            last_modified: Timestamp::from_millis(columns.last_modified[index]),
            etag: ETagRef { code: etag, text: if etag.is_text() { text_of(&columns.etag_texts, index) } else { "" } },
            class: columns.classes.get(index),
            flags: columns.flags[index],
        }
    }

    /// All entries in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = EntryRef<'_>> {
        (0..self.len()).map(|index| self.get(index))
    }

    /// Appends an entry.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] when the batch would have more than 256 storage classes.
    pub fn push(&mut self, entry: &EntryRef<'_>) -> Result<()> {
        let EntryRef { key, version, size, last_modified, etag, class, flags } = *entry;
        let columns = &mut self.columns;
        let rows = columns.keys.len();
        columns.classes.push(class)?;
        push_rare(&mut columns.versions, version.unwrap_or("").as_bytes(), rows);
        push_rare(&mut columns.etag_texts, if etag.code.is_text() { etag.text.as_bytes() } else { b"" }, rows);
        columns.keys.push(key);
        columns.sizes.push(size);
        columns.last_modified.push(last_modified.as_millis());
        columns.etags.push(etag.code);
        columns.flags.push(flags);
        Ok(())
    }

    /// The entries for which `kept` says so, in the same order.
    ///
    /// # Panics
    /// When `kept` is not as long as the batch.
    #[must_use]
    pub fn filter(&self, kept: &[bool]) -> Self {
        assert_eq!(kept.len(), self.len(), "there is a verdict on every row");
        let mut batch = Self::default();
        for (row, _) in kept.iter().enumerate().filter(|(_, kept)| **kept) {
            batch.push(&self.get(row)).expect("there are no more storage classes than before");
        }
        batch
    }

    /// Whether the keys ascend strictly, so that none occurs twice.
    pub fn is_strictly_ascending(&self) -> bool {
        self.columns.keys.iter().is_sorted_by(|a, b| a < b)
    }

    /// About how much memory the batch takes, in bytes.
    pub fn memory_bytes(&self) -> usize {
        let bytes = |column: &BytesColumn| column.data.len() + 4 * column.ends.len();
        let rare = |column: &Option<BytesColumn>| column.as_ref().map_or(0, bytes);
        let columns = &self.columns;
        bytes(&columns.keys) + rare(&columns.versions) + rare(&columns.etag_texts) + 36 * columns.sizes.len()
    }
}

impl TryFrom<&[Entry]> for EntryBatch {
    type Error = Error;

    fn try_from(entries: &[Entry]) -> Result<Self> {
        let mut batch = Self::default();
        entries.iter().try_for_each(|entry| batch.push(&entry.as_ref()))?;
        Ok(batch)
    }
}

fn text_of(column: &Option<BytesColumn>, index: usize) -> &str {
    let bytes = column.as_ref().map_or(&[][..], |column| column.get(index));
    std::str::from_utf8(bytes).expect("checked when the batch was made")
}

/// Appends to a column that exists only once a value is not empty; `rows` is the length before.
pub(crate) fn push_rare(column: &mut Option<BytesColumn>, value: &[u8], rows: usize) {
    if column.is_none() && !value.is_empty() {
        *column = Some((0..rows).map(|_| &[][..]).collect());
    }
    if let Some(column) = column {
        column.push(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry() -> impl Strategy<Value = Entry> {
        let etag = proptest::option::of("[0-9a-f]{32}(-[1-9])?|[a-z\"-]{1,40}");
        (
            proptest::collection::vec(any::<u8>(), 1..40),
            proptest::option::of("[a-z]{1,8}"),
            any::<u64>(),
            any::<i64>(),
            etag,
            "[A-C]?",
            0..16_u8,
        )
            .prop_map(|(key, version, size, modified, etag, class, flags)| Entry {
                key: ObjectKey::new(key),
                version,
                size,
                last_modified: Timestamp::from_millis(modified),
                etag: etag.map(|text| ETag::new(&text)).filter(|etag| !etag.as_str().is_empty()),
                class,
                flags: EntryFlags::from_bits(flags),
            })
    }
    use crate::{ETag, ObjectKey};

    proptest! {
        #[test]
        fn a_batch_gives_back_what_was_pushed(entries in proptest::collection::vec(entry(), 0..50)) {
            let batch = EntryBatch::try_from(&entries[..]).unwrap();
            let back: Vec<_> = batch.iter().map(|entry| entry.to_entry()).collect();
            prop_assert_eq!(&back, &entries);
            prop_assert!(EntryBatch::from_columns(batch.into_columns()).is_ok());
        }
    }

    #[test]
    fn columns_of_unequal_length_are_refused() {
        let columns = EntryColumns { sizes: vec![1], ..EntryColumns::default() };
        assert!(EntryBatch::from_columns(columns).is_err());
        assert!(BytesColumn::from_parts(vec![1, 2], vec![1]).is_err());
        assert!(BytesColumn::from_parts(vec![1, 2], vec![2, 1, 2]).is_err());
    }
}
