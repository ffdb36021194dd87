//! An inventory with one manifest, opened: checked as far as can be without reading its data files.

use std::sync::Arc;

use futures::stream::BoxStream;
use stocktake_core::{
    EntryBatch, Error, Inventory, InventoryFormat, InventoryInfo, InventoryVersions, KeyFilter, Location, Result,
};

use crate::decoder::Choice;
use crate::fault::Fault;
use crate::head::{self, Head};
use crate::manifest::InventoryManifest;
use crate::part::{Part, Parts};
use crate::reader::{ManifestReader, info, warn_of_folder};
use crate::rules::RowRules;
use crate::schema::Schema;
use crate::total::Total;

/// A delivered inventory that was checked.
#[derive(Debug)]
pub(crate) struct Report {
    info: InventoryInfo,
    pub(crate) parts: Vec<Arc<Part>>,
    pub(crate) shared: Arc<Parts>,
}

impl Inventory for Report {
    fn info(&self) -> &InventoryInfo {
        &self.info
    }

    fn parts(&self) -> usize {
        self.parts.len()
    }

    fn read(&self, part: usize) -> BoxStream<'static, Result<EntryBatch>> {
        self.read_chosen(part, Choice { versions: InventoryVersions::Current, wanted: None })
    }

    fn read_wanted(&self, part: usize, wanted: KeyFilter) -> BoxStream<'static, Result<EntryBatch>> {
        self.read_chosen(part, Choice { versions: InventoryVersions::Current, wanted: Some(wanted) })
    }

    fn read_versions(&self, part: usize) -> BoxStream<'static, Result<EntryBatch>> {
        self.read_chosen(part, Choice { versions: InventoryVersions::All, wanted: None })
    }

    fn source_lists(&self) -> u64 {
        0
    }
}

impl Report {
    fn read_chosen(&self, part: usize, choice: Choice) -> BoxStream<'static, Result<EntryBatch>> {
        Arc::clone(&self.parts[part]).read(Arc::clone(&self.shared), choice)
    }
}

impl ManifestReader {
    /// Checks the inventory with the manifest of this name, and opens it.
    pub(crate) async fn open_report(&self, name: &str) -> Result<Report> {
        let location = self.location(name);
        let manifest = self.checked_manifest(name).await?;
        warn_of_folder(name, &manifest);
        let read = matches!(manifest.format, InventoryFormat::Csv | InventoryFormat::Parquet)
            || self.formats.iter().any(|format| format.format() == manifest.format);
        if !read {
            let format = manifest.format.to_string().to_uppercase();
            let problem = format!("it is written in {format}, which is read only with a decoder of that format");
            return Err(Error::InventoryNotFound { location, problem });
        }
        let root = self.data_root(name, &manifest).await?;
        let parts = self.parts(&location, &root, &manifest.files).await?;
        let head = self.head(&location, &manifest, &parts).await?;
        if let (Some(rows @ 1..), true) = (manifest.rows, parts.is_empty()) {
            return Err(Fault::corrupt(format!("it has no data files, the manifest says {rows} rows")).of(&location));
        }
        let shared = Parts {
            vault: Arc::clone(&self.vault),
            inventory: location.clone(),
            local_root: self.local_root.clone(),
            temp_dir: self.temp_dir.clone(),
            format: manifest.format,
            formats: self.formats.clone(),
            schema: head.schema.clone(),
            rules: RowRules::new(manifest.dialect, &manifest.source_bucket),
            total: manifest.rows.map(|rows| Total::new(rows, parts.len())),
        };
        let info = InventoryInfo {
            bytes: parts.iter().map(|part| part.size()).fold(0, u64::saturating_add),
            configuration: self.configuration(name),
            ..info(&manifest, location, Some(&head.schema), head.bucket)
        };
        Ok(Report { info, parts, shared: Arc::new(shared) })
    }

    /// The schema that rows are read by, and the bucket that they are of: what the
    /// first file says of itself, where files do.
    async fn head(&self, location: &Location, manifest: &InventoryManifest, parts: &[Arc<Part>]) -> Result<Head> {
        let InventoryManifest { format, dialect, .. } = *manifest;
        let says_itself = format == InventoryFormat::Parquet || dialect.has_header();
        let mut head = match parts.first() {
            Some(part) if says_itself => head::read(&*self.vault, location, part.found(), format, dialect).await?,
            _ => {
                let none = || Schema::of_names(Vec::new(), dialect);
                let schema = manifest.schema.clone().map_or_else(none, Ok).map_err(|fault| fault.of(location))?;
                Head { schema, bucket: String::new() }
            }
        };
        if !manifest.source_bucket.is_empty() {
            head.bucket.clone_from(&manifest.source_bucket);
        }
        let stated = manifest.schema.as_ref();
        let differing = stated.map(|stated| head.schema.differing(stated)).unwrap_or_default();
        if !differing.is_empty() {
            tracing::warn!(inventory = %location, ?differing, "manifest and data files differ in columns; the files count");
        }
        if stated.is_some() || !parts.is_empty() {
            let required = head.schema.check_required();
            let is_stated = stated.is_some_and(|stated| stated.check_required().is_ok());
            required.map_err(|fault| if is_stated { unstated(&fault, parts) } else { fault }.of(location))?;
        }
        Ok(head)
    }
}

/// A file that lacks what the manifest says it has is not the one that was delivered:
/// no change of the configuration would mend it.
fn unstated(fault: &Fault, parts: &[Arc<Part>]) -> Fault {
    let fault = Fault::corrupt(format!("{fault}, which the manifest says is there"));
    parts.first().map_or(fault.clone(), |part| fault.within(&part.name))
}
