//! How connections come about, and end.

mod support;

use std::time::Duration;

use fred::types::config::{Config, ServerConfig};
use futures_util::FutureExt;
use futures_util::future::join_all;
use support::{all_operations, connect, in_time, set, sockets};
use tiered_core::{Error, ErrorKind, Result};
use tiered_redis::{Redis, RedisOptions};
use tiered_tests::RedisServer;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::time::{Instant, timeout};

#[tokio::test]
async fn where_nothing_listens_the_address_is_doubted() {
    let address = free_address().await;
    let error = refused(&format!("redis://{address}")).await;
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let message =
        format!("no redis answers at {address}: check that it runs and the address is right");
    assert_eq!(error.to_string(), message);
}

#[tokio::test]
async fn a_listener_that_says_nothing_is_given_up_in_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let error = refused(&format!("redis://{address}")).await;
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().starts_with("no redis answers at"));
}

#[tokio::test]
async fn a_listener_that_speaks_something_else_is_not_taken_for_redis() {
    let banners = [
        "HTTP/1.1 400 Bad Request\r\n\r\n",
        "220 mail.example.org ESMTP\r\n",
        "SSH-2.0-OpenSSH_9.6\r\n",
        "+OK POP3 server ready\r\n",
        "",
    ];
    for banner in banners {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let greeter = tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                stream.write_all(banner.as_bytes()).await.unwrap();
            }
        });
        let error = refused(&format!("redis://{address}")).await;
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{banner:?}");
        assert!(error.to_string().contains("check"), "{banner:?}: {error}");
        greeter.abort();
    }
}

#[tokio::test]
async fn a_wrong_or_missing_password_is_to_be_corrected() {
    let server = RedisServer::start_with(&["--requirepass", "right"]).await;
    let port = server.port();
    for (url, says) in [
        (format!("redis://:wr0ng@127.0.0.1:{port}"), "check both"),
        (format!("redis://ada:wr0ng@127.0.0.1:{port}"), "check both"),
        (format!("redis://127.0.0.1:{port}"), "asks for a password"),
    ] {
        let error = refused(&url).await;
        assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
        assert!(error.to_string().contains(says), "{error}");
        assert!(!format!("{error:?}").contains("wr0ng"), "{error:?}");
    }
}

#[tokio::test]
async fn a_database_that_is_not_there_is_to_be_corrected() {
    let server = RedisServer::start().await;
    for (database, says) in [
        ("99", "no such database"),
        ("300", "cannot be read"),
        ("x", "cannot be read"),
    ] {
        let error = refused(&format!("{}/{database}", server.url())).await;
        assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[tokio::test]
async fn user_password_and_database_of_the_url_are_used() -> Result<()> {
    let acl = ["--user", "ada", "on", ">p@ss:w/rd", "~*", "&*", "+@all"];
    let server = RedisServer::start_with(&acl).await;
    let url = format!("redis://ada:p%40ss%3Aw%2Frd@127.0.0.1:{}/3", server.port());
    let redis = Redis::connect(&url).await?;
    set(&redis, "key", "value").await?;
    let keyspace = server.raw(&["INFO", "keyspace"]).await;
    assert!(String::from_utf8_lossy(&keyspace).contains("db3:keys=1"));
    assert!(!format!("{redis:?}").contains("p@ss"));
    Ok(())
}

#[tokio::test]
async fn a_user_without_the_rights_is_told_so() -> Result<()> {
    let acl = [
        "--user", "ada", "on", ">secret", "~mine:*", "~#*", "&*", "+@all",
    ];
    let server = RedisServer::start_with(&acl).await;
    let url = format!("redis://ada:secret@127.0.0.1:{}", server.port());
    let redis = Redis::connect(&url).await?;
    set(&redis, "mine:key", "value").await?;
    let error = set(&redis, "yours:key", "value").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    Ok(())
}

#[tokio::test]
async fn urls_that_cannot_work_are_refused_without_a_word_of_them() {
    let mut urls = vec![
        ("", "must begin with redis://"),
        ("http://secret@host", "must begin with redis://"),
        ("redis://", "cannot be read"),
        ("redis://:secret@host:port", "cannot be read"),
        ("redis://:secret@host/1/2", "cannot be read"),
        ("redis://secret@host", "without a password"),
        ("redis://:se?cret@host", "percent-encode"),
        ("redis-cluster://:secret@host", "not supported"),
        ("rediss-sentinel://:secret@host", "not supported"),
    ];
    if cfg!(not(feature = "tls")) {
        urls.push(("rediss://:secret@host", "feature `tls`"));
    }
    for (url, says) in urls {
        let error = refused(url).await;
        assert_eq!(error.kind(), ErrorKind::Config, "{url}");
        assert!(error.to_string().contains(says), "{url}: {error}");
        assert!(!format!("{error:?}").contains("secret"), "{url}");
    }
}

#[tokio::test]
async fn options_out_of_range_are_refused() {
    let good = RedisOptions::default();
    let (zero, ages) = (Duration::ZERO, Duration::MAX);
    let bad = [
        RedisOptions {
            connect_timeout: zero,
            ..good.clone()
        },
        RedisOptions {
            command_timeout: zero,
            ..good.clone()
        },
        RedisOptions {
            command_timeout: ages,
            ..good.clone()
        },
        RedisOptions {
            reconnect_delay_max: ages,
            ..good.clone()
        },
        RedisOptions {
            connections: 0,
            ..good.clone()
        },
        RedisOptions {
            connections: 65,
            ..good.clone()
        },
        RedisOptions {
            max_waiting_commands: 0,
            ..good.clone()
        },
    ];
    for options in bad {
        let error = Redis::connect_with(options.clone()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{options:?}");
        assert!(error.to_string().contains("must be in"), "{error}");
    }
}

#[test]
fn debug_output_hides_the_password() {
    for url in ["redis://ada:secret@host:1/2", "redis://:se@cret/@host"] {
        let shown = format!("{:?}", RedisOptions::new(url));
        assert!(shown.contains("host") && !shown.contains("cret"), "{shown}");
    }
}

#[test]
fn without_a_runtime_there_is_an_error_and_no_panic() {
    let error = Redis::connect("redis://127.0.0.1:1").now_or_never();
    assert_eq!(error.unwrap().unwrap_err().kind(), ErrorKind::Config);
}

#[tokio::test]
async fn a_configuration_of_fred_is_taken_for_one_server() -> Result<()> {
    let server = RedisServer::start().await;
    let config = |server| Config {
        server,
        ..Config::default()
    };
    let one = ServerConfig::new_centralized("127.0.0.1", server.port());
    let redis = Redis::from_fred_config(config(one), RedisOptions::default()).await?;
    set(&redis, "key", "value").await?;
    let many = ServerConfig::new_clustered(vec![("127.0.0.1", server.port())]);
    let refused = Redis::from_fred_config(config(many), RedisOptions::default()).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Config);
    Ok(())
}

#[tokio::test]
async fn a_failed_or_abandoned_attempt_leaves_no_socket() -> Result<()> {
    let server = RedisServer::start().await;
    let many = |url| RedisOptions {
        connections: 20,
        ..RedisOptions::new(url)
    };
    let wrong = Redis::connect_with(many(format!("{}/99", server.url())));
    assert!(wrong.await.is_err());
    sockets(&server, 0).await;
    let begun = Redis::connect_with(many(server.url()));
    assert!(timeout(Duration::from_millis(1), begun).await.is_err());
    sockets(&server, 0).await;
    Ok(())
}

#[tokio::test]
async fn the_last_handle_closes_the_connections() -> Result<()> {
    let server = RedisServer::start().await;
    let redis = connect(&server).await?;
    let clone = redis.clone();
    sockets(&server, 3).await;
    drop(redis);
    set(&clone, "key", "value").await?;
    sockets(&server, 3).await;
    std::thread::spawn(move || drop(clone)).join().unwrap();
    sockets(&server, 0).await;
    Ok(())
}

#[tokio::test]
async fn after_a_shutdown_everything_fails_at_once() -> Result<()> {
    let server = RedisServer::start().await;
    let redis = connect(&server).await?;
    let clone = redis.clone();
    join_all([redis.shutdown(), redis.shutdown()]).await;
    sockets(&server, 0).await;
    let begin = Instant::now();
    for outcome in all_operations(&clone).await {
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Unavailable);
    }
    assert!(begin.elapsed() < Duration::from_millis(100));
    Ok(())
}

/// The error of connecting, which is there within the time to connect and a little.
async fn refused(url: &str) -> Error {
    let connect_timeout = Duration::from_millis(700);
    let options = RedisOptions {
        connect_timeout,
        ..RedisOptions::new(url)
    };
    let refused = in_time(Redis::connect_with(options)).await;
    refused.expect_err("this cannot be connected to")
}

async fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await;
    let address = listener.and_then(|listener| listener.local_addr());
    address.expect("there is a free port").to_string()
}
