//! Which keys there are, and what their writers do to them.

use serde::{Deserialize, Serialize};

/// Keys are the numbers below this one.
pub(crate) const KEYS: u32 = 1_000;

/// How a changed row is made known: by which of the cache's methods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) enum Kind {
    /// `remove`, by more than one writer: six keys in ten.
    Removed,
    /// `set`, by one writer: two in ten.
    Set,
    /// `remove_tag`: two in ten.
    Tagged,
}

/// A key to read: the lower, the likelier.
pub(crate) fn any(rng: &mut fastrand::Rng) -> u32 {
    place(rng) * 10 + rng.u32(0..10)
}

/// Keys of a kind that are changed together.
pub(crate) fn together(kind: Kind, rng: &mut fastrand::Rng) -> Vec<u32> {
    let ten = place(rng);
    match kind {
        Kind::Removed => vec![ten * 10 + rng.u32(0..6)],
        Kind::Set => vec![ten * 10 + rng.u32(6..8)],
        Kind::Tagged => {
            let tens = (0..KEYS / 10).filter(|other| other % TAGS == ten % TAGS);
            tens.flat_map(|ten| [ten * 10 + 8, ten * 10 + 9]).collect()
        }
    }
}

/// The tag of a key, if it has one.
pub(crate) fn tag(key: u32) -> Option<String> {
    (key % 10 >= 8).then(|| format!("tag-{}", key / 10 % TAGS))
}

const TAGS: u32 = 20;

/// Which ten keys: the square of a random number falls on low ones more often.
fn place(rng: &mut fastrand::Rng) -> u32 {
    let tens = u64::from(KEYS / 10);
    let (one, other) = (rng.u64(0..1_000), rng.u64(0..1_000));
    u32::try_from(tens * one * other / 1_000_000).unwrap_or_default()
}
