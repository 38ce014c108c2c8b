//! What is found out when connecting: what the server lacks or refuses, and what there is to warn of.

mod support;

use support::{in_time, sockets};
use tiered_core::{Error, ErrorKind, Result};
use tiered_redis::{Redis, RedisOptions};
use tiered_tests::RedisServer;

#[tokio::test]
async fn rights_that_are_missing_are_named() {
    let all = ["~*", "&*", "+@all"];
    for (missing, says) in [
        ("-eval", "allow EVAL"),
        ("-evalsha", "allow EVAL"),
        ("-script|load", "allow EVAL"),
        ("-getrange", "allow EVAL"),
        ("-time", "allow TIME"),
        ("-publish", "PUBLISH"),
        ("-subscribe", "PUBLISH"),
        ("-client|tracking", "CLIENT TRACKING"),
        ("resetchannels", "#bus:"),
        ("resetkeys", "`#`"),
    ] {
        let error = refused(&[all.as_slice(), &[missing]].concat(), true).await;
        assert_eq!(error.kind(), ErrorKind::Config, "{missing}: {error:?}");
        assert!(error.to_string().contains(says), "{missing}: {error}");
    }
}

#[tokio::test]
async fn commands_that_are_missing_are_named() {
    for (missing, says) in [
        ("EVALSHA", "allow EVAL"),
        ("SCRIPT", "allow EVAL"),
        ("TIME", "allow TIME"),
        ("HELLO", "HELLO"),
        ("PUBLISH", "PUBLISH"),
        ("SUBSCRIBE", "SUBSCRIBE"),
    ] {
        let server = RedisServer::start_with(&["--rename-command", missing, ""]).await;
        let error = in_time(Redis::connect(&server.url())).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{missing}: {error:?}");
        assert!(error.to_string().contains(says), "{missing}: {error}");
    }
}

#[tokio::test]
async fn a_missing_right_that_nobody_needs_does_not_matter() -> Result<()> {
    for (missing, is_backplane) in [
        ("-client|tracking", true),
        ("-publish", false),
        ("-subscribe", false),
    ] {
        let rules = ["~*", "&*", "+@all", missing];
        let server = server(&rules).await;
        let options = RedisOptions {
            backplane: is_backplane,
            ..user(&server)
        };
        Redis::connect_with(options).await?;
    }
    Ok(())
}

#[tokio::test]
async fn what_the_messages_name_is_enough() -> Result<()> {
    let rights = "~users:* ~#* &#bus:* +get +mget +set +getrange +setrange +strlen +pttl +pexpire +del +unlink \
                  +evalsha +eval +script|load +time +ping +hello +publish +subscribe +unsubscribe +client|tracking \
                  +config|get +auth +quit";
    let rules: Vec<_> = rights.split_whitespace().collect();
    let server = server(&rules).await;
    let options = RedisOptions {
        tracking: true,
        ..user(&server)
    };
    let redis = Redis::connect_with(options).await?;
    support::set(&redis, "users:7", "value").await?;
    for outcome in support::all_operations_on(&redis, ["users:1", "users:2"]).await {
        outcome?;
    }
    Ok(())
}

#[tokio::test]
async fn a_refused_connection_leaves_no_socket() -> Result<()> {
    let server = server(&["~*", "+@all"]).await;
    assert!(Redis::connect_with(user(&server)).await.is_err());
    sockets(&server, 0).await;
    Ok(())
}

#[tokio::test]
async fn an_eviction_policy_that_hurts_is_warned_of() -> Result<()> {
    for (policy, memory, says) in [
        ("volatile-ttl", "0", Some("volatile-ttl")),
        ("noeviction", "100mb", Some("noeviction")),
        ("noeviction", "0", None),
        ("allkeys-lru", "100mb", None),
        ("allkeys-lfu", "100mb", None),
        ("volatile-lru", "100mb", None),
    ] {
        let arguments = ["--maxmemory-policy", policy, "--maxmemory", memory];
        let server = RedisServer::start_with(&arguments).await;
        let redis = Redis::connect(&server.url()).await?;
        let warnings = redis.warnings();
        assert_eq!(warnings.len(), usize::from(says.is_some()), "{policy}");
        for warning in warnings {
            assert!(warning.contains(says.unwrap()), "{warning}");
            assert!(format!("{redis:?}").contains(says.unwrap()));
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_policy_that_is_a_secret_is_a_warning() -> Result<()> {
    let server = server(&["~*", "&*", "+@all", "-config"]).await;
    let redis = Redis::connect_with(user(&server)).await?;
    assert!(redis.warnings()[0].contains("could not be checked"));
    Ok(())
}

async fn refused(rules: &[&str], tracking: bool) -> Error {
    let server = server(rules).await;
    let options = RedisOptions {
        tracking,
        ..user(&server)
    };
    let refused = in_time(Redis::connect_with(options)).await;
    refused.expect_err(&format!("a right is missing: {rules:?}"))
}

/// A server with a user who may do this.
async fn server(rules: &[&str]) -> RedisServer {
    let user = ["--user", "ada", "on", ">secret"];
    RedisServer::start_with(&[user.as_slice(), rules].concat()).await
}

fn user(server: &RedisServer) -> RedisOptions {
    RedisOptions::new(format!("redis://ada:secret@127.0.0.1:{}", server.port()))
}
