//! One ORC file, decoded to columns.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::vec;

use stocktake_core::BATCH_ROWS;
use stocktake_inventory::{ColumnarFile, RawColumn};

use crate::column::check_kind;
use crate::error::in_column;
use crate::stripe::Stripe;
use crate::tail::{ColumnInfo, StripeInfo, Tail};

/// A file whose columns are chosen before its rows are decoded.
///
/// At any time it holds one batch of rows, and for each stream of a chosen column one block as it is stored and
/// one decompressed.
pub(crate) struct OrcFile {
    file: Arc<File>,
    tail: Tail,
    chosen: Vec<ColumnInfo>,
    /// The stripes that were not begun.
    stripes: vec::IntoIter<StripeInfo>,
    stripe: Option<Stripe>,
}

impl OrcFile {
    pub(crate) fn open(file: File) -> io::Result<Self> {
        let file = Arc::new(file);
        let tail = Tail::read(&file)?;
        Ok(Self { file, tail, chosen: Vec::new(), stripes: Vec::new().into_iter(), stripe: None })
    }
}

impl ColumnarFile for OrcFile {
    fn columns(&self) -> Vec<String> {
        self.tail.columns.iter().map(|column| column.name.clone()).collect()
    }

    fn choose(&mut self, places: &[usize]) -> io::Result<()> {
        self.chosen = places.iter().filter_map(|place| self.tail.columns.get(*place).cloned()).collect();
        for column in &self.chosen {
            check_kind(column.kind).map_err(|error| in_column(&column.name, &error))?;
        }
        self.stripes = std::mem::take(&mut self.tail.stripes).into_iter();
        Ok(())
    }

    fn next(&mut self) -> io::Result<Option<Vec<RawColumn>>> {
        loop {
            if let Some(stripe) = &mut self.stripe
                && let Some(rows) = stripe.next(BATCH_ROWS)?
            {
                return Ok(Some(rows));
            }
            let Some(info) = self.stripes.next() else { return Ok(None) };
            self.stripe = Some(Stripe::open(&self.file, &self.tail, &info, &self.chosen)?);
        }
    }
}
