//! What stands in the server, and in which order it got there.

mod support;

use std::time::Duration;

use support::{LONG, connect, get, set};
use tiered_core::{L2, Record, Result, Write};
use tiered_redis::{Redis, RedisOptions};
use tiered_tests::RedisServer;
use tokio::time::timeout;

#[tokio::test]
async fn what_is_no_string_is_a_record_without_bytes_that_can_be_replaced() -> Result<()> {
    let server = RedisServer::start().await;
    let redis = connect(&server).await?;
    let empty = || Some(Record::new(""));
    for round in 0..2 {
        server.raw(&["RPUSH", "list", "a"]).await;
        server.raw(&["HSET", "hash", "a", "b"]).await;
        assert_eq!(get(&redis, "list").await?, empty());
        let keys = ["list", "nobody", "hash"];
        for outcomes in [redis.get_many(&keys).await, redis.heads_many(&keys).await] {
            let outcomes: Result<Vec<_>> = outcomes.into_iter().collect();
            assert_eq!(outcomes?, [empty(), None, empty()]);
        }
        if round == 0 {
            set(&redis, "list", "value").await?;
            assert_eq!(get(&redis, "list").await?, Some(Record::new("value")));
            redis.remove_many(&["list", "hash"]).await;
        } else {
            let removed: Result<Vec<_>> = redis.remove_many(&keys).await.into_iter().collect();
            assert_eq!(removed?, [empty(), None, empty()]);
            assert_eq!(server.raw(&["DBSIZE"]).await, b":0\r\n");
        }
    }
    Ok(())
}

#[tokio::test]
async fn stored_words_of_the_protocol_confuse_nobody() -> Result<()> {
    let server = RedisServer::start().await;
    let one = RedisOptions {
        connections: 1,
        ..RedisOptions::new(server.url())
    };
    let redis = Redis::connect_with(one).await?;
    for word in [
        "message",
        "pmessage",
        "smessage",
        "subscribe",
        "pubsub",
        "QUEUED",
        "OK",
        "-ERR",
        "+OK\r\n",
    ] {
        let keys = ["a", "b", "c", "d", "e", "f", "g"];
        let values = [word, "subscribe", "message", word, "e", "f", "g"];
        for (key, value) in keys.iter().zip(values) {
            server.raw(&["SET", key, value]).await;
        }
        for length in 1..=keys.len() {
            let found: Result<Vec<_>> = redis.get_many(&keys[..length]).await.into_iter().collect();
            let found: Vec<_> = found?
                .into_iter()
                .flatten()
                .map(Record::into_bytes)
                .collect();
            assert_eq!(found, values[..length]);
        }
        assert_eq!(get(&redis, "g").await?, Some(Record::new("g")));
    }
    Ok(())
}

#[tokio::test]
async fn keys_are_any_text() -> Result<()> {
    let server = RedisServer::start().await;
    let redis = connect(&server).await?;
    for key in ["", " ", "a b", "a\r\nb", "\0", "🦀", "{}", "{a}b", "*"] {
        set(&redis, key, key).await?;
        let length = format!("${}\r\n{key}\r\n", key.len());
        assert_eq!(server.raw(&["GET", key]).await, length.as_bytes());
        assert_eq!(get(&redis, key).await?, Some(Record::new(key.to_owned())));
    }
    Ok(())
}

#[tokio::test]
async fn a_life_is_kept_by_the_server_to_the_millisecond() -> Result<()> {
    let server = RedisServer::start().await;
    let redis = connect(&server).await?;
    for (life, least) in [(LONG, 50_000), (Duration::MAX, i64::MAX / 4)] {
        let write = Write {
            key: "key",
            record: Record::new("value"),
            life,
        };
        redis.set_many(&[write]).await.remove(0)?;
        let left = String::from_utf8(server.raw(&["PTTL", "key"]).await).unwrap();
        let left: i64 = left.trim().trim_start_matches(':').parse().unwrap();
        assert!(left > least, "{life:?}: {left}");
    }
    Ok(())
}

#[tokio::test]
async fn operations_on_one_key_take_effect_in_order() -> Result<()> {
    let server = RedisServer::start().await;
    let redis = connect(&server).await?;
    for number in 0..200 {
        let key = format!("key:{}", number % 7);
        // Given up before its answer, but begun before the next.
        let given_up = set(&redis, &key, "early");
        let _ = timeout(Duration::ZERO, given_up).await;
        set(&redis, &key, "late").await?;
        assert_eq!(get(&redis, &key).await?, Some(Record::new("late")));
    }
    Ok(())
}

/// Reads that come together go out together; each gets its own answer all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_readers_at_once_get_each_their_own() -> Result<()> {
    let server = RedisServer::start().await;
    let redis = connect(&server).await?;
    for number in (0..1_000).filter(|number| number % 3 != 0) {
        set(&redis, &format!("key {number}"), &number.to_string()).await?;
    }
    let readers = (0..1_000).map(|number| {
        let redis = redis.clone();
        tokio::spawn(async move {
            for _ in 0..20 {
                let found = get(&redis, &format!("key {number}")).await.unwrap();
                let stored = (number % 3 != 0).then(|| Record::new(number.to_string()));
                assert_eq!(found, stored);
            }
        })
    });
    for reader in readers.collect::<Vec<_>>() {
        reader.await.unwrap();
    }
    Ok(())
}
