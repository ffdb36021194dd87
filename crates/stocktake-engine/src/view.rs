//! Whether a job sees its source by an inventory or by listing it, and why.
//!
//! An inventory costs the source nothing and is some hours old; a listing is of
//! now and costs a request for each page. So a small source is listed and a large
//! one is not, and where the line lies is for whoever pays to say. What a listing
//! would cost is measured: it is begun, and read for a moment.
//!
//! The decision is a pure function; measuring is apart.

use std::fmt;
use std::time::Duration;

use futures::TryStreamExt;
use serde::{Deserialize, Serialize};
use stocktake_core::{Clock, Inventory, InventoryInfo, Result, Timestamp};

/// A way to see which objects a source has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum View {
    /// A delivered inventory is read.
    Inventory,
    /// The source is listed.
    Traverse,
}

impl fmt::Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Inventory => "inventory",
            Self::Traverse => "traverse",
        })
    }
}

/// Who decides between the inventories and the listing that a backup was given.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ViewRule {
    /// Nobody: the inventories are taken, or the job fails with what is wrong with them. Default.
    #[default]
    Inventories,
    /// The same, but where none of them is there, young enough and newer than the last one used, the source is listed.
    TraverseIfStale,
    /// [`choose_view`] does, within this budget.
    Choose(ListingBudget),
}

/// What a listing may cost to be preferred to a fresh inventory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ListingBudget {
    /// LIST requests. Default: 1,000, which list a million objects of most stores.
    pub requests: u64,
    /// Seconds. Default: 60.
    pub seconds: f64,
    /// In the currency of the price, if one is given. Default: whatever it costs.
    pub cost: Option<f64>,
    /// The price of a thousand LIST requests, in any currency. Default: not known.
    pub price_per_thousand: Option<f64>,
}

impl Default for ListingBudget {
    fn default() -> Self {
        Self { requests: 1_000, seconds: 60.0, cost: None, price_per_thousand: None }
    }
}

/// What is known of the inventories of a source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InventoryState {
    /// Nobody named a place where some are.
    Unnamed,
    /// None will do, for this reason.
    Unfit(String),
    /// This one will.
    Fresh(Box<InventoryInfo>),
}

/// A listing that was begun, and how far it came.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ListingProbe {
    /// Objects it saw.
    pub objects: u64,
    /// LIST requests it sent; none for a folder.
    pub requests: u64,
    /// How long it took.
    pub seconds: f64,
    /// Whether it came to the end, so that these are the numbers of the whole.
    pub complete: bool,
}

/// All that a choice rests on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ViewFacts {
    /// The inventories.
    pub inventory: InventoryState,
    /// When this was found out.
    pub now: Timestamp,
    /// Objects of the last snapshot of the same scope.
    pub last_objects: Option<u64>,
    /// A listing that was begun.
    pub probe: Option<ListingProbe>,
    /// What a listing may cost.
    pub budget: ListingBudget,
}

impl ViewFacts {
    /// There is nothing to choose from: the source is listed.
    pub fn without_inventory(now: Timestamp) -> Self {
        let (inventory, budget) = (InventoryState::Unnamed, ListingBudget::default());
        Self { inventory, now, last_objects: None, probe: None, budget }
    }
}

/// What a listing of the whole is expected to cost.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ListingEstimate {
    /// Objects.
    pub objects: u64,
    /// LIST requests.
    pub requests: u64,
    /// Seconds, at the rate that was measured; `None` where no time passed.
    pub seconds: Option<f64>,
    /// In the currency of the price; `None` where no price was given.
    pub cost: Option<f64>,
}

/// A decision and its reason.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ViewChoice {
    /// How the source is seen.
    pub view: View,
    /// Why, in words and numbers, for people.
    pub reason: String,
    /// The listing that was begun to find out.
    pub probe: Option<ListingProbe>,
    /// What listing the whole is expected to cost, where that could be told.
    pub estimate: Option<ListingEstimate>,
}

/// Decides how a source is seen.
///
/// Where no inventory will do, it is listed. Where one will, it is listed only if that
/// is expected to stay within the budget: by the probe, if that came to the end, or
/// else by the rate it measured and the number of objects in the last snapshot. Where
/// that number is not known, the inventory is taken.
pub fn choose_view(facts: &ViewFacts) -> ViewChoice {
    let estimate = estimate(facts);
    let listing = estimate.map(|estimate| describe(&estimate, facts));
    let (view, reason) = match (&facts.inventory, &listing) {
        (InventoryState::Unnamed, _) => (View::Traverse, "no inventory was named".to_owned()),
        (InventoryState::Unfit(problem), _) => (View::Traverse, format!("no inventory will do: {problem}")),
        (InventoryState::Fresh(info), Some(listing)) => {
            let age = age(facts.now.since(info.created));
            match estimate.and_then(|estimate| excess(&estimate, &facts.budget)) {
                None => (View::Traverse, format!("{listing}, and tells of now; the newest inventory is {age} old")),
                Some(excess) => {
                    let cost = format!("the inventory of {} ({age} old) costs the source no request", info.created);
                    (View::Inventory, format!("{cost}; {listing}, more than {excess}"))
                }
            }
        }
        (InventoryState::Fresh(info), None) => {
            let reason = "costs the source no request, and how many objects would have to be listed is not known";
            (View::Inventory, format!("the inventory of {} {reason}", info.created))
        }
    };
    let reason = match (&facts.inventory, listing) {
        (InventoryState::Fresh(_), _) | (_, None) => reason,
        (_, Some(listing)) => format!("{reason}; {listing}"),
    };
    ViewChoice { view, reason, probe: facts.probe, estimate }
}

fn estimate(facts: &ViewFacts) -> Option<ListingEstimate> {
    let probe = facts.probe?;
    let objects = if probe.complete { probe.objects } else { facts.last_objects?.max(probe.objects) };
    let times = if probe.complete { 1.0 } else { objects as f64 / probe.objects.max(1) as f64 };
    let requests = (probe.requests as f64 * times).ceil() as u64;
    let seconds = (probe.seconds > 0.0).then_some(probe.seconds * times);
    let cost = facts.budget.price_per_thousand.map(|price| price * requests as f64 / 1_000.0);
    Some(ListingEstimate { objects, requests, seconds, cost })
}

/// Which limit of the budget an estimate goes past.
fn excess(estimate: &ListingEstimate, budget: &ListingBudget) -> Option<String> {
    let over = |value: Option<f64>, limit: Option<f64>| value.zip(limit).is_some_and(|(value, limit)| value > limit);
    if estimate.requests > budget.requests {
        return Some(format!("the {} requests allowed", budget.requests));
    }
    if over(estimate.seconds, Some(budget.seconds)) {
        return Some(format!("the {} s allowed", budget.seconds));
    }
    over(estimate.cost, budget.cost).then(|| format!("the cost of {} allowed", budget.cost.unwrap_or_default()))
}

/// What a listing costs, as a clause.
fn describe(estimate: &ListingEstimate, facts: &ViewFacts) -> String {
    let ListingEstimate { objects, requests, seconds, cost } = *estimate;
    let complete = facts.probe.is_some_and(|probe| probe.complete);
    let (takes, about) = if complete { ("takes", "") } else { ("would take", "about ") };
    let mut text = format!("listing all {objects} objects {takes} {about}{requests} requests");
    if let Some(seconds) = seconds {
        text += &format!(" and {about}{seconds:.1} s");
    }
    if let Some(cost) = cost {
        text += &format!(" at a cost of {cost:.4}");
    }
    match facts.probe {
        Some(probe) if !complete => {
            let ListingProbe { objects, requests, seconds, .. } = probe;
            text + &format!(" (measured: {objects} objects by {requests} requests in {seconds:.1} s)")
        }
        _ => text,
    }
}

fn age(age: Duration) -> String {
    let minutes = age.as_secs() / 60;
    match minutes {
        0..120 => format!("{minutes} minutes"),
        _ if minutes < 48 * 60 => format!("{} hours", minutes / 60),
        _ => format!("{} days", minutes / (24 * 60)),
    }
}

/// How long a listing is tried.
const PROBE_TIME: Duration = Duration::from_secs(2);
/// How many objects of it are read at most.
const PROBE_OBJECTS: u64 = 50_000;

/// Begins a listing and reads it to its end, for two seconds, or for 50,000 objects, whichever comes first.
///
/// Its requests are in [`Inventory::source_lists`] of `listing`.
///
/// # Errors
/// Those of reading it.
pub async fn probe_listing(listing: &dyn Inventory, clock: &dyn Clock) -> Result<ListingProbe> {
    let begun = clock.now();
    let (mut objects, mut complete) = (0, true);
    'parts: for part in 0..listing.parts() {
        let mut batches = listing.read(part);
        while let Some(batch) = batches.try_next().await? {
            objects += batch.len() as u64;
            if objects >= PROBE_OBJECTS || clock.now().since(begun) >= PROBE_TIME {
                complete = false;
                break 'parts;
            }
        }
    }
    let seconds = clock.now().since(begun).as_secs_f64();
    Ok(ListingProbe { objects, requests: listing.source_lists(), seconds, complete })
}

#[cfg(test)]
mod tests {
    use super::*;
    use stocktake_core::{InventoryFormat, Location};

    fn facts(last_objects: Option<u64>, probe: ListingProbe) -> ViewFacts {
        let created = Timestamp::parse_rfc3339("2026-03-01T01:00:00Z").unwrap();
        let info = InventoryInfo {
            bucket: "photos".into(),
            files: 3,
            bytes: 1_000,
            ..InventoryInfo::new(Location::new("inv/manifest.json"), InventoryFormat::Csv, created)
        };
        let now = Timestamp::from_millis(created.as_millis() + 5 * 3_600_000);
        let budget = ListingBudget { price_per_thousand: Some(0.005), ..ListingBudget::default() };
        ViewFacts { inventory: InventoryState::Fresh(Box::new(info)), now, last_objects, probe: Some(probe), budget }
    }

    const BEGUN: ListingProbe = ListingProbe { objects: 50_000, requests: 55, seconds: 1.1, complete: false };

    #[test]
    fn a_large_source_is_seen_by_its_inventory_and_the_listing_is_priced() {
        let choice = choose_view(&facts(Some(100_000_000), BEGUN));
        assert_eq!(choice.view, View::Inventory);
        let estimate = choice.estimate.unwrap();
        assert_eq!((estimate.requests, estimate.cost), (110_000, Some(0.55)));
        assert!((estimate.seconds.unwrap() - 2_200.0).abs() < 1.0);
        for part in ["5 hours old", "about 110000 requests", "about 2200.0 s", "0.5500", "more than the 1000 requests"]
        {
            assert!(choice.reason.contains(part), "{part}: {}", choice.reason);
        }
    }

    #[test]
    fn a_source_that_is_listed_within_the_budget_is() {
        let whole = ListingProbe { complete: true, ..BEGUN };
        for facts in [facts(None, whole), facts(Some(60_000), BEGUN), facts(Some(100_000_000), whole)] {
            let choice = choose_view(&facts);
            assert_eq!(choice.view, View::Traverse, "{}", choice.reason);
            assert!(choice.reason.contains("the newest inventory is 5 hours old"), "{}", choice.reason);
        }
    }

    #[test]
    fn each_limit_of_the_budget_is_kept() {
        let with = |change: fn(&mut ListingBudget)| {
            let mut facts = facts(Some(100_000), BEGUN);
            change(&mut facts.budget);
            choose_view(&facts)
        };
        assert_eq!(with(|_| {}).view, View::Traverse);
        assert!(with(|budget| budget.requests = 100).reason.ends_with("more than the 100 requests allowed"));
        assert!(with(|budget| budget.seconds = 2.0).reason.ends_with("more than the 2 s allowed"));
        assert!(with(|budget| budget.cost = Some(0.0001)).reason.ends_with("more than the cost of 0.0001 allowed"));
    }

    #[test]
    fn without_an_inventory_there_is_nothing_to_choose_and_without_a_number_nothing_to_estimate() {
        let unknown = choose_view(&facts(None, BEGUN));
        assert_eq!((unknown.view, unknown.estimate), (View::Inventory, None));
        let unfit = ViewFacts { inventory: InventoryState::Unfit("there is none".into()), ..facts(Some(7), BEGUN) };
        let choice = choose_view(&unfit);
        assert!(choice.view == View::Traverse && choice.reason.contains("there is none"), "{}", choice.reason);
        let unnamed = ViewFacts { inventory: InventoryState::Unnamed, probe: None, ..unfit };
        assert_eq!(choose_view(&unnamed).reason, "no inventory was named");
    }

    #[test]
    fn a_choice_survives_being_written_down() {
        let choice = choose_view(&facts(Some(100_000_000), BEGUN));
        let text = serde_json::to_string(&choice).unwrap();
        assert_eq!(serde_json::from_str::<ViewChoice>(&text).unwrap(), choice);
        assert!(text.starts_with("{\"view\":\"inventory\",\"reason\":"), "{text}");
    }
}
