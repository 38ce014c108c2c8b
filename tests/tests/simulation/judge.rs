//! Holds what reads answer against what was promised.

use std::time::Duration;

use tiered::{Answer, Error, ErrorKind, Source};

use crate::datum::Datum;
use crate::ledger::{Entry, Reading};
use crate::source::Row;
use crate::troubles::Use;
use crate::world::World;

impl World {
    /// A read of this key has answered.
    pub(crate) fn judge(&self, reading: &Reading, key: usize, answer: &Answer<Datum>) {
        // An answer that there is no such row does not say which state it shows: any will do.
        let rows = match answer.value.as_deref() {
            Some(datum) => vec![row_of(datum)],
            None => self.source.absences(key),
        };
        let shown = rows.last().map(Row::to_string).unwrap_or_default();
        let stale = if answer.is_stale { ", stale" } else { "" };
        let what = || {
            format!(
                "node {} k{key} = {shown} from {:?}{stale}",
                reading.wait.by, answer.source
            )
        };
        self.say(what);
        let miss = |row: &Row| self.miss(reading, (key, *row), answer.is_stale);
        let entries: Option<Vec<_>> = rows.iter().map(miss).collect();
        if let Some(entries) = entries {
            let entry = entries.last().map(Entry::to_string).unwrap_or_default();
            let what = format!(
                "staleness: {}, begun at {:?}, after {entry}",
                what(),
                reading.wait.begun
            );
            self.journal.violate(what);
        }
        self.judge_marks(reading, (key, &rows), answer);
        if let Some(datum) = answer.value.as_deref() {
            self.judge_value(reading, (key, datum), answer);
        }
    }

    /// What is marked stale may be older; what is not comes without excuses.
    fn judge_marks(&self, reading: &Reading, what: (usize, &[Row]), answer: &Answer<Datum>) {
        let kind = answer.failure.as_ref().map(Error::kind);
        if kind == Some(ErrorKind::Authoritative) {
            let what = "marks: an older copy in the place of the source's last word";
            self.journal.violate(what.to_owned());
        }
        if answer.is_stale {
            self.journal.count("reads: answered stale");
            return;
        }
        self.journal.count("reads: answered");
        self.judge_order(reading, what);
        if let Some(failure) = &answer.failure {
            let what = format!("marks: an answer that is not stale, because of {failure:?}");
            self.journal.violate(what);
        }
    }

    /// The invalidation that an answer of this row has missed.
    fn miss(&self, reading: &Reading, (key, row): (usize, Row), is_stale: bool) -> Option<Entry> {
        // An older copy is one of the begin of the flight that offers it, and is marked so.
        let since = if is_stale {
            self.begin_of_flights(reading, key)
        } else {
            reading.wait.begun
        };
        let is_blind = self.is_blind(reading, since);
        let allowance = self.allowance(is_blind) + reading.wait.begun.saturating_sub(since);
        let missed = self.ledger.missed(key, row, reading, allowance);
        let is_wrong = |missed: &Entry| {
            // What was merely expired may serve while somebody loads its successor, and what was changed elsewhere while L2 does
            // not answer.
            let is_unknown = is_blind && missed.floor.by != reading.wait.by;
            !(is_stale && (missed.floor.is_expiry || is_unknown))
        };
        missed.into_iter().find(is_wrong)
    }

    /// How much later than an invalidation elsewhere a read may still not have heard of it.
    fn allowance(&self, is_blind: bool) -> Duration {
        let coherence = self.profile.coherence();
        let blind_trust = if is_blind {
            coherence.blind_trust
        } else {
            Duration::ZERO
        };
        coherence.bound + blind_trust + self.profile.lateness()
    }

    /// L2 has not answered the reader's node lately.
    fn is_blind(&self, reading: &Reading, since: Duration) -> bool {
        let failed = self.server.failed_at(reading.wait.by.node, Use::Read);
        let frozen = self.frozen_during(&reading.wait);
        failed.is_some_and(|failed| failed + self.profile.blindness() + frozen >= since)
    }

    /// Before that no flight has begun that this read can have joined, and that has loaded.
    pub(crate) fn begin_of_flights(&self, reading: &Reading, key: usize) -> Duration {
        let loads = self.loads_during(reading, key);
        let begun = loads.iter().map(|load| load.wait.begun).min();
        let settings = &self.profile.settings;
        let look = settings.deadlines.l2 * 2 + settings.throttle.max_wait;
        let begun = begun.map(|begun| begun.saturating_sub(look));
        begun.map_or(reading.wait.begun, |begun| begun.min(reading.wait.begun))
    }

    /// Who asks for what comes after a write sees that write.
    fn judge_order(&self, reading: &Reading, (key, rows): (usize, &[Row])) {
        if let Some(write) = reading.after
            && rows.iter().all(|row| row.version < write.version)
        {
            let what = format!(
                "after: node {} has read {rows:?} of k{key} after {write:?}",
                reading.wait.by
            );
            self.journal.violate(what);
        }
    }

    fn judge_value(
        &self,
        reading: &Reading,
        (key, datum): (usize, &Datum),
        answer: &Answer<Datum>,
    ) {
        if usize::from(datum.key) != key {
            let what = format!("k{key} is answered with k{}", datum.key);
            self.journal.violate(what);
        }
        if self.source.is_given_up(datum.id) {
            let what = format!("abandon: {datum:?} is of a load that had been given up");
            self.journal.violate(what);
        }
        self.judge_age(reading, (key, datum), answer);
    }

    /// No copy lives longer than its original, nor says that it is younger.
    fn judge_age(&self, reading: &Reading, (key, datum): (usize, &Datum), answer: &Answer<Datum>) {
        let (settings, error) = (&self.profile.settings, self.profile.clock_error());
        let made = self.source.made(datum.id);
        let by = reading.wait.by;
        // It was judged, and its age told, at some moment of the call.
        let (first, last) = (reading.wait.begun, self.now());
        let said = (
            first.saturating_sub(answer.age),
            last.saturating_sub(answer.age),
        );
        let is_it = |made: &&Duration| said.0 <= **made + error && **made <= said.1 + error;
        let Some(made) = made.iter().rev().find(is_it) else {
            let what = format!(
                "age: node {by} says that a copy of k{key} from {:?} was made within {said:?}, not at {made:?}",
                answer.source
            );
            return self.journal.violate(what);
        };
        let mut life = settings.ttl;
        if answer.is_stale {
            life += settings.stale_for;
        }
        if answer.source == Source::Loader {
            // For those who have waited, while it went into the tiers.
            life += settings.deadlines.l2 + self.frozen_during(&reading.wait);
        }
        if reading.wait.begun > *made + life + error {
            let begun = reading.wait.begun;
            let what =
                format!("age: node {by} has read a copy of k{key} made at {made:?}, at {begun:?}");
            self.journal.violate(what);
        }
    }
}

pub(crate) fn row_of(datum: &Datum) -> Row {
    Row {
        version: datum.version,
        tags: datum.tags,
        is_absent: false,
    }
}
