use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use async_trait::async_trait;
use tiered_core::{News, Subscription};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::broadcast::{self, Receiver};

use crate::bus::Bus;

/// A subscription. Holds no connection: it ends when the last handle is gone.
pub(crate) struct Ear {
    news: Receiver<News>,
    /// What was said to others before somebody listened, when the namespace was confirmed.
    owed: VecDeque<News>,
    /// Dropped after the receiver, so that the bus no longer counts it.
    _leave: Leave,
}

struct Leave(Weak<Bus>);

impl Ear {
    pub(crate) fn new(news: Receiver<News>, owed: Vec<News>, bus: &Arc<Bus>) -> Self {
        Self {
            news,
            owed: owed.into(),
            _leave: Leave(Arc::downgrade(bus)),
        }
    }

    /// A subscription that has ended.
    pub(crate) fn deaf() -> Self {
        Self {
            news: broadcast::channel(1).1,
            owed: VecDeque::new(),
            _leave: Leave(Weak::new()),
        }
    }
}

#[async_trait]
impl Subscription for Ear {
    async fn next(&mut self) -> Option<News> {
        if let Some(news) = self.owed.pop_front() {
            return Some(news);
        }
        match self.news.recv().await {
            Ok(news) => Some(news),
            Err(RecvError::Lagged(_)) => Some(News::Gap),
            Err(RecvError::Closed) => None,
        }
    }
}

impl Drop for Leave {
    fn drop(&mut self) {
        if let Some(bus) = self.0.upgrade() {
            bus.left();
        }
    }
}
