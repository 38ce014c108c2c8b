//! A dead Redis must not become a full reload of every hot key.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use tiered::{ErrorKind, Settings, Source, Throttle};

use super::world::{ask, broken, fine, sight};
use crate::coherence::line::Fate;
use crate::coherence::world::{Node, Town};
use crate::support::loaders::{found, unasked, values_of};
use crate::support::spy::Op;
use crate::support::world::{FAR_ONLY, millis, others_turn, settings};

/// Ten minutes of life, and ten minutes of use after it.
fn hot() -> Settings {
    Settings {
        ttl: millis(600_000),
        stale_for: millis(600_000),
        ..settings()
    }
}

/// From now on the node is cut off from everything.
fn cut(node: &Node) {
    node.spy.fail(&Op::ALL);
    node.line.always(Fate::Failed);
}

fn mend(node: &Node) {
    node.spy.fail(&[]);
    node.line.always(Fate::Sent);
}

/// A node that holds these keys, and is cut off.
async fn cut_off(settings: Settings, keys: &[String]) -> (Town, Node) {
    let town = Town::new();
    let node = town.node_with(settings).await;
    town.live(1_050).await;
    let keys = keys.iter().map(String::as_str);
    for answer in node.get_many_or_load(keys, values_of).await {
        answer.unwrap();
    }
    town.live(2_000).await;
    cut(&node);
    // It is an outage once the breaker is open.
    for gap in 0..10 {
        node.cache.get(&format!("gap {gap}")).await;
    }
    (town, node)
}

fn keys(count: usize) -> Vec<String> {
    (0..count).map(|key| key.to_string()).collect()
}

/// How often each key was loaded.
#[derive(Clone, Default)]
struct Tally(Arc<Mutex<HashMap<String, usize>>>);

impl Tally {
    async fn read(&self, node: &Node, key: &str) -> Source {
        let (tally, name) = (self.clone(), key.to_owned());
        let load = move || async move {
            *tally.0.lock().unwrap().entry(name).or_default() += 1;
            Ok::<_, Infallible>("new".to_owned())
        };
        ask(node, key, load).await.expect("no read fails").source
    }

    fn total(&self) -> usize {
        self.0.lock().unwrap().values().sum()
    }

    fn most(&self) -> usize {
        self.0.lock().unwrap().values().copied().max().unwrap_or(0)
    }
}

#[tokio::test]
async fn what_l1_holds_stays_usable_for_blind_trust_and_then_as_an_older_copy() {
    let (town, node) = cut_off(hot(), &keys(1)).await;
    // The lease ends after a second at most, and blind trust after five more.
    for _ in 0..9 {
        town.live(500).await;
        assert_eq!(
            sight(&ask(&node, "0", unasked).await.unwrap()),
            fine("value of 0")
        );
    }
    assert!(node.stats().blind_hits > 0);
    town.live(1_600).await;
    let old = ask(&node, "0", unasked).await.unwrap();
    assert!(old.is_stale, "that much longer and no more");
    assert_eq!(old.failure.unwrap().kind(), ErrorKind::Unavailable);
    assert_eq!(old.value.unwrap().as_str(), "value of 0");
}

#[tokio::test]
async fn an_older_copy_is_loaded_anew_once_it_is_old_enough() {
    let (town, node) = cut_off(hot(), &keys(1)).await;
    town.live(12_900).await;
    assert!(ask(&node, "0", unasked).await.unwrap().is_stale);
    town.live(150).await;
    assert_eq!(
        sight(&ask(&node, "0", found("new")).await.unwrap()),
        fine("new")
    );
    assert_eq!(node.stats().loads_unfenced, 1);
}

#[tokio::test]
async fn a_source_that_fails_as_well_is_covered() {
    let (town, node) = cut_off(hot(), &keys(1)).await;
    town.live(20_000).await;
    let old = ask(&node, "0", broken).await.unwrap();
    assert_eq!(old.failure.unwrap().kind(), ErrorKind::Loader);
    assert_eq!(old.value.unwrap().as_str(), "value of 0");
}

#[tokio::test]
async fn what_is_not_held_is_loaded_however_many_there_are() {
    let (town, node) = cut_off(hot(), &[]).await;
    town.live(10_000).await;
    for key in keys(500) {
        assert_eq!(
            sight(&ask(&node, &key, found("new")).await.unwrap()),
            fine("new")
        );
    }
    assert_eq!(node.stats().loads, 500);
}

#[tokio::test]
async fn nothing_serves_past_its_end_in_an_outage() {
    let settings = Settings {
        ttl: millis(5_000),
        stale_for: millis(5_000),
        ..settings()
    };
    let (town, node) = cut_off(settings, &keys(1)).await;
    town.live(7_950).await;
    assert!(ask(&node, "0", unasked).await.unwrap().is_stale);
    town.live(50).await;
    assert!(ask(&node, "0", broken).await.is_err());
}

#[tokio::test]
async fn a_thousand_hot_keys_are_loaded_at_the_stated_rate() {
    let keys = keys(1_000);
    let (town, node) = cut_off(hot(), &keys).await;
    let tally = Tally::default();
    let mut most_in_a_second = 0;
    for _ in 0..30 {
        let before = tally.total();
        for _ in 0..2 {
            town.live(500).await;
            for key in &keys {
                tally.read(&node, key).await;
            }
        }
        most_in_a_second = most_in_a_second.max(tally.total() - before);
    }
    assert!(tally.most() <= 2, "{} loads of one key", tally.most());
    assert!(tally.total() >= 1_000, "each is loaded: {}", tally.total());
    assert!(tally.total() <= 2_000, "{} loads", tally.total());
    // A second's worth may have been saved up.
    assert!(most_in_a_second <= 400, "{most_in_a_second} in a second");
}

#[tokio::test]
async fn the_rate_is_a_setting() {
    let keys = keys(100);
    let throttle = Throttle {
        outage_loads: 5,
        outage_interval: millis(10_000),
        ..Throttle::default()
    };
    let (town, node) = cut_off(Settings { throttle, ..hot() }, &keys).await;
    let tally = Tally::default();
    for _ in 0..18 {
        town.live(1_000).await;
        for key in &keys {
            tally.read(&node, key).await;
        }
    }
    // From the eighth second on, and five that were saved up.
    assert!((50..=60).contains(&tally.total()), "{}", tally.total());
}

#[tokio::test]
async fn a_rate_of_zero_loads_nothing_that_is_covered() {
    let throttle = Throttle {
        outage_loads: 0,
        ..Throttle::default()
    };
    let (town, node) = cut_off(Settings { throttle, ..hot() }, &keys(1)).await;
    town.live(120_000).await;
    assert!(ask(&node, "0", unasked).await.unwrap().is_stale);
}

#[tokio::test]
async fn after_the_outage_l2_is_used_again_within_two_seconds() {
    let (town, node) = cut_off(hot(), &keys(10)).await;
    let tally = Tally::default();
    for _ in 0..60 {
        town.live(500).await;
        for key in keys(10) {
            tally.read(&node, &key).await;
        }
    }
    mend(&node);
    town.live(2_000).await;
    assert!(node.stats().hears_itself);
    let far = node.read("0", FAR_ONLY).await;
    assert_eq!(far.as_deref(), Some("value of 0"));
    // What was loaded for this node alone ends soon, and L2 has what it had.
    town.live(5_000).await;
    let loads = tally.total();
    for key in keys(10) {
        assert_eq!(tally.read(&node, &key).await, Source::L2);
    }
    assert_eq!(tally.total(), loads);
}

#[tokio::test]
async fn what_was_expired_before_the_outage_is_loaded_at_once() {
    let town = Town::new();
    let (a, b) = town.two_with(hot()).await;
    a.put("1", "old").await;
    assert_eq!(b.value("1").await.as_deref(), Some("old"));
    a.expire("1").await.ok().unwrap();
    others_turn().await;
    cut(&b);
    let answer = ask(&b, "1", found("new")).await.unwrap();
    assert_eq!(sight(&answer), fine("new"));
}
