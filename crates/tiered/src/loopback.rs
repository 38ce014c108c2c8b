use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use tiered_core::{Backplane, News, Result, Subscription};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::broadcast::{Receiver, Sender, channel};

/// A [`Backplane`] in the memory of the process, for caches that share an [`Embedded`](crate::Embedded) store, and for
/// tests.
///
/// A handle: clones are one backplane. A subscription that is more than 4,096 messages behind gets a gap.
///
/// ```
/// use bytes::Bytes;
/// use tiered::{Backplane, Loopback, News};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> tiered::Result<()> {
/// let backplane = Loopback::new();
/// let mut users = backplane.subscribe("users");
/// backplane.publish("users", Bytes::from_static(b"hello")).await?;
/// assert_eq!(users.next().await, Some(News::Gap));
/// assert_eq!(users.next().await, Some(News::Message(Bytes::from_static(b"hello"))));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Loopback(Arc<Mutex<HashMap<String, Sender<Bytes>>>>);

const CAPACITY: usize = 4_096;

impl Loopback {
    /// A backplane that nobody has subscribed to.
    pub fn new() -> Self {
        Self::default()
    }

    fn channels(&self) -> MutexGuard<'_, HashMap<String, Sender<Bytes>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Backplane for Loopback {
    async fn publish(&self, namespace: &str, message: Bytes) -> Result<()> {
        let mut channels = self.channels();
        let has_no_listener = channels
            .get(namespace)
            .is_some_and(|sender| sender.send(message).is_err());
        if has_no_listener {
            channels.remove(namespace);
        }
        Ok(())
    }

    fn subscribe(&self, namespace: &str) -> Box<dyn Subscription> {
        let mut channels = self.channels();
        let sender = channels
            .entry(namespace.to_owned())
            .or_insert_with(|| channel(CAPACITY).0);
        Box::new(Ear {
            messages: sender.subscribe(),
            is_confirmed: false,
        })
    }
}

impl fmt::Debug for Loopback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loopback")
            .field("namespaces", &self.channels().len())
            .finish()
    }
}

struct Ear {
    messages: Receiver<Bytes>,
    is_confirmed: bool,
}

#[async_trait]
impl Subscription for Ear {
    async fn next(&mut self) -> Option<News> {
        if !self.is_confirmed {
            self.is_confirmed = true;
            return Some(News::Gap);
        }
        match self.messages.recv().await {
            Ok(message) => Some(News::Message(message)),
            Err(RecvError::Lagged(_)) => Some(News::Gap),
            Err(RecvError::Closed) => None,
        }
    }
}
