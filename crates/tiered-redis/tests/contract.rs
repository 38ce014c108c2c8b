//! The contracts of `L2` and `Backplane`, held against a real server.

use std::sync::Arc;
use std::time::Duration;

use tiered_core::testing::{backplane, l2};
use tiered_redis::{Redis, RedisOptions};
use tiered_tests::RedisServer;

#[tokio::test]
async fn redis_keeps_the_contract_of_l2() {
    let server = RedisServer::start().await;
    for connections in [1, 3] {
        let options = RedisOptions {
            connections,
            ..RedisOptions::new(server.url())
        };
        let redis = Redis::connect_with(options).await.unwrap();
        // The server judges lives by its own clock, which runs: there is nothing to move.
        l2::contract(Arc::new(redis), tokio::time::sleep).await;
        // Locks and marks end by themselves.
        assert_eq!(server.raw(&["KEYS", "[^#]*"]).await, b"*0\r\n");
    }
}

#[tokio::test]
async fn redis_keeps_the_contract_of_the_backplane() {
    let server = RedisServer::start().await;
    for tracking in [false, true] {
        let options = RedisOptions {
            tracking,
            ..RedisOptions::new(server.url())
        };
        let one = Arc::new(Redis::connect_with(options.clone()).await.unwrap());
        let two = Arc::new(Redis::connect_with(options).await.unwrap());
        for other in [two, one.clone()] {
            let kept = backplane::contract(one.clone(), other);
            let kept = tokio::time::timeout(Duration::from_secs(30), kept);
            kept.await.expect("nothing is lost");
        }
    }
}
