//! What loaders may answer.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use tiered_core::{BoxError, Error, ErrorKind, Result};

/// What a loader says about a key: found, not found, or unchanged; for how long; and whether to keep it.
///
/// A loader that only ever finds values may return them plainly, and one that may find none may return an [`Option`]:
/// see [`LoadResult`].
///
/// ```
/// use std::time::Duration;
/// use tiered::Loaded;
///
/// let for_a_minute = Loaded::<String>::found("Ada".to_owned()).ttl(Duration::from_secs(60));
/// let unknown_for_now = Loaded::<String>::missing().ttl(Duration::from_secs(1));
/// let only_for_you = Loaded::<String>::found("Ada".to_owned()).uncached();
/// # drop((for_a_minute, unknown_for_now, only_for_you));
/// ```
pub struct Loaded<V> {
    pub(crate) what: What<V>,
    pub(crate) ttl: Option<Duration>,
    pub(crate) tags: Vec<Box<str>>,
    pub(crate) is_kept: bool,
}

pub(crate) enum What<V> {
    Found(Arc<V>),
    Missing,
    Unchanged,
}

impl<V> Loaded<V> {
    /// The source has this value.
    pub fn found(value: impl Into<Arc<V>>) -> Self {
        Self::new(What::Found(value.into()))
    }

    /// The source has no such value. That is cached too, for
    /// [`Settings::negative_ttl`](crate::Settings::negative_ttl).
    pub const fn missing() -> Self {
        Self::new(What::Missing)
    }

    /// The value is still the one that the loader was shown: it is kept, with a new life. Only a
    /// [`refresh`](crate::Cache::refresh) shows one; where none was shown this is an error.
    pub const fn unchanged() -> Self {
        Self::new(What::Unchanged)
    }

    /// The life of this answer, whatever the settings and the caller say. Zero: it is not stored.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// The tags of this answer, beside those that its caller has named: [`remove_tag`](crate::Cache::remove_tag) of any of
    /// them removes it. At most 32 in all, of 1 to 128 bytes each; otherwise the answer is not stored.
    ///
    /// Tags that the caller names cost nothing where they are known; of one that is first heard of here, L2 is asked once
    /// more, and if any tag was removed during the load the answer is not stored.
    #[must_use]
    pub fn tags<T: Into<Box<str>>>(mut self, tags: impl IntoIterator<Item = T>) -> Self {
        self.tags.extend(tags.into_iter().map(Into::into));
        self
    }

    /// This answer is for those who wait for it, and is not stored.
    #[must_use]
    pub fn uncached(mut self) -> Self {
        self.is_kept = false;
        self
    }

    const fn new(what: What<V>) -> Self {
        Self {
            what,
            ttl: None,
            tags: Vec::new(),
            is_kept: true,
        }
    }
}

impl<V> From<V> for Loaded<V> {
    fn from(value: V) -> Self {
        Self::found(value)
    }
}

impl<V> From<Arc<V>> for Loaded<V> {
    fn from(value: Arc<V>) -> Self {
        Self::found(value)
    }
}

impl<V> From<Option<V>> for Loaded<V> {
    fn from(value: Option<V>) -> Self {
        value.map_or_else(Self::missing, Self::found)
    }
}

impl<V> fmt::Debug for Loaded<V> {
    /// Leaves the value out: it may be large, or secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.what {
            What::Found(_) => "Found",
            What::Missing => "Missing",
            What::Unchanged => "Unchanged",
        };
        f.debug_struct(what)
            .field("ttl", &self.ttl)
            .field("tags", &self.tags)
            .field("is_kept", &self.is_kept)
            .finish()
    }
}

/// What a loader of one key may return, with any error that converts into `Box<dyn Error + Send + Sync>`.
///
/// | the loader returns | the caller gets |
/// | --- | --- |
/// | `Result<V, E>` or `Result<Arc<V>, E>` | `Arc<V>` |
/// | `Result<Option<V>, E>` | `Option<Arc<V>>` |
/// | `Result<Loaded<V>, E>` | `Option<Arc<V>>` |
///
/// A caller whose type has no room for "not found", and who meets one that somebody else has loaded, gets an error of
/// the kind [`NotFound`](ErrorKind::NotFound).
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> tiered::Result<()> {
/// use std::{convert::Infallible, sync::Arc};
/// use tiered::{Cache, Moka};
///
/// let names: Cache<String> = Cache::builder("names").l1(Moka::entries(100)).build()?;
/// let found: Arc<String> = names.get_or_load("1", || async { std::str::from_utf8(b"Ada").map(str::to_owned) }).await?;
/// let maybe: Option<Arc<String>> = names.get_or_load("2", || async { Ok::<_, Infallible>(None) }).await?;
/// assert_eq!((found.as_str(), maybe), ("Ada", None));
/// # Ok(())
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "a loader of `{V}` cannot return `{Self}`",
    note = "it returns `Result<T, E>`, where `T` is `{V}`, `Arc<{V}>`, `Option<{V}>` or `Loaded<{V}>`, and `E` converts into \
            `Box<dyn Error + Send + Sync>` as every error and `String` do"
)]
pub trait LoadResult<V>: sealed::Sealed<V> + Send {
    /// What the caller gets.
    type Output;

    #[doc(hidden)]
    fn into_loaded(self) -> Result<Loaded<V>, BoxError>;

    #[doc(hidden)]
    fn output(value: Option<Arc<V>>) -> Result<Self::Output>;
}

mod sealed {
    use super::{Arc, Loaded};

    pub trait Sealed<V> {}
    impl<V, E> Sealed<V> for Result<V, E> {}
    impl<V, E> Sealed<V> for Result<Arc<V>, E> {}
    impl<V, E> Sealed<V> for Result<Option<V>, E> {}
    impl<V, E> Sealed<V> for Result<Loaded<V>, E> {}
}

impl<V: Send, E: Into<BoxError> + Send> LoadResult<V> for Result<V, E> {
    type Output = Arc<V>;

    fn into_loaded(self) -> Result<Loaded<V>, BoxError> {
        self.map(Loaded::found).map_err(Into::into)
    }

    fn output(value: Option<Arc<V>>) -> Result<Arc<V>> {
        value.ok_or_else(not_found)
    }
}

impl<V: Send + Sync, E: Into<BoxError> + Send> LoadResult<V> for Result<Arc<V>, E> {
    type Output = Arc<V>;

    fn into_loaded(self) -> Result<Loaded<V>, BoxError> {
        self.map(Loaded::found).map_err(Into::into)
    }

    fn output(value: Option<Arc<V>>) -> Result<Arc<V>> {
        value.ok_or_else(not_found)
    }
}

impl<V: Send, E: Into<BoxError> + Send> LoadResult<V> for Result<Option<V>, E> {
    type Output = Option<Arc<V>>;

    fn into_loaded(self) -> Result<Loaded<V>, BoxError> {
        self.map(Loaded::from).map_err(Into::into)
    }

    fn output(value: Option<Arc<V>>) -> Result<Option<Arc<V>>> {
        Ok(value)
    }
}

impl<V: Send + Sync, E: Into<BoxError> + Send> LoadResult<V> for Result<Loaded<V>, E> {
    type Output = Option<Arc<V>>;

    fn into_loaded(self) -> Result<Loaded<V>, BoxError> {
        self.map_err(Into::into)
    }

    fn output(value: Option<Arc<V>>) -> Result<Option<Arc<V>>> {
        Ok(value)
    }
}

fn not_found() -> Error {
    Error::new(ErrorKind::NotFound, "the source has no such value")
}

/// A key that a [`refresh_many`](crate::Cache::refresh_many) asks for, with the copy it would replace.
///
/// ```
/// # use std::convert::Infallible;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> tiered::Result<()> {
/// use tiered::{Cache, Held, Loaded, Moka};
///
/// let names: Cache<String> = Cache::builder("names").l1(Moka::entries(100)).build()?;
/// names.set("1", "Ada".to_owned()).await;
/// let answers = names
///     .refresh_many(["1", "2"], |asked: Vec<Held<String, String>>| async move {
///         let answer = |held: Held<String, String>| match held.value {
///             Some(_) => (held.key, Loaded::unchanged()),
///             None => (held.key, Loaded::found("Grace".to_owned())),
///         };
///         Ok::<_, Infallible>(asked.into_iter().map(answer).collect::<Vec<_>>())
///     })
///     .await;
/// assert_eq!(answers.len(), 2);
/// # Ok(())
/// # }
/// ```
pub struct Held<V, Q> {
    /// The key, as the caller gave it.
    pub key: Q,
    /// The copy that is held, fresh or not; `None` if there is none, or it says that there is no value.
    pub value: Option<Arc<V>>,
}

impl<V, Q: Clone> Clone for Held<V, Q> {
    fn clone(&self) -> Self {
        Self {
            key: self.key.clone(),
            value: self.value.clone(),
        }
    }
}

impl<V, Q: fmt::Debug> fmt::Debug for Held<V, Q> {
    /// Leaves the value out: it may be large, or secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held")
            .field("key", &self.key)
            .field("is_held", &self.value.is_some())
            .finish()
    }
}

/// What the loader of a flight brought.
pub(crate) enum Loads<V, Q> {
    /// For the only key.
    One(Loaded<V>),
    /// For some of many keys, and perhaps for others.
    Many(HashMap<Q, Loaded<V>>),
}

impl<V, Q: Eq + Hash> Loads<V, Q> {
    /// What was loaded for `key`; a key that the loader left out has no value.
    pub(crate) fn take(&mut self, key: &Q) -> Loaded<V> {
        match self {
            Self::One(loaded) => std::mem::replace(loaded, Loaded::missing()),
            Self::Many(loads) => loads.remove(key).unwrap_or_else(Loaded::missing),
        }
    }
}
