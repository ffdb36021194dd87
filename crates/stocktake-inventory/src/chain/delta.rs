//! An incremental inventory: checked, and held against the base that it follows.

use std::sync::Arc;

use stocktake_core::{InventoryFormat, InventoryInfo, Result};

use crate::fault::Fault;
use crate::manifest::{DeltaManifest, Dialect};
use crate::part::{Part, Parts};
use crate::reader::ManifestReader;
use crate::rules::RowRules;
use crate::schema::{Field, Schema};

use super::rows::Columns;

/// An incremental inventory that was checked.
#[derive(Debug)]
pub(super) struct OpenDelta {
    pub(super) parts: Vec<Arc<Part>>,
    pub(super) shared: Arc<Parts>,
    pub(super) columns: Columns,
    bucket: String,
}

/// Checks an incremental inventory: its manifest against its checksum, and that its files are there with their sizes.
pub(super) async fn open_delta(reader: &ManifestReader, name: String) -> Result<OpenDelta> {
    let location = reader.location(&name);
    let bytes = reader.read_manifest(&name).await?;
    reader.check_seal(&location, &name, &bytes).await?;
    let of_it = |fault: Fault| fault.of(&location);
    let DeltaManifest { manifest, .. } = DeltaManifest::parse(&bytes).map_err(of_it)?;
    let none = || Schema::of_names(Vec::new(), Dialect::Oss);
    let schema = manifest.schema.clone().map_or_else(none, Ok).map_err(of_it)?;
    let columns = Columns::new(&schema).map_err(of_it)?;
    let root = reader.data_root(&name, &manifest).await?;
    let parts = reader.parts(&location, &root, &manifest.files).await?;
    let shared = Parts {
        vault: Arc::clone(&reader.vault),
        inventory: location,
        local_root: reader.local_root.clone(),
        temp_dir: reader.temp_dir.clone(),
        format: InventoryFormat::Csv,
        formats: Vec::new(),
        schema,
        rules: RowRules::new(Dialect::Oss, &manifest.source_bucket),
        total: None,
    };
    Ok(OpenDelta { parts, shared: Arc::new(shared), columns, bucket: manifest.source_bucket })
}

impl OpenDelta {
    /// Sees that it can follow a base.
    pub(super) fn check_fits(&self, base: &InventoryInfo, schema: &Schema) -> Result<()> {
        self.fits(base, schema).map_err(|fault| fault.of(&self.shared.inventory))
    }

    /// It is of the base's bucket, and says as much of an object.
    fn fits(&self, base: &InventoryInfo, schema: &Schema) -> Result<(), Fault> {
        if self.bucket != base.bucket {
            let problem = format!("it is of the bucket {}, its full inventory of {}", self.bucket, base.bucket);
            return Err(Fault::corrupt(problem));
        }
        let fields = [Field::VersionId, Field::IsDeleteMarker, Field::IsMultipart, Field::Encryption];
        let lacks = |field: &Field| schema.place(*field).is_some() && self.shared.schema.place(*field).is_none();
        match fields.into_iter().find(lacks) {
            Some(field) => Err(Fault::MissingField(field.name(Dialect::Oss))),
            None => Ok(()),
        }
    }
}
