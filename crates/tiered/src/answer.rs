use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tiered_core::{Error, Tick};

use crate::landing::Landed;

/// What a read brought, where it came from and how old it is.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> tiered::Result<()> {
/// use tiered::{Cache, Moka, Options, Source};
///
/// let names: Cache<String> = Cache::builder("names").l1(Moka::entries(100)).build()?;
/// names.set("42", "Ada".to_owned()).await;
/// let answer = names.with(Options::default()).get("42").await.expect("it was just set");
/// assert_eq!(answer.source, Source::L1);
/// assert_eq!(answer.value.unwrap().as_str(), "Ada");
/// # Ok(())
/// # }
/// ```
pub struct Answer<V> {
    /// The value; `None` if it is known that the source has none.
    pub value: Option<Arc<V>>,
    /// Where it came from.
    pub source: Source,
    /// How long ago it was loaded or set, on this or another machine; exact to some milliseconds.
    pub age: Duration,
    /// It is no longer fresh, or may have missed a change: another node loads its successor, or nothing newer could be had.
    pub is_stale: bool,
    /// Why nothing newer could be had: the loader's error, or that it took too long, or that there was no room for it.
    pub failure: Option<Error>,
}

/// Where an answer came from.
///
/// ```
/// assert_ne!(tiered::Source::L1, tiered::Source::L2);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// Memory in the process.
    L1,
    /// The store that all processes share.
    L2,
    /// The loader, run for this caller or for another one who asked at the same time.
    Loader,
}

impl<V> Answer<V> {
    pub(crate) fn new(landed: Landed<V>, now: Tick) -> Self {
        Self {
            age: landed.entry.age(now),
            is_stale: landed.is_stale(now),
            value: landed.entry.value,
            source: landed.source,
            failure: landed.failure,
        }
    }
}

impl<V> Clone for Answer<V> {
    fn clone(&self) -> Self {
        Self {
            value: self.value.clone(),
            failure: self.failure.clone(),
            ..*self
        }
    }
}

impl<V> fmt::Debug for Answer<V> {
    /// Leaves the value out: it may be large, or secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("is_found", &self.value.is_some())
            .field("source", &self.source)
            .field("age", &self.age)
            .field("is_stale", &self.is_stale)
            .field("failure", &self.failure)
            .finish()
    }
}
