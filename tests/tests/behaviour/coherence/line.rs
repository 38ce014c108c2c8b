//! A node's line to the others, on which everything can go wrong that does on a network.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use tiered::{Backplane, Error, ErrorKind, News, Result, Subscription};
use tokio::sync::Notify;

use crate::support::gate::{Gate, Stop, gate};

/// What becomes of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Fate {
    #[default]
    Sent,
    /// Its sender hears nothing of it.
    Lost,
    Twice,
    /// Its sender is told.
    Failed,
    /// Its sender is told nothing, for ever.
    Hanging,
}

#[derive(Clone)]
pub(crate) struct Line(Arc<Inner>);

struct Inner {
    link: Arc<dyn Backplane>,
    next: Mutex<VecDeque<Fate>>,
    usual: Mutex<Fate>,
    /// What waits to be sent, if anything has to.
    held: Mutex<Option<Vec<Bytes>>>,
    hangs: Mutex<Option<Gate>>,
    attempts: AtomicUsize,
    is_deaf: AtomicBool,
    news: Mutex<VecDeque<News>>,
    has_news: Notify,
}

impl Line {
    pub(crate) fn new(link: Arc<dyn Backplane>) -> Self {
        Self(Arc::new(Inner {
            link,
            next: Mutex::default(),
            usual: Mutex::default(),
            held: Mutex::default(),
            hangs: Mutex::default(),
            attempts: AtomicUsize::new(0),
            is_deaf: AtomicBool::new(false),
            news: Mutex::default(),
            has_news: Notify::new(),
        }))
    }

    /// How often something was to be sent.
    pub(crate) fn attempts(&self) -> usize {
        self.0.attempts.load(Ordering::SeqCst)
    }

    /// The fate of the next message that has none yet.
    pub(crate) fn next(&self, fate: Fate) {
        self.0.next.lock().unwrap().push_back(fate);
    }

    /// The fate of all messages from now on.
    pub(crate) fn always(&self, fate: Fate) {
        *self.0.usual.lock().unwrap() = fate;
    }

    /// What is sent arrives when it is let go.
    pub(crate) fn hold(&self) {
        self.0.held.lock().unwrap().get_or_insert_default();
    }

    /// What was held arrives, in its order.
    pub(crate) async fn let_go(&self) {
        let held = self.0.held.lock().unwrap().take();
        for message in held.unwrap_or_default() {
            self.0.link.publish("users", message).await.unwrap();
        }
    }

    /// The next message hangs on its way out, and those behind it wait.
    pub(crate) fn hang(&self) -> Stop {
        let (stop, gate) = gate();
        *self.0.hangs.lock().unwrap() = Some(gate);
        stop
    }

    /// Whether nothing is heard on it any more, though it seems to be in order.
    pub(crate) fn set_deaf(&self, is_deaf: bool) {
        self.0.is_deaf.store(is_deaf, Ordering::SeqCst);
    }

    /// Its node hears this next.
    pub(crate) fn tell(&self, news: News) {
        self.0.news.lock().unwrap().push_back(news);
        self.0.has_news.notify_one();
    }

    fn fate(&self) -> Fate {
        let next = self.0.next.lock().unwrap().pop_front();
        next.unwrap_or(*self.0.usual.lock().unwrap())
    }
}

#[async_trait]
impl Backplane for Line {
    async fn publish(&self, namespace: &str, message: Bytes) -> Result<()> {
        self.0.attempts.fetch_add(1, Ordering::SeqCst);
        let hangs = self.0.hangs.lock().unwrap().take();
        if let Some(gate) = hangs {
            gate.pass().await;
        }
        let times = match self.fate() {
            Fate::Sent => 1,
            Fate::Lost => 0,
            Fate::Twice => 2,
            Fate::Hanging => return std::future::pending().await,
            Fate::Failed => return Err(Error::new(ErrorKind::Unavailable, "the line is cut")),
        };
        if let Some(held) = &mut *self.0.held.lock().unwrap() {
            held.extend(std::iter::repeat_n(message, times));
            return Ok(());
        }
        for _ in 0..times {
            self.0.link.publish(namespace, message.clone()).await?;
        }
        Ok(())
    }

    fn subscribe(&self, namespace: &str) -> Box<dyn Subscription> {
        Box::new(Ear {
            line: self.clone(),
            subscription: self.0.link.subscribe(namespace),
        })
    }
}

struct Ear {
    line: Line,
    subscription: Box<dyn Subscription>,
}

#[async_trait]
impl Subscription for Ear {
    async fn next(&mut self) -> Option<News> {
        let line = &self.line.0;
        loop {
            if let Some(news) = line.news.lock().unwrap().pop_front() {
                return Some(news);
            }
            let news = tokio::select! {
                biased;
                () = line.has_news.notified() => continue,
                news = self.subscription.next() => news?,
            };
            let is_heard = !line.is_deaf.load(Ordering::SeqCst);
            if is_heard || !matches!(news, News::Message(_)) {
                return Some(news);
            }
        }
    }
}
