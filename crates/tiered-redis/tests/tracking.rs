//! What the server says of its keys, to who has asked for it.

mod support;

use std::time::Duration;

use support::{next, until};
use tiered_core::{Backplane, ErrorKind, L2, News, Result, Subscription, Write};
use tiered_redis::{Redis, RedisOptions};
use tiered_tests::RedisServer;

#[tokio::test]
async fn whatever_anybody_does_to_a_record_is_heard() -> Result<()> {
    let server = RedisServer::start().await;
    let redis = tracking(&server).await?;
    let mut users = redis.subscribe("users");
    confirmed(&mut users).await;
    for command in [
        ["SET", "users:7", "value"].as_slice(),
        &["APPEND", "users:7", "more"],
        &["DEL", "users:7"],
        &["SET", "users:7", "value", "PX", "1"],
    ] {
        server.raw(command).await;
        assert_eq!(next(&mut users).await, touched("users:7"), "{command:?}");
    }
    // The server notices by itself that its life has ended.
    assert_eq!(next(&mut users).await, touched("users:7"));
    let record = tiered_core::Record::new("value");
    let life = Duration::from_secs(60);
    redis
        .set_many(&[Write {
            key: "users:8",
            record,
            life,
        }])
        .await
        .remove(0)?;
    assert_eq!(next(&mut users).await, touched("users:8"));
    Ok(())
}

#[tokio::test]
async fn each_namespace_hears_of_its_own_keys() -> Result<()> {
    let server = RedisServer::start().await;
    let redis = tracking(&server).await?;
    let mut users = redis.subscribe("users");
    confirmed(&mut users).await;
    let mut orders = redis.subscribe("orders");
    confirmed(&mut orders).await;
    let keys = [
        "other:1", "users", "users2:1", "users:1", "orders:1", "users:2",
    ];
    for key in keys {
        server.raw(&["SET", key, "value"]).await;
    }
    for key in ["users:1", "users:2"] {
        assert_eq!(next(&mut users).await, touched(key));
    }
    assert_eq!(next(&mut orders).await, touched("orders:1"));
    Ok(())
}

#[tokio::test]
async fn after_a_lost_connection_it_goes_on() -> Result<()> {
    let mut server = RedisServer::start().await;
    let redis = tracking(&server).await?;
    let mut users = redis.subscribe("users");
    confirmed(&mut users).await;
    for _ in 0..2 {
        server.raw(&["CLIENT", "KILL", "TYPE", "pubsub"]).await;
        confirmed(&mut users).await;
        server.raw(&["SET", "users:7", "value"]).await;
        assert_eq!(next(&mut users).await, touched("users:7"));
    }
    server.restart().await;
    confirmed(&mut users).await;
    server.raw(&["SET", "users:7", "value"]).await;
    assert_eq!(next(&mut users).await, touched("users:7"));
    Ok(())
}

/// Prefixes can be added to what the server watches, but not taken back, and none may begin with another.
#[tokio::test]
async fn namespaces_may_come_and_go_and_lie_within_each_other() -> Result<()> {
    let server = RedisServer::start().await;
    let redis = tracking(&server).await?;
    let mut inner = redis.subscribe("users:a");
    confirmed(&mut inner).await;
    let mut outer = redis.subscribe("users");
    confirmed(&mut outer).await;
    confirmed(&mut inner).await;
    server.raw(&["SET", "users:a:1", "value"]).await;
    assert_eq!(next(&mut inner).await, touched("users:a:1"));
    assert_eq!(next(&mut outer).await, touched("users:a:1"));
    drop(outer);
    confirmed(&mut inner).await;
    server.raw(&["SET", "users:b:1", "value"]).await;
    server.raw(&["SET", "users:a:2", "value"]).await;
    assert_eq!(next(&mut inner).await, touched("users:a:2"));
    drop(inner);
    until(async || !is_watched(&server).await).await;
    Ok(())
}

#[tokio::test]
async fn who_has_not_asked_for_it_hears_nothing_of_it() -> Result<()> {
    let server = RedisServer::start().await;
    let redis = Redis::connect(&server.url()).await?;
    let mut users = redis.subscribe("users");
    assert_eq!(next(&mut users).await, News::Gap);
    server.raw(&["SET", "users:7", "value"]).await;
    redis.publish("users", "hello".into()).await?;
    assert_eq!(next(&mut users).await, News::Message("hello".into()));
    assert!(!is_watched(&server).await);
    Ok(())
}

#[tokio::test]
async fn tracking_needs_the_backplane() {
    let options = RedisOptions {
        backplane: false,
        tracking: true,
        ..RedisOptions::default()
    };
    let error = Redis::connect_with(options).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("backplane"), "{error}");
}

async fn tracking(server: &RedisServer) -> Result<Redis> {
    let options = RedisOptions {
        tracking: true,
        ..RedisOptions::new(server.url())
    };
    Redis::connect_with(options).await
}

/// The subscription is confirmed, and is told that the server watches.
async fn confirmed(subscription: &mut Box<dyn Subscription>) {
    assert_eq!(next(subscription).await, News::Gap);
    assert_eq!(next(subscription).await, News::Touched(Vec::new()));
}

fn touched(key: &str) -> News {
    News::Touched(vec![key.to_owned()])
}

/// Whether the server watches keys for anybody.
async fn is_watched(server: &RedisServer) -> bool {
    let info = server.raw(&["INFO", "clients"]).await;
    !String::from_utf8_lossy(&info).contains("tracking_clients:0")
}
