//! Nodes that share a store, and hear each other.

use std::ops::Deref;
use std::sync::Arc;

use futures_util::FutureExt;
use tiered::{
    Answer, Backplane, Cache, Coherence, Kind, L2, LoadResult, Moka, NewMark, News, Options,
    Random, Record, Result, Settings, Subscription, Version,
};
use tokio::task::JoinHandle;

use super::line::Line;
use crate::support::loaders::{found, unasked};
use crate::support::spy::Spy;
use crate::support::world::{DEFAULT, NEAR_ONLY, World, millis, others_turn, settings};

/// A [`World`] whose nodes are not deaf.
pub(crate) struct Town(World);

impl Town {
    pub(crate) fn new() -> Self {
        Self(World::new())
    }

    pub(crate) async fn node(&self) -> Node {
        self.node_with(settings()).await
    }

    pub(crate) async fn node_with(&self, settings: Settings) -> Node {
        let node = self.sleeper(settings);
        node.wake().await;
        node
    }

    /// Two nodes that have heard of each other.
    pub(crate) async fn two(&self) -> (Node, Node) {
        self.two_with(settings()).await
    }

    pub(crate) async fn two_with(&self, settings: Settings) -> (Node, Node) {
        let a = self.node_with(settings.clone()).await;
        let b = self.node_with(settings).await;
        // The younger one may have missed somebody's first word: it doubts once more, until everybody has spoken again.
        self.live(1_050).await;
        (a, b)
    }

    /// A node that was not used yet.
    pub(crate) fn sleeper(&self, settings: Settings) -> Node {
        let spy = Spy::new(self.store.clone());
        let line = Line::new(self.link());
        let cache = self
            .bare()
            .l1(Moka::entries(100_000))
            .l2(spy.clone())
            .backplane(line.clone())
            .settings(settings);
        let cache = cache.build().unwrap();
        Node { cache, spy, line }
    }

    pub(crate) fn link(&self) -> Arc<dyn Backplane> {
        self.store.backplane().unwrap()
    }

    /// The value that L2 has, if it has a fresh one, as somebody sees it who has seen nothing before.
    pub(crate) async fn in_l2(&self, key: &str) -> Option<String> {
        let value = self.far_node().get(key).await?;
        Some(Arc::unwrap_or_clone(value))
    }

    pub(crate) async fn kind_in_l2(&self, key: &str) -> Option<Kind> {
        let bytes = self.bytes(key).await?;
        Some(Record::new(bytes).kind())
    }

    /// Lets L2 forget what it has under this key, as a store does that needs the room.
    pub(crate) async fn lose(&self, key: &str) {
        let name = format!("users:{key}");
        self.store.remove_many(&[&name]).await.remove(0).unwrap();
    }

    /// Puts another mark in place of what L2 has under this name, and tells nobody.
    pub(crate) async fn alter_mark(&self, name: &str) {
        let version = Version::random(&Random::new());
        let life = millis(3_600_000);
        let mark = NewMark {
            name,
            version,
            life,
        };
        self.store.write_marks(&[mark]).await.unwrap();
    }

    /// Sends this text to all nodes.
    pub(crate) async fn say(&self, text: &str) {
        let message = text.to_owned().into();
        self.link().publish("users", message).await.unwrap();
        others_turn().await;
    }

    pub(crate) fn listener(&self) -> Listener {
        Listener(self.link().subscribe("users"))
    }
}

impl Deref for Town {
    type Target = World;

    fn deref(&self) -> &World {
        &self.0
    }
}

/// Hears what is said.
pub(crate) struct Listener(Box<dyn Subscription>);

impl Listener {
    /// All that was said since it was last asked, line by line, without the heads of the messages.
    pub(crate) fn lines(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(Some(news)) = self.0.next().now_or_never() {
            if let News::Message(message) = news {
                let text = String::from_utf8(message.to_vec()).unwrap();
                lines.extend(text.lines().skip(1).map(str::to_owned));
            }
        }
        lines
    }
}

/// A cache, its L2 and its backplane, as it sees them.
pub(crate) struct Node {
    pub(crate) cache: Cache<String>,
    pub(crate) spy: Spy,
    pub(crate) line: Line,
}

impl Node {
    /// Lets it subscribe and hear itself.
    pub(crate) async fn wake(&self) {
        self.cache.contains("nothing").await;
        others_turn().await;
    }

    /// What L1 has and trusts.
    pub(crate) async fn near(&self, key: &str) -> Option<String> {
        self.read(key, NEAR_ONLY).await
    }

    pub(crate) async fn read(&self, key: &str, options: Options) -> Option<String> {
        let answer = self.cache.with(options).get(key).await?;
        answer.value.map(Arc::unwrap_or_clone)
    }

    /// What a plain `get` finds.
    pub(crate) async fn value(&self, key: &str) -> Option<String> {
        self.read(key, DEFAULT).await
    }

    /// What `get_or_load` answers where this is what the source has.
    pub(crate) async fn value_or(&self, key: &str, source: &str) -> String {
        let value = self.cache.get_or_load(key, found(source)).await.unwrap();
        Arc::unwrap_or_clone(value)
    }

    /// What `get_or_load` answers where the loader must not be asked.
    pub(crate) async fn value_unasked(&self, key: &str) -> String {
        let value = self.cache.get_or_load(key, unasked).await.unwrap();
        Arc::unwrap_or_clone(value)
    }

    /// `get_or_load` on a task of its own.
    pub(crate) fn load<F, Fut, R>(&self, key: &str, load: F) -> Loading
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = R> + Send + 'static,
        R: LoadResult<String> + 'static,
    {
        self.load_with(DEFAULT, key, load)
    }

    pub(crate) fn load_with<F, Fut, R>(&self, options: Options, key: &str, load: F) -> Loading
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = R> + Send + 'static,
        R: LoadResult<String> + 'static,
    {
        let (cache, key) = (self.cache.clone(), key.to_owned());
        tokio::spawn(async move { cache.with(options).get_or_load(&key, load).await })
    }

    /// The same with tags named by the call.
    pub(crate) fn load_tagged<F, Fut, R>(&self, key: &str, tag: &str, load: F) -> Loading
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = R> + Send + 'static,
        R: LoadResult<String> + 'static,
    {
        let (cache, key, tag) = (self.cache.clone(), key.to_owned(), tag.to_owned());
        tokio::spawn(async move {
            let tags = [tag.as_str()];
            let call = cache.with(DEFAULT).tags(&tags);
            call.get_or_load(&key, load).await
        })
    }

    pub(crate) async fn set_tagged(&self, key: &str, value: &str, tags: &[&str]) {
        let call = self.cache.with(DEFAULT).tags(tags);
        call.set(key, value.to_owned()).await.ok().unwrap();
    }

    pub(crate) async fn put(&self, key: &str, value: &str) {
        self.cache.set(key, value.to_owned()).await.ok().unwrap();
    }
}

impl Deref for Node {
    type Target = Cache<String>;

    fn deref(&self) -> &Cache<String> {
        &self.cache
    }
}

pub(crate) type Loading = JoinHandle<Result<Answer<String>>>;

/// What the load answered.
pub(crate) async fn answered(loading: Loading) -> String {
    let answer = answer(loading).await;
    Arc::unwrap_or_clone(answer.value.unwrap())
}

pub(crate) async fn answer(loading: Loading) -> Answer<String> {
    let answer = crate::support::world::promptly(loading).await;
    answer.unwrap().unwrap()
}

/// The test's settings, but for coherence.
pub(crate) fn with_coherence(coherence: Coherence) -> Settings {
    Settings {
        coherence,
        ..settings()
    }
}

pub(crate) fn with_stale_for(stale_for: u64) -> Settings {
    Settings {
        stale_for: millis(stale_for),
        ..settings()
    }
}
