//! A world of buckets on a real S3 server, with a proxy between that counts requests.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use stocktake::location::{self, Settings};
use stocktake::{Attributes, Entry, IfExists, InventoryReader, NewObject, ObjectKey, SystemClock, Timestamp, Wanted};
use stocktake_testkit::inventories::{InventorySpec, Shape, WrittenInventory, batches, write};
use stocktake_testkit::proxy::Proxy;
use stocktake_testkit::seaweed::Seaweed;

use super::folder::{ago, block_on};
use super::program::{Program, Run};

/// What a bucket holds: bytes and attributes by key.
pub(crate) type Bucket = BTreeMap<String, (Vec<u8>, Attributes)>;

/// Buckets on the server, and the program that works on them through the proxy.
pub(crate) struct Cloud {
    server: &'static Seaweed,
    /// Sees every request of the program, and none of the test's own.
    pub(crate) proxy: Proxy,
    /// The program.
    pub(crate) program: Program,
    /// The bucket that is backed up.
    pub(crate) source: String,
    /// The bucket of the vault.
    pub(crate) vault: String,
    /// The bucket of inventories.
    pub(crate) inventories: String,
}

impl Cloud {
    /// Empty buckets and an encrypted vault.
    pub(crate) fn new() -> Self {
        let server = Seaweed::shared();
        let proxy = Proxy::start(&server.endpoint());
        let program = settings(server, &proxy.endpoint())
            .into_iter()
            .fold(Program::new(), |program, (name, value)| program.with(&name, &value))
            .with("STOCKTAKE_PASSPHRASE", "correct horse battery staple");
        let [source, vault, inventories] = [(); 3].map(|()| server.new_bucket());
        let cloud = Self { server, proxy, program, source, vault, inventories };
        cloud.program.json(&["init", &cloud.vault_location()]).exits(0);
        cloud
    }

    /// A new bucket's location.
    pub(crate) fn new_bucket(&self) -> String {
        format!("s3://{}", self.server.new_bucket())
    }

    /// The vault's location: a prefix of its bucket.
    pub(crate) fn vault_location(&self) -> String {
        format!("s3://{}/vault", self.vault)
    }

    /// Writes objects straight to the server.
    pub(crate) fn put(&self, objects: &Bucket) {
        let target = location::open_target(&format!("s3://{}", self.source), &self.direct()).expect("a bucket").target;
        let writes = objects.iter().map(|(key, (bytes, attributes))| {
            let (target, body) = (target.clone(), bytes.clone());
            let object = NewObject {
                key: ObjectKey::from(key.as_str()),
                size: bytes.len() as u64,
                last_modified: Timestamp::default(),
                attributes: attributes.clone(),
            };
            async move {
                let body = stream::iter([Ok(body.into())]).boxed();
                target.write(&object, body, IfExists::Replace).await
            }
        });
        block_on(stream::iter(writes).buffer_unordered(32).try_collect::<()>()).expect("objects can be written");
    }

    /// Deletes an object straight from the server.
    pub(crate) fn remove(&self, key: &str) {
        let target = location::open_target(&format!("s3://{}", self.source), &self.direct()).expect("a bucket").target;
        block_on(target.delete(&key.into())).expect("an object can be deleted");
    }

    /// Everything in the source.
    pub(crate) fn source_contents(&self) -> Bucket {
        self.contents(&format!("s3://{}", self.source))
    }

    /// Everything in a bucket.
    pub(crate) fn contents(&self, bucket: &str) -> Bucket {
        let source = location::open_source(bucket, &self.direct()).expect("a bucket").source;
        let read = |entry: Entry| {
            let source = source.clone();
            async move {
                let read = source.read(Wanted::Current(&entry.key), None).await?;
                let bytes = read.body.try_collect::<Vec<_>>().await?.concat();
                Ok::<_, stocktake::Error>((entry.key.to_string(), (bytes, read.attributes)))
            }
        };
        let entries = self.entries(bucket);
        block_on(stream::iter(entries).map(read).buffer_unordered(32).try_collect()).expect("objects can be read")
    }

    /// The entries of a bucket, as a listing tells them.
    pub(crate) fn entries(&self, bucket: &str) -> Vec<Entry> {
        let listing = location::open_listing(bucket, &self.direct(), Arc::new(SystemClock)).expect("a bucket");
        block_on(list(&*listing)).expect("a bucket can be listed")
    }

    /// Delivers an inventory of the source as it is now, begun so many hours ago.
    pub(crate) fn deliver(&self, shape: Shape, hours_ago: u64) -> WrittenInventory {
        self.write(shape, hours_ago, &self.entries(&format!("s3://{}", self.source)))
    }

    /// Delivers an inventory of these entries.
    pub(crate) fn write(&self, shape: Shape, hours_ago: u64, entries: &[Entry]) -> WrittenInventory {
        let created = ago(std::time::Duration::from_secs(3600 * hours_ago));
        let spec = InventorySpec { source_bucket: self.source.clone(), created, ..InventorySpec::new(shape) };
        let to =
            location::open_inventory_store(&format!("s3://{}", self.inventories), &self.direct()).expect("a bucket");
        block_on(write(&*to.store, &spec, batches(entries)))
    }

    /// Backs up by the newest inventory.
    pub(crate) fn back_up(&self, options: &[&str]) -> Run {
        let (source, inventories) = (format!("s3://{}", self.source), format!("s3://{}/inv", self.inventories));
        self.on_vault("backup", &[&["--source", &source, "--inventory", &inventories], options].concat())
    }

    /// Runs a command on the vault.
    pub(crate) fn on_vault(&self, command: &str, options: &[&str]) -> Run {
        let vault = self.vault_location();
        self.program.json(&[&[command, "--vault", &vault], options].concat())
    }

    /// Settings that go past the proxy.
    fn direct(&self) -> Settings {
        Settings::new(settings(self.server, &self.server.endpoint()))
    }
}

/// Compares what two buckets hold, and names the first difference rather than showing all bytes.
#[track_caller]
pub(crate) fn assert_same(found: &Bucket, expected: &Bucket) {
    let keys = |bucket: &Bucket| bucket.keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(found), keys(expected));
    for (key, (bytes, attributes)) in found {
        assert_eq!(attributes, &expected[key].1, "attributes of {key}");
        assert!(*bytes == expected[key].0, "{key} has other bytes");
    }
}

fn settings(server: &Seaweed, endpoint: &str) -> Vec<(String, String)> {
    let settings = [
        ("AWS_ENDPOINT_URL", endpoint),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", server.access_key()),
        ("AWS_SECRET_ACCESS_KEY", server.secret_key()),
        ("AWS_ALLOW_HTTP", "true"),
    ];
    settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
}

async fn list(listing: &dyn InventoryReader) -> stocktake::Result<Vec<Entry>> {
    let inventory = listing.open(&listing.inventories().await?[0]).await?;
    let mut entries = Vec::new();
    for part in 0..inventory.parts() {
        let batches: Vec<_> = inventory.read(part).try_collect().await?;
        entries.extend(batches.iter().flat_map(|batch| batch.iter().map(|entry| entry.to_entry())));
    }
    Ok(entries)
}
