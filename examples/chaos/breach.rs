use std::fmt;
use std::time::Duration;

use tiered::{Error, Source};

/// What an answer may break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Promise {
    /// The value is the key's own, and one that the source has had.
    Right,
    /// The node itself has not invalidated it before.
    OwnInvalidation,
    /// It is not fresh when another node has long invalidated it.
    OthersInvalidation,
    /// Once all has settled it is not older than any invalidation before.
    Replay,
    /// It is not fresh beyond its time.
    FreshUntil,
    /// It is not used beyond its time.
    StaleUntil,
}

/// An answer that should not have been given.
#[derive(Clone, Debug)]
pub(crate) struct Breach {
    pub(crate) promise: Promise,
    pub(crate) node: usize,
    pub(crate) key: u32,
    pub(crate) source: Source,
    pub(crate) is_stale: bool,
    /// How long ago the value was read from the source.
    pub(crate) age: Duration,
    /// Why nothing newer could be had, as the answer says.
    pub(crate) failure: Option<Error>,
}

impl Promise {
    /// What an answer is that breaks it.
    fn broken(self) -> &'static str {
        match self {
            Self::Right => "wrong value",
            Self::OwnInvalidation => "older than an invalidation of this node",
            Self::OthersInvalidation => "older than another node's invalidation, as fresh",
            Self::Replay => "older than an invalidation before all had settled",
            Self::FreshUntil => "fresh beyond its time",
            Self::StaleUntil => "used beyond its time",
        }
    }
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.broken())
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            promise,
            node,
            key,
            source,
            is_stale,
            age,
            failure,
        } = self;
        let stale = if *is_stale { "stale" } else { "fresh" };
        write!(
            f,
            "{promise}: key {key} on node {node}, from {source:?} as {stale}, {} ms old",
            age.as_millis()
        )?;
        match failure {
            Some(failure) => write!(f, " ({failure})"),
            None => Ok(()),
        }
    }
}
