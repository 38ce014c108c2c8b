//! What time it is at L2.
//!
//! Entries in L2 carry wall-clock stamps, and the clocks of two machines may differ by minutes. So stamps follow the clock of
//! the store that all nodes share. It is asked now and then; in between, this process's monotonic clock tells how much time
//! has passed, whatever is done to the machine's wall clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tiered_core::{Clock, Key, Stamp, Tick};
use tokio::runtime::Handle;

use crate::guard::BACKGROUND;
use crate::shared::Shared;
use crate::stats::Count;

/// After how long it is asked again.
const INTERVAL: Duration = Duration::from_secs(60);

pub(crate) struct Wall {
    /// What the store's clock showed when ours began, in milliseconds.
    origin: AtomicI64,
    /// When to ask again, in nanoseconds of our clock.
    due: AtomicI64,
}

const UNKNOWN: i64 = i64::MIN;
const NEVER: i64 = i64::MAX;

impl Wall {
    pub(crate) fn new() -> Self {
        Self {
            origin: AtomicI64::new(UNKNOWN),
            due: AtomicI64::new(NEVER),
        }
    }

    /// The present moment there; by the machine's own clock, as long as nothing else is known.
    pub(crate) fn at(&self, now: Tick, clock: &Clock) -> Stamp {
        match self.origin.load(Ordering::Acquire) {
            UNKNOWN => clock.wall(),
            origin => Stamp::from_millis(u64::try_from(origin + millis(now)).unwrap_or(0)),
        }
    }

    pub(crate) fn is_known(&self) -> bool {
        self.origin.load(Ordering::Acquire) != UNKNOWN
    }

    /// Whether it is to be asked again; then by nobody else for a while.
    fn is_due(&self, now: Tick) -> bool {
        let due = self.due.load(Ordering::Acquire);
        let next = now.plus(INTERVAL).nanos();
        let is_due = now.nanos() >= due;
        is_due
            && self
                .due
                .compare_exchange(due, next, Ordering::AcqRel, Ordering::Acquire)
                .is_ok()
    }

    /// It may be another store's from now on.
    pub(crate) fn doubt(&self) {
        self.due.store(i64::MIN, Ordering::Release);
    }

    /// The store has answered so, to a question asked between these moments.
    fn learn(&self, stamp: Stamp, asked: Tick, answered: Tick) {
        let middle = answered.minus(answered.since(asked) / 2);
        let stamp = i64::try_from(stamp.millis()).unwrap_or(i64::MAX);
        self.origin
            .store(stamp.saturating_sub(millis(middle)), Ordering::Release);
        // Unless there was a doubt meanwhile.
        let next = answered.plus(INTERVAL).nanos();
        let _ = self
            .due
            .compare_exchange(NEVER, next, Ordering::AcqRel, Ordering::Acquire);
    }
}

fn millis(tick: Tick) -> i64 {
    tick.nanos().div_euclid(1_000_000)
}

impl<V: Send + Sync + 'static, K: Key + ?Sized> Shared<V, K> {
    /// Asks what time it is, if that was never known.
    pub(crate) async fn learn_time(&self) {
        if !self.wall.is_known() {
            self.ask_time().await;
        }
    }

    /// It is time to ask again.
    pub(crate) fn is_time_due(&self, now: Tick) -> bool {
        self.far.is_some() && self.wall.is_known() && self.is_open() && self.wall.is_due(now)
    }

    /// Asks in the background.
    #[cold]
    pub(crate) fn keep_time(self: &Arc<Self>) {
        if let Ok(runtime) = Handle::try_current() {
            let shared = Arc::clone(self);
            runtime.spawn(async move { shared.ask_time().await });
        }
    }

    async fn ask_time(&self) {
        let Some(far) = &self.far else { return };
        let asked = self.now();
        match far.l2.time().await {
            // It was a process that was stopped meanwhile: half of that may be anything.
            Ok(_) if self.now().since(asked) > self.settings.deadlines.l2.max(BACKGROUND) => {
                self.wall.doubt();
            }
            Ok(stamp) => self.wall.learn(stamp, asked, self.now()),
            Err(_) => self.counters.add(Count::L2Errors, 1),
        }
    }
}
