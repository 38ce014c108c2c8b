//! What the tests of this crate share.
#![allow(dead_code, reason = "not every test file needs all of it")]

use std::future::Future;
use std::time::Duration;

use tiered_core::{L2, Record, Result, Write};
use tiered_redis::{Redis, RedisOptions};
use tiered_tests::RedisServer;
use tokio::time::{sleep, timeout};

pub(crate) const LONG: Duration = Duration::from_secs(60);

/// Two connections, so that more than one is exercised.
pub(crate) async fn connect(server: &RedisServer) -> Result<Redis> {
    let options = RedisOptions {
        connections: 2,
        ..RedisOptions::new(server.url())
    };
    Redis::connect_with(options).await
}

pub(crate) async fn in_time<F: Future>(work: F) -> F::Output {
    timeout(Duration::from_millis(1_500), work)
        .await
        .expect("it ends in time")
}

pub(crate) async fn get(redis: &Redis, key: &str) -> Result<Option<Record>> {
    redis.get_many(&[key]).await.remove(0)
}

pub(crate) async fn set(redis: &Redis, key: &str, value: &str) -> Result<()> {
    let record = Record::new(value.to_owned());
    redis
        .set_many(&[Write {
            key,
            record,
            life: LONG,
        }])
        .await
        .remove(0)
}

/// Each operation, alone and in a batch, at the same time.
pub(crate) async fn all_operations(redis: &Redis) -> Vec<Result<()>> {
    let write = |key| Write {
        key,
        record: Record::new("value"),
        life: LONG,
    };
    let reads = async {
        let one = redis.get_many(&["a"]).await;
        one.into_iter().map(|outcome| outcome.map(drop)).collect()
    };
    let batch = async {
        let many = redis.get_many(&["a", "b", "c", "d"]).await;
        many.into_iter().map(|outcome| outcome.map(drop)).collect()
    };
    let heads = async {
        let heads = redis.heads_many(&["a", "b"]).await;
        heads.into_iter().map(|outcome| outcome.map(drop)).collect()
    };
    let removals = async {
        let removed = redis.remove_many(&["a", "b"]).await;
        removed
            .into_iter()
            .map(|outcome| outcome.map(drop))
            .collect()
    };
    let (one, two) = ([write("a")], [write("a"), write("b")]);
    let (reads, batch, heads, removals, one, two): (
        Vec<_>,
        Vec<_>,
        Vec<_>,
        Vec<_>,
        Vec<_>,
        Vec<_>,
    ) = tokio::join!(
        reads,
        batch,
        heads,
        removals,
        redis.set_many(&one),
        redis.set_many(&two)
    );
    [reads, batch, heads, removals, one, two].concat()
}

/// Waits until the server has so many clients.
pub(crate) async fn sockets(server: &RedisServer, count: usize) {
    let counted = async {
        loop {
            let list = server.raw(&["CLIENT", "LIST"]).await;
            // The one that asks is in the list too.
            let clients = String::from_utf8_lossy(&list).matches(" addr=").count() - 1;
            if clients == count {
                return;
            }
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(10), counted)
        .await
        .expect("the sockets are opened or closed");
}
