use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use tiered::{
    Cache, ErrorKind, Held, Loaded, Options, Outcome, Result, Settings, Source, Throttle,
};
use tokio::sync::watch;

use crate::support::gate::gate;
use crate::support::loaders::{found, found_after, says, unasked, unasked_many, values_of};
use crate::support::plain::Plain;
use crate::support::spy::{Op, When};
use crate::support::world::{
    DEFAULT, FAR_ONLY, NEITHER, World, both, others_turn, promptly, settings, tiers, until,
};

/// A call on a task of its own.
fn start<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> tokio::task::JoinHandle<T> {
    tokio::spawn(work)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_callers_of_a_cold_key_share_one_load_although_the_first_goes_away() {
    let node = World::new().node();
    let (mut stop, gate) = gate();
    let first = node.get_or_load("1", found_after(gate, "Ada"));
    // A real wait: the first caller is a service's, who gives up after 10 ms.
    let gives_up = tokio::time::timeout(Duration::from_millis(10), first);
    assert!(gives_up.await.is_err());
    stop.reached().await;
    let callers = (0..9_999).map(|_| {
        let node = node.clone();
        start(async move { node.get_or_load("1", unasked).await })
    });
    let callers: Vec<_> = callers.collect();
    until("all wait", || node.stats().coalesced == 9_999).await;
    stop.go();
    for caller in callers {
        assert_eq!(*promptly(caller).await.unwrap().unwrap(), "Ada");
    }
    assert_eq!((node.stats().loads, node.loads_in_flight()), (1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_callers_at_once_load_once() {
    let world = World::new();
    for node in [world.near_node(), world.node(), World::new().far_node()] {
        let loads = Arc::new(AtomicUsize::new(0));
        let callers = (0..10_000).map(|_| {
            let (node, loads) = (node.clone(), Arc::clone(&loads));
            start(async move {
                let load = move || async move {
                    loads.fetch_add(1, Ordering::SeqCst);
                    tokio::task::yield_now().await;
                    Ok::<_, Infallible>("Ada".to_owned())
                };
                node.get_or_load("1", load).await
            })
        });
        for caller in callers.collect::<Vec<_>>() {
            assert_eq!(*promptly(caller).await.unwrap().unwrap(), "Ada");
        }
        assert!(loads.load(Ordering::SeqCst) <= 1);
    }
}

#[tokio::test]
async fn a_caller_who_looked_just_before_a_flight_landed_takes_what_it_brought() -> Result<()> {
    let (world, l1) = (World::new(), Plain::new());
    let node = world.bare().l1(l1.clone()).settings(settings()).build()?;
    node.get_or_load("1", found("Ada")).await?;
    l1.blink();
    let answer = node.with(DEFAULT).get_or_load("1", unasked).await?;
    assert_eq!((answer.source, node.stats().l1_hits), (Source::L1, 1));
    l1.blink();
    let answers = node.get_many_or_load(["1"], unasked_many).await;
    assert!(answers[0].is_ok());
    Ok(())
}

#[tokio::test]
async fn a_panic_is_an_error_for_all_who_wait_and_frees_the_key() -> Result<()> {
    let node = World::new().node();
    let (a, b) = tokio::join!(
        node.get_or_load("1", unasked),
        node.get_or_load("1", unasked)
    );
    for error in [a, b].map(Result::unwrap_err) {
        assert_eq!(error.kind(), ErrorKind::Panicked);
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.contains("the loader was asked"));
    }
    assert_eq!(node.loads_in_flight(), 0);
    assert_eq!(*node.get_or_load("1", found("Ada")).await?, "Ada");
    Ok(())
}

#[tokio::test]
async fn a_loader_that_panics_before_its_first_await_is_an_error_too() {
    fn refuses() -> std::future::Ready<Result<String, Infallible>> {
        panic!("at once")
    }
    let node = World::new().node();
    let error = node.get_or_load("1", refuses).await.unwrap_err();
    assert_eq!(
        (error.kind(), node.loads_in_flight()),
        (ErrorKind::Panicked, 0)
    );
}

#[tokio::test]
async fn a_waiter_that_goes_away_cancels_nobody() -> Result<()> {
    let node = World::new().node();
    let (mut stop, gate) = gate();
    let callers: Vec<_> = (0..4)
        .map(|_| {
            let node = node.clone();
            start(async move { node.get_or_load("1", unasked).await })
        })
        .collect();
    let leader = node.get_or_load("1", found_after(gate, "Ada"));
    let rest = async {
        stop.reached().await;
        others_turn().await;
        callers[0].abort();
        callers[2].abort();
        others_turn().await;
        stop.go();
    };
    assert_eq!(*tokio::join!(leader, rest).0?, "Ada");
    for (at, caller) in callers.into_iter().enumerate() {
        assert_eq!(caller.await.is_ok(), at % 2 == 1);
    }
    Ok(())
}

#[tokio::test]
async fn a_load_goes_on_when_all_who_waited_are_gone() {
    let node = World::new().node();
    let (mut stop, gate) = gate();
    let other = node.clone();
    let caller = start(async move { other.get_or_load("1", found_after(gate, "Ada")).await });
    stop.reached().await;
    caller.abort();
    stop.go();
    until("it has landed", || node.loads_in_flight() == 0).await;
    assert_eq!(tiers(&node, "1").await, both("Ada"));
}

#[tokio::test]
async fn what_a_load_brings_after_a_removal_is_in_no_tier() -> Result<()> {
    for node in [
        World::new().node(),
        World::new().near_node(),
        World::new().far_node(),
    ] {
        let (mut stop, gate) = gate();
        let other = node.clone();
        let load = start(async move { other.get_or_load("1", found_after(gate, "old")).await });
        stop.reached().await;
        assert_eq!(node.remove("1").await.present, 0);
        stop.go();
        assert_eq!(*promptly(load).await.unwrap()?, "old");
        assert_eq!(
            (tiers(&node, "1").await, node.loads_in_flight()),
            (NEITHER, 0)
        );
        assert_eq!(node.stats().loads_refused, 1);
    }
    Ok(())
}

#[tokio::test]
async fn what_a_load_brings_after_a_set_does_not_replace_it() -> Result<()> {
    for node in [
        World::new().node(),
        World::new().near_node(),
        World::new().far_node(),
    ] {
        let (mut stop, gate) = gate();
        let other = node.clone();
        let load = start(async move { other.get_or_load("1", found_after(gate, "old")).await });
        stop.reached().await;
        node.set("1", "new".to_owned()).await;
        stop.go();
        assert_eq!(*promptly(load).await.unwrap()?, "old");
        assert_eq!(*node.get("1").await.unwrap(), "new");
        assert_eq!(*node.get_or_load("1", unasked).await?, "new");
        assert_eq!(node.stats().loads_refused, 1);
    }
    Ok(())
}

#[tokio::test]
async fn what_a_batch_load_brings_after_a_removal_is_stored_but_for_the_removed_key() -> Result<()>
{
    let node = World::new().node();
    let (mut stop, gate) = gate();
    let other = node.clone();
    let load = start(async move {
        let load = |keys: Vec<String>| async move {
            gate.pass().await;
            values_of(keys).await
        };
        other.get_many_or_load(["1", "2", "3"], load).await
    });
    stop.reached().await;
    node.remove_many(["2"]).await;
    stop.go();
    assert!(promptly(load).await.unwrap().iter().all(Result::is_ok));
    assert_eq!(tiers(&node, "2").await, NEITHER);
    assert_eq!(tiers(&node, "1").await, both("value of 1"));
    assert_eq!(tiers(&node, "3").await, both("value of 3"));
    Ok(())
}

#[tokio::test]
async fn a_caller_after_a_removal_does_not_join_the_older_load() -> Result<()> {
    for is_removed in [true, false] {
        let node = World::new().node();
        let ((mut old, old_gate), (mut new, new_gate)) = (gate(), gate());
        let (a, b) = (node.clone(), node.clone());
        let first = start(async move { a.get_or_load("1", found_after(old_gate, "old")).await });
        old.reached().await;
        if is_removed {
            node.remove("1").await;
        } else {
            // A set that is taken out again at once by its own life.
            let options = tiered::Options {
                ttl: Some(Duration::ZERO),
                ..DEFAULT
            };
            node.with(options).set("1", "brief".to_owned()).await;
        }
        let second = start(async move { b.get_or_load("1", found_after(new_gate, "new")).await });
        new.reached().await;
        // The older one lands first, and must neither be seen nor end the newer one's flight.
        old.go();
        assert_eq!(*promptly(first).await.unwrap()?, "old");
        assert_eq!(
            (tiers(&node, "1").await, node.loads_in_flight()),
            (NEITHER, 1)
        );
        new.go();
        assert_eq!(*promptly(second).await.unwrap()?, "new");
        assert_eq!(tiers(&node, "1").await, both("new"));
    }
    Ok(())
}

#[tokio::test]
async fn an_older_load_that_lands_last_replaces_nothing() -> Result<()> {
    let node = World::new().node();
    let (mut old, old_gate) = gate();
    let other = node.clone();
    let first = start(async move { other.get_or_load("1", found_after(old_gate, "old")).await });
    old.reached().await;
    node.remove("1").await;
    assert_eq!(*promptly(node.get_or_load("1", found("new"))).await?, "new");
    old.go();
    assert_eq!(*promptly(first).await.unwrap()?, "old");
    assert_eq!(tiers(&node, "1").await, both("new"));
    Ok(())
}

#[tokio::test]
async fn a_read_of_l2_that_began_before_a_removal_brings_nothing_back() -> Result<()> {
    let world = World::new();
    let (writer, node) = (world.far_node(), world.node());
    for is_load in [false, true] {
        writer.set("1", "old".to_owned()).await;
        let mut stop = world.spy.hold(Op::Get, When::After);
        let other = node.clone();
        let read = start(async move {
            if is_load {
                other.get_or_load("1", unasked).await.ok()
            } else {
                other.get("1").await
            }
        });
        stop.reached().await;
        node.remove("1").await;
        stop.go();
        assert_eq!(*promptly(read).await.unwrap().unwrap(), "old");
        assert_eq!(tiers(&node, "1").await, NEITHER);
    }
    Ok(())
}

#[tokio::test]
async fn a_read_of_l2_that_began_before_a_set_or_a_refresh_does_not_replace_what_they_brought() {
    for is_refresh in [true, false] {
        let world = World::new();
        let node = world.node();
        node.with(FAR_ONLY).set("1", "old".to_owned()).await;
        let mut stop = world.spy.hold(Op::Get, When::After);
        let other = node.clone();
        let read = start(async move { other.get("1").await });
        stop.reached().await;
        if is_refresh {
            node.refresh("1", |_| found("new")()).await.unwrap();
        } else {
            node.set("1", "new".to_owned()).await;
        }
        stop.go();
        assert_eq!(*promptly(read).await.unwrap().unwrap(), "old");
        assert_eq!(tiers(&node, "1").await, both("new"));
    }
}

#[tokio::test]
async fn a_read_between_a_removals_two_tiers_brings_nothing_back() {
    let world = World::new();
    let node = world.node();
    for when in [When::Before, When::After] {
        node.set("1", "old".to_owned()).await;
        let mut stop = world.spy.hold(Op::Remove, when);
        let other = node.clone();
        let removal = start(async move { other.remove("1").await });
        stop.reached().await;
        // Before L2's removal this finds the old value and puts it into L1.
        let seen = node.get("1").await;
        assert_eq!(seen.is_some(), when == When::Before);
        stop.go();
        assert_eq!(promptly(removal).await.unwrap().present, 1);
        assert_eq!(tiers(&node, "1").await, NEITHER);
    }
}

#[tokio::test]
async fn a_flight_that_read_l2_between_a_removals_two_tiers_is_not_joined_after_it() -> Result<()> {
    let world = World::new();
    let node = world.node();
    node.set("1", "old".to_owned()).await;
    let mut removal_stop = world.spy.hold(Op::Remove, When::Before);
    let other = node.clone();
    let removal = start(async move { other.remove("1").await });
    removal_stop.reached().await;
    let mut read_stop = world.spy.hold(Op::Get, When::After);
    let other = node.clone();
    let read = start(async move { other.get_or_load("1", unasked).await });
    read_stop.reached().await;
    removal_stop.go();
    promptly(removal).await.unwrap();
    assert_eq!(*promptly(node.get_or_load("1", found("new"))).await?, "new");
    read_stop.go();
    assert_eq!(*promptly(read).await.unwrap()?, "old");
    assert_eq!(tiers(&node, "1").await, both("new"));
    Ok(())
}

#[tokio::test]
async fn overlapping_sets_leave_l1_empty_or_equal_to_l2() {
    for (first_at, second_at) in [
        (When::Before, When::Before),
        (When::Before, When::After),
        (When::After, When::Before),
        (When::After, When::After),
    ] {
        for first_ends_first in [true, false] {
            let world = World::new();
            let node = world.node();
            let (a, b) = (node.clone(), node.clone());
            let mut one = world.spy.hold(Op::Set, first_at);
            let first = start(async move { a.set("1", "first".to_owned()).await });
            one.reached().await;
            let mut two = world.spy.hold(Op::Set, second_at);
            let second = start(async move { b.set("1", "second".to_owned()).await });
            two.reached().await;
            let ends = if first_ends_first {
                one.go();
                let first = promptly(first).await.unwrap();
                two.go();
                [first, promptly(second).await.unwrap()]
            } else {
                two.go();
                let second = promptly(second).await.unwrap();
                one.go();
                [promptly(first).await.unwrap(), second]
            };
            let (near, far) = tiers(&node, "1").await;
            assert!(
                near.is_none() || near == far,
                "{near:?} in L1, {far:?} in L2"
            );
            assert!(
                ends.iter()
                    .any(|written| matches!(written.l1, Outcome::Removed))
            );
        }
    }
}

#[tokio::test]
async fn a_removal_within_a_set_leaves_nothing_in_l1_that_l2_has_not() {
    for when in [When::Before, When::After] {
        let world = World::new();
        let node = world.node();
        let mut stop = world.spy.hold(Op::Set, when);
        let other = node.clone();
        let set = start(async move { other.set("1", "new".to_owned()).await });
        stop.reached().await;
        node.remove("1").await;
        stop.go();
        promptly(set).await.unwrap();
        let (near, _) = tiers(&node, "1").await;
        assert_eq!(near, None);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_storm_of_writes_l1_holds_nothing_that_l2_has_not() {
    let world = World::new();
    let node = world.node();
    world.spy.slow(1);
    for round in 0..200 {
        let calls = (0..8).map(|at| {
            let node = node.clone();
            start(async move {
                let value = format!("{round} {at}");
                match at % 4 {
                    0 | 1 => drop(node.set("1", value).await),
                    2 => drop(node.remove("1").await),
                    _ => drop(node.get("1").await),
                }
            })
        });
        for call in calls.collect::<Vec<_>>() {
            call.await.unwrap();
        }
        let (near, far) = tiers(&node, "1").await;
        assert!(
            near.is_none() || near == far,
            "{near:?} in L1, {far:?} in L2"
        );
    }
}

/// What the refreshes before this one were told.
fn counting(
    calls: &Arc<AtomicUsize>,
) -> impl FnOnce(Option<Arc<String>>) -> futures_util::future::Ready<Result<String, Infallible>>
+ Send
+ 'static {
    let calls = Arc::clone(calls);
    move |_| {
        let call = calls.fetch_add(1, Ordering::SeqCst) + 1;
        futures_util::future::ready(Ok(format!("refresh {call}")))
    }
}

#[tokio::test]
async fn a_refresh_loads_although_the_value_is_cached_and_replaces_it_in_both_tiers() -> Result<()>
{
    let world = World::new();
    let node = world.node();
    node.set("1", "old".to_owned()).await;
    let shown = |held: Option<Arc<String>>| async move {
        Ok::<_, Infallible>(format!("{}er", held.unwrap()))
    };
    let answer = node.with(DEFAULT).refresh("1", shown).await?;
    assert_eq!(
        (answer.value.unwrap().as_str(), answer.source),
        ("older", Source::Loader)
    );
    assert_eq!(tiers(&node, "1").await, both("older"));
    Ok(())
}

#[tokio::test]
async fn a_refresh_is_shown_what_l2_has_and_nothing_where_there_is_none() -> Result<()> {
    let world = World::new();
    let (a, b) = (world.node(), world.node());
    let shown = |held: Option<Arc<String>>| async move { Ok::<_, Infallible>(format!("{held:?}")) };
    assert_eq!(*a.refresh("1", shown).await?, "None");
    assert_eq!(*b.refresh("1", shown).await?, "Some(\"None\")");
    Ok(())
}

#[tokio::test]
async fn a_refresh_begins_after_a_running_load_and_all_who_ask_meanwhile_share_it() -> Result<()> {
    let node = World::new().node();
    let (mut stop, gate) = gate();
    let other = node.clone();
    let load = start(async move { other.get_or_load("1", found_after(gate, "loaded")).await });
    stop.reached().await;
    let calls = Arc::new(AtomicUsize::new(0));
    let refreshes: Vec<_> = (0..20)
        .map(|_| {
            let (node, load) = (node.clone(), counting(&calls));
            start(async move { node.refresh("1", load).await })
        })
        .collect();
    others_turn().await;
    assert_eq!(
        (calls.load(Ordering::SeqCst), node.loads_in_flight()),
        (0, 1)
    );
    stop.go();
    assert_eq!(*promptly(load).await.unwrap()?, "loaded");
    for refresh in refreshes {
        assert_eq!(*promptly(refresh).await.unwrap()?, "refresh 1");
    }
    assert_eq!(
        (tiers(&node, "1").await, node.stats().loads),
        (both("refresh 1"), 2)
    );
    Ok(())
}

#[tokio::test]
async fn a_refresh_that_comes_while_one_runs_begins_a_load_of_its_own() -> Result<()> {
    let node = World::new().node();
    let (mut stop, gate) = gate();
    let (a, b) = (node.clone(), node.clone());
    let first = start(async move {
        let load = |_| found_after(gate, "first")();
        a.refresh("1", load).await
    });
    stop.reached().await;
    let second = start(async move { b.refresh("1", |_| found("second")()).await });
    others_turn().await;
    stop.go();
    assert_eq!(
        (
            promptly(first).await.unwrap()?.as_str(),
            promptly(second).await.unwrap()?.as_str()
        ),
        ("first", "second")
    );
    assert_eq!(tiers(&node, "1").await, both("second"));
    Ok(())
}

#[tokio::test]
async fn a_refresh_queued_behind_a_load_that_fails_runs_all_the_same() -> Result<()> {
    let node = World::new().node();
    let (mut stop, gate) = gate();
    let (a, b) = (node.clone(), node.clone());
    let failing = start(async move {
        let load = || async {
            gate.pass().await;
            unasked().await
        };
        a.get_or_load("1", load).await
    });
    stop.reached().await;
    let refresh = start(async move { b.refresh("1", |_| found("Ada")()).await });
    others_turn().await;
    stop.go();
    assert_eq!(
        promptly(failing).await.unwrap().unwrap_err().kind(),
        ErrorKind::Panicked
    );
    assert_eq!(*promptly(refresh).await.unwrap()?, "Ada");
    assert_eq!(node.loads_in_flight(), 0);
    Ok(())
}

#[tokio::test]
async fn unchanged_keeps_the_value_and_gives_it_a_new_life() -> Result<()> {
    let world = World::new();
    let node = world.node();
    node.set("1", "Ada".to_owned()).await;
    let before = node.get("1").await.unwrap();
    world.pass(9_000);
    let answer = node.refresh("1", |_| says(Loaded::unchanged())()).await?;
    assert!(Arc::ptr_eq(&answer.unwrap(), &before));
    world.pass(9_000);
    assert_eq!(tiers(&node, "1").await, both("Ada"));
    world.pass(1_000);
    assert_eq!(tiers(&node, "1").await, NEITHER);
    Ok(())
}

#[tokio::test]
async fn a_refresh_that_fails_leaves_what_was_cached() {
    let node = World::new().node();
    node.set("1", "Ada".to_owned()).await;
    let failing = |_| async { Err::<String, _>("the database is away") };
    let error = node.refresh("1", failing).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Loader);
    assert_eq!(tiers(&node, "1").await, both("Ada"));
}

#[tokio::test]
async fn a_refresh_that_is_not_to_be_cached_or_finds_none_takes_the_old_copies_out() -> Result<()> {
    let node = World::new().node();
    node.set("1", "Ada".to_owned()).await;
    let once = Loaded::found("once".to_owned()).uncached();
    node.refresh("1", |_| says(once)()).await?;
    assert_eq!(tiers(&node, "1").await, NEITHER);
    node.set("2", "Ada".to_owned()).await;
    assert_eq!(
        node.refresh("2", |_| says(Loaded::missing())()).await?,
        None
    );
    let known = node.with(FAR_ONLY).get("2").await.expect("it is known");
    assert!(known.value.is_none());
    Ok(())
}

#[tokio::test]
async fn what_a_refresh_brings_after_a_removal_is_in_no_tier() -> Result<()> {
    let node = World::new().node();
    node.set("1", "old".to_owned()).await;
    let (mut stop, gate) = gate();
    let other = node.clone();
    let refresh = start(async move { other.refresh("1", |_| found_after(gate, "late")()).await });
    stop.reached().await;
    assert_eq!(node.remove("1").await.present, 1);
    stop.go();
    assert_eq!(*promptly(refresh).await.unwrap()?, "late");
    assert_eq!(
        (tiers(&node, "1").await, node.stats().loads_refused),
        (NEITHER, 1)
    );
    Ok(())
}

#[tokio::test]
async fn a_refresh_of_many_loads_the_free_keys_at_once_and_each_other_after_its_flight()
-> Result<()> {
    let node = World::new().node();
    let (mut stop, gate) = gate();
    let (a, b) = (node.clone(), node.clone());
    let running = start(async move { a.get_or_load("2", found_after(gate, "loaded")).await });
    stop.reached().await;
    let calls = Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = Arc::clone(&calls);
    let refresh = start(async move {
        let load = move |asked: Vec<Held<String, String>>| {
            let keys: Vec<_> = asked.iter().map(|held| held.key.clone()).collect();
            let values = asked
                .into_iter()
                .map(|held| (held.key, format!("{:?}", held.value)));
            let values: Vec<_> = values.collect();
            seen.lock().unwrap().push(keys);
            async move { Ok::<_, Infallible>(values) }
        };
        b.refresh_many(["1", "2", "3", "1"], load).await
    });
    until("the free keys are refreshed", || node.stats().loads == 3).await;
    others_turn().await;
    assert_eq!(*calls.lock().unwrap(), [["1", "3"]]);
    stop.go();
    promptly(running).await.unwrap()?;
    let answers: Vec<_> = promptly(refresh)
        .await
        .unwrap()
        .into_iter()
        .map(|value| value.unwrap().unwrap())
        .collect();
    assert_eq!(
        answers
            .iter()
            .map(|value| value.as_str())
            .collect::<Vec<_>>(),
        ["None", "Some(\"loaded\")", "None", "None"]
    );
    assert_eq!(
        (calls.lock().unwrap().len(), node.loads_in_flight()),
        (2, 0)
    );
    Ok(())
}

#[tokio::test]
async fn a_load_that_begins_within_a_write_leaves_the_tiers_agreed() -> Result<()> {
    for op in [Op::Set, Op::Remove] {
        let world = World::new();
        let node = world.node();
        let mut stop = world.spy.hold(op, When::After);
        let other = node.clone();
        let write = start(async move {
            match op {
                Op::Set => drop(other.set("1", "set".to_owned()).await),
                _ => drop(other.remove("1").await),
            }
        });
        stop.reached().await;
        let past = node.with(tiered::Options {
            l2: tiered::Access::WriteOnly,
            ..DEFAULT
        });
        promptly(past.get_or_load("1", found("within"))).await?;
        stop.go();
        promptly(write).await.unwrap();
        // L2 had taken the write when the load claimed, so the load is the later of the two.
        let (near, far) = tiers(&node, "1").await;
        assert_eq!(far.as_deref(), Some("within"));
        assert!(near.is_none() || near == far);
        node.remove("1").await;
        node.get_or_load("1", found("after")).await?;
        assert_eq!(tiers(&node, "1").await, both("after"));
    }
    Ok(())
}

/// Many keys, so that some fall on the same stripe whatever the hash.
fn keys(kind: &str, count: usize) -> Vec<String> {
    (0..count).map(|at| format!("{kind}{at}")).collect()
}

fn strs(keys: &[String]) -> Vec<&str> {
    keys.iter().map(String::as_str).collect()
}

/// Loads of these keys that run until `go` says so.
async fn run_loads(node: &Cache<String>, keys: &[String], go: &watch::Receiver<bool>) {
    let (node, keys, mut go) = (node.clone(), keys.to_vec(), go.clone());
    let before = node.stats().loads;
    let count = keys.len() as u64;
    let other = node.clone();
    start(async move {
        let load = |keys: Vec<String>| async move {
            let _ = go.wait_for(|go| *go).await;
            values_of(keys).await
        };
        other
            .get_many_or_load(keys.iter().map(String::as_str), load)
            .await
    });
    until("the loads run", || node.stats().loads == before + count).await;
}

/// A refresh of many keys may consist of several flights. What the one installs must not make the other believe that
/// nothing has changed for it, where the keys fall on one stripe.
#[tokio::test]
async fn flights_of_one_refresh_do_not_take_each_others_installs_for_their_own() {
    let node = World::new().node();
    let (early, late) = (keys("early", 1_000), keys("late", 1_000));
    let (go_early, early_may) = watch::channel(false);
    let (go_late, late_may) = watch::channel(false);
    let (go_refresh, refresh_may) = watch::channel(false);
    run_loads(&node, &early, &early_may).await;
    run_loads(&node, &late, &late_may).await;
    let all: Vec<_> = early.iter().chain(&late).cloned().collect();
    let other = node.clone();
    let refresh = start(async move {
        let load = move |asked: Vec<Held<String, String>>| {
            let mut may = refresh_may.clone();
            async move {
                if asked[0].key.starts_with("early") {
                    let _ = may.wait_for(|go| *go).await;
                }
                let old =
                    |held: Held<String, String>| (held.key, "from before the removal".to_owned());
                Ok::<_, Infallible>(asked.into_iter().map(old).collect::<Vec<_>>())
            }
        };
        other
            .refresh_many(all.iter().map(String::as_str), load)
            .await
    });
    others_turn().await;
    go_early.send_replace(true);
    until("the early refreshes run", || node.stats().loads == 3_000).await;
    node.remove_many(strs(&early)).await;
    // The late keys' refreshes begin and end now; the early ones, begun before the removal, end after them.
    go_late.send_replace(true);
    until("the late refreshes have landed", || {
        node.loads_in_flight() == 0
    })
    .await;
    go_refresh.send_replace(true);
    promptly(refresh).await.unwrap();
    let back: Vec<_> = node
        .get_many(strs(&early))
        .await
        .into_iter()
        .flatten()
        .collect();
    assert_eq!(back.len(), 0, "removed values are back");
}

/// The same for a reader of a third key: the second flight must not give back to the stripe the number that the reader
/// has seen before the removal.
#[tokio::test]
async fn what_two_flights_of_one_refresh_install_does_not_hide_a_removal_in_between() {
    let world = World::new();
    let (node, far) = (world.node(), world.far_node());
    let (early, late, read) = (
        keys("early", 1_000),
        keys("late", 1_000),
        keys("read", 1_000),
    );
    far.set_many(read.iter().map(|key| (key.as_str(), "old".to_owned())))
        .await;
    let (go_late, late_may) = watch::channel(false);
    run_loads(&node, &late, &late_may).await;
    let all: Vec<_> = early.iter().chain(&late).cloned().collect();
    let other = node.clone();
    let refresh = start(async move {
        let load = |asked: Vec<Held<String, String>>| async {
            let new = |held: Held<String, String>| (held.key, "new".to_owned());
            Ok::<_, Infallible>(asked.into_iter().map(new).collect::<Vec<_>>())
        };
        other
            .refresh_many(all.iter().map(String::as_str), load)
            .await
    });
    until("the early keys are refreshed", || {
        node.stats().l1_entries == 1_000
    })
    .await;
    let mut stop = world.spy.hold(Op::Get, When::After);
    let (other, asked) = (node.clone(), read.clone());
    let reader = start(async move { other.get_many(strs(&asked)).await });
    stop.reached().await;
    node.remove_many(strs(&read)).await;
    go_late.send_replace(true);
    promptly(refresh).await.unwrap();
    stop.go();
    promptly(reader).await.unwrap();
    let back: Vec<_> = node
        .get_many(strs(&read))
        .await
        .into_iter()
        .flatten()
        .collect();
    assert_eq!(back.len(), 0, "removed values are back");
}

/// Whoever has seen a load fail and asks again gets a load of his own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_who_asks_again_after_an_error_loads_again() {
    let node = World::new().near_node();
    for round in 0..3_000_u32 {
        let failing = move || async move { Err::<String, _>(round.to_string()) };
        let error = node.get_or_load("1", failing).await.unwrap_err();
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert_eq!(cause, round.to_string(), "an error was served again");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn loads_of_different_keys_do_not_refuse_each_other() {
    let throttle = Throttle {
        max_loads: 3_000,
        ..Throttle::default()
    };
    let node = World::new().node_with(Settings {
        throttle,
        ..settings()
    });
    let (go, may_go) = watch::channel(false);
    let callers = keys("", 3_000).into_iter().map(|key| {
        let (node, mut may_go) = (node.clone(), may_go.clone());
        start(async move {
            let value = format!("value of {key}");
            let load = || async move {
                let _ = may_go.wait_for(|go| *go).await;
                Ok::<_, Infallible>(value)
            };
            node.get_or_load(&key, load).await.is_ok()
        })
    });
    let callers: Vec<_> = callers.collect();
    until("all load", || node.stats().loads == 3_000).await;
    go.send_replace(true);
    for ended in join_all(callers).await {
        assert!(ended.unwrap());
    }
    assert_eq!(node.stats().loads_refused, 0);
}

/// What the fence in L2 is for: the load's result is under way to L2 when the removal comes, and arrives after it.
#[tokio::test]
async fn a_loads_write_that_reaches_l2_after_a_removal_does_not_stay_there() -> Result<()> {
    let world = World::new();
    let node = world.node();
    let mut stop = world.spy.hold(Op::Fill, When::Before);
    let other = node.clone();
    let load = start(async move { other.get_or_load("1", found("old")).await });
    stop.reached().await;
    node.remove("1").await;
    stop.go();
    assert_eq!(*promptly(load).await.unwrap()?, "old");
    assert_eq!(tiers(&node, "1").await, NEITHER);
    assert_eq!(node.stats().loads_refused, 1);
    Ok(())
}

/// The same hole within one round trip: L2 takes the set and then the load's older value, before the set has its answer.
#[tokio::test]
async fn a_loads_write_that_reaches_l2_after_a_sets_does_not_stay_there() -> Result<()> {
    let world = World::new();
    let node = world.node();
    let (mut load_stop, gate) = gate();
    let (a, b) = (node.clone(), node.clone());
    let load = start(async move { a.get_or_load("1", found_after(gate, "old")).await });
    load_stop.reached().await;
    let mut set_stop = world.spy.hold(Op::Set, When::After);
    let set = start(async move { b.set("1", "new".to_owned()).await });
    set_stop.reached().await;
    load_stop.go();
    assert_eq!(*promptly(load).await.unwrap()?, "old");
    set_stop.go();
    promptly(set).await.unwrap().ok()?;
    let (near, far) = tiers(&node, "1").await;
    assert_ne!(far.as_deref(), Some("old"));
    assert!(near.is_none() || near == far || far.is_none());
    Ok(())
}

/// A refresh waits for the load that runs. Once that load is detached, neither the refresh nor anybody else waits for it.
#[tokio::test]
async fn a_refresh_behind_a_hung_load_holds_nobody_up_after_a_removal() -> Result<()> {
    let node = World::new().node();
    let (mut stop, gate) = gate();
    let (a, b) = (node.clone(), node.clone());
    let hung = start(async move { a.get_or_load("1", found_after(gate, "hung")).await });
    stop.reached().await;
    let refresh = start(async move { b.refresh("1", |_| found("new")()).await });
    until("the refresh is queued", || node.loads_in_flight() == 1).await;
    others_turn().await;
    node.remove("1").await;
    let caller = promptly(node.get_or_load("1", found("new"))).await?;
    assert_eq!((*caller).as_str(), "new");
    assert_eq!(*promptly(refresh).await.unwrap()?, "new");
    stop.go();
    assert_eq!(*promptly(hung).await.unwrap()?, "hung");
    // The refresh and the caller may load at the same time: then L1 has nothing, rather than the one or the other.
    let (near, far) = tiers(&node, "1").await;
    assert_eq!(far.as_deref(), Some("new"));
    assert!(near.is_none() || near == far);
    Ok(())
}

/// A value that, when dropped, uses the cache that held it.
struct Clinging(Option<Cache<Clinging>>);

impl Drop for Clinging {
    fn drop(&mut self) {
        if let Some(cache) = self.0.take() {
            for key in 0..2_000 {
                let _ = cache.remove(&key.to_string()).now_or_never();
            }
        }
    }
}

#[tokio::test]
async fn a_value_that_is_taken_out_may_use_the_cache_as_it_is_dropped() -> Result<()> {
    let node: Cache<Clinging> = Cache::builder("clinging").l1(Plain::new()).build()?;
    node.set("1", Clinging(Some(node.clone()))).await;
    let no_life = Options {
        ttl: Some(Duration::ZERO),
        ..DEFAULT
    };
    // On a thread of its own, so that a deadlock fails the test instead of hanging it.
    let set = tokio::task::spawn_blocking(move || {
        let set = async move { node.with(no_life).set("1", Clinging(None)).await };
        set.now_or_never().is_some()
    });
    assert!(promptly(set).await.unwrap());
    Ok(())
}
