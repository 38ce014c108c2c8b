//! Holds what reads answer against what was promised.

use std::time::Duration;

use tiered::{Answer, Source};

use crate::datum::Datum;
use crate::ledger::{Entry, Reading};
use crate::source::Row;
use crate::world::World;

/// A call that has begun so long ago has ended.
const LONGEST_CALL: Duration = Duration::from_secs(20);

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
                reading.by, answer.source
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
                reading.at
            );
            self.journal.violate(what);
        }
        if answer.is_stale {
            self.journal.count("reads: answered stale");
        } else {
            self.journal.count("reads: answered");
            self.judge_order(reading, (key, &rows));
        }
        if let Some(datum) = answer.value.as_deref() {
            self.judge_age(reading, (key, datum), answer);
        }
    }

    /// The invalidation that an answer of this row has missed.
    fn miss(&self, reading: &Reading, (key, row): (usize, Row), is_stale: bool) -> Option<Entry> {
        let missed = self
            .ledger
            .missed(key, row, reading, self.allowance(reading));
        // What was merely expired may serve while somebody loads its successor.
        let is_wrong = |missed: &Entry| !(is_stale && missed.floor.is_expiry);
        missed.into_iter().find(is_wrong)
    }

    /// How much later than an invalidation elsewhere a read may still not have heard of it.
    fn allowance(&self, reading: &Reading) -> Duration {
        let coherence = self.profile.coherence();
        let failed = self.server.failed_at(reading.by.node);
        let is_blind = failed.is_some_and(|failed| failed + LONGEST_CALL >= reading.at);
        let blind_trust = if is_blind {
            coherence.blind_trust
        } else {
            Duration::ZERO
        };
        coherence.bound + blind_trust + self.profile.lateness()
    }

    /// Who asks for what comes after a write sees that write.
    fn judge_order(&self, reading: &Reading, (key, rows): (usize, &[Row])) {
        if let Some(write) = reading.after
            && rows.iter().all(|row| row.version < write.version)
        {
            let what = format!(
                "after: node {} has read {rows:?} of k{key} after {write:?}",
                reading.by
            );
            self.journal.violate(what);
        }
    }

    /// No copy lives longer than its original.
    fn judge_age(&self, reading: &Reading, (key, datum): (usize, &Datum), answer: &Answer<Datum>) {
        if usize::from(datum.key) != key {
            let what = format!("k{key} is answered with k{}", datum.key);
            self.journal.violate(what);
        }
        // What was just loaded is for those who have waited, however long its way into the tiers was.
        if answer.is_stale && answer.source == Source::Loader {
            return;
        }
        let settings = &self.profile.settings;
        let life = if answer.is_stale {
            settings.ttl + settings.stale_for
        } else {
            settings.ttl
        };
        let made = self.source.made(datum.id);
        if reading.at > made + life + Duration::from_millis(3) {
            let what = format!(
                "age: node {} has read a copy of k{key} made at {made:?}, at {:?}",
                reading.by, reading.at
            );
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
