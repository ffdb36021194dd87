//! Entity tags: opaque validators, packed into 18 bytes where they look like most do.
//!
//! Nearly every ETag is 32 hex digits, with `-N` behind it when the object came
//! in N parts. [`ETagCode`] holds such a tag as 16 bytes and a kind; any other
//! text keeps its bytes beside the code. Either way the text comes back exactly,
//! as a conditional request needs it.

use std::fmt;

/// The entity tag of an object version, without the surrounding quotes.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ETag(Box<str>);

impl ETag {
    /// Takes the text of a tag; one pair of surrounding quotes is dropped.
    pub fn new(text: &str) -> Self {
        let bare = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        Self(bare.unwrap_or(text).into())
    }

    /// Takes the text of a tag whose quotes were dropped before.
    pub(crate) fn bare(text: &str) -> Self {
        Self(text.into())
    }

    /// The tag's text, without quotes.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The packed form.
    pub fn code(&self) -> ETagCode {
        ETagCode::of(&self.0)
    }
}

impl fmt::Display for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0)
    }
}

impl From<&str> for ETag {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

/// An entity tag in 18 bytes: equal codes mean equal tags.
///
/// The kind says how to read the digest: absent, 32 hex digits, 32 hex digits
/// and a part count, or a text that stands elsewhere and whose hash this is.
/// Hex digits compare without case (OSS writes upper case), yet the case is
/// remembered so that [`ETagCode::text`] gives back what was read.
#[derive(Clone, Copy, Debug, Default)]
pub struct ETagCode {
    digest: [u8; 16],
    kind: u16,
}

const ABSENT: u16 = 0;
const PLAIN: u16 = 1;
const MAX_PARTS: u16 = 10_000;
const TEXT: u16 = 0x7fff;
const UPPER: u16 = 0x8000;

impl ETagCode {
    /// The code of an object that has no tag.
    pub const ABSENT: Self = Self { digest: [0; 16], kind: ABSENT };

    /// Packs a tag's text (without quotes). An empty text is an absent tag.
    pub fn of(text: &str) -> Self {
        if text.is_empty() {
            return Self::ABSENT;
        }
        Self::packed(text.as_bytes()).unwrap_or_else(|| Self {
            digest: blake3::hash(text.as_bytes()).as_bytes()[..16].try_into().expect("16 of 32 bytes"),
            kind: TEXT,
        })
    }

    /// Packs `text` if it is 32 hex digits of one case, with or without a part count.
    #[inline]
    pub fn packed(text: &[u8]) -> Option<Self> {
        let (hex, rest) = text.split_first_chunk::<32>()?;
        let (digest, upper) = decode_hex(hex)?;
        let kind = match rest {
            [] => PLAIN,
            [b'-', digits @ ..] => PLAIN + part_count(digits)?,
            _ => return None,
        };
        Some(Self { digest, kind: if upper { kind | UPPER } else { kind } })
    }

    /// Rebuilds a code from its stored parts, as [`ETagCode::into_parts`] gave them.
    /// `None` for parts that no tag has.
    #[inline]
    pub fn from_parts(digest: [u8; 16], kind: u16) -> Option<Self> {
        const LAST: u16 = PLAIN + MAX_PARTS;
        let known = match kind {
            ABSENT => digest == [0; 16],
            TEXT => true,
            _ => matches!(kind & !UPPER, PLAIN..=LAST),
        };
        known.then_some(Self { digest, kind })
    }

    /// The digest and the kind, for storing.
    pub fn into_parts(self) -> ([u8; 16], u16) {
        (self.digest, self.kind)
    }

    /// Whether there is no tag.
    pub fn is_absent(self) -> bool {
        self.kind == ABSENT
    }

    /// Whether the tag's text stands beside the code rather than in it.
    pub fn is_text(self) -> bool {
        self.kind & !UPPER == TEXT
    }

    /// The 16 bytes of a tag that has the shape of an MD5: 32 hex digits and no dash.
    ///
    /// Whether it *is* the MD5 of the content depends on the encryption of the
    /// object, which is for the caller to know.
    pub fn md5_shaped(self) -> Option<[u8; 16]> {
        (self.kind & !UPPER == PLAIN).then_some(self.digest)
    }

    /// The tag's text; `None` when absent, or when it [stands elsewhere](Self::is_text).
    pub fn text(self) -> Option<String> {
        use fmt::Write;
        let kind = self.kind & !UPPER;
        if kind == ABSENT || kind == TEXT {
            return None;
        }
        let upper = self.kind & UPPER != 0;
        let mut text = String::with_capacity(38);
        for byte in self.digest {
            let written = if upper { write!(text, "{byte:02X}") } else { write!(text, "{byte:02x}") };
            written.expect("writing to a string cannot fail");
        }
        if kind > PLAIN {
            write!(text, "-{}", kind - PLAIN).expect("writing to a string cannot fail");
        }
        Some(text)
    }

    /// The 18 bytes that identify the tag: the case of hex digits left out.
    pub fn identity(self) -> ([u8; 16], u16) {
        (self.digest, self.kind & !UPPER)
    }
}

impl PartialEq for ETagCode {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }
}

impl Eq for ETagCode {}

/// `N` of a `-N` suffix: 1 to 10,000, without a leading zero, so that the text can be rebuilt.
fn part_count(digits: &[u8]) -> Option<u16> {
    if digits.is_empty() || digits.len() > 5 || digits[0] == b'0' {
        return None;
    }
    let mut count = 0_u32;
    for digit in digits {
        count = count * 10 + u32::from(digit.is_ascii_digit().then(|| digit - b'0')?);
    }
    u16::try_from(count).ok().filter(|count| *count <= MAX_PARTS)
}

/// 32 hex digits of one case as 16 bytes, and whether that case is upper.
///
/// Every step is the same for all digits, without a branch or a table, so that
/// the compiler does many of them at once.
#[inline]
fn decode_hex(hex: &[u8; 32]) -> Option<([u8; 16], bool)> {
    let (mut values, mut bad, mut lower, mut upper) = ([0_u8; 32], 0, 0, 0);
    for (value, digit) in values.iter_mut().zip(hex) {
        let is_lower = u8::from(digit.wrapping_sub(b'a') < 6);
        let is_upper = u8::from(digit.wrapping_sub(b'A') < 6);
        let is_digit = u8::from(digit.wrapping_sub(b'0') < 10);
        bad |= (is_lower | is_upper | is_digit) ^ 1;
        lower |= is_lower;
        upper |= is_upper;
        // Letters have bit 6, and count from 1 in their lowest four bits.
        *value = (digit & 0x0f) + 9 * (digit >> 6 & 1);
    }
    let mut digest = [0; 16];
    for (byte, pair) in digest.iter_mut().zip(values.as_chunks::<2>().0) {
        *byte = pair[0] << 4 | pair[1];
    }
    (bad == 0 && lower & upper == 0).then_some((digest, upper == 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MD5: &str = "0cc175b9c0f1b6a831c399e269772661";

    #[test]
    fn quotes_are_dropped_once() {
        assert_eq!(ETag::new("\"abc\"").as_str(), "abc");
        assert_eq!(ETag::new("abc\"").as_str(), "abc\"");
    }

    #[test]
    fn hex_compares_without_case_and_keeps_its_text() {
        let upper = MD5.to_uppercase();
        assert_eq!(ETagCode::of(MD5), ETagCode::of(&upper));
        assert_eq!(ETagCode::of(&upper).text().as_deref(), Some(upper.as_str()));
    }

    #[test]
    fn only_a_tag_without_a_dash_is_shaped_like_an_md5() {
        assert!(ETagCode::of(MD5).md5_shaped().is_some());
        assert!(ETagCode::of(&format!("{MD5}-3")).md5_shaped().is_none());
        assert!(ETagCode::of("opaque").md5_shaped().is_none());
        assert!(ETagCode::of("").is_absent());
    }

    #[test]
    fn texts_that_cannot_be_rebuilt_are_not_packed() {
        for text in ["Ab75b9c0f1b6a831c399e26977266100", "-03", "-0", "-10001", "-", "x"] {
            let tag = if text.len() == 32 { text.to_owned() } else { format!("{MD5}{text}") };
            assert!(ETagCode::of(&tag).is_text(), "{tag}");
        }
    }

    #[test]
    fn parts_that_no_tag_has_are_refused() {
        let parts = |first, kind| ETagCode::from_parts([first; 16], kind);
        assert_eq!(parts(0, ABSENT), Some(ETagCode::ABSENT));
        assert!(
            [(1, PLAIN), (1, UPPER | PLAIN), (1, PLAIN + MAX_PARTS), (1, TEXT)]
                .iter()
                .all(|(first, kind)| parts(*first, *kind).is_some())
        );
        for (first, kind) in [(1, ABSENT), (0, UPPER), (1, PLAIN + MAX_PARTS + 1), (1, UPPER | TEXT)] {
            assert_eq!(parts(first, kind), None, "{kind:#x}");
        }
    }

    proptest! {
        #[test]
        fn packing_gives_the_text_back(tag in "([0-9a-f]{32}|[0-9A-F]{32})(-[1-9][0-9]{0,3})?") {
            prop_assert_eq!(ETagCode::of(&tag).text(), Some(tag));
        }

        #[test]
        fn equal_codes_mean_equal_tags_but_for_case(a in "[0-9a-c]{2,3}", b in "[0-9a-c]{2,3}") {
            prop_assert_eq!(ETagCode::of(&a) == ETagCode::of(&b), a == b);
        }
    }
}
