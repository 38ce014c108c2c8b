use std::time::Duration;

use tiered_core::{Error, ErrorKind, Result};

/// How long things may take: a call's L2, its wait, its loader.
///
/// A read has one deadline for everything it waits for: L2, other nodes, room for its loader, the loader. When it is over the
/// caller has an answer, and the load goes on for those who come later, until it is abandoned.
///
/// ```
/// use std::time::Duration;
/// use tiered::{Deadlines, Settings};
///
/// let deadlines = Deadlines { soft: Duration::from_millis(50), hard: Duration::from_secs(2), ..Default::default() };
/// let settings = Settings { deadlines, stale_for: Duration::from_secs(3_600), ..Default::default() };
/// assert_eq!(settings.deadlines.l2, Duration::from_millis(50));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// After how long a read is answered with a copy that is no longer fresh, if there is one that may be used. Zero: at
    /// once, whenever there is one. Default: 250 ms.
    pub soft: Duration,
    /// After how long a read is answered in any case; without anything to answer with, by an error of the kind
    /// [`Timeout`](ErrorKind::Timeout). At least 1 ms. Default: 30 seconds.
    pub hard: Duration,
    /// After how long a load is given up: its key is free for another one, and what it brings is not stored. At least 10 ms.
    /// Default: 60 seconds.
    pub abandon: Duration,
    /// Whether the loader of a load that is given up is aborted, at its next `await`. Otherwise it runs to its end, for
    /// nobody. Default: true.
    pub aborts: bool,
    /// How long all that a call asks of L2 may take together, writes too. A batch has as much again for each further
    /// thousand keys. What did not answer by then counts as failed. At least 1 ms. Default: 50 ms.
    pub l2: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            soft: Duration::from_millis(250),
            hard: Duration::from_secs(30),
            abandon: Duration::from_secs(60),
            aborts: true,
            l2: Duration::from_millis(50),
        }
    }
}

impl Deadlines {
    pub(crate) fn check(&self) -> Result<()> {
        const MILLI: Duration = Duration::from_millis(1);
        let wrong = if self.hard < MILLI || self.l2 < MILLI {
            "deadlines.hard and deadlines.l2 must be at least a millisecond"
        } else if self.abandon < MILLI * 10 {
            "deadlines.abandon must be at least 10 ms"
        } else {
            return Ok(());
        };
        Err(Error::new(ErrorKind::Config, wrong))
    }
}
