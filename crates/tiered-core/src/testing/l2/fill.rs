//! When a fill stores, and when it does not.

use super::LONG;
use super::change::Change;
use super::outcome::{Met, same};
use super::probe::{Holding, Probe, filling};
use super::sample::{claimables, entries};
use crate::{Hold, Seen};

pub(super) async fn contract(probe: &Probe) {
    whoever_holds_the_claim_stores(probe).await;
    a_filled_record_is_claimed_by_nobody(probe).await;
    a_fill_can_be_repeated(probe).await;
    a_fill_without_a_claim_is_refused(probe).await;
    every_change_defeats_an_older_claim(probe).await;
    two_claims_never_both_store(probe).await;
    a_refused_fill_frees_what_it_held(probe).await;
}

async fn whoever_holds_the_claim_stores(probe: &Probe) {
    let rule = "a fill stores if the record has the version that is held";
    for (at, record) in entries().iter().enumerate() {
        let key = &format!("held:{at}");
        let value = probe.entry("before");
        for before in [None, Some(&value)] {
            let claim = probe.granted_on(key, before).await;
            let fill = filling(claim.hold(), record);
            same(rule, &probe.fill(&[fill]).await, &[true]);
            probe.holds(rule, &[(key, Some(record))]).await;
        }
    }
}

async fn a_filled_record_is_claimed_by_nobody(probe: &Probe) {
    let rule = "a fill ends its claim";
    for value in [None, Some(&probe.entry("before"))] {
        let claim = probe.granted_on("ended", value).await;
        probe.stores(rule, claim.hold()).await;
        probe.stands(rule, claim.hold(), false).await;
        probe.next_meets(rule, "ended", Met::Granted).await;
    }
}

async fn a_fill_can_be_repeated(probe: &Probe) {
    let rule = "a fill is true again while its record is the one there";
    for value in [None, Some(&probe.entry("before"))] {
        let claim = probe.granted_on("repeated", value).await;
        let record = probe.entry("repeated");
        let fill = filling(claim.hold(), &record);
        for _ in 0..3 {
            same(
                rule,
                &probe.fill(std::slice::from_ref(&fill)).await,
                &[true],
            );
            probe.holds(rule, &[("repeated", Some(&record))]).await;
        }
        let newer = &probe.entry("newer");
        probe.set("repeated", newer, LONG).await;
        same(rule, &probe.fill(&[fill]).await, &[false]);
        probe.holds(rule, &[("repeated", Some(newer))]).await;
    }
}

async fn a_fill_without_a_claim_is_refused(probe: &Probe) {
    let rule = "a fill without a claim is refused, and changes nothing";
    let stranger = |key| Hold {
        key,
        ..probe.wish("", Seen::Nothing).hold()
    };
    probe.refuses(rule, stranger("unclaimed")).await;
    for record in &claimables() {
        probe.set("unclaimed", record, LONG).await;
        probe.refuses(rule, stranger("unclaimed")).await;
    }
    for value in [None, Some(&probe.entry("claimed"))] {
        let claim = probe.granted_on("of another", value).await;
        probe.refuses(rule, stranger("of another")).await;
        probe.next_meets(rule, "of another", Met::Busy).await;
        probe.stores(rule, claim.hold()).await;
    }
}

async fn every_change_defeats_an_older_claim(probe: &Probe) {
    for change in Change::ALL {
        let rule = &format!("whatever changes the record defeats older claims: {change:?}");
        for value in [None, Some(&probe.entry(&format!("before {change:?}")))] {
            let older = probe.granted_on("defeated", value).await;
            change.make(probe, "defeated").await;
            probe.stands(rule, older.hold(), false).await;
            probe.refuses(rule, older.hold()).await;
            probe.next_meets(rule, "defeated", change.leaves()).await;
        }
    }
}

/// Of a claim and a forced one, whichever fills first.
async fn two_claims_never_both_store(probe: &Probe) {
    let rule = "of two claims only one stores";
    for is_forced_first in [false, true] {
        for value in [None, Some(&probe.entry("before both"))] {
            let older = probe.granted_on("both", value).await;
            let newer = probe.granted("both", Seen::Anything).await;
            let (one, two) = (&probe.entry("one"), &probe.entry("two"));
            let mut fills = [filling(older.hold(), one), filling(newer.hold(), two)];
            let mut want = [false, true];
            if is_forced_first {
                fills.reverse();
                want.reverse();
            }
            for (fill, want) in fills.iter().zip(want) {
                same(rule, &probe.fill(std::slice::from_ref(fill)).await, &[want]);
            }
            probe.holds(rule, &[("both", Some(two))]).await;
        }
    }
}

async fn a_refused_fill_frees_what_it_held(probe: &Probe) {
    let rule = "a refused fill ends its claim too";
    let value = probe.entry("unchanged");
    let claim = probe.granted_on("freed", Some(&value)).await;
    let elsewhere = Hold {
        held: probe.version(),
        ..claim.hold()
    };
    probe.refuses(rule, elsewhere).await;
    probe.next_meets(rule, "freed", Met::Granted).await;
}
