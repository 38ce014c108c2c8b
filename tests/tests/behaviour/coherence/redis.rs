//! The same over a real server, in real time.

use std::time::Duration;

use tiered::{Builder, Cache, Coherence, Invalidator, Loaded, Moka, Redis, RedisOptions, Settings};
use tiered_tests::RedisServer;
use tokio::time::{sleep, timeout};

use crate::support::gate::gate;
use crate::support::loaders::{found, found_after, says, unasked};
use crate::support::world::{DEFAULT, NEAR_ONLY, promptly, settings, until};

async fn node(server: &RedisServer) -> Cache<String> {
    node_with(server, false, Coherence::default()).await
}

async fn node_with(server: &RedisServer, tracking: bool, coherence: Coherence) -> Cache<String> {
    let options = RedisOptions {
        command_timeout: Duration::from_secs(5),
        tracking,
        ..RedisOptions::new(server.url())
    };
    let redis = Redis::connect_with(options).await.unwrap();
    let settings = Settings {
        ttl: Duration::from_secs(600),
        coherence,
        ..settings()
    };
    let node = Builder::new("users").l1(Moka::entries(100)).l2(redis);
    let node = node.settings(settings).build().unwrap();
    node.contains("nothing").await;
    eventually("the subscription", async || node.stats().doubts > 0).await;
    node
}

/// Two nodes that have heard each other.
async fn two(server: &RedisServer) -> (Cache<String>, Cache<String>) {
    let (a, b) = (node(server).await, node(server).await);
    for node in [&a, &b] {
        eventually("a ping", async || node.stats().messages_heard > 0).await;
    }
    (a, b)
}

async fn eventually(what: &str, holds: impl AsyncFn() -> bool) {
    let work = async {
        while !holds().await {
            sleep(Duration::from_millis(5)).await;
        }
    };
    let came = timeout(Duration::from_secs(20), work).await;
    assert!(came.is_ok(), "never came: {what}");
}

async fn near(node: &Cache<String>, key: &str) -> Option<String> {
    let answer = node.with(NEAR_ONLY).get(key).await?;
    answer.value.map(|value| value.to_string())
}

async fn value(node: &Cache<String>, key: &str) -> Option<String> {
    node.get(key).await.map(|value| value.to_string())
}

async fn both_hold(a: &Cache<String>, b: &Cache<String>, key: &str) {
    let call = a.with(DEFAULT).tags(&["red"]);
    call.set(key, "old".to_owned()).await.ok().unwrap();
    eventually("the copy", async || {
        value(b, key).await.as_deref() == Some("old") && near(b, key).await.is_some()
    })
    .await;
}

/// What node a does is seen by node b, which held a copy.
async fn is_seen(change: impl AsyncFn(&Cache<String>), then: Option<&str>) {
    let server = RedisServer::start().await;
    let (a, b) = two(&server).await;
    both_hold(&a, &b, "1").await;
    change(&a).await;
    eventually("the change", async || near(&b, "1").await.is_none()).await;
    assert_eq!(value(&b, "1").await.as_deref(), then);
}

#[tokio::test]
async fn a_removal_is_seen_over_redis() {
    is_seen(async |node| node.remove("1").await.ok().unwrap(), None).await;
}

#[tokio::test]
async fn a_set_is_seen_over_redis() {
    let set = async |node: &Cache<String>| drop(node.set("1", "new".to_owned()).await);
    is_seen(set, Some("new")).await;
}

#[tokio::test]
async fn an_expiry_is_seen_over_redis() {
    is_seen(async |node| node.expire("1").await.ok().unwrap(), None).await;
}

#[tokio::test]
async fn a_tags_removal_is_seen_over_redis() {
    is_seen(async |node| node.remove_tag("red").await.unwrap(), None).await;
}

#[tokio::test]
async fn a_clear_is_seen_over_redis() {
    is_seen(async |node| node.clear().await.unwrap(), None).await;
}

#[tokio::test]
async fn a_cold_key_is_loaded_once_over_redis() {
    let server = RedisServer::start().await;
    let (a, b) = two(&server).await;
    let (mut stop, gate) = gate();
    let load = |node: &Cache<String>| {
        let node = node.clone();
        tokio::spawn(async move { node.get_or_load("1", unasked).await.unwrap() })
    };
    let first = {
        let a = a.clone();
        tokio::spawn(async move { a.get_or_load("1", found_after(gate, "Ada")).await.unwrap() })
    };
    stop.reached().await;
    let second = load(&b);
    until("the wait", || b.stats().waits == 1).await;
    stop.go();
    assert_eq!(promptly(first).await.unwrap().as_str(), "Ada");
    assert_eq!(promptly(second).await.unwrap().as_str(), "Ada");
    assert_eq!((a.stats().loads, b.stats().loads), (1, 0));
}

/// A load that began before this is not served after it.
async fn no_load_outlives(invalidate: impl AsyncFn(&Cache<String>), then: &str) {
    let server = RedisServer::start().await;
    let (a, b) = two(&server).await;
    let (mut stop, gate) = gate();
    let loading = {
        let a = a.clone();
        let load = async move || {
            gate.pass().await;
            says(Loaded::found("old".to_owned()).tags(["red"]))().await
        };
        tokio::spawn(async move { a.get_or_load("1", load).await.unwrap() })
    };
    stop.reached().await;
    invalidate(&b).await;
    stop.go();
    assert_eq!(promptly(loading).await.unwrap().unwrap().as_str(), "old");
    for node in [&b, &a] {
        let answer = node.with(DEFAULT).get_or_load("1", found(then)).await;
        assert_eq!(answer.unwrap().value.unwrap().as_str(), then);
    }
}

#[tokio::test]
async fn a_load_does_not_outlive_a_removal_over_redis() {
    no_load_outlives(async |node| drop(node.remove("1").await), "new").await;
}

#[tokio::test]
async fn a_load_does_not_outlive_a_set_over_redis() {
    let set = async |node: &Cache<String>| drop(node.set("1", "new".to_owned()).await);
    no_load_outlives(set, "new").await;
}

#[tokio::test]
async fn a_load_does_not_outlive_an_expiry_over_redis() {
    no_load_outlives(async |node| drop(node.expire("1").await), "new").await;
}

#[tokio::test]
async fn a_load_does_not_outlive_a_tags_removal_over_redis() {
    no_load_outlives(async |node| node.remove_tag("red").await.unwrap(), "new").await;
}

#[tokio::test]
async fn a_load_does_not_outlive_a_clear_over_redis() {
    no_load_outlives(async |node| node.clear().await.unwrap(), "new").await;
}

#[tokio::test]
async fn a_cut_of_the_listening_connection_lets_a_node_ask_redis_before_it_trusts() {
    let server = RedisServer::start().await;
    let (a, b) = two(&server).await;
    both_hold(&a, &b, "1").await;
    both_hold(&a, &b, "2").await;
    let doubts = b.stats().doubts;
    server.raw(&["CLIENT", "KILL", "TYPE", "pubsub"]).await;
    a.remove("2").await.ok().unwrap();
    eventually("the doubt", async || b.stats().doubts > doubts).await;
    sleep(Coherence::default().bound).await;
    assert_eq!(value(&b, "2").await, None);
    let answer = b.get_or_load("1", unasked).await.unwrap();
    assert_eq!((answer.as_str(), b.stats().loads), ("old", 0));
    assert!(b.stats().confirmed >= 1);
}

#[tokio::test]
async fn a_server_that_comes_back_empty_leaves_nothing_old() {
    let mut server = RedisServer::start().await;
    let (a, b) = two(&server).await;
    both_hold(&a, &b, "1").await;
    server.restart().await;
    let is_loaded_anew = async || {
        let value = b.get_or_load("1", found("new")).await.unwrap();
        value.as_str() == "new"
    };
    eventually("a load", is_loaded_anew).await;
    eventually("the new value", async || {
        value(&a, "1").await.as_deref() == Some("new")
    })
    .await;
}

#[tokio::test]
async fn a_foreign_deletion_is_seen_by_a_node_that_tracks() {
    let server = RedisServer::start().await;
    let b = node_with(&server, true, Coherence::default()).await;
    b.set("1", "old".to_owned()).await.ok().unwrap();
    server.raw(&["DEL", "users:1"]).await;
    eventually("the deletion", async || near(&b, "1").await.is_none()).await;
    assert_eq!(value(&b, "1").await, None);
}

#[tokio::test]
async fn a_foreign_write_is_seen_by_a_node_that_tracks() {
    let server = RedisServer::start().await;
    let b = node_with(&server, true, Coherence::default()).await;
    b.set("1", "old".to_owned()).await.ok().unwrap();
    server.raw(&["SET", "users:1", "something else"]).await;
    eventually("the write", async || near(&b, "1").await.is_none()).await;
    let value = b.get_or_load("1", found("new")).await.unwrap();
    assert_eq!(value.as_str(), "new");
}

#[tokio::test]
async fn a_node_that_tracks_keeps_what_it_has_set_itself() {
    let server = RedisServer::start().await;
    let b = node_with(&server, true, Coherence::default()).await;
    for key in ["1", "2"] {
        b.set(key, "own".to_owned()).await.ok().unwrap();
    }
    server.raw(&["DEL", "users:2"]).await;
    eventually("the deletion", async || near(&b, "2").await.is_none()).await;
    assert_eq!(near(&b, "1").await.as_deref(), Some("own"));
}

#[tokio::test]
async fn an_invalidator_and_its_two_commands_are_heard_over_redis() {
    let server = RedisServer::start().await;
    let (a, b) = two(&server).await;
    both_hold(&a, &b, "1").await;
    both_hold(&a, &b, "2").await;
    let redis = Redis::connect(&server.url()).await.unwrap();
    let invalidator = Invalidator::new("users", redis).unwrap();
    invalidator.remove(["1"]).await.unwrap();
    eventually("the removal", async || near(&b, "1").await.is_none()).await;
    server.raw(&["UNLINK", "users:2"]).await;
    let message = "tiered/1 0 0\nremoved 2";
    server.raw(&["PUBLISH", "#bus:users", message]).await;
    eventually("the text", async || near(&b, "2").await.is_none()).await;
    assert_eq!((value(&b, "1").await, value(&b, "2").await), (None, None));
}

#[tokio::test]
async fn a_removal_while_the_server_hangs_is_repeated_when_it_goes_on() {
    let server = RedisServer::start().await;
    let (a, b) = two(&server).await;
    let options = RedisOptions {
        command_timeout: Duration::from_millis(100),
        ..RedisOptions::new(server.url())
    };
    let hasty = Redis::connect_with(options).await.unwrap();
    let hasty: Cache<String> = Builder::new("users").l2(hasty).build().unwrap();
    both_hold(&a, &b, "1").await;
    hasty.contains("1").await;
    server.pause();
    let removed = hasty.remove("1").await;
    server.resume();
    assert!(removed.ok().is_err());
    eventually("the repetition", async || hasty.stats().unconfirmed == 0).await;
    eventually("the removal", async || value(&b, "1").await.is_none()).await;
}

#[tokio::test]
async fn a_holder_that_is_gone_holds_up_another_node_for_its_claims_life_over_redis() {
    let server = RedisServer::start().await;
    let briefly = Coherence {
        claim_life: Duration::from_millis(300),
        ..Coherence::default()
    };
    let a = node_with(&server, false, briefly).await;
    let b = node(&server).await;
    eventually("a ping", async || b.stats().messages_heard > 0).await;
    let doomed = tokio::runtime::Builder::new_multi_thread();
    let doomed = { doomed }.worker_threads(1).enable_all().build().unwrap();
    let (mut stop, gate) = gate();
    let holder = doomed.spawn(async move {
        let _ = a.get_or_load("1", found_after(gate, "never")).await;
    });
    stop.reached().await;
    doomed.shutdown_background();
    assert!(promptly(holder).await.is_err());
    let value = promptly(b.get_or_load("1", found("Ada"))).await.unwrap();
    assert_eq!(value.as_str(), "Ada");
    assert_eq!(b.stats().loads_unfenced, 0);
}
