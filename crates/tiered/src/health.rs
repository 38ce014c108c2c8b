//! How the parts of a cache are, told without asking any of them.

use std::time::Duration;

use tiered_core::{Key, Tick};

use crate::cache::Cache;
use crate::outbox::MOST_WAITING;
use crate::shared::Shared;

/// How a cache is at this moment, tier by tier.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> tiered::Result<()> {
/// use tiered::{Cache, Moka, State};
///
/// let names: Cache<String> = Cache::builder("names").l1(Moka::entries(100)).build()?;
/// let health = names.health();
/// assert_eq!((health.l1.state, health.l2.state), (State::Up, State::Absent));
/// assert_eq!(health.worst(), State::Up);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// Memory in the process: degraded while what it holds is in doubt, because this node does not hear the others.
    pub l1: Condition,
    /// The store that all processes share: degraded while only its writes fail, while some calls fail, or while something is to
    /// be repeated there; down while it is not asked.
    pub l2: Condition,
    /// The way to the other nodes: degraded while some messages fail, or many wait; down while none is sent, or none is heard.
    pub backplane: Condition,
    /// The source, as far as the loaders show: degraded while the oldest load runs for longer than the hard deadline, or
    /// there is no room for one more.
    pub loads: Condition,
    /// Loaders that run.
    pub running_loads: usize,
    /// For how long the oldest of them has been running.
    pub oldest_load: Option<Duration>,
    /// Writes and invalidations that L2 has not confirmed, and that are to be repeated.
    pub unconfirmed: usize,
    /// Changes of which the other nodes are still to be told.
    pub untold: usize,
}

/// How one part is.
///
/// ```
/// let health = tiered::Cache::<String>::builder("names").l1(tiered::Moka::entries(1)).build()?.health();
/// assert_eq!(health.l1.why, "");
/// # Ok::<(), tiered::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Condition {
    /// Up, or not.
    pub state: State,
    /// For how long that has been so, where it is known.
    pub since: Option<Duration>,
    /// Why it is not up; empty where it is.
    pub why: &'static str,
}

/// The better comes first.
///
/// ```
/// use tiered::State;
///
/// assert!(State::Up < State::Down);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// This cache has none.
    Absent,
    /// It works.
    Up,
    /// It works in part.
    Degraded,
    /// It is not used at present.
    Down,
}

impl Health {
    /// The state of the part that is worst off. A cache whose L2 is down still answers.
    #[must_use]
    pub fn worst(&self) -> State {
        let parts = [&self.l1, &self.l2, &self.backplane, &self.loads];
        let states = parts.into_iter().map(|part| part.state);
        states.max().unwrap_or(State::Absent)
    }
}

impl Condition {
    const ABSENT: Self = Self {
        state: State::Absent,
        since: None,
        why: "",
    };
    const UP: Self = Self {
        state: State::Up,
        ..Self::ABSENT
    };

    fn degraded(why: &'static str) -> Self {
        Self {
            state: State::Degraded,
            since: None,
            why,
        }
    }

    fn down(why: &'static str) -> Self {
        Self {
            state: State::Down,
            since: None,
            why,
        }
    }

    fn since(self, begun: Tick, now: Tick) -> Self {
        let since = Some(now.since(begun));
        Self { since, ..self }
    }
}

impl<V: Send + Sync + 'static, K: Key + ?Sized> Cache<V, K> {
    /// How the tiers, the backplane and the loads are at this moment, as far as this node knows: it never waits, and costs some
    /// microseconds. The node begins to listen, if nothing was asked of the cache before.
    pub fn health(&self) -> Health {
        self.shared.listen();
        self.shared.health()
    }
}

impl<V: Send + Sync + 'static, K: Key + ?Sized> Shared<V, K> {
    pub(crate) fn health(&self) -> Health {
        let now = self.now();
        Health {
            l1: self.health_of_l1(now),
            l2: self.health_of_l2(now),
            backplane: self.health_of_backplane(now),
            loads: self.health_of_loads(now),
            running_loads: self.loads.count(),
            oldest_load: self.loads.oldest(now),
            unconfirmed: self.doubts.count(),
            untold: self.bus.as_ref().map_or(0, |bus| bus.waiting()),
        }
    }

    /// Since when this node has not heard itself.
    fn silent_since(&self, now: Tick) -> Option<Tick> {
        let since = self.near.trust.silent_since(now)?;
        Some(since.max(self.built))
    }

    fn health_of_l1(&self, now: Tick) -> Condition {
        match (self.near.is_present(), self.silent_since(now)) {
            (false, _) => Condition::ABSENT,
            (true, None) => Condition::UP,
            (true, Some(since)) => {
                Condition::degraded("in doubt: this node does not hear the others")
                    .since(since, now)
            }
        }
    }

    fn health_of_l2(&self, now: Tick) -> Condition {
        let Some(guard) = self.far.as_ref().map(|far| &far.guard) else {
            return Condition::ABSENT;
        };
        let (reads, writes) = (guard.reads(), guard.writes());
        if reads.is_open() {
            Condition::down("not asked: its circuit breaker is open").since(reads.since(), now)
        } else if writes.is_open() {
            Condition::degraded("not written: its circuit breaker is open")
                .since(writes.since(), now)
        } else if self.doubts.count() > 0 {
            Condition::degraded("something is to be repeated there")
        } else if reads.has_failed_lately() || writes.has_failed_lately() {
            Condition::degraded("some calls have failed, or found no room, lately")
        } else {
            Condition::UP.since(reads.since().max(writes.since()), now)
        }
    }

    fn health_of_backplane(&self, now: Tick) -> Condition {
        let Some(bus) = &self.bus else {
            return Condition::ABSENT;
        };
        let circuit = bus.circuit();
        if circuit.is_open() {
            Condition::down("nothing is sent: its circuit breaker is open")
                .since(circuit.since(), now)
        } else if let Some(since) = self.silent_since(now) {
            Condition::down("this node does not hear itself").since(since, now)
        } else if bus.waiting() > MOST_WAITING / 2 {
            Condition::degraded("many changes wait to be sent")
        } else if circuit.has_failed_lately() {
            Condition::degraded("some messages could not be sent lately")
        } else {
            Condition::UP.since(circuit.since(), now)
        }
    }

    fn health_of_loads(&self, now: Tick) -> Condition {
        let oldest = self.loads.oldest(now).unwrap_or_default();
        let hard = self.settings.deadlines.hard;
        if oldest > hard {
            let begun = now.minus(oldest).plus(hard);
            Condition::degraded("a load runs for longer than anybody waits").since(begun, now)
        } else if self.room.available_permits() == 0 {
            Condition::degraded("as many loads run as may")
        } else {
            Condition::UP
        }
    }
}
