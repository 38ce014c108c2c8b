use std::fmt::Display;
use std::sync::Arc;

use tiered_core::{Backplane, Error, ErrorKind, Expiry, L2, Random, Result, Version};

use crate::builder::check_namespace;
use crate::far::borrowed;
use crate::marks::{MARK_LIFE, Which, new_mark};
use crate::message::{Event, Message};
use crate::outbox::MOST_IN_MESSAGE;

/// Invalidates what the caches of a namespace hold, for programs that have no such cache: a migration, an administrator's
/// tool. It needs neither the type of the values nor their codec.
///
/// Each method changes L2 first and then tells the nodes. As strong as the methods of [`Cache`](crate::Cache) of the same
/// names, but for one thing: it does not repeat what failed. On an error, call it again.
///
/// A program in another language does the same with two commands, `UNLINK users:42` and `PUBLISH #bus:users` with the
/// text `"tiered/1 0 0\nremoved 42"`.
///
/// ```
/// use tiered::{Cache, Embedded, Invalidator, Moka};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> tiered::Result<()> {
/// let l2 = Embedded::new();
/// let users: Cache<String> = Cache::builder("users").l1(Moka::entries(100)).l2(l2.clone()).build()?;
/// users.set("42", "Ada".to_owned()).await;
///
/// let invalidator = Invalidator::new("users", l2)?;
/// invalidator.remove(["42"]).await?;
/// # tokio::task::yield_now().await;
/// # tokio::task::yield_now().await;
/// # tokio::task::yield_now().await;
/// assert!(users.get("42").await.is_none());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Invalidator {
    namespace: String,
    l2: Arc<dyn L2>,
    backplane: Arc<dyn Backplane>,
    random: Random,
}

impl Invalidator {
    /// An invalidator of this namespace on this L2, which tells the nodes over the L2's own backplane.
    ///
    /// # Errors
    /// Of the kind [`Config`](ErrorKind::Config): it is no namespace, or the L2 has no backplane.
    pub fn new(namespace: impl Into<String>, l2: impl L2) -> Result<Self> {
        let message = "the l2 has no backplane: nobody would be told";
        let backplane = l2.backplane();
        let backplane = backplane.ok_or_else(|| Error::new(ErrorKind::Config, message))?;
        Self::with_backplane(namespace, l2, backplane)
    }

    /// The same for nodes that hear each other over another backplane.
    ///
    /// # Errors
    /// Of the kind [`Config`](ErrorKind::Config): it is no namespace.
    pub fn with_backplane(
        namespace: impl Into<String>,
        l2: impl L2,
        backplane: impl Backplane,
    ) -> Result<Self> {
        let namespace = namespace.into();
        check_namespace(&namespace)?;
        Ok(Self {
            namespace,
            l2: Arc::new(l2),
            backplane: Arc::new(backplane),
            random: Random::new(),
        })
    }

    /// Removes these keys, given as their `Display` writes them.
    ///
    /// # Errors
    /// The first one of L2 or the backplane. What it concerns is not known; repeat the call.
    pub async fn remove(&self, keys: impl IntoIterator<Item: Display>) -> Result<()> {
        let keys = texts(keys);
        let names = self.names(&keys);
        let removed = self.l2.remove_many(&borrowed(&names)).await;
        self.tell(keys.into_iter().map(Event::Removed)).await?;
        removed
            .into_iter()
            .try_for_each(|removed| removed.map(drop))
    }

    /// Expires these keys, given as their `Display` writes them: what is there stays as a fallback.
    ///
    /// # Errors
    /// As [`remove`](Self::remove).
    pub async fn expire(&self, keys: impl IntoIterator<Item: Display>) -> Result<()> {
        let keys = texts(keys);
        let names = self.names(&keys);
        let version = Version::random(&self.random);
        let expiries = names.iter().map(|key| Expiry { key, version });
        let expired = self.l2.expire_many(&expiries.collect::<Vec<_>>()).await;
        let events = keys.into_iter().map(|key| Event::Expired(version, key));
        self.tell(events).await?;
        expired
            .into_iter()
            .try_for_each(|expired| expired.map(drop))
    }

    /// Removes every value that carries this tag.
    ///
    /// # Errors
    /// As [`remove`](Self::remove).
    pub async fn remove_tag(&self, tag: &str) -> Result<()> {
        let epoch = Which::Epoch.name(&self.namespace);
        let name = Which::Tag(tag.into()).name(&self.namespace);
        let mark = |name| new_mark(name, &self.random, MARK_LIFE);
        // The epoch first: who reads the new mark must not read the old epoch after it.
        let written = self.l2.write_marks(&[mark(&epoch), mark(&name)]).await;
        self.tell([Event::Tag(tag.to_owned())]).await?;
        written
    }

    /// Removes every value of the namespace.
    ///
    /// # Errors
    /// As [`remove`](Self::remove).
    pub async fn clear(&self) -> Result<()> {
        let name = Which::Space.name(&self.namespace);
        let mark = new_mark(&name, &self.random, MARK_LIFE);
        let written = self.l2.write_marks(&[mark]).await;
        self.tell([Event::Cleared]).await?;
        written
    }

    async fn tell(&self, events: impl IntoIterator<Item = Event>) -> Result<()> {
        let events: Vec<_> = events.into_iter().collect();
        for events in events.chunks(MOST_IN_MESSAGE) {
            let message = Message {
                sender: 0,
                number: 0,
                events: events.to_vec(),
            };
            let text = message.write().into();
            self.backplane.publish(&self.namespace, text).await?;
        }
        Ok(())
    }

    fn names(&self, keys: &[String]) -> Vec<String> {
        let name = |key: &String| format!("{}:{key}", self.namespace);
        keys.iter().map(name).collect()
    }
}

fn texts(keys: impl IntoIterator<Item: Display>) -> Vec<String> {
    keys.into_iter().map(|key| key.to_string()).collect()
}

impl std::fmt::Debug for Invalidator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Invalidator")
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}
