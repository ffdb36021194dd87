//! Where overflow goes: temporary files without a name.
//!
//! A file is unlinked as it is made, so it is gone with its handle, whatever
//! ends the process. Everything written is counted.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use stocktake_core::{Error, Result};

/// A folder for temporary files, and how much was written to them.
#[derive(Clone, Debug)]
pub(super) struct Scratch {
    folder: PathBuf,
    written: Arc<AtomicU64>,
}

impl Scratch {
    /// Files in `folder`, or where the system keeps temporary files.
    pub(super) fn new(folder: Option<PathBuf>) -> Self {
        Self { folder: folder.unwrap_or_else(std::env::temp_dir), written: Arc::default() }
    }

    /// A new empty file.
    pub(super) fn file(&self) -> Result<File> {
        tempfile::tempfile_in(&self.folder).map_err(self.error("create a temporary file in"))
    }

    /// Counts `bytes` as written.
    pub(super) fn wrote(&self, bytes: usize) {
        self.written.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Bytes written so far, in all files.
    pub(super) fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// An [`Error::LocalStorage`] about the folder, for `map_err`.
    pub(super) fn error(&self, action: &'static str) -> impl FnOnce(std::io::Error) -> Error {
        Error::local(action, self.folder.clone())
    }
}
