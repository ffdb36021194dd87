//! Decompression of a data file that lets nothing pass for its end.
//!
//! A gzip file may have several members, and a common decoder stops after the
//! first; a member that is cut short, or something else behind the last one,
//! must not look like the end either: missing rows read as deletions.

use std::io::{self, BufRead, ErrorKind, Read};

use flate2::bufread::GzDecoder;

/// The first bytes of every gzip member.
pub(crate) const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The text of all members of a gzip file.
///
/// Zero bytes behind the last member are passed over with a warning, as padding;
/// anything else there is an error.
#[derive(Debug)]
pub(crate) struct Members<R> {
    state: State<R>,
}

#[derive(Debug)]
enum State<R> {
    /// Between members.
    Between(R),
    Within(Box<GzDecoder<R>>),
    Ended,
}

impl<R: BufRead> Members<R> {
    /// Reads a file that must begin with a member.
    pub(crate) fn new(input: R) -> Self {
        Self { state: State::Within(Box::new(GzDecoder::new(input))) }
    }
}

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        loop {
            self.state = match std::mem::replace(&mut self.state, State::Ended) {
                State::Ended => return Ok(0),
                State::Within(mut decoder) => match decoder.read(into) {
                    Ok(0) => State::Between(decoder.into_inner()),
                    Ok(count) => {
                        self.state = State::Within(decoder);
                        return Ok(count);
                    }
                    Err(error) if error.kind() == ErrorKind::Interrupted => State::Within(decoder),
                    Err(error) => return Err(error),
                },
                State::Between(mut input) => match input.fill_buf()?.first() {
                    None => State::Ended,
                    Some(0) => {
                        expect_padding(&mut input)?;
                        State::Ended
                    }
                    Some(_) => State::Within(Box::new(GzDecoder::new(input))),
                },
            };
        }
    }
}

/// Reads to the end, where there must be zero bytes only.
fn expect_padding(input: &mut impl BufRead) -> io::Result<()> {
    let mut length = 0_u64;
    loop {
        let bytes = input.fill_buf()?;
        if bytes.is_empty() {
            tracing::warn!(length, "zero bytes follow the compressed rows of a data file");
            return Ok(());
        }
        if bytes.iter().any(|byte| *byte != 0) {
            return Err(io::Error::new(ErrorKind::InvalidData, "something follows the compressed rows"));
        }
        length += bytes.len() as u64;
        let count = bytes.len();
        input.consume(count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write;

    fn member(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    fn text(bytes: &[u8]) -> io::Result<String> {
        // A small buffer makes members and padding straddle it.
        let mut text = String::new();
        Members::new(io::BufReader::with_capacity(5, bytes)).read_to_string(&mut text)?;
        Ok(text)
    }

    #[test]
    fn all_members_are_read() {
        let bytes = [member("one,"), member(""), member("two,"), member("three")].concat();
        assert_eq!(text(&bytes).unwrap(), "one,two,three");
    }

    #[test]
    fn whatever_is_cut_short_is_an_error() {
        let bytes = [member("one,"), member("two")].concat();
        let first = member("one,").len();
        for end in (0..bytes.len()).filter(|end| *end != first) {
            assert!(text(&bytes[..end]).is_err(), "cut after {end} bytes");
        }
    }

    #[test]
    fn zero_padding_is_passed_over_and_other_bytes_are_refused() {
        let padded = [member("one"), vec![0; 17]].concat();
        assert_eq!(text(&padded).unwrap(), "one");
        for garbage in [&b"x"[..], b"\0\0\0\0\0\0\0\0\0x", b"\x1f\x8b", b"\x1fx"] {
            assert!(text(&[&member("one"), garbage].concat()).is_err());
        }
    }

    #[test]
    fn an_altered_member_is_an_error() {
        let whole = member("some text that is long enough to be altered in the middle");
        for at in 10..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            assert!(text(&bytes).is_err(), "altered at {at}");
        }
    }
}
