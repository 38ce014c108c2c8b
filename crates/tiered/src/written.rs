use tiered_core::{Error, Result, Version};

/// What became of a write, tier by tier. A write never fails as a whole: what the one tier could not do does not keep
/// the other from it, and whoever needs to know looks here.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> tiered::Result<()> {
/// use tiered::{Cache, Moka, Outcome};
///
/// let names: Cache<String> = Cache::builder("names").l1(Moka::entries(100)).build()?;
/// let written = names.set("42", "Ada".to_owned()).await;
/// assert!(matches!(written.l1, Outcome::Stored));
/// assert!(matches!(written.l2, Outcome::Absent));
/// written.ok()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Written {
    /// What L1 holds now.
    pub l1: Outcome,
    /// What L2 holds now.
    pub l2: Outcome,
    /// The version of what was written, for [`Options::after`](crate::Options::after); `None` if L2 has not confirmed it.
    pub version: Option<Version>,
    pub(crate) untold: Option<Error>,
}

impl Written {
    /// The error of a tier that does not hold what the caller meant it to hold, or of nodes that may not know of it.
    ///
    /// # Errors
    /// L2 failed, in which case what it holds is not known; or it cannot take the value, and holds nothing; or the backplane
    /// failed, and other nodes may hold older copies until those end.
    pub fn ok(&self) -> Result<()> {
        match &self.l2 {
            Outcome::Failed(error) | Outcome::Refused(error) => Err(error.clone()),
            _ => self.untold.clone().map_or(Ok(()), Err),
        }
    }
}

/// What a tier holds under a key after a write.
///
/// ```
/// use tiered::Outcome;
///
/// fn is_known(outcome: &Outcome) -> bool {
///     !matches!(outcome, Outcome::Failed(_))
/// }
/// assert!(is_known(&Outcome::Stored));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// The new value, unless something else has taken its place by now.
    Stored,
    /// Nothing: the call passes this tier by, the life is zero, or another write of the key came in between.
    Removed,
    /// Nothing: the tier cannot take this value, and the old one was removed.
    Refused(Error),
    /// What it held before.
    Untouched,
    /// Not known: the tier failed or did not answer in time.
    Failed(Error),
    /// The cache has no such tier.
    Absent,
}

/// What became of a removal or an expiry. L1 always does its part.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> tiered::Result<()> {
/// use tiered::{Cache, Moka};
///
/// let names: Cache<String> = Cache::builder("names").l1(Moka::entries(100)).build()?;
/// names.set("42", "Ada".to_owned()).await;
/// let removed = names.remove_many(["42", "43"]).await;
/// assert_eq!(removed.present, 1);
/// removed.ok()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Removed {
    /// How many of the keys, each counted once, were present: a fresh value was in L1 or in L2. The same that
    /// `contains` would have said.
    pub present: usize,
    /// For how many of the keys L2 failed: whether it still holds them is not known.
    pub failed: usize,
    /// The version of the change, for [`Options::after`](crate::Options::after); `None` if L2 failed for a key.
    pub version: Option<Version>,
    error: Option<Error>,
}

impl Removed {
    /// The first error of L2, if any, or of the backplane.
    ///
    /// # Errors
    /// L2 failed for at least one key, and what it holds under it is not known; or the backplane failed, and other nodes may
    /// hold older copies until those end.
    pub fn ok(&self) -> Result<()> {
        self.error.clone().map_or(Ok(()), Err)
    }

    pub(crate) fn of(version: Version) -> Self {
        Self {
            version: Some(version),
            ..Self::default()
        }
    }

    pub(crate) fn note_told(&mut self, told: Result<()>) {
        if let Err(error) = told {
            self.error.get_or_insert(error);
        }
    }

    pub(crate) fn note<T>(&mut self, outcome: &Result<T>) {
        if let Err(error) = outcome {
            self.failed += 1;
            self.version = None;
            self.error.get_or_insert_with(|| error.clone());
        }
    }
}
