use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use tiered_examples::{Spread, millis};

use crate::faults::Injury;
use crate::invalidations::Invalidations;
use crate::journal::{Journal, Note};
use crate::traffic::Counts;

/// What the processes have brought home.
pub(crate) struct Evidence {
    /// Of each process.
    pub(crate) reads: Vec<Journal>,
    pub(crate) invalidated: Vec<Journal>,
    pub(crate) counts: Vec<Counts>,
    pub(crate) injuries: Vec<Injury>,
}

/// What the reads of a run were worth.
pub(crate) struct Verdict {
    pub(crate) reads: usize,
    invalidations: usize,
    /// Of the reads that brought an old version: for how long it had been one.
    stale: Spread,
    /// What the cache promises.
    limit: Duration,
    /// The reads that were staler than that, the worst first.
    pub(crate) breaches: Vec<Judged>,
    /// Of the reads that began just after their process had been frozen: how stale they were.
    pub(crate) thawed: Spread,
    pub(crate) injuries: Vec<Injury>,
    counts: Vec<Counts>,
}

/// A read of this process, and how stale it was.
#[derive(Clone)]
pub(crate) struct Judged {
    process: usize,
    read: Note,
    age: Duration,
}

impl Verdict {
    /// Compares every read with every invalidation.
    pub(crate) fn of(evidence: Evidence, limit: Duration) -> Self {
        let invalidated = evidence.invalidated.iter();
        let notes: Vec<_> = invalidated.flat_map(|journal| &journal.notes).collect();
        let invalidations = Invalidations::new(notes.iter().copied());
        let reads = judge(&evidence.reads, &invalidations);
        let stale = reads.iter().map(|judged| judged.age);
        let thawed = reads
            .iter()
            .filter(|judged| judged.is_thawed(&evidence.injuries));
        Self {
            reads: reads.len(),
            invalidations: notes.len(),
            stale: stale.filter(|age| !age.is_zero()).collect(),
            limit,
            thawed: thawed.map(|judged| judged.age).collect(),
            breaches: breaches(&reads, limit),
            injuries: evidence.injuries,
            counts: evidence.counts,
        }
    }

    /// Nothing was staler than promised, and no read failed.
    pub(crate) fn is_sound(&self) -> bool {
        self.breaches.is_empty() && self.reads > 0 && self.sum(|counts| counts.read_errors) == 0
    }

    fn sum(&self, of: fn(&Counts) -> u64) -> u64 {
        self.counts.iter().map(of).sum()
    }

    fn write_counts(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [l1, l2] = [
            self.sum(|counts| counts.l1_hits),
            self.sum(|counts| counts.l2_hits),
        ];
        let confirmed = self.sum(|counts| counts.confirmed);
        let [loads, unfenced] = [
            self.sum(|counts| counts.loads),
            self.sum(|counts| counts.loads_unfenced),
        ];
        writeln!(
            f,
            "answered         by L1 {l1}, by L2 {l2} (with copies confirmed: {confirmed})"
        )?;
        writeln!(f, "loads            {loads} (unfenced: {unfenced})")?;
        let [doubts, blind] = [
            self.sum(|counts| counts.doubts),
            self.sum(|counts| counts.blind_hits),
        ];
        let [errors, repeated] = [
            self.sum(|counts| counts.l2_errors),
            self.sum(|counts| counts.repeated),
        ];
        let failed = self.sum(|counts| counts.read_errors);
        writeln!(
            f,
            "trouble          doubts {doubts}, blind hits {blind}, failures of L2 {errors}"
        )?;
        writeln!(
            f,
            "                 invalidations repeated {repeated}, failed reads {failed}"
        )
    }

    fn write_injuries(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut counts = BTreeMap::<_, u32>::new();
        for injury in &self.injuries {
            *counts.entry(injury.name).or_default() += 1;
        }
        for (name, count) in counts {
            writeln!(f, "fault            {count} x {name}")?;
        }
        let (reads, just) = (self.thawed.len(), millis(JUST));
        writeln!(
            f,
            "just thawed      {reads} reads within {just}; stale: {}",
            self.thawed
        )
    }

    fn write_breach(&self, f: &mut fmt::Formatter<'_>, breach: &Judged) -> fmt::Result {
        let Judged { process, read, age } = breach;
        let Note {
            at,
            key,
            version,
            source,
            took,
        } = read;
        let (age, took) = (millis(*age), Duration::from_micros((*took).into()));
        writeln!(
            f,
            "BREACH           process {process}, key {key}, version {version}, from {source:?}: {age} too old, read in {}",
            millis(took)
        )?;
        for injury in self
            .injuries
            .iter()
            .filter(|injury| injury.concerns(breach.process))
        {
            if injury.from < *at && at.since(injury.to) < breach.age {
                let (from, to) = (millis(at.since(injury.from)), millis(at.since(injury.to)));
                writeln!(
                    f,
                    "                 {}: from {from} to {to} before",
                    injury.name
                )?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "reads            {}", self.reads)?;
        writeln!(f, "invalidations    {} (keys)", self.invalidations)?;
        self.write_counts(f)?;
        self.write_injuries(f)?;
        writeln!(
            f,
            "stale reads      {}; for how long: {}",
            self.stale.len(),
            self.stale
        )?;
        writeln!(
            f,
            "beyond the bound {} (more than {})",
            self.breaches.len(),
            millis(self.limit)
        )?;
        let mut worst = self.breaches.iter().take(SHOWN);
        worst.try_for_each(|breach| self.write_breach(f, breach))
    }
}

impl Judged {
    fn is_thawed(&self, injuries: &[Injury]) -> bool {
        let mut freezes = injuries
            .iter()
            .filter(|injury| injury.is_freeze && injury.concerns(self.process));
        freezes.any(|freeze| self.read.at >= freeze.to && self.read.at.since(freeze.to) < JUST)
    }
}

fn judge(reads: &[Journal], invalidations: &Invalidations) -> Vec<Judged> {
    let numbered = reads.iter().enumerate();
    let judge = |(process, read): (usize, &Note)| Judged {
        process,
        read: *read,
        age: invalidations.age(read),
    };
    let all = numbered
        .flat_map(|(process, journal)| journal.notes.iter().map(move |read| (process, read)));
    all.map(judge).collect()
}

fn breaches(reads: &[Judged], limit: Duration) -> Vec<Judged> {
    let beyond = reads.iter().filter(|judged| judged.age > limit);
    let mut breaches: Vec<_> = beyond.cloned().collect();
    breaches.sort_by_key(|breach| std::cmp::Reverse(breach.age));
    breaches
}

/// How soon after a process went on a read counts as one of its first.
const JUST: Duration = Duration::from_millis(50);
/// How many breaches are shown.
const SHOWN: usize = 8;
