//! Rows of a Parquet data file.
//!
//! The footer says which columns there are; the manifest's schema is a
//! cross-check only. Keys are plain bytes here, never encoded. Dates are
//! milliseconds in what S3 writes; microseconds, nanoseconds and `INT96` are
//! read as well, since imitators differ. Of what GCS and Azure add, the types are
//! not documented: numbers and texts are taken for each other where that is safe.

use std::sync::Arc;

use parquet::file::reader::ChunkReader;
use stocktake_core::{BATCH_ROWS, EntryBatch, EntryFlags, KeyFilter};
use stocktake_parquet::{
    BytesBuffer, ColumnInfo, ColumnKind, FileMeta, FileOptions, FlatReader, Nulls, Selection, TimeUnit,
};

use crate::columns::Columns;
use crate::fault::{Fault, Result};
use crate::manifest::Dialect;
use crate::rows::{BatchBuilder, flags};
use crate::rules::{Claims, RowRules, Standing, etag_is, split_container};
use crate::schema::{Field, Schema};

/// Reads batches of objects from a data file.
pub(crate) struct ParquetReader<R> {
    reader: FlatReader<R>,
    rules: RowRules,
    columns: Columns,
    time_unit: TimeUnit,
    wanted: Option<KeyFilter>,
    /// Rows in the batches before, of which so many are of folders.
    row: u64,
    folders: u64,
    scratch: Scratch,
}

/// Buffers that are used from batch to batch.
#[derive(Default)]
struct Scratch {
    nulls: Nulls,
    integers: Vec<i64>,
    codes: Vec<u32>,
    bools: Vec<bool>,
    /// What rows say of their standing.
    claims: Vec<Claims>,
    /// Versions and tags, where they are needed together with another column.
    versions: Option<BytesBuffer>,
    etags: BytesBuffer,
    multipart: Vec<bool>,
    md5: Vec<bool>,
    class_codes: Vec<Option<u8>>,
    /// Which rows of the batch are read; empty if all are.
    live: Vec<bool>,
    /// What marks each row as a version that is not a current object; empty if all rows are such objects.
    marks: Vec<EntryFlags>,
}

/// The schema of a data file, from its footer.
pub(crate) fn footer_schema(meta: &FileMeta, dialect: Dialect) -> Result<Schema> {
    Schema::of_names(meta.columns().iter().map(|column| column.name.clone()).collect(), dialect)
}

/// The bucket that all rows of the first row group are of, if the footer tells.
pub(crate) fn footer_bucket(meta: &FileMeta, schema: &Schema, dialect: Dialect) -> Option<String> {
    let bounds = |field| meta.bounds(0, meta.columns().get(schema.place(field)?)?.id);
    let (low, high) = match dialect {
        // All names between two that begin with a container and a slash do so too.
        Dialect::Azure => {
            let (low, high) = bounds(Field::Key)?;
            (split_container(low)?.0, split_container(high)?.0)
        }
        _ => bounds(Field::Bucket)?,
    };
    (low == high).then(|| String::from_utf8(low.to_vec()).ok())?
}

impl<R: ChunkReader> ParquetReader<R> {
    /// Opens a data file.
    ///
    /// # Errors
    /// [`Fault::MissingField`] when the footer lacks a column, [`Fault::Corrupt`]
    /// when a column is of a type that it can't have.
    pub(crate) fn new(file: R, rules: RowRules) -> Result<Self> {
        let meta = FileMeta::read(&file, &FileOptions::default())?;
        let schema = footer_schema(&meta, rules.dialect)?;
        schema.check_required()?;
        let mut wanted = Vec::new();
        let place = |field: Field| {
            let Some(column) = schema.place(field).and_then(|place| meta.columns().get(place)) else {
                return Ok(None);
            };
            check_kind(column, kinds_of(field, rules.dialect))?;
            wanted.push(column.id);
            Ok(Some(wanted.len() - 1))
        };
        let columns = Columns::find(rules.dialect, place)?;
        let time_unit = time_unit(&meta, &schema);
        let reader = FlatReader::new(Arc::new(file), &meta, &wanted, Selection::all(&meta), BATCH_ROWS)?;
        Ok(Self { reader, rules, columns, time_unit, wanted: None, row: 0, folders: 0, scratch: Scratch::default() })
    }

    /// Leaves out the rows whose keys are not wanted; of them no more than the key is decoded.
    pub(crate) fn with_wanted(self, wanted: Option<KeyFilter>) -> Self {
        Self { wanted, ..self }
    }

    /// How many rows were read so far, and how many of them are of folders.
    pub(crate) fn rows(&self) -> (u64, u64) {
        (self.row, self.folders)
    }

    /// The next batch that has a row; `None` at the end of the file.
    pub(crate) fn next_batch(&mut self, batch: &mut BatchBuilder) -> Result<Option<EntryBatch>> {
        while let Some(rows) = self.reader.advance() {
            let place = format!("rows {} to {}", self.row + 1, self.row + rows as u64);
            self.fill(rows, batch).map_err(|fault| fault.within(place))?;
            self.row += rows as u64;
            if batch.len() > 0 {
                return batch.take().map(Some);
            }
        }
        Ok(None)
    }

    fn fill(&mut self, rows: usize, batch: &mut BatchBuilder) -> Result<()> {
        self.check_bucket()?;
        self.find_live(rows)?;
        self.take_keys(batch)?;
        if let Some(wanted) = self.wanted.clone() {
            self.keep_wanted(&wanted, rows, batch)?;
            if batch.len() == 0 {
                return Ok(());
            }
        }
        self.take_sizes(batch)?;
        self.take_times(batch)?;
        self.take_etags(batch)?;
        self.take_classes(batch)?;
        self.take_flags(rows, batch)?;
        self.take_versions(batch)
    }

    fn check_bucket(&mut self) -> Result<()> {
        let Some(column) = self.columns.bucket else { return Ok(()) };
        let Scratch { codes, nulls, .. } = &mut self.scratch;
        self.reader.codes(column, codes, nulls)?;
        // Nearly always one and the same code.
        let mut last = None;
        for code in codes.iter() {
            if last != Some(*code) {
                let name = self.reader.names(column).get(*code as usize);
                self.rules.check_bucket(name)?;
                last = Some(*code);
            }
        }
        Ok(())
    }

    /// Finds which rows are read, and as what; without columns that could say otherwise, all are current objects.
    fn find_live(&mut self, rows: usize) -> Result<()> {
        self.scratch.live.clear();
        self.scratch.marks.clear();
        self.scratch.versions = None;
        let Columns { latest, delete_marker, deleted, deleted_time, snapshot, folder, version, .. } = self.columns;
        let tells = [latest, delete_marker, deleted, deleted_time, snapshot, folder];
        if tells.iter().all(Option::is_none) {
            return Ok(());
        }
        self.scratch.claims.clear();
        self.scratch.claims.resize(rows, Claims::default());
        self.claim(latest, Field::IsLatest, |claims, truth| claims.latest = truth)?;
        self.claim(delete_marker, Field::IsDeleteMarker, |claims, truth| claims.delete_marker = truth == Some(true))?;
        self.claim(deleted, Field::IsDeleted, |claims, truth| claims.deleted = truth == Some(true))?;
        self.claim(folder, Field::IsFolder, |claims, truth| claims.folder = truth == Some(true))?;
        for column in [deleted_time, snapshot].into_iter().flatten() {
            self.claim_past(column)?;
        }
        if let (Dialect::Azure, Some(_), Some(version)) = (self.rules.dialect, latest, version) {
            let Scratch { claims, nulls, versions, .. } = &mut self.scratch;
            let versions = versions.insert(BytesBuffer::default());
            self.reader.bytes(version, versions, nulls)?;
            claims.iter_mut().zip(versions.iter()).for_each(|(claims, id)| claims.versioned = !id.is_empty());
        }
        let Scratch { claims, live, marks, .. } = &mut self.scratch;
        for standing in claims.iter().map(|claims| self.rules.standing(claims)) {
            self.folders += u64::from(standing == Standing::Folder);
            live.push(matches!(standing, Standing::Taken(_)));
            marks.push(if let Standing::Taken(marks) = standing { marks } else { EntryFlags::NONE });
        }
        Ok(())
    }

    /// Adds what a column of truths says of each row. Where one is null, S3 and OSS contradict themselves.
    fn claim(&mut self, column: Option<usize>, field: Field, add: impl Fn(&mut Claims, Option<bool>)) -> Result<()> {
        let Some(column) = column else { return Ok(()) };
        let name = field.name(self.rules.dialect);
        let Scratch { bools, nulls, claims, .. } = &mut self.scratch;
        if self.reader.column(column).kind == ColumnKind::Bool {
            self.reader.bools(column, bools, nulls)?;
            if nulls.any() && self.rules.truth(name, b"").is_err() {
                return Err(Fault::corrupt(format!("an {name} is null")));
            }
            for (row, (claims, truth)) in claims.iter_mut().zip(bools.iter()).enumerate() {
                add(claims, (!nulls.is_null(row)).then_some(*truth));
            }
            return Ok(());
        }
        let mut rows = claims.iter_mut();
        self.reader.visit(column, |text| {
            let truth = self.rules.truth(name, text.unwrap_or_default())?;
            if let Some(claims) = rows.next() {
                add(claims, truth);
            }
            Ok::<_, Fault>(())
        })
    }

    /// Marks the rows that have something in this column, which only those have that are past.
    fn claim_past(&mut self, column: usize) -> Result<()> {
        let Scratch { integers, bools, nulls, claims, .. } = &mut self.scratch;
        match self.reader.column(column).kind {
            ColumnKind::Bytes | ColumnKind::Fixed(_) => {
                let mut rows = claims.iter_mut();
                return self.reader.visit(column, |value| {
                    if let Some(claims) = rows.next() {
                        claims.past |= value.is_some_and(|value| !value.is_empty());
                    }
                    Ok::<_, Fault>(())
                });
            }
            ColumnKind::I64 | ColumnKind::I32 => self.reader.integers(column, integers, nulls)?,
            ColumnKind::Bool => self.reader.bools(column, bools, nulls)?,
        }
        claims.iter_mut().enumerate().for_each(|(row, claims)| claims.past |= !nulls.is_null(row));
        Ok(())
    }

    fn take_keys(&mut self, batch: &mut BatchBuilder) -> Result<()> {
        let (live, rules) = (&self.scratch.live, &self.rules);
        let mut row = 0;
        self.reader.visit(self.columns.key, |key| {
            if is_live(live, row) {
                batch.key_data.extend_from_slice(rules.plain_key(key.unwrap_or_default())?);
                batch.end_key()?;
            }
            row += 1;
            Ok(())
        })
    }

    /// Drops the keys that are not wanted; their rows are no longer live.
    fn keep_wanted(&mut self, wanted: &KeyFilter, rows: usize, batch: &mut BatchBuilder) -> Result<()> {
        let kept = batch.retain_keys(wanted)?;
        let live = &mut self.scratch.live;
        live.resize(rows, true);
        live.iter_mut().filter(|live| **live).zip(kept).for_each(|(live, kept)| *live = kept);
        Ok(())
    }

    fn take_sizes(&mut self, batch: &mut BatchBuilder) -> Result<()> {
        let Scratch { integers, nulls, live, marks, .. } = &mut self.scratch;
        self.reader.integers(self.columns.size, integers, nulls)?;
        // A delete marker has none, whatever stands there.
        integers
            .iter_mut()
            .zip(marks.iter())
            .filter(|(_, marks)| marks.is_delete_marker())
            .for_each(|(size, _)| *size = 0);
        let doubtful = nulls.any() || integers.iter().fold(0, |all, size| all | size) < 0;
        let wrong = |row| is_live(live, row) && !is_marker(marks, row) && (nulls.is_null(row) || integers[row] < 0);
        if doubtful && (0..integers.len()).any(wrong) {
            let name = Field::Size.name(self.rules.dialect);
            return Err(Fault::corrupt(format!("a {name} is null or negative")));
        }
        extend_live(&mut batch.rest.sizes, integers, live, |size| size.cast_unsigned());
        Ok(())
    }

    fn take_times(&mut self, batch: &mut BatchBuilder) -> Result<()> {
        let Scratch { integers, nulls, live, .. } = &mut self.scratch;
        let name = Field::LastModified.name(self.rules.dialect);
        let missing = || Fault::corrupt(format!("a {name} is null"));
        if self.time_unit == TimeUnit::Int96 {
            let mut row = 0;
            return self.reader.visit(self.columns.last_modified, |time| {
                if is_live(live, row) {
                    batch.push_last_modified(time.and_then(int96_millis).ok_or_else(missing)?);
                }
                row += 1;
                Ok(())
            });
        }
        self.reader.integers(self.columns.last_modified, integers, nulls)?;
        if nulls.iter().any(|row| is_live(live, row)) {
            return Err(missing());
        }
        let times = &mut batch.rest.last_modified;
        match self.time_unit {
            TimeUnit::Nanos => extend_live(times, integers, live, |time| time.div_euclid(1_000_000)),
            TimeUnit::Micros => extend_live(times, integers, live, |time| time.div_euclid(1_000)),
            TimeUnit::Millis | TimeUnit::Int96 => extend_live(times, integers, live, |time| *time),
        }
        Ok(())
    }

    fn take_etags(&mut self, batch: &mut BatchBuilder) -> Result<()> {
        let Scratch { live, nulls, etags, marks, .. } = &mut self.scratch;
        if self.columns.md5.is_some() {
            // They are compared with the digests that another column has.
            self.reader.bytes(self.columns.etag, etags, nulls)?;
            let mut taken = etags.iter().enumerate().filter(|(row, _)| is_live(live, *row));
            return taken.try_for_each(|(row, etag)| batch.push_etag(if is_marker(marks, row) { b"" } else { etag }));
        }
        let mut row = 0;
        self.reader.visit(self.columns.etag, |etag| {
            let (taken, etag) = (is_live(live, row), etag.filter(|_| !is_marker(marks, row)));
            row += 1;
            if taken { batch.push_etag(etag.unwrap_or_default()) } else { Ok(()) }
        })
    }

    fn take_classes(&mut self, batch: &mut BatchBuilder) -> Result<()> {
        let Scratch { codes, nulls, live, class_codes, .. } = &mut self.scratch;
        self.reader.codes(self.columns.class, codes, nulls)?;
        let names = self.reader.names(self.columns.class);
        // Codes in a batch are those of the classes in that batch.
        class_codes.clear();
        class_codes.resize(names.len(), None);
        for (row, code) in codes.iter().enumerate() {
            let known = &mut class_codes[*code as usize];
            if known.is_none() && is_live(live, row) {
                *known = Some(batch.class_code(names.get(*code as usize))?);
            }
        }
        let code_in_batch = |code: &u32| class_codes[*code as usize].unwrap_or_default();
        if live.is_empty() {
            batch.rest.classes.extend_codes(codes.iter().map(code_in_batch));
        } else {
            let live = codes.iter().zip(live.iter()).filter(|(_, live)| **live);
            batch.rest.classes.extend_codes(live.map(|(code, _)| code_in_batch(code)));
        }
        Ok(())
    }

    fn take_flags(&mut self, rows: usize, batch: &mut BatchBuilder) -> Result<()> {
        let Scratch { codes, nulls, live, marks, multipart, md5, etags, .. } = &mut self.scratch;
        multipart.clear();
        multipart.resize(rows, false);
        if let Some(column) = self.columns.multipart {
            self.reader.bools(column, multipart, nulls)?;
        }
        md5.clear();
        md5.resize(rows, false);
        if let Some(column) = self.columns.encryption {
            self.reader.codes(column, codes, nulls)?;
            let names = self.reader.names(column);
            let known: Vec<bool> = names.iter().map(|status| self.rules.etag_is_md5(status)).collect();
            md5.iter_mut().zip(codes.iter()).for_each(|(md5, code)| *md5 = known[*code as usize]);
        }
        if let Some(column) = self.columns.md5 {
            let mut rows = md5.iter_mut().zip(etags.iter());
            self.reader.visit(column, |digest| {
                if let (Some((md5, etag)), Some(digest)) = (rows.next(), digest) {
                    *md5 |= etag_is(etag, digest);
                }
                Ok::<_, Fault>(())
            })?;
        }
        let both = multipart.iter().zip(md5.iter()).map(|(multipart, md5)| flags(*multipart, *md5));
        if live.is_empty() {
            batch.rest.flags.extend(both);
        } else {
            let mark = |row: usize| marks.get(row).copied().unwrap_or_default();
            let taken = both.enumerate().zip(live.iter()).filter(|(_, live)| **live);
            batch.rest.flags.extend(taken.map(|((row, flags), _)| flags.with(mark(row))));
        }
        Ok(())
    }

    fn take_versions(&mut self, batch: &mut BatchBuilder) -> Result<()> {
        let Some(column) = self.columns.version else { return Ok(()) };
        let Scratch { live, integers, nulls, versions, .. } = &mut self.scratch;
        let rules = &self.rules;
        let (mut row, mut taken) = (0, 0);
        let mut push = |version: &[u8]| {
            if is_live(live, row) {
                batch.push_version(taken, rules.version_id(version))?;
                taken += 1;
            }
            row += 1;
            Ok(())
        };
        if let Some(versions) = versions {
            return versions.iter().try_for_each(push);
        }
        if self.reader.column(column).kind == ColumnKind::I64 {
            self.reader.integers(column, integers, nulls)?;
            let number = |(row, number): (usize, &i64)| match nulls.is_null(row) {
                true => String::new(),
                false => number.to_string(),
            };
            return integers.iter().enumerate().map(number).try_for_each(|version| push(version.as_bytes()));
        }
        self.reader.visit(column, |version| push(version.unwrap_or_default()))
    }
}

/// `live` is empty when all rows are.
#[inline]
fn is_live(live: &[bool], row: usize) -> bool {
    live.get(row) != Some(&false)
}

/// Appends what `map` makes of the values of live rows.
#[inline]
fn extend_live<T, U>(out: &mut Vec<U>, values: &[T], live: &[bool], map: impl Fn(&T) -> U) {
    if live.is_empty() {
        // The usual case, and one that the compiler makes wide.
        out.extend(values.iter().map(map));
    } else {
        out.extend(values.iter().zip(live).filter(|(_, live)| **live).map(|(value, _)| map(value)));
    }
}

/// `marks` is empty when no row is marked.
#[inline]
fn is_marker(marks: &[EntryFlags], row: usize) -> bool {
    marks.get(row).is_some_and(|marks| marks.is_delete_marker())
}

/// What a column of this field may hold.
fn kinds_of(field: Field, dialect: Dialect) -> &'static [ColumnKind] {
    use ColumnKind::{Bool, Bytes, Fixed, I32, I64};
    match field {
        Field::Size => &[I64, I32],
        Field::LastModified => &[I64, Fixed(12)],
        Field::IsMultipart => &[Bool],
        Field::IsLatest | Field::IsDeleteMarker | Field::IsDeleted | Field::IsFolder => &[Bool, Bytes],
        // All that counts is whether they are there.
        Field::DeletedTime | Field::Snapshot => &[Bytes, I64, I32, Bool, Fixed(12)],
        // A generation of GCS is a number.
        Field::VersionId if dialect == Dialect::Gcs => &[Bytes, I64],
        _ => &[Bytes],
    }
}

fn check_kind(column: &ColumnInfo, kinds: &[ColumnKind]) -> Result<()> {
    if kinds.contains(&column.kind) {
        return Ok(());
    }
    Err(Fault::corrupt(format!("its column {} holds {:?} values", column.name, column.kind)))
}

/// The unit of the modification times; milliseconds where the file does not say, as S3 documents.
fn time_unit(meta: &FileMeta, schema: &Schema) -> TimeUnit {
    let column = schema.place(Field::LastModified).and_then(|place| meta.columns().get(place));
    column.and_then(|column| column.time_unit).unwrap_or(TimeUnit::Millis)
}

/// Milliseconds since 1970 of nanoseconds in the day and a Julian day.
fn int96_millis(time: &[u8]) -> Option<i64> {
    const JULIAN_DAY_OF_1970: i64 = 2_440_588;
    let (nanos, day) = time.split_first_chunk::<8>()?;
    let day = i64::from(i32::from_le_bytes(day.try_into().ok()?));
    Some((day - JULIAN_DAY_OF_1970) * 86_400_000 + i64::from_le_bytes(*nanos).div_euclid(1_000_000))
}
