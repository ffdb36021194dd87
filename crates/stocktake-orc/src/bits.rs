//! Bytes and bits in runs. (ORC specification v1, "Byte Run Length Encoding" and "Boolean Run Length Encoding".)

use std::io;

use crate::stream::Stream;

/// The shortest run of equal values, to which a control byte adds.
pub(crate) const MIN_RUN: usize = 3;

/// What the next values of a run-length encoded stream are.
#[derive(Clone, Copy, Debug)]
enum Run {
    /// So many times this byte.
    Equal(usize, u8),
    /// So many bytes as they stand.
    Literal(usize),
}

/// Single bytes in runs.
pub(crate) struct Bytes {
    stream: Stream,
    run: Run,
}

impl Bytes {
    pub(crate) fn new(stream: Stream) -> Self {
        Self { stream, run: Run::Literal(0) }
    }

    pub(crate) fn next(&mut self) -> io::Result<u8> {
        loop {
            match &mut self.run {
                Run::Equal(0, _) | Run::Literal(0) => {}
                Run::Equal(left, byte) => {
                    *left -= 1;
                    return Ok(*byte);
                }
                Run::Literal(left) => {
                    *left -= 1;
                    return self.stream.byte();
                }
            }
            self.run = match control(self.stream.byte()?) {
                Control::Equal(length) => Run::Equal(length, self.stream.byte()?),
                Control::Literal(length) => Run::Literal(length),
            };
        }
    }
}

/// What a control byte announces, in bytes and in integers of the first version alike.
pub(crate) enum Control {
    Equal(usize),
    Literal(usize),
}

pub(crate) fn control(byte: u8) -> Control {
    match byte {
        0..=127 => Control::Equal(usize::from(byte) + MIN_RUN),
        128.. => Control::Literal(256 - usize::from(byte)),
    }
}

/// Bits, the high one of each byte first.
pub(crate) struct Bits {
    bytes: Bytes,
    byte: u8,
    left: u8,
}

impl Bits {
    pub(crate) fn new(stream: Stream) -> Self {
        Self { bytes: Bytes::new(stream), byte: 0, left: 0 }
    }

    pub(crate) fn next(&mut self) -> io::Result<bool> {
        if self.left == 0 {
            (self.byte, self.left) = (self.bytes.next()?, 8);
        }
        self.left -= 1;
        Ok(self.byte >> self.left & 1 == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::tests::stream;

    fn bytes(stored: &[u8], count: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Bytes::new(stream(0, stored));
        (0..count).map(|_| bytes.next()).collect()
    }

    // The examples of the specification.
    #[test]
    fn bytes_come_in_runs() {
        assert_eq!(bytes(&[0x61, 0x00], 100).unwrap(), [0; 100]);
        assert_eq!(bytes(&[0xfe, 0x44, 0x45, 0x00, 0x07], 5).unwrap(), [0x44, 0x45, 7, 7, 7]);
        assert!(bytes(&[0x61, 0x00], 101).is_err());
        assert!(bytes(&[0x61], 1).is_err());
    }

    #[test]
    fn the_high_bit_comes_first() {
        let mut bits = Bits::new(stream(0, &[0xff, 0x80]));
        let all: Vec<bool> = (0..8).map(|_| bits.next().unwrap()).collect();
        assert_eq!(all, [true, false, false, false, false, false, false, false]);
        assert!(bits.next().is_err());
    }
}
