//! The right to fill a key of L2.

use std::borrow::Borrow;
use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tiered_core::{Claim, Claimed, Hold, Key, Record, Result, Seen, Version};

use crate::far::Far;
use crate::load::Wanted;
use crate::message::Event;
use crate::shared::Shared;
use crate::stats::Count;

/// By what right a load stores what it brings.
#[derive(Debug)]
pub(crate) enum Right {
    /// There is no L2: nobody has to be asked.
    Alone,
    /// L2 is filled under this claim.
    Claim(Grip),
    /// None: L2 must not be touched, and L1 keeps the result for a short while.
    Unfenced,
}

/// A claim that was granted.
#[derive(Debug)]
pub(crate) struct Grip {
    pub(crate) name: String,
    /// The mark of the namespace when it was claimed: what is stored under the claim is stored under this mark.
    pub(crate) space: Version,
    held: Version,
    token: Version,
}

impl Grip {
    pub(crate) fn hold(&self) -> Hold<'_> {
        Hold {
            key: &self.name,
            held: self.held,
            token: self.token,
        }
    }
}

impl Right {
    pub(crate) fn grip(&self) -> Option<&Grip> {
        match self {
            Self::Claim(grip) => Some(grip),
            Self::Alone | Self::Unfenced => None,
        }
    }
}

/// What became of a wish to load.
pub(crate) enum Granted {
    Right(Right),
    /// Somebody else has the right.
    Busy,
    /// Something else is there than was seen.
    Changed(Record),
}

/// For how long nobody waits for a claim after a load that had nothing to store.
pub(crate) const PASS: Duration = Duration::from_millis(500);

impl<V: Send + Sync + 'static, K: Key + ?Sized> Shared<V, K> {
    /// Asks for the right to load each of these keys, of which this was seen. `mark` is that of the namespace.
    pub(crate) async fn claim<'w>(
        &self,
        far: &Far<V>,
        wishes: &'w [(String, Seen)],
        mark: Version,
    ) -> Vec<Granted> {
        let claim = |(key, seen): &'w (String, Seen)| Claim {
            key,
            seen: *seen,
            token: Version::random(&self.random),
            mark,
            life: self.settings.coherence.claim_life,
        };
        let claims: Vec<_> = wishes.iter().map(claim).collect();
        let answers = far.l2.claim_many(&claims).await;
        let granted = claims.iter().zip(answers);
        granted
            .map(|(claim, answer)| self.granted(claim, answer))
            .collect()
    }

    fn granted(&self, claim: &Claim<'_>, answer: Result<Claimed>) -> Granted {
        match answer {
            Ok(Claimed::Granted(held)) => Granted::Right(Right::Claim(Grip {
                name: claim.key.to_owned(),
                space: claim.mark,
                held,
                token: claim.token,
            })),
            Ok(Claimed::Busy) => Granted::Busy,
            Ok(Claimed::Changed(record)) => Granted::Changed(record),
            Err(_) => {
                self.counters.add(Count::L2Errors, 1);
                UNFENCED
            }
        }
    }

    /// Renews the claims of a load while it runs, until it has run for too long. Later callers do not join it then, nor where
    /// its claim is lost: something has happened to the key. Never ends.
    pub(crate) async fn keep(&self, wanted: &[Wanted<V, K>]) -> Infallible {
        let coherence = &self.settings.coherence;
        let limit = self.now().plus(coherence.load_limit);
        loop {
            let next = self.now().plus(coherence.claim_life / 3);
            self.clock.sleep_until(next.min(limit)).await;
            if self.now() >= limit {
                break;
            }
            self.renew(wanted).await;
        }
        for Wanted { lead, .. } in wanted {
            self.near.detach(lead.key.borrow());
        }
        pending().await
    }

    async fn renew(&self, wanted: &[Wanted<V, K>]) {
        let held = wanted
            .iter()
            .filter_map(|wanted| Some((&wanted.lead, wanted.right.grip()?.hold())));
        let (leads, holds): (Vec<_>, Vec<_>) = held.unzip();
        let Some(far) = self.far.as_ref().filter(|_| !holds.is_empty()) else {
            return;
        };
        let life = self.settings.coherence.claim_life;
        for (lead, stands) in leads.into_iter().zip(far.l2.renew_many(&holds, life).await) {
            match stands {
                Ok(true) => {}
                Ok(false) => self.near.detach(lead.key.borrow()),
                Err(_) => self.counters.add(Count::L2Errors, 1),
            }
        }
    }

    /// Who waits for this key, here or elsewhere, may go on.
    pub(crate) fn tell_freed(self: &Arc<Self>, key: &K, right: &Right) {
        if right.grip().is_some() {
            self.near.ring(key);
            self.tell_of(key, Event::Freed);
        }
    }

    /// Ends claims under which nothing is stored.
    pub(crate) async fn release(&self, grips: &[&Grip], pass: Option<Duration>) {
        if let Some(far) = self.far.as_ref().filter(|_| !grips.is_empty()) {
            let holds: Vec<_> = grips.iter().map(|grip| grip.hold()).collect();
            // If it fails, they end by themselves.
            let _ = far.l2.release_many(&holds, pass).await;
        }
    }
}

pub(crate) const UNFENCED: Granted = Granted::Right(Right::Unfenced);
