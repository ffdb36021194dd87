//! Which columns an inventory has, and which of them are read.
//!
//! Columns are found by name for every manifest anew: their order is the user's
//! choice on most clouds and may change from one day to the next. Unknown ones are
//! ignored, since the list of fields grows.
//!
//! OSS, OBS and COS call columns as S3 does, but for two spellings. The names of
//! the others are from Google, `gcloud storage insights inventory-reports create`,
//! and from Microsoft, "Azure Storage blob inventory".

use stocktake_core::{InventoryFormat, InventoryVersions};

use crate::fault::{Fault, Result};
use crate::manifest::Dialect;

/// A column that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Field {
    Bucket,
    Key,
    VersionId,
    IsLatest,
    IsDeleteMarker,
    Size,
    LastModified,
    ETag,
    Class,
    IsMultipart,
    Encryption,
    /// Whether it is a blob that was deleted and can be recovered.
    IsDeleted,
    /// When a version ceased to be the current one.
    DeletedTime,
    /// Which snapshot of a blob it is.
    Snapshot,
    /// Whether it is a folder.
    IsFolder,
    /// The MD5 of the content, in Base64.
    ContentMd5,
    /// The place of an event among those of its key.
    Sequence,
    /// What happened in an event.
    RecordType,
    /// When it happened.
    RecordTime,
}

impl Field {
    const ALL: [Self; 19] = [
        Self::Bucket,
        Self::Key,
        Self::VersionId,
        Self::IsLatest,
        Self::IsDeleteMarker,
        Self::Size,
        Self::LastModified,
        Self::ETag,
        Self::Class,
        Self::IsMultipart,
        Self::Encryption,
        Self::IsDeleted,
        Self::DeletedTime,
        Self::Snapshot,
        Self::IsFolder,
        Self::ContentMd5,
        Self::Sequence,
        Self::RecordType,
        Self::RecordTime,
    ];

    /// Without these, objects can't be compared.
    const REQUIRED: [Self; 5] = [Self::Key, Self::Size, Self::LastModified, Self::ETag, Self::Class];

    /// The name that a cloud has for it, as it stands where the field is chosen.
    pub(crate) fn name(self, dialect: Dialect) -> &'static str {
        self.names(dialect).first().copied().unwrap_or("")
    }

    /// The names that a column of it may have, the best first. None where a cloud has no such field.
    fn names(self, dialect: Dialect) -> &'static [&'static str] {
        match dialect {
            Dialect::Gcs => self.names_of_gcs(),
            Dialect::Azure => self.names_of_azure(),
            _ => self.names_of_s3(),
        }
    }

    fn names_of_s3(self) -> &'static [&'static str] {
        match self {
            Self::Bucket => &["Bucket"],
            Self::Key => &["Key"],
            Self::VersionId => &["VersionId"],
            Self::IsLatest => &["IsLatest"],
            // The other spelling is that of OBS.
            Self::IsDeleteMarker => &["IsDeleteMarker", "DeleteMarker"],
            Self::Size => &["Size"],
            Self::LastModified => &["LastModifiedDate"],
            Self::ETag => &["ETag"],
            Self::Class => &["StorageClass"],
            // The other spelling is that of an older edition of COS.
            Self::IsMultipart => &["IsMultipartUploaded", "MultipartUploaded"],
            Self::Encryption => &["EncryptionStatus"],
            Self::Sequence => &["SequenceNumber"],
            Self::RecordType => &["RecordType"],
            Self::RecordTime => &["RecordTimestamp"],
            Self::IsDeleted | Self::DeletedTime | Self::Snapshot | Self::IsFolder | Self::ContentMd5 => &[],
        }
    }

    fn names_of_gcs(self) -> &'static [&'static str] {
        match self {
            Self::Bucket => &["bucket"],
            Self::Key => &["name"],
            Self::VersionId => &["generation"],
            Self::Size => &["size"],
            Self::LastModified => &["updated", "timeCreated"],
            Self::ETag => &["etag"],
            Self::Class => &["storageClass"],
            Self::DeletedTime => &["timeDeleted"],
            Self::ContentMd5 => &["md5Hash"],
            _ => &[],
        }
    }

    /// The container stands in the name, so there is no column for the bucket.
    fn names_of_azure(self) -> &'static [&'static str] {
        match self {
            Self::Key => &["Name"],
            Self::VersionId => &["VersionId"],
            Self::IsLatest => &["IsCurrentVersion"],
            Self::Size => &["Content-Length"],
            Self::LastModified => &["Last-Modified"],
            Self::ETag => &["Etag"],
            Self::Class => &["AccessTier"],
            Self::IsDeleted => &["Deleted"],
            Self::Snapshot => &["Snapshot"],
            Self::IsFolder => &["hdi_isfolder"],
            Self::ContentMd5 => &["Content-MD5"],
            _ => &[],
        }
    }
}

/// Whether two texts name one column. Columnar formats write `last_modified_date`
/// for `LastModifiedDate`, and case differs between editions of the documentation.
fn same_column(one: &str, other: &str) -> bool {
    let letters = |text: &str| {
        text.bytes()
            .filter(|byte| !matches!(byte, b'_' | b'-'))
            .map(|byte| byte.to_ascii_lowercase())
            .collect::<Vec<_>>()
    };
    letters(one) == letters(other)
}

/// The columns of an inventory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema {
    /// All names in order, as they are spelled.
    columns: Vec<String>,
    dialect: Dialect,
    /// Where each [`Field`] is.
    places: [Option<usize>; Field::ALL.len()],
}

impl Schema {
    /// Reads the `fileSchema` of a manifest, in the words of S3 and those who follow it.
    ///
    /// CSV names are parted by commas, with or without a blank. Parquet writes a
    /// message type; delivered ones spell types differently from the
    /// documentation, so only the pattern *repetition type name* is read. ORC
    /// writes a `struct<name:type,...>` of plain types.
    ///
    /// # Errors
    /// [`Fault::Corrupt`] for a text of another shape, or when a name comes twice.
    pub fn parse(text: &str, format: InventoryFormat) -> Result<Self> {
        let malformed = || Fault::corrupt(format!("its fileSchema can't be read: {:.200}", text));
        let columns: Option<Vec<_>> = match format {
            InventoryFormat::Parquet => parquet_names(text),
            InventoryFormat::Orc => orc_names(text),
            _ => Some(text.split(',').map(|name| name.trim().to_owned()).collect()),
        };
        let columns = columns.filter(|names| !names.is_empty() && names.iter().all(|name| !name.is_empty()));
        Self::of_names(columns.ok_or_else(malformed)?, Dialect::S3)
    }

    /// A schema of these names, in the words of a cloud.
    ///
    /// # Errors
    /// [`Fault::Corrupt`] when a name comes twice, by whatever spelling.
    pub fn of_names(columns: Vec<String>, dialect: Dialect) -> Result<Self> {
        let mut sorted: Vec<_> = columns.iter().map(|name| name.to_ascii_lowercase()).collect();
        sorted.sort_unstable();
        if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(twice(&pair[0]));
        }
        let mut places = [None; Field::ALL.len()];
        for field in Field::ALL {
            for name in field.names(dialect) {
                let mut found = columns.iter().enumerate().filter(|(_, column)| same_column(column, name));
                let place = found.next().map(|(index, _)| index);
                if found.next().is_some() {
                    return Err(twice(name));
                }
                places[field as usize] = places[field as usize].or(place);
            }
        }
        Ok(Self { columns, dialect, places })
    }

    /// All names in order, as they are spelled.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Which versions an inventory with these columns lists: all, if it tells versions apart.
    pub fn versions(&self) -> InventoryVersions {
        let tell: &[Field] = match self.dialect {
            // An object has a generation, whether or not others of its key are listed.
            Dialect::Gcs => &[Field::DeletedTime],
            Dialect::Azure => &[Field::VersionId, Field::IsLatest, Field::IsDeleted, Field::Snapshot],
            _ => &[Field::VersionId, Field::IsLatest, Field::IsDeleteMarker],
        };
        let tells = tell.iter().any(|field| self.place(*field).is_some());
        if tells { InventoryVersions::All } else { InventoryVersions::Current }
    }

    /// Sees that nothing is missing that comparison needs.
    ///
    /// # Errors
    /// [`Fault::MissingField`].
    pub fn check_required(&self) -> Result<()> {
        match Field::REQUIRED.into_iter().find(|field| self.place(*field).is_none()) {
            Some(field) => Err(Fault::MissingField(field.name(self.dialect))),
            None => Ok(()),
        }
    }

    /// Where a field is.
    pub(crate) fn place(&self, field: Field) -> Option<usize> {
        self.places[field as usize]
    }

    /// Where a field is that must be somewhere.
    pub(crate) fn required(&self, field: Field) -> Result<usize> {
        self.place(field).ok_or(Fault::MissingField(field.name(self.dialect)))
    }

    /// The fields that both have or lack differently, by name: empty when the schemas agree in what is read.
    pub(crate) fn differing(&self, other: &Self) -> Vec<&'static str> {
        let differs = |field: &Field| self.place(*field).is_some() != other.place(*field).is_some();
        Field::ALL.into_iter().filter(differs).map(|field| field.name(self.dialect)).collect()
    }
}

fn twice(name: &str) -> Fault {
    Fault::corrupt(format!("the column {name} comes twice"))
}

/// The names in `message s3.inventory { required binary key (STRING); ... }`.
fn parquet_names(text: &str) -> Option<Vec<String>> {
    let body = text.trim().strip_prefix("message")?.split_once('{')?.1.trim_end().strip_suffix('}')?;
    let fields = body.split(';').map(str::trim).filter(|field| !field.is_empty());
    fields
        .map(|field| {
            let mut words = field.split_whitespace();
            let repetition = words.next()?;
            words.next()?;
            let name = words.next()?.split('(').next()?;
            matches!(repetition, "required" | "optional").then(|| name.to_owned())
        })
        .collect()
}

/// The names in `struct<bucket:string,key:string,...>`.
fn orc_names(text: &str) -> Option<Vec<String>> {
    let body = text.trim().strip_prefix("struct<")?.strip_suffix('>')?;
    body.split(',').map(|field| Some(field.split_once(':')?.0.trim().to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CSV: &str = "Bucket, Key, Size, LastModifiedDate, ETag, StorageClass";

    fn csv(text: &str) -> Result<Schema> {
        Schema::parse(text, InventoryFormat::Csv)
    }

    #[test]
    fn columns_are_found_by_name_whatever_their_order_case_and_blanks() {
        for text in [
            CSV,
            "KEY,etag ,  size,storageclass,LASTMODIFIEDDATE",
            "NewThing, Key, ETag, Size, StorageClass, Crc64, LastModifiedDate",
        ] {
            let schema = csv(text).unwrap();
            assert_eq!(schema.check_required(), Ok(()), "{text}");
            let key = schema.place(Field::Key).unwrap();
            assert!(schema.columns()[key].eq_ignore_ascii_case("key"));
            assert_eq!(schema.versions(), InventoryVersions::Current);
        }
        assert_eq!(csv("Bucket, Key, VersionId, IsLatest").unwrap().versions(), InventoryVersions::All);
    }

    #[test]
    fn a_missing_field_is_named() {
        for field in ["Key", "Size", "LastModifiedDate", "ETag", "StorageClass"] {
            let rest: Vec<_> = CSV.split(", ").filter(|name| *name != field).collect();
            assert_eq!(csv(&rest.join(",")).unwrap().check_required(), Err(Fault::MissingField(field)));
        }
    }

    #[test]
    fn a_name_that_comes_twice_is_refused() {
        for text in ["Key, Size, key", "Key, Crc64, CRC64", "Key, ETag, e_tag", "", "Key,,Size"] {
            assert!(matches!(csv(text), Err(Fault::Corrupt(_))), "{text}");
        }
    }

    #[test]
    fn parquet_schemas_are_read_in_both_spellings() {
        let documented = "message s3.inventory { required binary bucket (UTF8); required binary key (UTF8); \
            optional int64 size; optional int64 last_modified_date (TIMESTAMP_MILLIS); optional binary e_tag (UTF8); \
            optional binary storage_class (UTF8); optional boolean is_multipart_uploaded; }";
        let delivered = "message s3.inventory {  required binary bucket (STRING);  required binary key (STRING);  \
            optional int64 size;  optional int64 last_modified_date (TIMESTAMP(MILLIS,true));  optional binary e_tag (STRING);  \
            optional binary storage_class (STRING);  optional boolean is_multipart_uploaded;}";
        let schemas = [documented, delivered].map(|text| Schema::parse(text, InventoryFormat::Parquet).unwrap());
        assert_eq!(schemas[0], schemas[1]);
        assert_eq!(schemas[0].check_required(), Ok(()));
        assert!(Schema::parse("message s3.inventory", InventoryFormat::Parquet).is_err());
        assert!(Schema::parse(CSV, InventoryFormat::Parquet).is_err());
    }

    #[test]
    fn every_cloud_has_its_own_names() {
        let schema =
            |text: &str, dialect| Schema::of_names(text.split(',').map(str::to_owned).collect(), dialect).unwrap();
        let gcs = schema("bucket,timeCreated,name,size,etag,storageClass,contexts", Dialect::Gcs);
        assert_eq!((gcs.check_required(), gcs.place(Field::LastModified)), (Ok(()), Some(1)));
        let both = schema("timeCreated,updated,name", Dialect::Gcs);
        assert_eq!(both.place(Field::LastModified), Some(1));
        assert_eq!(both.check_required(), Err(Fault::MissingField("size")));
        let azure = schema("Name,Etag,Last-Modified,Content-Length,hdi_isfolder,IsCurrentVersion", Dialect::Azure);
        assert_eq!(azure.check_required(), Err(Fault::MissingField("AccessTier")));
        assert_eq!((azure.place(Field::IsFolder), azure.versions()), (Some(4), InventoryVersions::All));
        let obs = csv("Bucket,Key,VersionId,IsLatest,DeleteMarker").unwrap();
        assert_eq!(obs.place(Field::IsDeleteMarker), Some(4));
    }

    #[test]
    fn orc_schemas_are_read() {
        let text = "struct<bucket:string,key:string,size:bigint,last_modified_date:timestamp,e_tag:string,storage_class:string>";
        assert_eq!(Schema::parse(text, InventoryFormat::Orc).unwrap().check_required(), Ok(()));
    }
}
