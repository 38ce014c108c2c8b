use std::time::Duration;

use tiered_core::{Error, ErrorKind, Result};

/// How nodes keep together: how old a copy may get unnoticed, and how long they wait for each other.
///
/// ```
/// use std::time::Duration;
/// use tiered::{Coherence, Settings};
///
/// let coherence = Coherence { bound: Duration::from_millis(500), ..Default::default() };
/// let settings = Settings { coherence, ..Default::default() };
/// assert_eq!(settings.coherence.ping_interval(), Duration::from_millis(125));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coherence {
    /// For how long at most a copy in L1 may be served as fresh after another node's invalidation of its key has
    /// returned, whatever messages are lost, as long as L2 answers. A node pings four times in this time, and trusts what
    /// it holds while it hears itself. From 10 ms to an hour, and the same on all nodes: one that pings more slowly than the
    /// others expect is taken for silent. Default: 1 second.
    pub bound: Duration,
    /// How much longer a node trusts what it holds while L2 does not answer; and for how long a value is fresh in L1
    /// that L2 has not confirmed. After that it may serve as an older copy, see [`Throttle`](crate::Throttle). Zero: not at
    /// all. Default: 5 seconds.
    pub blind_trust: Duration,
    /// How long the right to fill a key outlives its holder, who renews it while it loads. At least 10 ms.
    /// Default: 3 seconds.
    pub claim_life: Duration,
    /// How long a load waits at most for the node that loads the same key, before it loads as well, for L1 alone.
    /// Default: 10 seconds.
    pub claim_wait: Duration,
}

impl Default for Coherence {
    fn default() -> Self {
        Self {
            bound: Duration::from_secs(1),
            blind_trust: Duration::from_secs(5),
            claim_life: Duration::from_secs(3),
            claim_wait: Duration::from_secs(10),
        }
    }
}

impl Coherence {
    /// How often a node makes itself heard: a quarter of the bound.
    pub fn ping_interval(&self) -> Duration {
        self.bound / 4
    }

    pub(crate) fn check(&self) -> Result<()> {
        const LEAST: Duration = Duration::from_millis(10);
        let wrong = if !(LEAST..=Duration::from_secs(3_600)).contains(&self.bound) {
            "coherence.bound must be from 10 ms to an hour"
        } else if self.claim_life < LEAST {
            "coherence.claim_life must be at least 10 ms"
        } else {
            return Ok(());
        };
        Err(Error::new(ErrorKind::Config, wrong))
    }
}
