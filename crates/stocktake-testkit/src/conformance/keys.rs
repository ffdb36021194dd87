//! Keys that stores and clients are known to confuse.
//!
//! Every one is legal in Amazon S3. Pairs that some layer takes for the same
//! name stand beside each other, so that a confusion shows as wrong bytes.

use stocktake_core::ObjectKey;

/// Keys that any layer may refuse, but none may change.
pub fn hostile() -> Vec<ObjectKey> {
    let mut keys: Vec<ObjectKey> = TEXTS.iter().map(|text| ObjectKey::from(*text)).collect();
    keys.push(ObjectKey::from(&b"latin/\xe9t\xe9"[..]));
    keys.push(ObjectKey::from(&b"latin/\xff"[..]));
    keys.push(ObjectKey::new(vec![b's'; 255]));
    keys.push(ObjectKey::new(vec![b's'; 256]));
    keys.push(ObjectKey::new([b"long/".to_vec(), b"0123456789abcde/".repeat(63), b"tail-of-key".to_vec()].concat()));
    keys
}

const TEXTS: &[&str] = &[
    "plain",
    "/plain",
    "plain/",
    "dir/file",
    "dir//file",
    "dir/./file",
    "dir/../plain",
    "../plain",
    "./plain",
    ".",
    "..",
    "/",
    "//",
    "dir/",
    "file/then/folder",
    "file/then",
    "a b",
    "a+b",
    "a%20b",
    "a%2520b",
    "a%2Fb",
    "a\\b",
    "back\\..\\slash",
    "tab\tin",
    "line\nbreak",
    "nul\0in",
    "bell\u{7}",
    "quote\"and'and`",
    "query?a=b&c=d",
    "fragment#here",
    "semi;colon:at@equals=comma,dollar$",
    "brackets[1]{2}(3)<4>|5^6~7!8*9",
    "é",
    "e\u{301}",
    "日本語/ключ",
    "🦀",
    "\u{202e}rtl",
    "\u{feff}bom",
    " leading",
    "trailing ",
    "trailing.",
    "CON",
    "Case",
    "case",
    ".hidden",
    "~",
    "$(touch x)",
    "-rf",
];
