//! Which objects take part in a backup or a comparison.
//!
//! A glob is matched against the bytes of a key: `?` and `*` stand for any
//! characters but `/`, `**` for any at all, `[...]` for one of a set, `{a,b}` for
//! either. A glob without a `/` is matched at any depth, against what follows
//! the last `/` of a key, as `.gitignore` and rclone do; one with a `/` against
//! the whole key.

use std::sync::Arc;
use std::time::Duration;

use globset::{Candidate, GlobBuilder, GlobMatcher};
use serde::{Deserialize, Serialize};
use stocktake_core::{EntryRef, Error, Result, Timestamp, display_key};

/// Rules that an object has to meet, all of them. The default lets everything pass.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct FilterRules {
    /// Its key begins with one of these bytes. None: any key.
    pub prefixes: Vec<Vec<u8>>,
    /// Its key matches one of these globs. None: any key.
    pub include: Vec<String>,
    /// Its key matches none of these globs.
    pub exclude: Vec<String>,
    /// It has at least so many bytes.
    pub min_size: Option<u64>,
    /// It has at most so many bytes.
    pub max_size: Option<u64>,
    /// It was last modified at least so long ago.
    pub min_age: Option<Duration>,
    /// It was last modified at most so long ago.
    pub max_age: Option<Duration>,
    /// Its storage class is one of these. None: any class.
    pub classes: Vec<String>,
}

impl FilterRules {
    /// Whether everything passes.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The rules ready to be applied, ages reckoned from `now`.
    ///
    /// # Errors
    /// [`InvalidInput`](Error::InvalidInput) for a glob that is not one.
    pub fn compile(&self, now: Timestamp) -> Result<Filter> {
        let globs = |texts: &[String]| texts.iter().map(|text| compile_glob(text)).collect::<Result<Vec<_>>>();
        let ago = |age: Duration| {
            let millis = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
            Timestamp::from_millis(now.as_millis().saturating_sub(millis))
        };
        Ok(Filter(Arc::new(Compiled {
            prefixes: self.prefixes.clone(),
            include: globs(&self.include)?,
            exclude: globs(&self.exclude)?,
            sizes: (self.min_size.unwrap_or(0), self.max_size.unwrap_or(u64::MAX)),
            modified_until: self.min_age.map(ago),
            modified_from: self.max_age.map(ago),
            classes: self.classes.clone(),
        })))
    }

    /// The rules as texts, for a snapshot's [`Scope`](stocktake_core::Scope): equal rules give equal texts.
    pub fn texts(&self) -> Vec<String> {
        let Self { prefixes, include, exclude, min_size, max_size, min_age, max_age, classes } = self;
        let mut texts = Vec::new();
        texts.extend(prefixes.iter().map(|prefix| format!("prefix {}", display_key(prefix))));
        texts.extend(include.iter().map(|glob| format!("include {glob}")));
        texts.extend(exclude.iter().map(|glob| format!("exclude {glob}")));
        texts.extend(min_size.map(|size| format!("min-size {size}")));
        texts.extend(max_size.map(|size| format!("max-size {size}")));
        texts.extend(min_age.map(|age| format!("min-age {age:?}")));
        texts.extend(max_age.map(|age| format!("max-age {age:?}")));
        texts.extend(classes.iter().map(|class| format!("class {class}")));
        texts
    }
}

/// Compiled rules. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Filter(Arc<Compiled>);

#[derive(Debug)]
struct Compiled {
    prefixes: Vec<Vec<u8>>,
    include: Vec<GlobMatcher>,
    exclude: Vec<GlobMatcher>,
    sizes: (u64, u64),
    modified_until: Option<Timestamp>,
    modified_from: Option<Timestamp>,
    classes: Vec<String>,
}

impl Filter {
    /// Whether `entry` meets all rules.
    pub fn passes(&self, entry: &EntryRef<'_>) -> bool {
        let rules = &*self.0;
        (rules.sizes.0..=rules.sizes.1).contains(&entry.size)
            && rules.modified_until.is_none_or(|until| entry.last_modified <= until)
            && rules.modified_from.is_none_or(|from| entry.last_modified >= from)
            && (rules.classes.is_empty() || rules.classes.iter().any(|class| class == entry.class))
            && self.passes_key(entry.key)
    }

    /// Whether a key meets the rules about keys.
    pub fn passes_key(&self, key: &[u8]) -> bool {
        let rules = &*self.0;
        let candidate = Candidate::from_bytes(key);
        let any = |globs: &[GlobMatcher]| globs.iter().any(|glob| glob.is_match_candidate(&candidate));
        (rules.prefixes.is_empty() || rules.prefixes.iter().any(|prefix| key.starts_with(prefix)))
            && (rules.include.is_empty() || any(&rules.include))
            && !any(&rules.exclude)
    }
}

fn compile_glob(text: &str) -> Result<GlobMatcher> {
    let anywhere = if text.contains('/') { text.to_owned() } else { format!("**/{text}") };
    let glob = GlobBuilder::new(&anywhere).literal_separator(true).backslash_escape(true).build();
    glob.map(|glob| glob.compile_matcher()).map_err(|error| Error::invalid(format!("{text:?} is not a glob: {error}")))
}

#[cfg(test)]
mod tests {
    use stocktake_core::Entry;

    use super::*;

    fn passes(rules: &FilterRules, key: &[u8]) -> bool {
        rules.compile(Timestamp::default()).unwrap().passes_key(key)
    }

    fn include(glob: &str) -> FilterRules {
        FilterRules { include: vec![glob.into()], ..FilterRules::default() }
    }

    #[test]
    fn a_star_stays_within_a_segment_and_a_bare_glob_matches_at_any_depth() {
        let cases: [(&str, &[u8], bool); 14] = [
            ("*.jpg", b"a.jpg", true),
            ("*.jpg", b"x/y/a.jpg", true),
            ("*.jpg", b"a.jpg/b", false),
            ("x/*.jpg", b"x/a.jpg", true),
            ("x/*.jpg", b"x/y/a.jpg", false),
            ("x/**", b"x/y/a.jpg", true),
            ("x/**", b"xx/y", false),
            ("x/**/a", b"x/a", true),
            ("{a,b}/?", b"b/\xff", true),
            ("*", b"odd\nkey.", true),
            ("*.", b"x/ends.", true),
            ("..", b"x/..", true),
            ("x/", b"x/", true),
            ("/x", b"x", false),
        ];
        for (glob, key, expected) in cases {
            assert_eq!(passes(&include(glob), key), expected, "{glob} on {}", display_key(key));
        }
    }

    #[test]
    fn exclusion_wins_over_inclusion() {
        let rules = FilterRules { exclude: vec!["*.tmp".into()], ..include("a/**") };
        assert!(passes(&rules, b"a/b"));
        assert!(!passes(&rules, b"a/b.tmp"));
        assert!(!passes(&rules, b"b"));
    }

    #[test]
    fn size_age_class_and_prefix_all_have_to_fit() {
        let day = Duration::from_secs(86_400);
        let rules = FilterRules {
            prefixes: vec![b"a".to_vec(), b"b".to_vec()],
            min_size: Some(10),
            max_size: Some(20),
            min_age: Some(day),
            max_age: Some(3 * day),
            classes: vec!["STANDARD".into()],
            ..FilterRules::default()
        };
        let filter = rules.compile(Timestamp::from_millis(10 * 86_400_000)).unwrap();
        let entry = |key: &str, size, day_of: i64| {
            Entry::new(key, size, Timestamp::from_millis(day_of * 86_400_000)).with_class("STANDARD")
        };
        assert!(filter.passes(&entry("a", 10, 9).as_ref()));
        assert!(filter.passes(&entry("b/x", 20, 7).as_ref()));
        assert!(!filter.passes(&entry("c", 10, 9).as_ref()));
        assert!(!filter.passes(&entry("a", 9, 9).as_ref()));
        assert!(!filter.passes(&entry("a", 21, 9).as_ref()));
        assert!(!filter.passes(&entry("a", 10, 10).as_ref()));
        assert!(!filter.passes(&entry("a", 10, 6).as_ref()));
        assert!(!filter.passes(&entry("a", 10, 9).with_class("GLACIER").as_ref()));
    }

    #[test]
    fn a_glob_that_is_not_one_is_refused() {
        assert_eq!(include("[").compile(Timestamp::default()).unwrap_err().code(), "invalid_input");
    }
}
