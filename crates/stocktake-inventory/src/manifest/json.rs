//! JSON as clouds write it: numbers in quotes, and a comma behind the last member.
//!
//! The sample manifest of Huawei OBS ("Bucket Inventory Overview") ends a file
//! with such a comma; Tencent COS ("Inventory Overview") quotes every number.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::fault::{Fault, Result};

/// Decodes JSON that [`without_last_commas`] has passed.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|error| Fault::corrupt(format!("its manifest can't be read: {error}")))
}

/// The text with a blank for each comma that has a value before and a `}` or `]`
/// behind it. Within strings nothing is touched.
pub(super) fn without_last_commas(bytes: &[u8]) -> Cow<'_, [u8]> {
    let mut text = Cow::Borrowed(bytes);
    let (mut in_string, mut escaped) = (false, false);
    let mut last = b'[';
    let mut comma: Option<usize> = None;
    for (index, byte) in bytes.iter().copied().enumerate() {
        if in_string {
            (in_string, escaped) = (escaped || byte != b'"', !escaped && byte == b'\\');
            continue;
        }
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => continue,
            b',' => comma = (!matches!(last, b'[' | b'{' | b',' | b':')).then_some(index),
            b'}' | b']' => {
                if let Some(comma) = comma.take() {
                    text.to_mut()[comma] = b' ';
                }
            }
            _ => {
                comma = None;
                in_string = byte == b'"';
            }
        }
        last = byte;
    }
    text
}

/// A number, in quotes or not.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Number {
    Bare(u64),
    Quoted(String),
}

impl Number {
    /// Its digits, for numbers of which the length says something.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Bare(number) => number.to_string(),
            Self::Quoted(text) => text.trim().to_owned(),
        }
    }

    /// Its value; `name` is that of the member.
    pub(super) fn value(&self, name: &str) -> Result<u64> {
        match self {
            Self::Bare(number) => Ok(*number),
            Self::Quoted(text) => {
                let digits = text.trim();
                let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
                let value = digits.parse().ok().filter(|_| plain);
                value.ok_or_else(|| Fault::corrupt(format!("its {name} is no number: {digits:.40}")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comma_behind_the_last_value_is_forgiven_and_no_other() {
        let cases = [
            (r#"{"a": 1, }"#, r#"{"a": 1  }"#),
            ("[1,\n]", "[1 \n]"),
            (r#"{"a": [{"b": "x",},],}"#, r#"{"a": [{"b": "x" } ] }"#),
            (r#"{"a": ",}", "b": "\",]"}"#, r#"{"a": ",}", "b": "\",]"}"#),
            (r#"{"a": "\\", }"#, r#"{"a": "\\"  }"#),
            ("[,]", "[,]"),
            ("[1,,]", "[1,,]"),
            ("{,}", "{,}"),
        ];
        for (text, cleaned) in cases {
            assert_eq!(String::from_utf8_lossy(&without_last_commas(text.as_bytes())), cleaned);
        }
    }

    #[test]
    fn numbers_are_read_in_quotes_and_without() {
        let value = |text: &str| decode::<Number>(text.as_bytes())?.value("size");
        assert_eq!((value("7"), value("\" 7 \"")), (Ok(7), Ok(7)));
        for wrong in ["-1", "1.5", "\"\"", "\"+7\"", "\"seven\"", "\"99999999999999999999\"", "null"] {
            assert!(value(wrong).is_err(), "{wrong}");
        }
    }
}
