//! The two handles under test.

use bytes::Bytes;

use super::ear::{self, Ear};
use crate::{Backplane, Random};

/// Two handles on one backplane, with namespaces of their own.
pub(super) struct Line<'a> {
    pub(super) own: &'a dyn Backplane,
    pub(super) other: &'a dyn Backplane,
    prefix: String,
}

impl<'a> Line<'a> {
    pub(super) fn new(own: &'a dyn Backplane, other: &'a dyn Backplane) -> Self {
        let prefix = format!("contract-{:016x}-", Random::new().bits());
        Self { own, other, prefix }
    }

    pub(super) fn namespace(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Subscribes by the own handle.
    pub(super) async fn hears(&self, namespace: &str) -> Ear {
        ear::listening(self.own, namespace).await
    }

    /// Subscribes by the other handle.
    pub(super) async fn others(&self, namespace: &str) -> Ear {
        ear::listening(self.other, namespace).await
    }

    /// Publishes by the own handle, one message after the other.
    pub(super) async fn says(&self, namespace: &str, messages: &[Bytes]) {
        publish(self.own, namespace, messages).await;
    }

    /// Publishes by the other handle, one message after the other.
    pub(super) async fn other_says(&self, namespace: &str, messages: &[Bytes]) {
        publish(self.other, namespace, messages).await;
    }
}

#[expect(
    clippy::panic,
    reason = "a broken rule ends the caller's test with a panic that names it"
)]
async fn publish(backplane: &dyn Backplane, namespace: &str, messages: &[Bytes]) {
    for message in messages {
        if let Err(error) = backplane.publish(namespace, message.clone()).await {
            panic!("backplane: a message was not published: {error:?}");
        }
    }
}
