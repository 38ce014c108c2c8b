use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tiered_core::News;
use tokio::sync::Notify;
use tokio::sync::broadcast::Sender;
use tokio::sync::futures::Notified;

use crate::ear::Ear;

/// Who listens to which namespace.
///
/// Subscriptions come and go here at once; the task that listens follows, and tells what it hears.
pub(crate) struct Bus {
    /// The server also says which keys were touched.
    watches: bool,
    channels: Mutex<Channels>,
    changed: Notify,
}

#[derive(Default)]
struct Channels {
    by_namespace: HashMap<String, Channel>,
    is_closed: bool,
}

struct Channel {
    news: Sender<News>,
    /// The server was asked for it, and has said yes.
    is_confirmed: bool,
}

/// What the server is to be asked for.
pub(crate) struct Wanted {
    pub(crate) all: BTreeSet<String>,
    pub(crate) unconfirmed: Vec<String>,
}

/// How many news a subscription may be behind.
const CAPACITY: usize = 4_096;

impl Bus {
    pub(crate) fn new(watches: bool) -> Arc<Self> {
        Arc::new(Self {
            watches,
            channels: Mutex::default(),
            changed: Notify::new(),
        })
    }

    pub(crate) fn subscribe(self: &Arc<Self>, namespace: &str) -> Ear {
        let mut channels = self.channels();
        if channels.is_closed {
            return Ear::deaf();
        }
        let channel = channels.by_namespace.entry(namespace.to_owned());
        let channel = channel.or_insert_with(|| Channel {
            news: Sender::new(CAPACITY),
            is_confirmed: false,
        });
        self.changed.notify_one();
        let owed = if channel.is_confirmed {
            self.confirmation()
        } else {
            Vec::new()
        };
        Ear::new(channel.news.subscribe(), owed, self)
    }

    /// What a subscription hears first. That no key was touched says that it would be told.
    fn confirmation(&self) -> Vec<News> {
        let touched = self.watches.then(|| News::Touched(Vec::new()));
        [News::Gap].into_iter().chain(touched).collect()
    }

    /// Ends when somebody has come or gone since the last time.
    pub(crate) fn changed(&self) -> Notified<'_> {
        self.changed.notified()
    }

    /// Somebody has gone.
    pub(crate) fn left(&self) {
        self.changed.notify_one();
    }

    /// What somebody listens to; the rest is forgotten.
    pub(crate) fn wanted(&self) -> Wanted {
        let channels = &mut self.channels().by_namespace;
        channels.retain(|_, channel| channel.news.receiver_count() > 0);
        let unconfirmed = channels.iter().filter(|(_, channel)| !channel.is_confirmed);
        Wanted {
            unconfirmed: unconfirmed
                .map(|(namespace, _)| namespace.clone())
                .collect(),
            all: channels.keys().cloned().collect(),
        }
    }

    /// From here on, everything in these namespaces is heard.
    pub(crate) fn confirm(&self, namespaces: &[String]) {
        let mut channels = self.channels();
        for namespace in namespaces {
            if let Some(channel) = channels.by_namespace.get_mut(namespace) {
                channel.is_confirmed = true;
                self.confirmation()
                    .into_iter()
                    .for_each(|news| channel.tell(news));
            }
        }
    }

    /// From here on, nothing is heard until it is confirmed again.
    pub(crate) fn interrupt(&self) {
        for channel in self.channels().by_namespace.values_mut() {
            channel.is_confirmed = false;
        }
    }

    /// Something was missed, nobody knows what.
    pub(crate) fn gap(&self) {
        for channel in self.channels().by_namespace.values() {
            channel.tell(News::Gap);
        }
    }

    pub(crate) fn tell(&self, namespace: &str, news: News) {
        if let Some(channel) = self.channels().by_namespace.get(namespace) {
            channel.tell(news);
        }
    }

    /// Tells each namespace which of these keys begin with its name and a colon.
    pub(crate) fn touched(&self, keys: &[String]) {
        for (namespace, channel) in &self.channels().by_namespace {
            let is_of = |key: &&String| {
                let rest = key.strip_prefix(namespace.as_str());
                rest.is_some_and(|rest| rest.starts_with(':'))
            };
            let of_it: Vec<_> = keys.iter().filter(is_of).cloned().collect();
            if !of_it.is_empty() {
                channel.tell(News::Touched(of_it));
            }
        }
    }

    /// Ends all subscriptions, and those to come.
    pub(crate) fn close(&self) {
        let mut channels = self.channels();
        channels.is_closed = true;
        channels.by_namespace.clear();
    }

    fn channels(&self) -> MutexGuard<'_, Channels> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Channel {
    /// A confirmation is the first thing to be heard.
    fn tell(&self, news: News) {
        if self.is_confirmed {
            // Who has just gone need not hear it.
            let _ = self.news.send(news);
        }
    }
}
