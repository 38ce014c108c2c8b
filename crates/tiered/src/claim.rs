//! The right to fill a key of L2.

use std::borrow::Borrow;
use std::sync::Arc;
use std::time::Duration;

use tiered_core::{Claim, Claimed, Error, ErrorKind, Hold, Key, Record, Result, Seen, Version};

use crate::budget::with_budget;
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

impl Granted {
    pub(crate) fn or_unfenced(self) -> Right {
        match self {
            Self::Right(right) => right,
            // A store that knows no force.
            Self::Busy | Self::Changed(_) => Right::Unfenced,
        }
    }
}

/// For how long nobody waits for a claim after a load that had nothing to store.
pub(crate) const PASS: Duration = Duration::from_millis(500);

impl<V: Send + Sync + 'static, K: Key + ?Sized> Shared<V, K> {
    /// Asks for the right to load each of these keys, of which this was seen. `mark` is that of the namespace.
    pub(crate) async fn claim<'w>(
        self: &Arc<Self>,
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

    fn granted(self: &Arc<Self>, claim: &Claim<'_>, answer: Result<Claimed>) -> Granted {
        match answer {
            Ok(Claimed::Granted(held)) => Granted::Right(Right::Claim(Grip {
                name: claim.key.to_owned(),
                space: claim.mark,
                held,
                token: claim.token,
            })),
            Ok(Claimed::Busy) => Granted::Busy,
            Ok(Claimed::Changed(record)) => Granted::Changed(record),
            Err(error) => {
                self.counters.add(Count::L2Errors, 1);
                self.note_lost(claim, &error);
                UNFENCED
            }
        }
    }

    /// It may have been granted all the same, unless it was not even sent.
    fn note_lost(self: &Arc<Self>, claim: &Claim<'_>, error: &Error) {
        let is_open = |far: &Far<V>| far.guard.writes().is_open();
        let is_open = self.far.as_ref().is_some_and(is_open);
        if error.kind() == ErrorKind::Timeout || !is_open {
            self.lost_claims.add(claim);
            self.mend();
        }
    }

    /// Renews the claims of a load while it runs; ends when it has run for too long. Later callers do not join it where its
    /// claim is lost: something has happened to the key.
    pub(crate) async fn keep(&self, wanted: &[Wanted<V, K>]) {
        let deadlines = &self.settings.deadlines;
        let limit = self.now().plus(deadlines.abandon);
        loop {
            let next = self.now().plus(self.settings.coherence.claim_life / 3);
            self.clock.sleep_until(next.min(limit)).await;
            if self.now() >= limit {
                return;
            }
            tokio::select! {
                biased;
                () = self.clock.sleep_until(limit) => return,
                // What it takes is not the caller's.
                () = with_budget(self.budget(wanted.len()), self.renew(wanted)) => {}
            }
        }
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
    pub(crate) async fn release(self: &Arc<Self>, grips: &[&Grip], pass: Option<Duration>) {
        let Some(far) = self.far.as_ref().filter(|_| !grips.is_empty()) else {
            return;
        };
        let holds: Vec<_> = grips.iter().map(|grip| grip.hold()).collect();
        let released = far.l2.release_many(&holds, pass).await;
        for (hold, released) in holds.iter().zip(released) {
            if released.is_err() {
                self.lose(hold);
            }
        }
    }

    /// This claim stands, or not.
    pub(crate) fn lose(self: &Arc<Self>, hold: &Hold<'_>) {
        self.lost_claims.add_hold(hold);
        self.mend();
    }
}

pub(crate) const UNFENCED: Granted = Granted::Right(Right::Unfenced);
