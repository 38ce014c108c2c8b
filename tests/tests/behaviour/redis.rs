//! The central behaviours against a real server.

use std::sync::Arc;

use tiered::{
    Builder, Cache, ErrorKind, Outcome, Redis, RedisOptions, Rejection, Result, Settings, Source,
};
use tiered_tests::RedisServer;

use crate::support::gate::gate;
use crate::support::loaders::{found, found_after, missing, unasked, values_of};
use crate::support::world::{DEFAULT, NEITHER, World, both, millis, settings, tiers};

/// A server, and two nodes with a connection each.
struct Nodes {
    server: RedisServer,
    a: Cache<String>,
    b: Cache<String>,
}

impl Nodes {
    async fn start() -> Self {
        let (server, world) = (RedisServer::start().await, World::new());
        let (a, b) = (node(&world, &server).await, node(&world, &server).await);
        Self { server, a, b }
    }

    async fn raw(&self, arguments: &[&str]) -> String {
        String::from_utf8_lossy(&self.server.raw(arguments).await).into_owned()
    }
}

async fn connect(server: &RedisServer) -> Redis {
    // A busy machine may take longer than the default of 250 ms, and what fails then is not what is tested.
    let command_timeout = std::time::Duration::from_secs(5);
    let options = RedisOptions {
        command_timeout,
        ..RedisOptions::new(server.url())
    };
    Redis::connect_with(options).await.unwrap()
}

async fn node(world: &World, server: &RedisServer) -> Cache<String> {
    node_with(world, server, settings()).await
}

async fn node_with(world: &World, server: &RedisServer, settings: Settings) -> Cache<String> {
    let redis = connect(server).await;
    world
        .bare()
        .l1(tiered::Moka::entries(100))
        .l2(redis)
        .settings(settings)
        .build()
        .unwrap()
}

#[tokio::test]
async fn a_second_node_is_served_from_redis() -> Result<()> {
    let Nodes {
        a,
        b,
        server: _server,
    } = &Nodes::start().await;
    a.get_or_load("1", found("Ada")).await?;
    let answer = b.with(DEFAULT).get_or_load("1", unasked).await?;
    assert_eq!(
        (answer.value.unwrap().as_str(), answer.source),
        ("Ada", Source::L2)
    );
    assert_eq!(*b.get_or_load("1", unasked).await?, "Ada");
    assert_eq!((b.stats().l2_hits, b.stats().l1_hits), (1, 1));
    Ok(())
}

#[tokio::test]
async fn a_removal_on_one_node_is_seen_in_redis_by_another() -> Result<()> {
    let Nodes {
        a,
        b,
        server: _server,
    } = &Nodes::start().await;
    a.set_many([("1", "Ada".to_owned()), ("2", "Grace".to_owned())])
        .await;
    assert_eq!(b.contains_many(["1", "2", "3"]).await, [true, true, false]);
    assert_eq!(a.remove_many(["1", "2", "3", "1"]).await.present, 2);
    assert_eq!(b.contains_many(["1", "2"]).await, [false, false]);
    assert!(b.get("1").await.is_none());
    Ok(())
}

#[tokio::test]
async fn a_batch_goes_through_both_tiers() -> Result<()> {
    let Nodes {
        a,
        b,
        server: _server,
    } = &Nodes::start().await;
    let keys: Vec<_> = (0..1_000).map(|key| key.to_string()).collect();
    let some = keys
        .iter()
        .take(600)
        .map(|key| (key.as_str(), format!("value of {key}")));
    assert!(
        a.set_many(some)
            .await
            .iter()
            .all(|written| written.ok().is_ok())
    );
    b.get_many(keys[..100].iter().map(String::as_str)).await;
    let answers = b
        .get_many_or_load(keys.iter().map(String::as_str), values_of)
        .await;
    for (key, answer) in keys.iter().zip(answers) {
        assert_eq!(answer?.unwrap().as_str(), format!("value of {key}"));
    }
    let stats = b.stats();
    assert_eq!(
        (stats.l1_hits, stats.l2_hits, stats.misses),
        (100, 600, 400)
    );
    Ok(())
}

#[tokio::test]
async fn that_there_is_none_is_known_to_other_nodes() -> Result<()> {
    let Nodes {
        a,
        b,
        server: _server,
    } = &Nodes::start().await;
    a.get_or_load("1", missing).await?;
    let known = b.with(DEFAULT).get("1").await.expect("it is known");
    assert_eq!((known.value, known.source), (None, Source::L2));
    assert!(!b.contains("1").await);
    Ok(())
}

#[tokio::test]
async fn redis_forgets_a_value_when_its_life_is_over() -> Result<()> {
    let nodes = Nodes::start().await;
    nodes.a.set("1", "Ada".to_owned()).await.ok()?;
    nodes.a.get_or_load("2", missing).await?;
    for (key, ttl) in [("users:1", 10_000), ("users:2", 2_000)] {
        let left = nodes.raw(&["PTTL", key]).await;
        let left: i64 = left.trim().trim_start_matches(':').parse().unwrap();
        // How much a busy machine takes off is not known, but not half of it.
        assert!((ttl / 2..=ttl).contains(&left), "{key} has {left} ms left");
    }
    Ok(())
}

#[tokio::test]
async fn a_life_is_judged_by_the_frame_before_redis_forgets() -> Result<()> {
    let (server, world) = (RedisServer::start().await, World::new());
    let settings = Settings {
        ttl: millis(20),
        stale_for: millis(60_000),
        ..settings()
    };
    let a = node_with(&world, &server, settings.clone()).await;
    let b = node_with(&world, &server, settings).await;
    a.set("1", "Ada".to_owned()).await.ok()?;
    // Lives are judged by the server's own clock, which nobody can set forward: b has not asked for it so far.
    tokio::time::sleep(millis(100)).await;
    assert_eq!(tiers(&b, "1").await, NEITHER);
    assert!(server.raw(&["EXISTS", "users:1"]).await.starts_with(b":1"));
    Ok(())
}

#[tokio::test]
async fn what_somebody_else_has_put_under_our_keys_is_a_miss_and_is_replaced() -> Result<()> {
    let nodes = Nodes::start().await;
    nodes
        .raw(&[
            "SET",
            "users:1",
            "a text of somebody else, longer than the head of a frame",
        ])
        .await;
    nodes.raw(&["SET", "users:2", ""]).await;
    nodes.raw(&["RPUSH", "users:3", "a", "list"]).await;
    nodes.raw(&["HSET", "users:4", "a", "hash"]).await;
    let keys = ["1", "2", "3", "4"];
    assert_eq!(nodes.a.contains_many(keys).await, [false; 4]);
    for answer in nodes.a.get_many_or_load(keys, values_of).await {
        assert!(answer?.unwrap().starts_with("value of"));
    }
    // Redis' MGET calls a list missing: then there is nothing to reject.
    assert!((2..=8).contains(&nodes.a.stats().rejected(Rejection::Foreign)));
    for key in keys {
        assert_eq!(
            *nodes.b.get_or_load(key, unasked).await?,
            format!("value of {key}")
        );
    }
    Ok(())
}

#[tokio::test]
async fn what_is_removed_may_be_anything() {
    let nodes = Nodes::start().await;
    nodes.raw(&["RPUSH", "users:1", "a", "list"]).await;
    nodes.raw(&["SET", "users:2", "a text"]).await;
    nodes.a.set("3", "Ada".to_owned()).await;
    let removed = nodes.b.remove_many(["1", "2", "3", "4"]).await;
    assert_eq!((removed.present, removed.failed), (1, 0));
    assert!(nodes.raw(&["KEYS", "users:*"]).await.starts_with("*0"));
}

#[tokio::test]
async fn a_load_that_a_removal_overtakes_is_in_no_tier() -> Result<()> {
    let nodes = Nodes::start().await;
    let (mut stop, gate) = gate();
    let other = nodes.a.clone();
    let load = tokio::spawn(async move { other.get_or_load("1", found_after(gate, "old")).await });
    stop.reached().await;
    nodes.a.remove("1").await.ok()?;
    stop.go();
    assert_eq!(*load.await.unwrap()?, "old");
    assert_eq!(tiers(&nodes.a, "1").await, NEITHER);
    Ok(())
}

#[tokio::test]
async fn when_the_server_dies_reads_are_loads_and_writes_say_so() -> Result<()> {
    let mut nodes = Nodes::start().await;
    nodes
        .a
        .set_many([("1", "Ada".to_owned()), ("2", "Grace".to_owned())])
        .await;
    nodes.server.kill();
    assert_eq!(*nodes.a.get_or_load("1", unasked).await?, "Ada");
    assert_eq!(*nodes.b.get_or_load("1", found("loaded")).await?, "loaded");
    assert_eq!(*nodes.b.get_or_load("1", unasked).await?, "loaded");
    for answer in nodes.b.get_many_or_load(["2", "3"], values_of).await {
        assert!(answer?.unwrap().starts_with("value of"));
    }
    assert!(nodes.b.get("9").await.is_none() && !nodes.b.contains("9").await);
    let written = nodes.b.set("1", "set".to_owned()).await;
    assert!(matches!(
        (&written.l1, &written.l2),
        (Outcome::Stored, Outcome::Failed(_))
    ));
    let removed = nodes.b.remove("1").await;
    assert_eq!((removed.present, removed.failed), (1, 1));
    assert!(matches!(
        removed.ok().unwrap_err().kind(),
        ErrorKind::Unavailable | ErrorKind::Timeout
    ));
    assert_eq!(nodes.b.stats().load_errors, 0);
    Ok(())
}

#[tokio::test]
async fn when_the_server_is_back_so_is_l2() -> Result<()> {
    let mut nodes = Nodes::start().await;
    nodes.server.restart().await;
    // Somebody has to wait for the reconnection: it takes a moment of real time.
    let is_back = async {
        while nodes.a.set("1", "Ada".to_owned()).await.ok().is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        while nodes.b.get("1").await.is_none() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), is_back)
        .await
        .expect("they reconnect");
    assert_eq!(tiers(&nodes.b, "1").await, both("Ada"));
    Ok(())
}

#[tokio::test]
async fn caches_of_different_types_share_a_connection() -> Result<()> {
    let (server, world) = (RedisServer::start().await, World::new());
    let redis = connect(&server).await;
    let users = world.bare().l2(redis.clone()).build()?;
    let ages: Cache<u8, u64> = Builder::new("ages")
        .l2_with(redis.clone(), tiered::Json)
        .build()?;
    let flags: Cache<Option<bool>> = Cache::builder("flags").l2(redis).build()?;
    let users: Cache<String> = users;
    users.set("1", "Ada".to_owned()).await.ok()?;
    ages.set(&1, 36).await.ok()?;
    flags.set("1", Some(true)).await.ok()?;
    assert_eq!(
        (
            users.get("1").await.unwrap().as_str(),
            *ages.get(&1).await.unwrap()
        ),
        ("Ada", 36)
    );
    assert_eq!(flags.get("1").await, Some(Arc::new(Some(true))));
    let clients = server.raw(&["CLIENT", "LIST"]).await;
    let clients = String::from_utf8_lossy(&clients).matches("laddr=").count();
    // One for commands, one to hear the other nodes, and one is the question itself.
    assert_eq!(clients, 3);
    Ok(())
}
