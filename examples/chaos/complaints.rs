//! What was promised of a row and not kept.

use crate::faults::Fault;
use crate::leftovers::Leftovers;
use crate::recovery::Recovery;
use crate::tally::{Phase, Span};
use crate::trial::Outcome;

impl Outcome {
    pub(crate) fn complaints(&self) -> Vec<String> {
        let all = [
            self.of_answers(),
            self.of_recovery(),
            self.of_what_is_left(),
        ];
        all.concat()
    }

    fn of_answers(&self) -> Vec<String> {
        let tally = &self.world.tally;
        let failed = tally.sum(|span| &span.failed);
        let failures = tally.first_error();
        let failures =
            failures.map(|error| format!("{failed} requests failed, the first: {error}"));
        let broken = tally.breaches();
        let broken = broken
            .iter()
            .map(|(count, worst)| format!("{count} × {worst}"));
        let early = self.fault == Fault::ClockOff && self.loads_more();
        let early = early.then(|| "loaded more: something has expired early".to_owned());
        failures.into_iter().chain(broken).chain(early).collect()
    }

    fn of_recovery(&self) -> Vec<String> {
        let Recovery { used, settled } = self.recovery;
        let unused = used.is_none().then_some("L2 is not used again");
        let lost = settled
            .is_none()
            .then_some("what L2 did not take is not replayed, or a node calls it down");
        let complaints = unused.into_iter().chain(lost);
        complaints.map(str::to_owned).collect()
    }

    fn of_what_is_left(&self) -> Vec<String> {
        let Leftovers { connections, tasks } = self.leftovers;
        let left = format!("left over: {connections} connections, {tasks} tasks");
        let left = (!self.leftovers.is_none()).then_some(left);
        let grown = format!("grew by {} MiB", self.grown >> 20);
        let grown = (self.grown > MOST_GROWN).then_some(grown);
        left.into_iter().chain(grown).collect()
    }

    /// The source had clearly more to do than before.
    fn loads_more(&self) -> bool {
        let rate = |phase| self.world.tally.span(phase).map_or(0, Span::load_rate);
        rate(Phase::During) > rate(Phase::Before) * 3 / 2
    }
}

/// What a process may grow by that has nothing left over: allocators keep what they had once.
const MOST_GROWN: u64 = 64 << 20;
