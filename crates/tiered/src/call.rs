use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use tiered_core::{BoxError, Entry, Key, Result, Tick};

use crate::answer::{Answer, Source};
use crate::batch::{Batch, Places, fill, gaps, last_of_each, only};
use crate::landing::Landed;
use crate::load_fn;
use crate::loader::{Held, LoadResult, Loaded};
use crate::options::{Options, Terms};
use crate::shared::Shared;
use crate::written::Written;

/// A [`Cache`](crate::Cache) seen by one call: with [`Options`] of its own, and with answers in full.
///
/// A read answers with an [`Answer`]: the value or that there is none, its source and its age. `None` from `get` means
/// that nothing is known; an answer without a value, that it is known not to exist.
///
/// A removal has no options: it always concerns both tiers.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> tiered::Result<()> {
/// use std::convert::Infallible;
/// use tiered::{Cache, Moka, Options, Source};
///
/// let names: Cache<String> = Cache::builder("names").l1(Moka::entries(100)).build()?;
/// let none = || async { Ok::<Option<String>, Infallible>(None) };
/// let names = names.with(Options::default());
/// assert!(names.get("42").await.is_none());
/// assert_eq!(names.get_or_load("42", none).await?.source, Source::Loader);
/// let known = names.get("42").await.expect("it is known now, not to exist");
/// assert!(known.value.is_none());
/// # Ok(())
/// # }
/// ```
pub struct Call<'a, V, K: Key + ?Sized = str> {
    shared: &'a Arc<Shared<V, K>>,
    options: Options,
    tags: &'a [&'a str],
}

impl<'a, V: Send + Sync + 'static, K: Key + ?Sized> Call<'a, V, K> {
    pub(crate) fn new(shared: &'a Arc<Shared<V, K>>, options: Options) -> Self {
        Self {
            shared,
            options,
            tags: &[],
        }
    }

    /// The tags of what this call sets or loads: [`remove_tag`](crate::Cache::remove_tag) of any of them removes it. At most
    /// 32, of 1 to 128 bytes each.
    #[must_use]
    pub fn tags(self, tags: &'a [&'a str]) -> Self {
        Self { tags, ..self }
    }

    fn terms(&self) -> Terms {
        Terms::new(self.options, self.tags)
    }

    /// [`Cache::get`](crate::Cache::get), in full.
    pub async fn get(self, key: &K) -> Option<Answer<V>> {
        if let Some(answer) = self.shared.get_near(key, &self.options) {
            return Some(answer);
        }
        self.shared.get_far_boxed(key, self.options).await
    }

    /// [`Cache::get_or_load`](crate::Cache::get_or_load), in full.
    ///
    /// # Errors
    /// [`Loader`](crate::ErrorKind::Loader) with the loader's error as cause, or
    /// [`Panicked`](crate::ErrorKind::Panicked).
    pub async fn get_or_load<F, Fut, R>(self, key: &K, load: F) -> Result<Answer<V>>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = R> + Send + 'static,
        R: LoadResult<V>,
    {
        let now = self.shared.now();
        let Some(entry) = self.shared.hit_with(key, now, &self.options) else {
            return self.load(key, load).await;
        };
        if self.shared.may_be_early(&entry, now) {
            self.load_early((key, &entry), now, load);
        }
        Ok(Answer::new(Landed::new(entry, Source::L1), now))
    }

    /// [`Cache::get_or_reload`](crate::Cache::get_or_reload), in full.
    ///
    /// # Errors
    /// As for [`get_or_load`](Self::get_or_load).
    pub async fn get_or_reload<F, Fut, R>(self, key: &K, load: F) -> Result<Answer<V>>
    where
        F: FnOnce(Option<Arc<V>>) -> Fut + Send + 'static,
        Fut: Future<Output = R> + Send + 'static,
        R: LoadResult<V>,
    {
        let now = self.shared.now();
        let Some(entry) = self.shared.hit_with(key, now, &self.options) else {
            let load = load_fn::of_one_held::<V, K, _, _, _>(load);
            return self.shared.get_or_load_boxed(key, self.terms(), load).await;
        };
        if self.shared.may_be_early(&entry, now) {
            let load = || load_fn::of_one_held::<V, K, _, _, _>(load);
            self.shared
                .refresh_early((key, &entry), now, self.terms(), load);
        }
        Ok(Answer::new(Landed::new(entry, Source::L1), now))
    }

    /// What a flight brings, for a key that L1 has not.
    pub(crate) fn load<F, Fut, R>(self, key: &'a K, load: F) -> BoxFuture<'a, Result<Answer<V>>>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = R> + Send + 'static,
        R: LoadResult<V>,
    {
        let load = load_fn::of_one::<V, K, _, _, _>(load);
        self.shared.get_or_load_boxed(key, self.terms(), load)
    }

    /// Refreshes the key of a hit, if it is due.
    pub(crate) fn load_early<F, Fut, R>(self, hit: (&K, &Entry<V>), now: Tick, load: F)
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = R> + Send + 'static,
        R: LoadResult<V>,
    {
        let load = || load_fn::of_one::<V, K, _, _, _>(load);
        self.shared.refresh_early(hit, now, self.terms(), load);
    }

    /// [`Cache::get_many`](crate::Cache::get_many), in full.
    pub fn get_many<'k, Q: Borrow<K> + ?Sized + 'k>(
        self,
        keys: impl IntoIterator<Item = &'k Q>,
    ) -> impl Future<Output = Vec<Option<Answer<V>>>> + Send {
        let batch = Batch::new(keys);
        async move { self.read_batch(&batch).await }
    }

    /// [`Cache::get_many_or_load`](crate::Cache::get_many_or_load), in full.
    ///
    /// # Errors
    /// If the loader fails or panics, each of its keys has that error.
    pub fn get_many_or_load<'k, Q, F, Fut, I, A, E>(
        self,
        keys: impl IntoIterator<Item = &'k Q>,
        load: F,
    ) -> impl Future<Output = Vec<Result<Answer<V>>>> + Send
    where
        Q: Borrow<K> + ?Sized + 'k,
        F: FnOnce(Vec<K::Owned>) -> Fut + Clone + Send + 'static,
        Fut: Future<Output = Result<I, E>> + Send + 'static,
        I: IntoIterator<Item = (K::Owned, A)>,
        A: Into<Loaded<V>>,
        E: Into<BoxError>,
    {
        let batch = Batch::new(keys);
        async move { self.load_batch(&batch, load).await }
    }

    /// [`Cache::contains`](crate::Cache::contains), in the tiers that this call may read.
    pub async fn contains(self, key: &K) -> bool {
        self.shared
            .contains(&[key], &self.options)
            .await
            .first()
            .is_some_and(|is_present| *is_present)
    }

    /// [`Cache::contains_many`](crate::Cache::contains_many), in the tiers that this call may read.
    pub fn contains_many<'k, Q: Borrow<K> + ?Sized + 'k>(
        self,
        keys: impl IntoIterator<Item = &'k Q>,
    ) -> impl Future<Output = Vec<bool>> + Send {
        let batch = Batch::new(keys);
        async move { batch.spread(self.shared.contains(batch.keys(), &self.options).await) }
    }

    /// [`Cache::set`](crate::Cache::set), with this call's lives and tiers.
    pub async fn set(self, key: &K, value: impl Into<Arc<V>> + Send) -> Written {
        let (items, terms) = (vec![(key.to_owned(), value.into())], self.terms());
        only(
            self.shared
                .finish(1, |shared| shared.set(items, terms))
                .await,
        )
    }

    /// [`Cache::set_many`](crate::Cache::set_many), with this call's lives and tiers.
    pub fn set_many<Q: Borrow<K>, A: Into<Arc<V>>>(
        self,
        items: impl IntoIterator<Item = (Q, A)>,
    ) -> impl Future<Output = Vec<Written>> + Send {
        let (items, places) = last_of_each(items);
        async move { self.write_batch(items, places).await }
    }

    /// [`Cache::refresh`](crate::Cache::refresh), in full.
    ///
    /// # Errors
    /// [`Loader`](crate::ErrorKind::Loader) with the loader's error as cause, or
    /// [`Panicked`](crate::ErrorKind::Panicked).
    pub async fn refresh<F, Fut, R>(self, key: &K, load: F) -> Result<Answer<V>>
    where
        F: FnOnce(Option<Arc<V>>) -> Fut + Send + 'static,
        Fut: Future<Output = R> + Send + 'static,
        R: LoadResult<V>,
    {
        let load = load_fn::of_one_held::<V, K, _, _, _>(load);
        only(self.shared.refresh(&[key], &self.terms(), &load).await)
    }

    /// [`Cache::refresh_many`](crate::Cache::refresh_many), in full.
    ///
    /// # Errors
    /// If the loader fails or panics, each of its keys has that error.
    pub fn refresh_many<'k, Q, F, Fut, I, A, E>(
        self,
        keys: impl IntoIterator<Item = &'k Q>,
        load: F,
    ) -> impl Future<Output = Vec<Result<Answer<V>>>> + Send
    where
        Q: Borrow<K> + ?Sized + 'k,
        F: FnOnce(Vec<Held<V, K::Owned>>) -> Fut + Clone + Send + 'static,
        Fut: Future<Output = Result<I, E>> + Send + 'static,
        I: IntoIterator<Item = (K::Owned, A)>,
        A: Into<Loaded<V>>,
        E: Into<BoxError>,
    {
        let batch = Batch::new(keys);
        async move { self.refresh_batch(&batch, load).await }
    }

    pub(crate) async fn read_batch(&self, batch: &Batch<'_, K>) -> Vec<Option<Answer<V>>> {
        let keys = batch.keys();
        let mut known: Vec<_> = keys
            .iter()
            .map(|key| self.shared.get_near(key, &self.options))
            .collect();
        let gaps = gaps(keys, &known);
        if !gaps.is_empty() {
            fill(&mut known, self.shared.get_far(&gaps, &self.options).await);
        }
        batch.spread(known)
    }

    pub(crate) async fn load_batch<F, Fut, I, A, E>(
        &self,
        batch: &Batch<'_, K>,
        load: F,
    ) -> Vec<Result<Answer<V>>>
    where
        F: FnOnce(Vec<K::Owned>) -> Fut + Clone + Send + 'static,
        Fut: Future<Output = Result<I, E>> + Send + 'static,
        I: IntoIterator<Item = (K::Owned, A)>,
        A: Into<Loaded<V>>,
        E: Into<BoxError>,
    {
        let (keys, now) = (batch.keys(), self.shared.now());
        let load = load_fn::of_many::<V, K, _, _, _, _, _>(load);
        let near = |key: &&K| {
            let entry = self.shared.hit_with(key, now, &self.options)?;
            if self.shared.may_be_early(&entry, now) {
                let load = || Arc::clone(&load);
                self.shared
                    .refresh_early((key, &entry), now, self.terms(), load);
            }
            Some(Ok(Answer::new(Landed::new(entry, Source::L1), now)))
        };
        let mut known: Vec<Option<Result<_>>> = keys.iter().map(near).collect();
        let gaps = gaps(keys, &known);
        if !gaps.is_empty() {
            let answers = self.shared.get_or_load(&gaps, self.terms(), load).await;
            fill(&mut known, answers.into_iter().map(Some));
        }
        batch.spread(known.into_iter().flatten().collect())
    }

    pub(crate) async fn write_batch(
        &self,
        items: Vec<(K::Owned, Arc<V>)>,
        places: Places,
    ) -> Vec<Written> {
        let terms = self.terms();
        let set = self
            .shared
            .finish(items.len(), |shared| shared.set(items, terms));
        places.spread(set.await)
    }

    pub(crate) async fn refresh_batch<F, Fut, I, A, E>(
        &self,
        batch: &Batch<'_, K>,
        load: F,
    ) -> Vec<Result<Answer<V>>>
    where
        F: FnOnce(Vec<Held<V, K::Owned>>) -> Fut + Clone + Send + 'static,
        Fut: Future<Output = Result<I, E>> + Send + 'static,
        I: IntoIterator<Item = (K::Owned, A)>,
        A: Into<Loaded<V>>,
        E: Into<BoxError>,
    {
        let load = load_fn::of_many_held::<V, K, _, _, _, _, _>(load);
        batch.spread(
            self.shared
                .refresh(batch.keys(), &self.terms(), &load)
                .await,
        )
    }
}

impl<V, K: Key + ?Sized> Clone for Call<'_, V, K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<V, K: Key + ?Sized> Copy for Call<'_, V, K> {}

impl<V, K: Key + ?Sized> fmt::Debug for Call<'_, V, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("namespace", &self.shared.namespace)
            .field("options", &self.options)
            .finish()
    }
}
