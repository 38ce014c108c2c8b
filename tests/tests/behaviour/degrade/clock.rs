//! Nodes whose wall clocks differ keep to the time of the store.

use tiered::{Cache, Embedded, Key, ManualClock, Moka};

use super::world::{ask, broken, lasting};
use crate::support::loaders::found;
use crate::support::spy::{Op, Spy};
use crate::support::world::millis;

/// A quarter of an hour, in milliseconds.
const OFF: i64 = 900_000;

/// A store and two nodes on three machines, whose wall clocks differ.
struct Machines {
    hands: [ManualClock; 3],
    wrong: Cache<String>,
    right: Cache<String>,
    spy: Spy,
}

impl Machines {
    /// Node `wrong` is so many milliseconds off.
    fn new(off: i64) -> Self {
        let hands = [ManualClock::new(), ManualClock::new(), ManualClock::new()];
        let store = Embedded::new().with_clock(hands[0].clone());
        let spy = Spy::new(store.clone());
        hands[1].jump_wall(off);
        let node = |hand: &ManualClock, spy: Spy| {
            let node = Cache::builder("users").clock(hand.clone());
            let node = node.l1(Moka::entries(100)).l2(spy).without_backplane();
            node.settings(lasting()).build().unwrap()
        };
        Self {
            wrong: node(&hands[1], spy.clone()),
            right: node(&hands[2], Spy::new(store)),
            spy,
            hands,
        }
    }

    fn pass(&self, time: u64) {
        self.hands
            .iter()
            .for_each(|hand| hand.advance(millis(time)));
    }
}

async fn value<K: Key + ?Sized>(node: &Cache<String, K>, key: &K) -> Option<String> {
    node.get(key).await.map(|value| value.to_string())
}

/// What the one writes the other has for 10 seconds, and for a minute as an older copy.
async fn lives_as_long_as_it_may(machines: &Machines, from: &Cache<String>, to: &Cache<String>) {
    from.set("1", "there".to_owned()).await.ok().unwrap();
    from.get_or_load("2", found("there")).await.unwrap();
    machines.pass(5_000);
    let found = [value(to, "1").await, value(to, "2").await];
    assert_eq!(found.each_ref().map(Option::as_deref), [Some("there"); 2]);
    machines.pass(4_999);
    for node in [from, to] {
        assert_eq!(
            value(node, "1").await.as_deref(),
            Some("there"),
            "not early"
        );
    }
    machines.pass(1);
    for node in [from, to] {
        assert_eq!(value(node, "1").await, None, "not late");
    }
    machines.pass(59_999);
    let old = ask(to, "1", broken).await.unwrap();
    assert_eq!((old.age, old.is_stale), (millis(69_999), true));
    machines.pass(1);
    for node in [from, to] {
        assert!(ask(node, "1", broken).await.is_err());
    }
}

#[tokio::test]
async fn what_a_node_that_is_off_has_written_lives_as_long_as_it_may_elsewhere() {
    for off in [-OFF, OFF] {
        let machines = Machines::new(off);
        lives_as_long_as_it_may(&machines, &machines.wrong, &machines.right).await;
    }
}

#[tokio::test]
async fn what_others_have_written_lives_as_long_as_it_may_on_a_node_that_is_off() {
    for off in [-OFF, OFF] {
        let machines = Machines::new(off);
        lives_as_long_as_it_may(&machines, &machines.right, &machines.wrong).await;
    }
}

#[tokio::test]
async fn ages_are_right_between_them() {
    for off in [-OFF, OFF] {
        let machines = Machines::new(off);
        machines
            .wrong
            .set("1", "there".to_owned())
            .await
            .ok()
            .unwrap();
        machines.pass(3_000);
        let call = machines.right.with(crate::support::world::DEFAULT);
        assert_eq!(call.get("1").await.unwrap().age, millis(3_000));
    }
}

#[tokio::test]
async fn a_wall_clock_that_is_set_while_the_node_runs_changes_nothing() {
    for off in [-OFF, OFF] {
        let machines = Machines::new(0);
        machines.wrong.contains("nothing").await;
        machines.hands[1].jump_wall(off);
        lives_as_long_as_it_may(&machines, &machines.wrong, &machines.right).await;
    }
}

#[tokio::test]
async fn the_first_thing_that_a_node_does_may_be_a_batch() {
    for off in [-OFF, OFF] {
        let machines = Machines::new(off);
        let items = [("1", "there".to_owned()), ("2", "there".to_owned())];
        for written in machines.wrong.set_many(items).await {
            written.ok().unwrap();
        }
        machines.pass(9_999);
        let found = machines.right.get_many(["1", "2"]).await;
        assert!(found.iter().all(Option::is_some));
        machines.pass(1);
        let found = machines.right.get_many(["1", "2"]).await;
        assert!(found.iter().all(Option::is_none));
    }
}

/// Only its own clock is left to it then. The store ends what it holds by its own time.
#[tokio::test]
async fn nothing_is_served_past_its_end_by_a_node_that_never_learned_the_time() {
    for off in [-OFF, OFF] {
        let machines = Machines::new(off);
        machines.spy.fail(&[Op::Time]);
        machines
            .right
            .set("1", "there".to_owned())
            .await
            .ok()
            .unwrap();
        machines.wrong.get("1").await;
        machines.wrong.set("2", "there".to_owned()).await;
        machines.pass(70_000);
        for node in [&machines.wrong, &machines.right] {
            for key in ["1", "2"] {
                assert!(ask(node, key, broken).await.is_err());
            }
        }
    }
}

#[tokio::test]
async fn the_time_is_asked_once_a_minute_and_not_by_each_call() {
    let machines = Machines::new(OFF);
    let asked = || machines.spy.asked(Op::Time).0;
    for key in 0..50 {
        machines.wrong.get(&key.to_string()).await;
        machines
            .wrong
            .set(&key.to_string(), "there".to_owned())
            .await;
    }
    let first = asked();
    assert!((1..=2).contains(&first), "{first}");
    for _ in 0..30 {
        machines.pass(2_000);
        machines.wrong.get("cold").await;
        crate::support::world::others_turn().await;
    }
    assert!((1..=2).contains(&(asked() - first)), "{}", asked());
}
