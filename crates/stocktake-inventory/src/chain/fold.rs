//! What came of a key: the rules by which events and rows of a base become an object.
//!
//! Records of a key come the newest event first, and rows of the base last.
//!
//! - **The sequence number decides, and no clock.** Of a key without versions the
//!   newest event is what it is now; a row of the base is not looked at, however
//!   new, since what it shows was there either before that event, or after the
//!   last delta ended.
//! - **An event counts once.** The same one may come again, where spans overlap;
//!   two that differ under one number are a contradiction.
//! - **With versions, the newest one that is left is the current one.** A version
//!   that was created after the base's scan began is newer than all that the base
//!   lists beside it. So walking back from the newest event, the first version
//!   created that was not removed later decides. Where none is left, the base's
//!   rows do, without those that were removed: the one it calls latest, else the
//!   one modified last. If two were modified in the same second, nobody can know.
//!
//! Memory: the ids of [`MAX_VERSIONS`] versions of one key.

use std::collections::{HashMap, HashSet};

use crate::fault::{Fault, Result};

use super::record::{Facts, Kind, Record, check_comparable};

/// The most versions of one key that may be removed or updated within a chain, of those that do not decide.
const MAX_VERSIONS: usize = 200_000;

/// Puts the records of one key together.
#[derive(Debug)]
pub(super) struct Fold {
    /// The newest event; what came of the key takes its key, time and place from it.
    newest: Record,
    previous: Record,
    /// Whether rows tell versions apart.
    versioned: bool,
    outcome: Option<(Kind, String, Option<Facts>)>,
    removed: HashSet<String>,
    updated: HashMap<String, (String, Facts)>,
    candidates: Candidates,
}

/// The versions of which one is the current one.
#[derive(Debug, Default)]
struct Candidates {
    best: Option<Candidate>,
    /// Whether another is as good.
    tied: bool,
}

#[derive(Debug)]
struct Candidate {
    rank: (bool, i64),
    marker: bool,
    version: String,
    facts: Option<Facts>,
}

impl Fold {
    /// Begins with the newest event of a key. Where rows do not tell versions apart, the first one decides.
    pub(super) fn new(newest: Record, versioned: bool) -> Result<Self> {
        let mut fold = Self {
            previous: newest.clone(),
            newest: newest.clone(),
            versioned,
            outcome: None,
            removed: HashSet::new(),
            updated: HashMap::new(),
            candidates: Candidates::default(),
        };
        fold.take_event(newest)?;
        Ok(fold)
    }

    pub(super) fn key(&self) -> &[u8] {
        &self.newest.key
    }

    /// Takes the next record of the key.
    ///
    /// # Errors
    /// [`Fault::Corrupt`]: the record contradicts those before it.
    pub(super) fn take(&mut self, record: Record) -> Result<()> {
        if let Kind::Listed { latest, marker } = record.kind {
            self.take_listed(record, latest, marker);
            return Ok(());
        }
        if record.sequence == self.previous.sequence {
            let same = record == self.previous;
            let sequence = String::from_utf8_lossy(&record.sequence).into_owned();
            return if same { Ok(()) } else { Err(Fault::corrupt(format!("it has two events of number {sequence}"))) };
        }
        check_comparable(&record.sequence, &self.previous.sequence)?;
        self.previous = record.clone();
        self.take_event(record)
    }

    fn take_event(&mut self, event: Record) -> Result<()> {
        if self.outcome.is_some() {
            return Ok(());
        }
        // An empty id says that the bucket had no versions then: this was all there was of the key.
        let sole = !self.versioned || event.version.is_empty();
        let id = id_of(&event.version);
        let was_removed = self.removed.contains(&id);
        let Record { kind, version, facts, .. } = event;
        match kind {
            Kind::Removed if sole => self.outcome = Some((Kind::Gone, version, None)),
            Kind::Removed => drop(self.removed.insert(id)),
            _ if was_removed && sole => self.outcome = Some((Kind::Gone, version, None)),
            _ if was_removed => {}
            Kind::Marked => self.outcome = Some((Kind::Gone, version, None)),
            Kind::Created => self.become_current(&id, version, facts),
            _ if sole => self.become_current(&id, version, facts),
            _ => {
                if let Some(facts) = facts {
                    self.updated.entry(id).or_insert((version, facts));
                }
            }
        }
        if self.removed.len() + self.updated.len() > MAX_VERSIONS {
            return Err(Fault::Unsupported(format!(
                "more than {MAX_VERSIONS} versions of it were removed or updated, which is more than is kept in memory"
            )));
        }
        Ok(())
    }

    /// This version decides, with what was updated of it later.
    fn become_current(&mut self, id: &str, version: String, facts: Option<Facts>) {
        let facts = self.updated.remove(id).map(|(_, facts)| facts).or(facts);
        self.outcome = Some((Kind::Current, version, facts));
    }

    fn take_listed(&mut self, row: Record, latest: bool, marker: bool) {
        let id = id_of(&row.version);
        if self.removed.contains(&id) {
            return;
        }
        // What is updated is as old as it was.
        let modified = row.facts.as_ref().map_or(i64::MIN, |facts| facts.last_modified);
        let updated = self.updated.remove(&id).map(|(_, facts)| facts);
        self.candidates.take((latest, modified), marker, row.version, updated.or(row.facts));
    }

    /// What came of the key: [`Kind::Current`], [`Kind::Gone`], or where rows of the base would have to decide and
    /// `has_base` says that there are none yet, [`Kind::Open`].
    ///
    /// # Errors
    /// [`Fault::Corrupt`]: the base's rows do not say which of two versions is newer.
    pub(super) fn finish(mut self, has_base: bool) -> Result<Record> {
        let (kind, version, facts) = match self.outcome.take() {
            Some(outcome) => outcome,
            None if has_base => self.decided()?,
            None => (Kind::Open, String::new(), None),
        };
        Ok(Record { kind, version, facts, ..self.newest })
    }

    fn decided(&mut self) -> Result<(Kind, String, Option<Facts>)> {
        // Versions that the base does not list, and that were there when they were updated.
        for (version, facts) in std::mem::take(&mut self.updated).into_values() {
            self.candidates.take((false, facts.last_modified), false, version, Some(facts));
        }
        if self.candidates.tied {
            return Err(Fault::Unsupported(
                "its latest version was removed, and of those left two were modified in the same second: which is \
                 the current one can't be known"
                    .into(),
            ));
        }
        Ok(match self.candidates.best.take() {
            Some(Candidate { marker: false, version, facts, .. }) => (Kind::Current, version, facts),
            _ => (Kind::Gone, String::new(), None),
        })
    }
}

impl Candidates {
    /// Takes a version that is left, by whether it is said to be the latest, and when it was modified.
    fn take(&mut self, (latest, millis): (bool, i64), marker: bool, version: String, facts: Option<Facts>) {
        let rank = (latest, millis.div_euclid(1000));
        match &self.best {
            Some(best) if best.rank > rank => {}
            // The same row may be listed twice.
            Some(best) if best.rank == rank => self.tied |= best.version != version,
            _ => (self.best, self.tied) = (Some(Candidate { rank, marker, version, facts }), false),
        }
    }
}

/// The identity of a version. One from before versions has the id `null`, or an empty one.
fn id_of(version: &str) -> String {
    if version.is_empty() { "null".to_owned() } else { version.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::flags;

    fn facts(seconds: i64) -> Facts {
        let last_modified = seconds * 1000;
        Facts { size: seconds as u64, last_modified, etag: "e".into(), class: "IA".into(), flags: flags(false, false) }
    }

    /// Records in text: `+v1@3` created in second 3, `~` updated, `!` marked, `-` removed; in the base `=v1@3` listed,
    /// `*` listed as the latest, `#` as a delete marker that is the latest. Events come with the newest first.
    fn record(text: &str, sequence: usize) -> Record {
        let (what, rest) = text.split_at(1);
        let (version, seconds) = rest.split_once('@').unwrap_or((rest, "0"));
        let (kind, told) = match what {
            "+" => (Kind::Created, true),
            "~" => (Kind::Updated, true),
            "!" => (Kind::Marked, false),
            "-" => (Kind::Removed, false),
            "=" => (Kind::Listed { latest: false, marker: false }, true),
            "*" => (Kind::Listed { latest: true, marker: false }, true),
            _ => (Kind::Listed { latest: true, marker: true }, true),
        };
        let sequence = if matches!(kind, Kind::Listed { .. }) { Vec::new() } else { format!("{sequence:04}").into() };
        let facts = told.then(|| facts(seconds.parse().unwrap()));
        Record { key: b"k".to_vec(), sequence, time: 0, kind, version: version.into(), facts }
    }

    /// What comes of these records.
    fn fold(versioned: bool, text: &str) -> String {
        let mut records = text.split(' ').enumerate().map(|(place, text)| record(text, 1000 - place));
        let mut fold = Fold::new(records.next().unwrap(), versioned).unwrap();
        records.for_each(|record| fold.take(record).unwrap());
        let has_base = text.contains(['=', '*', '#']);
        match fold.finish(has_base) {
            Ok(Record { kind: Kind::Current, version, facts, .. }) => format!("{version}@{}", facts.unwrap().size),
            Ok(Record { kind, .. }) => format!("{kind:?}"),
            Err(fault) => fault.to_string(),
        }
    }

    #[test]
    fn without_versions_the_newest_event_decides() {
        for (text, outcome) in [("+@3", "@3"), ("~@4 +@3", "@4"), ("- ~@4 +@3", "Gone"), ("+@5 - +@3", "@5")] {
            assert_eq!(fold(false, text), outcome, "{text}");
            assert_eq!(fold(true, text), outcome, "a bucket that never had versions: {text}");
        }
    }

    #[test]
    fn the_newest_version_that_is_left_is_the_current_one() {
        for (text, outcome) in [
            ("+b@2 +a@1", "b@2"),
            ("-b +b@2 +a@1", "a@1"),
            ("~a@9 -b +b@2 +a@1", "a@9"),
            ("!m +a@1", "Gone"),
            ("-m !m +a@1", "a@1"),
            ("-m !m -a +a@1", "Open"),
            ("~x@9 -b +b@2 +a@1", "a@1"),
            ("~x@9", "Open"),
            ("-x", "Open"),
        ] {
            assert_eq!(fold(true, text), outcome, "{text}");
        }
    }

    #[test]
    fn older_versions_decide_where_none_created_is_left() {
        for (text, outcome) in [
            ("-c *c@3 =b@2 =a@1", "b@2"),
            ("-c =a@1 =b@2 *c@3", "b@2"),
            ("-b *c@3 =b@2 =a@1", "c@3"),
            ("~b@9 -c *c@3 =b@2 =a@1", "b@9"),
            ("~a@9 -c *c@3 =b@2 =a@1", "b@2"),
            ("-m #m@3 =a@1", "a@1"),
            ("-a #m@3 =a@1", "Gone"),
            ("-a *a@1", "Gone"),
            ("~a@7 =b@9 *a@8", "a@7"),
            ("-c *c@3 =b@2 =b@2", "b@2"),
            // Created after the scan began, and seen by it.
            ("-d +d@4 *d@4 =c@3", "c@3"),
            // Updated, and not in the base at all.
            ("~d@4 -c *c@3", "d@4"),
        ] {
            assert_eq!(fold(true, text), outcome, "{text}");
        }
        assert!(fold(true, "-c *c@3 =b@2 =a@2").contains("can't be known"));
    }

    #[test]
    fn null_versions_replace_each_other() {
        for (text, outcome) in [
            ("+null@3 +@2", "null@3"),
            ("-null +null@3 +@2", "Gone"),
            ("-null *@3 =a@1", "a@1"),
            ("-v +v@5 -", "Gone"),
            ("-v +v@5 +@3", "@3"),
        ] {
            assert_eq!(fold(true, text), outcome, "{text}");
        }
    }

    #[test]
    fn an_event_counts_once_and_a_contradiction_is_refused() {
        let mut fold = Fold::new(record("+a@1", 5), true).unwrap();
        assert_eq!(fold.take(record("+a@1", 5)), Ok(()));
        assert!(fold.take(record("+a@2", 5)).is_err());
        let odd = Record { sequence: b"0A".to_vec(), ..record("+a@1", 4) };
        assert!(fold.take(odd).is_err());
    }

    #[test]
    fn the_versions_of_one_key_are_bounded() {
        let mut fold = Fold::new(record("-v", 0), true).unwrap();
        let mut outcome = Ok(());
        for number in 1..=MAX_VERSIONS {
            outcome = fold.take(Record { version: format!("v{number}"), ..record("-v", number) });
        }
        assert!(matches!(outcome, Err(Fault::Unsupported(_))));
    }
}
