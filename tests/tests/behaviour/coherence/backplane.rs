//! What nodes say to each other.

use tiered::{Backplane, News, Stats};

use super::world::Town;
use crate::support::world::{others_turn, until};

#[tokio::test]
async fn a_node_says_what_it_has_changed_and_no_values() {
    let town = Town::new();
    let (a, _b) = town.two().await;
    let mut listener = town.listener();
    listener.lines();
    let version = a.set("1", "secret".to_owned()).await.version.unwrap();
    let digits = format!("{:016x}", u64::from_be_bytes(version.to_bytes()));
    others_turn().await;
    assert_eq!(listener.lines(), [format!("set {digits} 1")]);
    a.remove("1").await;
    a.remove_tag("red").await.unwrap();
    a.clear().await.unwrap();
    others_turn().await;
    assert_eq!(listener.lines(), ["removed 1", "tag red", "cleared"]);
    let version = a.expire("1").await.version.unwrap();
    let digits = format!("{:016x}", u64::from_be_bytes(version.to_bytes()));
    others_turn().await;
    assert_eq!(listener.lines(), [format!("expired {digits} 1")]);
}

#[tokio::test]
async fn a_load_says_that_it_has_filled_and_a_hit_says_nothing() {
    let town = Town::new();
    let (a, b) = town.two().await;
    let mut listener = town.listener();
    a.value_or("1", "Ada").await;
    b.value_unasked("1").await;
    a.value_unasked("1").await;
    others_turn().await;
    let lines = listener.lines();
    assert!(matches!(lines.as_slice(), [line] if line.starts_with("filled ")));
}

#[tokio::test]
async fn a_removal_of_many_keys_takes_few_messages() {
    let town = Town::new();
    let (a, b) = town.two().await;
    let keys: Vec<_> = (0..1_000).map(|key| key.to_string()).collect();
    let heard = b.stats().messages_heard;
    a.remove_many(keys.iter().map(String::as_str)).await;
    others_turn().await;
    assert_eq!(b.stats().messages_heard, heard + 2);
}

#[tokio::test]
async fn a_node_pings_four_times_within_the_bound() {
    let town = Town::new();
    let _node = town.node().await;
    let mut listener = town.listener();
    listener.lines();
    town.live(1_000).await;
    let lines = listener.lines();
    assert_eq!(lines.len(), 4);
    assert!(lines.iter().all(|line| line.starts_with("ping ")));
}

#[tokio::test]
async fn more_than_a_node_has_room_to_say_becomes_one_word() {
    let town = Town::new();
    let (a, b) = town.two().await;
    a.put("held", "old").await;
    assert!(b.value("held").await.is_some());
    town.live(1_500).await;
    let mut stop = a.line.hang();
    a.put("0", "value").await;
    stop.reached().await;
    let mut listener = town.listener();
    let keys: Vec<_> = (0..5_000).map(|key| key.to_string()).collect();
    a.remove("held").await;
    a.remove_many(keys.iter().map(String::as_str)).await;
    let doubts = b.stats().doubts;
    stop.go();
    until("the word", || b.stats().doubts == doubts + 1).await;
    assert!(listener.lines().contains(&"everything".to_owned()));
    assert_eq!(b.near("held").await, None);
    assert_eq!(b.value("held").await, None);
}

#[tokio::test]
async fn a_backplane_of_its_own_may_be_given_to_a_cache() {
    let town = Town::new();
    let backplane = tiered::Loopback::new();
    let node = || {
        let node = town.builder().backplane(backplane.clone());
        node.build().unwrap()
    };
    let (a, b) = (node(), node());
    for node in [&a, &b] {
        node.get("1").await;
        others_turn().await;
    }
    a.set("1", "old".to_owned()).await;
    others_turn().await;
    assert!(b.get("1").await.is_some());
    a.remove("1").await;
    others_turn().await;
    assert!(b.get("1").await.is_none());
}

#[tokio::test]
async fn nodes_of_different_namespaces_do_not_hear_each_other() {
    let town = Town::new();
    let (a, _b) = town.two().await;
    let mut other = town.link().subscribe("usersAbc");
    assert_eq!(other.next().await, Some(News::Gap));
    a.put("1", "Ada").await;
    others_turn().await;
    assert!(futures_util::FutureExt::now_or_never(other.next()).is_none());
}

#[tokio::test]
async fn a_node_without_a_backplane_counts_no_messages() {
    let town = Town::new();
    let node = town.far_node();
    node.set("1", "Ada".to_owned()).await;
    others_turn().await;
    let Stats {
        messages_heard,
        doubts,
        ..
    } = node.stats();
    assert_eq!((messages_heard, doubts), (0, 0));
}
