//! The streams of one stripe, and where they lie. (ORC specification v1, "Stripe Footer".)

use std::fs::File;
use std::io;
use std::sync::Arc;

use stocktake_inventory::RawColumn;

use crate::bits::Bits;
use crate::column::{Column, Parts};
use crate::error::{damaged, in_column};
use crate::proto::fields;
use crate::stream::{Place, Stream};
use crate::tail::{ColumnInfo, MAX_FOOTER_BYTES, StripeInfo, Tail};

/// The rows of a stripe, in the columns that were chosen.
pub(crate) struct Stripe {
    rows_left: u64,
    /// Which rows are there at all; all of them when there is no such stream.
    present: Option<Bits>,
    columns: Vec<(String, Column)>,
}

/// What the footer tells of one column.
#[derive(Clone, Copy, Debug, Default)]
struct Layout {
    present: Option<Place>,
    data: Option<Place>,
    length: Option<Place>,
    dictionary: Option<Place>,
    secondary: Option<Place>,
    encoding: u64,
    dictionary_size: u64,
}

impl Layout {
    /// The stream of a kind, in the numbers of the specification.
    fn stream(&mut self, kind: u64) -> Option<&mut Option<Place>> {
        match kind {
            0 => Some(&mut self.present),
            1 => Some(&mut self.data),
            2 => Some(&mut self.length),
            3 => Some(&mut self.dictionary),
            5 => Some(&mut self.secondary),
            // Indexes, filters and statistics, which rows can be read without.
            _ => None,
        }
    }
}

impl Stripe {
    pub(crate) fn open(file: &Arc<File>, tail: &Tail, info: &StripeInfo, chosen: &[ColumnInfo]) -> io::Result<Self> {
        let footer = Stream::new(file, tail.compression, info.footer).whole(MAX_FOOTER_BYTES)?;
        let ids: Vec<u64> = std::iter::once(0).chain(chosen.iter().map(|column| column.id)).collect();
        let (layouts, zone) = layouts(&footer, info, &ids)?;
        let nothing = Place { start: info.streams.start, length: 0 };
        let stream = |place: Option<Place>| Stream::new(file, tail.compression, place.unwrap_or(nothing));
        let bits = |place: Option<Place>| place.map(|place| Bits::new(stream(Some(place))));
        let mut columns = Vec::with_capacity(chosen.len());
        for (column, layout) in chosen.iter().zip(&layouts[1..]) {
            let parts = Parts {
                kind: column.kind,
                encoding: layout.encoding,
                present: bits(layout.present),
                data: stream(layout.data),
                length: stream(layout.length),
                dictionary: stream(layout.dictionary),
                secondary: stream(layout.secondary),
                dictionary_size: layout.dictionary_size.min(info.rows),
                zone: &zone,
            };
            let opened = Column::new(parts).map_err(|error| in_column(&column.name, &error))?;
            columns.push((column.name.clone(), opened));
        }
        Ok(Self { rows_left: info.rows, present: bits(layouts[0].present), columns })
    }

    /// The next rows, at most `limit`; `None` at the end.
    pub(crate) fn next(&mut self, limit: usize) -> io::Result<Option<Vec<RawColumn>>> {
        let rows = usize::try_from(self.rows_left).map_or(limit, |left| left.min(limit));
        if rows == 0 {
            return Ok(None);
        }
        if let Some(present) = &mut self.present {
            for _ in 0..rows {
                if !present.next()? {
                    return Err(damaged("a row is null"));
                }
            }
        }
        let read = |(name, column): &mut (String, Column)| column.read(rows).map_err(|error| in_column(name, &error));
        let columns = self.columns.iter_mut().map(read).collect::<io::Result<_>>()?;
        self.rows_left -= rows as u64;
        Ok(Some(columns))
    }
}

/// What the footer tells of the columns with these ids, and the writer's zone.
fn layouts(footer: &[u8], info: &StripeInfo, ids: &[u64]) -> io::Result<(Vec<Layout>, String)> {
    let mut layouts = vec![Layout::default(); ids.len()];
    let (mut at, mut encodings, mut zone) = (0, 0, String::new());
    for field in fields(footer) {
        match field? {
            (1, value) => at = place_stream(value.bytes()?, at, info, ids, &mut layouts)?,
            (2, value) => {
                if let Some(chosen) = ids.iter().position(|id| *id == encodings) {
                    (layouts[chosen].encoding, layouts[chosen].dictionary_size) = encoding(value.bytes()?)?;
                }
                encodings += 1;
            }
            (3, value) => zone = String::from_utf8_lossy(value.bytes()?).into_owned(),
            _ => {}
        }
    }
    Ok((layouts, zone))
}

/// Notes where a stream lies that begins `at` bytes into its stripe; returns where it ends.
fn place_stream(message: &[u8], at: u64, info: &StripeInfo, ids: &[u64], layouts: &mut [Layout]) -> io::Result<u64> {
    let (mut kind, mut column, mut length) = (0, 0, 0);
    for field in fields(message) {
        match field? {
            (1, value) => kind = value.number()?,
            (2, value) => column = value.number()?,
            (3, value) => length = value.number()?,
            _ => {}
        }
    }
    let end = at.checked_add(length).filter(|end| *end <= info.streams.length);
    let end = end.ok_or_else(|| damaged("a stream lies beyond its stripe"))?;
    let chosen = ids.iter().position(|id| *id == column);
    if let Some(place) = chosen.and_then(|chosen| layouts[chosen].stream(kind))
        && place.replace(Place { start: info.streams.start + at, length }).is_some()
    {
        return Err(damaged("a column has two streams of one kind"));
    }
    Ok(end)
}

/// The kind of an encoding, and how many values its dictionary has.
fn encoding(message: &[u8]) -> io::Result<(u64, u64)> {
    let (mut kind, mut dictionary_size) = (0, 0);
    for field in fields(message) {
        match field? {
            (1, value) => kind = value.number()?,
            (2, value) => dictionary_size = value.number()?,
            _ => {}
        }
    }
    Ok((kind, dictionary_size))
}
