//! The fence of the plain store, in which one thing is done wrong.

use std::time::Duration;

use super::LONG;
use super::outcome::Met;
use super::toy::{Kept, Lock, Toy, is_placeholder};
use crate::{Claim, Fill, Hold, Kind, Record, Seen, Tick, Version, Write};

/// Claims.
impl Toy {
    pub(super) fn claim(&self, claim: &Claim<'_>) -> Met {
        match self.kept(claim.key) {
            _ if self.is("grants whatever is asked") => Met::Granted,
            None => self.place(claim),
            Some(kept) if is_placeholder(&kept.record) => self.claim_placeholder(kept, claim),
            Some(kept) if claim.seen == Seen::Anything => self.force(kept, claim),
            Some(kept) => self.claim_record(kept, claim),
        }
    }

    fn place(&self, claim: &Claim<'_>) -> Met {
        let mut record = Record::claim(claim.token, claim.mark);
        if self.is("writes placeholders without a mark") {
            record = Record::claim(claim.token, claim.token);
        }
        let life = if self.is("claims have no end") {
            LONG
        } else {
            claim.life
        };
        let (end, lock) = (self.end(life), None);
        let kept = Kept { record, end, lock };
        self.records().insert(claim.key.to_owned(), kept);
        Met::Granted
    }

    fn claim_placeholder(&self, kept: Kept, claim: &Claim<'_>) -> Met {
        let version = kept.record.version();
        let is_marked = kept.record.mark() == Some(claim.mark);
        let is_forced = claim.seen == Seen::Anything && !self.is("forces no placeholder");
        let is_seen = claim.seen == Seen::Version(version);
        match kept.record.kind() {
            _ if version == claim.token && !self.is("does not know a token again") => Met::Granted,
            _ if is_forced || !is_marked && !self.is("ignores marks") => self.place(claim),
            Kind::Pass if !self.is("is busy after a pass") => self.claim_pass(kept, claim),
            _ if is_seen && self.is("grants a placeholder that was seen") => Met::Granted,
            _ => Met::Busy,
        }
    }

    fn claim_pass(&self, mut kept: Kept, claim: &Claim<'_>) -> Met {
        if self.is("takes a pass away") {
            return self.place(claim);
        }
        if !self.is("does not rename a pass") {
            kept.record = kept.record.with_version(claim.token);
        }
        if !self.is("raises no life of passes") {
            kept.end = kept.end.max(self.end(claim.life));
        }
        self.records().insert(claim.key.to_owned(), kept);
        Met::Granted
    }

    fn claim_record(&self, kept: Kept, claim: &Claim<'_>) -> Met {
        let version = kept.record.version();
        let is_own = version == claim.token && !self.is("does not know its version");
        let is_seen = claim.seen == Seen::Version(version);
        if !is_own && !is_seen && !self.is("grants what was not seen") {
            let whole = kept.record.clone();
            let heads = self.is("answers changes with heads");
            return Met::Changed(if heads { whole.head() } else { whole });
        }
        let lock = self.lock(&kept).filter(|_| !self.is("ignores claims"));
        match lock.map(|lock| lock.token) {
            Some(None) if self.is("is busy after a pass beside") => Met::Busy,
            Some(None) => Met::Granted,
            Some(Some(token)) if token != claim.token => Met::Busy,
            Some(Some(_)) | None => self.note(kept, claim),
        }
    }

    fn force(&self, mut kept: Kept, claim: &Claim<'_>) -> Met {
        if self.is("forces a record away") {
            return self.place(claim);
        }
        kept.lock = None;
        if !self.is("forces under the old version") {
            kept.record = kept.record.with_version(claim.token);
        }
        if self.is("forces without a claim") {
            self.records().insert(claim.key.to_owned(), kept);
            return Met::Granted;
        }
        self.note(kept, claim)
    }

    /// Notes the claim beside the record.
    fn note(&self, mut kept: Kept, claim: &Claim<'_>) -> Met {
        let end = self.end(claim.life);
        let (version, token) = (kept.record.version(), Some(claim.token));
        kept.lock = Some(Lock {
            version,
            token,
            end,
        });
        if !self.is("raises no life") {
            kept.end = kept.end.max(end);
        }
        if self.is("cuts the life of what is claimed") {
            kept.end = end;
        }
        self.records().insert(claim.key.to_owned(), kept);
        Met::Granted
    }

    fn lock(&self, kept: &Kept) -> Option<Lock> {
        let is_of = |lock: &Lock| {
            lock.version == kept.record.version() || self.is("claims outlive their version")
        };
        let lives = |lock: &Lock| {
            let is_endless = match lock.token {
                Some(_) => self.is("claims have no end"),
                None => self.is("passes have no end"),
            };
            self.clock.now() < lock.end || is_endless
        };
        kept.lock.filter(is_of).filter(lives)
    }
}

/// What is done with a claim.
impl Toy {
    pub(super) fn fill(&self, fill: &Fill<'_>) -> bool {
        let found = self.kept(fill.hold.key);
        let Some(mut kept) = found else {
            return self.is("fills what is missing") && self.store(fill);
        };
        let version = kept.record.version();
        let is_repeated = version == fill.record.version();
        if is_repeated && !self.is("fills once") {
            return true;
        }
        if version == fill.hold.held || self.is("fills without asking") {
            return self.store(fill);
        }
        let is_own = |lock: &Lock| lock.token == Some(fill.hold.token);
        if !self.is("refuses and keeps the claim") {
            kept.lock = kept.lock.filter(|lock| !is_own(lock));
            self.records().insert(fill.hold.key.to_owned(), kept);
        }
        self.is("says stored when it is not")
    }

    fn store(&self, fill: &Fill<'_>) -> bool {
        let (key, record, life) = (fill.hold.key, fill.record.clone(), fill.life);
        let life_before = self.kept(key).map(|kept| kept.end);
        self.set(&Write { key, record, life });
        if let Some(kept) = self.records().get_mut(key) {
            if let Some(end) = life_before.filter(|_| self.is("fills into the old life")) {
                kept.end = end;
            }
            if !self.is("fills and keeps the claim") {
                kept.lock = None;
            } else if let Some(lock) = &mut kept.lock {
                lock.version = kept.record.version();
            }
        }
        true
    }

    pub(super) fn renew(&self, hold: &Hold<'_>, life: Duration) -> bool {
        let Some(kept) = self.kept(hold.key) else {
            return self.is("renews what is gone");
        };
        let token = self.lock(&kept).and_then(|lock| lock.token);
        let is_taken = token.is_some_and(|token| token != hold.token);
        let is_lost = is_taken || kept.record.version() != hold.held;
        if is_lost && !self.is("renews lost claims") {
            return false;
        }
        if !self.is("renews nothing") {
            self.prolong(kept, hold, self.end(life));
        }
        true
    }

    fn prolong(&self, mut kept: Kept, hold: &Hold<'_>, end: Tick) {
        let is_beside = !is_placeholder(&kept.record);
        if is_beside {
            let (version, token) = (kept.record.version(), Some(hold.token));
            kept.lock = Some(Lock {
                version,
                token,
                end,
            });
        }
        if !is_beside || !self.is("renews the claim but not the record") {
            kept.end = kept.end.max(end);
        }
        self.records().insert(hold.key.to_owned(), kept);
    }

    pub(super) fn release(&self, hold: &Hold<'_>, pass: Option<Duration>) {
        let Some(mut kept) = self.kept(hold.key) else {
            if let Some(life) = pass.filter(|_| self.is("passes over nothing")) {
                self.leave_pass(hold, hold.token, life);
            }
            return;
        };
        let is_own = |lock: &Lock| lock.token == Some(hold.token) || self.is("releases others");
        if let Some(mark) = kept.record.mark() {
            if kept.record.version() == hold.token || self.is("releases others") {
                self.release_placeholder(hold, mark, pass);
            }
        } else if self.is("releases the record") {
            self.remove(hold.key);
        } else if let Some(lock) = kept.lock.filter(is_own) {
            let pass = pass.filter(|_| !self.is("leaves no pass beside"));
            let (token, version) = (None, lock.version);
            kept.lock = pass.map(|life| Lock {
                version,
                token,
                end: self.end(life),
            });
            self.records().insert(hold.key.to_owned(), kept);
        }
    }

    fn release_placeholder(&self, hold: &Hold<'_>, mark: Version, pass: Option<Duration>) {
        if self.is("releases no placeholder") {
            return;
        }
        self.remove(hold.key);
        if let Some(life) = pass.filter(|_| !self.is("leaves no pass")) {
            self.leave_pass(hold, mark, life);
        }
    }

    fn leave_pass(&self, hold: &Hold<'_>, mark: Version, life: Duration) {
        let (key, record) = (hold.key, Record::pass(hold.token, mark));
        let life = if self.is("passes have no end") {
            LONG
        } else {
            life
        };
        self.set(&Write { key, record, life });
    }
}
