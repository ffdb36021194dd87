//! The messages of Protocol Buffers that footers are, field by field.
//!
//! Nothing is kept that is not asked for: a footer can name any number of things in two bytes each.

use std::io;

use crate::error::damaged;

/// The value of one field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    Number(u64),
    /// A text, a message, or packed numbers.
    Bytes(&'a [u8]),
    /// Four or eight bytes, which no field of interest is.
    Fixed,
}

impl<'a> Value<'a> {
    pub(crate) fn number(self) -> io::Result<u64> {
        match self {
            Self::Number(number) => Ok(number),
            _ => Err(damaged("a field of a footer is not a number")),
        }
    }

    pub(crate) fn bytes(self) -> io::Result<&'a [u8]> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            _ => Err(damaged("a field of a footer is not a message or text")),
        }
    }

    /// The numbers of a repeated field, which writers pack or not.
    pub(crate) fn each_number(self, mut take: impl FnMut(u64) -> io::Result<()>) -> io::Result<()> {
        match self {
            Self::Number(number) => take(number),
            Self::Bytes(mut packed) => {
                while !packed.is_empty() {
                    take(varint(&mut packed)?)?;
                }
                Ok(())
            }
            Self::Fixed => Err(damaged("a field of a footer is not a list of numbers")),
        }
    }
}

/// The fields of a message, as `(number, value)`. Ends after the first error.
pub(crate) fn fields(message: &[u8]) -> impl Iterator<Item = io::Result<(u64, Value<'_>)>> {
    let mut rest = message;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let field = field(&mut rest);
        if field.is_err() {
            rest = &[];
        }
        Some(field)
    })
}

fn field<'a>(rest: &mut &'a [u8]) -> io::Result<(u64, Value<'a>)> {
    let tag = varint(rest)?;
    let value = match tag & 7 {
        0 => Value::Number(varint(rest)?),
        1 => take(rest, 8).map(|_| Value::Fixed)?,
        2 => {
            let length = varint(rest)?;
            Value::Bytes(take(rest, length)?)
        }
        5 => take(rest, 4).map(|_| Value::Fixed)?,
        other => return Err(damaged(format!("a footer has a field of the wire type {other}"))),
    };
    Ok((tag >> 3, value))
}

fn take<'a>(rest: &mut &'a [u8], length: u64) -> io::Result<&'a [u8]> {
    let split = usize::try_from(length).ok().and_then(|length| rest.split_at_checked(length));
    let (taken, left) = split.ok_or_else(|| damaged("a footer ends within a field"))?;
    *rest = left;
    Ok(taken)
}

fn varint(rest: &mut &[u8]) -> io::Result<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, left) = rest.split_first().ok_or_else(|| damaged("a footer ends within a number"))?;
        *rest = left;
        value |= u64::from(byte & 0x7f) << shift;
        if *byte < 0x80 {
            return Ok(value);
        }
    }
    Err(damaged("a number in a footer has more than 64 bits"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(message: &[u8]) -> io::Result<Vec<(u64, Value<'_>)>> {
        fields(message).collect()
    }

    #[test]
    fn fields_come_in_order() {
        let message = [0x08, 0x96, 0x01, 0x12, 0x02, b'h', b'i', 0x1d, 1, 2, 3, 4, 0x08, 0x00];
        let expected = [(1, Value::Number(150)), (2, Value::Bytes(b"hi")), (3, Value::Fixed), (1, Value::Number(0))];
        assert_eq!(all(&message).unwrap(), expected);
    }

    #[test]
    fn what_is_cut_or_no_message_is_an_error() {
        for message in
            [&[0x08][..], &[0x12, 5, 1], &[0x1d, 1], &[0x0b], &[0xff; 11], &[0x12, 0xff, 0xff, 0xff, 0xff, 0xff]]
        {
            assert!(all(message).is_err(), "{message:?}");
        }
    }

    #[test]
    fn repeated_numbers_are_packed_or_not() {
        let numbers = |value: Value<'_>| {
            let mut numbers = Vec::new();
            let all = value.each_number(|number| {
                numbers.push(number);
                Ok(())
            });
            all.map(|()| numbers)
        };
        assert_eq!(numbers(Value::Bytes(&[1, 0x96, 0x01, 3])).unwrap(), [1, 150, 3]);
        assert_eq!(numbers(Value::Number(7)).unwrap(), [7]);
        assert!(numbers(Value::Bytes(&[0x80])).is_err());
    }
}
