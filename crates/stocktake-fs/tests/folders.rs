//! What only a folder can do to its readers and writers: links, changes in place, names that are not text.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::ffi::OsStr;
use std::fs::{self, FileTimes, OpenOptions};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};
use stocktake_core::{
    Attributes, BATCH_ROWS, Entry, Error, IfExists, InventoryReader, NewObject, ObjectKey, ObjectRead, Result, Source,
    SystemClock, Target, Timestamp, Vault, Wanted,
};
use stocktake_fs::{FsListing, FsSource, FsTarget, FsVault};
use tempfile::{TempDir, tempdir};

async fn list(root: &Path) -> Result<Vec<Entry>> {
    let listing = FsListing::new(root, Arc::new(SystemClock));
    let inventories = listing.inventories().await?;
    let inventory = listing.open(&inventories[0]).await?;
    let batches: Vec<_> = inventory.read(0).try_collect().await?;
    Ok(batches.iter().flat_map(|batch| batch.iter().map(|entry| entry.to_entry()).collect::<Vec<_>>()).collect())
}

async fn keys(root: &Path) -> Vec<String> {
    list(root).await.unwrap().iter().map(|entry| entry.key.to_string()).collect()
}

async fn collect(read: ObjectRead) -> Result<Bytes> {
    Ok(read.body.try_collect::<Vec<_>>().await?.concat().into())
}

async fn write(target: &FsTarget, key: &str, bytes: &'static str) -> Result<()> {
    let object = NewObject {
        key: key.into(),
        size: bytes.len() as u64,
        last_modified: Timestamp::from_millis(-1500),
        attributes: Attributes::default(),
    };
    target.write(&object, stream::iter([Ok(Bytes::from(bytes))]).boxed(), IfExists::Replace).await
}

fn folder_with(paths: &[&str]) -> TempDir {
    let folder = tempdir().unwrap();
    for path in paths {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, path.as_os_str().as_bytes()).unwrap();
    }
    folder
}

#[tokio::test]
async fn every_listed_file_can_be_read_by_its_entry() {
    let folder = folder_with(&["a-b", "a/b", "a/c/d", "a0", "ключ"]);
    let odd = OsStr::from_bytes(b"a/not\xff\nutf8");
    fs::write(folder.path().join(odd), "x").unwrap();
    let entries = list(folder.path()).await.unwrap();
    assert_eq!(entries.len(), 6);
    assert!(entries.is_sorted_by(|a, b| a.key < b.key));
    let source = FsSource::new(folder.path());
    for entry in &entries {
        let read = source.read(Wanted::Exactly(entry), None).await.unwrap();
        assert_eq!((read.size, &read.etag, &read.class), (entry.size, &entry.etag, &entry.class));
        let path = folder.path().join(OsStr::from_bytes(entry.key.as_bytes()));
        assert_eq!(collect(read).await.unwrap(), fs::read(path).unwrap());
    }
}

#[tokio::test]
async fn a_listing_of_more_than_a_batch_is_complete() {
    let folder = tempdir().unwrap();
    for n in 0..BATCH_ROWS + 10 {
        fs::write(folder.path().join(format!("{n:06}")), "").unwrap();
    }
    assert_eq!(keys(folder.path()).await.len(), BATCH_ROWS + 10);
}

#[tokio::test]
async fn each_file_comes_once_whatever_thread_walks_it() {
    let folder = tempdir().unwrap();
    let mut expected: Vec<String> = (0..BATCH_ROWS).map(|n| format!("flat/{n:05}")).collect();
    expected.extend((0..6_000).map(|n| format!("deep/{}/{}/{}/{n}", n % 2, n % 11, n % 101)));
    expected.extend((0..2_000).map(|n| format!("one-each/{n:04}/file")));
    for path in &expected {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }
    expected.sort();
    for threads in [1, 2, 8] {
        let listing = FsListing::new(folder.path(), Arc::new(SystemClock)).with_concurrency(threads);
        let inventory = listing.open(&listing.inventories().await.unwrap()[0]).await.unwrap();
        let batches: Vec<_> = inventory.read(0).try_collect().await.unwrap();
        let mut found =
            batches.iter().flat_map(|batch| batch.iter().map(|entry| String::from_utf8_lossy(entry.key).into()));
        let mut found: Vec<String> = found.by_ref().collect();
        assert!(threads > 1 || found.is_sorted());
        found.sort();
        assert_eq!(found, expected);
        // A reader that goes away leaves no thread waiting: the next round would never come.
        let mut batches = inventory.read(0);
        assert!(batches.try_next().await.unwrap().is_some());
    }
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_not_an_empty_one() {
    let folder = tempdir().unwrap();
    let missing = folder.path().join("missing");
    assert!(matches!(list(&missing).await, Err(Error::LocationNotFound { .. })));
    let outcome = FsSource::new(&missing).read(Wanted::Current(&"a".into()), None).await;
    assert!(matches!(outcome, Err(Error::LocationNotFound { .. })), "{outcome:?}");
}

#[tokio::test]
async fn links_pipes_and_empty_folders_are_no_objects() {
    let folder = folder_with(&["a/file"]);
    let path = folder.path();
    fs::create_dir(path.join("empty")).unwrap();
    symlink("a", path.join("folder-link")).unwrap();
    symlink("a/file", path.join("file-link")).unwrap();
    symlink("/etc/passwd", path.join("a/out")).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(path.join("pipe")).status().unwrap().success());
    assert_eq!(keys(path).await, ["a/file"]);
    let source = FsSource::new(path);
    for key in ["folder-link/file", "folder-link", "file-link", "a/out", "pipe", "empty"] {
        let outcome = source.read(Wanted::Current(&key.into()), None).await;
        assert!(matches!(outcome, Err(Error::ObjectNotFound { .. })), "{key}: {outcome:?}");
    }
}

#[tokio::test]
async fn a_file_written_in_place_while_it_is_read_ends_in_an_error() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("log");
    let append = || OpenOptions::new().append(true).open(&path).unwrap().write_all(b"more").unwrap();
    let overwrite = || OpenOptions::new().write(true).open(&path).unwrap().write_all(b"other").unwrap();
    let truncate = || OpenOptions::new().write(true).open(&path).unwrap().set_len(12 << 20).unwrap();
    for change in [&append as &dyn Fn(), &overwrite, &truncate] {
        fs::write(&path, vec![7; 24 << 20]).unwrap();
        // The clock of a file system stands still for some milliseconds.
        tokio::time::sleep(Duration::from_millis(20)).await;
        let source = FsSource::new(folder.path());
        let mut read = source.read(Wanted::Current(&"log".into()), None).await.unwrap();
        read.body.next().await.unwrap().unwrap();
        change();
        let outcome = collect(read).await;
        assert!(matches!(outcome, Err(Error::ObjectChanged { .. })), "{:?}", outcome.map(|bytes| bytes.len()));
    }
}

#[tokio::test]
async fn a_restored_file_has_the_time_of_the_original() {
    let folder = tempdir().unwrap();
    let target = FsTarget::new(folder.path().join("new"));
    write(&target, "dir/old", "bytes").await.unwrap();
    let modified = fs::metadata(folder.path().join("new/dir/old")).unwrap().modified().unwrap();
    assert_eq!(modified, UNIX_EPOCH - Duration::from_millis(1500));
    assert_eq!(target.stat(&"dir/old".into()).await.unwrap().unwrap().last_modified, Timestamp::from_millis(-1500));
}

#[tokio::test]
async fn folders_go_with_their_last_file_but_for_those_that_are_kept() {
    let home = tempdir().unwrap();
    let vault = FsVault::new(home.path()).keeping("mine/reports");
    for name in ["mine/reports/daily/data/a", "mine/other/b"] {
        vault.create(name, "x".into()).await.unwrap();
        vault.delete(name).await.unwrap();
    }
    assert!(home.path().join("mine/reports").is_dir());
    assert!(!home.path().join("mine/reports/daily").exists() && !home.path().join("mine/other").exists());
}

#[tokio::test]
async fn a_restore_of_nothing_makes_an_empty_folder() {
    let home = tempfile::tempdir().unwrap();
    let root = home.path().join("new/restored");
    FsTarget::new(&root).sync().await.unwrap();
    assert_eq!(fs::read_dir(&root).unwrap().count(), 0);
}

#[tokio::test]
async fn no_link_leads_a_restore_out_of_its_folder() {
    let outside = folder_with(&["victim"]);
    let folder = folder_with(&["a/file"]);
    symlink(outside.path(), folder.path().join("out")).unwrap();
    symlink(outside.path().join("victim"), folder.path().join("victim-link")).unwrap();
    let before = fs::read(outside.path().join("victim")).unwrap();
    let target = FsTarget::new(folder.path());
    for key in ["out/victim", "out/new", "out/deep/new", "../x", "a/../../x", "/etc/x"] {
        let outcome = write(&target, key, "overwritten").await;
        assert!(matches!(outcome, Err(Error::KeyUnsupported { .. })), "{key}: {outcome:?}");
        assert!(!matches!(target.stat(&key.into()).await, Ok(Some(_))), "{key}");
        drop(target.delete(&key.into()).await);
    }
    // A link in the file's own place gives way; what it points to does not.
    write(&target, "victim-link", "restored").await.unwrap();
    assert_eq!(fs::read_to_string(folder.path().join("victim-link")).unwrap(), "restored");
    assert_eq!(fs::read(outside.path().join("victim")).unwrap(), before);
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn a_key_cannot_be_a_file_and_a_folder() {
    let folder = tempdir().unwrap();
    let target = FsTarget::new(folder.path());
    write(&target, "a", "file").await.unwrap();
    let outcome = write(&target, "a/b", "below").await;
    assert!(matches!(outcome, Err(Error::KeyUnsupported { .. })), "{outcome:?}");
    write(&target, "dir/b", "file").await.unwrap();
    let outcome = write(&target, "dir", "above").await;
    assert!(matches!(outcome, Err(Error::KeyUnsupported { .. })), "{outcome:?}");
    // Once the folder's last file is gone, so is the folder.
    target.delete(&"dir/b".into()).await.unwrap();
    write(&target, "dir", "above").await.unwrap();
    assert_eq!(keys(folder.path()).await, ["a", "dir"]);
}

#[tokio::test]
async fn writers_and_deleters_of_neighbours_do_not_disturb_each_other() {
    let folder = tempdir().unwrap();
    let target = FsTarget::new(folder.path());
    let tasks = (0..8).map(|n| {
        let target = target.clone();
        tokio::spawn(async move {
            let key = format!("deep/er/{n}");
            for _ in 0..50 {
                write(&target, &key, "x").await.unwrap();
                target.delete(&ObjectKey::from(key.as_str())).await.unwrap();
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "the emptied folders are gone");
}

#[tokio::test]
async fn a_file_left_by_a_dead_writer_is_in_no_listing() {
    let folder = folder_with(&["jobs/1/pack", "jobs/1/.stocktake-99-0.tmp"]);
    let blobs: Vec<_> = FsVault::new(folder.path()).list("", None).try_collect().await.unwrap();
    assert_eq!(blobs.iter().map(|blob| &blob.name).collect::<Vec<_>>(), ["jobs/1/pack"]);
    assert_eq!(keys(folder.path()).await, ["jobs/1/pack"]);
}

#[tokio::test]
async fn a_touched_file_is_another_version_of_the_same_bytes() {
    let folder = folder_with(&["a"]);
    let entry = list(folder.path()).await.unwrap().remove(0);
    let file = OpenOptions::new().write(true).open(folder.path().join("a")).unwrap();
    file.set_times(FileTimes::new().set_modified(UNIX_EPOCH + Duration::from_secs(1))).unwrap();
    let outcome = FsSource::new(folder.path()).read(Wanted::Exactly(&entry), None).await;
    assert!(matches!(outcome, Err(Error::ObjectChanged { .. })), "{outcome:?}");
}
