//! The contract of `L2`, held against a real server.

use std::sync::Arc;

use tiered_core::testing::l2;
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
        assert_eq!(server.raw(&["DBSIZE"]).await, b":0\r\n");
    }
}
