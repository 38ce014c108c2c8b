//! Renewing and releasing what is held.

use super::LONG;
use super::change::Change;
use super::outcome::{Met, same};
use super::probe::{Holding, Probe};
use crate::{Claim, Hold, Record, Seen};

const FREE: &str = "what is released is free at once";
const PASS: &str = "what is released with a pass is granted to each who claims it";
const OTHERS: &str = "releasing what one does not hold disturbs nobody";

pub(super) async fn contract(probe: &Probe) {
    a_standing_claim_can_be_renewed(probe).await;
    a_released_claim_is_free(probe).await;
    a_lost_claim_cannot_be_renewed(probe).await;
    a_passed_placeholder_is_granted_to_each(probe).await;
    a_passed_record_is_granted_to_each(probe).await;
    whoever_claims_a_pass_can_release_it(probe).await;
    every_change_ends_a_pass(probe).await;
    a_fill_ends_a_pass(probe).await;
    a_release_disturbs_nobody_else(probe).await;
    a_release_of_what_has_changed_disturbs_nobody(probe).await;
}

async fn a_standing_claim_can_be_renewed(probe: &Probe) {
    let rule = "a renewal changes no record, and keeps others away";
    for value in [None, Some(&probe.entry("renewed"))] {
        let claim = probe.granted_on("renewed", value).await;
        probe.stands(rule, claim.hold(), true).await;
        probe.next_meets(rule, "renewed", Met::Busy).await;
        let forced = probe.granted("renewed", Seen::Anything).await;
        probe.stands(rule, forced.hold(), true).await;
        probe.next_meets(rule, "renewed", Met::Busy).await;
        probe.stores(rule, forced.hold()).await;
    }
}

async fn a_released_claim_is_free(probe: &Probe) {
    for value in [None, Some(&probe.entry("released"))] {
        let claim = probe.granted_on("released", value).await;
        probe.release(&[claim.hold()], None).await;
        probe.holds(FREE, &[("released", value)]).await;
        probe.next_meets(FREE, "released", Met::Granted).await;
    }
    let value = probe.entry("forced");
    probe.set("released", &value, LONG).await;
    let forced = probe.granted("released", Seen::Anything).await;
    let renamed = value.with_version(forced.token);
    probe.release(&[forced.hold()], None).await;
    probe.holds(FREE, &[("released", Some(&renamed))]).await;
    probe.next_meets(FREE, "released", Met::Granted).await;
}

async fn a_lost_claim_cannot_be_renewed(probe: &Probe) {
    let rule = "what is released is not held";
    let nobody = probe.wish("nobody's", Seen::Nothing);
    probe.stands(rule, nobody.hold(), false).await;
    let released = probe.granted_on("lost", None).await;
    probe.release(&[released.hold()], None).await;
    probe.stands(rule, released.hold(), false).await;
    let value = probe.entry("lost");
    for value in [None, Some(&value)] {
        let lost = probe.granted_on("lost", value).await;
        probe.release(&[lost.hold()], None).await;
        let seen = value.map_or(Seen::Nothing, |value| Seen::Version(value.version()));
        let other = probe.granted("lost", seen).await;
        probe.stands(rule, lost.hold(), false).await;
        probe.next_meets(rule, "lost", Met::Busy).await;
        probe.stands(rule, other.hold(), true).await;
    }
}

async fn a_passed_placeholder_is_granted_to_each(probe: &Probe) {
    let claim = probe.granted_on("passed", None).await;
    probe.release(&[claim.hold()], Some(LONG)).await;
    let pass = |claim: Claim<'_>| Record::pass(claim.token, claim.mark);
    probe.holds(PASS, &[("passed", Some(&pass(claim)))]).await;
    let mut last = claim;
    for seen in [Seen::Nothing, Seen::Version(probe.version())] {
        let next = probe.wish("passed", seen);
        probe.meets(PASS, next, Met::Granted).await;
        probe.holds(PASS, &[("passed", Some(&pass(next)))]).await;
        probe.refuses(PASS, last.hold()).await;
        probe.stands(PASS, last.hold(), false).await;
        last = next;
    }
    // Whoever claims a pass holds it under the token, whatever was seen before.
    let hold = Hold {
        held: last.token,
        ..last.hold()
    };
    probe.meets(PASS, last, Met::Granted).await;
    probe.stands(PASS, hold, true).await;
    probe
        .stores("of the claims of a pass the last one stores", hold)
        .await;
}

async fn a_passed_record_is_granted_to_each(probe: &Probe) {
    let value = probe.entry("passed");
    let claim = probe.granted_on("passed", Some(&value)).await;
    probe.release(&[claim.hold()], Some(LONG)).await;
    let seen = Seen::Version(value.version());
    let [one, other] = [(); 2].map(|()| probe.wish("passed", seen));
    for claim in [one, other] {
        probe.meets(PASS, claim, Met::Granted).await;
        probe.holds(PASS, &[("passed", Some(&value))]).await;
    }
    let unseen = probe.wish("passed", Seen::Nothing);
    probe.meets(PASS, unseen, Met::Changed(value)).await;
    let rule = "of the claims of a passed record one stores";
    probe.one_stores(rule, [one.hold(), other.hold()]).await;
}

async fn whoever_claims_a_pass_can_release_it(probe: &Probe) {
    let claim = probe.granted_on("passed", None).await;
    probe.release(&[claim.hold()], Some(LONG)).await;
    let next = probe.granted("passed", Seen::Nothing).await;
    probe.release(&[claim.hold()], None).await;
    probe.stands(OTHERS, next.hold(), true).await;
    probe.release(&[next.hold()], None).await;
    probe.holds(FREE, &[("passed", None)]).await;
}

async fn every_change_ends_a_pass(probe: &Probe) {
    for change in Change::ALL {
        let rule = &format!("a pass ends when the record changes: {change:?}");
        for value in [None, Some(&probe.entry(&format!("before {change:?}")))] {
            let claim = probe.granted_on("passing", value).await;
            probe.release(&[claim.hold()], Some(LONG)).await;
            change.make(probe, "passing").await;
            probe.next_meets(rule, "passing", change.leaves()).await;
            probe.next_meets(rule, "passing", Met::Busy).await;
        }
    }
}

async fn a_fill_ends_a_pass(probe: &Probe) {
    let rule = "a pass ends with a fill";
    for value in [None, Some(&probe.entry("passed before a fill"))] {
        let claim = probe.granted_on("filled", value).await;
        probe.release(&[claim.hold()], Some(LONG)).await;
        let seen = value.map_or(Seen::Nothing, |value| Seen::Version(value.version()));
        let next = probe.granted("filled", seen).await;
        probe.stores(rule, next.hold()).await;
        probe.next_meets(rule, "filled", Met::Granted).await;
        probe.next_meets(rule, "filled", Met::Busy).await;
    }
}

async fn a_release_disturbs_nobody_else(probe: &Probe) {
    for pass in [None, Some(LONG)] {
        let nobody = probe.wish("nobody's", Seen::Nothing).hold();
        probe.release(&[nobody], pass).await;
        probe.holds(OTHERS, &[("nobody's", None)]).await;
        for value in [None, Some(&probe.entry("another's"))] {
            let claim = probe.granted_on("another's", value).await;
            let (held, token) = (claim.hold().held, probe.version());
            for held in [held, token] {
                let key = "another's";
                probe.release(&[Hold { key, held, token }], pass).await;
                probe.next_meets(OTHERS, key, Met::Busy).await;
            }
            probe.stands(OTHERS, claim.hold(), true).await;
            probe.stores(OTHERS, claim.hold()).await;
            let filled = probe.get(&["another's"]).await;
            probe.release(&[claim.hold()], pass).await;
            same(OTHERS, &probe.get(&["another's"]).await, &filled);
            probe.next_meets(OTHERS, "another's", Met::Granted).await;
        }
    }
}

async fn a_release_of_what_has_changed_disturbs_nobody(probe: &Probe) {
    for pass in [None, Some(LONG)] {
        for value in [None, Some(&probe.entry("before"))] {
            let older = probe.granted_on("since", value).await;
            Change::Set.make(probe, "since").await;
            probe.release(&[older.hold()], pass).await;
            probe.next_meets(OTHERS, "since", Met::Granted).await;
            probe.release(&[older.hold()], pass).await;
            probe.next_meets(OTHERS, "since", Met::Busy).await;
        }
    }
}
