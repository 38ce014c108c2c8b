//! What a claim is answered, and what it leaves: the table at [`L2`](crate::L2#the-fence).

use super::LONG;
use super::change::Change;
use super::outcome::Met;
use super::probe::{Holding, Probe};
use super::sample::claimables;
use crate::{Claim, Record, Seen};

const BUSY: &str = "what another has claimed is busy";
const FORCED: &str =
    "a forced claim gives what is there its token as version, and is the claim on it";

pub(super) async fn contract(probe: &Probe) {
    nothing_is_claimed_by_a_placeholder(probe).await;
    another_claim_is_busy(probe).await;
    another_version_is_changed(probe).await;
    a_seen_record_is_claimed_beside_it(probe).await;
    a_claim_counts_for_its_version_only(probe).await;
    a_placeholder_of_another_mark_is_replaced(probe).await;
    a_forced_claim_replaces_a_placeholder(probe).await;
    a_forced_claim_renames_another_record(probe).await;
    a_later_forced_claim_goes_before_the_earlier(probe).await;
    the_same_token_is_the_same_claim(probe).await;
    a_record_whose_version_is_the_token_is_granted(probe).await;
}

async fn nothing_is_claimed_by_a_placeholder(probe: &Probe) {
    let rule = "a claim of nothing writes the placeholder of its token and mark";
    let seens = [
        Seen::Nothing,
        Seen::Version(probe.version()),
        Seen::Anything,
    ];
    for seen in seens {
        probe.remove(&["missing"]).await;
        let claim = probe.granted("missing", seen).await;
        probe
            .holds(rule, &[("missing", Some(&placeholder(claim)))])
            .await;
        probe.next_meets(BUSY, "missing", Met::Busy).await;
    }
}

async fn another_claim_is_busy(probe: &Probe) {
    let claim = probe.granted_on("busy", None).await;
    for seen in [
        Seen::Nothing,
        Seen::Version(probe.version()),
        Seen::Version(claim.token),
    ] {
        let other = probe.wish("busy", seen);
        probe.meets(BUSY, other, Met::Busy).await;
        probe
            .holds(BUSY, &[("busy", Some(&placeholder(claim)))])
            .await;
    }
    let value = probe.entry("busy");
    let claim = probe.granted_on("busy", Some(&value)).await;
    for mark in [claim.mark, probe.version()] {
        let wish = probe.wish("busy", Seen::Version(value.version()));
        probe.meets(BUSY, Claim { mark, ..wish }, Met::Busy).await;
    }
    probe.stores(BUSY, claim.hold()).await;
}

async fn another_version_is_changed(probe: &Probe) {
    let rule = "a claim of another version than the record's is told the whole record";
    for (at, record) in claimables().iter().enumerate() {
        let key = &format!("changed:{at}");
        probe.set(key, record, LONG).await;
        for seen in [Seen::Nothing, Seen::Version(probe.version())] {
            let changed = Met::Changed(record.clone());
            probe.meets(rule, probe.wish(key, seen), changed).await;
            probe.holds(rule, &[(key, Some(record))]).await;
        }
        let claim = probe.granted(key, Seen::Version(record.version())).await;
        let changed = Met::Changed(record.clone());
        let wish = probe.wish(key, Seen::Nothing);
        probe.meets(rule, wish, changed).await;
        probe.stores(rule, claim.hold()).await;
    }
}

async fn a_seen_record_is_claimed_beside_it(probe: &Probe) {
    let rule = "a claim of a record leaves it as it is";
    for (at, record) in claimables().iter().enumerate() {
        let key = &format!("seen:{at}");
        let claim = probe.granted_on(key, Some(record)).await;
        probe.holds(rule, &[(key, Some(record))]).await;
        probe.next_meets(BUSY, key, Met::Busy).await;
        probe.stores(rule, claim.hold()).await;
    }
}

async fn a_claim_counts_for_its_version_only(probe: &Probe) {
    let rule = "a claim of a record counts only for the version it was taken for";
    for change in [Change::Set, Change::Expire, Change::Remove] {
        let value = probe.entry("before");
        let older = probe.granted_on("version", Some(&value)).await;
        change.make(probe, "version").await;
        if matches!(change, Change::Remove) {
            Change::Set.make(probe, "version").await;
        }
        let now = probe.get(&["version"]).await.pop().flatten();
        let seen = now.map_or(Seen::Nothing, |now| Seen::Version(now.version()));
        let newer = probe.wish("version", seen);
        probe.meets(rule, newer, Met::Granted).await;
        probe.stands(rule, older.hold(), false).await;
        probe.next_meets(rule, "version", Met::Busy).await;
        probe.refuses(rule, older.hold()).await;
        probe.stores(rule, newer.hold()).await;
    }
}

async fn a_placeholder_of_another_mark_is_replaced(probe: &Probe) {
    let rule = "a placeholder of another mark is replaced";
    for pass in [None, Some(LONG)] {
        let older = probe.granted_on("marked", None).await;
        if pass.is_some() {
            probe.release(&[older.hold()], pass).await;
        }
        let newer = Claim {
            mark: probe.version(),
            ..probe.wish("marked", Seen::Nothing)
        };
        probe.meets(rule, newer, Met::Granted).await;
        probe
            .holds(rule, &[("marked", Some(&placeholder(newer)))])
            .await;
        probe.refuses(rule, older.hold()).await;
        probe.stores(rule, newer.hold()).await;
    }
}

async fn a_forced_claim_replaces_a_placeholder(probe: &Probe) {
    let rule = "a forced claim replaces a placeholder";
    for pass in [None, Some(LONG)] {
        let older = probe.granted_on("forced", None).await;
        if pass.is_some() {
            probe.release(&[older.hold()], pass).await;
        }
        let forced = probe.wish("forced", Seen::Anything);
        probe.meets(rule, forced, Met::Granted).await;
        probe
            .holds(rule, &[("forced", Some(&placeholder(forced)))])
            .await;
        probe.next_meets(BUSY, "forced", Met::Busy).await;
        probe.refuses(rule, older.hold()).await;
        probe.stores(rule, forced.hold()).await;
    }
}

async fn a_forced_claim_renames_another_record(probe: &Probe) {
    for (at, record) in claimables().iter().enumerate() {
        let key = &format!("renamed:{at}");
        let older = probe.granted_on(key, Some(record)).await;
        let forced = probe.wish(key, Seen::Anything);
        probe.meets(FORCED, forced, Met::Granted).await;
        let renamed = record.with_version(forced.token);
        probe.holds(FORCED, &[(key, Some(&renamed))]).await;
        probe.next_meets(FORCED, key, Met::Busy).await;
        let late = probe.wish(key, Seen::Version(record.version()));
        probe.meets(FORCED, late, Met::Changed(renamed)).await;
        probe.refuses(FORCED, older.hold()).await;
        probe.stores(FORCED, forced.hold()).await;
    }
}

async fn a_later_forced_claim_goes_before_the_earlier(probe: &Probe) {
    let rule = "a forced claim goes before any other";
    for value in [None, Some(&probe.entry("forced"))] {
        probe.granted_on("later", value).await;
        let earlier = probe.granted("later", Seen::Anything).await;
        let later = probe.wish("later", Seen::Anything);
        probe.meets(rule, later, Met::Granted).await;
        probe.stands(rule, earlier.hold(), false).await;
        probe.refuses(rule, earlier.hold()).await;
        probe.stores(rule, later.hold()).await;
    }
}

async fn the_same_token_is_the_same_claim(probe: &Probe) {
    let rule = "the same token is the same claim: granted again, and nothing changes";
    for is_value in [false, true] {
        for is_forced in [false, true] {
            let value = probe.entry("claimed again");
            let first = probe.granted_on("again", is_value.then_some(&value)).await;
            let claim = if is_forced {
                probe.granted("again", Seen::Anything).await
            } else {
                first
            };
            let before = probe.get(&["again"]).await.pop().flatten();
            probe.meets(rule, claim, Met::Granted).await;
            probe.holds(rule, &[("again", before.as_ref())]).await;
            probe.next_meets(rule, "again", Met::Busy).await;
            probe.stores(rule, claim.hold()).await;
        }
    }
}

async fn a_record_whose_version_is_the_token_is_granted(probe: &Probe) {
    let rule = "a claim whose token is the record's version is granted";
    let record = probe.entry("of this version");
    probe.set("own", &record, LONG).await;
    let claim = Claim {
        token: record.version(),
        ..probe.wish("own", Seen::Nothing)
    };
    probe.meets(rule, claim, Met::Granted).await;
    probe.holds(rule, &[("own", Some(&record))]).await;
    probe.next_meets(rule, "own", Met::Busy).await;
}

/// What the claim has written where nothing was.
fn placeholder(claim: Claim<'_>) -> Record {
    Record::claim(claim.token, claim.mark)
}
