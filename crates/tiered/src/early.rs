//! Early refresh: a value that is in use is loaded anew in the background before it ceases to be fresh.

use std::sync::Arc;

use tiered_core::{Entry, Error, ErrorKind, Key, Random, Result, Tick};
use tokio::runtime::Handle;

use crate::budget::with_budget;
use crate::flight::Seat;
use crate::load_fn::LoadFn;
use crate::look::{Found, How};
use crate::options::Terms;
use crate::shared::Shared;
use crate::stats::Count;

/// When a value that is read is refreshed in the background, although it is still fresh.
///
/// The read that finds it due is answered at once. What it does in the background looks at L2 first: perhaps another node was
/// faster. Values that nobody reads are not refreshed, and a plain `get`, which has no loader, refreshes nothing.
///
/// ```
/// use tiered::{EarlyRefresh, Settings};
///
/// let settings = Settings { early_refresh: EarlyRefresh::XFetch(1.0), ..Default::default() };
/// assert_eq!(Settings::default().early_refresh, EarlyRefresh::Off);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum EarlyRefresh {
    /// Never.
    #[default]
    Off,
    /// After this part of its life, from above 0.0 to below 1.0.
    After(f64),
    /// By chance, the more likely the nearer its end is and the longer its load took: each read draws, and refreshes if
    /// `load time × beta × −ln(random)` reaches the end. 1.0 is the usual beta; more refreshes earlier. What took less than a
    /// millisecond, or was set, is refreshed in the last tenth of its life.
    ///
    /// Vattani, Chierichetti, Lowenstein: *Optimal Probabilistic Cache Stampede Prevention*, VLDB 2015, section 3.
    XFetch(f64),
}

impl EarlyRefresh {
    pub(crate) fn check(self) -> Result<()> {
        let is_sound = match self {
            Self::Off => true,
            Self::After(part) => part > 0.0 && part < 1.0,
            Self::XFetch(beta) => beta > 0.0 && beta <= 1_000.0,
        };
        if is_sound {
            return Ok(());
        }
        let message = "early_refresh is after a part between 0.0 and 1.0, or by a beta above 0.0 and up to 1,000";
        Err(Error::new(ErrorKind::Config, message))
    }
}

/// How long before its end a copy may be due, in a form that costs a hit two multiplications.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lead {
    /// Nanoseconds per millisecond that the load took.
    per_load_milli: i64,
    /// Of its life, in parts of 1,024.
    part_of_life: i64,
    /// The same where it is not known how long the load took.
    part_of_unknown: i64,
    beta: f64,
}

/// No draw reaches further: one in half a billion would.
const FURTHEST: f64 = 20.0;
const NANOS_PER_MILLI: f64 = 1e6;
const PARTS: f64 = 1_024.0;

impl Lead {
    #[expect(clippy::cast_possible_truncation, reason = "the settings are checked")]
    pub(crate) fn new(early: EarlyRefresh) -> Self {
        let (per_load_milli, part_of_life, part_of_unknown, beta) = match early {
            EarlyRefresh::Off => (0.0, 0.0, 0.0, 0.0),
            EarlyRefresh::After(part) => (0.0, (1.0 - part) * PARTS, (1.0 - part) * PARTS, 0.0),
            EarlyRefresh::XFetch(beta) => {
                (beta * FURTHEST * NANOS_PER_MILLI, 0.0, PARTS / 10.0, beta)
            }
        };
        Self {
            per_load_milli: per_load_milli as i64,
            part_of_life: part_of_life.ceil() as i64,
            part_of_unknown: part_of_unknown.ceil() as i64,
            beta,
        }
    }

    /// It may be due: without a draw.
    #[inline]
    pub(crate) fn reaches<V>(&self, entry: &Entry<V>, now: Tick) -> bool {
        let life = entry
            .fresh_until
            .nanos()
            .saturating_sub(entry.created.nanos())
            >> 10;
        let part = if entry.load_millis == 0 {
            self.part_of_unknown
        } else {
            self.part_of_life
        };
        let lead = i64::from(entry.load_millis).saturating_mul(self.per_load_milli);
        let left = entry.fresh_until.nanos().saturating_sub(now.nanos());
        left < lead.saturating_add(life.saturating_mul(part))
    }

    /// It is due, by this draw.
    pub(crate) fn is_drawn<V>(&self, entry: &Entry<V>, now: Tick, random: &Random) -> bool {
        if self.beta == 0.0 || entry.load_millis == 0 {
            return true;
        }
        let left = entry.fresh_until.since(now).as_secs_f64();
        let load = f64::from(entry.load_millis) / 1e3;
        // A fraction is below one, so this is not the logarithm of zero.
        load * self.beta * -(1.0 - random.fraction()).ln() >= left
    }
}

impl<V: Send + Sync + 'static, K: Key + ?Sized> Shared<V, K> {
    /// This hit may be the one that refreshes its key.
    #[inline]
    pub(crate) fn may_be_early(&self, entry: &Entry<V>, now: Tick) -> bool {
        self.lead.reaches(entry, now)
    }

    /// Refreshes the key of a hit in the background, if it is due and there is nothing to be said against it.
    #[cold]
    pub(crate) fn refresh_early(
        self: &Arc<Self>,
        (key, entry): (&K, &Entry<V>),
        now: Tick,
        terms: Terms,
        load: impl FnOnce() -> LoadFn<V, K>,
    ) {
        let is_due = self.lead.is_drawn(entry, now, &self.random);
        if !is_due || !self.is_open() || self.hold_offs.reason(key, now).is_some() {
            return;
        }
        let turn = Arc::clone(&self.early).try_acquire_owned();
        let (Ok(turn), Ok(runtime)) = (turn, Handle::try_current()) else {
            return;
        };
        let Seat::Lead(leader, _) = self.near.join(self, key, self.near.start(now), false) else {
            return;
        };
        self.counters.add(Count::EarlyRefreshes, 1);
        let early = Some(entry.version);
        let flight = Arc::clone(self).fly(vec![leader], Terms { early, ..terms }, load());
        let flight = with_budget(self.budget(1), flight);
        runtime.spawn(async move {
            flight.await;
            drop(turn);
        });
    }

    /// This is the copy for whose sake the refresh was begun, and not only its copy in L1 was about to end.
    pub(crate) fn is_to_be_replaced(&self, found: &Found<V>, terms: &Terms) -> bool {
        let is_it = terms.early == Some(found.entry.version) && found.how != How::Blindly;
        is_it && self.lead.reaches(&found.entry, found.at)
    }
}
