//! What happens when the server goes away, hangs, or is asked for too much.

mod support;

use std::time::Duration;

use futures_util::future::join_all;
use support::{all_operations, connect, get, in_time, set, sockets};
use tiered_core::{Error, ErrorKind, L2, Record, Result};
use tiered_redis::{Redis, RedisOptions};
use tiered_tests::RedisServer;
use tokio::time::{Instant, sleep, timeout};

#[tokio::test]
async fn a_killed_server_fails_operations_fast_and_is_found_again() -> Result<()> {
    let mut server = RedisServer::start().await;
    let redis = connect(&server).await?;
    set(&redis, "key", "value").await?;
    server.kill();
    let begin = Instant::now();
    for outcome in all_operations(&redis).await {
        is_away(&outcome.unwrap_err());
    }
    assert!(begin.elapsed() < 2 * command_timeout());
    server.restart().await;
    until_set(&redis, "key").await;
    assert_eq!(get(&redis, "key").await?, Some(Record::new("value")));
    sockets(&server, 3).await;
    Ok(())
}

#[tokio::test]
async fn a_server_that_hangs_costs_an_operation_its_timeout_at_most() -> Result<()> {
    let server = RedisServer::start().await;
    let redis = connect(&server).await?;
    server.pause();
    for _ in 0..8 {
        let begin = Instant::now();
        for outcome in all_operations(&redis).await {
            is_away(&outcome.unwrap_err());
        }
        assert!(begin.elapsed() < 2 * command_timeout());
    }
    let begin = Instant::now();
    let keys: Vec<_> = (0..5_000).map(|number| format!("key:{number}")).collect();
    let keys: Vec<_> = keys.iter().map(String::as_str).collect();
    let outcomes = redis.get_many(&keys).await;
    assert!(outcomes.len() == keys.len() && outcomes.iter().all(Result::is_err));
    assert!(begin.elapsed() < 2 * command_timeout());
    server.resume();
    until_set(&redis, "key").await;
    Ok(())
}

#[tokio::test]
async fn a_server_that_hangs_under_load_is_noticed() -> Result<()> {
    let server = RedisServer::start().await;
    let redis = connect(&server).await?;
    server.pause();
    let begin = Instant::now();
    // More than a socket takes: the client cannot even write any more.
    let large = "x".repeat(1 << 20);
    while format!("{redis:?}").contains("up: 2") || format!("{redis:?}").contains("up: 1") {
        let writes = (0..8).map(|number| {
            let (redis, large) = (redis.clone(), large.as_str());
            async move {
                timeout(
                    command_timeout() / 5,
                    set(&redis, &format!("key:{number}"), large),
                )
                .await
            }
        });
        join_all(writes).await;
        assert!(begin.elapsed() < Duration::from_secs(10), "{redis:?}");
        sleep(Duration::from_millis(10)).await;
    }
    server.resume();
    until_set(&redis, "key").await;
    sockets(&server, 3).await;
    Ok(())
}

#[tokio::test]
async fn what_is_too_much_fails_at_once_and_does_no_harm() -> Result<()> {
    let server = RedisServer::start().await;
    let options = RedisOptions {
        max_waiting_commands: 10,
        ..RedisOptions::new(server.url())
    };
    let redis = Redis::connect_with(options).await?;
    let reads = join_all((0..500).map(|_| get(&redis, "key"))).await;
    let reads = reads.into_iter().map(|outcome| outcome.map(drop));
    let writes = join_all((0..500).map(|_| set(&redis, "key", "value"))).await;
    for outcomes in [reads.collect(), writes] {
        let refused: Vec<_> = outcomes.into_iter().filter_map(Result::err).collect();
        assert!(refused.len() >= 480, "{}", refused.len());
        for error in refused {
            assert!(error.to_string().contains("too many"), "{error}");
        }
    }
    for _ in 0..100 {
        get(&redis, "key").await?;
    }
    Ok(())
}

/// Those who queue up while the server hangs do not wait for one silence after the other: at most 64 commands of 128 keys
/// are under way, and when these get no answer, the others are not asked for.
#[tokio::test]
async fn a_crowd_of_readers_waits_for_one_timeout_when_the_server_hangs() -> Result<()> {
    let server = RedisServer::start().await;
    let options = RedisOptions {
        max_waiting_commands: 100_000,
        ..RedisOptions::new(server.url())
    };
    let redis = Redis::connect_with(options).await?;
    server.pause();
    let keys: Vec<_> = (0..20_000).map(|number| number.to_string()).collect();
    let outcomes = join_all(keys.iter().map(|key| get(&redis, key))).await;
    server.resume();
    let errors: Vec<_> = outcomes.into_iter().map(Result::unwrap_err).collect();
    errors.iter().for_each(is_away);
    let timeouts = errors
        .iter()
        .filter(|error| error.kind() == ErrorKind::Timeout);
    assert!(timeouts.count() <= 64 * 128 + 3);
    let unasked = errors
        .iter()
        .filter(|error| error.to_string().contains("not asked"));
    assert!(unasked.count() >= 20_000 - 64 * 128 - 3);
    Ok(())
}

#[tokio::test]
async fn a_shutdown_ends_in_time_when_the_server_hangs() -> Result<()> {
    let server = RedisServer::start().await;
    let redis = connect(&server).await?;
    server.pause();
    let waiting = get(&redis, "key");
    let (outcome, ()) = tokio::join!(waiting, in_time(redis.shutdown()));
    assert!(outcome.is_err());
    server.resume();
    sockets(&server, 0).await;
    Ok(())
}

fn command_timeout() -> Duration {
    RedisOptions::default().command_timeout
}

fn is_away(error: &Error) {
    let kinds = [ErrorKind::Unavailable, ErrorKind::Timeout];
    assert!(kinds.contains(&error.kind()), "{error:?}");
}

/// Waits until a write works again on each connection.
async fn until_set(redis: &Redis, key: &str) {
    let back = async {
        while !format!("{redis:?}").contains("up: 2") || set(redis, key, "value").await.is_err() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(10), back)
        .await
        .expect("redis is found again");
}
