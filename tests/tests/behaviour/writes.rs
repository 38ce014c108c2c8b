use std::sync::Arc;

use tiered::{
    Access, BoxError, Builder, Cache, Codec, Compression, Embedded, ErrorKind, Options, Outcome,
    Result, Settings,
};

use crate::support::loaders::{found, missing, unasked, values_of};
use crate::support::plain::Plain;
use crate::support::spy::{Op, Spy};
use crate::support::world::{DEFAULT, FAR_ONLY, NEITHER, World, both, millis, settings, tiers};

const PAST_L1: Options = Options {
    l1: Access::Skip,
    ..DEFAULT
};
const PAST_L2: Options = Options {
    l2: Access::Skip,
    ..DEFAULT
};

#[tokio::test]
async fn a_set_goes_to_l2_and_then_to_l1() -> Result<()> {
    let world = World::new();
    let log = world.spy.log();
    let node = world.builder().l1(Plain::with_log(log.clone())).build()?;
    let written = node.set("1", "Ada".to_owned()).await;
    assert!(matches!(
        (written.l1, written.l2),
        (Outcome::Stored, Outcome::Stored)
    ));
    // A node learns the namespace's mark and the store's time once.
    let first = ["l2 read marks", "l2 time", "l2 set", "l1 insert"];
    assert_eq!(log.take(), first);
    node.set_many([("1", "Ada".to_owned()), ("2", "Grace".to_owned())])
        .await;
    assert_eq!(log.take(), ["l2 set", "l1 insert", "l1 insert"]);
    Ok(())
}

#[tokio::test]
async fn a_removal_leaves_l1_before_and_after_l2() -> Result<()> {
    let world = World::new();
    let log = world.spy.log();
    let node = world.builder().l1(Plain::with_log(log.clone())).build()?;
    let first = [
        "l1 remove",
        "l2 remove",
        "l2 read marks",
        "l2 time",
        "l1 remove",
    ];
    node.remove("1").await;
    assert_eq!(log.take(), first);
    node.remove("1").await;
    // A node learns the namespace's mark and the store's time once.
    assert_eq!(log.take(), ["l1 remove", "l2 remove", "l1 remove"]);
    Ok(())
}

#[tokio::test]
async fn a_set_replaces_what_was_there_in_both_tiers_and_for_other_nodes() -> Result<()> {
    let world = World::new();
    let (a, b) = (world.node(), world.node());
    a.get_or_load("1", missing).await?;
    a.set("1", Arc::new("Ada".to_owned())).await.ok()?;
    assert_eq!(tiers(&a, "1").await, both("Ada"));
    assert_eq!(*b.get_or_load("1", unasked).await?, "Ada");
    Ok(())
}

#[tokio::test]
async fn a_write_says_which_tiers_there_are() {
    let world = World::new();
    let near = world.near_node().set("1", "Ada".to_owned()).await;
    assert!(matches!(
        (near.l1, near.l2),
        (Outcome::Stored, Outcome::Absent)
    ));
    let far = world.far_node().set("1", "Ada".to_owned()).await;
    assert!(matches!(
        (&far.l1, &far.l2),
        (Outcome::Absent, Outcome::Stored)
    ));
    assert!(far.ok().is_ok());
}

#[tokio::test]
async fn a_set_that_passes_a_tier_by_takes_its_old_copy_out() {
    let node = World::new().node();
    node.set("1", "old".to_owned()).await;
    let written = node.with(PAST_L2).set("1", "new".to_owned()).await;
    assert!(matches!(
        (&written.l1, &written.l2),
        (Outcome::Stored, Outcome::Removed)
    ));
    assert_eq!(tiers(&node, "1").await, (Some("new".to_owned()), None));
    let written = node.with(PAST_L1).set("1", "newer".to_owned()).await;
    assert!(matches!(
        (&written.l1, &written.l2),
        (Outcome::Removed, Outcome::Stored)
    ));
    assert_eq!(tiers(&node, "1").await, (None, Some("newer".to_owned())));
    assert!(written.ok().is_ok());
}

#[tokio::test]
async fn a_set_with_no_life_is_a_removal() {
    let node = World::new().node();
    node.set("1", "old".to_owned()).await;
    let no_life = Options {
        ttl: Some(millis(0)),
        ..DEFAULT
    };
    let written = node.with(no_life).set("1", "new".to_owned()).await;
    assert!(matches!(
        (&written.l1, &written.l2),
        (Outcome::Removed, Outcome::Removed)
    ));
    assert_eq!(tiers(&node, "1").await, NEITHER);
    let no_near_life = Options {
        l1_ttl: Some(millis(0)),
        ..DEFAULT
    };
    node.set("2", "old".to_owned()).await;
    node.with(no_near_life).set("2", "new".to_owned()).await;
    assert_eq!(tiers(&node, "2").await, (None, Some("new".to_owned())));
}

#[tokio::test]
async fn a_value_too_large_for_l2_is_kept_in_l1_and_the_old_copy_leaves_l2() {
    let world = World::new();
    for limits in [
        Settings {
            max_stored_bytes: 100,
            ..settings()
        },
        Settings {
            max_value_bytes: 60,
            ..settings()
        },
    ] {
        let node = world.node_with(limits);
        node.set("1", "small".to_owned()).await;
        let written = node.set("1", "x".repeat(200)).await;
        assert!(matches!(
            (&written.l1, &written.l2),
            (Outcome::Stored, Outcome::Refused(_))
        ));
        assert_eq!(written.ok().unwrap_err().kind(), ErrorKind::Unstorable);
        assert_eq!(tiers(&node, "1").await, (Some("x".repeat(200)), None));
        assert!(world.bytes("1").await.is_none());
        assert_eq!((node.stats().unstorable, node.stats().l2_errors), (1, 0));
    }
}

#[tokio::test]
async fn a_value_that_the_store_itself_finds_too_large_is_no_failure_either() -> Result<()> {
    let world = World::new();
    let store = Embedded::bounded(150).with_clock(world.hand.clone());
    let node = world.builder().l2(store.clone()).build()?;
    node.set("1", "small".to_owned()).await.ok()?;
    let written = node.set("1", "x".repeat(200)).await;
    assert!(matches!(
        (&written.l1, &written.l2),
        (Outcome::Stored, Outcome::Refused(_))
    ));
    assert_eq!(tiers(&node, "1").await, (Some("x".repeat(200)), None));
    assert!(store.is_empty());
    assert_eq!((node.stats().unstorable, node.stats().l2_errors), (1, 0));
    Ok(())
}

#[tokio::test]
async fn a_loaded_value_too_large_for_l2_is_served_and_kept_in_l1() -> Result<()> {
    let world = World::new();
    let node = world.node_with(Settings {
        max_stored_bytes: 100,
        ..settings()
    });
    let long = "x".repeat(200);
    assert_eq!(*node.get_or_load("1", found(&long)).await?, long);
    assert_eq!(*node.get_or_load("1", unasked).await?, long);
    assert_eq!(node.stats().unstorable, 1);
    assert!(!world.far_node().contains("1").await);
    Ok(())
}

/// Encodes what is not about secrets.
struct Discreet;

impl Codec<String> for Discreet {
    fn id(&self) -> u8 {
        200
    }
    fn encode(&self, value: &String, out: &mut Vec<u8>) -> Result<(), BoxError> {
        out.extend_from_slice(b"half of it");
        if value.contains("secret") {
            return Err("a secret".into());
        }
        out.splice(out.len() - 10.., value.bytes());
        Ok(())
    }
    fn decode(&self, bytes: &[u8]) -> Result<String, BoxError> {
        Ok(std::str::from_utf8(bytes)?.to_owned())
    }
}

#[tokio::test]
async fn a_value_that_cannot_be_encoded_is_kept_in_l1_and_the_old_copy_leaves_l2() -> Result<()> {
    let world = World::new();
    let node = world
        .builder()
        .l2_with(world.store.clone(), Discreet)
        .build()?;
    node.set("1", "public".to_owned()).await.ok()?;
    assert_eq!(tiers(&node, "1").await, both("public"));
    let items = [("1", "secret".to_owned()), ("2", "open".to_owned())];
    let written = node.set_many(items).await;
    let error = written[0].ok().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unstorable);
    assert_eq!(
        std::error::Error::source(&error).unwrap().to_string(),
        "a secret"
    );
    assert!(written[1].ok().is_ok());
    assert_eq!(tiers(&node, "1").await, (Some("secret".to_owned()), None));
    assert_eq!(
        (tiers(&node, "2").await, node.stats().unstorable),
        (both("open"), 1)
    );
    Ok(())
}

#[tokio::test]
async fn present_means_the_same_to_contains_and_to_a_removal() -> Result<()> {
    let world = World::new();
    let (node, other) = (world.node(), world.node());
    node.set("both", "x".to_owned()).await;
    node.with(PAST_L2).set("near only", "x".to_owned()).await;
    other.set("far only", "x".to_owned()).await;
    node.get_or_load("absent", missing).await?;
    other.get_or_load("absent far", missing).await?;
    let brief = Options {
        ttl: Some(millis(10)),
        ..DEFAULT
    };
    node.with(brief).set("expired", "x".to_owned()).await;
    world.pass(10);
    world
        .plant(
            "garbage",
            b"not a frame of ours, but long enough to be one".to_vec(),
        )
        .await;
    let keys = [
        "both",
        "near only",
        "far only",
        "absent",
        "absent far",
        "expired",
        "garbage",
        "never",
    ];
    let present = node.contains_many(keys).await;
    assert_eq!(
        present,
        [true, true, true, false, false, false, false, false]
    );
    for (key, is_present) in keys.into_iter().zip(present) {
        let removed = node.remove_many([key, key]).await;
        assert_eq!((key, removed.present), (key, usize::from(is_present)));
        assert_eq!((removed.failed, node.contains(key).await), (0, false));
    }
    assert!(world.store.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_removal_counts_the_keys_of_a_batch_each_once() {
    let world = World::new();
    for node in [world.node(), world.near_node(), World::new().far_node()] {
        node.set_many([("1", "x".to_owned()), ("2", "x".to_owned())])
            .await;
        assert_eq!(node.remove_many(["1", "2", "1", "3"]).await.present, 2);
        assert_eq!(node.remove_many(["1", "2"]).await.present, 0);
    }
}

/// A node that holds "there is none" while another has set the value since.
#[tokio::test]
async fn present_means_the_same_where_l1_knows_of_no_value_and_l2_has_one() -> Result<()> {
    let world = World::new();
    let (node, other) = (world.node(), world.node());
    node.get_or_load("1", missing).await?;
    other.set("1", "Ada".to_owned()).await;
    let is_present = node.contains("1").await;
    assert_eq!(node.remove("1").await.present, usize::from(is_present));
    Ok(())
}

#[tokio::test]
async fn a_batch_does_not_take_its_own_writes_for_somebody_elses() {
    let node = World::new().node();
    // So many that some are sure to be watched together.
    let keys: Vec<_> = (0..2_000).map(|key| key.to_string()).collect();
    let keys = || keys.iter().map(String::as_str);
    let written = node.set_many(keys().map(|key| (key, "x".to_owned()))).await;
    assert!(
        written
            .iter()
            .all(|written| matches!(written.l1, Outcome::Stored))
    );
    node.remove_many(keys()).await;
    node.get_many_or_load(keys(), values_of).await;
    assert_eq!(
        (node.stats().loads_refused, node.stats().l1_entries),
        (0, 2_000)
    );
}

#[tokio::test]
async fn reads_of_a_failing_l2_are_misses_and_loads() -> Result<()> {
    let world = World::new();
    let (node, other) = (world.node(), world.node());
    other.set("1", "far".to_owned()).await;
    world.spy.fail(&[Op::Get, Op::Heads]);
    assert!(node.get("1").await.is_none());
    assert!(!node.contains("1").await);
    assert_eq!(*node.get_or_load("1", found("loaded")).await?, "loaded");
    let many = node.get_many(["1", "2"]).await;
    assert_eq!((many[0].is_some(), many[1].is_some()), (true, false));
    assert_eq!(node.stats().l2_errors, 4);
    Ok(())
}

#[tokio::test]
async fn a_call_whose_read_of_l2_failed_does_not_write_l2() -> Result<()> {
    let world = World::new();
    let (node, other) = (world.node(), world.node());
    other.set("1", "far".to_owned()).await;
    world.spy.fail(&[Op::Get]);
    let writes = world.spy.asked(Op::Set);
    node.get_or_load("1", found("loaded")).await?;
    let one = |_| async { Ok::<_, BoxError>([("2".to_owned(), "two".to_owned())]) };
    node.get_many_or_load(["2", "3"], one).await;
    world.spy.fail(&[]);
    assert_eq!(world.spy.asked(Op::Set), writes);
    assert_eq!(
        tiers(&node, "1").await,
        (Some("loaded".to_owned()), Some("far".to_owned()))
    );
    assert_eq!(
        tiers(&node, "2").await,
        (Some("value".to_owned()).map(|_| "two".to_owned()), None)
    );
    Ok(())
}

#[tokio::test]
async fn a_write_reports_that_l2_failed_and_l1_does_its_part() {
    let world = World::new();
    let node = world.node();
    node.set("1", "old".to_owned()).await;
    world.spy.fail(&[Op::Set, Op::Remove]);
    let written = node.set("1", "new".to_owned()).await;
    assert!(matches!(
        (&written.l1, &written.l2),
        (Outcome::Stored, Outcome::Failed(_))
    ));
    assert_eq!(written.ok().unwrap_err().kind(), ErrorKind::Unavailable);
    let removed = node.remove_many(["1", "2"]).await;
    assert_eq!((removed.present, removed.failed), (1, 2));
    assert_eq!(removed.ok().unwrap_err().kind(), ErrorKind::Unavailable);
    let near = Options {
        l2: Access::Skip,
        ..DEFAULT
    };
    assert!(!node.with(near).contains("1").await);
    assert_eq!(node.stats().l2_errors, 3);
}

#[tokio::test]
async fn a_load_whose_write_to_l2_fails_is_served_and_kept_in_l1() -> Result<()> {
    let world = World::new();
    let node = world.node();
    world.spy.fail(&[Op::Fill]);
    assert_eq!(*node.get_or_load("1", found("Ada")).await?, "Ada");
    assert_eq!(tiers(&node, "1").await, (Some("Ada".to_owned()), None));
    assert_eq!(node.stats().l2_errors, 1);
    Ok(())
}

#[tokio::test]
async fn a_set_of_many_says_for_each_key_what_became_of_it() -> Result<()> {
    let world = World::new();
    let node = world.node_with(Settings {
        max_stored_bytes: 100,
        ..settings()
    });
    let long = "x".repeat(200);
    node.set("2", "old".to_owned()).await.ok()?;
    let items = [
        ("1", "one".to_owned()),
        ("2", long.clone()),
        ("3", "three".to_owned()),
        ("1", "uno".to_owned()),
    ];
    let written = node.set_many(items).await;
    let is_ok: Vec<_> = written.iter().map(|written| written.ok().is_ok()).collect();
    assert_eq!(is_ok, [true, false, true, true]);
    assert_eq!(
        (tiers(&node, "1").await, tiers(&node, "2").await),
        (both("uno"), (Some(long), None))
    );
    Ok(())
}

type WithCodec = fn(Builder<String>, Spy) -> Builder<String>;

#[tokio::test]
async fn every_codec_and_compression_is_read_back_by_another_node() -> Result<()> {
    let long = "the same words again and ".repeat(50);
    let compressions = [
        Compression::None,
        Compression::Zstd { level: 3 },
        Compression::Zstd { level: -7 },
        Compression::Lz4,
    ];
    let codecs: [WithCodec; 4] = [
        |node, l2| node.l2_with(l2, tiered::Bincode),
        |node, l2| node.l2_with(l2, tiered::Postcard),
        |node, l2| node.l2_with(l2, tiered::Json),
        |node, l2| node.l2_with(l2, tiered::MessagePack),
    ];
    let world = World::new();
    for (at, codec) in codecs.into_iter().enumerate() {
        let node = |compression| {
            codec(world.builder(), world.spy.clone())
                .settings(Settings {
                    compression,
                    ..settings()
                })
                .build()
        };
        for written in compressions {
            let key = format!("{at} {written:?}");
            node(written)?.set(&key, long.clone()).await.ok()?;
            let stored = world.bytes(&key).await.unwrap().len();
            assert_eq!(stored < long.len() / 2, written != Compression::None);
            for read in compressions {
                assert_eq!(*node(read)?.get(&key).await.unwrap(), long);
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn what_compression_does_not_shrink_or_is_short_is_stored_plain() -> Result<()> {
    let world = World::new();
    let node = world.node_with(Settings {
        compression: Compression::Zstd { level: 3 },
        compress_from: 100,
        ..settings()
    });
    node.set("short", "a".repeat(98)).await.ok()?;
    node.set("long", "a".repeat(100)).await.ok()?;
    let (short, long) = (
        world.bytes("short").await.unwrap(),
        world.bytes("long").await.unwrap(),
    );
    assert!(short.ends_with(b"aaaa") && short.len() > 98);
    assert!(long.len() < 80);
    let far = node.with(FAR_ONLY);
    assert_eq!(far.get("long").await.unwrap().value.unwrap().len(), 100);
    Ok(())
}

#[tokio::test]
async fn a_cache_of_plain_bytes_tells_what_it_holds_in_l1() -> Result<()> {
    let cache: Cache<[u8; 100]> = Cache::builder("bytes")
        .l1(tiered::Moka::bytes(10_000))
        .build()?;
    cache.set("1", [0; 100]).await;
    let stats = cache.stats();
    assert_eq!(stats.l1_entries, 1);
    assert!((100..=400).contains(&stats.l1_weight));
    Ok(())
}
