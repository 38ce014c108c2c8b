use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::future::join_all;
use tiered::{Cache, ErrorKind, Loaded, Result, Source};
use tokio::sync::watch;

use crate::support::gate::gate;
use crate::support::loaders::{found, found_after, missing, unasked, unasked_many, values_of};
use crate::support::spy::Op;
use crate::support::world::{DEFAULT, NEITHER, World, both, others_turn, tiers, until};

fn texts(values: Vec<Result<Option<Arc<String>>>>) -> Vec<Option<String>> {
    let text = |value: Result<Option<Arc<String>>>| value.unwrap().map(Arc::unwrap_or_clone);
    values.into_iter().map(text).collect()
}

fn some(values: &[&str]) -> Vec<Option<String>> {
    values.iter().map(|&value| Some(value.to_owned())).collect()
}

async fn fill(cache: &Cache<String>, values: &[(&str, &str)]) {
    let items: Vec<_> = values
        .iter()
        .map(|&(key, value)| (key, value.to_owned()))
        .collect();
    cache.set_many(items).await;
}

#[tokio::test]
async fn a_batch_is_answered_in_part_by_l1_by_l2_and_by_the_loader() -> Result<()> {
    let world = World::new();
    let (a, b) = (world.node(), world.node());
    fill(&a, &[("1", "far"), ("3", "far")]).await;
    fill(&b, &[("2", "near"), ("4", "near")]).await;
    let trips = world.spy.round_trips();
    let answers = b
        .with(DEFAULT)
        .get_many_or_load(["1", "2", "3", "4", "5"], values_of)
        .await;
    let sources: Vec<_> = answers
        .iter()
        .map(|answer| answer.as_ref().unwrap().source)
        .collect();
    assert_eq!(
        sources,
        [
            Source::L2,
            Source::L1,
            Source::L2,
            Source::L1,
            Source::Loader
        ]
    );
    // One to read what L1 had not; one to claim the rest, and beside it one to learn the epoch; one to fill.
    assert_eq!(world.spy.round_trips(), trips + 4);
    assert_eq!(tiers(&b, "5").await, both("value of 5"));
    Ok(())
}

#[tokio::test]
async fn a_get_many_makes_one_round_trip_for_what_l1_has_not() {
    let world = World::new();
    let (a, b) = (world.node(), world.node());
    fill(&a, &[("1", "one"), ("2", "two")]).await;
    b.get("1").await;
    let before = world.spy.asked(Op::Get);
    let answers = b.get_many(["2", "1", "3", "2"]).await;
    let answers: Vec<_> = answers
        .iter()
        .map(|value| value.as_ref().map(|value| value.as_str()))
        .collect();
    assert_eq!(answers, [Some("two"), Some("one"), None, Some("two")]);
    assert_eq!(world.spy.asked(Op::Get), (before.0 + 1, before.1 + 2));
    b.get_many(["1", "2"]).await;
    assert_eq!(world.spy.asked(Op::Get).0, before.0 + 1);
}

#[tokio::test]
async fn a_contains_many_makes_one_round_trip_and_reads_no_payloads() {
    let world = World::new();
    let (a, b) = (world.node(), world.node());
    fill(&a, &[("1", "one"), ("2", "two")]).await;
    assert_eq!(
        b.contains_many(["1", "3", "2", "1"]).await,
        [true, false, true, true]
    );
    assert_eq!(
        (world.spy.asked(Op::Heads), world.spy.asked(Op::Get)),
        ((1, 3), (0, 0))
    );
    assert_eq!(a.contains_many(["1", "2"]).await, [true, true]);
    assert_eq!(world.spy.asked(Op::Heads), (1, 3));
}

#[tokio::test]
async fn the_loader_gets_only_what_is_missing_each_key_once() {
    let world = World::new();
    let node = world.node();
    fill(&node, &[("2", "two")]).await;
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    let load = |keys: Vec<String>| async move {
        seen.lock().unwrap().push(keys.clone());
        values_of(keys).await
    };
    let answers = node.get_many_or_load(["3", "1", "2", "3", "1"], load).await;
    assert_eq!(
        texts(answers),
        some(&[
            "value of 3",
            "value of 1",
            "two",
            "value of 3",
            "value of 1"
        ])
    );
    assert_eq!(
        *asked.lock().unwrap(),
        [vec!["3".to_owned(), "1".to_owned()]]
    );
    assert_eq!(node.stats().loads, 2);
}

#[tokio::test]
async fn a_key_that_the_loader_leaves_out_does_not_exist() -> Result<()> {
    let node = World::new().node();
    let one = |_| async { Ok::<_, Infallible>([("1".to_owned(), "Ada".to_owned())]) };
    let answers = node.get_many_or_load(["1", "2"], one).await;
    assert_eq!(texts(answers), [Some("Ada".to_owned()), None]);
    let known = node.with(DEFAULT).get("2").await.expect("it is known");
    assert!(known.value.is_none());
    Ok(())
}

#[tokio::test]
async fn keys_that_were_not_asked_for_are_not_stored() {
    let node = World::new().node();
    let more = |_| async {
        let value = |key: &str| (key.to_owned(), format!("value of {key}"));
        Ok::<_, Infallible>([value("9"), value("1"), value("8")])
    };
    let answers = node.get_many_or_load(["1"], more).await;
    assert_eq!(texts(answers), some(&["value of 1"]));
    assert_eq!(
        (tiers(&node, "8").await, tiers(&node, "9").await),
        (NEITHER, NEITHER)
    );
    assert_eq!(node.stats().l1_entries, 1);
}

#[tokio::test]
async fn a_failed_batch_marks_nothing_missing_and_leaves_the_hits_alone() -> Result<()> {
    let node = World::new().node();
    fill(&node, &[("1", "one")]).await;
    let failing = |_| async { Err::<Vec<(String, String)>, _>("the database is away") };
    let answers = node.get_many_or_load(["1", "2", "3"], failing).await;
    assert!(answers[0].is_ok());
    for answer in &answers[1..] {
        assert_eq!(answer.as_ref().unwrap_err().kind(), ErrorKind::Loader);
    }
    assert!(node.with(DEFAULT).get("2").await.is_none());
    assert_eq!(*node.get_or_load("2", found("two")).await?, "two");
    assert_eq!((node.stats().load_errors, node.loads_in_flight()), (2, 0));
    Ok(())
}

#[tokio::test]
async fn a_panic_in_a_batch_loader_is_an_error_of_its_keys_and_frees_them() -> Result<()> {
    let node = World::new().node();
    let answers = node.get_many_or_load(["1", "2"], unasked_many).await;
    for answer in &answers {
        assert_eq!(answer.as_ref().unwrap_err().kind(), ErrorKind::Panicked);
    }
    assert_eq!(node.loads_in_flight(), 0);
    assert_eq!(
        texts(node.get_many_or_load(["1"], values_of).await),
        some(&["value of 1"])
    );
    Ok(())
}

#[tokio::test]
async fn one_member_that_cannot_be_read_fails_nobody_else() {
    let world = World::new();
    let (a, b) = (world.node(), world.node());
    fill(&a, &[("1", "one"), ("2", "two"), ("3", "three")]).await;
    let mut bytes = world.bytes("2").await.unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    world.plant("2", bytes).await;
    assert_eq!(
        b.get_many(["1", "2", "3"])
            .await
            .iter()
            .filter(|value| value.is_some())
            .count(),
        2
    );
    let answers = b.get_many_or_load(["1", "2", "3"], values_of).await;
    assert_eq!(texts(answers), some(&["one", "value of 2", "three"]));
    assert_eq!(b.stats().loads, 1);
}

#[tokio::test]
async fn a_batch_loader_may_say_more_of_each_key() {
    let node = World::new().node();
    let load = |_| async {
        Ok::<_, Infallible>([
            ("1".to_owned(), Loaded::found("one".to_owned())),
            ("2".to_owned(), Loaded::missing()),
            ("3".to_owned(), Loaded::found("three".to_owned()).uncached()),
            ("4".to_owned(), Loaded::unchanged()),
        ])
    };
    let answers = node.get_many_or_load(["1", "2", "3", "4"], load).await;
    assert_eq!(answers[3].as_ref().unwrap_err().kind(), ErrorKind::Loader);
    let values: Vec<_> = answers[..3]
        .iter()
        .map(|answer| answer.as_ref().unwrap().is_some())
        .collect();
    assert_eq!(values, [true, false, true]);
    assert_eq!(
        (tiers(&node, "1").await, tiers(&node, "3").await),
        (both("one"), NEITHER)
    );
    assert_eq!(node.stats().load_errors, 1);
}

#[tokio::test]
async fn an_empty_batch_is_no_work() {
    let world = World::new();
    let node = world.node();
    let empty: [&str; 0] = [];
    assert!(node.get_many(empty).await.is_empty());
    assert!(node.get_many_or_load(empty, unasked_many).await.is_empty());
    assert!(node.contains_many(empty).await.is_empty());
    assert!(node.set_many(Vec::<(&str, String)>::new()).await.is_empty());
    assert_eq!(node.remove_many(empty).await.present, 0);
    let load = |_| async { Ok::<Vec<(String, String)>, Infallible>(Vec::new()) };
    assert!(node.refresh_many(empty, load).await.is_empty());
    let asked = [Op::Get, Op::Heads, Op::Set, Op::Remove].map(|op| world.spy.asked(op).1);
    assert_eq!((asked, node.loads_in_flight()), ([0; 4], 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn overlapping_batches_load_each_key_once() {
    let node = World::new().node();
    let loaded = Arc::new(AtomicUsize::new(0));
    let (go, may_go) = watch::channel(false);
    let batch = |first: usize| {
        let (node, loaded, mut may_go) = (node.clone(), Arc::clone(&loaded), may_go.clone());
        let keys: Vec<_> = (first..first + 100).map(|key| key.to_string()).collect();
        tokio::spawn(async move {
            let load = move |keys: Vec<String>| async move {
                loaded.fetch_add(keys.len(), Ordering::SeqCst);
                let _ = may_go.wait_for(|go| *go).await;
                values_of(keys).await
            };
            let answers = node.get_many_or_load(keys.iter().map(String::as_str), load);
            let expected: Vec<_> = keys
                .iter()
                .map(|key| Some(format!("value of {key}")))
                .collect();
            assert_eq!(texts(answers.await), expected);
        })
    };
    let batches: Vec<_> = (0..40).map(|at| batch(at * 10)).collect();
    let waiting = || node.stats().loads + node.stats().coalesced;
    until("all batches wait", || waiting() == 4_000).await;
    go.send_replace(true);
    for ended in join_all(batches).await {
        ended.unwrap();
    }
    assert_eq!(loaded.load(Ordering::SeqCst), 490);
    assert_eq!((node.stats().loads, node.loads_in_flight()), (490, 0));
}

#[tokio::test]
async fn two_batches_in_opposite_order_do_not_wait_for_each_other() {
    let node = World::new().node();
    let ((mut first, a), (mut second, b)) = (gate(), gate());
    let gated = |gate: crate::support::gate::Gate| {
        move |keys: Vec<String>| async move {
            gate.pass().await;
            values_of(keys).await
        }
    };
    let batches = async {
        let forth = node.get_many_or_load(["1", "2", "3"], gated(a));
        let back = async {
            first.reached().await;
            let back = node.get_many_or_load(["4", "3", "2", "1"], gated(b));
            let release = async {
                second.reached().await;
                first.go();
                second.go();
            };
            tokio::join!(back, release).0
        };
        tokio::join!(forth, back)
    };
    let (forth, back) = batches.await;
    assert_eq!(texts(forth).len() + texts(back).len(), 7);
    assert_eq!((node.stats().loads, node.stats().coalesced), (4, 3));
}

#[tokio::test]
async fn a_single_read_and_a_batch_share_their_loads() -> Result<()> {
    let node = World::new().node();
    let (mut stop, gate) = gate();
    let single = node.get_or_load("1", found_after(gate, "Ada"));
    let batch = async {
        stop.reached().await;
        let later = async {
            until("the batch waits", || node.stats().coalesced == 1).await;
            stop.go();
        };
        tokio::join!(node.get_many_or_load(["2", "1"], values_of), later).0
    };
    let (single, batch) = tokio::join!(single, batch);
    assert_eq!(
        (single?.as_str(), texts(batch)),
        ("Ada", some(&["value of 2", "Ada"]))
    );
    assert_eq!(node.stats().loads, 2);
    Ok(())
}

#[tokio::test]
async fn a_single_read_joins_the_batch_that_loads_its_key() -> Result<()> {
    let node = World::new().node();
    let (mut stop, gate) = gate();
    let batch = node.get_many_or_load(["1", "2"], |keys: Vec<String>| async move {
        gate.pass().await;
        values_of(keys).await
    });
    let single = async {
        stop.reached().await;
        let later = async {
            others_turn().await;
            stop.go();
        };
        tokio::join!(node.get_or_load("2", unasked), later).0
    };
    let (_, single) = tokio::join!(batch, single);
    assert_eq!(*single?, "value of 2");
    Ok(())
}

#[tokio::test]
async fn a_batch_keeps_negative_and_positive_hits_apart() -> Result<()> {
    let world = World::new();
    let (a, b) = (world.node(), world.node());
    a.get_or_load("1", missing).await?;
    fill(&a, &[("2", "two")]).await;
    for node in [&a, &b] {
        let answers = node.get_many_or_load(["1", "2"], unasked_many).await;
        assert_eq!(texts(answers), [None, Some("two".to_owned())]);
        let answers = node.with(DEFAULT).get_many(["1", "2", "3"]).await;
        let known: Vec<_> = answers.iter().map(Option::is_some).collect();
        assert_eq!(known, [true, true, false]);
    }
    Ok(())
}

#[tokio::test]
async fn of_a_key_that_is_set_twice_in_a_batch_the_last_value_counts() {
    let world = World::new();
    let node = world.node();
    fill(&node, &[("1", "first"), ("2", "two"), ("1", "last")]).await;
    assert_eq!(tiers(&node, "1").await, both("last"));
    assert_eq!(world.spy.asked(Op::Set), (1, 2));
}
