use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use tiered_core::{BoxError, Key, Result};

use crate::batch::{Batch, last_of_each, values};
use crate::builder::Builder;
use crate::call::Call;
use crate::loader::{Held, LoadResult, Loaded};
use crate::options::Options;
use crate::shared::Shared;
use crate::shutdown::Owner;
use crate::written::{Removed, Written};

/// A two-tier cache of values `V` under keys `K`: a cheap handle, to be cloned and shared.
///
/// The methods here answer simply. The same methods on [`with`](Cache::with) take per-call [`Options`] and answer in
/// full: where an answer came from and how old it is.
///
/// Caches of one namespace on one L2, in this process or others, are the *nodes* of the namespace. They tell each other of
/// changes, and each knows when it may have missed something: see [`Coherence`](crate::Coherence).
///
/// Reads never fail because L2 fails: that is a miss, and is counted in [`stats`](Cache::stats). A key is *present*
/// if L1, or else L2, has a fresh value under it: "there is none", what is no longer fresh and what is not a frame of
/// this cache's are not values. Presence in L2 is judged by a record's head; its payload is not read.
///
/// Any future may be dropped. A read that is dropped ends for its caller only, and a load goes on for the others. A
/// write that has begun is finished.
///
/// Loads run as tasks on the tokio runtime of the caller who began them, and wait when that runtime does not run. It needs
/// its timer (`enable_time`). The task by which a node hears the others runs on the runtime of its first use, and ends with
/// the last handle. What
/// a value's own `Drop` does must not use the cache that holds it.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> tiered::Result<()> {
/// use std::convert::Infallible;
/// use tiered::{Cache, Embedded, Moka};
///
/// let names: Cache<String> = Cache::builder("names").l1(Moka::entries(10_000)).l2(Embedded::new()).build()?;
/// let load = || async { Ok::<_, Infallible>("Ada".to_owned()) };
/// assert_eq!(names.get_or_load("42", load).await?.as_str(), "Ada");
/// assert_eq!(names.get("42").await.unwrap().as_str(), "Ada");
/// # Ok(())
/// # }
/// ```
pub struct Cache<V, K: Key + ?Sized = str> {
    pub(crate) shared: Arc<Shared<V, K>>,
    owner: Arc<Owner<V, K>>,
}

impl<V: Send + Sync + 'static> Cache<V> {
    /// A builder of a cache with string keys, on a namespace. For other keys see [`Builder::new`].
    pub fn builder(namespace: impl Into<String>) -> Builder<V> {
        Builder::new(namespace)
    }
}

impl<V: Send + Sync + 'static, K: Key + ?Sized> Cache<V, K> {
    pub(crate) fn new(shared: Shared<V, K>) -> Self {
        let shared = Arc::new(shared);
        let owner = Arc::new(Owner(Arc::clone(&shared)));
        Self { shared, owner }
    }

    /// The same cache for a call that differs from its settings, and that answers in full.
    #[must_use]
    pub fn with(&self, options: Options) -> Call<'_, V, K> {
        Call::new(&self.shared, options)
    }

    /// The value under `key`, from L1 or else from L2. `None`: it is not known, or known not to exist.
    ///
    /// A hit in L1 does not wait, and allocates nothing. So a loop of nothing but hits never gives way to other tasks:
    /// where that matters, call `tokio::task::consume_budget` in it.
    pub async fn get(&self, key: &K) -> Option<Arc<V>> {
        if let Some(entry) = self.shared.hit(key, self.shared.now()) {
            return entry.value;
        }
        let answer = self.shared.get_far_boxed(key, Options::default()).await;
        answer?.value
    }

    /// The value under `key`, from L1, or else from L2, or else from `load`, which is run once however many ask.
    ///
    /// Once in this process, and once over all processes that share L2 and a backplane: if another one loads the key, its
    /// result is waited for. What was loaded goes to both tiers, unless the key was written or invalidated meanwhile, on any
    /// node. The loader runs on a task of its own and goes on if the caller goes away, until it is
    /// [abandoned](crate::Deadlines::abandon). A loader that asks the cache for the key it loads waits for itself.
    ///
    /// Where an older copy may serve ([`stale_for`](crate::Settings::stale_for)), it is the answer in place of an error, and after
    /// [`Deadlines::soft`](crate::Deadlines::soft) in place of more waiting. [`with`](Self::with) tells which it was.
    ///
    /// # Errors
    /// Where no older copy serves. They go to all who wait, and are not cached:
    ///
    /// - [`Loader`](crate::ErrorKind::Loader) with the loader's error as cause, or [`Panicked`](crate::ErrorKind::Panicked);
    /// - [`Authoritative`](crate::ErrorKind::Authoritative), the source's last word, which no older copy covers;
    /// - [`Timeout`](crate::ErrorKind::Timeout) after [`Deadlines::hard`](crate::Deadlines::hard), or if the load was abandoned;
    /// - [`Overloaded`](crate::ErrorKind::Overloaded) if there was no room for one more loader;
    /// - [`Aborted`](crate::ErrorKind::Aborted) if the runtime or the cache was shut down;
    /// - [`NotFound`](crate::ErrorKind::NotFound) where the loader's type has no room for "not found".
    #[expect(
        clippy::manual_async_fn,
        reason = "of an `async fn` the compiler cannot show within a task that it is `Send` for each `R`"
    )]
    pub fn get_or_load<F, Fut, R>(
        &self,
        key: &K,
        load: F,
    ) -> impl Future<Output = Result<R::Output>> + Send
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = R> + Send + 'static,
        R: LoadResult<V>,
    {
        async move {
            let now = self.shared.now();
            let call = self.with(Options::default());
            let Some(entry) = self.shared.hit(key, now) else {
                return R::output(call.load(key, load).await?.value);
            };
            if self.shared.may_be_early(&entry, now) {
                call.load_early((key, &entry), now, load);
            }
            R::output(entry.value)
        }
    }

    /// [`get_or_load`](Self::get_or_load) with a loader that is shown the older copy, if there is one that may be used, and may
    /// answer that it is [unchanged](Loaded::unchanged): for sources that can say so more cheaply than they send the
    /// value.
    ///
    /// # Errors
    /// As for [`get_or_load`](Self::get_or_load).
    #[expect(
        clippy::manual_async_fn,
        reason = "of an `async fn` the compiler cannot show within a task that it is `Send` for each `R`"
    )]
    pub fn get_or_reload<F, Fut, R>(
        &self,
        key: &K,
        load: F,
    ) -> impl Future<Output = Result<R::Output>> + Send
    where
        F: FnOnce(Option<Arc<V>>) -> Fut + Send + 'static,
        Fut: Future<Output = R> + Send + 'static,
        R: LoadResult<V>,
    {
        async move {
            let call = self.with(Options::default());
            R::output(call.get_or_reload(key, load).await?.value)
        }
    }

    /// The values under many keys, one answer for each key in their order: from L1, and the rest from L2 in one round
    /// trip. The keys are given by reference: `&ids`, `["1", "2"]`, or any iterator of references.
    pub fn get_many<'k, Q: Borrow<K> + ?Sized + 'k>(
        &self,
        keys: impl IntoIterator<Item = &'k Q>,
    ) -> impl Future<Output = Vec<Option<Arc<V>>>> + Send {
        let batch = Batch::new(keys);
        async move {
            let answers = self.with(Options::default()).read_batch(&batch).await;
            answers.into_iter().map(|answer| answer?.value).collect()
        }
    }

    /// The values under many keys, one outcome for each key in their order: from L1, the rest from L2 in one round
    /// trip, and what is still missing from one call of `load`.
    ///
    /// The loader gets the missing keys, each once, and answers with pairs of a key and a value, an [`Option`] or a
    /// [`Loaded`]. A key that it leaves out does not exist; keys it was not asked for are ignored. Keys that another
    /// call or another process loads at this time are not loaded again but waited for. The loader is cloned, for what
    /// another process does not bring in time is asked of it too.
    ///
    /// # Errors
    /// If the loader fails or panics, each of its keys has that error; the others have their values.
    pub fn get_many_or_load<'k, Q, F, Fut, I, A, E>(
        &self,
        keys: impl IntoIterator<Item = &'k Q>,
        load: F,
    ) -> impl Future<Output = Vec<Result<Option<Arc<V>>>>> + Send
    where
        Q: Borrow<K> + ?Sized + 'k,
        F: FnOnce(Vec<K::Owned>) -> Fut + Clone + Send + 'static,
        Fut: Future<Output = Result<I, E>> + Send + 'static,
        I: IntoIterator<Item = (K::Owned, A)>,
        A: Into<Loaded<V>>,
        E: Into<BoxError>,
    {
        let batch = Batch::new(keys);
        async move { values(self.with(Options::default()).load_batch(&batch, load).await) }
    }

    /// Whether `key` is present.
    pub async fn contains(&self, key: &K) -> bool {
        self.shared
            .contains(&[key], &Options::default())
            .await
            .first()
            .is_some_and(|is_present| *is_present)
    }

    /// Whether these keys are present, one answer for each in their order. At most one round trip to L2, without the
    /// values; a second one for those that carry tags.
    pub fn contains_many<'k, Q: Borrow<K> + ?Sized + 'k>(
        &self,
        keys: impl IntoIterator<Item = &'k Q>,
    ) -> impl Future<Output = Vec<bool>> + Send {
        let batch = Batch::new(keys);
        async move {
            batch.spread(
                self.shared
                    .contains(batch.keys(), &Options::default())
                    .await,
            )
        }
    }

    /// Puts a value under `key`, in L2 and then in L1, and tells the other nodes. Loads that run at this time, on any node, put
    /// nothing over it.
    ///
    /// Sets of one key by several nodes stay in the order in which they reach L2. After a write to a database that several
    /// nodes write, call [`remove`](Self::remove) instead: two sets may reach L2 in the other order than the database.
    pub async fn set(&self, key: &K, value: impl Into<Arc<V>> + Send) -> Written {
        self.with(Options::default()).set(key, value).await
    }

    /// Puts many values under their keys, in one round trip to L2, and says for each what became of it. Of a key that
    /// occurs twice, the last value counts.
    pub fn set_many<Q: Borrow<K>, A: Into<Arc<V>>>(
        &self,
        items: impl IntoIterator<Item = (Q, A)>,
    ) -> impl Future<Output = Vec<Written>> + Send {
        let (items, places) = last_of_each(items);
        async move {
            self.with(Options::default())
                .write_batch(items, places)
                .await
        }
    }

    /// Removes the value under `key` from both tiers, and tells the other nodes. Loads and reads that run at this time, on any
    /// node, do not bring it back.
    pub async fn remove(&self, key: &K) -> Removed {
        let keys = vec![key.to_owned()];
        self.shared
            .finish(keys.len(), |shared| shared.remove(keys))
            .await
    }

    /// Removes the values under many keys from both tiers, in one round trip to L2, and says how many were present.
    pub fn remove_many<'k, Q: Borrow<K> + ?Sized + 'k>(
        &self,
        keys: impl IntoIterator<Item = &'k Q>,
    ) -> impl Future<Output = Removed> + Send {
        let keys = Batch::<K>::new(keys).to_owned_keys();
        async move {
            self.shared
                .finish(keys.len(), |shared| shared.remove(keys))
                .await
        }
    }

    /// Ends the freshness of what is under `key`, in both tiers and on all nodes. The next `get_or_load` loads it anew; until
    /// then it may serve as a fallback, for as long as it would have lived.
    ///
    /// As strong as [`remove`](Self::remove): no load that has begun before can undo it. Dropped half-way, it is finished in
    /// the background.
    pub async fn expire(&self, key: &K) -> Removed {
        let keys = vec![key.to_owned()];
        self.shared
            .finish(keys.len(), |shared| shared.expire(keys))
            .await
    }

    /// [`expire`](Self::expire) of many keys, in one round trip.
    pub fn expire_many<'k, Q: Borrow<K> + ?Sized + 'k>(
        &self,
        keys: impl IntoIterator<Item = &'k Q>,
    ) -> impl Future<Output = Removed> + Send {
        let keys = Batch::<K>::new(keys).to_owned_keys();
        async move {
            self.shared
                .finish(keys.len(), |shared| shared.expire(keys))
                .await
        }
    }

    /// Removes every value that carries this tag, in both tiers and on all nodes: O(1), for the tag gets a new mark, and
    /// values that carry the old one count as removed. Other values are not disturbed, but loads that are under way are not
    /// joined by later callers.
    ///
    /// # Errors
    /// L2 has not confirmed it: it is done on this node, is repeated in the background until L2 has taken it, and until then
    /// this node takes nothing with this tag from L2. Or the backplane failed: other nodes may hold older copies until those
    /// end. Or nothing can carry such a tag: it is empty, or longer than 128 bytes.
    pub async fn remove_tag(&self, tag: &str) -> Result<()> {
        let tag = tag.into();
        self.shared.finish(1, |shared| shared.remove_tag(tag)).await
    }

    /// Removes every value of this namespace, in both tiers and on all nodes: O(1), for the namespace gets a new mark. Other
    /// namespaces on the same L2 are not touched. What was cleared keeps its room until it is overwritten, evicted, or its
    /// life ends.
    ///
    /// # Errors
    /// L2 has not confirmed it: it is done on this node, is repeated in the background until L2 has taken it, and until then
    /// this node takes nothing from L2. Or the backplane failed: other nodes may hold older copies until those end.
    pub async fn clear(&self) -> Result<()> {
        self.shared.finish(1, Shared::clear).await
    }

    /// Loads the value under `key` although it may be cached, and replaces it.
    ///
    /// The load begins now, or as soon as one that already runs has ended; all who ask meanwhile share it. The loader
    /// is shown the copy it would replace, and may answer that it is [unchanged](Loaded::unchanged). If L2 cannot be
    /// asked for that copy, it is not written either, and keeps what it has.
    ///
    /// # Errors
    /// As for [`get_or_load`](Cache::get_or_load); what was cached then stays.
    #[expect(
        clippy::manual_async_fn,
        reason = "of an `async fn` the compiler cannot show within a task that it is `Send` for each `R`"
    )]
    pub fn refresh<F, Fut, R>(
        &self,
        key: &K,
        load: F,
    ) -> impl Future<Output = Result<R::Output>> + Send
    where
        F: FnOnce(Option<Arc<V>>) -> Fut + Send + 'static,
        Fut: Future<Output = R> + Send + 'static,
        R: LoadResult<V>,
    {
        async move {
            let call = self.with(Options::default());
            R::output(call.refresh(key, load).await?.value)
        }
    }

    /// Loads the values under many keys although they may be cached, and replaces them; one outcome for each key in
    /// their order.
    ///
    /// The loader is called once for all keys that nobody loads at this time, and once for each other key as soon as
    /// its load has ended.
    ///
    /// # Errors
    /// As for [`get_many_or_load`](Cache::get_many_or_load); what was cached then stays.
    pub fn refresh_many<'k, Q, F, Fut, I, A, E>(
        &self,
        keys: impl IntoIterator<Item = &'k Q>,
        load: F,
    ) -> impl Future<Output = Vec<Result<Option<Arc<V>>>>> + Send
    where
        Q: Borrow<K> + ?Sized + 'k,
        F: FnOnce(Vec<Held<V, K::Owned>>) -> Fut + Clone + Send + 'static,
        Fut: Future<Output = Result<I, E>> + Send + 'static,
        I: IntoIterator<Item = (K::Owned, A)>,
        A: Into<Loaded<V>>,
        E: Into<BoxError>,
    {
        let batch = Batch::new(keys);
        async move {
            values(
                self.with(Options::default())
                    .refresh_batch(&batch, load)
                    .await,
            )
        }
    }

    /// The namespace.
    pub fn namespace(&self) -> &str {
        &self.shared.namespace
    }
}

impl<V, K: Key + ?Sized> Clone for Cache<V, K> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            owner: Arc::clone(&self.owner),
        }
    }
}

impl<V, K: Key + ?Sized> fmt::Debug for Cache<V, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("namespace", &self.shared.namespace)
            .field("settings", &self.shared.settings)
            .finish_non_exhaustive()
    }
}
