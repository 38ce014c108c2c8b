//! A node that may have missed something asks L2 before it trusts what it holds.

use std::time::Duration;

use tiered::{Coherence, News, Settings, Throttle};

use super::line::Fate;
use super::world::{Node, Town, answered, with_coherence};
use crate::support::loaders::found;
use crate::support::spy::{Op, When};
use crate::support::world::{others_turn, promptly, until};

/// Node b holds key 1 since more than the bound, and trusts it.
async fn held() -> (Town, Node, Node) {
    held_with(with_coherence(Coherence::default())).await
}

/// Settings by which a copy is loaded anew however young it is, where L2 does not answer and the copy is in doubt.
fn loaded_at_once(coherence: Coherence) -> Settings {
    let throttle = Throttle {
        outage_interval: Duration::ZERO,
        ..Throttle::default()
    };
    Settings {
        throttle,
        ..with_coherence(coherence)
    }
}

async fn held_with(settings: Settings) -> (Town, Node, Node) {
    let town = Town::new();
    let settings = Settings {
        ttl: Duration::from_secs(600),
        ..settings
    };
    let (a, b) = town.two_with(settings).await;
    a.put("1", "old").await;
    assert_eq!(b.value("1").await.as_deref(), Some("old"));
    town.live(1_500).await;
    let before = b.spy.round_trips();
    assert_eq!(b.value("1").await.as_deref(), Some("old"));
    assert_eq!(b.spy.round_trips(), before);
    (town, a, b)
}

/// It doubts once, and then trusts its copy again without a load.
async fn is_confirmed(b: &Node, doubts: u64) {
    assert_eq!(b.stats().doubts, doubts + 1);
    let (gets, confirmed) = (b.spy.asked(Op::Get).0, b.stats().confirmed);
    let hits = b.stats().l2_hits;
    assert_eq!(b.value_unasked("1").await, "old");
    assert_eq!(b.stats().confirmed, confirmed + 1);
    assert_eq!(b.stats().l2_hits, hits + 1);
    assert_eq!(b.value_unasked("1").await, "old");
    assert_eq!(b.spy.asked(Op::Get).0, gets + 1, "once");
}

#[tokio::test]
async fn a_missing_message_lets_a_node_have_its_copies_confirmed() {
    let (_town, a, b) = held().await;
    let doubts = b.stats().doubts;
    a.line.next(Fate::Lost);
    a.put("2", "lost").await;
    others_turn().await;
    assert_eq!(b.stats().doubts, doubts);
    a.put("3", "heard").await;
    others_turn().await;
    is_confirmed(&b, doubts).await;
}

#[tokio::test]
async fn a_missing_message_about_the_very_key_is_made_up_for() {
    let (_town, a, b) = held().await;
    a.line.next(Fate::Lost);
    a.remove("1").await;
    others_turn().await;
    a.put("3", "heard").await;
    others_turn().await;
    assert_eq!(b.near("1").await, None);
    assert_eq!(b.value("1").await, None);
}

#[tokio::test]
async fn the_last_message_is_missed_when_the_next_ping_comes() {
    let (town, a, b) = held().await;
    let doubts = b.stats().doubts;
    a.line.next(Fate::Lost);
    a.remove("1").await;
    others_turn().await;
    town.live(250).await;
    assert_eq!(b.stats().doubts, doubts + 1);
    assert_eq!(b.value("1").await, None);
}

#[tokio::test]
async fn a_message_that_could_not_be_sent_is_missed_by_the_others() {
    let (town, a, b) = held().await;
    let doubts = b.stats().doubts;
    a.line.next(Fate::Failed);
    a.remove("1").await;
    town.live(250).await;
    assert_eq!(a.stats().messages_lost, 1);
    assert_eq!(b.stats().doubts, doubts + 1);
    assert_eq!(b.value("1").await, None);
}

#[tokio::test]
async fn a_node_that_falls_silent_lets_the_others_doubt() {
    let (town, a, b) = held().await;
    let doubts = b.stats().doubts;
    a.line.always(Fate::Lost);
    a.remove("1").await;
    drop(a);
    town.live(1_500).await;
    assert_eq!(b.stats().doubts, doubts + 1);
    assert_eq!(b.value("1").await, None);
    town.live(3_000).await;
    assert_eq!(b.stats().doubts, doubts + 1, "once");
}

#[tokio::test]
async fn a_node_that_says_goodbye_lets_nobody_doubt() {
    let (town, a, b) = held().await;
    let doubts = b.stats().doubts;
    drop(a);
    town.live(5_000).await;
    assert_eq!(b.stats().doubts, doubts);
    assert_eq!(b.near("1").await.as_deref(), Some("old"));
}

#[tokio::test]
async fn a_gap_in_the_subscription_lets_a_node_have_its_copies_confirmed() {
    let (_town, _a, b) = held().await;
    let doubts = b.stats().doubts;
    b.line.tell(News::Gap);
    others_turn().await;
    is_confirmed(&b, doubts).await;
}

#[tokio::test]
async fn a_message_that_nobody_understands_lets_a_node_have_its_copies_confirmed() {
    for text in ["", "hello", "tiered/2 1 1", "tiered/1 1 1\nrenamed 1 2"] {
        let (town, _a, b) = held().await;
        let doubts = b.stats().doubts;
        town.say(text).await;
        is_confirmed(&b, doubts).await;
    }
}

#[tokio::test]
async fn a_message_that_comes_twice_is_harmless() {
    let (town, a, b) = held().await;
    let doubts = b.stats().doubts;
    a.line.always(Fate::Twice);
    a.put("2", "new").await;
    others_turn().await;
    assert_eq!(b.value("2").await.as_deref(), Some("new"));
    town.live(2_000).await;
    assert_eq!(b.stats().doubts, doubts);
    assert_eq!(b.near("1").await.as_deref(), Some("old"));
    a.remove("1").await;
    others_turn().await;
    assert_eq!(b.near("1").await, None);
}

#[tokio::test]
async fn a_node_that_comes_anew_lets_nobody_doubt() {
    let (town, _a, b) = held().await;
    let doubts = b.stats().doubts;
    let newcomer = town.node().await;
    town.live(500).await;
    assert_eq!(b.stats().doubts, doubts);
    newcomer.remove("1").await;
    others_turn().await;
    assert_eq!(b.stats().doubts, doubts);
    assert_eq!(b.near("1").await, None);
}

#[tokio::test]
async fn a_node_whose_first_message_is_missed_lets_the_others_doubt() {
    let (town, a, b) = held().await;
    let doubts = b.stats().doubts;
    let newcomer = town.sleeper(super::world::with_coherence(Coherence::default()));
    newcomer.line.next(Fate::Lost);
    newcomer.remove("1").await;
    others_turn().await;
    town.live(250).await;
    assert_eq!(b.stats().doubts, doubts + 1);
    assert_eq!((a.value("1").await, b.value("1").await), (None, None));
}

#[tokio::test]
async fn a_node_that_does_not_hear_itself_asks_l2_once_per_bound_and_key() {
    let (town, _a, b) = held().await;
    b.line.set_deaf(true);
    town.live(1_250).await;
    let (gets, confirmed) = (b.spy.asked(Op::Get).0, b.stats().confirmed);
    for round in 1..=3 {
        for _ in 0..5 {
            assert_eq!(b.value_unasked("1").await, "old");
            town.live(150).await;
        }
        assert_eq!(b.spy.asked(Op::Get).0, gets + round);
        assert_eq!(b.stats().confirmed, confirmed + round as u64);
        town.live(250).await;
    }
}

#[tokio::test]
async fn a_node_that_does_not_hear_itself_serves_nothing_old_beyond_the_bound() {
    let (town, a, b) = held().await;
    b.line.set_deaf(true);
    a.remove("1").await;
    town.live(1_000).await;
    assert_eq!(b.value("1").await, None);
}

#[tokio::test]
async fn a_node_that_hears_itself_again_trusts_again() {
    let (town, a, b) = held().await;
    b.line.set_deaf(true);
    town.live(3_000).await;
    b.line.set_deaf(false);
    town.live(500).await;
    assert_eq!(b.value("1").await.as_deref(), Some("old"));
    town.live(2_000).await;
    assert_eq!(b.near("1").await.as_deref(), Some("old"));
    a.remove("1").await;
    others_turn().await;
    assert_eq!(b.near("1").await, None);
}

#[tokio::test]
async fn without_l2_a_doubtful_copy_serves_for_blind_trust_and_is_then_loaded() {
    let (town, _a, b) = held_with(loaded_at_once(Coherence::default())).await;
    b.line.set_deaf(true);
    b.spy.fail(&Op::ALL);
    town.live(900).await;
    let hits = b.stats().blind_hits;
    town.live(4_600).await;
    assert_eq!(b.value_unasked("1").await, "old");
    assert_eq!(b.stats().blind_hits, hits + 1);
    town.live(600).await;
    assert_eq!(b.value("1").await, None);
    assert_eq!(b.value_or("1", "loaded").await, "loaded");
    assert_eq!(b.stats().loads_unfenced, 1);
}

#[tokio::test]
async fn without_blind_trust_a_doubtful_copy_does_not_serve_without_l2() {
    let strict = Coherence {
        blind_trust: Duration::ZERO,
        ..Coherence::default()
    };
    let (town, _a, b) = held_with(loaded_at_once(strict)).await;
    b.line.set_deaf(true);
    b.spy.fail(&Op::ALL);
    town.live(1_250).await;
    assert_eq!(b.value("1").await, None);
    assert_eq!(b.value_or("1", "loaded").await, "loaded");
    assert_eq!(b.stats().blind_hits, 0);
}

#[tokio::test]
async fn a_doubtful_copy_serves_blindly_after_a_gap_too() {
    let (town, _a, b) = held().await;
    b.spy.fail(&Op::ALL);
    b.line.tell(News::Gap);
    others_turn().await;
    assert_eq!(b.value_unasked("1").await, "old");
    assert_eq!(b.stats().blind_hits, 1);
    town.live(5_050).await;
    assert_eq!(b.value("1").await, None);
}

#[tokio::test]
async fn a_node_that_was_frozen_asks_l2_before_any_of_its_tasks_has_run() {
    let (town, a, b) = held().await;
    a.line.hold();
    a.remove("1").await;
    others_turn().await;
    town.pass(10_000);
    assert_eq!(b.value("1").await, None);
}

/// The echo of a ping that was sent before the freeze proves nothing about what came after it.
#[tokio::test]
async fn an_echo_from_before_a_freeze_renews_no_trust() {
    let (town, a, b) = held().await;
    b.line.hold();
    town.live(250).await;
    a.line.hold();
    a.remove("1").await;
    others_turn().await;
    town.pass(10_000);
    b.line.let_go().await;
    assert_eq!(b.value("1").await, None);
}

#[tokio::test]
async fn what_was_read_before_a_doubt_is_doubtful_however_late_it_came_in() {
    let town = Town::new();
    let (a, b) = town.two().await;
    a.put("1", "old").await;
    let mut stop = b.spy.hold(Op::Get, When::After);
    let cache = b.cache.clone();
    let reading = tokio::spawn(async move { cache.get("1").await });
    stop.reached().await;
    a.line.next(Fate::Lost);
    a.remove("1").await;
    town.live(900).await;
    stop.go();
    promptly(reading).await.unwrap();
    town.live(100).await;
    assert_eq!(b.value("1").await, None);
}

#[tokio::test]
async fn what_was_loaded_during_a_cut_is_doubtful_after_it() {
    let town = Town::new();
    let (a, b) = town.two().await;
    b.line.tell(News::Gap);
    b.line.set_deaf(true);
    others_turn().await;
    assert_eq!(b.value_or("1", "old").await, "old");
    a.remove("1").await;
    town.live(900).await;
    b.line.set_deaf(false);
    b.line.tell(News::Gap);
    town.live(100).await;
    assert_eq!(b.value("1").await, None);
}

#[tokio::test]
async fn a_confirmation_that_a_removal_has_overtaken_confirms_nothing() {
    let (_town, a, b) = held().await;
    b.line.tell(News::Gap);
    others_turn().await;
    let mut stop = b.spy.hold(Op::Get, When::After);
    let reading = b.load("1", found("unused"));
    stop.reached().await;
    a.remove("1").await;
    others_turn().await;
    stop.go();
    assert_eq!(answered(reading).await, "old", "it asked before");
    assert_eq!(b.near("1").await, None);
    assert_eq!(b.value("1").await, None);
}

#[tokio::test]
async fn a_copy_that_l2_has_lost_is_loaded_when_it_is_in_doubt() {
    let (town, _a, b) = held().await;
    town.lose("1").await;
    assert_eq!(b.value("1").await.as_deref(), Some("old"), "no doubt yet");
    b.line.tell(News::Gap);
    others_turn().await;
    assert_eq!(b.value_or("1", "new").await, "new");
}

#[tokio::test]
async fn many_copies_in_doubt_are_confirmed_by_one_batch() {
    let (town, a, b) = held().await;
    let keys: Vec<_> = (0..400).map(|key| key.to_string()).collect();
    let keys = || keys.iter().map(String::as_str);
    a.set_many(keys().map(|key| (key, "value".to_owned())))
        .await;
    others_turn().await;
    b.get_many(keys()).await;
    town.live(1_500).await;
    b.line.tell(News::Gap);
    others_turn().await;
    let gets = b.spy.asked(Op::Get).0;
    let found = b.get_many(keys()).await;
    assert!(found.iter().all(Option::is_some));
    assert_eq!(b.stats().confirmed, 400);
    assert_eq!(b.spy.asked(Op::Get).0, gets + 1);
}

#[tokio::test]
async fn a_thousand_reads_of_doubtful_copies_all_come_to_their_end() {
    let (town, a, b) = held().await;
    let keys: Vec<_> = (0..1_000).map(|key| key.to_string()).collect();
    for key in &keys {
        a.put(key, "value").await;
    }
    others_turn().await;
    until("all heard", || a.stats().messages_lost == 0).await;
    b.get_many(keys.iter().map(String::as_str)).await;
    town.live(1_500).await;
    b.line.tell(News::Gap);
    others_turn().await;
    let reads = keys.iter().map(|key| b.value(key));
    let values = promptly(futures_util::future::join_all(reads)).await;
    assert!(values.iter().all(Option::is_some));
}
