use std::collections::BTreeMap;
use std::fmt;
use std::future::poll_fn;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::{Duration, SystemTime};

/// A moment of monotonic time, good for comparing moments within one process.
///
/// It may lie before the process began: an entry that another process made an hour ago has such a moment.
///
/// ```
/// use std::time::Duration;
/// use tiered_core::Clock;
///
/// let now = Clock::system().now();
/// assert_eq!(now.plus(Duration::from_secs(3)).since(now), Duration::from_secs(3));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tick(i64);

impl Tick {
    /// The moment so many nanoseconds after the beginning of the clock that it was read from.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the beginning of the clock that it was read from.
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// The moment `later` after this one; the end of time if there is no such moment.
    #[must_use]
    pub fn plus(self, later: Duration) -> Self {
        Self(self.0.saturating_add(nanos(later)))
    }

    /// The moment `earlier` before this one; the beginning of time if there is no such moment.
    #[must_use]
    pub fn minus(self, earlier: Duration) -> Self {
        Self(self.0.saturating_sub(nanos(earlier)))
    }

    /// How long this moment lies after `earlier`; zero if it does not.
    pub fn since(self, earlier: Self) -> Duration {
        let nanos = self.0.saturating_sub(earlier.0);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
    }
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

/// A moment of wall-clock time in whole milliseconds since the Unix epoch, good for telling other processes.
///
/// ```
/// use std::time::Duration;
/// use tiered_core::Stamp;
///
/// let noon = Stamp::from_millis(43_200_000);
/// assert_eq!(noon.plus(Duration::from_secs(1)).millis(), 43_201_000);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp(u64);

impl Stamp {
    /// The moment `millis` after the Unix epoch.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn millis(self) -> u64 {
        self.0
    }

    /// The moment `later` after this one, fractions of a millisecond cut off.
    #[must_use]
    pub fn plus(self, later: Duration) -> Self {
        Self(
            self.0
                .saturating_add(u64::try_from(later.as_millis()).unwrap_or(u64::MAX)),
        )
    }

    /// The moment `earlier` before this one, fractions of a millisecond cut off.
    #[must_use]
    pub fn minus(self, earlier: Duration) -> Self {
        Self(
            self.0
                .saturating_sub(u64::try_from(earlier.as_millis()).unwrap_or(u64::MAX)),
        )
    }

    /// How long this moment lies after `earlier`; zero if it does not.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// The only reader of time, and the only sleeper: monotonic for ages within the process, wall-clock for stamps that others
/// read.
///
/// On Linux the monotonic clock is the kernel's coarse one: about 5 ns a reading, at a resolution of one scheduler
/// tick (1–10 ms). It goes on while the process is stopped, and stands still while the machine is suspended.
/// Elsewhere it is the standard library's clock.
///
/// ```
/// use std::time::Duration;
/// use tiered_core::{Clock, ManualClock};
///
/// let hand = ManualClock::new();
/// let clock = Clock::from(hand.clone());
/// let begin = clock.now();
/// hand.advance(Duration::from_secs(60));
/// assert_eq!(clock.now().since(begin), Duration::from_secs(60));
/// ```
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System,
    Manual(ManualClock),
}

impl Clock {
    /// The machine's clock.
    pub const fn system() -> Self {
        Self(Source::System)
    }

    /// The present moment of monotonic time. Never goes back.
    #[inline]
    pub fn now(&self) -> Tick {
        match &self.0 {
            Source::System => Tick(coarse::monotonic_nanos()),
            Source::Manual(hand) => hand.now(),
        }
    }

    /// The present moment of wall-clock time. May jump either way when somebody sets the machine's clock.
    pub fn wall(&self) -> Stamp {
        match &self.0 {
            Source::System => wall(),
            Source::Manual(hand) => {
                let millis = hand.0.wall_nanos.load(Ordering::SeqCst) / NANOS_PER_MILLI;
                Stamp(u64::try_from(millis).unwrap_or(0))
            }
        }
    }

    /// Waits until `moment`, or a little longer. On the machine's clock it needs a tokio runtime with time.
    pub async fn sleep_until(&self, moment: Tick) {
        match &self.0 {
            // The coarse clock may show less than has passed, so one sleep may not be enough.
            Source::System => loop {
                match moment.since(self.now()) {
                    Duration::ZERO => return,
                    rest => tokio::time::sleep(rest).await,
                }
            },
            Source::Manual(hand) => hand.sleep_until(moment).await,
        }
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::system()
    }
}

impl From<ManualClock> for Clock {
    fn from(hand: ManualClock) -> Self {
        Self(Source::Manual(hand))
    }
}

const NANOS_PER_MILLI: i64 = 1_000_000;

#[expect(
    clippy::disallowed_methods,
    reason = "this is where wall-clock time is read"
)]
fn wall() -> Stamp {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Stamp(0).plus(since_epoch.unwrap_or_default())
}

#[cfg(target_os = "linux")]
mod coarse {
    use rustix::time::{ClockId, clock_gettime};

    #[inline]
    pub(super) fn monotonic_nanos() -> i64 {
        let time = clock_gettime(ClockId::MonotonicCoarse);
        time.tv_sec * 1_000_000_000 + time.tv_nsec
    }
}

#[cfg(not(target_os = "linux"))]
mod coarse {
    use std::sync::LazyLock;
    use std::time::Instant;

    #[expect(
        clippy::disallowed_methods,
        reason = "this is where monotonic time is read"
    )]
    pub(super) fn monotonic_nanos() -> i64 {
        // An `Instant` can only be told from another one.
        static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
        super::nanos(Instant::now().saturating_duration_since(*ORIGIN))
    }
}

/// A clock that stands still until it is moved by hand, for tests of everything that has a life.
///
/// Clones share their time. Give it to a cache (and to an embedded store) through [`Clock::from`].
///
/// ```
/// use std::time::Duration;
/// use tiered_core::{Clock, ManualClock};
///
/// let hand = ManualClock::new();
/// let wall = Clock::from(hand.clone()).wall();
/// hand.jump_wall(-1_000); // somebody sets the machine's clock back by a second
/// assert_eq!(Clock::from(hand).wall(), wall.minus(Duration::from_secs(1)));
/// ```
#[derive(Clone)]
pub struct ManualClock(Arc<Times>);

struct Times {
    monotonic_nanos: AtomicI64,
    wall_nanos: AtomicI64,
    names: AtomicU64,
    /// By the moment they wait for, and then by age.
    sleepers: Mutex<BTreeMap<(Tick, u64), Option<Waker>>>,
}

impl ManualClock {
    /// A clock that shows the first day of 2026.
    pub fn new() -> Self {
        Self(Arc::new(Times {
            monotonic_nanos: AtomicI64::new(0),
            wall_nanos: AtomicI64::new(1_767_225_600_000 * NANOS_PER_MILLI),
            names: AtomicU64::new(0),
            sleepers: Mutex::default(),
        }))
    }

    /// Moves both clocks on, to the end of time at most, and wakes who has waited for a moment that is reached: in the
    /// order of these moments, and of two who wait for the same one the older first.
    pub fn advance(&self, by: Duration) {
        add(&self.0.monotonic_nanos, nanos(by));
        add(&self.0.wall_nanos, nanos(by));
        let now = self.now();
        let awake: Vec<_> = {
            let mut sleepers = self.sleepers();
            let due = sleepers.range_mut(..=(now, u64::MAX));
            due.filter_map(|(_, waker)| waker.take()).collect()
        };
        awake.into_iter().for_each(Waker::wake);
    }

    /// The next moment that somebody waits for.
    pub fn next_wake(&self) -> Option<Tick> {
        let sleepers = self.sleepers();
        let (moment, _) = *sleepers.first_key_value()?.0;
        Some(moment)
    }

    /// Sets the wall clock forward, or back with a negative number, and leaves monotonic time alone.
    pub fn jump_wall(&self, millis: i64) {
        add(&self.0.wall_nanos, millis.saturating_mul(NANOS_PER_MILLI));
    }

    async fn sleep_until(&self, moment: Tick) {
        let name = self.0.names.fetch_add(1, Ordering::Relaxed);
        let sleeper = Sleeper {
            hand: self,
            place: (moment, name),
        };
        poll_fn(|context| {
            let mut sleepers = self.sleepers();
            if self.now() >= moment {
                return Poll::Ready(());
            }
            sleepers.insert(sleeper.place, Some(context.waker().clone()));
            Poll::Pending
        })
        .await;
    }

    fn now(&self) -> Tick {
        Tick(self.0.monotonic_nanos.load(Ordering::SeqCst))
    }

    fn sleepers(&self) -> MutexGuard<'_, BTreeMap<(Tick, u64), Option<Waker>>> {
        let sleepers = self.0.sleepers.lock();
        sleepers.unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody who waits; gone when dropped.
struct Sleeper<'a> {
    hand: &'a ManualClock,
    place: (Tick, u64),
}

impl Drop for Sleeper<'_> {
    fn drop(&mut self) {
        self.hand.sleepers().remove(&self.place);
    }
}

fn add(clock: &AtomicI64, nanos: i64) {
    let later = |now: i64| Some(now.saturating_add(nanos));
    // The closure always gives a value, so this cannot fail.
    let _ = clock.fetch_update(Ordering::SeqCst, Ordering::SeqCst, later);
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let elapsed = self.0.monotonic_nanos.load(Ordering::SeqCst);
        f.debug_struct("ManualClock")
            .field("elapsed_nanos", &elapsed)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_saturate_at_the_ends_of_time() {
        let now = Clock::system().now();
        let end = now.plus(Duration::MAX);
        assert_eq!(end.plus(Duration::from_secs(1)), end);
        assert_eq!(now.minus(Duration::MAX).since(now), Duration::ZERO);
        assert_eq!(Stamp::from_millis(5).minus(Duration::MAX).millis(), 0);
    }

    #[test]
    fn sleepers_wake_in_the_order_of_their_moments() {
        let hand = ManualClock::new();
        let clock = Clock::from(hand.clone());
        let second = Duration::from_secs(1);
        let moment = |seconds| clock.now().plus(second * seconds);
        let mut late = Box::pin(clock.sleep_until(moment(2)));
        let mut early = Box::pin(clock.sleep_until(moment(1)));
        let context = &mut std::task::Context::from_waker(Waker::noop());
        assert!(late.as_mut().poll(context).is_pending());
        assert!(early.as_mut().poll(context).is_pending());
        assert_eq!(hand.next_wake(), Some(moment(1)));
        hand.advance(second);
        assert!(late.as_mut().poll(context).is_pending());
        assert!(early.as_mut().poll(context).is_ready());
        drop((late, early));
        assert_eq!(hand.next_wake(), None);
    }

    #[test]
    fn the_system_clock_runs_and_never_goes_back() {
        let clock = Clock::system();
        let begin = clock.now();
        while clock.now() == begin {
            std::hint::spin_loop();
        }
        assert!(clock.now() > begin);
        assert!(clock.wall().millis() > 1_700_000_000_000);
    }
}
