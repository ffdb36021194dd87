//! How often a configuration delivers, judged from what it delivered.
//!
//! No manifest tells its schedule, so the spacing of the newest ones has to. The
//! median is taken, since a delivery that was missed or came late must not make
//! a daily inventory look like another; and scans that began soon after one
//! another count once, since OSS documents two results for one day.

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use stocktake_core::{InventoryInfo, Timestamp};

use crate::diagnose::CheckOutcome;

/// How many of the newest deliveries are looked at: what a schedule was before is of no use.
const NEWEST: usize = 15;

const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How often a configuration delivers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cycle {
    /// Median of the times between the scan starts of the newest deliveries.
    pub median_gap: Duration,
    /// How many such times there were.
    pub gaps: usize,
}

/// A schedule that clouds offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// Every day.
    Daily,
    /// Every seven days.
    Weekly,
    /// Every month; OSS and COS offer it.
    Monthly,
    /// None of these, as when inventories are made by hand or on a schedule of one's own.
    Other,
}

impl Cycle {
    /// The cycle of the configuration that the newest of `infos` belongs to.
    ///
    /// `None` when fewer than two of its inventories are ready. Order does not matter.
    pub fn of(infos: &[InventoryInfo]) -> Option<Self> {
        let mut created: Vec<_> = newest_configuration(infos).map(|info| info.created).collect();
        created.sort_unstable_by(|a, b| b.cmp(a));
        created.dedup();
        created.truncate(NEWEST);
        let kept = without_repeats(&created);
        let gaps = gaps(&kept);
        Some(Self { median_gap: median(&gaps)?, gaps: gaps.len() })
    }

    /// The schedule that this is, as near as scan starts wander.
    pub fn schedule(&self) -> Schedule {
        // Scans of one daily rule begin at about the same hour; that hour may move.
        match self.median_gap {
            gap if (20 * HOUR..=28 * HOUR).contains(&gap) => Schedule::Daily,
            gap if (6 * DAY..=8 * DAY).contains(&gap) => Schedule::Weekly,
            gap if (27 * DAY..=32 * DAY).contains(&gap) => Schedule::Monthly,
            _ => Schedule::Other,
        }
    }

    /// How long a cycle is: that of the schedule, so that some minutes more or less
    /// don't count; otherwise the median itself.
    pub fn length(&self) -> Duration {
        match self.schedule() {
            Schedule::Daily => DAY,
            Schedule::Weekly => 7 * DAY,
            // The shortest month, which a monthly backup has to live with.
            Schedule::Monthly => 28 * DAY,
            Schedule::Other => self.median_gap,
        }
    }
}

impl fmt::Display for Cycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.schedule() {
            Schedule::Daily => "daily, ",
            Schedule::Weekly => "weekly, ",
            Schedule::Monthly => "monthly, ",
            Schedule::Other => "",
        };
        let times = if self.gaps == 1 { "1 gap".to_owned() } else { format!("{} gaps", self.gaps) };
        write!(f, "every {} ({name}median of {times})", span(self.median_gap))
    }
}

/// Whether backups come no more often than the inventories they rest on.
///
/// Made by [`check_interval`]; its text has the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IntervalCheck {
    /// How often backups are to be made.
    pub backup_interval: Duration,
    /// How often inventories are delivered, if that can be told.
    pub cycle: Option<Cycle>,
}

/// Compares how often backups are to be made with how often inventories come.
///
/// A backup that finds no newer inventory than the last one used fails, so a
/// shorter interval than the cycle makes jobs that are bound to fail. Looks at
/// the configuration that the newest of `infos` belongs to.
pub fn check_interval(backup_interval: Duration, infos: &[InventoryInfo]) -> IntervalCheck {
    IntervalCheck { backup_interval, cycle: Cycle::of(infos) }
}

impl IntervalCheck {
    /// Passed when the interval is at least a cycle; unknown when the cycle is.
    pub fn outcome(&self) -> CheckOutcome {
        match self.cycle {
            None => CheckOutcome::Unknown,
            Some(cycle) if self.backup_interval < cycle.length() => CheckOutcome::Failed,
            Some(_) => CheckOutcome::Passed,
        }
    }
}

impl fmt::Display for IntervalCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let interval = span(self.backup_interval);
        match self.cycle {
            Some(cycle) => write!(f, "backups are to come every {interval}, inventories come {cycle}"),
            None => write!(f, "backups are to come every {interval}; fewer than two inventories tell no cycle"),
        }
    }
}

/// Those that are ready, of the configuration that the newest of them belongs to.
fn newest_configuration(infos: &[InventoryInfo]) -> impl Iterator<Item = &InventoryInfo> {
    let ready = || infos.iter().filter(|info| info.not_ready.is_none());
    let newest = ready().max_by_key(|info| info.created).map(|info| &*info.configuration);
    ready().filter(move |info| Some(&*info.configuration) == newest)
}

/// Leaves out, of times in descending order, those that repeat another: that come
/// within a quarter of the usual gap.
fn without_repeats(created: &[Timestamp]) -> Vec<Timestamp> {
    let Some(usual) = median(&gaps(created)) else { return created.to_vec() };
    let mut kept: Vec<Timestamp> = Vec::with_capacity(created.len());
    for time in created {
        if kept.last().is_none_or(|later| later.since(*time) >= usual / 4) {
            kept.push(*time);
        }
    }
    kept
}

/// The times between neighbours in descending order.
fn gaps(created: &[Timestamp]) -> Vec<Duration> {
    created.windows(2).map(|pair| pair[0].since(pair[1])).collect()
}

/// The median; of an even number the upper one, so that a day with two deliveries
/// beside an ordinary one counts as the exception.
fn median(gaps: &[Duration]) -> Option<Duration> {
    let mut sorted = gaps.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied()
}

/// A length of time as people say it, in its two largest units.
pub(crate) fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    let units = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let Some(first) = units.iter().position(|(length, _)| seconds >= *length) else { return "0 s".to_owned() };
    let mut rest = seconds;
    let parts = units[first..].iter().take(2).filter_map(|(length, unit)| {
        let count = rest / length;
        rest %= length;
        (count > 0).then(|| format!("{count} {unit}"))
    });
    parts.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use stocktake_core::{InventoryFormat, Location};

    fn info(configuration: &str, hours: i64) -> InventoryInfo {
        let location = Location::new(format!("s3://inv/photos/{configuration}/{hours}/manifest.json"));
        InventoryInfo {
            configuration: configuration.to_owned(),
            bucket: "photos".into(),
            files: 1,
            bytes: 1,
            ..InventoryInfo::new(
                location,
                InventoryFormat::Csv,
                Timestamp::from_millis(1_772_326_800_000 + hours * 3_600_000),
            )
        }
    }

    /// The cycle of scans that began in these hours.
    fn cycle(hours: &[i64]) -> Option<(u64, Schedule)> {
        let infos: Vec<_> = hours.iter().map(|hour| info("daily", *hour)).collect();
        Cycle::of(&infos).map(|cycle| (cycle.median_gap.as_secs() / 3600, cycle.schedule()))
    }

    #[test]
    fn the_cycle_is_the_median_of_the_newest_gaps() {
        assert_eq!(cycle(&[0, 24, 48, 72]), Some((24, Schedule::Daily)));
        assert_eq!(cycle(&[336, 168, 0]), Some((168, Schedule::Weekly)));
        assert_eq!(cycle(&[0, 24 * 31]), Some((744, Schedule::Monthly)));
        assert_eq!(cycle(&[0, 1, 2, 3]), Some((1, Schedule::Other)));
        // Once it was weekly.
        let switched: Vec<_> = (0..4).map(|week| week * 168).chain((1..15).map(|day| 504 + day * 24)).collect();
        assert_eq!(cycle(&switched), Some((24, Schedule::Daily)));
    }

    #[test]
    fn missed_late_and_double_deliveries_do_not_change_it() {
        assert_eq!(cycle(&[0, 24, 48, 144, 168]), Some((24, Schedule::Daily)), "three days without one");
        assert_eq!(cycle(&[0, 2, 24]), Some((22, Schedule::Daily)), "two on one day");
        assert_eq!(cycle(&[0, 24, 27, 48, 51, 72, 96]), Some((24, Schedule::Daily)), "two on two days");
        assert_eq!(cycle(&[0, 0, 24]), Some((24, Schedule::Daily)), "the same scan twice");
    }

    #[test]
    fn too_few_deliveries_tell_nothing() {
        assert_eq!(cycle(&[]), None);
        assert_eq!(cycle(&[5]), None);
        let mut unready = info("daily", 24);
        unready.not_ready = Some("manifest.checksum is missing".into());
        assert_eq!(Cycle::of(&[info("daily", 0), unready]), None);
        assert_eq!(Cycle::of(&[info("daily", 0), info("weekly", 24)]), None, "of two configurations");
    }

    #[test]
    fn backups_must_not_come_more_often_than_inventories() {
        let daily = [info("daily", 0), info("daily", 25), info("daily", 48)];
        let check = |interval| check_interval(interval, &daily);
        assert_eq!(check(DAY).outcome(), CheckOutcome::Passed, "an hour more or less does not count");
        assert_eq!(check(7 * DAY).outcome(), CheckOutcome::Passed);
        let short = check(Duration::from_secs(6 * 3600));
        assert_eq!(short.outcome(), CheckOutcome::Failed);
        assert_eq!(
            short.to_string(),
            "backups are to come every 6 h, inventories come every 1 d 1 h (daily, median of 2 gaps)"
        );
        let unknown = check_interval(DAY, &daily[..1]);
        assert_eq!(unknown.outcome(), CheckOutcome::Unknown);
        assert!(unknown.to_string().contains("fewer than two"));
    }

    #[test]
    fn spans_are_said_in_two_units() {
        let said = |seconds| span(Duration::from_secs(seconds));
        assert_eq!([said(0), said(59), said(3600), said(90_060)], ["0 s", "59 s", "1 h", "1 d 1 h"]);
    }
}
