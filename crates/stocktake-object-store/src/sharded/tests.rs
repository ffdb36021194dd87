//! Listings in parts of stores that list in either order, change meanwhile, and fail.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use futures::TryStreamExt;
use proptest::prelude::*;
use stocktake_core::{ObjectKey, Timestamp};

use super::*;

/// In which order a store lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    /// By the bytes of keys.
    Bytes,
    /// Folder by folder; a listing after `a` leaves out all of `a/`.
    Folders,
    /// By bytes, and from the beginning wherever it is to begin.
    FromTheBeginning,
}

impl Order {
    /// What the store orders keys by.
    fn rank(self, key: &[u8]) -> Vec<Vec<u8>> {
        match self {
            Self::Folders => key.split(|byte| *byte == b'/').map(<[u8]>::to_vec).collect(),
            Self::Bytes | Self::FromTheBeginning => vec![key.to_vec()],
        }
    }
}

/// A store in memory, with tiny pages.
#[derive(Debug)]
struct Model {
    /// By their ranks.
    keys: Mutex<BTreeMap<Vec<Vec<u8>>, Vec<u8>>>,
    order: Order,
    page_keys: usize,
    /// After how many requests it fails for good.
    fails_after: u64,
    /// Keys that come and go while it is listed.
    coming: Vec<Vec<u8>>,
    requests: AtomicU64,
    under_way: AtomicU64,
    most_under_way: AtomicU64,
    location: Location,
}

impl Model {
    fn new(order: Order, keys: impl IntoIterator<Item = Vec<u8>>) -> Self {
        Self {
            keys: Mutex::new(keys.into_iter().map(|key| (order.rank(&key), key)).collect()),
            order,
            page_keys: 10,
            fails_after: u64::MAX,
            coming: Vec::new(),
            requests: AtomicU64::new(0),
            under_way: AtomicU64::new(0),
            most_under_way: AtomicU64::new(0),
            location: Location::new("model:"),
        }
    }

    fn answer(&self, ask: &Ask<'_>) -> Page {
        let keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let start = match &ask.start {
            Start::Token(token) => Bound::Excluded(self.order.rank(&hex_decoded(token))),
            Start::After(after) if self.order != Order::FromTheBeginning => {
                Bound::Excluded(self.order.rank(after.as_bytes()))
            }
            Start::Beginning | Start::After(_) => Bound::Unbounded,
        };
        let (mut page, mut last) = (Page::default(), None::<&Vec<u8>>);
        for (_, key) in keys.range((start, Bound::Unbounded)) {
            let left_out = match &ask.start {
                Start::After(after) if self.order == Order::Folders => key.starts_with(format!("{after}/").as_bytes()),
                _ => false,
            };
            if left_out || !key.starts_with(ask.prefix.as_bytes()) {
                continue;
            }
            let folder = key[ask.prefix.len()..].iter().position(|byte| *byte == b'/').filter(|_| ask.by_folder);
            let folder = folder.map(|at| key[..=ask.prefix.len() + at].to_vec());
            if folder.is_some() && page.folders.last() == folder.as_ref() {
                last = Some(key);
                continue;
            }
            let limit = ask.limit.map_or(self.page_keys, |limit| limit as usize);
            if page.entries.len() + page.folders.len() == limit {
                page.next = last.map(|last| hex_encoded(last));
                break;
            }
            match folder {
                Some(folder) => page.folders.push(folder),
                None => page.entries.push(Entry::new(ObjectKey::from(&key[..]), 1, Timestamp::default())),
            }
            last = Some(key);
        }
        page
    }
}

fn hex_encoded(key: &[u8]) -> String {
    key.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn hex_decoded(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

#[async_trait]
impl ListPages for Model {
    async fn page(&self, ask: Ask<'_>) -> Result<Page> {
        let request = self.requests.fetch_add(1, Relaxed);
        self.most_under_way.fetch_max(1 + self.under_way.fetch_add(1, Relaxed), Relaxed);
        // So that lanes overtake each other.
        for _ in 0..(request * 7) % 5 {
            tokio::task::yield_now().await;
        }
        let page = self.answer(&ask);
        if let Some(key) = self.coming.get(request as usize % self.coming.len().max(1)) {
            let mut keys = self.keys.lock().unwrap();
            let rank = self.order.rank(key);
            if keys.remove(&rank).is_none() {
                keys.insert(rank, key.clone());
            }
        }
        for _ in 0..(request * 3) % 4 {
            tokio::task::yield_now().await;
        }
        self.under_way.fetch_sub(1, Relaxed);
        if request >= self.fails_after {
            return Err(Error::invalid("the store fails"));
        }
        Ok(page)
    }

    fn location(&self) -> &Location {
        &self.location
    }
}

const TINY: Limits = Limits { lanes: 6, head_pages: 2, folders: 4, depth: 3, pages_before_cut: 1 };

async fn listed(model: &Arc<Model>, prefix: &str) -> Result<Vec<Vec<u8>>> {
    let pages: Vec<_> = list(Arc::clone(model) as _, prefix, TINY).try_collect().await?;
    Ok(pages.into_iter().flatten().map(|entry| entry.key.as_bytes().to_vec()).collect())
}

fn run<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// Every key of `keys` with the prefix is listed once, and of `others` none twice.
fn check(model: Model, keys: &[Vec<u8>], prefix: &str) -> Arc<Model> {
    let model = Arc::new(model);
    let mut found = run(listed(&model, prefix)).unwrap();
    found.sort();
    assert!(found.windows(2).all(|pair| pair[0] != pair[1]), "a key came twice");
    let mut expected: Vec<_> = keys.iter().filter(|key| key.starts_with(prefix.as_bytes())).cloned().collect();
    expected.sort();
    expected.dedup();
    found.retain(|key| !model.coming.contains(key));
    assert_eq!(found, expected);
    model
}

fn key() -> impl Strategy<Value = Vec<u8>> {
    let pieces = ["a", "b", "0", "1", "9", "~", "-", ".", "/", "/", " ", "é", "\u{1}", "ab", "a-b"];
    let text = prop::collection::vec(prop::sample::select(pieces.to_vec()), 1..8).prop_map(|text| text.concat());
    prop_oneof![
        20 => text.prop_map(String::into_bytes),
        1 => prop::collection::vec(1..=255_u8, 1..5),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn each_key_comes_once_in_either_order_whatever_changes(
        keys in prop::collection::vec(key(), 0..250),
        coming in prop::collection::vec(key(), 0..6),
        prefix in prop::sample::select(vec!["", "a", "a/", "b/0"]),
    ) {
        let keys: Vec<_> = keys.into_iter().filter(|key| !coming.contains(key)).collect();
        for order in [Order::Bytes, Order::Folders, Order::FromTheBeginning] {
            let model = Model { coming: coming.clone(), ..Model::new(order, keys.clone()) };
            check(model, &keys, prefix);
        }
    }

    #[test]
    fn a_part_that_fails_fails_the_whole(
        keys in prop::collection::vec(key(), 200..400),
        share in 0.0..1.0_f64,
    ) {
        let whole = check(Model::new(Order::Bytes, keys.clone()), &keys, "");
        let fails_after = (whole.requests.load(Relaxed) as f64 * share) as u64;
        let model = Arc::new(Model { fails_after, ..Model::new(Order::Bytes, keys) });
        prop_assert!(run(listed(&model, "")).is_err());
    }
}

fn numbered(count: usize, name: impl Fn(usize) -> String) -> Vec<Vec<u8>> {
    (0..count).map(|number| name(number).into_bytes()).collect()
}

#[test]
fn all_lanes_are_busy_however_keys_are_spread() {
    let spread: [fn(usize) -> String; 6] = [
        |number| format!("{number:08}"),
        |number| format!("2026-{:02}-{:02}T{number:06}.log", number / 300 % 12, number / 10 % 30),
        |number| format!("one/folder/of/many/{:08x}", number.wrapping_mul(0x9e37_79b9)),
        |number| format!("users/{:08x}/avatar.png", number.wrapping_mul(0x9e37_79b9)),
        |number| format!("photos{}/{number:06}.jpg", ["", "-old", ".bak"][number % 3]),
        |number| if number < 100 { format!("{number}/x") } else { format!("z/{number}") },
    ];
    for name in spread {
        for order in [Order::Bytes, Order::Folders] {
            let keys = numbered(5_000, name);
            let model = check(Model::new(order, keys.clone()), &keys, "");
            let (requests, most) = (model.requests.load(Relaxed), model.most_under_way.load(Relaxed));
            assert_eq!(most, TINY.lanes as u64, "{}", name(7));
            // 500 pages are needed, and something is spent on finding out where to cut.
            assert!(requests < 800, "{requests} requests for {} in {order:?}", name(7));
        }
    }
}

#[test]
fn keys_that_the_orders_dispute_are_each_listed_once() {
    let spread: [fn(usize) -> String; 3] = [
        |number| match number % 4 {
            0 => format!("x{number}/file"),
            side => format!("2026{}{number:05}", ["-", "/", "."][side - 1]),
        },
        |number| format!("{:04}{}{number:05}", number % 40, ["-", "/", "~/", "0/"][number % 4]),
        |number| format!("{}/{}-{}/{number:03}", number % 7, number % 13, number % 3),
    ];
    for name in spread {
        for order in [Order::Bytes, Order::Folders] {
            let keys = numbered(2_000, name);
            check(Model::new(order, keys.clone()), &keys, "");
        }
    }
}

#[test]
fn a_small_bucket_costs_its_pages_and_comes_in_order() {
    for (count, requests) in [(0, 1), (10, 1), (11, 2), (20, 2)] {
        let keys = numbered(count, |number| format!("a/{number:03}"));
        let model = Arc::new(Model::new(Order::Bytes, keys.clone()));
        assert_eq!(run(listed(&model, "")).unwrap(), keys);
        assert_eq!(model.requests.load(Relaxed), requests, "{count} keys");
    }
}

#[test]
fn nothing_is_under_way_before_the_first_pages_are_taken() {
    run(async {
        let keys = numbered(500, |number| format!("{number:03}"));
        let model = Arc::new(Model::new(Order::Bytes, keys));
        let mut pages = list(Arc::clone(&model) as _, "", TINY);
        for taken in 1..=TINY.head_pages as u64 {
            assert!(pages.try_next().await.unwrap().is_some());
            assert_eq!(model.requests.load(Relaxed), taken);
        }
        drop(pages);
        tokio::task::yield_now().await;
        assert_eq!(model.under_way.load(Relaxed), 0);
    });
}

#[test]
fn a_dropped_listing_ends_its_lanes() {
    run(async {
        let model = Arc::new(Model::new(Order::Bytes, numbered(2_000, |number| format!("{number:04}"))));
        let mut pages = list(Arc::clone(&model) as _, "", TINY);
        for _ in 0..5 {
            pages.try_next().await.unwrap();
        }
        drop(pages);
        for _ in 0..200 {
            tokio::task::yield_now().await;
        }
        let requests = model.requests.load(Relaxed);
        for _ in 0..200 {
            tokio::task::yield_now().await;
        }
        assert_eq!((model.requests.load(Relaxed), Arc::strong_count(&model)), (requests, 1));
    });
}
