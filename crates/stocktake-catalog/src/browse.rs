//! Lists a snapshot as folders.
//!
//! A catalog is one sorted table; a folder is what keys up to a delimiter have in
//! common. Keys of one folder stand together, so the listing seeks past them:
//! it reads in proportion to what it yields, not to what is in the folders.

use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use stocktake_core::{KeyRange, Result, Row, RowBatch, Snapshot};

use crate::table::Table;

/// What stands in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listed {
    /// An object.
    Object(Box<Row>),
    /// What several keys begin with, up to and with the delimiter.
    Folder(Bytes),
}

/// Lists the objects and folders right below `prefix`, ascending.
///
/// # Errors
/// The stream ends in what the snapshot's own streams end in.
pub fn browse(snapshot: Arc<dyn Snapshot>, prefix: &[u8], delimiter: u8) -> BoxStream<'static, Result<Listed>> {
    let range = KeyRange::prefix(prefix);
    let listing = Listing {
        batches: snapshot.rows(range.clone()),
        snapshot,
        prefix_bytes: prefix.len(),
        end: range.end().map(Bytes::copy_from_slice),
        delimiter,
        batch: RowBatch::default(),
        next: 0,
    };
    stream::try_unfold(listing, async |mut listing| Ok(listing.next().await?.map(|listed| (listed, listing)))).boxed()
}

struct Listing {
    snapshot: Arc<dyn Snapshot>,
    prefix_bytes: usize,
    end: Option<Bytes>,
    delimiter: u8,
    batches: BoxStream<'static, Result<RowBatch>>,
    batch: RowBatch,
    next: usize,
}

impl Listing {
    async fn next(&mut self) -> Result<Option<Listed>> {
        while self.next == self.batch.len() {
            let Some(batch) = self.batches.try_next().await? else { return Ok(None) };
            (self.batch, self.next) = (batch, 0);
        }
        let key = self.batch.key(self.next);
        let Some(length) = key[self.prefix_bytes..].iter().position(|byte| *byte == self.delimiter) else {
            let row = self.batch.get(self.next).to_row();
            self.next += 1;
            return Ok(Some(Listed::Object(Box::new(row))));
        };
        let folder = Bytes::copy_from_slice(&key[..self.prefix_bytes + length + 1]);
        self.pass_over(&folder);
        Ok(Some(Listed::Folder(folder)))
    }

    /// Goes on behind the keys that begin with `folder`: within the batch, or by a new seek.
    fn pass_over(&mut self, folder: &[u8]) {
        let inside = KeyRange::prefix(folder);
        match inside.end() {
            Some(end) => self.next += self.batch.count_below(self.next, end),
            None => self.next = self.batch.len(),
        }
        if self.next == self.batch.len() {
            self.batches = match inside.end() {
                Some(end) => self.snapshot.rows(KeyRange::new(Bytes::copy_from_slice(end), self.end.clone())),
                None => stream::empty().boxed(),
            };
        }
    }
}
