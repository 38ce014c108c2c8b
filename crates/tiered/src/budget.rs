//! What a call may still spend on L2.
//!
//! All that one call asks of L2 shares one budget of time, however many steps it takes. The call's future carries it along, so
//! that the steps need not know of it: only the guard around L2 looks.

use std::cell::RefCell;
use std::time::Duration;

use tiered_core::{Clock, Tick};

tokio::task_local! {
    static BUDGET: RefCell<Budget>;
}

/// Time is spent while at least one question is open: two at once do not count twice.
#[derive(Debug)]
struct Budget {
    whole: Duration,
    spent: Duration,
    open: usize,
    since: Tick,
}

/// Lets `call` spend this much on L2.
pub(crate) async fn with_budget<T>(whole: Duration, call: impl Future<Output = T>) -> T {
    let budget = Budget {
        whole,
        spent: Duration::ZERO,
        open: 0,
        since: Tick::from_nanos(0),
    };
    BUDGET.scope(RefCell::new(budget), call).await
}

/// The call has waited for something else, and begins again.
pub(crate) fn renew_budget() {
    with(|budget| budget.spent = Duration::ZERO);
}

/// `limit` for so many keys: as much again for each further thousand.
pub(crate) fn for_keys(limit: Duration, keys: usize) -> Duration {
    let times = u32::try_from(keys / 1_000 + 1);
    limit.saturating_mul(times.unwrap_or(u32::MAX))
}

/// What the present call has left; `None` if this is no call's work.
pub(crate) fn left(now: Tick) -> Option<Duration> {
    with(|budget| budget.whole.saturating_sub(budget.spent_by(now)))
}

/// A question to L2, for as long as it is open.
pub(crate) struct Question<'c>(&'c Clock);

impl<'c> Question<'c> {
    pub(crate) fn open(clock: &'c Clock, now: Tick) -> Self {
        with(|budget| {
            if budget.open == 0 {
                budget.since = now;
            }
            budget.open += 1;
        });
        Self(clock)
    }
}

impl Drop for Question<'_> {
    /// Answered, or given up.
    fn drop(&mut self) {
        with(|budget| {
            if budget.open == 1 {
                budget.spent = budget.spent_by(self.0.now());
            }
            budget.open = budget.open.saturating_sub(1);
        });
    }
}

impl Budget {
    fn spent_by(&self, now: Tick) -> Duration {
        if self.open == 0 {
            return self.spent;
        }
        self.spent.saturating_add(now.since(self.since))
    }
}

fn with<T>(work: impl FnOnce(&mut Budget) -> T) -> Option<T> {
    BUDGET
        .try_with(|budget| work(&mut budget.borrow_mut()))
        .ok()
}
