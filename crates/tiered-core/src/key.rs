use std::borrow::Borrow;
use std::fmt::{Debug, Display};
use std::hash::Hash;
use std::str::FromStr;

/// What can be a cache's key: `str`, integers, and any type of your own that is hashable, comparable, clonable and
/// can be displayed and read back.
///
/// Implemented for every type that qualifies; there is nothing to implement. L1 is keyed by the value itself, so a
/// lookup by reference allocates nothing; L2 is keyed by what [`Display`] writes, which must therefore differ for
/// different keys. Other nodes hear of a key by the same text, and read it with [`FromStr`], which must therefore give
/// the same key back. Where it does not, nothing gets stale, but every message about such a key makes the nodes doubt
/// all that they hold.
///
/// ```
/// #[derive(Clone, Debug, PartialEq, Eq, Hash)]
/// struct UserId(u64);
///
/// impl std::fmt::Display for UserId {
///     fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
///         write!(f, "{}", self.0)
///     }
/// }
///
/// impl std::str::FromStr for UserId {
///     type Err = std::num::ParseIntError;
///
///     fn from_str(text: &str) -> Result<Self, Self::Err> {
///         text.parse().map(Self)
///     }
/// }
///
/// fn is_key<K: tiered_core::Key + ?Sized>() {}
/// is_key::<UserId>();
/// is_key::<str>();
/// ```
pub trait Key:
    ToOwned<Owned: Borrow<Self> + Clone + Debug + Eq + FromStr + Hash + Send + Sync + 'static>
    + Display
    + Eq
    + Hash
    + Send
    + Sync
    + 'static
{
}

impl<K> Key for K where
    K: ToOwned<Owned: Borrow<K> + Clone + Debug + Eq + FromStr + Hash + Send + Sync + 'static>
        + Display
        + Eq
        + Hash
        + Send
        + Sync
        + ?Sized
        + 'static
{
}
