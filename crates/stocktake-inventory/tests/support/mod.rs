//! An inventory in a bucket of memory, to be damaged, and a reader of it. Shared by the tests of broken inventories.

#![allow(dead_code, reason = "each test crate uses some of it")]

use std::io::Write;
use std::sync::Arc;

use md5::{Digest, Md5};
use serde_json::{Value, json};
use stocktake_core::memory::MemoryVault;
use stocktake_core::{Entry, Error, InventoryInfo, InventoryReader, Result, Vault};
use stocktake_inventory::ManifestReader;
use stocktake_testkit::conformance::inventory::read_all;
use stocktake_testkit::inventories::{InventorySpec, Shape, Synthetic, WrittenInventory, reseal, write};

pub(crate) const BASE: &str = "s3://ops-inventories";

/// An inventory of 250 objects, and a reader of it.
pub(crate) struct Fixture {
    pub(crate) vault: MemoryVault,
    pub(crate) shape: Shape,
    pub(crate) written: WrittenInventory,
    pub(crate) reader: ManifestReader,
}

/// In three files.
pub(crate) async fn fixture(shape: Shape) -> Fixture {
    fixture_of(InventorySpec { rows_per_file: 100, ..InventorySpec::new(shape) }).await
}

pub(crate) async fn fixture_of(spec: InventorySpec) -> Fixture {
    let vault = MemoryVault::new();
    let written = write(&vault, &spec, Synthetic::new(250).before()).await;
    let reader = ManifestReader::new(Arc::new(vault.clone()), "inv", BASE);
    Fixture { vault, shape: spec.shape, written, reader }
}

impl Fixture {
    pub(crate) async fn newest(&self) -> InventoryInfo {
        self.reader.inventories().await.unwrap().remove(0)
    }

    pub(crate) async fn read(&self) -> Result<Vec<Entry>> {
        read_all(&*self.reader.open(&self.newest().await).await?).await
    }

    /// What is wrong with it.
    pub(crate) async fn corrupt(&self) -> String {
        match self.read().await {
            Err(Error::InventoryCorrupt { problem, inventory }) => {
                assert_eq!(inventory.as_str(), format!("{BASE}/{}", self.written.manifest));
                problem
            }
            other => panic!("{:?}: not found corrupt: {:?}", self.shape, other.map(|entries| entries.len())),
        }
    }

    /// Changes the manifest, and its checksum with it.
    pub(crate) async fn edit(&self, change: impl FnOnce(&mut Value)) {
        let bytes = self.vault.read(&self.written.manifest, None).await.unwrap();
        let mut manifest = serde_json::from_slice(&bytes).unwrap();
        change(&mut manifest);
        self.put_manifest(serde_json::to_vec(&manifest).unwrap()).await;
    }

    pub(crate) async fn put_manifest(&self, bytes: impl AsRef<[u8]>) {
        self.vault.tamper(&self.written.manifest, bytes.as_ref().to_vec());
        if self.shape.has_checksum() {
            reseal(&self.vault, &self.written.manifest).await;
        }
    }

    /// Replaces a data file, and what the manifest states of it.
    pub(crate) async fn replace(&self, file: usize, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref().to_vec();
        self.edit(|manifest| {
            let Some(stated) = manifest.pointer_mut(&format!("/files/{file}")) else { return };
            if let Some(size) = stated.get_mut("size") {
                *size = json!(bytes.len());
            }
            for name in ["MD5checksum", "md5Checksum"] {
                if let Some(md5) = stated.get_mut(name) {
                    *md5 = json!(hex::encode(Md5::digest(&bytes)));
                }
            }
        })
        .await;
        self.vault.tamper(&self.written.files[file], bytes);
    }

    pub(crate) async fn file(&self, file: usize) -> Vec<u8> {
        self.vault.read(&self.written.files[file], None).await.unwrap().to_vec()
    }

    /// The same, of a file that is text.
    pub(crate) async fn text(&self, file: usize) -> String {
        String::from_utf8(self.file(file).await).unwrap()
    }
}

pub(crate) fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// A row of S3.
pub(crate) fn row(key: &str) -> String {
    format!(
        "\"photo-store\",\"{key}\",\"3\",\"2026-01-05T09:30:02.000Z\",\"0cc175b9c0f1b6a831c399e269772661\",\"STANDARD\",\"false\",\"SSE-S3\"\n"
    )
}
