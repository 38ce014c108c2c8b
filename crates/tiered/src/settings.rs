use std::time::Duration;

use tiered_core::{Error, ErrorKind, Random, Result};

use crate::breaker::Breaker;
use crate::coherence::Coherence;
use crate::compress::Compression;
use crate::deadlines::Deadlines;
use crate::early::EarlyRefresh;
use crate::frame::{HEAD, LONGEST};
use crate::options::Options;
use crate::throttle::Throttle;

/// The numbers and switches of a cache.
///
/// Lives are whole milliseconds, and at most 34 years: anything longer is 34 years. A life of zero, where it is
/// allowed, means "not stored".
///
/// ```
/// use std::time::Duration;
/// use tiered::Settings;
///
/// let settings = Settings { ttl: Duration::from_secs(3_600), schema: 2, ..Default::default() };
/// assert_eq!(settings.negative_ttl, Duration::from_secs(30));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// How long a value is fresh, in both tiers together, from the moment it was loaded or set. Default: 5 minutes.
    pub ttl: Duration,
    /// How long a copy is fresh in L1; at most `ttl`, and never beyond the value's own end. `None`: as long as the
    /// value. Default: `None`.
    pub l1_ttl: Option<Duration>,
    /// How long "there is no such value" is fresh. Zero: it is not cached. Default: 30 seconds.
    pub negative_ttl: Duration,
    /// For how long a value may still be used after it has ceased to be fresh, in both tiers, where nothing newer is to be had
    /// in time: its load fails or is slow, another node loads it, the source is not to be asked again yet. Default: zero.
    pub stale_for: Duration,
    /// By which part of itself a life may be shortened at random, so that what was loaded together does not end
    /// together: from 0.0 (not at all) to below 1.0. Drawn apart for the value and for its L1 copy, where that has a
    /// `l1_ttl`. Default: 0.1.
    pub jitter: f64,
    /// The version of the type of values. Values in L2 of another version are misses: raise it when the type changes.
    /// Default: 0.
    pub schema: u16,
    /// With what values are compressed before they go to L2. Default: zstd, level 3.
    pub compression: Compression,
    /// From how many bytes on a value is compressed; it stays so only if that makes it smaller. Default: 256.
    pub compress_from: usize,
    /// The longest record in bytes that is written to L2 or accepted from there. Default: 4 MiB.
    pub max_stored_bytes: usize,
    /// The longest encoded value in bytes, before compression, that is written to L2 or unpacked from there.
    /// Default: 16 MiB.
    pub max_value_bytes: usize,
    /// How nodes keep together. Default: [`Coherence::default`].
    pub coherence: Coherence,
    /// How long things may take. Default: [`Deadlines::default`].
    pub deadlines: Deadlines,
    /// How many loads there may be, and how often they are tried. Default: [`Throttle::default`].
    pub throttle: Throttle,
    /// When L2 and the backplane count as failing. Default: [`Breaker::default`].
    pub breaker: Breaker,
    /// Whether values that are in use are refreshed before they cease to be fresh. Default: [`EarlyRefresh::Off`].
    pub early_refresh: EarlyRefresh,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            ttl: Duration::from_secs(300),
            l1_ttl: None,
            negative_ttl: Duration::from_secs(30),
            stale_for: Duration::ZERO,
            jitter: 0.1,
            schema: 0,
            compression: Compression::default(),
            compress_from: 256,
            max_stored_bytes: 4 << 20,
            max_value_bytes: 16 << 20,
            coherence: Coherence::default(),
            deadlines: Deadlines::default(),
            throttle: Throttle::default(),
            breaker: Breaker::default(),
            early_refresh: EarlyRefresh::Off,
        }
    }
}

/// How long a value may live: altogether, and as a copy in L1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Life {
    pub(crate) whole: Duration,
    pub(crate) near: Duration,
    /// How long it may still be used after that.
    pub(crate) stale: Duration,
}

impl Settings {
    /// The settings make sense, for a cache with or without L2.
    pub(crate) fn check(&self, has_l2: bool) -> Result<()> {
        let l1_ttl = self.l1_ttl.unwrap_or(self.ttl);
        let wrong = if self.ttl < MILLI || l1_ttl < MILLI {
            "ttl and l1_ttl must be at least a millisecond"
        } else if l1_ttl > self.ttl {
            "l1_ttl must not be longer than ttl"
        } else if !self.negative_ttl.is_zero() && self.negative_ttl < MILLI {
            "negative_ttl must be zero or at least a millisecond"
        } else if !(0.0..1.0).contains(&self.jitter) {
            "jitter must be from 0.0 to below 1.0"
        } else if !(HEAD..=LARGEST).contains(&self.max_stored_bytes) {
            "max_stored_bytes must be from 40 to 4 GiB"
        } else if !(1..=LARGEST).contains(&self.max_value_bytes) {
            "max_value_bytes must be from 1 to 4 GiB"
        } else {
            self.check_parts()?;
            return if has_l2 {
                self.compression.check()
            } else {
                Ok(())
            };
        };
        Err(Error::new(ErrorKind::Config, wrong))
    }

    fn check_parts(&self) -> Result<()> {
        self.coherence.check()?;
        self.deadlines.check()?;
        self.throttle.check()?;
        self.breaker.check()?;
        self.early_refresh.check()
    }

    /// The life of something loaded or set now. `asked` is what its loader asks for.
    pub(crate) fn life(
        &self,
        options: &Options,
        asked: Option<Duration>,
        is_negative: bool,
        random: &Random,
    ) -> Life {
        let ttl = if is_negative {
            options.negative_ttl.unwrap_or(self.negative_ttl)
        } else {
            options.ttl.unwrap_or(self.ttl)
        };
        let whole = self.shorten(asked.unwrap_or(ttl), random);
        Life {
            whole,
            near: self.near_life(options, whole, random),
            stale: self.stale_for,
        }
    }

    /// The life in L1 of a copy that has `rest` left.
    pub(crate) fn near_life(&self, options: &Options, rest: Duration, random: &Random) -> Duration {
        match options.l1_ttl.or(self.l1_ttl) {
            Some(l1_ttl) => self.shorten(l1_ttl, random).min(rest),
            None => rest,
        }
    }

    /// A life, shortened at random, in whole milliseconds. One that is not zero stays so.
    fn shorten(&self, life: Duration, random: &Random) -> Duration {
        let life = life.min(LONGEST);
        if life < MILLI {
            return Duration::ZERO;
        }
        let life = if self.jitter > 0.0 {
            life.mul_f64(1.0 - self.jitter * random.fraction())
        } else {
            life
        };
        Duration::from_millis(u64::try_from(life.as_millis()).unwrap_or_default()).max(MILLI)
    }
}

const MILLI: Duration = Duration::from_millis(1);
const LARGEST: usize = u32::MAX as usize;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_life_is_shortened_by_at_most_the_jitter_and_never_to_nothing() {
        let settings = Settings {
            jitter: 0.5,
            ..Settings::default()
        };
        let random = Random::seeded(1);
        for millis in [1, 2, 3, 1_000, 300_000] {
            let ttl = Duration::from_millis(millis);
            let life = settings
                .life(&Options::default(), Some(ttl), false, &random)
                .whole;
            assert!(
                life <= ttl
                    && life >= MILLI
                    && life.as_micros() >= ttl.as_micros() / 2 - 1_000.min(ttl.as_micros() / 2)
            );
        }
    }

    #[test]
    fn the_longest_life_is_34_years() {
        let settings = Settings {
            jitter: 0.0,
            ..Settings::default()
        };
        let life = settings.life(
            &Options::default(),
            Some(Duration::MAX),
            false,
            &Random::new(),
        );
        assert_eq!(life.whole, LONGEST);
        assert_eq!(LONGEST.as_secs() / (365 * 24 * 3_600), 34);
    }
}
