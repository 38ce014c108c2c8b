//! The marks of tags and namespaces.

use super::outcome::{Met, same};
use super::probe::{Holding, Probe};
use super::sample::ODD_KEYS;
use super::{LONG, SHORT};
use crate::{NewMark, Record, Seen, Version};

const MADE: &str = "a mark that is missing is put there, and given to all who read it";
const APART: &str = "marks and keys of the same name are apart";
const ANEW: &str = "after its life a mark is made anew";

pub(super) async fn contract(probe: &Probe) {
    no_marks_are_no_work(probe).await;
    a_missing_mark_is_made_once(probe).await;
    a_written_mark_replaces_what_was_there(probe).await;
    marks_come_in_the_order_of_their_names(probe).await;
    a_name_may_occur_twice(probe).await;
    names_are_any_text(probe).await;
    marks_are_apart_from_keys(probe).await;
    keys_are_apart_from_marks(probe).await;
}

async fn no_marks_are_no_work(probe: &Probe) {
    same(MADE, &probe.read_marks(&[]).await, &[]);
    probe.write_marks(&[]).await;
}

async fn a_missing_mark_is_made_once(probe: &Probe) {
    let first = probe.new_mark("made");
    reads(probe, MADE, &[(first, first.version)]).await;
    for _ in 0..2 {
        let other = probe.new_mark("made");
        reads(probe, MADE, &[(other, first.version)]).await;
    }
}

async fn a_written_mark_replaces_what_was_there(probe: &Probe) {
    let rule = "a written mark is in place of the one there";
    probe.read_marks(&[probe.new_mark("written")]).await;
    for name in ["written", "written", "never read"] {
        let written = probe.new_mark(name);
        probe.write_marks(&[written]).await;
        reads(probe, rule, &[(probe.new_mark(name), written.version)]).await;
    }
}

async fn marks_come_in_the_order_of_their_names(probe: &Probe) {
    let rule = "each name has its own mark, in their order";
    let old = ["order:1", "order:3", "order:5"].map(|name| probe.new_mark(name));
    probe.write_marks(&old).await;
    let names = ["order:5", "order:4", "order:3", "order:2", "order:1"];
    let asked = names.map(|name| probe.new_mark(name));
    let wanted = asked.map(|asked| (asked, last(&old, &asked)));
    reads(probe, rule, &wanted).await;
    let again = wanted.map(|(asked, want)| (probe.new_mark(asked.name), want));
    reads(probe, rule, &again).await;
}

async fn a_name_may_occur_twice(probe: &Probe) {
    let rule = "of the same name twice, the first is read, and the last is written";
    let [first, second, third, last] = [(); 4].map(|()| probe.new_mark("twice"));
    let asked = [(first, first.version), (second, first.version)];
    reads(probe, rule, &asked).await;
    probe.write_marks(&[third, last]).await;
    reads(probe, rule, &[(first, last.version)]).await;
}

async fn names_are_any_text(probe: &Probe) {
    let rule = "names of marks are any text";
    let name = |odd: &&str| format!("odd:{odd}");
    let names: Vec<_> = ODD_KEYS.iter().map(name).collect();
    let made: Vec<_> = names.iter().map(|name| probe.new_mark(name)).collect();
    let want: Vec<_> = made.iter().map(|mark| (*mark, mark.version)).collect();
    reads(probe, rule, &want).await;
    reads(probe, rule, &want).await;
    let some = names.iter().step_by(2);
    let written: Vec<_> = some.map(|name| probe.new_mark(name)).collect();
    probe.write_marks(&written).await;
    let want: Vec<_> = made
        .iter()
        .map(|mark| (*mark, last(&written, mark)))
        .collect();
    reads(probe, rule, &want).await;
}

/// The one of the same name that was written, or else the one that was made.
fn last(written: &[NewMark<'_>], made: &NewMark<'_>) -> Version {
    let written = written.iter().find(|written| written.name == made.name);
    written.unwrap_or(made).version
}

async fn marks_are_apart_from_keys(probe: &Probe) {
    probe.remove(&["apart"]).await;
    let mark = probe.new_mark("apart");
    probe.write_marks(&[mark]).await;
    probe.holds(APART, &[("apart", None)]).await;
    let claim = probe.wish("apart", Seen::Nothing);
    probe.meets(APART, claim, Met::Granted).await;
    probe.stores(APART, claim.hold()).await;
    probe.expire(&[probe.expiry("apart")]).await;
    reads(probe, APART, &[(probe.new_mark("apart"), mark.version)]).await;
    probe.remove(&["apart"]).await;
    reads(probe, APART, &[(probe.new_mark("apart"), mark.version)]).await;
}

async fn keys_are_apart_from_marks(probe: &Probe) {
    let record: &Record = &probe.entry("apart");
    probe.set("apart too", record, LONG).await;
    let made = probe.new_mark("apart too");
    reads(probe, APART, &[(made, made.version)]).await;
    probe.holds(APART, &[("apart too", Some(record))]).await;
    probe.write_marks(&[probe.new_mark("apart too")]).await;
    probe.holds(APART, &[("apart too", Some(record))]).await;
}

/// Makes marks that have ended when `PAUSE` has passed, and some that have not.
pub(super) async fn lives_begin(probe: &Probe) {
    let short = |name| NewMark {
        life: SHORT,
        ..probe.new_mark(name)
    };
    let long = |name| probe.new_mark(name);
    probe
        .read_marks(&[short("life: read"), long("life: kept")])
        .await;
    probe.write_marks(&[short("life: written")]).await;
    probe.read_marks(&[short("life: kept")]).await;
    probe
        .write_marks(&[long("life: shorter"), short("life: longer")])
        .await;
    probe
        .write_marks(&[short("life: shorter"), long("life: longer")])
        .await;
}

pub(super) async fn lives_end(probe: &Probe) {
    for name in ["life: read", "life: written", "life: shorter"] {
        let anew = probe.new_mark(name);
        reads(probe, ANEW, &[(anew, anew.version)]).await;
        reads(probe, ANEW, &[(probe.new_mark(name), anew.version)]).await;
    }
    let rule = "a mark lives as long as it was given when it was put there";
    for name in ["life: kept", "life: longer"] {
        let anew = probe.new_mark(name);
        let read = probe.read_marks(&[anew]).await;
        same(rule, &[read == [anew.version]], &[false]);
    }
}

/// Whoever brings these marks is given those.
async fn reads(probe: &Probe, rule: &str, want: &[(NewMark<'_>, Version)]) {
    let (asked, wanted): (Vec<_>, Vec<_>) = want.iter().copied().unzip();
    same(rule, &probe.read_marks(&asked).await, &wanted);
}
