use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::Version;

/// What a node knows of the mark of a tag: its version, or nothing, or that it is no longer what it was.
///
/// A tag's entries carry the version that its mark had when they were made. As long as both are equal, nobody has
/// removed the tag since.
///
/// ```
/// use tiered_core::{Mark, Version};
///
/// let (mark, version) = (Mark::unknown("red"), Version::from_bytes([1; 8]));
/// assert_eq!(mark.known(), None);
/// mark.learn(version);
/// assert!(mark.is(version));
/// mark.forget();
/// assert!(!mark.is(version));
/// mark.retire();
/// assert!(mark.is_retired());
/// ```
pub struct Mark {
    name: Box<str>,
    /// No version has these bits: see [`Version::random`].
    version: AtomicU64,
}

const UNKNOWN: u64 = 0;
const RETIRED: u64 = u64::MAX;

impl Mark {
    /// A mark of which nothing is known.
    pub fn unknown(name: &str) -> Self {
        Self {
            name: name.into(),
            version: AtomicU64::new(UNKNOWN),
        }
    }

    /// Of what it is the mark.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The version, if it is known.
    pub fn known(&self) -> Option<Version> {
        match self.version.load(Ordering::Acquire) {
            UNKNOWN | RETIRED => None,
            bits => Some(Version::from_bytes(bits.to_le_bytes())),
        }
    }

    /// It is known, and it is this.
    #[inline]
    pub fn is(&self, version: Version) -> bool {
        self.version.load(Ordering::Acquire) == bits(version)
    }

    /// From now on it is known to be this.
    pub fn learn(&self, version: Version) {
        self.version.store(bits(version), Ordering::Release);
    }

    /// From now on it is not known.
    pub fn forget(&self) {
        self.version.store(UNKNOWN, Ordering::Release);
    }

    /// From now on it is known to be no version that it was. To be called last: another mark takes its place.
    pub fn retire(&self) {
        self.version.store(RETIRED, Ordering::Release);
    }

    /// It is known to be no version that it was.
    pub fn is_retired(&self) -> bool {
        self.version.load(Ordering::Acquire) == RETIRED
    }
}

fn bits(version: Version) -> u64 {
    u64::from_le_bytes(version.to_bytes())
}

impl fmt::Debug for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mark")
            .field("name", &self.name)
            .field("known", &self.known())
            .finish_non_exhaustive()
    }
}

/// The tags of an entry, each with the version that its mark had when the entry was made.
///
/// ```
/// use std::sync::Arc;
/// use tiered_core::{Mark, Tags, Version};
///
/// let (mark, version) = (Arc::new(Mark::unknown("red")), Version::from_bytes([1; 8]));
/// let tags = Tags::new([(mark.clone(), version)]);
/// assert!(!tags.hold());
/// mark.learn(version);
/// assert!(tags.hold());
/// ```
#[derive(Clone, Debug)]
pub struct Tags(Box<[(Arc<Mark>, Version)]>);

impl Tags {
    /// These tags.
    pub fn new(tags: impl IntoIterator<Item = (Arc<Mark>, Version)>) -> Self {
        Self(tags.into_iter().collect())
    }

    /// None of them has been removed since, and all of this is known. O(number of tags), without a lock.
    #[inline]
    pub fn hold(&self) -> bool {
        self.0.iter().all(|(mark, version)| mark.is(*version))
    }

    /// One of them is known to have been removed since.
    pub fn are_retired(&self) -> bool {
        self.0.iter().any(|(mark, _)| mark.is_retired())
    }

    /// Each tag's mark, with the version that it had.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &(Arc<Mark>, Version)> {
        self.0.iter()
    }
}
