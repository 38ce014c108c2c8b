use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use tiered_core::{Error, ErrorKind, Result};

/// How to reach Redis, and how long to wait for it.
///
/// The password is in no message and in no debug output.
///
/// ```
/// use std::time::Duration;
/// use tiered_redis::RedisOptions;
///
/// let options = RedisOptions {
///     command_timeout: Duration::from_millis(100),
///     ..RedisOptions::new("redis://cache:secret@10.0.0.7:6379/2")
/// };
/// assert!(!format!("{options:?}").contains("secret"));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct RedisOptions {
    /// The address of one server: `redis://user:password@host:port/database`, all but the host optional;
    /// `rediss://` with TLS. Special characters of the user and the password are percent-encoded.
    /// Default: `redis://127.0.0.1:6379`.
    pub url: String,
    /// How long to try to connect, from the first packet to the first answer; so long also for the connection that
    /// listens, and for its first message. From 1 ms to an hour. Default: 2 s.
    pub connect_timeout: Duration,
    /// How long to wait for the answer to a command. From 1 ms to an hour. Default: 250 ms.
    pub command_timeout: Duration,
    /// How many connections to keep open for commands, from 1 to 64. All commands of a key use the same one. One carries
    /// some 200,000 commands a second, in fewer packets and with less work than two; more are for large records and for
    /// more than one busy core. Default: 1.
    pub connections: usize,
    /// How many commands may wait for their answer on one connection, from 1 to 1,000,000; one more fails at once.
    /// Default: 10,000.
    pub max_waiting_commands: usize,
    /// How long to wait at most between two attempts to reconnect. From 1 ms to an hour. Default: 500 ms.
    pub reconnect_delay_max: Duration,
    /// Whether to have a [`Backplane`](tiered_core::Backplane), on one more connection. Without it, the caches on this
    /// server do not hear of each other's changes: for servers that have no PUBLISH and SUBSCRIBE. Default: true.
    pub backplane: bool,
    /// Whether to listen to what the server itself says of its keys, by CLIENT TRACKING: then
    /// [`Touched`](tiered_core::News::Touched) tells of whatever changes, expires or evicts a record, be it no cache.
    /// The server sends a message for each write in the namespace, one's own included. FLUSHALL and FLUSHDB are not
    /// heard. Needs the backplane. Default: false.
    pub tracking: bool,
}

impl RedisOptions {
    /// The defaults, with this address.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            ..Self::default()
        }
    }

    pub(crate) fn check(&self) -> Result<()> {
        within("connect_timeout", self.connect_timeout, TIMES)?;
        within("command_timeout", self.command_timeout, TIMES)?;
        within("connections", self.connections, 1..=64)?;
        let waiting = self.max_waiting_commands;
        within("max_waiting_commands", waiting, 1..=1_000_000)?;
        within("reconnect_delay_max", self.reconnect_delay_max, TIMES)?;
        if self.tracking && !self.backplane {
            return Err(Error::new(
                ErrorKind::Config,
                "tracking is on and backplane is off: tracking needs the backplane",
            ));
        }
        Ok(())
    }
}

impl Default for RedisOptions {
    fn default() -> Self {
        Self {
            url: "redis://127.0.0.1:6379".to_owned(),
            connect_timeout: Duration::from_secs(2),
            command_timeout: Duration::from_millis(250),
            connections: 1,
            max_waiting_commands: 10_000,
            reconnect_delay_max: Duration::from_millis(500),
            backplane: true,
            tracking: false,
        }
    }
}

impl fmt::Debug for RedisOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisOptions")
            .field("url", &without_credentials(&self.url))
            .field("connect_timeout", &self.connect_timeout)
            .field("command_timeout", &self.command_timeout)
            .field("connections", &self.connections)
            .field("max_waiting_commands", &self.max_waiting_commands)
            .field("reconnect_delay_max", &self.reconnect_delay_max)
            .field("backplane", &self.backplane)
            .field("tracking", &self.tracking)
            .finish()
    }
}

const TIMES: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(3_600);

fn within<T: Copy + PartialOrd + fmt::Debug>(
    name: &str,
    value: T,
    range: RangeInclusive<T>,
) -> Result<()> {
    if range.contains(&value) {
        return Ok(());
    }
    let message = format!("{name} is {value:?}: it must be in {range:?}");
    Err(Error::new(ErrorKind::Config, message))
}

/// Hides what stands before the last `@`: a password that is not percent-encoded may hold anything.
fn without_credentials(url: &str) -> String {
    match url.rsplit_once('@') {
        Some((_, place)) => format!("***@{place}"),
        None => url.to_owned(),
    }
}
