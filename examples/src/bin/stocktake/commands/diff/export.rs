//! Writes changes to a file that is there whole or not at all.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use futures::TryStreamExt;
use stocktake::Error;
use stocktake::compare::ChangeSet;
use stocktake::export::{ChangeWriter, ExportFormat};
use tempfile::NamedTempFile;

use crate::exit::{Failure, Result};

/// A file to be written, with the format that its name asks for.
#[derive(Debug)]
pub(super) struct Export {
    path: PathBuf,
    format: ExportFormat,
}

impl Export {
    /// The export to `path`, refused here if its name does not tell a format.
    pub(super) fn new(path: PathBuf) -> Result<Self> {
        match ExportFormat::of_path(&path) {
            Some(format) => Ok(Self { path, format }),
            None => {
                let problem = format!("{}: the name has to end in .parquet, .jsonl or .csv", path.display());
                Err(Failure::Usage(problem))
            }
        }
    }

    /// Writes all changes beside the file, and puts them in its place when they are complete.
    pub(super) async fn write(&self, changes: &ChangeSet) -> Result<()> {
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let file = NamedTempFile::new_in(folder).map_err(Error::local("create a file in", folder))?;
        let mut writer = ChangeWriter::new(self.format, BufWriter::new(file))?;
        let mut batches = changes.changes();
        while let Some(batch) = batches.try_next().await? {
            let batch: Vec<_> = batch.iter().map(|change| change.to_change()).collect();
            writer.write(&batch)?;
        }
        let mut out = writer.finish()?;
        out.flush().map_err(Error::local("write", &self.path))?;
        let file = out.into_inner().map_err(|error| Error::local("write", &self.path)(error.into_error()))?;
        file.persist(&self.path).map_err(|error| Error::local("write", &self.path)(error.error))?;
        Ok(())
    }
}
