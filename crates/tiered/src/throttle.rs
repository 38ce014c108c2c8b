use std::time::Duration;

use tiered_core::{Error, ErrorKind, Result};

/// How many loads there may be, and how often they are tried.
///
/// ```
/// use std::time::Duration;
/// use tiered::{Settings, Throttle};
///
/// let throttle = Throttle { max_loads: 64, outage_loads: 100, ..Default::default() };
/// let settings = Settings { throttle, ..Default::default() };
/// assert_eq!(settings.throttle.hold_off, Duration::from_secs(1));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Throttle {
    /// How many loaders of this cache may run at a time; a batch has one. At least 1. Default: 1,024.
    pub max_loads: usize,
    /// How long a load waits for room at most; then it fails as [`Overloaded`](ErrorKind::Overloaded), or an older copy
    /// serves. Default: 1 second.
    pub max_wait: Duration,
    /// For how long a key is not loaded again after a load has failed, where an older copy serves meanwhile. It doubles with
    /// each further failure, is shortened at random by up to a quarter, and a success ends it. Zero: not at all.
    /// Default: 1 second.
    pub hold_off: Duration,
    /// What it doubles up to. Default: 30 seconds.
    pub longest_hold_off: Duration,
    /// How many keys a second are loaded anew at most while L2 does not answer and an older copy could serve; the others are
    /// answered with that. Default: 200.
    pub outage_loads: u32,
    /// How old a copy is at least before it is loaded anew in that way. Default: 15 seconds.
    pub outage_interval: Duration,
    /// How many early refreshes may run at a time; what would be one more is left to a later read. Default: 64.
    pub max_early: usize,
}

impl Default for Throttle {
    fn default() -> Self {
        Self {
            max_loads: 1_024,
            max_wait: Duration::from_secs(1),
            hold_off: Duration::from_secs(1),
            longest_hold_off: Duration::from_secs(30),
            outage_loads: 200,
            outage_interval: Duration::from_secs(15),
            max_early: 64,
        }
    }
}

impl Throttle {
    pub(crate) fn check(&self) -> Result<()> {
        let most = tokio::sync::Semaphore::MAX_PERMITS;
        let wrong = if !(1..=most).contains(&self.max_loads) || self.max_early > most {
            "throttle.max_loads must be at least 1, and it and max_early not beyond what can be counted"
        } else if self.longest_hold_off < self.hold_off {
            "throttle.longest_hold_off must not be shorter than throttle.hold_off"
        } else {
            return Ok(());
        };
        Err(Error::new(ErrorKind::Config, wrong))
    }
}
