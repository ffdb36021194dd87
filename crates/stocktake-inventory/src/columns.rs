//! Where the columns of a data file are that its reader reads.

use crate::fault::{Fault, Result};
use crate::manifest::Dialect;
use crate::schema::{Field, Schema};

/// The numbers of columns, by what they hold; `None` where a file has no such column.
#[derive(Clone, Debug)]
pub(crate) struct Columns {
    pub(crate) bucket: Option<usize>,
    pub(crate) key: usize,
    pub(crate) version: Option<usize>,
    pub(crate) latest: Option<usize>,
    pub(crate) delete_marker: Option<usize>,
    pub(crate) size: usize,
    pub(crate) last_modified: usize,
    pub(crate) etag: usize,
    pub(crate) class: usize,
    pub(crate) multipart: Option<usize>,
    pub(crate) encryption: Option<usize>,
    pub(crate) deleted: Option<usize>,
    pub(crate) deleted_time: Option<usize>,
    pub(crate) snapshot: Option<usize>,
    pub(crate) folder: Option<usize>,
    pub(crate) md5: Option<usize>,
}

impl Columns {
    /// The columns as they stand in a row of this schema.
    ///
    /// # Errors
    /// [`Fault::MissingField`].
    pub(crate) fn of_rows(schema: &Schema, dialect: Dialect) -> Result<Self> {
        schema.check_required()?;
        Self::find(dialect, |field| Ok(schema.place(field)))
    }

    /// The columns where `place` says that they are.
    ///
    /// # Errors
    /// [`Fault::MissingField`], and what `place` returns.
    pub(crate) fn find(dialect: Dialect, mut place: impl FnMut(Field) -> Result<Option<usize>>) -> Result<Self> {
        let mut required = |field: Field| place(field)?.ok_or(Fault::MissingField(field.name(dialect)));
        let (key, size) = (required(Field::Key)?, required(Field::Size)?);
        let (last_modified, etag) = (required(Field::LastModified)?, required(Field::ETag)?);
        Ok(Self {
            key,
            size,
            last_modified,
            etag,
            class: required(Field::Class)?,
            bucket: place(Field::Bucket)?,
            version: place(Field::VersionId)?,
            latest: place(Field::IsLatest)?,
            delete_marker: place(Field::IsDeleteMarker)?,
            multipart: place(Field::IsMultipart)?,
            encryption: place(Field::Encryption)?,
            deleted: place(Field::IsDeleted)?,
            deleted_time: place(Field::DeletedTime)?,
            snapshot: place(Field::Snapshot)?,
            folder: place(Field::IsFolder)?,
            md5: place(Field::ContentMd5)?,
        })
    }
}
