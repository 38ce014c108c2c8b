//! What a claim is answered, and what stands in the server then.

mod support;

use support::laid::{KEY, LOCK, claim, hold, lay, lies, record, seen};
use support::{LONG, connect, number};
use tiered_core::{Claim, Claimed, Hold, L2, Record, Result, Seen, Version};
use tiered_redis::Redis;
use tiered_tests::RedisServer;

/// Under the key, in the lock, seen; answer; under the key then, in the lock then.
type Row = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
);

#[rustfmt::skip]
const TABLE: &[Row] = &[
    ("nothing",             "free",    "nothing",  "granted", "own",            "free"),
    ("nothing",             "free",    "other",    "granted", "own",            "free"),
    ("nothing",             "other's", "nothing",  "granted", "own",            "other's"),
    ("own",                 "free",    "nothing",  "granted", "own",            "free"),
    ("own",                 "free",    "anything", "granted", "own",            "free"),
    ("other's",             "free",    "nothing",  "busy",    "other's",        "free"),
    ("other's",             "free",    "other",    "busy",    "other's",        "free"),
    ("other's",             "free",    "anything", "granted", "own",            "free"),
    ("other's, other mark", "free",    "nothing",  "granted", "own",            "free"),
    ("other's pass",        "free",    "nothing",  "granted", "own pass",       "free"),
    ("other's pass",        "free",    "anything", "granted", "own",            "free"),
    ("own pass",            "free",    "nothing",  "granted", "own pass",       "free"),
    ("pass, other mark",    "free",    "nothing",  "granted", "own",            "free"),
    ("value",               "free",    "nothing",  "changed", "value",          "free"),
    ("value",               "free",    "other",    "changed", "value",          "free"),
    ("value",               "other's", "nothing",  "changed", "value",          "other's"),
    ("value",               "free",    "it",       "granted", "value",          "own"),
    ("value",               "own",     "it",       "granted", "value",          "own"),
    ("value",               "other's", "it",       "busy",    "value",          "other's"),
    ("value",               "older",   "it",       "granted", "value",          "own"),
    ("value",               "pass",    "it",       "granted", "value",          "pass"),
    ("value",               "other's", "anything", "granted", "renamed",        "forced"),
    ("value",               "pass",    "anything", "granted", "renamed",        "forced"),
    ("renamed",             "free",    "nothing",  "granted", "renamed",        "forced"),
    ("almost a claim",      "free",    "it",       "granted", "almost a claim", "own"),
    ("almost a claim",      "free",    "nothing",  "changed", "almost a claim", "free"),
    ("short",               "free",    "nothing",  "changed", "short",          "free"),
    ("short",               "free",    "short",    "granted", "short",          "of short"),
    ("short",               "free",    "anything", "granted", "short, renamed", "forced"),
];

#[tokio::test]
async fn a_claim_is_answered_by_the_table() -> Result<()> {
    let server = RedisServer::start().await;
    let redis = connect(&server).await?;
    for (there, lock, was_seen, answer, then, lock_then) in TABLE {
        let row = format!("{there}, lock {lock}, seen {was_seen}");
        let wish = claim(seen(was_seen));
        let answer = match *answer {
            "granted" => Claimed::Granted(Record::new(record(then)).version()),
            "busy" => Claimed::Busy,
            _ => Claimed::Changed(Record::new(record(there))),
        };
        lay(&server, there, lock).await;
        // The second time as if the reply to the first had been lost.
        for _ in 0..2 {
            assert_eq!(ask(&redis, wish).await?, answer, "{row}");
            lies(&server, then, lock_then, &row).await;
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_claim_lets_the_record_live_as_long_and_no_shorter() -> Result<()> {
    let server = RedisServer::start().await;
    let redis = connect(&server).await?;
    for (life, least, most) in [("1000", 59_000, 60_000), ("90000", 89_000, 90_000)] {
        for there in ["value", "own", "other's pass"] {
            lay(&server, there, "free").await;
            server.raw(&["PEXPIRE", KEY, life]).await;
            ask(&redis, claim(seen("it"))).await?;
            let left = number(&server, &["PTTL", KEY]).await;
            assert!((least..=most).contains(&left), "{there}: {left}");
        }
    }
    lay(&server, "value", "free").await;
    ask(&redis, claim(seen("it"))).await?;
    assert_eq!(number(&server, &["PTTL", KEY]).await, -1);
    assert!(number(&server, &["PTTL", LOCK]).await > 50_000);
    Ok(())
}

#[tokio::test]
async fn a_renewal_lets_the_record_live_as_long_and_no_shorter() -> Result<()> {
    let server = RedisServer::start().await;
    let redis = connect(&server).await?;
    for (life, least, most) in [("1000", 59_000, 60_000), ("90000", 89_000, 90_000)] {
        for (there, lock) in [
            ("value", "own"),
            ("seen claim", "free"),
            ("seen pass", "free"),
        ] {
            lay(&server, there, lock).await;
            server.raw(&["PEXPIRE", KEY, life]).await;
            assert!(redis.renew_many(&[hold()], LONG).await.remove(0)?);
            let left = number(&server, &["PTTL", KEY]).await;
            assert!((least..=most).contains(&left), "{there}: {left}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn of_many_who_claim_one_is_granted() -> Result<()> {
    let server = RedisServer::start().await;
    let (one, two) = (connect(&server).await?, connect(&server).await?);
    for round in 0..50 {
        let key = format!("users:{round}");
        let wishes: Vec<_> = (1..=20).map(|token| wish(&key, token)).collect();
        let (left, right) = wishes.split_at(10);
        let answers = tokio::join!(one.claim_many(left), two.claim_many(right));
        let answers: Result<Vec<_>> = answers.0.into_iter().chain(answers.1).collect();
        let granted = |claimed: &&Claimed| matches!(claimed, Claimed::Granted(_));
        assert_eq!(answers?.iter().filter(granted).count(), 1);
    }
    Ok(())
}

#[tokio::test]
async fn what_is_asked_at_once_is_done_in_order() -> Result<()> {
    let server = RedisServer::start().await;
    let redis = connect(&server).await?;
    for round in 0..100 {
        let key = format!("users:{round}");
        let wish = [wish(&key, 1)];
        let hold = wish.map(|Claim { key, token, .. }| Hold {
            key,
            held: token,
            token,
        });
        let (claimed, released) =
            tokio::join!(redis.claim_many(&wish), redis.release_many(&hold, None));
        assert_eq!(claimed[0].clone()?, Claimed::Granted(wish[0].token));
        released[0].clone()?;
        assert_eq!(number(&server, &["EXISTS", &key]).await, 0);
    }
    Ok(())
}

#[tokio::test]
async fn a_server_that_has_forgotten_the_scripts_is_told_them_again() -> Result<()> {
    let server = RedisServer::start().await;
    let redis = connect(&server).await?;
    for round in 0..2 {
        server.raw(&["SCRIPT", "FLUSH"]).await;
        let keys: Vec<_> = (0..100).map(|number| format!("{round}:{number}")).collect();
        let wishes: Vec<_> = keys.iter().map(|key| wish(key, 1)).collect();
        for claimed in redis.claim_many(&wishes).await {
            assert!(matches!(claimed?, Claimed::Granted(_)));
        }
    }
    Ok(())
}

async fn ask(redis: &Redis, wish: Claim<'_>) -> Result<Claimed> {
    redis.claim_many(&[wish]).await.remove(0)
}

fn wish(key: &str, token: u8) -> Claim<'_> {
    Claim {
        key,
        token: Version::from_bytes([token; 8]),
        ..claim(Seen::Nothing)
    }
}
