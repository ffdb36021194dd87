//! Listings in byte order, from stores that list in nearly that order.
//!
//! Amazon S3 lists names in byte order. SeaweedFS goes through folders, so that
//! all of `a/` comes before `a-b`, although `-` is less than `/`; and a listing
//! there that is to begin after `a` leaves out all of `a/`. Two things make up for
//! that. A listing begins where it is safe to begin in *both* orders. And names
//! pass through a window that sorts them; where a store is out of order by more
//! than the window holds, the listing ends in an error, never in a wrong order.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use futures::stream::{self, BoxStream, StreamExt};
use object_store::path::Path;
use stocktake_core::{BlobInfo, Error, Location, Result};

use crate::key::exact_path;

/// How many names the window holds.
const WINDOW_NAMES: usize = 8192;

/// A path to list after, so that in either order nothing greater than `text` is left out.
///
/// `folder`, empty or ending in `/`, is the part of `text` that every name begins
/// with. `None` when the listing must begin at the folder's first name.
pub(crate) fn safe_offset(folder: &str, text: &str) -> Option<Path> {
    let mut text = text[..in_both_orders(folder.len(), text)].trim_end_matches('/');
    while text.len() > folder.len() {
        let before = just_before(text);
        match exact_path(&before) {
            Ok(path) => return Some(path),
            Err(_) => text = text.rsplit_once('/').map_or("", |(before, _)| before),
        }
    }
    None
}

/// How much of `text` may be used as an offset.
///
/// Where a character below `/` follows `x`, the folder `x/` is greater than the
/// text in byte order, but comes earlier when folders are gone through.
fn in_both_orders(folder: usize, text: &str) -> usize {
    let bytes = text.as_bytes();
    let differs = |at: &usize| bytes[*at] < b'/' && *at > folder && bytes[*at - 1] != b'/';
    (0..bytes.len()).find(differs).unwrap_or(bytes.len())
}

/// A text that is a little less than `text`, and no folder of what is not.
fn just_before(text: &str) -> String {
    let mut before = text.to_owned();
    let less = before.pop().and_then(|last| {
        // One less than `0` is the slash.
        let step = if last == '0' { 2 } else { 1 };
        char::from_u32(u32::from(last).checked_sub(step)?)
    });
    before.extend(less.into_iter().chain(['~']));
    before
}

/// The names of a listing in ascending byte order, each once.
///
/// Holds up to 8,192 of them.
pub(crate) fn ascending(
    location: Location,
    names: BoxStream<'static, Result<BlobInfo>>,
) -> BoxStream<'static, Result<BlobInfo>> {
    let window = Window { location, names: Some(names), waiting: BinaryHeap::new(), last: None };
    stream::unfold(Some(window), |window| async {
        let mut window = window?;
        match window.next().await {
            Ok(Some(blob)) => Some((Ok(blob), Some(window))),
            Ok(None) => None,
            Err(error) => Some((Err(error), None)),
        }
    })
    .boxed()
}

struct Window {
    location: Location,
    names: Option<BoxStream<'static, Result<BlobInfo>>>,
    waiting: BinaryHeap<Reverse<ByName>>,
    last: Option<String>,
}

impl Window {
    async fn next(&mut self) -> Result<Option<BlobInfo>> {
        loop {
            self.fill().await?;
            let Some(Reverse(ByName(blob))) = self.waiting.pop() else { return Ok(None) };
            match self.last.as_ref().map(|last| blob.name.cmp(last)) {
                Some(std::cmp::Ordering::Equal) => {}
                Some(std::cmp::Ordering::Less) => return Err(self.out_of_order(&blob.name)),
                _ => {
                    self.last = Some(blob.name.clone());
                    return Ok(Some(blob));
                }
            }
        }
    }

    async fn fill(&mut self) -> Result<()> {
        while self.waiting.len() < WINDOW_NAMES
            && let Some(names) = &mut self.names
        {
            match names.next().await {
                Some(blob) => self.waiting.push(Reverse(ByName(blob?))),
                None => self.names = None,
            }
        }
        Ok(())
    }

    fn out_of_order(&self, name: &str) -> Error {
        let problem = format!("{name} came more than {WINDOW_NAMES} names too late");
        Error::Rejected { location: self.location.clone(), action: "list in order".into(), source: problem.into() }
    }
}

/// A blob that compares by its name.
struct ByName(BlobInfo);

impl Ord for ByName {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.name.cmp(&other.0.name)
    }
}

impl PartialOrd for ByName {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for ByName {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for ByName {}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::TryStreamExt;
    use stocktake_core::Timestamp;

    async fn sorted(names: impl IntoIterator<Item = String>) -> Result<Vec<String>> {
        let blob = |name| Ok(BlobInfo { name, size: 0, last_modified: Timestamp::default() });
        let blobs: Vec<_> = names.into_iter().map(blob).collect();
        let sorted = ascending(Location::new("memory:"), stream::iter(blobs).boxed());
        sorted.map_ok(|blob| blob.name).try_collect().await
    }

    #[tokio::test]
    async fn names_of_a_walk_by_folders_are_put_in_byte_order() {
        let names = ["a/b", "a/c/d", "a/c-d", "a+", "a-b", "a0"].map(str::to_owned);
        assert_eq!(sorted(names).await.unwrap(), ["a+", "a-b", "a/b", "a/c-d", "a/c/d", "a0"]);
    }

    #[tokio::test]
    async fn a_name_that_comes_twice_is_listed_once() {
        assert_eq!(sorted(["a", "b", "b", "a"].map(str::to_owned)).await.unwrap(), ["a", "b"]);
    }

    #[tokio::test]
    async fn disorder_beyond_the_window_is_an_error() {
        let late = (0..=WINDOW_NAMES).map(|n| format!("x{n:06}")).chain(["a".to_owned()]);
        assert!(matches!(sorted(late).await, Err(Error::Rejected { .. })));
    }

    #[test]
    fn an_offset_leaves_out_nothing_in_either_order() {
        let names = ["a+", "a-b", "a-b/c", "a.b", "a/b", "a/b-c", "a/b/d", "a/c-d", "a/c/d", "a0", "ab/c", "b"];
        let by_folders = |name: &str| name.split('/').map(str::to_owned).collect::<Vec<_>>();
        for text in [
            "a", "a-", "a-b", "a-b/", "a-b/c", "a.", "a/", "a/b", "a/b-c", "a/c-d", "a/c/", "a0", "ab/", "b", "a/./x",
            "a//", "/a",
        ] {
            let Some(offset) = safe_offset("", text) else { continue };
            for name in names.iter().filter(|name| **name > text) {
                assert!(*name > offset.as_ref(), "{name} after {text} by bytes");
                assert!(by_folders(name) > by_folders(offset.as_ref()), "{name} after {text} by folders");
                assert!(!name.starts_with(&format!("{offset}/")), "{name} after {text} in a folder");
            }
        }
    }

    #[test]
    fn an_offset_is_as_late_as_it_can_be() {
        let offset = |folder, text| safe_offset(folder, text).map(|path| path.to_string());
        assert_eq!(offset("slots/", "slots/0190ab").as_deref(), Some("slots/0190aa~"));
        assert_eq!(offset("slots/", "slots/0190ab-77").as_deref(), Some("slots/0190aa~"));
        assert_eq!(offset("slots/", "slots/10").as_deref(), Some("slots/1.~"));
        assert_eq!(offset("a-b/", "a-b/c").as_deref(), Some("a-b/b~"));
        assert_eq!(offset("", "a/b/").as_deref(), Some("a/a~"));
        assert_eq!(offset("a/", "a/"), None);
        assert_eq!(offset("", "/a"), None);
        assert_eq!(offset("a/", "a/ "), None);
    }
}
