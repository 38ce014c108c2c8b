use std::time::Duration;

use tiered_core::{Error, ErrorKind, Result};

/// When L2 or the backplane counts as failing, and is left alone for a while.
///
/// There is one circuit breaker for what reads L2, one for what writes it, and one for the backplane. Each looks at its last calls;
/// errors count, and so do calls that did not end in time. While it is open calls fail at once, and one probe at a
/// time is made in the background; the first that succeeds closes it.
///
/// ```
/// use std::time::Duration;
/// use tiered::{Breaker, Settings};
///
/// let breaker = Breaker { calls: 5, pause: Duration::from_millis(100), ..Default::default() };
/// let settings = Settings { breaker, ..Default::default() };
/// assert_eq!(settings.breaker.window, Duration::from_secs(10));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Breaker {
    /// How many calls at least are judged: so many failures in a row open it. The last twice as many are looked at. From 1
    /// to 1,000. Default: 10.
    pub calls: usize,
    /// Which part of them must have failed, above 0.0 and up to 1.0. Default: 0.5.
    pub share: f64,
    /// What is longer ago does not count. Default: 10 seconds.
    pub window: Duration,
    /// How long to wait before each probe. At least 1 ms. Default: 250 ms.
    pub pause: Duration,
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            calls: 10,
            share: 0.5,
            window: Duration::from_secs(10),
            pause: Duration::from_millis(250),
        }
    }
}

impl Breaker {
    pub(crate) fn check(&self) -> Result<()> {
        let wrong = if !(1..=1_000).contains(&self.calls) {
            "breaker.calls must be from 1 to 1,000"
        } else if !(self.share > 0.0 && self.share <= 1.0) {
            "breaker.share must be above 0.0 and at most 1.0"
        } else if self.pause < Duration::from_millis(1) {
            "breaker.pause must be at least a millisecond"
        } else {
            return Ok(());
        };
        Err(Error::new(ErrorKind::Config, wrong))
    }
}
