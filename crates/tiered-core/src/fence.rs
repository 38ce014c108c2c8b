use std::time::Duration;

use crate::{Record, Version};

/// A wish for the right to fill one record of an [`L2`](crate::L2).
///
/// ```
/// use std::time::Duration;
/// use tiered_core::{Claim, Random, Seen, Version};
///
/// let random = Random::new();
/// let claim = Claim {
///     key: "users:7",
///     seen: Seen::Nothing,
///     token: Version::random(&random),
///     mark: Version::random(&random),
///     life: Duration::from_secs(3),
/// };
/// assert_eq!(claim.seen, Seen::Nothing);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim<'a> {
    /// Under which key.
    pub key: &'a str,
    /// What the claimant has found there, and cannot use.
    pub seen: Seen,
    /// The claim's own name: the same token again is the same claim again.
    pub token: Version,
    /// The mark of the namespace, as the claimant knows it.
    pub mark: Version,
    /// After how long the claim ends by itself.
    pub life: Duration,
}

/// What a claimant has found under the key.
///
/// ```
/// assert_ne!(tiered_core::Seen::Nothing, tiered_core::Seen::Anything);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Nothing.
    Nothing,
    /// The record of this version.
    Version(Version),
    /// It does not matter: the claim goes before any other, and is always granted.
    Anything,
}

/// What became of a [`Claim`].
///
/// ```
/// use tiered_core::{Claimed, Version};
///
/// assert_ne!(Claimed::Granted(Version::from_bytes([1; 8])), Claimed::Busy);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// The right is the claimant's for as long as the record has this version, and until the claim's life ends.
    Granted(Version),
    /// Somebody else has it.
    Busy,
    /// Something else is there than was seen.
    Changed(Record),
}

/// A claim that was granted.
///
/// ```
/// use tiered_core::{Hold, Version};
///
/// let token = Version::from_bytes([1; 8]);
/// assert_eq!(Hold { key: "users:7", held: token, token }.key, "users:7");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold<'a> {
    /// Under which key.
    pub key: &'a str,
    /// The version that the record has for as long as the right lasts.
    pub held: Version,
    /// The claim's own name.
    pub token: Version,
}

/// A record to store under a claim.
///
/// ```
/// use std::time::Duration;
/// use tiered_core::{Fill, Hold, Record, Version};
///
/// let token = Version::from_bytes([1; 8]);
/// let hold = Hold { key: "users:7", held: token, token };
/// let fill = Fill { hold, record: Record::new(vec![0; 40]), life: Duration::from_secs(60) };
/// assert_eq!(fill.hold.held, token);
/// ```
#[derive(Clone, Debug)]
pub struct Fill<'a> {
    /// Under which claim.
    pub hold: Hold<'a>,
    /// What.
    pub record: Record,
    /// After how long the store forgets it, as in a [`Write`](crate::Write).
    pub life: Duration,
}

/// A record to expire: it stays, under a new version, and is no longer fresh.
///
/// ```
/// use tiered_core::{Expiry, Version};
///
/// let expiry = Expiry { key: "users:7", version: Version::from_bytes([1; 8]) };
/// assert_eq!(expiry.key, "users:7");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expiry<'a> {
    /// Under which key.
    pub key: &'a str,
    /// Its new version.
    pub version: Version,
}

/// A mark to read or to write: the random number that stands for the present state of a tag or a namespace.
///
/// ```
/// use std::time::Duration;
/// use tiered_core::{NewMark, Version};
///
/// let mark = NewMark { name: "#tag:users:red", version: Version::from_bytes([1; 8]), life: Duration::from_secs(60) };
/// assert_eq!(mark.name, "#tag:users:red");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewMark<'a> {
    /// Its name, apart from all keys.
    pub name: &'a str,
    /// The mark that is put there.
    pub version: Version,
    /// After how long the store may forget it.
    pub life: Duration,
}
