use std::time::Duration;

use tiered_core::Version;

/// What one call does differently from the cache's [`Settings`](crate::Settings). What is left out is as set there.
///
/// Reads, loads and writes look at a tier, and change it, only as far as the tier's [`Access`] allows. A `set` or a
/// `refresh` that does not write a tier takes the key's old copy out of it, so that nothing older is found there
/// afterwards; a `get` or a `get_or_load` leaves it alone. A life of zero means the same as not writing the tier.
///
/// A caller who joins a load that another has begun gets what that one brings; the first caller's options rule it.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> tiered::Result<()> {
/// use std::time::Duration;
/// use tiered::{Access, Cache, Moka, Options};
///
/// let names: Cache<String> = Cache::builder("names").l1(Moka::entries(100)).build()?;
/// let briefly = Options { ttl: Some(Duration::from_secs(5)), ..Options::default() };
/// names.with(briefly).set("42", "Ada".to_owned()).await;
///
/// let past_l1 = Options { l1: Access::WriteOnly, ..Options::default() };
/// assert!(names.with(past_l1).get("42").await.is_none());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The life of a value that this call loads or sets. A loader's own wish goes before it.
    pub ttl: Option<Duration>,
    /// The life of the copy that this call puts into L1, as far as the value itself lives so long.
    pub l1_ttl: Option<Duration>,
    /// The life of a "there is none" that this call loads.
    pub negative_ttl: Option<Duration>,
    /// What this call does with L1. Default: [`Access::ReadWrite`].
    pub l1: Access,
    /// What this call does with L2. Default: [`Access::ReadWrite`].
    pub l2: Access,
    /// See this write: one that [`set`](crate::Cache::set) or another invalidation has returned, on any node. L1 answers
    /// only if it holds exactly this version; otherwise L2 is read from now on, and no load is joined that began earlier. After a
    /// removal nothing has its version, so L2 is always read. Default: `None`.
    pub after: Option<Version>,
    /// After how long this read is answered with a copy that is no longer fresh, if there is one that may be used. Default:
    /// [`Deadlines::soft`](crate::Deadlines::soft).
    pub soft: Option<Duration>,
    /// After how long this read, load or refresh is answered in any case. Default:
    /// [`Deadlines::hard`](crate::Deadlines::hard).
    pub hard: Option<Duration>,
    /// This read is never answered with a copy that is no longer fresh: an error comes in its place. Default: `false`.
    pub refuses_stale: bool,
}

/// Options and tags of one call, to keep.
#[derive(Clone, Debug, Default)]
pub(crate) struct Terms {
    pub(crate) options: Options,
    pub(crate) tags: Vec<Box<str>>,
    /// This copy is to be replaced although it is fresh.
    pub(crate) early: Option<Version>,
}

impl Terms {
    pub(crate) fn new(options: Options, tags: &[&str]) -> Self {
        let tags = tags.iter().map(|tag| Box::from(*tag)).collect();
        Self {
            options,
            tags,
            early: None,
        }
    }

    /// Those for the look into L2: an early refresh is about what is there, not about its copy in L1.
    pub(crate) fn options_of_look(&self) -> Options {
        let mut options = self.options;
        if self.early.is_some() {
            options.l1 = Access::Skip;
        }
        options
    }
}

/// What a call may do with a tier.
///
/// ```
/// assert_eq!(tiered::Access::default(), tiered::Access::ReadWrite);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// Look into it, and put into it what was found elsewhere.
    #[default]
    ReadWrite,
    /// Look into it, and put nothing in.
    ReadOnly,
    /// Pass it by when looking, and put in what was found elsewhere.
    WriteOnly,
    /// Pass it by.
    Skip,
}

impl Access {
    pub(crate) const fn reads(self) -> bool {
        matches!(self, Self::ReadWrite | Self::ReadOnly)
    }

    pub(crate) const fn writes(self) -> bool {
        matches!(self, Self::ReadWrite | Self::WriteOnly)
    }
}
