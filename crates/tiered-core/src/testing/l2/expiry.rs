//! What an expiry does.

use super::LONG;
use super::outcome::same;
use super::probe::{Holding, Probe};
use super::sample::{entries, foreigners};
use crate::{Record, Seen};

const BEFORE: &str = "an expiry answers with the head of what was there before";
const REMOVED: &str = "an expiry removes what is no entry";

pub(super) async fn contract(probe: &Probe) {
    an_expired_entry_keeps_its_other_bytes(probe).await;
    an_entry_can_be_expired_again(probe).await;
    foreign_bytes_are_removed(probe).await;
    nothing_stays_nothing(probe).await;
}

async fn an_expired_entry_keeps_its_other_bytes(probe: &Probe) {
    let rule = "an expired entry is stale under its new version, and otherwise as it was";
    for entry in &entries() {
        probe.set("expired", entry, LONG).await;
        let expiry = probe.expiry("expired");
        let before = probe.expire(&[expiry]).await;
        same(BEFORE, &before, &[Some(entry.head())]);
        let expired = entry.expired(expiry.version);
        probe.holds(rule, &[("expired", expired.as_ref())]).await;
    }
}

async fn an_entry_can_be_expired_again(probe: &Probe) {
    let rule = "a stale entry can be expired again";
    let mut entry = probe.entry("expired again");
    probe.set("again", &entry, LONG).await;
    for _ in 0..3 {
        let expiry = probe.expiry("again");
        let before = probe.expire(&[expiry]).await;
        same(BEFORE, &before, &[Some(entry.head())]);
        entry = entry.expired(expiry.version).unwrap_or(entry);
        probe.holds(rule, &[("again", Some(&entry))]).await;
    }
}

async fn foreign_bytes_are_removed(probe: &Probe) {
    for foreign in &foreigners() {
        probe.set("foreign", foreign, LONG).await;
        let before = probe.expire(&[probe.expiry("foreign")]).await;
        same(BEFORE, &before, &[Some(foreign.head())]);
        probe.holds(REMOVED, &[("foreign", None)]).await;
    }
}

async fn nothing_stays_nothing(probe: &Probe) {
    let before = probe.expire(&[probe.expiry("nobody")]).await;
    same(BEFORE, &before, &[None]);
    let rule = "an expiry of nothing leaves nothing";
    probe.holds(rule, &[("nobody", None)]).await;
}

/// Needs claims that keep the contract.
pub(super) async fn a_placeholder_is_removed(probe: &Probe) {
    for pass in [None, Some(LONG)] {
        let claim = probe.granted("claimed", Seen::Nothing).await;
        let mut placeholder = Record::claim(claim.token, claim.mark);
        if pass.is_some() {
            probe.release(&[claim.hold()], pass).await;
            placeholder = Record::pass(claim.token, claim.mark);
        }
        let before = probe.expire(&[probe.expiry("claimed")]).await;
        same(BEFORE, &before, &[Some(placeholder)]);
        probe.holds(REMOVED, &[("claimed", None)]).await;
    }
}
