use std::convert::Infallible;
use std::error::Error as _;
use std::fmt;
use std::sync::Arc;

use tiered::{
    BoxError, Builder, Cache, ErrorKind, Loaded, Moka, Options, Result, Settings, Source,
};

use crate::support::gate::gate;
use crate::support::loaders::{found, found_after, missing, says, unasked};
use crate::support::spy::Op;
use crate::support::world::{
    DEFAULT, FAR_ONLY, FRESH, NEAR_ONLY, NEITHER, World, both, millis, others_turn, settings, tiers,
};

#[tokio::test]
async fn what_was_loaded_is_in_both_tiers() -> Result<()> {
    let node = World::new().node();
    assert_eq!(*node.get_or_load("1", found("Ada")).await?, "Ada");
    assert_eq!(tiers(&node, "1").await, both("Ada"));
    assert_eq!(*node.get_or_load("1", unasked).await?, "Ada");
    Ok(())
}

#[tokio::test]
async fn a_second_node_is_served_from_l2() -> Result<()> {
    let world = World::new();
    let (a, b) = (world.node(), world.node());
    a.get_or_load("1", found("Ada")).await?;
    let answer = b.with(DEFAULT).get_or_load("1", unasked).await?;
    assert_eq!((answer.source, b.stats().l2_hits), (Source::L2, 1));
    assert_eq!(tiers(&b, "1").await, both("Ada"));
    Ok(())
}

#[tokio::test]
async fn a_get_brings_what_l2_has_into_l1() {
    let world = World::new();
    let (a, b) = (world.node(), world.node());
    a.set("1", "Ada".to_owned()).await;
    assert_eq!(b.get("1").await.as_deref().map(String::as_str), Some("Ada"));
    let again = b.with(DEFAULT).get("1").await.unwrap();
    assert_eq!(again.source, Source::L1);
    assert_eq!(world.spy.asked(Op::Get), (1, 1));
}

#[tokio::test]
async fn what_nobody_has_is_not_there() {
    let node = World::new().node();
    assert!(node.get("1").await.is_none());
    assert!(!node.contains("1").await);
    assert!(node.with(DEFAULT).get("1").await.is_none());
}

#[tokio::test]
async fn an_answer_says_where_it_came_from_and_how_old_it_is() -> Result<()> {
    let world = World::new();
    let (a, b) = (world.node(), world.node());
    let first = a.with(DEFAULT).get_or_load("1", found("Ada")).await?;
    assert_eq!((first.source, first.age), (Source::Loader, millis(0)));
    world.pass(1_500);
    let near = a.with(DEFAULT).get("1").await.unwrap();
    assert_eq!((near.source, near.age), (Source::L1, millis(1_500)));
    let far = b.with(DEFAULT).get("1").await.unwrap();
    assert_eq!((far.source, far.age), (Source::L2, millis(1_500)));
    world.pass(500);
    let refilled = b.with(DEFAULT).get("1").await.unwrap();
    assert_eq!((refilled.source, refilled.age), (Source::L1, millis(2_000)));
    Ok(())
}

#[tokio::test]
async fn an_l1_alone_serves_and_encodes_nothing() -> Result<()> {
    struct NotSerializable(u8);
    let cache: Cache<NotSerializable> = Cache::builder("users").l1(Moka::entries(10)).build()?;
    let load = || async { Ok::<_, Infallible>(NotSerializable(7)) };
    assert_eq!(cache.get_or_load("1", load).await?.0, 7);
    assert_eq!(cache.get("1").await.unwrap().0, 7);
    assert_eq!(cache.remove("1").await.present, 1);
    assert!(cache.get("1").await.is_none());
    Ok(())
}

#[tokio::test]
async fn an_l2_alone_serves() -> Result<()> {
    let world = World::new();
    let far = world.far_node();
    assert_eq!(*far.get_or_load("1", found("Ada")).await?, "Ada");
    assert_eq!(*far.get_or_load("1", unasked).await?, "Ada");
    assert_eq!((far.stats().l2_hits, far.stats().l1_hits), (1, 0));
    assert_eq!(far.remove("1").await.present, 1);
    assert!(!far.contains("1").await);
    Ok(())
}

#[tokio::test]
async fn that_there_is_none_is_cached_in_both_tiers() -> Result<()> {
    let world = World::new();
    let (a, b) = (world.node(), world.node());
    assert_eq!(a.get_or_load("1", missing).await?, None);
    for node in [&a, &b] {
        let known = node
            .with(DEFAULT)
            .get_or_load("1", says(Loaded::found("late".to_owned())))
            .await?;
        assert!(known.value.is_none());
        assert!(node.get("1").await.is_none());
        assert!(!node.contains("1").await);
    }
    assert_eq!((a.stats().loads, b.stats().loads), (1, 0));
    Ok(())
}

#[tokio::test]
async fn that_there_is_none_has_a_life_of_its_own() -> Result<()> {
    let world = World::new();
    let node = world.node();
    node.get_or_load("1", missing).await?;
    world.pass(1_999);
    assert_eq!(
        node.get_or_load("1", || async { unasked().await.map(Some) })
            .await?,
        None
    );
    world.pass(1);
    assert_eq!(*node.get_or_load("1", found("Ada")).await?, "Ada");
    Ok(())
}

#[tokio::test]
async fn known_not_to_exist_and_unknown_can_be_told_apart() -> Result<()> {
    let world = World::new();
    let (a, b) = (world.node(), world.node());
    a.get_or_load("1", missing).await?;
    for (node, source) in [(&a, Source::L1), (&b, Source::L2), (&b, Source::L1)] {
        let known = node.with(DEFAULT).get("1").await.expect("it is known");
        assert!(known.value.is_none());
        assert_eq!(known.source, source);
    }
    assert!(a.with(DEFAULT).get("2").await.is_none());
    Ok(())
}

#[tokio::test]
async fn a_loader_may_return_a_value_a_shared_one_an_option_or_more() -> Result<()> {
    let node = World::new().node();
    let shared = Arc::new("Ada".to_owned());
    let plain: Arc<String> = node.get_or_load("1", found("Ada")).await?;
    let given = Arc::clone(&shared);
    let kept: Arc<String> = node
        .get_or_load("2", || async { Ok::<_, Infallible>(given) })
        .await?;
    let some: Option<Arc<String>> = node
        .get_or_load("3", || async {
            Ok::<_, Infallible>(Some("Ada".to_owned()))
        })
        .await?;
    let more: Option<Arc<String>> = node
        .get_or_load("4", says(Loaded::found("Ada".to_owned())))
        .await?;
    assert_eq!(
        (plain, some, more),
        (shared.clone(), Some(shared.clone()), Some(shared.clone()))
    );
    assert!(Arc::ptr_eq(&kept, &shared));
    Ok(())
}

#[derive(Debug)]
struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("broken")
    }
}

impl std::error::Error for Broken {}

#[tokio::test]
async fn a_loader_may_fail_with_any_error() {
    let node = World::new().node();
    let typed = || async { Err::<String, _>(Broken) };
    let text = || async { Err::<String, _>("broken".to_owned()) };
    let boxed = || async { Err::<String, BoxError>(Box::new(Broken)) };
    let literal = || async { Err::<Option<String>, _>("broken") };
    let errors = [
        node.get_or_load("1", typed).await.unwrap_err(),
        node.get_or_load("1", text).await.unwrap_err(),
        node.get_or_load("1", boxed).await.unwrap_err(),
        node.get_or_load("1", literal).await.unwrap_err(),
    ];
    for error in &errors {
        assert_eq!(error.kind(), ErrorKind::Loader);
        assert_eq!(error.source().unwrap().to_string(), "broken");
    }
    assert!(errors[0].cause::<Broken>().is_some() && errors[2].cause::<Broken>().is_some());
}

#[tokio::test]
async fn an_error_goes_to_all_who_wait_and_is_not_cached() -> Result<()> {
    let node = World::new().node();
    let (mut stop, gate) = gate();
    let failing = || async {
        gate.pass().await;
        Err::<String, _>(Broken)
    };
    let callers = async {
        let ask = || node.get_or_load("1", unasked);
        tokio::join!(node.get_or_load("1", failing), ask(), ask())
    };
    let release = async {
        stop.reached().await;
        others_turn().await;
        stop.go();
    };
    let ((a, b, c), ()) = tokio::join!(callers, release);
    for error in [a, b, c].map(Result::unwrap_err) {
        assert!(error.cause::<Broken>().is_some());
    }
    assert_eq!(tiers(&node, "1").await, NEITHER);
    assert_eq!(*node.get_or_load("1", found("Ada")).await?, "Ada");
    assert_eq!((node.stats().loads, node.stats().load_errors), (2, 1));
    Ok(())
}

#[tokio::test]
async fn a_plain_loader_that_meets_a_known_absence_gets_not_found() -> Result<()> {
    let node = World::new().node();
    node.get_or_load("1", missing).await?;
    let error = node.get_or_load("1", unasked).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    Ok(())
}

#[tokio::test]
async fn what_is_not_to_be_cached_is_served_and_in_no_tier() -> Result<()> {
    let node = World::new().node();
    let once = Loaded::found("Ada".to_owned()).uncached();
    let answer = node.get_or_load("1", says(once)).await?;
    assert_eq!(answer.as_deref().map(String::as_str), Some("Ada"));
    let never = Loaded::missing().uncached();
    assert_eq!(node.get_or_load("2", says(never)).await?, None);
    assert_eq!(
        (
            tiers(&node, "1").await,
            node.with(DEFAULT).get("2").await.is_none()
        ),
        (NEITHER, true)
    );
    assert_eq!(node.stats().l1_entries, 0);
    Ok(())
}

#[tokio::test]
async fn a_loaders_own_ttl_goes_before_all_others() -> Result<()> {
    let world = World::new();
    let node = world.node();
    let options = Options {
        ttl: Some(millis(5_000)),
        ..DEFAULT
    };
    let brief = Loaded::found("Ada".to_owned()).ttl(millis(100));
    node.with(options).get_or_load("1", says(brief)).await?;
    let long_absent = Loaded::missing().ttl(millis(8_000));
    node.get_or_load("2", says(long_absent)).await?;
    world.pass(99);
    assert_eq!(tiers(&node, "1").await, both("Ada"));
    world.pass(1);
    assert_eq!(tiers(&node, "1").await, NEITHER);
    world.pass(7_000);
    assert!(node.with(DEFAULT).get("2").await.is_some());
    Ok(())
}

#[tokio::test]
async fn unchanged_is_an_error_where_nothing_was_shown() {
    let node = World::new().node();
    let error = node
        .get_or_load("1", says(Loaded::unchanged()))
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), node.stats().load_errors),
        (ErrorKind::Loader, 1)
    );
    assert_eq!(node.loads_in_flight(), 0);
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct UserId(u64);

impl std::str::FromStr for UserId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.trim_start_matches("user-").parse().map(Self)
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "user-{}", self.0)
    }
}

#[tokio::test]
async fn keys_may_have_a_type_of_their_own() -> Result<()> {
    let world = World::new();
    let node = || {
        let typed: Builder<String, UserId> = world.bare().settings(settings());
        typed.l1(Moka::entries(10)).l2(world.store.clone()).build()
    };
    let (a, b) = (node()?, node()?);
    a.get_or_load(&UserId(7), found("Ada")).await?;
    assert_eq!(*b.get(&UserId(7)).await.unwrap(), "Ada");
    assert!(world.bytes("user-7").await.is_some());
    assert!(b.get(&UserId(8)).await.is_none());
    let many = b.get_many_or_load(&[UserId(7), UserId(8)], |ids: Vec<UserId>| async move {
        assert_eq!(ids, [UserId(8)]);
        Ok::<_, Infallible>([(UserId(8), "Grace".to_owned())])
    });
    let many: Vec<_> = many
        .await
        .into_iter()
        .map(|value| value.unwrap().unwrap())
        .collect();
    assert_eq!((many[0].as_str(), many[1].as_str()), ("Ada", "Grace"));
    Ok(())
}

#[tokio::test]
async fn keys_may_have_any_characters() -> Result<()> {
    let world = World::new();
    let (a, b) = (world.node(), world.node());
    let odd = [
        "",
        " ",
        "\0",
        "a:b",
        "users:1",
        "\r\nGET x",
        "🦀",
        "{a}",
        "*",
        "é",
        "e\u{301}",
        "%00",
    ];
    for key in odd {
        a.get_or_load(key, found(&format!("<{key}>"))).await?;
    }
    for key in odd {
        assert_eq!(*b.get(key).await.unwrap(), format!("<{key}>"));
    }
    assert_eq!(b.stats().l2_hits, odd.len() as u64);
    Ok(())
}

#[tokio::test]
async fn namespaces_are_apart_also_where_one_begins_like_the_other() -> Result<()> {
    let world = World::new();
    let node = |name: &str| {
        let cache = Cache::<String>::builder(name).l2(world.store.clone());
        cache.clock(world.hand.clone()).build()
    };
    let (users, longer) = (node("users")?, node("usersAbc")?);
    users.set("Abc:1", "Ada".to_owned()).await;
    users.set("1", "Grace".to_owned()).await;
    assert!(longer.get(":1").await.is_none() && longer.get("1").await.is_none());
    longer.set("1", "Alan".to_owned()).await;
    assert_eq!(*users.get("1").await.unwrap(), "Grace");
    assert_eq!(users.namespace(), "users");
    Ok(())
}

#[tokio::test]
async fn an_old_value_in_l2_is_a_miss_and_replaced() -> Result<()> {
    let world = World::new();
    let (a, b) = (world.node(), world.node());
    // Its life in the store is longer than it is fresh: only the frame says that it is old.
    a.set("1", "Ada".to_owned()).await;
    let bytes = world.bytes("1").await.unwrap();
    world.pass(10_000);
    world.plant("1", bytes).await;
    assert!(b.get("1").await.is_none());
    assert!(!b.contains("1").await);
    assert_eq!(*b.get_or_load("1", found("Grace")).await?, "Grace");
    assert_eq!(tiers(&b, "1").await, both("Grace"));
    Ok(())
}

#[tokio::test]
async fn a_caller_without_a_runtime_gets_a_word_that_says_so() {
    let node = World::new().near_node();
    let error = std::thread::spawn(move || {
        let load = Box::pin(node.get_or_load("1", found("Ada")));
        futures_util::FutureExt::now_or_never(load)
            .expect("it does not wait")
            .unwrap_err()
    });
    assert_eq!(error.join().unwrap().kind(), ErrorKind::Config);
}

#[tokio::test]
async fn a_read_past_l1_joins_the_running_load() -> Result<()> {
    let node = World::new().node();
    let (mut stop, gate) = gate();
    let first = node.get_or_load("1", found_after(gate, "Ada"));
    let second = async {
        stop.reached().await;
        let past = node.with(FAR_ONLY);
        let (answer, ()) = tokio::join!(past.get_or_load("1", unasked), async { stop.go() });
        answer
    };
    let (first, second) = tokio::join!(first, second);
    assert_eq!(
        (first?, second?.source),
        (Arc::new("Ada".to_owned()), Source::Loader)
    );
    assert!(node.with(NEAR_ONLY).contains("1").await);
    Ok(())
}

/// A loader whose error is a box of any error, within a task: it has to compile.
#[tokio::test]
async fn any_error_will_do_within_a_task() {
    let node = World::new().node();
    let task = tokio::spawn(async move {
        let load = || async { Err::<String, tiered::BoxError>("the database is away".into()) };
        let (loaded, refreshed) = (
            node.get_or_load("1", load).await,
            node.refresh("1", move |_| load()).await,
        );
        (loaded.is_err(), refreshed.is_err())
    });
    assert_eq!(task.await.unwrap(), (true, true));
}

#[tokio::test]
async fn what_is_loaded_with_no_life_is_no_older_copy() -> Result<()> {
    let node = World::new().node_with(Settings {
        negative_ttl: std::time::Duration::ZERO,
        ..settings()
    });
    assert_eq!(node.refresh("1", |_| missing()).await?, None);
    for options in [DEFAULT, FRESH] {
        let answer = node.with(options).get_or_load("1", missing).await?;
        assert_eq!((answer.value, answer.is_stale), (None, false));
    }
    assert_eq!(node.stats().stale_hits, 0);
    Ok(())
}
