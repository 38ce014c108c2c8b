//! What ends by itself, and what does not: claims, fills, passes, and what has been expired.

use std::time::Duration;

use super::outcome::{Met, same};
use super::probe::{Holding, Probe, filling};
use super::{BRIEF, LONG, SHORT};
use crate::{Claim, Fill, Hold, Record, Seen};

const ENDED: &str = "a claim ends with its life";
const RAISED: &str = "a claimed record lives as long as the claim at least";
const RENEWED: &str = "a renewed claim lives on, and what it claims";
const FILLED: &str = "a fill brings its own life";
const PASSED: &str = "a pass ends with its own life";
const EXPIRED: &str = "an expiry leaves the record's life as it was";

/// Keys whose claims have ended when `PAUSE` has passed, each for one method.
const ENDED_KEYS: [&str; 5] = [
    "ended: got",
    "ended: headed",
    "ended: claimed",
    "ended: removed",
    "ended: expired",
];

/// What `begin` has put under way, to be judged when `PAUSE` has passed.
pub(super) struct Lives {
    /// Where there is a value that was claimed, it is this.
    value: Record,
    /// Claims of nothing, each to be met by one method: a store may notice the end of a life at the first touch only.
    filled: Hold<'static>,
    renewed: Hold<'static>,
    released: Hold<'static>,
    /// A claim that another's will follow.
    followed: Hold<'static>,
    /// A claim of a value that would have ended.
    raised: Hold<'static>,
    /// The value, renamed by a forced claim that ends.
    forced: Record,
    expired: Record,
    /// A claim of a pass.
    passed: Hold<'static>,
}

pub(super) async fn begin(probe: &Probe) -> Lives {
    let value = &probe.entry("claimed");
    for key in ENDED_KEYS {
        claimed(probe, key, SHORT).await;
    }
    beside(probe, ("ended: free", value, LONG), SHORT).await;
    renewals_begin(probe, value).await;
    fills_begin(probe, value).await;
    Lives {
        value: value.clone(),
        filled: claimed(probe, "ended: filled", SHORT).await,
        renewed: claimed(probe, "ended: renewed", SHORT).await,
        released: claimed(probe, "ended: released", SHORT).await,
        followed: beside(probe, ("ended: followed", value, LONG), SHORT).await,
        raised: beside(probe, ("raised", value, BRIEF), LONG).await,
        forced: forced_begin(probe, value).await,
        expired: expiries_begin(probe, value).await,
        passed: passes_begin(probe, value).await,
    }
}

/// The value, renamed by the second.
async fn forced_begin(probe: &Probe, value: &Record) -> Record {
    probe.set("forced: raised", value, BRIEF).await;
    granted(probe, probe.wish("forced: raised", Seen::Anything)).await;
    probe.set("forced: ends", value, LONG).await;
    let (life, wish) = (SHORT, probe.wish("forced: ends", Seen::Anything));
    let hold = granted(probe, Claim { life, ..wish }).await;
    value.with_version(hold.token)
}

async fn expiries_begin(probe: &Probe, value: &Record) -> Record {
    probe.set("expired: ends", value, BRIEF).await;
    probe.set("expired: stays", value, LONG).await;
    probe.expire(&[probe.expiry("expired: ends")]).await;
    let expiry = probe.expiry("expired: stays");
    probe.expire(&[expiry]).await;
    value.expired(expiry.version).unwrap_or(value.clone())
}

async fn renewals_begin(probe: &Probe, value: &Record) {
    let long = [
        claimed(probe, "renewed: nothing", BRIEF).await,
        beside(probe, ("renewed: value", value, BRIEF), BRIEF).await,
    ];
    same(RENEWED, &probe.renew(&long, LONG).await, &[true, true]);
    let short = [
        claimed(probe, "renewed: ends", BRIEF).await,
        beside(probe, ("renewed: stays", value, LONG), BRIEF).await,
    ];
    same(RENEWED, &probe.renew(&short, SHORT).await, &[true, true]);
}

async fn fills_begin(probe: &Probe, value: &Record) {
    let record = &probe.entry("filled");
    let holds = [
        claimed(probe, "filled: short", LONG).await,
        claimed(probe, "filled: long", BRIEF).await,
        beside(probe, ("filled: shorter", value, LONG), LONG).await,
        beside(probe, ("filled: longer", value, BRIEF), BRIEF).await,
    ];
    let lives = [SHORT, LONG, SHORT, LONG].into_iter();
    let fills: Vec<_> = lives
        .zip(holds)
        .map(|(life, hold)| Fill {
            life,
            ..filling(hold, record)
        })
        .collect();
    same(FILLED, &probe.fill(&fills).await, &[true; 4]);
}

/// The last of them claims what it has passed.
async fn passes_begin(probe: &Probe, value: &Record) -> Hold<'static> {
    let short = [
        claimed(probe, "passed: ends", LONG).await,
        beside(probe, ("passed: value", value, LONG), LONG).await,
    ];
    probe.release(&short, Some(SHORT)).await;
    let long = [
        claimed(probe, "passed: long", BRIEF).await,
        beside(probe, ("passed: long value", value, LONG), BRIEF).await,
    ];
    probe.release(&long, Some(LONG)).await;
    let hold = claimed(probe, "passed: claimed", LONG).await;
    probe.release(&[hold], Some(BRIEF)).await;
    claimed(probe, "passed: claimed", LONG).await
}

impl Lives {
    pub(super) async fn end(&self, probe: &Probe) {
        claims_of_nothing_have_ended(probe).await;
        self.an_ended_claim_holds_nothing(probe).await;
        self.a_claim_beside_a_record_has_ended(probe).await;
        self.of_an_ended_claim_and_the_next_one_stores(probe).await;
        self.a_claimed_record_lives_on(probe).await;
        self.a_forced_claim_lives_like_others(probe).await;
        self.renewals_have_lasted(probe).await;
        fills_have_their_own_lives(probe).await;
        self.passes_have_ended(probe).await;
        self.expiries_have_changed_no_life(probe).await;
    }

    async fn an_ended_claim_holds_nothing(&self, probe: &Probe) {
        probe.refuses(ENDED, self.filled).await;
        probe.stands(ENDED, self.renewed, false).await;
        probe.release(&[self.released], Some(LONG)).await;
        probe.holds(ENDED, &[("ended: released", None)]).await;
    }

    async fn a_claim_beside_a_record_has_ended(&self, probe: &Probe) {
        probe
            .holds(ENDED, &[("ended: free", Some(&self.value))])
            .await;
        probe.next_meets(ENDED, "ended: free", Met::Granted).await;
    }

    async fn of_an_ended_claim_and_the_next_one_stores(&self, probe: &Probe) {
        let next = probe.wish("ended: followed", Seen::Version(self.value.version()));
        probe.meets(ENDED, next, Met::Granted).await;
        probe.stands(ENDED, self.followed, false).await;
        probe.next_meets(ENDED, "ended: followed", Met::Busy).await;
        let rule = "of two claims one stores, whether the other has ended or not";
        probe.one_stores(rule, [self.followed, next.hold()]).await;
    }

    async fn a_claimed_record_lives_on(&self, probe: &Probe) {
        probe.holds(RAISED, &[("raised", Some(&self.value))]).await;
        probe.next_meets(RAISED, "raised", Met::Busy).await;
        probe.stores(RAISED, self.raised).await;
    }

    async fn a_forced_claim_lives_like_others(&self, probe: &Probe) {
        probe.next_meets(RAISED, "forced: raised", Met::Busy).await;
        probe
            .holds(ENDED, &[("forced: ends", Some(&self.forced))])
            .await;
        probe.next_meets(ENDED, "forced: ends", Met::Granted).await;
    }

    async fn renewals_have_lasted(&self, probe: &Probe) {
        probe
            .holds(RENEWED, &[("renewed: value", Some(&self.value))])
            .await;
        for key in ["renewed: nothing", "renewed: value"] {
            probe.next_meets(RENEWED, key, Met::Busy).await;
        }
        let rule = "a renewed claim ends with its new life";
        let want = [
            ("renewed: ends", None),
            ("renewed: stays", Some(&self.value)),
        ];
        probe.holds(rule, &want).await;
        for key in ["renewed: ends", "renewed: stays"] {
            probe.next_meets(rule, key, Met::Granted).await;
        }
    }

    async fn passes_have_ended(&self, probe: &Probe) {
        let want = [("passed: ends", None), ("passed: value", Some(&self.value))];
        probe.holds(PASSED, &want).await;
        for key in ["passed: ends", "passed: value"] {
            probe.next_meets(PASSED, key, Met::Granted).await;
            probe.next_meets(PASSED, key, Met::Busy).await;
        }
        for key in ["passed: long", "passed: long value"] {
            probe.next_meets(PASSED, key, Met::Granted).await;
            probe.next_meets(PASSED, key, Met::Granted).await;
        }
        let rule = "a pass lives as long as the claims of it";
        probe.stores(rule, self.passed).await;
    }

    async fn expiries_have_changed_no_life(&self, probe: &Probe) {
        let stays = Some(&self.expired);
        let want = [("expired: ends", None), ("expired: stays", stays)];
        probe.holds(EXPIRED, &want).await;
    }
}

async fn claims_of_nothing_have_ended(probe: &Probe) {
    same(ENDED, &probe.get(&["ended: got"]).await, &[None]);
    same(ENDED, &probe.heads(&["ended: headed"]).await, &[None]);
    same(ENDED, &probe.remove(&["ended: removed"]).await, &[None]);
    let expired = probe.expire(&[probe.expiry("ended: expired")]).await;
    same(ENDED, &expired, &[None]);
    let claim = probe.wish("ended: claimed", Seen::Nothing);
    probe.meets(ENDED, claim, Met::Granted).await;
}

async fn fills_have_their_own_lives(probe: &Probe) {
    let gone = [("filled: short", None), ("filled: shorter", None)];
    probe.holds(FILLED, &gone).await;
    let stay = probe.get(&["filled: long", "filled: longer"]).await;
    let are_there: Vec<_> = stay.iter().map(Option::is_some).collect();
    same(FILLED, &are_there, &[true, true]);
}

/// A claim of nothing.
async fn claimed(probe: &Probe, key: &'static str, life: Duration) -> Hold<'static> {
    let wish = probe.wish(key, Seen::Nothing);
    granted(probe, Claim { life, ..wish }).await
}

/// A claim of a value that is put there to live so long.
async fn beside(
    probe: &Probe,
    (key, value, value_life): (&'static str, &Record, Duration),
    life: Duration,
) -> Hold<'static> {
    probe.set(key, value, value_life).await;
    let wish = probe.wish(key, Seen::Version(value.version()));
    granted(probe, Claim { life, ..wish }).await
}

async fn granted(probe: &Probe, claim: Claim<'static>) -> Hold<'static> {
    let rule = "what nobody has claimed is granted";
    probe.meets(rule, claim, Met::Granted).await;
    claim.hold()
}
