//! Looking at a snapshot level by level, as at the folders of a file system.
//!
//! A level is found by seeking: where a folder goes on behind the rows at hand,
//! reading goes on behind the folder's last possible key. So the cost is that of
//! the names seen, not of all that lies below them.

use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use stocktake_core::{KeyRange, Result, Row, RowBatch, Snapshot};

/// One line of a level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LevelItem {
    /// An object whose key has no delimiter behind the prefix.
    Object(Box<Row>),
    /// Everything whose key begins with these bytes, which end in the delimiter.
    Prefix(Bytes),
}

/// Streams what lies directly under `prefix`: objects, and the prefixes that end at the next `delimiter`.
///
/// Items come in ascending order of their bytes, each once. The prefix itself
/// comes as an object where there is one of that key.
///
/// # Errors
/// In the stream, those of reading the snapshot. It then ends.
pub fn level(snapshot: Arc<dyn Snapshot>, prefix: &[u8], delimiter: u8) -> BoxStream<'static, Result<LevelItem>> {
    let range = KeyRange::prefix(prefix);
    let walk = Walk {
        rows: snapshot.rows(range.clone()),
        end: range.end().map(Bytes::copy_from_slice),
        seen: Some(Bytes::new()),
        snapshot,
        prefix_bytes: prefix.len(),
        delimiter,
    };
    let runs = stream::try_unfold(walk, |mut walk| async move {
        let items = walk.next_items().await?;
        Ok(items.map(|items| (stream::iter(items.into_iter().map(Ok)), walk)))
    });
    runs.try_flatten().boxed()
}

struct Walk {
    snapshot: Arc<dyn Snapshot>,
    rows: BoxStream<'static, Result<RowBatch>>,
    /// Where the level ends; `None` for never.
    end: Option<Bytes>,
    /// Keys below this one are in a folder that was told already; `None` when all others are.
    seen: Option<Bytes>,
    prefix_bytes: usize,
    delimiter: u8,
}

impl Walk {
    /// The items of the next batch; `None` at the end of the level.
    async fn next_items(&mut self) -> Result<Option<Vec<LevelItem>>> {
        let Some(batch) = self.rows.try_next().await? else { return Ok(None) };
        let items = self.items(&batch);
        let Some(seen) = &self.seen else {
            self.rows = stream::empty().boxed();
            return Ok(Some(items));
        };
        let last = batch.len().checked_sub(1).map(|last| batch.key(last));
        if last.is_some_and(|last| last < &seen[..]) {
            self.rows = self.snapshot.rows(KeyRange::new(seen.clone(), self.end.clone()));
        }
        Ok(Some(items))
    }

    fn items(&mut self, batch: &RowBatch) -> Vec<LevelItem> {
        let mut items = Vec::new();
        for row in batch.iter() {
            let key = row.entry.key;
            if self.seen.as_ref().is_none_or(|seen| key < &seen[..]) {
                continue;
            }
            match self.folder(key) {
                Some(folder) => {
                    self.seen = KeyRange::prefix(folder).end().map(Bytes::copy_from_slice);
                    items.push(LevelItem::Prefix(Bytes::copy_from_slice(folder)));
                }
                None => items.push(LevelItem::Object(Box::new(row.to_row()))),
            }
        }
        items
    }

    /// The part of `key` up to the first delimiter behind the prefix.
    fn folder<'k>(&self, key: &'k [u8]) -> Option<&'k [u8]> {
        let rest = &key[self.prefix_bytes..];
        let place = rest.iter().position(|byte| *byte == self.delimiter)?;
        Some(&key[..=self.prefix_bytes + place])
    }
}
