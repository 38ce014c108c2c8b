//! What the holder of a claim does, and what stands in the server then.

mod support;

use support::laid::{KEY, LOCK, claim, expiry, fill, hold, lay, lies, record, seen};
use support::{LONG, connect, number, stored};
use tiered_core::{Claim, Claimed, Error, ErrorKind, L2, Record, Result};
use tiered_tests::RedisServer;

#[tokio::test]
async fn a_fill_stores_under_its_claim_and_frees_it() -> Result<()> {
    let server = RedisServer::start().await;
    let redis = connect(&server).await?;
    for (there, lock, is_stored, then, lock_then) in [
        ("nothing", "own", false, "nothing", "free"),
        ("value", "own", true, "filled", "free"),
        ("value", "free", true, "filled", "free"),
        ("value", "pass", true, "filled", "pass"),
        ("value", "other's", true, "filled", "other's"),
        ("seen claim", "free", true, "filled", "free"),
        ("seen pass", "free", true, "filled", "free"),
        ("newer", "own", false, "newer", "free"),
        ("filled", "free", true, "filled", "free"),
        ("filled", "own", true, "filled", "free"),
        ("other's", "free", false, "other's", "free"),
        ("own", "free", false, "own", "free"),
    ] {
        let row = format!("{there}, lock {lock}");
        lay(&server, there, lock).await;
        let stored = redis.fill_many(&fill()).await.remove(0)?;
        assert_eq!(stored, is_stored, "{row}");
        lies(&server, then, lock_then, &row).await;
    }
    Ok(())
}

#[tokio::test]
async fn a_claim_that_stands_is_renewed() -> Result<()> {
    let server = RedisServer::start().await;
    let redis = connect(&server).await?;
    for (there, lock, stands, lock_then) in [
        ("nothing", "free", false, "free"),
        ("newer", "own", false, "own"),
        ("value", "own", true, "own"),
        ("value", "free", true, "own"),
        ("value", "other's", false, "other's"),
        ("value", "older", true, "own"),
        ("value", "pass", true, "pass"),
        ("seen claim", "free", true, "free"),
        ("seen pass", "free", true, "free"),
        ("own", "free", false, "free"),
    ] {
        let row = format!("{there}, lock {lock}");
        lay(&server, there, lock).await;
        let renewed = redis.renew_many(&[hold()], LONG).await.remove(0)?;
        assert_eq!(renewed, stands, "{row}");
        lies(&server, there, lock_then, &row).await;
    }
    Ok(())
}

#[tokio::test]
async fn a_released_claim_is_free() -> Result<()> {
    released(
        false,
        &[
            ("nothing", "free", "nothing", "free"),
            ("own", "free", "nothing", "free"),
            ("own pass", "free", "nothing", "free"),
            ("other's", "free", "other's", "free"),
            ("value", "own", "value", "free"),
            ("newer", "own", "newer", "free"),
            ("value", "other's", "value", "other's"),
            ("value", "pass", "value", "pass"),
            ("renamed", "free", "renamed", "free"),
        ],
    )
    .await
}

#[tokio::test]
async fn a_claim_released_with_a_pass_leaves_one() -> Result<()> {
    released(
        true,
        &[
            ("nothing", "free", "nothing", "free"),
            ("own", "free", "own pass", "free"),
            ("own pass", "free", "own pass", "free"),
            ("other's", "free", "other's", "free"),
            ("value", "own", "value", "pass"),
            ("value", "other's", "value", "other's"),
            ("renamed", "free", "renamed", "free"),
        ],
    )
    .await
}

#[tokio::test]
async fn an_expired_entry_keeps_its_life_and_anything_else_goes() -> Result<()> {
    let server = RedisServer::start().await;
    let redis = connect(&server).await?;
    for (there, then) in [
        ("value", "expired"),
        ("expired", "expired"),
        ("other's", "nothing"),
        ("other's pass", "nothing"),
        ("foreign", "nothing"),
        ("short", "nothing"),
    ] {
        lay(&server, there, "own").await;
        server.raw(&["PEXPIRE", KEY, "5000"]).await;
        let before = redis.expire_many(&expiry()).await.remove(0)?;
        assert_eq!(before, Some(Record::new(record(there)).head()));
        lies(&server, then, "own", there).await;
        assert!(number(&server, &["PTTL", KEY]).await <= 5_000);
    }
    lay(&server, "nothing", "free").await;
    assert_eq!(redis.expire_many(&expiry()).await.remove(0)?, None);
    Ok(())
}

#[tokio::test]
async fn what_is_no_string_counts_for_nothing() -> Result<()> {
    let server = RedisServer::start().await;
    let redis = connect(&server).await?;
    server.raw(&["RPUSH", KEY, "a"]).await;
    redis.release_many(&[hold()], Some(LONG)).await.remove(0)?;
    assert!(!redis.renew_many(&[hold()], LONG).await.remove(0)?);
    assert!(!redis.fill_many(&fill()).await.remove(0)?);
    assert_eq!(number(&server, &["LLEN", KEY]).await, 1);
    let before = redis.expire_many(&expiry()).await.remove(0)?;
    assert_eq!(before, Some(Record::new("")));
    assert_eq!(redis.expire_many(&expiry()).await.remove(0)?, None);
    for was_seen in ["nothing", "it", "anything"] {
        server.raw(&["DEL", KEY]).await;
        server.raw(&["RPUSH", KEY, "a"]).await;
        let claimed = redis.claim_many(&[claim(seen(was_seen))]).await.remove(0)?;
        assert!(matches!(claimed, Claimed::Granted(_)), "{claimed:?}");
        lies(&server, "own", "free", was_seen).await;
    }
    Ok(())
}

#[tokio::test]
async fn a_full_server_takes_no_claim_and_no_fill_but_ends_the_claim() -> Result<()> {
    let server = RedisServer::start().await;
    let redis = connect(&server).await?;
    lay(&server, "value", "own").await;
    fill_up(&server).await;
    let other = Claim {
        key: "users:8",
        ..claim(seen("nothing"))
    };
    is_unstorable(&redis.claim_many(&[other]).await.remove(0).unwrap_err());
    is_unstorable(&redis.fill_many(&fill()).await.remove(0).unwrap_err());
    lies(&server, "value", "free", "full").await;
    Ok(())
}

#[tokio::test]
async fn on_a_full_server_an_expired_entry_goes() -> Result<()> {
    let server = RedisServer::start().await;
    let redis = connect(&server).await?;
    lay(&server, "value", "free").await;
    fill_up(&server).await;
    let before = redis.expire_many(&expiry()).await.remove(0)?;
    assert_eq!(before, Some(Record::new(record("value")).head()));
    lies(&server, "nothing", "free", "full").await;
    Ok(())
}

#[tokio::test]
async fn a_full_server_takes_no_pass_but_ends_the_claim() -> Result<()> {
    for (there, lock, then) in [("own", "free", "nothing"), ("value", "own", "value")] {
        let server = RedisServer::start().await;
        let redis = connect(&server).await?;
        lay(&server, there, lock).await;
        fill_up(&server).await;
        redis.release_many(&[hold()], Some(LONG)).await.remove(0)?;
        lies(&server, then, "free", there).await;
    }
    Ok(())
}

#[tokio::test]
async fn the_lock_of_a_key_with_a_hash_tag_stands_where_the_record_stands() -> Result<()> {
    let server = RedisServer::start().await;
    let redis = connect(&server).await?;
    let key = "users:{7}:name";
    server
        .raw(&[b"SET", key.as_bytes(), &record("value")])
        .await;
    let wish = Claim {
        key,
        ..claim(seen("it"))
    };
    redis.claim_many(&[wish]).await.remove(0)?;
    assert!(!stored(&server, "#lock:users:{7}:name").await.is_empty());
    assert_eq!(stored(&server, LOCK).await, b"");
    Ok(())
}

/// Under the key, in the lock; under the key then, in the lock then.
type Row = (&'static str, &'static str, &'static str, &'static str);

async fn released(with_pass: bool, table: &[Row]) -> Result<()> {
    let server = RedisServer::start().await;
    let redis = connect(&server).await?;
    for (there, lock, then, lock_then) in table {
        let row = format!("{there}, lock {lock}");
        lay(&server, there, lock).await;
        for _ in 0..2 {
            let pass = with_pass.then_some(LONG);
            redis.release_many(&[hold()], pass).await.remove(0)?;
            lies(&server, then, lock_then, &row).await;
        }
    }
    Ok(())
}

async fn fill_up(server: &RedisServer) {
    server.raw(&["CONFIG", "SET", "maxmemory", "1"]).await;
}

fn is_unstorable(error: &Error) {
    assert_eq!(error.kind(), ErrorKind::Unstorable, "{error:?}");
}
