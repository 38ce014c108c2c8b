//! What the tests of this crate share.
#![allow(dead_code, reason = "not every test file needs all of it")]

pub(crate) mod laid;

use std::future::Future;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join, join_all};
use tiered_core::{
    Backplane, Claim, Expiry, Fill, Hold, L2, NewMark, News, Record, Result, Seen, Subscription,
    Version, Write,
};
use tiered_redis::{Redis, RedisOptions};
use tiered_tests::RedisServer;
use tokio::time::{sleep, timeout};

pub(crate) const LONG: Duration = Duration::from_secs(60);

const VERSION: Version = Version::from_bytes([7; 8]);

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

/// The bytes under a key; none if it is missing.
pub(crate) async fn stored(server: &RedisServer, key: &str) -> Vec<u8> {
    let reply = server.raw(&["GET", key]).await;
    let bytes = reply.splitn(2, |byte| *byte == b'\n').nth(1);
    let bytes = bytes.and_then(|bytes| bytes.strip_suffix(b"\r\n"));
    bytes.unwrap_or_default().to_vec()
}

/// The number that the server answers.
pub(crate) async fn number(server: &RedisServer, command: &[&str]) -> i64 {
    let reply = String::from_utf8(server.raw(command).await);
    let reply = reply.expect("the reply is text");
    let number = reply.trim().trim_start_matches(':').parse();
    number.expect("the reply is a number")
}

/// Each operation, alone and in a batch, at the same time.
pub(crate) async fn all_operations(redis: &Redis) -> Vec<Result<()>> {
    all_operations_on(redis, ["a", "b"]).await
}

pub(crate) async fn all_operations_on(redis: &Redis, keys: [&str; 2]) -> Vec<Result<()>> {
    let claims = keys.map(claim);
    let holds = keys.map(hold);
    let (writes, fills) = (keys.map(write), holds.map(fill));
    let (expiries, marks) = (keys.map(expiry), ["#a", "#b"].map(mark));
    let four = [keys, keys].concat();
    let under_way: [BoxFuture<'_, Vec<Result<()>>>; 14] = [
        redis.get_many(&keys[..1]).map(nothing).boxed(),
        redis.get_many(&four).map(nothing).boxed(),
        redis.heads_many(&keys).map(nothing).boxed(),
        redis.remove_many(&keys).map(nothing).boxed(),
        redis.set_many(&writes[..1]).boxed(),
        redis.set_many(&writes).boxed(),
        redis.expire_many(&expiries).map(nothing).boxed(),
        redis.claim_many(&claims).map(nothing).boxed(),
        redis.fill_many(&fills).map(nothing).boxed(),
        redis.renew_many(&holds, LONG).map(nothing).boxed(),
        redis.release_many(&holds, None).boxed(),
        redis
            .read_marks(&marks)
            .map(|read| vec![read.map(drop)])
            .boxed(),
        redis
            .write_marks(&marks)
            .map(|written| vec![written])
            .boxed(),
        redis.time().map(|told| vec![told.map(drop)]).boxed(),
    ];
    let published = redis.publish("a", "hello".into());
    let (outcomes, published) = join(join_all(under_way), published).await;
    [outcomes.concat(), vec![published]].concat()
}

fn nothing<T>(outcomes: Vec<Result<T>>) -> Vec<Result<()>> {
    let nothing = |outcome: Result<T>| outcome.map(drop);
    outcomes.into_iter().map(nothing).collect()
}

fn write(key: &str) -> Write<'_> {
    Write {
        key,
        record: Record::new("value"),
        life: LONG,
    }
}

fn claim(key: &str) -> Claim<'_> {
    Claim {
        key,
        seen: Seen::Nothing,
        token: VERSION,
        mark: VERSION,
        life: LONG,
    }
}

fn hold(key: &str) -> Hold<'_> {
    let (held, token) = (VERSION, VERSION);
    Hold { key, held, token }
}

fn fill(hold: Hold<'_>) -> Fill<'_> {
    Fill {
        hold,
        record: Record::new("value"),
        life: LONG,
    }
}

fn expiry(key: &str) -> Expiry<'_> {
    Expiry {
        key,
        version: VERSION,
    }
}

fn mark(name: &str) -> NewMark<'_> {
    NewMark {
        name,
        version: VERSION,
        life: LONG,
    }
}

/// Waits until the server has so many clients.
pub(crate) async fn sockets(server: &RedisServer, count: usize) {
    until(async || clients(server).await == count).await;
}

pub(crate) async fn clients(server: &RedisServer) -> usize {
    let list = server.raw(&["CLIENT", "LIST"]).await;
    // The one that asks is in the list too.
    String::from_utf8_lossy(&list).matches(" addr=").count() - 1
}

/// Waits until it is so.
pub(crate) async fn until(mut is_so: impl AsyncFnMut() -> bool) {
    let waited = async {
        while !is_so().await {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(10), waited)
        .await
        .expect("it comes to be so");
}

/// The next news, which is there or comes soon.
pub(crate) async fn next(ear: &mut Box<dyn Subscription>) -> News {
    let news = timeout(Duration::from_secs(10), ear.next()).await;
    news.expect("there is news")
        .expect("the subscription lives")
}

/// A message that is published now is the next thing to be heard.
pub(crate) async fn hears(redis: &Redis, namespace: &str, ear: &mut Box<dyn Subscription>) {
    let published = redis.publish(namespace, "hello".into()).await;
    published.expect("it is published");
    assert_eq!(next(ear).await, News::Message("hello".into()));
}
