//! Claims of which it is not known whether they stand: L2 did not say whether it has granted, filled or released them.
//!
//! Nobody loads under them, and others would wait for them until they end by themselves. So they are given back as soon as
//! L2 answers again.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tiered_core::{Claim, Hold, Key, Seen, Version};

use crate::shared::Shared;

/// How many are remembered: of those that were under way when a store froze, as many as there may be loads.
const MOST: usize = 1_024;

#[derive(Default)]
pub(crate) struct LostClaims(Mutex<Vec<LostClaim>>);

struct LostClaim {
    name: String,
    held: Version,
    token: Version,
}

impl LostClaims {
    /// It was asked for, and there was no answer.
    pub(crate) fn add(&self, claim: &Claim<'_>) {
        let held = match claim.seen {
            Seen::Version(version) => version,
            Seen::Nothing | Seen::Anything => claim.token,
        };
        self.add_hold(&Hold {
            key: claim.key,
            held,
            token: claim.token,
        });
    }

    /// It was granted, and could not be filled or released.
    pub(crate) fn add_hold(&self, hold: &Hold<'_>) {
        let mut lost = self.lost();
        if lost.len() < MOST {
            lost.push(LostClaim {
                name: hold.key.to_owned(),
                held: hold.held,
                token: hold.token,
            });
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lost().is_empty()
    }

    fn lost(&self) -> MutexGuard<'_, Vec<LostClaim>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LostClaim {
    fn hold(&self) -> Hold<'_> {
        Hold {
            key: &self.name,
            held: self.held,
            token: self.token,
        }
    }
}

impl<V: Send + Sync + 'static, K: Key + ?Sized> Shared<V, K> {
    /// Gives them back, if L2 answers.
    pub(crate) async fn give_back(&self) {
        let lost = std::mem::take(&mut *self.lost_claims.lost());
        let Some(far) = self.far.as_ref().filter(|_| !lost.is_empty()) else {
            return;
        };
        let holds: Vec<_> = lost.iter().map(LostClaim::hold).collect();
        let released = far.l2.release_many(&holds, None).await;
        let kept = lost.into_iter().zip(released);
        let kept = kept.filter_map(|(claim, released)| released.is_err().then_some(claim));
        let kept: Vec<_> = kept.collect();
        self.lost_claims.lost().extend(kept);
    }
}
