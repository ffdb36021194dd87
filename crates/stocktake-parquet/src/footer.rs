//! A look at a footer before the parquet crate parses it.
//!
//! That crate goes by the number of a field and not by the type it is written
//! with, believes the number of row groups and of a group's children when it
//! reserves memory, and builds the schema by recursion. So each field that it
//! reads must be of the type that Parquet's definition gives it, which makes it
//! read what was seen here; structures are counted, and the schema must be the
//! tree that it says it is, not too large and not too deep. Other fields are
//! passed over, as the crate does; but for collections of booleans, which no
//! footer has, and which the crate takes to be of no length.
//!
//! Source: `parquet.thrift` of the Apache Parquet format, version 2.12.

use crate::thrift::{ThriftReader, kind};
use crate::{Error, Result};

/// The most elements a schema may have.
const MAX_SCHEMA_ELEMENTS: u64 = 10_000;
/// The deepest nesting of a schema's groups.
const MAX_SCHEMA_DEPTH: usize = 64;
/// The bytes that the paths of all columns may take: each holds the names of the groups above it.
const MAX_PATH_BYTES: usize = 32 << 20;

/// The type of a field.
enum Type {
    Bool,
    Byte,
    /// Of 16, 32 or 64 bits, which are written alike.
    Integer,
    Double,
    Binary,
    List(&'static Type),
    Struct(&'static [(i16, Type)]),
}

use Type::{Binary, Bool, Byte, Double, Integer, List, Struct};

const EMPTY: Type = Struct(&[]);
const KEY_VALUE: Type = Struct(&[(1, Binary), (2, Binary)]);
const TIME_UNIT: Type = Struct(&[(1, EMPTY), (2, EMPTY), (3, EMPTY)]);
const TIME: Type = Struct(&[(1, Bool), (2, TIME_UNIT)]);
const LOGICAL_TYPE: Type = Struct(&[
    (1, EMPTY),
    (2, EMPTY),
    (3, EMPTY),
    (4, EMPTY),
    (5, Struct(&[(1, Integer), (2, Integer)])),
    (6, EMPTY),
    (7, TIME),
    (8, TIME),
    (10, Struct(&[(1, Byte), (2, Bool)])),
    (11, EMPTY),
    (12, EMPTY),
    (13, EMPTY),
    (14, EMPTY),
    (15, EMPTY),
    (16, Struct(&[(1, Byte)])),
    (17, Struct(&[(1, Binary)])),
    (18, Struct(&[(1, Binary), (2, Integer)])),
]);
const SCHEMA_ELEMENT: &[(i16, Type)] = &[
    (1, Integer),
    (2, Integer),
    (3, Integer),
    (NAME, Binary),
    (CHILDREN, Integer),
    (6, Integer),
    (7, Integer),
    (8, Integer),
    (9, Integer),
    (10, LOGICAL_TYPE),
];
const STATISTICS: Type =
    Struct(&[(1, Binary), (2, Binary), (3, Integer), (4, Integer), (5, Binary), (6, Binary), (7, Bool), (8, Bool)]);
const BOUNDING_BOX: Type =
    Struct(&[(1, Double), (2, Double), (3, Double), (4, Double), (5, Double), (6, Double), (7, Double), (8, Double)]);
const COLUMN_METADATA: Type = Struct(&[
    (1, Integer),
    (2, List(&Integer)),
    (3, List(&Binary)),
    (4, Integer),
    (5, Integer),
    (6, Integer),
    (7, Integer),
    (8, List(&KEY_VALUE)),
    (9, Integer),
    (10, Integer),
    (11, Integer),
    (12, STATISTICS),
    (13, List(&Struct(&[(1, Integer), (2, Integer), (3, Integer)]))),
    (14, Integer),
    (15, Integer),
    (16, Struct(&[(1, Integer), (2, List(&Integer)), (3, List(&Integer))])),
    (17, Struct(&[(1, BOUNDING_BOX), (2, List(&Integer))])),
]);
const COLUMN_CHUNK: Type = Struct(&[
    (1, Binary),
    (2, Integer),
    (3, COLUMN_METADATA),
    (4, Integer),
    (5, Integer),
    (6, Integer),
    (7, Integer),
    (8, Struct(&[(1, EMPTY), (2, Struct(&[(1, List(&Binary)), (2, Binary)]))])),
    (9, Binary),
]);
const ROW_GROUP: Type = Struct(&[
    (1, List(&COLUMN_CHUNK)),
    (2, Integer),
    (3, Integer),
    (4, List(&Struct(&[(1, Integer), (2, Bool), (3, Bool)]))),
    (5, Integer),
    (6, Integer),
    (7, Integer),
]);
const CIPHER: Type = Struct(&[(1, Binary), (2, Binary), (3, Bool)]);
const FILE_METADATA: &[(i16, Type)] = &[
    (1, Integer),
    (3, Integer),
    (4, List(&ROW_GROUP)),
    (5, List(&KEY_VALUE)),
    (6, Binary),
    (7, List(&Struct(&[(1, EMPTY), (2, EMPTY)]))),
    (8, Struct(&[(1, CIPHER), (2, CIPHER)])),
    (9, Binary),
];
/// The number of the schema among the fields of a footer.
const SCHEMA: i16 = 2;
/// The number of the name among the fields of an element.
const NAME: i16 = 4;
/// The number of the count of children among the fields of an element.
const CHILDREN: i16 = 5;

/// Passes over a footer, and sees that nothing in it asks for more than there is.
pub(crate) fn walk(footer: &[u8]) -> Result<()> {
    ThriftReader::new(footer).without_boolean_elements().structure(|reader, field, kind| match field {
        SCHEMA => walk_schema(reader, kind),
        _ => walk_field(reader, FILE_METADATA, field, kind),
    })
}

/// Passes over a field of a structure: one that is known must be of its type.
fn walk_field(reader: &mut ThriftReader<'_>, fields: &[(i16, Type)], field: i16, kind: u8) -> Result<()> {
    match fields.iter().find(|(known, _)| *known == field) {
        Some((_, expected)) => walk_value(reader, expected, kind),
        None => reader.skip(kind),
    }
}

fn walk_value(reader: &mut ThriftReader<'_>, expected: &Type, kind: u8) -> Result<()> {
    let fits = match expected {
        Bool => matches!(kind, kind::TRUE | kind::FALSE),
        Byte => kind == kind::I8,
        Integer => matches!(kind, kind::I16 | kind::I32 | kind::I64),
        Double => kind == kind::DOUBLE,
        Binary => kind == kind::BINARY,
        List(_) => kind == kind::LIST,
        Struct(_) => kind == kind::STRUCT,
    };
    if !fits {
        return Err(Error::damaged("a field of the footer is not of its type"));
    }
    match expected {
        List(element) => {
            let (kind, count) = reader.list()?;
            (0..count).try_for_each(|_| walk_value(reader, element, kind))
        }
        Struct(fields) => reader.structure(|reader, field, kind| walk_field(reader, fields, field, kind)),
        _ => reader.skip(kind),
    }
}

/// Passes over a schema: a tree, written as its elements in the order of a walk, each with its number of children.
fn walk_schema(reader: &mut ThriftReader<'_>, kind: u8) -> Result<()> {
    if kind != kind::LIST {
        return Err(Error::damaged("a schema that is no list"));
    }
    let (element, count) = reader.list()?;
    if element != kind::STRUCT || count > MAX_SCHEMA_ELEMENTS {
        return Err(Error::damaged(format!("a schema of {count} elements")));
    }
    // How many children each group that is open still lacks, and how long the path to it is.
    let mut open: Vec<(u64, usize)> = Vec::new();
    let mut paths = 0_usize;
    for place in 0..count {
        let (mut children, mut name) = (0, 0);
        reader.structure(|reader, field, kind| match (field, kind) {
            (CHILDREN, kind::I16 | kind::I32 | kind::I64) => reader.integer().map(|number| children = number),
            (NAME, kind::BINARY) => reader.binary().map(|bytes| name = bytes.len()),
            _ => walk_field(reader, SCHEMA_ELEMENT, field, kind),
        })?;
        let path = open.last().map_or(0, |(_, path)| *path).saturating_add(name);
        paths = paths.saturating_add(path);
        if paths > MAX_PATH_BYTES {
            return Err(Error::damaged("a schema with names that are too long"));
        }
        match open.last_mut() {
            Some((lacking, _)) => *lacking -= 1,
            None if place == 0 => {}
            None => return Err(Error::damaged("a schema with more than one root")),
        }
        let left = count - place - 1;
        match u64::try_from(children) {
            Ok(0) => {}
            Ok(children) if children <= left && open.len() < MAX_SCHEMA_DEPTH => open.push((children, path)),
            _ => return Err(Error::damaged("a schema that claims more than it has")),
        }
        while open.last().is_some_and(|(lacking, _)| *lacking == 0) {
            open.pop();
        }
    }
    if open.is_empty() { Ok(()) } else { Err(Error::damaged("a schema that lacks elements")) }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{FileMeta, FileOptions};

    const I32: u8 = 0x15;
    const I64: u8 = 0x16;

    fn varint(mut number: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        while number >= 0x80 {
            bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        bytes.push(number as u8);
        bytes
    }

    /// A footer with this schema: of each element the number of children, unless it states none, in a field of this
    /// type.
    fn footer(schema: &[Option<u32>], children_type: u8) -> Vec<u8> {
        let mut bytes = [&[0x15, 0x02, 0x19, 0xfc][..], &varint(schema.len() as u64)].concat();
        for children in schema {
            bytes.extend([0x48, 1, b'x']);
            if let Some(children) = children {
                bytes.push(children_type);
                bytes.extend(varint(2 * u64::from(*children)));
            }
            bytes.push(0);
        }
        bytes.extend([0x16, 0, 0x19, 0x0c, 0]);
        bytes
    }

    fn passes(schema: &[Option<u32>]) -> bool {
        let both = [I32, I64].map(|kind| walk(&footer(schema, kind)).is_ok());
        assert_eq!(both[0], both[1], "however the number is written");
        both[0]
    }

    #[test]
    fn a_schema_is_a_tree_of_what_is_there() {
        assert!(passes(&[Some(2), None, Some(1), None]));
        assert!(passes(&[Some(1), Some(1), Some(1), None]));
        assert!(passes(&[Some(0)]) && passes(&[None]) && passes(&[]));
        // More children than elements, elements of no group, a group that is not filled.
        assert!(!passes(&[Some(i32::MAX as u32)]));
        assert!(!passes(&[Some(1), None, None]));
        assert!(!passes(&[Some(2), Some(2), None, None]));
    }

    #[test]
    fn a_schema_of_deep_groups_or_countless_columns_is_refused_before_it_is_built() {
        let nested = |depth: usize| [vec![Some(1); depth], vec![None]].concat();
        assert!(passes(&nested(MAX_SCHEMA_DEPTH)));
        assert!(!passes(&nested(MAX_SCHEMA_DEPTH + 1)));
        let flat = |columns: u32| [vec![Some(columns)], vec![None; columns as usize]].concat();
        assert!(passes(&flat(9_999)));
        assert!(!passes(&flat(10_000)));
        let file = [&b"PAR1"[..], &footer(&nested(9_000), I32)].concat();
        let length = (file.len() - 4) as u32;
        let file = Bytes::from([&file[..], &length.to_le_bytes(), b"PAR1"].concat());
        assert!(matches!(FileMeta::read(&file, &FileOptions::default()), Err(Error::Damaged { .. })));
    }

    #[test]
    fn a_field_of_another_type_hides_nothing() {
        let sound = footer(&[Some(1), None], I32);
        let schema_at = 2;
        let groups_at = sound.len() - 3;
        assert!(walk(&sound).is_ok());
        for (at, head) in [
            // The schema as a structure, a number, bytes.
            (schema_at, 0x1c),
            (schema_at, 0x15),
            (schema_at, 0x18),
            // The row groups as bytes, a structure, a set.
            (groups_at, 0x18),
            (groups_at, 0x1c),
            (groups_at, 0x1a),
            // A name as a structure, children as a boolean and as bytes.
            (5, 0x4c),
            (8, 0x11),
            (8, 0x18),
        ] {
            let mut other = sound.clone();
            other[at] = head;
            assert!(walk(&other).is_err(), "{head:#x} at {at}");
        }
    }

    #[test]
    fn what_readers_take_to_be_of_different_lengths_is_refused() {
        // Field 50, a list of 15 booleans: to some the next 15 bytes are its elements, to others its list is over,
        // and they are a version and a schema of one element that claims 2^31 - 1 children.
        let hidden = b"\x05\x02\x02\x19\x1c\x48\x01x\x15\xfe\xff\xff\xff\x0f\x00";
        let list = [&b"\x09\x64\xf1\x0f"[..], hidden, b"\x00"].concat();
        let map = [&b"\x0b\x64\x0f\x11"[..], hidden, hidden, b"\x00"].concat();
        assert!(walk(&list).is_err() && walk(&map).is_err());
        // A list of numbers in the same place is passed over.
        assert!(walk(b"\x09\x64\x25\x02\x04\x00").is_ok());
    }

    #[test]
    fn names_that_would_be_copied_to_each_column_are_bounded() {
        let element = |name: usize, children: Option<u32>| {
            let mut bytes = [&[0x48][..], &varint(name as u64), &vec![b'x'; name]].concat();
            if let Some(children) = children {
                bytes.push(I32);
                bytes.extend(varint(2 * u64::from(children)));
            }
            bytes.push(0);
            bytes
        };
        let footer = |group: usize, leaves: u32| {
            let mut bytes = [&[0x15, 0x02, 0x19, 0xfc][..], &varint(u64::from(leaves) + 2)].concat();
            bytes.extend([element(1, Some(1)), element(group, Some(leaves))].concat());
            (0..leaves).for_each(|_| bytes.extend(element(1, None)));
            bytes.extend([0x16, 0, 0x19, 0x0c, 0]);
            bytes
        };
        assert!(walk(&footer(100, 9_000)).is_ok());
        assert!(walk(&footer(1 << 20, 9_000)).is_err());
    }

    #[test]
    fn more_row_groups_than_bytes_are_refused() {
        let mut bytes = footer(&[Some(1), None], I32);
        bytes.truncate(bytes.len() - 2);
        bytes.push(0xfc);
        bytes.extend(varint(1 << 30));
        assert!(walk(&bytes).is_err());
    }
}
