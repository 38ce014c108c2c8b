//! The clock of the server.

mod support;

use support::connect;
use tiered_core::{ErrorKind, L2, Result, Stamp};
use tiered_redis::{Redis, RedisOptions};
use tiered_tests::RedisServer;

#[tokio::test]
async fn the_time_is_the_servers_to_the_millisecond() -> Result<()> {
    let server = RedisServer::start().await;
    let redis = connect(&server).await?;
    for _ in 0..50 {
        let before = shown(&server).await;
        let told = redis.time().await?;
        let after = shown(&server).await;
        assert!(
            (before..=after).contains(&told),
            "{before:?} {told:?} {after:?}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_right_that_is_taken_away_is_named() -> Result<()> {
    let acl = ["--user", "ada", "on", ">secret", "~*", "&*", "+@all"];
    let server = RedisServer::start_with(&acl).await;
    let url = format!("redis://ada:secret@127.0.0.1:{}", server.port());
    let redis = Redis::connect_with(RedisOptions::new(url)).await?;
    redis.time().await?;
    server.raw(&["ACL", "SETUSER", "ada", "-time"]).await;
    let error = redis.time().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
    assert!(error.to_string().contains("allow TIME"), "{error}");
    Ok(())
}

/// What the server's clock shows.
async fn shown(server: &RedisServer) -> Stamp {
    let reply = server.raw(&["TIME"]).await;
    let reply = String::from_utf8_lossy(&reply);
    // The other lines are lengths, and begin with a sign.
    let mut numbers = reply.lines().filter_map(|line| line.parse::<u64>().ok());
    let mut next = || numbers.next().expect("two numbers");
    Stamp::from_millis(next() * 1_000 + next() / 1_000)
}
