use std::convert::Infallible;

use tiered::{BoxError, Cache, Loaded, Rejection, Result, Settings, Stats};

use crate::support::gate::gate;
use crate::support::loaders::{
    found, found_after, missing, says, unasked, unasked_many, values_of,
};
use crate::support::spy::Op;
use crate::support::world::{DEFAULT, FAR_ONLY, World, others_turn, settings};

fn asked(stats: &Stats) -> u64 {
    stats.l1_hits + stats.l2_hits + stats.misses + stats.coalesced
}

#[tokio::test]
async fn every_key_that_is_read_is_counted_once() -> Result<()> {
    let world = World::new();
    let (a, b) = (world.node(), world.node());
    a.set_many(["1", "2", "3"].map(|key| (key, "x".to_owned())))
        .await;
    b.get("1").await; // L2
    b.get("1").await; // L1
    b.get("9").await; // nothing
    b.get_or_load("2", unasked).await?; // L2
    b.get_or_load("8", found("x")).await?; // loaded
    b.get_many(["1", "3", "1", "7"]).await; // L1, L2, nothing
    b.get_many_or_load(["1", "7", "6", "7"], values_of).await; // L1, loaded, loaded
    let stats = b.stats();
    assert_eq!(
        (stats.l1_hits, stats.l2_hits, stats.misses, stats.coalesced),
        (3, 3, 5, 0)
    );
    assert_eq!((asked(&stats), stats.loads), (11, 3));
    Ok(())
}

#[tokio::test]
async fn what_is_no_read_is_not_counted_as_one() -> Result<()> {
    let node = World::new().node();
    node.set("1", "x".to_owned()).await;
    node.contains("1").await;
    node.contains_many(["1", "2"]).await;
    node.refresh("1", |_| found("y")()).await?;
    node.remove("1").await;
    assert_eq!((asked(&node.stats()), node.stats().loads), (0, 1));
    Ok(())
}

#[tokio::test]
async fn hits_that_say_there_is_none_are_counted_apart() -> Result<()> {
    let world = World::new();
    let (a, b) = (world.node(), world.node());
    a.get_or_load("1", missing).await?;
    assert_eq!(a.stats().negative_hits, 0);
    a.get("1").await;
    b.get("1").await;
    b.get_many_or_load(["1"], unasked_many).await;
    assert_eq!((a.stats().l1_hits, a.stats().negative_hits), (1, 1));
    assert_eq!(
        (
            b.stats().l1_hits,
            b.stats().l2_hits,
            b.stats().negative_hits
        ),
        (1, 1, 2)
    );
    Ok(())
}

#[tokio::test]
async fn those_who_wait_for_anothers_load_are_counted() -> Result<()> {
    let node = World::new().node();
    let (mut stop, gate) = gate();
    let first = node.get_or_load("1", found_after(gate, "x"));
    let others = async {
        stop.reached().await;
        let ask = || node.get_or_load("1", unasked);
        let release = async {
            others_turn().await;
            stop.go();
        };
        tokio::join!(
            ask(),
            ask(),
            node.get_many_or_load(["1"], unasked_many),
            release
        )
    };
    tokio::join!(first, others).0?;
    let stats = node.stats();
    assert_eq!(
        (stats.misses, stats.coalesced, stats.loads, asked(&stats)),
        (1, 3, 1, 4)
    );
    Ok(())
}

#[tokio::test]
async fn loads_and_their_errors_are_counted_by_keys() {
    let node = World::new().node();
    let failing = |_| async { Err::<Vec<(String, String)>, BoxError>("away".into()) };
    node.get_many_or_load(["1", "2"], failing).await;
    node.get_many_or_load(["1", "2", "3"], values_of).await;
    assert!(node.get_or_load("4", unasked).await.is_err());
    assert!(
        node.get_or_load("5", says(Loaded::unchanged()))
            .await
            .is_err()
    );
    let stats = node.stats();
    assert_eq!((stats.loads, stats.load_errors, stats.misses), (7, 4, 7));
}

#[tokio::test]
async fn bytes_are_counted_as_given_and_as_stored() -> Result<()> {
    let world = World::new();
    let node = world.node_with(Settings {
        compression: tiered::Compression::Zstd { level: 3 },
        ..settings()
    });
    node.set("1", "x".repeat(10)).await.ok()?;
    let plain = node.stats();
    assert_eq!((plain.l2_raw_bytes, plain.l2_stored_bytes), (11, 51));
    node.get_or_load("2", found(&"x".repeat(1_000))).await?;
    let both = node.stats();
    assert_eq!(both.l2_raw_bytes - plain.l2_raw_bytes, 1_003);
    assert_eq!(
        both.l2_stored_bytes - plain.l2_stored_bytes,
        world.bytes("2").await.unwrap().len() as u64
    );
    world.spy.fail(&[Op::Set]);
    node.set("3", "x".to_owned()).await;
    assert_eq!(
        (node.stats().l2_raw_bytes, node.stats().l2_errors),
        (both.l2_raw_bytes, 1)
    );
    Ok(())
}

#[tokio::test]
async fn errors_of_l2_are_counted_by_keys_in_reads_and_writes() {
    let world = World::new();
    let node = world.node();
    world.spy.fail(&[Op::Get, Op::Heads, Op::Set, Op::Remove]);
    node.get_many(["1", "2"]).await;
    node.contains_many(["1", "2"]).await;
    node.set_many(["1", "2"].map(|key| (key, "x".to_owned())))
        .await;
    node.remove_many(["1", "2"]).await;
    assert_eq!(node.stats().l2_errors, 8);
}

#[tokio::test]
async fn what_l1_holds_is_told() {
    let node = World::new().near_node();
    assert_eq!(node.stats().l1_entries, 0);
    node.set_many(["1", "2"].map(|key| (key, "x".to_owned())))
        .await;
    assert_eq!((node.stats().l1_entries, node.stats().l1_weight), (2, 0));
    node.remove("1").await;
    assert_eq!(node.stats().l1_entries, 1);
}

/// Two nodes: the first has written `value` under `1`; these bytes then stand there, and the second reads them.
async fn read_altered(reason: Rejection, alter: impl FnOnce(&mut Vec<u8>)) {
    let world = World::new();
    let (a, b) = (world.node(), world.node());
    a.set("1", "value".to_owned()).await;
    let mut bytes = world.bytes("1").await.unwrap();
    alter(&mut bytes);
    world.plant("1", bytes).await;
    is_rejected(&b, reason).await;
}

/// The record under `1` is a miss for this reason and no other, and then replaced.
async fn is_rejected(node: &Cache<String>, reason: Rejection) {
    assert!(node.with(DEFAULT).get("1").await.is_none(), "{reason:?}");
    assert_eq!(
        *node.get_or_load("1", found("loaded")).await.unwrap(),
        "loaded"
    );
    for other in Rejection::ALL {
        let count = node.stats().rejected(other);
        assert_eq!(
            count,
            if other == reason { 2 } else { 0 },
            "{reason:?}: {other:?}"
        );
    }
    let far = node.with(FAR_ONLY).get("1").await.unwrap();
    assert_eq!(far.value.unwrap().as_str(), "loaded");
}

#[tokio::test]
async fn bytes_that_are_no_frame_are_foreign() {
    read_altered(Rejection::Foreign, |bytes| bytes[8] = 0).await;
    read_altered(Rejection::Foreign, Vec::clear).await;
    read_altered(Rejection::Foreign, |bytes| bytes.truncate(39)).await;
    read_altered(Rejection::Foreign, |bytes| {
        *bytes = b"{\"json\": \"of somebody else, who has taken our key\"}".to_vec();
    })
    .await;
}

#[tokio::test]
async fn frames_of_another_format_or_with_unknown_flags_are_of_a_format_we_do_not_know() {
    read_altered(Rejection::Format, |bytes| bytes[9] = 2).await;
    read_altered(Rejection::Format, |bytes| bytes[14] = 0b110).await;
    read_altered(Rejection::Format, |bytes| bytes[14] = 0b1000_0000).await;
}

#[tokio::test]
async fn damaged_frames_are_corrupt() {
    for at in [10, 13, 18, 24, 30, 35, 40, 45] {
        read_altered(Rejection::Corrupt, |bytes| bytes[at] ^= 0x10).await;
    }
    read_altered(Rejection::Corrupt, |bytes| bytes.truncate(40)).await;
    read_altered(Rejection::Corrupt, |bytes| bytes.push(0)).await;
}

#[tokio::test]
async fn a_record_copied_to_another_key_is_rejected() {
    let world = World::new();
    let (a, b) = (world.node(), world.node());
    a.set("2", "of another".to_owned()).await;
    let bytes = world.bytes("2").await.unwrap();
    world.plant("1", bytes).await;
    assert!(!world.node().contains("1").await);
    is_rejected(&b, Rejection::Key).await;
}

#[tokio::test]
async fn values_of_another_schema_or_codec_or_beyond_the_limits_are_rejected() -> Result<()> {
    let world = World::new();
    let zstd = Settings {
        compression: tiered::Compression::Zstd { level: 3 },
        ..settings()
    };
    let writer = world.node_with(zstd);
    let long = "x".repeat(1_000);
    let schema = world.node_with(Settings {
        schema: 7,
        ..settings()
    });
    let codec = world
        .builder()
        .l2_with(world.store.clone(), tiered::Json)
        .build()?;
    let stored = world.node_with(Settings {
        max_stored_bytes: 50,
        ..settings()
    });
    let unpacked = world.node_with(Settings {
        max_value_bytes: 999,
        ..settings()
    });
    let reads = [
        (schema, Rejection::Schema),
        (codec, Rejection::Codec),
        (stored, Rejection::TooLarge),
        (unpacked, Rejection::TooLarge),
    ];
    for (node, reason) in reads {
        writer.set("1", long.clone()).await.ok()?;
        is_rejected(&node, reason).await;
    }
    Ok(())
}

#[tokio::test]
async fn a_payload_that_the_codec_does_not_take_is_rejected() -> Result<()> {
    let world = World::new();
    // The frame is whole, and the codec the same: only the type is another one.
    let other: Cache<u8> = Cache::builder("users")
        .l2(world.store.clone())
        .clock(world.hand.clone())
        .build()?;
    other.set("1", 200).await.ok()?;
    is_rejected(&world.node(), Rejection::Decode).await;
    Ok(())
}

#[tokio::test]
async fn a_removal_and_a_presence_test_count_what_they_reject() {
    let world = World::new();
    let node = world.node();
    world.plant("1", b"garbage".to_vec()).await;
    assert!(!node.contains("1").await);
    assert_eq!(node.remove("1").await.present, 0);
    assert_eq!(node.stats().rejected(Rejection::Foreign), 2);
}

#[tokio::test]
async fn a_batch_counts_each_rejected_member() {
    let world = World::new();
    let node = world.node();
    for key in ["1", "2", "3"] {
        world.plant(key, b"garbage".to_vec()).await;
    }
    let load = |_| async { Ok::<Vec<(String, String)>, Infallible>(Vec::new()) };
    node.get_many_or_load(["1", "2", "4"], load).await;
    assert_eq!(
        (
            node.stats().rejected(Rejection::Foreign),
            node.stats().misses
        ),
        (2, 3)
    );
}
