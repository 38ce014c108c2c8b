use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::Result;

/// What carries messages between the nodes of a namespace, each node included: bytes that it does not look into.
///
/// # Contract
///
/// - What an acknowledged `publish` has sent reaches every subscription of the namespace that was confirmed before,
///   the publisher's own included, or that subscription gets a [`Gap`](News::Gap) instead. Nothing is lost in silence
///   while a subscription lives, but for a connection that is dead and not yet known to be: that, the nodes find out
///   for themselves, for they hear their own messages.
/// - Messages of one publisher arrive in the order in which they were published, each once; messages of different
///   publishers in the same order at all subscriptions, as far as they go over one server.
/// - A subscription is confirmed by a `Gap`: the first thing it gets, and again whenever it was interrupted. It hears
///   nothing that was published before.
/// - Messages are any bytes, up to 1 MiB at least. Namespaces are 1 to 64 ASCII letters, digits, `.`, `-` or `_`, and do
///   not hear each other. A dropped subscription costs nothing more.
/// - `publish` ends within a time that the backplane's own settings bound. A dropped future cancels the wait; whether
///   the message was sent is then unknown.
///
/// The function `testing::backplane::contract` (feature `testing`) holds an implementation against this.
///
/// ```
/// use bytes::Bytes;
/// use tiered_core::{Backplane, News, Result};
///
/// async fn hear_oneself(backplane: &dyn Backplane) -> Result<()> {
///     let mut subscription = backplane.subscribe("users");
///     assert_eq!(subscription.next().await, Some(News::Gap));
///     backplane.publish("users", Bytes::from_static(b"hello")).await?;
///     assert_eq!(subscription.next().await, Some(News::Message(Bytes::from_static(b"hello"))));
///     Ok(())
/// }
/// ```
#[async_trait]
pub trait Backplane: Send + Sync + 'static {
    /// Sends a message to all subscriptions of a namespace.
    async fn publish(&self, namespace: &str, message: Bytes) -> Result<()>;

    /// Subscribes to a namespace. Returns at once; the subscription is confirmed when its first news comes.
    fn subscribe(&self, namespace: &str) -> Box<dyn Subscription>;
}

/// What a node hears of its namespace.
///
/// ```
/// use bytes::Bytes;
/// use tiered_core::{Backplane, News};
///
/// async fn next_message(backplane: &dyn Backplane) -> Option<Bytes> {
///     let mut subscription = backplane.subscribe("users");
///     loop {
///         if let News::Message(message) = subscription.next().await? {
///             return Some(message);
///         }
///     }
/// }
/// ```
#[async_trait]
pub trait Subscription: Send {
    /// The next news; `None` when the backplane has been shut down. A dropped future loses nothing.
    async fn next(&mut self) -> Option<News>;
}

/// One piece of news.
///
/// ```
/// assert_ne!(tiered_core::News::Gap, tiered_core::News::Touched(Vec::new()));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// Messages may have been missed before this; from here on, all are heard again.
    Gap,
    /// A message.
    Message(Bytes),
    /// The store itself says that it has written or forgotten the records of these keys, whoever caused it. Comes only
    /// from stores that watch themselves, and only where that was asked for; then also once without a key after each
    /// confirmation, to say so.
    Touched(Vec<String>),
}

#[async_trait]
impl<T: Backplane + ?Sized> Backplane for Arc<T> {
    async fn publish(&self, namespace: &str, message: Bytes) -> Result<()> {
        T::publish(self, namespace, message).await
    }

    fn subscribe(&self, namespace: &str) -> Box<dyn Subscription> {
        T::subscribe(self, namespace)
    }
}
