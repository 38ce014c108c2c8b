//! What defeats a claim.

use super::LONG;
use super::outcome::Met;
use super::probe::Probe;
use crate::Seen;

/// What somebody does to a key without asking whoever has claimed it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Change {
    Set,
    Remove,
    Expire,
    Force,
}

impl Change {
    pub(super) const ALL: [Self; 4] = [Self::Set, Self::Remove, Self::Expire, Self::Force];

    pub(super) async fn make(self, probe: &Probe, key: &str) {
        match self {
            Self::Set => probe.set(key, &probe.entry("set meanwhile"), LONG).await,
            Self::Remove => drop(probe.remove(&[key]).await),
            Self::Expire => drop(probe.expire(&[probe.expiry(key)]).await),
            Self::Force => {
                let claim = probe.wish(key, Seen::Anything);
                let rule = "a forced claim is always granted";
                probe.meets(rule, claim, Met::Granted).await;
            }
        }
    }

    /// What whoever asks next is told.
    pub(super) const fn leaves(self) -> Met {
        match self {
            Self::Set | Self::Remove | Self::Expire => Met::Granted,
            Self::Force => Met::Busy,
        }
    }
}
