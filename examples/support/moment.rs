use std::time::Duration;

use rustix::time::{ClockId, Timespec, clock_gettime};
use tokio::time::sleep;

/// A moment that all processes of the machine tell alike: nanoseconds of its monotonic clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(u64);

impl Moment {
    /// The moment so many nanoseconds after the clock began.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// The present moment.
    pub fn now() -> Self {
        Self(nanos(clock_gettime(ClockId::Monotonic)))
    }

    /// How many nanoseconds after the clock began it is.
    pub const fn nanos(self) -> u64 {
        self.0
    }

    /// The moment so much later.
    #[must_use]
    pub fn plus(self, later: Duration) -> Self {
        let later = u64::try_from(later.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(later))
    }

    /// How long this moment lies after `earlier`; zero if it does not.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// Waits until this moment, or a little longer.
    pub async fn reached(self) {
        sleep(self.since(Self::now())).await;
    }
}

fn nanos(time: Timespec) -> u64 {
    let (seconds, nanos) = (u64::try_from(time.tv_sec), u64::try_from(time.tv_nsec));
    seconds.unwrap_or_default() * 1_000_000_000 + nanos.unwrap_or_default()
}

/// How far the clock that caches judge ages by may lag behind: on Linux the kernel's coarse one.
#[cfg(target_os = "linux")]
pub fn resolution() -> Duration {
    let resolution = rustix::time::clock_getres(ClockId::MonotonicCoarse);
    Duration::from_nanos(nanos(resolution))
}

/// How far the clock that caches judge ages by may lag behind.
#[cfg(not(target_os = "linux"))]
pub const fn resolution() -> Duration {
    Duration::ZERO
}
