use std::time::Duration;

use tiered::{
    Access, Cache, Compression, ErrorKind, Loaded, ManualClock, Moka, Options, Random, Result,
    Settings,
};

use crate::support::loaders::{found, missing, says, unasked};
use crate::support::plain::Plain;
use crate::support::world::{
    DEFAULT, FAR_ONLY, NEAR_ONLY, NEITHER, World, both, millis, settings, tiers,
};

const MINUTES_15: i64 = 15 * 60 * 1_000;

/// Whether L1 and L2 hold a fresh value.
async fn present(node: &Cache<String>, key: &str) -> (bool, bool) {
    let (near, far) = tiers(node, key).await;
    (near.is_some(), far.is_some())
}

#[tokio::test]
async fn a_value_is_fresh_until_its_ttl_to_the_millisecond() -> Result<()> {
    let world = World::new();
    let node = world.node();
    node.get_or_load("loaded", found("Ada")).await?;
    node.set("set", "Ada".to_owned()).await;
    world.pass(9_999);
    for key in ["loaded", "set"] {
        assert_eq!(tiers(&node, key).await, both("Ada"));
    }
    world.pass(1);
    for key in ["loaded", "set"] {
        assert_eq!(tiers(&node, key).await, NEITHER);
        assert!(!node.contains(key).await);
    }
    Ok(())
}

#[tokio::test]
async fn l1_may_have_a_shorter_ttl_and_is_refilled_from_l2() -> Result<()> {
    let world = World::new();
    let node = world.node_with(Settings {
        l1_ttl: Some(millis(3_000)),
        ..settings()
    });
    node.get_or_load("1", found("Ada")).await?;
    world.pass(3_000);
    assert_eq!(present(&node, "1").await, (false, true));
    // A refill from L2 has a life in L1 of its own, but never beyond the value's end.
    for _ in 0..2 {
        assert_eq!(*node.get_or_load("1", unasked).await?, "Ada");
        assert_eq!(present(&node, "1").await, (true, true));
        world.pass(3_000);
        assert_eq!(present(&node, "1").await, (false, true));
    }
    node.get("1").await;
    world.pass(999);
    assert_eq!(present(&node, "1").await, (true, true));
    world.pass(1);
    assert_eq!(present(&node, "1").await, (false, false));
    Ok(())
}

#[tokio::test]
async fn a_refilled_copy_has_the_remaining_life() {
    let world = World::new();
    let (a, b) = (world.node(), world.node());
    a.set("1", "Ada".to_owned()).await;
    world.pass(8_000);
    b.get("1").await;
    world.pass(1_999);
    assert_eq!(tiers(&b, "1").await, both("Ada"));
    world.pass(1);
    assert_eq!(tiers(&b, "1").await, NEITHER);
}

#[tokio::test]
async fn a_call_may_choose_each_life() -> Result<()> {
    let world = World::new();
    let node = world.node();
    let options = Options {
        ttl: Some(millis(100)),
        l1_ttl: Some(millis(20)),
        negative_ttl: Some(millis(50)),
        ..DEFAULT
    };
    node.with(options)
        .get_or_load("loaded", found("Ada"))
        .await?;
    node.with(options).set("set", "Ada".to_owned()).await;
    node.with(options).get_or_load("absent", missing).await?;
    world.pass(20);
    assert_eq!(
        (present(&node, "loaded").await, present(&node, "set").await),
        ((false, true), (false, true))
    );
    assert!(node.with(NEAR_ONLY).get("absent").await.is_none());
    world.pass(30);
    assert!(node.with(DEFAULT).get("absent").await.is_none());
    world.pass(50);
    assert_eq!(
        (tiers(&node, "loaded").await, tiers(&node, "set").await),
        (NEITHER, NEITHER)
    );
    Ok(())
}

#[tokio::test]
async fn an_l1_ttl_longer_than_the_value_lives_is_cut_off() -> Result<()> {
    let world = World::new();
    let node = world.node();
    let options = Options {
        ttl: Some(millis(100)),
        l1_ttl: Some(millis(5_000)),
        ..DEFAULT
    };
    node.with(options).set("1", "Ada".to_owned()).await;
    let brief = Loaded::found("Ada".to_owned()).ttl(millis(100));
    node.with(options).get_or_load("2", says(brief)).await?;
    world.pass(100);
    assert_eq!(
        (tiers(&node, "1").await, tiers(&node, "2").await),
        (NEITHER, NEITHER)
    );
    Ok(())
}

#[tokio::test]
async fn a_life_below_a_millisecond_is_none() -> Result<()> {
    let world = World::new();
    let node = world.node();
    for life in [Duration::ZERO, Duration::from_micros(999)] {
        let brief = Loaded::found("Ada".to_owned()).ttl(life);
        assert!(node.get_or_load("1", says(brief)).await?.is_some());
        let absent = Loaded::missing().ttl(life);
        assert!(node.get_or_load("1", says(absent)).await?.is_none());
        let options = Options {
            negative_ttl: Some(life),
            ..DEFAULT
        };
        node.with(options).get_or_load("1", missing).await?;
        assert!(node.with(DEFAULT).get("1").await.is_none());
    }
    assert_eq!(node.stats().l1_entries, 0);
    assert!(!world.far_node().contains("1").await);
    Ok(())
}

#[tokio::test]
async fn a_read_that_gives_its_l1_copy_no_life_stores_none() -> Result<()> {
    let world = World::new();
    let node = world.builder().l1(Plain::new()).build()?;
    node.with(FAR_ONLY).set("1", "Ada".to_owned()).await;
    let no_life = Options {
        l1_ttl: Some(Duration::ZERO),
        ..DEFAULT
    };
    assert!(node.with(no_life).get("1").await.is_some());
    assert_eq!(present(&node, "1").await, (false, true));
    node.with(no_life).get("1").await;
    assert_eq!(node.stats().l1_entries, 0);
    Ok(())
}

#[tokio::test]
async fn a_negative_ttl_of_zero_caches_no_absence() -> Result<()> {
    let world = World::new();
    let node = world.node_with(Settings {
        negative_ttl: Duration::ZERO,
        ..settings()
    });
    assert_eq!(node.get_or_load("1", missing).await?, None);
    assert_eq!(*node.get_or_load("1", found("Ada")).await?, "Ada");
    Ok(())
}

#[tokio::test]
async fn a_huge_life_is_34_years() -> Result<()> {
    let world = World::new();
    let node = world.node_with(Settings {
        ttl: Duration::MAX,
        negative_ttl: Duration::MAX,
        ..settings()
    });
    node.set("1", "Ada".to_owned()).await;
    node.get_or_load("2", missing).await?;
    let longest = (1 << 40) - 1;
    world.pass(longest - 1);
    assert_eq!(tiers(&node, "1").await, both("Ada"));
    assert!(node.with(FAR_ONLY).get("2").await.is_some());
    world.pass(1);
    assert_eq!(tiers(&node, "1").await, NEITHER);
    assert!(node.with(DEFAULT).get("2").await.is_none());
    Ok(())
}

#[tokio::test]
async fn jitter_shortens_lives_in_both_tiers_within_its_bounds() -> Result<()> {
    let world = World::new();
    let jittered = Settings {
        jitter: 0.5,
        l1_ttl: Some(millis(4_000)),
        ..settings()
    };
    let node = world
        .builder()
        .l1(Plain::new())
        .settings(jittered)
        .random(Random::seeded(7))
        .build()?;
    let keys: Vec<_> = (0..500).map(|key| key.to_string()).collect();
    node.set_many(keys.iter().map(|key| (key.as_str(), "Ada".to_owned())))
        .await;
    let count = async |options: Options| {
        let options = Options {
            l1: if options == FAR_ONLY {
                Access::Skip
            } else {
                Access::ReadOnly
            },
            ..options
        };
        let there = node
            .with(options)
            .contains_many(keys.iter().map(String::as_str))
            .await;
        there.into_iter().filter(|is_there| *is_there).count()
    };
    // Lives in L1 end between 2 and 4 seconds, in L2 between 5 and 10.
    world.pass(1_999);
    assert_eq!((count(NEAR_ONLY).await, count(FAR_ONLY).await), (500, 500));
    world.pass(1_001);
    assert!((200..300).contains(&count(NEAR_ONLY).await));
    world.pass(1_000);
    assert_eq!((count(NEAR_ONLY).await, count(FAR_ONLY).await), (0, 500));
    world.pass(999);
    assert_eq!(count(FAR_ONLY).await, 500);
    world.pass(2_501);
    assert!((200..300).contains(&count(FAR_ONLY).await));
    world.pass(2_500);
    assert_eq!(count(FAR_ONLY).await, 0);
    Ok(())
}

#[tokio::test]
async fn jitter_never_lets_an_l1_copy_outlive_the_value() -> Result<()> {
    let world = World::new();
    let node = world
        .builder()
        .settings(Settings {
            jitter: 0.9,
            ..settings()
        })
        .random(Random::seeded(7))
        .build()?;
    for key in (0..200).map(|key| key.to_string()) {
        node.set(&key, "Ada".to_owned()).await;
        for _ in 0..20 {
            world.pass(500);
            let (near, far) = present(&node, &key).await;
            assert!(far || !near);
        }
    }
    Ok(())
}

/// A node whose wall clock is set before it is first used, and set again while it is, agrees with another one all the time.
#[tokio::test]
async fn a_nodes_wall_clock_that_jumps_changes_nothing() {
    for jump in [MINUTES_15, -MINUTES_15, -1_900_000_000_000] {
        let (world, hand) = (World::new(), ManualClock::new());
        let a = world.builder().clock(hand.clone()).build().unwrap();
        let b = world.node();
        let pass = |time| {
            world.pass(time);
            hand.advance(millis(time));
        };
        b.set("of b", "Ada".to_owned()).await;
        hand.jump_wall(jump);
        a.set("of a", "Ada".to_owned()).await;
        hand.jump_wall(jump / 3);
        pass(1_000);
        for key in ["of a", "of b"] {
            for node in [&a, &b] {
                let answer = node.with(FAR_ONLY).get(key).await.unwrap();
                assert_eq!(answer.age, millis(1_000));
            }
        }
        pass(8_999);
        hand.jump_wall(jump);
        for key in ["of a", "of b"] {
            for node in [&a, &b] {
                node.get(key).await;
                assert_eq!(present(node, key).await, (true, true));
            }
        }
        pass(1);
        for key in ["of a", "of b"] {
            for node in [&a, &b] {
                assert_eq!(present(node, key).await, (false, false));
            }
        }
    }
}

#[tokio::test]
async fn a_store_clock_set_forward_ends_copies_in_l2_early_and_nothing_else() {
    let world = World::new();
    let (a, b) = (world.node(), world.node());
    a.set("1", "Ada".to_owned()).await;
    world.hand.jump_wall(MINUTES_15);
    // L1 runs on monotonic time, and what a knows of the store's clock as well.
    assert_eq!(present(&a, "1").await, (true, true));
    // To who asks for it now the value in L2 looks old, and is then loaded again.
    assert!(b.get("1").await.is_none());
    b.set("1", "Grace".to_owned()).await;
    assert_eq!(present(&b, "1").await, (true, true));
}

#[tokio::test]
async fn a_store_clock_set_back_gives_no_copy_more_than_its_own_life_from_now() {
    let world = World::new();
    let (a, b) = (world.node(), world.node());
    a.set("1", "Ada".to_owned()).await;
    let bytes = world.bytes("1").await.unwrap();
    world.pass(5_000);
    world.hand.jump_wall(-MINUTES_15);
    // So that the store's own ticks do not end it.
    world.plant("1", bytes).await;
    let answer = b.with(DEFAULT).get("1").await.unwrap();
    assert_eq!(answer.age, Duration::ZERO);
    world.pass(9_999);
    assert!(present(&b, "1").await.0);
    world.pass(1);
    assert!(!present(&b, "1").await.0);
    assert!(!present(&a, "1").await.0);
}

#[tokio::test]
async fn the_store_ends_a_copy_also_when_its_wall_clock_is_wrong() {
    let world = World::new();
    let node = world.far_node();
    node.set("1", "Ada".to_owned()).await;
    world.hand.jump_wall(-MINUTES_15);
    world.pass(10_000);
    assert!(node.get("1").await.is_none());
    assert!(world.bytes("1").await.is_none());
}

#[tokio::test]
async fn a_wall_clock_before_1970_breaks_nothing() -> Result<()> {
    let world = World::new();
    let node = world.node();
    world.hand.jump_wall(-1_900_000_000_000);
    node.set("1", "Ada".to_owned()).await.ok()?;
    assert_eq!(tiers(&node, "1").await, both("Ada"));
    world.pass(10_000);
    assert_eq!(*node.get_or_load("1", found("Grace")).await?, "Grace");
    Ok(())
}

/// Settings that build with both tiers are refused with this word after `change`.
fn refused(word: &str, change: impl FnOnce(&mut Settings)) {
    let mut settings = settings();
    change(&mut settings);
    let error = World::new()
        .builder()
        .settings(settings)
        .build()
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        (ErrorKind::Config, word)
    );
}

#[test]
fn settings_that_make_no_sense_are_refused_with_a_word() {
    let least = "ttl and l1_ttl must be at least a millisecond";
    refused(least, |settings| settings.ttl = Duration::ZERO);
    refused(least, |settings| settings.ttl = Duration::from_micros(999));
    refused(least, |settings| settings.l1_ttl = Some(Duration::ZERO));
    refused("l1_ttl must not be longer than ttl", |settings| {
        settings.l1_ttl = Some(millis(10_001));
    });
    let negative = "negative_ttl must be zero or at least a millisecond";
    refused(negative, |settings| {
        settings.negative_ttl = Duration::from_nanos(1);
    });
    for jitter in [-0.1, 1.0, 7.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        refused("jitter must be from 0.0 to below 1.0", |settings| {
            settings.jitter = jitter;
        });
    }
    for bytes in [0, 39, (4 << 30) + 1] {
        refused("max_stored_bytes must be from 40 to 4 GiB", |settings| {
            settings.max_stored_bytes = bytes;
        });
    }
    for bytes in [0, (4 << 30) + 1] {
        refused("max_value_bytes must be from 1 to 4 GiB", |settings| {
            settings.max_value_bytes = bytes;
        });
    }
    for level in [-8, 20] {
        let zstd = Compression::Zstd { level };
        refused("zstd's level must be from -7 to 19", |settings| {
            settings.compression = zstd;
        });
    }
}

#[test]
fn settings_at_the_edge_of_sense_are_taken() {
    let world = World::new();
    let edge = Settings {
        ttl: millis(1),
        l1_ttl: Some(millis(1)),
        negative_ttl: millis(1),
        jitter: 0.999,
        max_stored_bytes: 40,
        max_value_bytes: 1,
        compress_from: usize::MAX,
        compression: Compression::Zstd { level: 19 },
        ..settings()
    };
    assert!(world.builder().settings(edge).build().is_ok());
    let largest = usize::try_from(u32::MAX).unwrap();
    let wide = Settings {
        max_stored_bytes: largest,
        max_value_bytes: largest,
        jitter: 0.0,
        ..settings()
    };
    assert!(world.builder().settings(wide).build().is_ok());
}

#[test]
fn tiers_and_namespaces_that_make_no_sense_are_refused_with_a_refusal() {
    let world = World::new();
    let refusal = |builder: tiered::Builder<String>| {
        let error = builder.build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        error.to_string()
    };
    assert!(refusal(world.bare()).starts_with("the cache has no tier"));
    for no_size in [Moka::entries(0), Moka::bytes(0)] {
        assert!(refusal(world.bare().l1(no_size)).starts_with("an l1 of no size"));
    }
    assert!(refusal(world.bare().l1(Moka::bytes(1_000))).contains("needs `weigh`"));
    assert!(
        world
            .bare::<str>()
            .l1(Moka::bytes(1_000))
            .weigh(String::len)
            .build()
            .is_ok()
    );
    let longest = "n".repeat(64);
    for wrong in ["", "a:b", "a b", "ä", "a\n", &format!("{longest}n")] {
        let named = Cache::<String>::builder(wrong).l1(Moka::entries(1));
        assert!(refusal(named).starts_with("a namespace is 1 to 64"));
    }
    for right in ["a", "Users.v2_x-1", &longest] {
        assert!(
            Cache::<String>::builder(right)
                .l1(Moka::entries(1))
                .build()
                .is_ok()
        );
    }
}
