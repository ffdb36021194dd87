//! One ORC file, decoded to columns.

use std::fs::File;
use std::io;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, TimeUnit, TimestampMillisecondType};
use orc_rust::projection::ProjectionMask;
use orc_rust::schema::TimestampPrecision;
use orc_rust::{ArrowReader, ArrowReaderBuilder};
use stocktake_core::{BATCH_ROWS, BytesColumn};
use stocktake_inventory::{ColumnarFile, RawColumn};

/// A file whose columns are chosen before its rows are decoded.
pub(crate) struct OrcFile {
    names: Vec<String>,
    state: State,
    /// Rows that the footer announces, and those that came.
    announced: u64,
    came: u64,
}

enum State {
    Opened(Box<ArrowReaderBuilder<File>>),
    Decoding { reader: Box<ArrowReader<File>>, chosen: Vec<String> },
    Ended,
}

impl OrcFile {
    pub(crate) fn open(file: File) -> io::Result<Self> {
        let builder = ArrowReaderBuilder::try_new(file).map_err(damaged)?;
        let metadata = builder.file_metadata();
        let names = metadata.root_data_type().children().iter().map(|column| column.name().to_owned()).collect();
        let announced = metadata.number_of_rows();
        // Nanoseconds would not reach beyond the year 2262.
        let builder = builder.with_timestamp_precision(TimestampPrecision::Microsecond).with_batch_size(BATCH_ROWS);
        Ok(Self { names, state: State::Opened(Box::new(builder)), announced, came: 0 })
    }

    fn decode(&mut self, batch: &RecordBatch) -> io::Result<Vec<RawColumn>> {
        let State::Decoding { chosen, .. } = &self.state else { return Ok(Vec::new()) };
        let column = |name: &String| {
            let array = batch.column_by_name(name).ok_or_else(|| problem(format!("the column {name} is missing")))?;
            raw(array).map_err(|error| problem(format!("the column {name}: {error}")))
        };
        chosen.iter().map(column).collect()
    }
}

impl ColumnarFile for OrcFile {
    fn columns(&self) -> Vec<String> {
        self.names.clone()
    }

    fn choose(&mut self, places: &[usize]) -> io::Result<()> {
        let State::Opened(builder) = std::mem::replace(&mut self.state, State::Ended) else {
            return Err(problem("its columns were chosen before".to_owned()));
        };
        let chosen: Vec<String> = places.iter().filter_map(|place| self.names.get(*place).cloned()).collect();
        let mask = ProjectionMask::named_roots(builder.file_metadata().root_data_type(), &chosen);
        self.state = State::Decoding { reader: Box::new(builder.with_projection(mask).build()), chosen };
        Ok(())
    }

    fn next(&mut self) -> io::Result<Option<Vec<RawColumn>>> {
        loop {
            let State::Decoding { reader, .. } = &mut self.state else { return Ok(None) };
            let Some(batch) = reader.next().transpose().map_err(damaged)? else {
                self.state = State::Ended;
                let (announced, came) = (self.announced, self.came);
                return match announced == came {
                    true => Ok(None),
                    false => Err(problem(format!("its footer announces {announced} rows, {came} came"))),
                };
            };
            if batch.num_rows() > 0 {
                self.came += batch.num_rows() as u64;
                return self.decode(&batch).map(Some);
            }
        }
    }
}

/// The values of a column.
fn raw(array: &ArrayRef) -> io::Result<RawColumn> {
    let to = |kind: &DataType| cast(array, kind).map_err(damaged);
    Ok(match array.data_type() {
        DataType::Boolean => RawColumn::Bools(array.as_boolean().iter().collect()),
        kind if kind.is_integer() => {
            RawColumn::Integers(to(&DataType::Int64)?.as_primitive::<Int64Type>().iter().collect())
        }
        DataType::Timestamp(..) => {
            let millis = to(&DataType::Timestamp(TimeUnit::Millisecond, None))?;
            RawColumn::Millis(millis.as_primitive::<TimestampMillisecondType>().iter().collect())
        }
        DataType::Binary => {
            RawColumn::Bytes(array.as_binary::<i32>().iter().map(Option::unwrap_or_default).collect::<BytesColumn>())
        }
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Dictionary(..) => {
            let texts = to(&DataType::Utf8)?;
            let texts = texts.as_string::<i32>().iter().map(|text| text.unwrap_or_default().as_bytes());
            RawColumn::Bytes(texts.collect::<BytesColumn>())
        }
        other => return Err(problem(format!("{other} is no type that an inventory has"))),
    })
}

fn damaged(error: impl std::error::Error) -> io::Error {
    problem(error.to_string())
}

fn problem(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}
