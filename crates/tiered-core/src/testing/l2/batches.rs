//! Batches of the fence's operations: an outcome for each item, in their order.

use super::LONG;
use super::outcome::{Met, same};
use super::probe::{Holding, Probe, filling, refs};
use super::sample::ODD_KEYS;
use crate::{Claim, Hold, Record, Seen};

pub(super) async fn contract(probe: &Probe) {
    no_items_are_no_work(probe).await;
    claims_are_answered_in_their_order(probe).await;
    fills_and_renewals_are_answered_in_their_order(probe).await;
    expiries_are_answered_in_their_order(probe).await;
    a_key_may_be_claimed_twice(probe).await;
    a_key_may_be_filled_and_renewed_twice(probe).await;
    a_key_may_be_expired_and_released_twice(probe).await;
    odd_keys_are_claimed_like_others(probe).await;
    a_large_batch_is_claimed_and_filled(probe).await;
}

const ORDER: &str = "each item has its own outcome, in their order";

async fn no_items_are_no_work(probe: &Probe) {
    let rule = "no items, no outcomes";
    same(rule, &probe.expire(&[]).await, &[]);
    same(rule, &probe.claim(&[]).await, &[]);
    same(rule, &probe.fill(&[]).await, &[]);
    same(rule, &probe.renew(&[], LONG).await, &[]);
    probe.release(&[], None).await;
    probe.release(&[], Some(LONG)).await;
}

async fn claims_are_answered_in_their_order(probe: &Probe) {
    let value = probe.entry("in order");
    let passed = probe.granted_on("order:passed", None).await;
    probe.release(&[passed.hold()], Some(LONG)).await;
    probe.granted_on("order:busy", None).await;
    probe.set("order:value", &value, LONG).await;
    let nothing = |key| probe.wish(key, Seen::Nothing);
    let claims = [
        nothing("order:passed"),
        nothing("order:busy"),
        nothing("order:value"),
        nothing("order:free"),
        probe.wish("order:value", Seen::Version(value.version())),
    ];
    let want = [
        Met::Granted,
        Met::Busy,
        Met::Changed(value),
        Met::Granted,
        Met::Granted,
    ];
    same(ORDER, &probe.claim(&claims).await, &want);
}

async fn fills_and_renewals_are_answered_in_their_order(probe: &Probe) {
    let mut holds = Vec::new();
    for key in ["many:1", "many:2", "many:3", "many:4"] {
        holds.push(probe.granted_on(key, None).await.hold());
    }
    probe.remove(&["many:1", "many:3"]).await;
    let stand = [false, true, false, true];
    same(ORDER, &probe.renew(&holds, LONG).await, &stand);
    let records: Vec<_> = holds.iter().map(|hold| probe.entry(hold.key)).collect();
    let fills = holds.iter().zip(&records);
    let mut fills: Vec<_> = fills.map(|(hold, record)| filling(*hold, record)).collect();
    fills.swap(0, 1);
    let stored = [true, false, false, true];
    same(ORDER, &probe.fill(&fills).await, &stored);
    for ((hold, record), stands) in holds.iter().zip(&records).zip(stand) {
        probe
            .holds(ORDER, &[(hold.key, stands.then_some(record))])
            .await;
    }
}

async fn expiries_are_answered_in_their_order(probe: &Probe) {
    let (one, two) = (&probe.entry("one"), &probe.entry("two"));
    probe
        .set_all(&[("aged:1", one), ("aged:2", two)], LONG)
        .await;
    let expiries = ["aged:2", "aged:nobody", "aged:1"].map(|key| probe.expiry(key));
    let before = [Some(two.head()), None, Some(one.head())];
    same(ORDER, &probe.expire(&expiries).await, &before);
    for (expiry, record) in expiries.iter().zip([Some(two), None, Some(one)]) {
        let expired = record.and_then(|record| record.expired(expiry.version));
        probe.holds(ORDER, &[(expiry.key, expired.as_ref())]).await;
    }
}

async fn a_key_may_be_claimed_twice(probe: &Probe) {
    let rule = "of two claims in one batch the earlier is granted";
    for value in [None, Some(&probe.entry("twice"))] {
        probe.remove(&["twice"]).await;
        let mut seen = Seen::Nothing;
        if let Some(value) = value {
            probe.set("twice", value, LONG).await;
            seen = Seen::Version(value.version());
        }
        let (first, second) = (probe.wish("twice", seen), probe.wish("twice", seen));
        let want = [Met::Granted, Met::Busy];
        same(rule, &probe.claim(&[first, second]).await, &want);
        probe.stores(rule, first.hold()).await;
    }
}

async fn a_key_may_be_filled_and_renewed_twice(probe: &Probe) {
    let rule = "a key may occur twice, and the earlier item comes first";
    let hold = probe.granted_on("twice", None).await.hold();
    let token = probe.version();
    let other = Hold {
        held: token,
        token,
        ..hold
    };
    let renewed = probe.renew(&[hold, other, hold], LONG).await;
    same(rule, &renewed, &[true, false, true]);
    let (first, second) = (&probe.entry("first"), &probe.entry("second"));
    let fills = [first, second, first].map(|record| filling(hold, record));
    same(rule, &probe.fill(&fills).await, &[true, false, true]);
    probe.holds(rule, &[("twice", Some(first))]).await;
}

async fn a_key_may_be_expired_and_released_twice(probe: &Probe) {
    let rule = "a key may occur twice, and the later item comes later";
    let value = probe.entry("expired twice");
    probe.set("twice", &value, LONG).await;
    let [first, second] = [(); 2].map(|()| probe.expiry("twice"));
    let before = probe.expire(&[first, second]).await;
    let between = value.expired(first.version).map(|record| record.head());
    same(rule, &before, &[Some(value.head()), between]);
    let after = value.expired(second.version);
    probe.holds(rule, &[("twice", after.as_ref())]).await;
    let seen = Seen::Version(second.version);
    let hold = probe.granted("twice", seen).await.hold();
    probe.release(&[hold, hold], None).await;
    probe.holds(rule, &[("twice", after.as_ref())]).await;
    probe.next_meets(rule, "twice", Met::Granted).await;
}

async fn odd_keys_are_claimed_like_others(probe: &Probe) {
    let rule = "any text is claimed, filled, released and expired like others";
    Lot::new(probe, rule, ODD_KEYS.to_vec()).goes_round().await;
}

async fn a_large_batch_is_claimed_and_filled(probe: &Probe) {
    let rule = "a batch of claims, fills, renewals, releases or expiries may be large";
    let names: Vec<_> = (0..1_200).map(|number| format!("large:{number}")).collect();
    Lot::new(probe, rule, refs(&names)).goes_round().await;
}

/// Keys that are all treated alike, each with a record of its own.
struct Lot<'a> {
    probe: &'a Probe,
    rule: &'static str,
    keys: Vec<&'a str>,
    records: Vec<Record>,
}

impl<'a> Lot<'a> {
    fn new(probe: &'a Probe, rule: &'static str, keys: Vec<&'a str>) -> Self {
        let records = keys.iter().map(|key| probe.entry(key)).collect();
        Self {
            probe,
            rule,
            keys,
            records,
        }
    }

    async fn goes_round(&self) {
        self.probe.remove(&self.keys).await;
        let claims = self.wishes(|_| Seen::Nothing);
        self.meets(&claims, &Met::Granted).await;
        let others = self.wishes(|_| Seen::Nothing);
        self.meets(&others, &Met::Busy).await;
        self.fills(&holds(&claims)).await;
        let claims = self.wishes(|record| Seen::Version(record.version()));
        self.meets(&claims, &Met::Granted).await;
        self.passes(&holds(&claims)).await;
        let others = self.wishes(|record| Seen::Version(record.version()));
        self.meets(&others, &Met::Granted).await;
        self.expires().await;
    }

    fn wishes(&self, seen: impl Fn(&Record) -> Seen) -> Vec<Claim<'a>> {
        let keyed = self.keys.iter().zip(&self.records);
        let wish = |(key, record): (&&'a str, _)| self.probe.wish(key, seen(record));
        keyed.map(wish).collect()
    }

    async fn meets(&self, claims: &[Claim<'_>], want: &Met) {
        let want = vec![want.clone(); claims.len()];
        same(self.rule, &self.probe.claim(claims).await, &want);
    }

    async fn fills(&self, holds: &[Hold<'_>]) {
        let keyed = holds.iter().zip(&self.records);
        let fills: Vec<_> = keyed.map(|(hold, record)| filling(*hold, record)).collect();
        let stored = self.probe.fill(&fills).await;
        same(self.rule, &stored, &vec![true; holds.len()]);
        self.are_there(&self.records).await;
    }

    async fn passes(&self, holds: &[Hold<'_>]) {
        let stand = self.probe.renew(holds, LONG).await;
        same(self.rule, &stand, &vec![true; holds.len()]);
        self.probe.release(holds, Some(LONG)).await;
        self.are_there(&self.records).await;
    }

    async fn expires(&self) {
        let keys = self.keys.iter();
        let expiries: Vec<_> = keys.map(|key| self.probe.expiry(key)).collect();
        let records = self.records.iter();
        let heads: Vec<_> = records.map(|record| Some(record.head())).collect();
        same(self.rule, &self.probe.expire(&expiries).await, &heads);
        let expired = self.records.iter().zip(&expiries);
        let expired = expired.filter_map(|(record, expiry)| record.expired(expiry.version));
        self.are_there(&expired.collect::<Vec<_>>()).await;
    }

    async fn are_there(&self, records: &[Record]) {
        let keys = self.keys.iter().copied();
        let want: Vec<_> = keys.zip(records.iter().map(Some)).collect();
        self.probe.holds(self.rule, &want).await;
    }
}

fn holds<'a>(claims: &[Claim<'a>]) -> Vec<Hold<'a>> {
    claims.iter().map(Claim::hold).collect()
}
