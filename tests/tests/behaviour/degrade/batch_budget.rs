//! A large batch has more time for L2, but an end.

use tiered::Cache;

use crate::support::loaders::values_of;
use crate::support::spy::{Op, When};
use crate::support::world::{DEFAULT, FAR_ONLY, World, promptly};

/// A node that has all marks, whose L2 hangs from now on.
async fn frozen(ops: &[Op]) -> (World, Cache<String>) {
    let world = World::new();
    let node = world.node();
    node.contains("nothing").await;
    world.spy.freeze(ops);
    (world, node)
}

fn keys(count: usize) -> Vec<String> {
    (0..count).map(|key| key.to_string()).collect()
}

#[tokio::test]
async fn a_large_batch_has_more_time_but_an_end() {
    let (world, node) = frozen(&[Op::Get]).await;
    let asking = tokio::spawn(async move {
        let keys = keys(3_000);
        node.get_many(keys.iter().map(String::as_str)).await
    });
    world.live(140).await;
    assert!(!asking.is_finished());
    world.live(60).await;
    assert!(asking.is_finished());
    assert!(promptly(asking).await.unwrap().iter().all(Option::is_none));
}

#[tokio::test]
async fn large_batches_of_writes_end_too() {
    let (world, node) = frozen(&[Op::Set, Op::Remove]).await;
    let cache = node.clone();
    let setting = tokio::spawn(async move {
        let items = keys(3_000).into_iter().map(|key| (key, "new".to_owned()));
        cache.set_many(items).await
    });
    let removing = tokio::spawn(async move {
        let keys = keys(3_000);
        node.remove_many(keys.iter().map(String::as_str)).await
    });
    world.live(140).await;
    assert!(!setting.is_finished() && !removing.is_finished());
    world.live(60).await;
    assert!(setting.is_finished() && removing.is_finished());
    assert_eq!(promptly(removing).await.unwrap().failed, 3_000);
}

#[tokio::test]
async fn a_large_batch_of_loads_ends_within_its_time() {
    let (world, node) = frozen(&Op::ALL).await;
    let loading = tokio::spawn(async move {
        let keys = keys(3_000);
        let keys = keys.iter().map(String::as_str);
        node.get_many_or_load(keys, values_of).await
    });
    world.live(200).await;
    let answers = promptly(loading).await.unwrap();
    assert!(answers.into_iter().all(|answer| answer.is_ok()));
}

#[tokio::test]
async fn a_batchs_larger_budget_is_for_all_that_it_asks() {
    let world = World::new();
    let (keys, tags) = (keys(3_000), ["red"]);
    let items = keys.iter().map(|key| (key.as_str(), "there".to_owned()));
    let other = world.node();
    other.with(DEFAULT).tags(&tags).set_many(items).await;
    let node = world.node();
    node.contains("nothing").await;
    let mut far = world.spy.hold(Op::Get, When::After);
    let reading = tokio::spawn(async move {
        let answers = node
            .with(FAR_ONLY)
            .get_many(keys.iter().map(String::as_str));
        answers.await.into_iter().flatten().count()
    });
    far.reached().await;
    world.live(60).await;
    far.go();
    assert_eq!(promptly(reading).await.unwrap(), 3_000);
}
