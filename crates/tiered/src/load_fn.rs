//! Loaders as flights run them, whatever the caller wrote.

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;
use tiered_core::{BoxError, Key, Result};

use crate::loader::{Held, LoadResult, Loaded, Loads};

/// A loader of the keys it is given. A single key is loaded once at most.
pub(crate) type LoadFn<V, K> = Arc<dyn Fn(Vec<Asked<V, K>>) -> Loading<V, K> + Send + Sync>;
pub(crate) type Loading<V, K> =
    BoxFuture<'static, Result<Loads<V, <K as ToOwned>::Owned>, BoxError>>;
pub(crate) type Asked<V, K> = Held<V, <K as ToOwned>::Owned>;

/// A loader of one key that is shown nothing.
pub(crate) fn of_one<V, K, F, Fut, R>(load: F) -> LoadFn<V, K>
where
    V: Send + Sync + 'static,
    K: Key + ?Sized,
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = R> + Send + 'static,
    R: LoadResult<V>,
{
    of_one_held::<V, K, _, _, _>(|_| load())
}

/// A loader of one key that is shown the copy it would replace.
pub(crate) fn of_one_held<V, K, F, Fut, R>(load: F) -> LoadFn<V, K>
where
    V: Send + Sync + 'static,
    K: Key + ?Sized,
    F: FnOnce(Option<Arc<V>>) -> Fut + Send + 'static,
    Fut: Future<Output = R> + Send + 'static,
    R: LoadResult<V>,
{
    let load = once(load);
    Arc::new(move |mut asked: Vec<Asked<V, K>>| {
        let (load, asked) = (load(), asked.pop());
        let held = asked.and_then(|asked| asked.value);
        Box::pin(async move { load(held).await.into_loaded().map(Loads::One) })
    })
}

/// A loader of many keys that is shown nothing.
pub(crate) fn of_many<V, K, F, Fut, I, A, E>(load: F) -> LoadFn<V, K>
where
    V: Send + Sync + 'static,
    K: Key + ?Sized,
    F: FnOnce(Vec<K::Owned>) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = Result<I, E>> + Send + 'static,
    I: IntoIterator<Item = (K::Owned, A)>,
    A: Into<Loaded<V>>,
    E: Into<BoxError>,
{
    of_many_held::<V, K, _, _, _, _, _>(|asked| {
        load(asked.into_iter().map(|asked| asked.key).collect())
    })
}

/// A loader of many keys that is shown the copies it would replace.
pub(crate) fn of_many_held<V, K, F, Fut, I, A, E>(load: F) -> LoadFn<V, K>
where
    V: Send + Sync + 'static,
    K: Key + ?Sized,
    F: FnOnce(Vec<Asked<V, K>>) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = Result<I, E>> + Send + 'static,
    I: IntoIterator<Item = (K::Owned, A)>,
    A: Into<Loaded<V>>,
    E: Into<BoxError>,
{
    let load = often(load);
    Arc::new(move |asked| {
        let load = load();
        Box::pin(async move {
            let answers = load(asked).await.map_err(Into::into)?;
            let answers = answers.into_iter();
            Ok(Loads::Many(
                answers.map(|(key, loaded)| (key, loaded.into())).collect(),
            ))
        })
    })
}

/// For the only flight, and the only load, of a single key.
fn once<T: Send>(load: T) -> impl Fn() -> T + Send + Sync {
    let load = Mutex::new(Some(load));
    move || {
        let mut load = load.lock().unwrap_or_else(PoisonError::into_inner);
        load.take()
            .expect("one key has one flight, which loads it once")
    }
}

/// For the loads of a batch.
fn often<T: Clone + Send>(load: T) -> impl Fn() -> T + Send + Sync {
    let load = Mutex::new(load);
    move || load.lock().unwrap_or_else(PoisonError::into_inner).clone()
}
