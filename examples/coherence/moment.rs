use std::time::Duration;

use rustix::time::{ClockId, Timespec, clock_gettime};
use tokio::time::sleep;

/// A moment that all processes of the machine tell alike: nanoseconds of its monotonic clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(u64);

impl Moment {
    pub(crate) const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    pub(crate) fn now() -> Self {
        Self(nanos(clock_gettime(ClockId::Monotonic)))
    }

    pub(crate) const fn nanos(self) -> u64 {
        self.0
    }

    pub(crate) fn plus(self, later: Duration) -> Self {
        let later = u64::try_from(later.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(later))
    }

    /// How long this moment lies after `earlier`; zero if it does not.
    pub(crate) const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// Waits until this moment, or a little longer.
    pub(crate) async fn reached(self) {
        sleep(self.since(Self::now())).await;
    }
}

fn nanos(time: Timespec) -> u64 {
    let (seconds, nanos) = (u64::try_from(time.tv_sec), u64::try_from(time.tv_nsec));
    seconds.unwrap_or_default() * 1_000_000_000 + nanos.unwrap_or_default()
}

/// How far the clock that caches judge ages by may lag behind: on Linux the kernel's coarse one.
#[cfg(target_os = "linux")]
pub(crate) fn resolution() -> Duration {
    let resolution = rustix::time::clock_getres(ClockId::MonotonicCoarse);
    Duration::from_nanos(nanos(resolution))
}

/// How far the clock that caches judge ages by may lag behind.
#[cfg(not(target_os = "linux"))]
pub(crate) const fn resolution() -> Duration {
    Duration::ZERO
}
