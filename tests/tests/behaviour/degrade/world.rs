//! Values that may serve for a while after they have ceased to be fresh, and loaders that fail.

use std::fmt;

use tiered::{Answer, Cache, Deadlines, Error, ErrorKind, LoadResult, Moka, Options, Settings};

use crate::coherence::world::Loading;
use crate::support::world::{DEFAULT, World, millis, promptly, settings};

/// Fresh for 10 seconds, and of use for a minute after that.
pub(crate) fn lasting() -> Settings {
    Settings {
        stale_for: millis(60_000),
        ..settings()
    }
}

/// The same with deadlines that are altered.
pub(crate) fn with_deadlines(alter: impl FnOnce(&mut Deadlines)) -> Settings {
    let mut settings = lasting();
    alter(&mut settings.deadlines);
    settings
}

/// A node whose key 1 has just ceased to be fresh in both tiers.
pub(crate) async fn outlived(settings: Settings) -> (World, Cache<String>) {
    let world = World::new();
    let node = world.node_with(settings);
    node.set("1", "old".to_owned()).await.ok().unwrap();
    world.live(10_000).await;
    (world, node)
}

/// The same with L1 alone.
pub(crate) async fn outlived_in_l1(settings: Settings) -> (World, Cache<String>) {
    let world = World::new();
    let node = world.bare().l1(Moka::entries(100)).settings(settings);
    let node = node.build().unwrap();
    node.set("1", "old".to_owned()).await.ok().unwrap();
    world.live(10_000).await;
    (world, node)
}

/// The same with L2 alone.
pub(crate) async fn outlived_in_l2(settings: Settings) -> (World, Cache<String>) {
    let world = World::new();
    let node = world.bare().l2(world.spy.clone()).settings(settings);
    let node = node.build().unwrap();
    node.set("1", "old".to_owned()).await.ok().unwrap();
    world.live(10_000).await;
    (world, node)
}

#[derive(Debug)]
pub(crate) struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the source is broken")
    }
}

impl std::error::Error for Broken {}

/// A loader that fails.
pub(crate) async fn broken() -> Result<String, Broken> {
    Err(Broken)
}

/// A batch loader that fails.
pub(crate) async fn broken_many(_keys: Vec<String>) -> Result<Vec<(String, String)>, Broken> {
    Err(Broken)
}

/// A loader that panics.
pub(crate) async fn panics() -> Result<String, Broken> {
    panic!("the loader panics, as it is meant to")
}

/// A `get_or_load` on a task of its own.
pub(crate) fn begin<F, Fut, R>(
    cache: &Cache<String>,
    key: &str,
    options: Options,
    load: F,
) -> Loading
where
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = R> + Send + 'static,
    R: LoadResult<String> + 'static,
{
    let (cache, key) = (cache.clone(), key.to_owned());
    tokio::spawn(async move { cache.with(options).get_or_load(&key, load).await })
}

/// A `get_or_load` that is answered without waiting for the clock.
pub(crate) async fn ask<F, Fut, R>(
    cache: &Cache<String>,
    key: &str,
    load: F,
) -> Result<Answer<String>, Error>
where
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = R> + Send + 'static,
    R: LoadResult<String> + 'static,
{
    promptly(cache.with(DEFAULT).get_or_load(key, load)).await
}

/// The kind of error in which the load has ended.
pub(crate) async fn failure(loading: Loading) -> ErrorKind {
    let outcome = promptly(loading).await.unwrap();
    outcome.expect_err("it fails").kind()
}

/// What a caller sees of an answer: the value, whether it is stale, and why.
pub(crate) type Sight = (Option<String>, bool, Option<ErrorKind>);

pub(crate) fn sight(answer: &Answer<String>) -> Sight {
    let value = answer.value.as_deref().cloned();
    let why = answer.failure.as_ref().map(Error::kind);
    (value, answer.is_stale, why)
}

/// An older copy, for this reason.
pub(crate) fn old(value: &str, why: ErrorKind) -> Sight {
    (Some(value.to_owned()), true, Some(why))
}

/// A value that is in order.
pub(crate) fn fine(value: &str) -> Sight {
    (Some(value.to_owned()), false, None)
}
