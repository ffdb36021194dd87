//! Which columns an inventory has, and which of them are read.
//!
//! Columns are found by name for every manifest anew: their order is the user's
//! choice on OSS and may change from one day to the next. Unknown ones are
//! ignored, since the list of fields grows.

use stocktake_core::{InventoryFormat, InventoryVersions};

use crate::fault::{Fault, Result};

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
}

impl Field {
    const ALL: [Self; 11] = [
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
    ];

    /// Without these, objects can't be compared.
    const REQUIRED: [Self; 5] = [Self::Key, Self::Size, Self::LastModified, Self::ETag, Self::Class];

    /// The name in a CSV schema, and in the configuration where the field is chosen.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bucket => "Bucket",
            Self::Key => "Key",
            Self::VersionId => "VersionId",
            Self::IsLatest => "IsLatest",
            Self::IsDeleteMarker => "IsDeleteMarker",
            Self::Size => "Size",
            Self::LastModified => "LastModifiedDate",
            Self::ETag => "ETag",
            Self::Class => "StorageClass",
            Self::IsMultipart => "IsMultipartUploaded",
            Self::Encryption => "EncryptionStatus",
        }
    }

    /// The field of a column. Columnar formats write `last_modified_date` for
    /// `LastModifiedDate`, and case differs between editions of the documentation.
    fn of(column: &str) -> Option<Self> {
        let letters = || column.bytes().filter(|byte| *byte != b'_').map(|byte| byte.to_ascii_lowercase());
        Self::ALL.into_iter().find(|field| letters().eq(field.name().bytes().map(|byte| byte.to_ascii_lowercase())))
    }
}

/// The columns of an inventory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema {
    /// All names in order, as they are spelled.
    columns: Vec<String>,
    /// Where each [`Field`] is.
    places: [Option<usize>; Field::ALL.len()],
}

impl Schema {
    /// Reads the `fileSchema` of a manifest.
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
        Self::of_names(columns.ok_or_else(malformed)?)
    }

    /// A schema of these names.
    ///
    /// # Errors
    /// [`Fault::Corrupt`] when a name comes twice, by whatever spelling.
    pub(crate) fn of_names(columns: Vec<String>) -> Result<Self> {
        let mut sorted: Vec<_> = columns.iter().map(|name| name.to_ascii_lowercase()).collect();
        sorted.sort_unstable();
        if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(twice(&pair[0]));
        }
        let mut places = [None; Field::ALL.len()];
        for (index, name) in columns.iter().enumerate() {
            if let Some(field) = Field::of(name)
                && places[field as usize].replace(index).is_some()
            {
                return Err(twice(field.name()));
            }
        }
        Ok(Self { columns, places })
    }

    /// All names in order, as they are spelled.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Which versions an inventory with these columns lists: all, if it tells versions apart.
    pub fn versions(&self) -> InventoryVersions {
        let tells = [Field::VersionId, Field::IsLatest, Field::IsDeleteMarker].map(|field| self.place(field));
        if tells.iter().any(Option::is_some) { InventoryVersions::All } else { InventoryVersions::Current }
    }

    /// Sees that nothing is missing that comparison needs.
    ///
    /// # Errors
    /// [`Fault::MissingField`].
    pub fn check_required(&self) -> Result<()> {
        match Field::REQUIRED.into_iter().find(|field| self.place(*field).is_none()) {
            Some(field) => Err(Fault::MissingField(field.name())),
            None => Ok(()),
        }
    }

    /// Where a field is.
    pub(crate) fn place(&self, field: Field) -> Option<usize> {
        self.places[field as usize]
    }

    /// The fields that both have or lack differently, by name: empty when the schemas agree in what is read.
    pub(crate) fn differing(&self, other: &Self) -> Vec<&'static str> {
        let differs = |field: &Field| self.place(*field).is_some() != other.place(*field).is_some();
        Field::ALL.into_iter().filter(differs).map(Field::name).collect()
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
    fn orc_schemas_are_read() {
        let text = "struct<bucket:string,key:string,size:bigint,last_modified_date:timestamp,e_tag:string,storage_class:string>";
        assert_eq!(Schema::parse(text, InventoryFormat::Orc).unwrap().check_required(), Ok(()));
    }
}
