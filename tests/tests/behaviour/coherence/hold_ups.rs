//! A load that ends with nothing to share holds up nobody.

use futures_util::future::BoxFuture;
use tiered::{BoxError, Kind, Loaded, Settings};

use super::world::{Loading, Node, Town, answered};
use crate::support::gate::{Gate, Stop, gate};
use crate::support::loaders::found_after;
use crate::support::world::{others_turn, settings, until};

type Outcome = std::result::Result<Loaded<String>, BoxError>;

fn ends_so(
    gate: Gate,
    end: fn() -> Outcome,
) -> impl FnOnce() -> BoxFuture<'static, Outcome> + Send + 'static {
    move || {
        Box::pin(async move {
            gate.pass().await;
            end()
        })
    }
}

/// Two nodes that wait for a third one, whose load ends so.
struct Held {
    town: Town,
    holder: Node,
    others: [Node; 2],
    loads: [Loading; 2],
    begun: [Stop; 2],
}

async fn after(end: fn() -> Outcome) -> Held {
    let small = Settings {
        max_stored_bytes: 200,
        ..settings()
    };
    let town = Town::new();
    let holder = town.node_with(small).await;
    let others = [town.node().await, town.node().await];
    let (mut stop, pass) = gate();
    let first = holder.load("1", ends_so(pass, end));
    stop.reached().await;
    let (begun, gates): (Vec<_>, Vec<_>) = (0..2).map(|_| gate()).unzip();
    let waiting = others.iter().zip(gates);
    let loads = waiting.map(|(node, gate)| node.load("1", found_after(gate, "Ada")));
    let loads: Vec<_> = loads.collect();
    for node in &others {
        until("the wait", || node.stats().waits == 1).await;
    }
    others_turn().await;
    stop.go();
    let _ = crate::support::world::promptly(first).await.unwrap();
    Held {
        town,
        holder,
        others,
        loads: loads.try_into().unwrap(),
        begun: begun.try_into().ok().unwrap(),
    }
}

/// Both load at the same time, within the time of one look.
async fn all_load_at_once(end: fn() -> Outcome) {
    let Held {
        town,
        holder: _holder,
        others,
        loads,
        mut begun,
    } = after(end).await;
    town.live(200).await;
    for begun in &mut begun {
        begun.reached().await;
    }
    begun.into_iter().for_each(Stop::go);
    for load in loads {
        assert_eq!(answered(load).await, "Ada");
    }
    let unfenced = others.iter().map(|node| node.stats().loads_unfenced);
    assert_eq!(unfenced.sum::<u64>(), 0);
    assert_eq!(town.in_l2("1").await.as_deref(), Some("Ada"));
}

#[tokio::test]
async fn after_an_error_all_who_waited_load_at_once() {
    all_load_at_once(|| Err("the source is down".into())).await;
}

#[tokio::test]
async fn after_a_panic_all_who_waited_load_at_once() {
    all_load_at_once(|| panic!("the loader breaks")).await;
}

#[tokio::test]
async fn after_a_value_that_is_not_to_be_cached_all_who_waited_load_at_once() {
    all_load_at_once(|| Ok(Loaded::found("only for you".to_owned()).uncached())).await;
}

#[tokio::test]
async fn after_a_value_that_is_too_large_all_who_waited_load_at_once() {
    all_load_at_once(|| Ok(Loaded::found("x".repeat(1_000)))).await;
}

#[tokio::test]
async fn after_a_value_with_a_tag_that_is_none_all_who_waited_load_at_once() {
    all_load_at_once(|| Ok(Loaded::found("Ada".to_owned()).tags([""]))).await;
}

#[tokio::test]
async fn after_half_a_second_loads_exclude_each_other_again() {
    let town = Town::new();
    let (a, b) = town.two().await;
    let failing = || async { Err::<String, _>("down") };
    assert!(a.get_or_load("1", failing).await.is_err());
    assert_eq!(town.kind_in_l2("1").await, Some(Kind::Pass));
    town.live(500).await;
    assert_eq!(town.kind_in_l2("1").await, None);
    let (mut stop, gate) = gate();
    let first = a.load("1", found_after(gate, "Ada"));
    stop.reached().await;
    let second = b.load("1", crate::support::loaders::unasked);
    until("the wait", || b.stats().waits == 1).await;
    stop.go();
    assert_eq!(answered(first).await, "Ada");
    assert_eq!(answered(second).await, "Ada");
}

#[tokio::test]
async fn the_last_of_those_who_load_at_once_is_the_one_who_stores() {
    let town = Town::new();
    let (a, b) = town.two().await;
    let failing = || async { Err::<String, _>("down") };
    assert!(a.get_or_load("1", failing).await.is_err());
    let (mut stop, gate) = gate();
    let early = a.load("1", found_after(gate, "early"));
    stop.reached().await;
    assert_eq!(b.value_or("1", "late").await, "late");
    stop.go();
    assert_eq!(answered(early).await, "early");
    others_turn().await;
    assert_eq!(a.stats().loads_refused, 1);
    assert_eq!(a.value_or("1", "?").await, "late");
    assert_eq!(town.in_l2("1").await.as_deref(), Some("late"));
}
