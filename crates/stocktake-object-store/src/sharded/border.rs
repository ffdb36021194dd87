//! Where a listing may be cut in two, so that each key lies on one side.
//!
//! Amazon S3 lists keys in byte order. Some stores go through folders instead, so
//! that all of `a/` comes before `a-b`, although `-` is less than `/`. Which of the
//! two a store does can't be seen from what it lists, and a key that one side
//! leaves to the other would be lost. So a border is used only if no key is there
//! on whose side the two orders disagree; such keys are called disputed here, and
//! that there is none is asked of the store before it is cut.

/// A key, there or not: what is not greater lies to its left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Border {
    key: String,
    /// How much of it all keys of the listing begin with.
    shared: usize,
}

/// What must be empty, or a border can't be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Dispute {
    /// All that begins with this.
    Folder(String),
    /// All that begins with this and goes on with a byte below the slash.
    Siblings(String),
}

impl Border {
    /// A border among the keys that begin with `prefix`, as `key` does.
    pub(super) fn new(key: String, prefix: &str) -> Self {
        debug_assert!(key.starts_with(prefix));
        Self { key, shared: prefix.len() }
    }

    pub(super) fn key(&self) -> &str {
        &self.key
    }

    /// Whether `key` is greater, by its bytes.
    pub(super) fn is_before(&self, key: &[u8]) -> bool {
        key > self.key.as_bytes()
    }

    /// Whether the orders of stores disagree on which side of the border `key` lies, or on where a listing after the
    /// border goes on: one that goes through folders leaves out the folder that has the border's name.
    pub(super) fn is_disputed(&self, key: &[u8]) -> bool {
        let border = self.key.as_bytes();
        let same = key.iter().zip(border).take_while(|(a, b)| a == b).count();
        match (key.get(same), border.get(same)) {
            (Some(b'/'), Some(byte)) | (Some(byte), Some(b'/')) => *byte < b'/',
            (Some(byte), None) => *byte == b'/',
            _ => false,
        }
    }

    /// Where disputed keys would be.
    pub(super) fn disputes(&self) -> Vec<Dispute> {
        let bytes = self.key.as_bytes();
        let low = (self.shared..bytes.len()).filter(|at| bytes[*at] <= b'/');
        let mut disputes: Vec<_> = low
            .map(|at| match (bytes[at], &self.key[..at]) {
                (b'/', before) => Dispute::Siblings(before.to_owned()),
                (_, before) => Dispute::Folder(format!("{before}/")),
            })
            .collect();
        disputes.push(Dispute::Folder(format!("{}/", self.key)));
        disputes
    }
}

/// The greatest last character of a border: what begins with the text before it is nearly all to its left.
const LAST: char = '~';

/// Borders that could follow `current`, the last key listed so far, from the farthest to the nearest: one for each
/// place in it, so that to its right lie the keys that are greater in that place.
///
/// None lies at or beyond `end`.
pub(super) fn candidates(prefix: &str, current: &[u8], end: Option<&[u8]>) -> Vec<(usize, Border)> {
    let borders = (prefix.len()..current.len()).filter_map(|at| {
        let border = border_at(prefix, current, at, current[at])?;
        let beyond = end.is_some_and(|end| border.key.as_bytes() >= end);
        (border.is_before_key(current) && !beyond).then_some((at, border))
    });
    borders.collect()
}

/// The border after all that shares `current` up to `at` and has no greater byte than `byte` there.
pub(super) fn border_at(prefix: &str, current: &[u8], at: usize, byte: u8) -> Option<Border> {
    let before = std::str::from_utf8(&current[..at]).ok()?;
    // Digits and what follows them stand beyond the slash in either order, and leave room for `LAST`.
    let byte = byte.max(b'0');
    let fits = byte < LAST as u8;
    fits.then(|| Border::new(format!("{before}{}{LAST}", char::from(byte)), prefix))
}

impl Border {
    fn is_before_key(&self, key: &[u8]) -> bool {
        self.key.as_bytes() > key
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn by_folders(key: &[u8]) -> Vec<&[u8]> {
        key.split(|byte| *byte == b'/').collect()
    }

    fn text() -> impl Strategy<Value = String> {
        prop::collection::vec(prop::sample::select(vec!['a', '0', '1', '~', '-', '.', '/', ' ', 'é', '\u{1}']), 0..7)
            .prop_map(String::from_iter)
    }

    fn covers(dispute: &Dispute, key: &[u8]) -> bool {
        match dispute {
            Dispute::Folder(folder) => key.starts_with(folder.as_bytes()),
            Dispute::Siblings(name) => {
                key.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.first().is_some_and(|byte| *byte < b'/'))
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn both_orders_agree_on_every_key_that_is_not_disputed(prefix in text(), border in text(), key in text()) {
            let border = Border::new(format!("{prefix}{border}"), &prefix);
            let key = format!("{prefix}{key}").into_bytes();
            let disputed = border.is_disputed(&key);
            let agree = border.is_before(&key) == (by_folders(&key) > by_folders(border.key.as_bytes()));
            prop_assert!(disputed || agree, "{key:?} and {border:?}");
            prop_assert_eq!(disputed, border.disputes().iter().any(|dispute| covers(dispute, &key)));
        }

        #[test]
        fn candidates_come_from_the_farthest_and_lie_between(prefix in text(), current in text(), end in text()) {
            let (current, end) = (format!("{prefix}{current}").into_bytes(), format!("{prefix}{end}").into_bytes());
            let found = candidates(&prefix, &current, Some(&end));
            let keys: Vec<_> = found.iter().map(|(_, border)| border.key.as_bytes()).collect();
            prop_assert!(keys.iter().all(|key| *key > &current[..] && *key < &end[..]));
            prop_assert!(keys.is_sorted_by(|a, b| a > b), "{:?}", found);
        }
    }

    #[test]
    fn a_border_follows_all_that_begins_alike() {
        let found = candidates("logs/", b"logs/2026-03-01/a.gz", None);
        let keys: Vec<_> = found.iter().map(|(_, border)| border.key()).collect();
        assert_eq!(&keys[..6], ["logs/2~", "logs/20~", "logs/202~", "logs/2026~", "logs/20260~", "logs/2026-0~"]);
        let border = &found[5].1;
        assert_eq!(border.disputes(), [Dispute::Folder("logs/2026/".into()), Dispute::Folder("logs/2026-0~/".into())]);
    }
}
