//! What subscriptions hear, and what happens to them when the connection is lost.

mod support;

use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use support::{clients, connect, hears, in_time, next, number, sockets, until};
use tiered_core::{Backplane, L2, News, Result, Subscription};
use tiered_redis::{Redis, RedisOptions};
use tiered_tests::RedisServer;

#[tokio::test]
async fn messages_are_heard_in_order_by_all_and_by_oneself() -> Result<()> {
    let server = RedisServer::start().await;
    let (one, two) = (connect(&server).await?, connect(&server).await?);
    let mut ears = [
        one.subscribe("users"),
        one.subscribe("users"),
        two.subscribe("users"),
    ];
    for ear in &mut ears {
        assert_eq!(next(ear).await, News::Gap);
    }
    let messages: Vec<_> = (0..1_000).map(|number: u32| number.to_le_bytes()).collect();
    for message in &messages {
        one.publish("users", Bytes::copy_from_slice(message))
            .await?;
    }
    for ear in &mut ears {
        for message in &messages {
            assert_eq!(
                next(ear).await,
                News::Message(Bytes::copy_from_slice(message))
            );
        }
    }
    Ok(())
}

#[tokio::test]
async fn messages_are_any_bytes() -> Result<()> {
    let server = RedisServer::start().await;
    let redis = connect(&server).await?;
    let mut ear = redis.subscribe("users");
    assert_eq!(next(&mut ear).await, News::Gap);
    let all_bytes: Vec<_> = (0..=u8::MAX).collect();
    for message in [
        b"".as_slice(),
        b"subscribe",
        b"invalidate",
        b"1",
        &all_bytes,
    ] {
        let message = Bytes::copy_from_slice(message);
        redis.publish("users", message.clone()).await?;
        assert_eq!(next(&mut ear).await, News::Message(message));
    }
    Ok(())
}

#[tokio::test]
async fn namespaces_do_not_hear_each_other() -> Result<()> {
    let server = RedisServer::start().await;
    let redis = connect(&server).await?;
    let names = ["users", "user", "users:a", "*", "", "users b"];
    let mut ears = names.map(|name| redis.subscribe(name));
    for ear in &mut ears {
        assert_eq!(next(ear).await, News::Gap);
    }
    for name in names {
        redis.publish(name, name.into()).await?;
    }
    for (ear, name) in ears.iter_mut().zip(names) {
        assert_eq!(next(ear).await, News::Message(name.into()));
    }
    hears_nothing(&mut ears);
    Ok(())
}

#[tokio::test]
async fn a_subscription_that_comes_later_is_confirmed_too() -> Result<()> {
    let server = RedisServer::start().await;
    let redis = connect(&server).await?;
    let mut first = redis.subscribe("users");
    assert_eq!(next(&mut first).await, News::Gap);
    for _ in 0..3 {
        let mut later = redis.subscribe("users");
        assert_eq!(next(&mut later).await, News::Gap);
        hears(&redis, "users", &mut later).await;
    }
    assert_ne!(next(&mut first).await, News::Gap);
    Ok(())
}

#[tokio::test]
async fn a_connection_that_is_lost_is_a_gap_and_then_all_is_heard_again() -> Result<()> {
    let mut server = RedisServer::start().await;
    let redis = connect(&server).await?;
    let mut ears = [redis.subscribe("users"), redis.subscribe("orders")];
    for ear in &mut ears {
        assert_eq!(next(ear).await, News::Gap);
    }
    for round in 0..3 {
        match round {
            0 => drop(server.raw(&["CLIENT", "KILL", "TYPE", "pubsub"]).await),
            1 => server.restart().await,
            _ => {
                server.kill();
                server.restart().await;
            }
        }
        for ear in &mut ears {
            assert_eq!(next(ear).await, News::Gap);
        }
        until(async || redis.publish("users", "first".into()).await.is_ok()).await;
        assert_eq!(next(&mut ears[0]).await, News::Message("first".into()));
        hears(&redis, "orders", &mut ears[1]).await;
    }
    Ok(())
}

/// A server that hangs and one that is no longer there look alike.
#[tokio::test]
async fn a_silent_connection_is_a_gap() -> Result<()> {
    let server = RedisServer::start().await;
    let redis = connect(&server).await?;
    let mut ear = redis.subscribe("users");
    assert_eq!(next(&mut ear).await, News::Gap);
    server.pause();
    // Long enough for a question and for its answer not to come.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    server.resume();
    assert_eq!(next(&mut ear).await, News::Gap);
    until(async || redis.publish("users", "again".into()).await.is_ok()).await;
    assert_eq!(next(&mut ear).await, News::Message("again".into()));
    Ok(())
}

#[tokio::test]
async fn a_subscription_that_is_far_behind_has_a_gap_and_goes_on() -> Result<()> {
    let server = RedisServer::start().await;
    let redis = connect(&server).await?;
    let mut ears = [redis.subscribe("users"), redis.subscribe("users")];
    for ear in &mut ears {
        assert_eq!(next(ear).await, News::Gap);
    }
    let [slow, quick] = &mut ears;
    for number in 0..5_000 {
        let message = Bytes::from(number.to_string());
        redis.publish("users", message.clone()).await?;
        assert_eq!(next(quick).await, News::Message(message));
    }
    assert_eq!(next(slow).await, News::Gap);
    for number in 5_000 - 4_096..5_000 {
        assert_eq!(next(slow).await, News::Message(number.to_string().into()));
    }
    hears(&redis, "users", slow).await;
    Ok(())
}

/// Here it is the connection that cannot keep up: what was lost is not known, so it is a gap for all.
#[tokio::test]
async fn a_flood_is_a_gap_or_is_heard_whole() -> Result<()> {
    let server = RedisServer::start().await;
    let redis = connect(&server).await?;
    let mut ear = redis.subscribe("users");
    assert_eq!(next(&mut ear).await, News::Gap);
    let flood = "for number = 1, 20000 do redis.call('PUBLISH', '#bus:users', number) end";
    server.raw(&["EVAL", flood, "0"]).await;
    let mut last = 0;
    while last < 20_000 {
        match next(&mut ear).await {
            News::Gap => last = i32::MIN,
            News::Message(message) => {
                let number: i32 = String::from_utf8(message.to_vec())
                    .unwrap()
                    .parse()
                    .unwrap();
                assert!(
                    number == last + 1 || last == i32::MIN,
                    "{number} after {last}"
                );
                last = number;
            }
            News::Touched(_) => unreachable!(),
        }
    }
    Ok(())
}

#[tokio::test]
async fn the_last_subscription_to_a_namespace_ends_its_channel() -> Result<()> {
    let server = RedisServer::start().await;
    let redis = connect(&server).await?;
    let (mut one, two) = (redis.subscribe("users"), redis.subscribe("users"));
    let channels = async || {
        number(
            &server,
            &["EVAL", "return #redis.call('PUBSUB', 'CHANNELS')", "0"],
        )
        .await
    };
    assert_eq!(next(&mut one).await, News::Gap);
    drop(two);
    let mut other = redis.subscribe("orders");
    assert_eq!(next(&mut other).await, News::Gap);
    assert_eq!(channels().await, 2);
    drop((one, other));
    until(async || channels().await == 0).await;
    let mut again = redis.subscribe("users");
    assert_eq!(next(&mut again).await, News::Gap);
    hears(&redis, "users", &mut again).await;
    Ok(())
}

#[tokio::test]
async fn subscriptions_that_come_and_go_are_all_confirmed() -> Result<()> {
    let server = RedisServer::start().await;
    let redis = connect(&server).await?;
    for round in 0..200 {
        let mut ear = redis.subscribe("users");
        if round % 3 != 0 {
            assert_eq!(next(&mut ear).await, News::Gap);
        }
    }
    let mut ear = redis.subscribe("users");
    assert_eq!(next(&mut ear).await, News::Gap);
    hears(&redis, "users", &mut ear).await;
    Ok(())
}

#[tokio::test]
async fn a_subscription_keeps_no_connection() -> Result<()> {
    let server = RedisServer::start().await;
    let redis = connect(&server).await?;
    let mut ear = redis.subscribe("users");
    assert_eq!(next(&mut ear).await, News::Gap);
    sockets(&server, 3).await;
    drop(redis);
    assert_eq!(in_time(ear.next()).await, None);
    sockets(&server, 0).await;
    drop(ear);
    Ok(())
}

#[tokio::test]
async fn a_backplane_is_a_handle() -> Result<()> {
    let server = RedisServer::start().await;
    let redis = connect(&server).await?;
    let backplane = redis.backplane().unwrap();
    drop(redis);
    let mut ear = backplane.subscribe("users");
    assert_eq!(next(&mut ear).await, News::Gap);
    drop(backplane);
    assert_eq!(in_time(ear.next()).await, None);
    sockets(&server, 0).await;
    Ok(())
}

#[tokio::test]
async fn a_shutdown_ends_subscriptions() -> Result<()> {
    let server = RedisServer::start().await;
    let redis = connect(&server).await?;
    let (mut confirmed, mut unheard) = (redis.subscribe("users"), redis.subscribe("orders"));
    assert_eq!(next(&mut confirmed).await, News::Gap);
    assert_eq!(next(&mut unheard).await, News::Gap);
    redis.shutdown().await;
    sockets(&server, 0).await;
    assert_eq!(in_time(confirmed.next()).await, None);
    assert_eq!(in_time(unheard.next()).await, None);
    assert_eq!(in_time(redis.subscribe("users").next()).await, None);
    assert!(redis.publish("users", "late".into()).await.is_err());
    Ok(())
}

#[tokio::test]
async fn a_shutdown_ends_subscriptions_while_the_server_is_away() -> Result<()> {
    let mut server = RedisServer::start().await;
    let redis = connect(&server).await?;
    let mut ear = redis.subscribe("users");
    assert_eq!(next(&mut ear).await, News::Gap);
    server.kill();
    in_time(redis.shutdown()).await;
    assert_eq!(in_time(ear.next()).await, None);
    Ok(())
}

#[tokio::test]
async fn waiting_for_news_can_be_given_up() -> Result<()> {
    let server = RedisServer::start().await;
    let redis = connect(&server).await?;
    let mut ear = redis.subscribe("users");
    let mut heard = Vec::new();
    until(async || {
        redis.publish("users", "hello".into()).await.unwrap();
        heard.extend(ear.next().now_or_never().flatten());
        heard.len() == 20
    })
    .await;
    assert_eq!(heard.remove(0), News::Gap);
    assert!(!heard.contains(&News::Gap));
    Ok(())
}

#[tokio::test]
async fn without_a_backplane_there_is_no_further_connection() -> Result<()> {
    let server = RedisServer::start().await;
    let options = RedisOptions {
        backplane: false,
        ..RedisOptions::new(server.url())
    };
    let redis = Redis::connect_with(options).await?;
    assert!(redis.backplane().is_none());
    assert_eq!(redis.subscribe("users").next().await, None);
    assert_eq!(clients(&server).await, 1);
    Ok(())
}

/// What was sent before what was heard already would have been heard.
fn hears_nothing(ears: &mut [Box<dyn Subscription>]) {
    for ear in ears {
        assert_eq!(ear.next().now_or_never(), None);
    }
}
