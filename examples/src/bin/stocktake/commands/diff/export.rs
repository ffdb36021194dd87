//! Writes changes to a file that is there whole or not at all.

use std::fs::{self, Permissions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use futures::TryStreamExt;
use stocktake::compare::ChangeSet;
use stocktake::export::{
    BatchManifestOptions, BatchManifestWriter, ChangeColumns, ChangeWriter, ExportFormat, ManifestVersions,
};
use stocktake::{Change, ChangeClass, Error};

use crate::exit::{Failure, Result};

/// How the name of a manifest for S3 Batch Operations ends.
const MANIFEST_ENDING: &str = ".manifest.csv";

#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    /// Write the changes to this file instead of standard output; its ending says how: .parquet, .jsonl or .csv,
    /// or .manifest.csv for a manifest for S3 Batch Operations.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The bucket that a manifest's objects are in.
    #[arg(long, value_name = "NAME", requires = "out")]
    bucket: Option<String>,
    /// The changes whose objects a manifest lists.
    #[arg(
        long,
        value_name = "CLASS,...",
        value_delimiter = ',',
        requires = "bucket",
        value_parser = change_class(),
        default_values = ["added", "changed", "version_added", "recreated"]
    )]
    classes: Vec<ChangeClass>,
    /// List version ids in a manifest. The inventory has to tell them of every object.
    #[arg(long, requires = "bucket")]
    version_ids: bool,
}

/// Takes a class by the word that reports have for it.
fn change_class() -> impl TypedValueParser<Value = ChangeClass> {
    let words = PossibleValuesParser::new(ChangeClass::ALL.map(ChangeClass::as_str));
    words.try_map(|word| ChangeClass::ALL.into_iter().find(|class| class.as_str() == word).ok_or("no class of changes"))
}

/// A file to be written, with the form that its name asks for.
#[derive(Debug)]
pub(super) struct Export {
    path: PathBuf,
    form: Form,
}

#[derive(Debug)]
enum Form {
    Changes(ExportFormat),
    Manifest(BatchManifestOptions),
}

impl ExportArgs {
    /// The export that is asked for, if any; refused here if its name does not fit the other options.
    pub(super) fn export(self) -> Result<Option<Export>> {
        let Some(path) = self.out else { return Ok(None) };
        let is_manifest = path.to_str().is_some_and(|path| path.ends_with(MANIFEST_ENDING));
        let form = match (is_manifest, self.bucket) {
            (true, Some(bucket)) => {
                let versions = if self.version_ids { ManifestVersions::Listed } else { ManifestVersions::Omitted };
                Form::Manifest(BatchManifestOptions::new(bucket).with_classes(self.classes).with_versions(versions))
            }
            (true, None) => return Err(Failure::Usage("a manifest names its bucket: give --bucket".into())),
            (false, Some(_)) => {
                return Err(Failure::Usage(format!(
                    "--bucket is for a manifest, whose name ends in {MANIFEST_ENDING}"
                )));
            }
            (false, None) => Form::Changes(ExportFormat::of_path(&path).ok_or_else(|| {
                let problem = "the name has to end in .parquet, .jsonl, .csv or .manifest.csv";
                Failure::Usage(format!("{}: {problem}", path.display()))
            })?),
        };
        Ok(Some(Export { path, form }))
    }
}

/// A file of either form that is being written.
enum Writer<W: Write + Send> {
    Changes(ChangeWriter<W>),
    Manifest(BatchManifestWriter<W>),
}

impl<W: Write + Send> Writer<W> {
    fn new(form: &Form, columns: ChangeColumns, out: W) -> Result<Self, Error> {
        Ok(match form {
            Form::Changes(format) => Self::Changes(ChangeWriter::with_columns(*format, columns, out)?),
            Form::Manifest(options) => Self::Manifest(BatchManifestWriter::new(options.clone(), out)?),
        })
    }

    fn write(&mut self, changes: &[Change]) -> Result<(), Error> {
        match self {
            Self::Changes(writer) => writer.write(changes),
            Self::Manifest(writer) => writer.write(changes),
        }
    }

    /// What was written to, and of a manifest how many objects it lists.
    fn finish(self) -> Result<(W, Option<u64>), Error> {
        match self {
            Self::Changes(writer) => writer.finish().map(|out| (out, None)),
            Self::Manifest(writer) => writer.finish().map(|(out, objects)| (out, Some(objects))),
        }
    }
}

impl Export {
    /// Writes all changes beside the file, and puts them in its place when they are
    /// complete. Of a manifest returns how many objects it lists.
    pub(super) async fn write(&self, changes: &ChangeSet) -> Result<Option<u64>> {
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // The mode of any new file, or of the one that is replaced: others may be meant to read it.
        let mode = fs::metadata(&self.path).map_or(Permissions::from_mode(0o666), |there| there.permissions());
        let file = tempfile::Builder::new().permissions(mode).tempfile_in(folder);
        let file = file.map_err(Error::local("create a file in", folder))?;
        let mut writer = Writer::new(&self.form, changes.versions().into(), BufWriter::new(file))?;
        let mut batches = changes.changes();
        while let Some(batch) = batches.try_next().await? {
            let batch: Vec<_> = batch.iter().map(|change| change.to_change()).collect();
            writer.write(&batch)?;
        }
        let (mut out, listed) = writer.finish()?;
        out.flush().map_err(Error::local("write", &self.path))?;
        let file = out.into_inner().map_err(|error| Error::local("write", &self.path)(error.into_error()))?;
        file.persist(&self.path).map_err(|error| Error::local("write", &self.path)(error.error))?;
        Ok(listed)
    }
}
