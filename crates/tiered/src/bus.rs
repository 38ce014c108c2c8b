//! What a node says and hears on the backplane.
//!
//! One task does both. What is queued goes out together, as soon as the message before is out; what comes in is heard in its
//! order. The task holds no handle of the cache: it ends when the last one is dropped, with a word of farewell.

use std::borrow::Borrow;
use std::future::pending;
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tiered_core::{Clock, Error, ErrorKind, Key, News, Result, Subscription, Tick};
use tokio::runtime::Handle;

use crate::budget;
use crate::message::{Event, Message};
use crate::outbox::Bus;
use crate::peers::Peers;
use crate::shared::Shared;
use crate::stats::Count;

/// How long a change waits at most until it was sent.
const LONGEST_WAIT: Duration = Duration::from_millis(250);

impl<V: Send + Sync + 'static, K: Key + ?Sized> Shared<V, K> {
    /// Tells the other nodes, soon.
    pub(crate) fn tell(self: &Arc<Self>, event: Event) {
        if let Some(bus) = &self.bus {
            bus.tell(event);
            self.attend();
        }
    }

    /// The others hear what was said so far, or will notice that they have missed it. A node that hears itself need not wait
    /// for that; one that does not waits until it was sent, for a moment.
    ///
    /// # Errors
    /// It could not be sent: the others may hold older copies until those end.
    pub(crate) async fn told(&self) -> Result<()> {
        let Some(bus) = &self.bus else { return Ok(()) };
        if bus.is_closed() {
            // It has said farewell: nobody will notice its silence.
            return Err(untold());
        }
        let now = self.now();
        if self.near.trust.is_heard(now) {
            return Ok(());
        }
        if bus.circuit().is_open() {
            return Err(untold());
        }
        let number = bus.last_number();
        let mut sent = bus.sent.subscribe();
        let patience = budget::left(now).unwrap_or(LONGEST_WAIT);
        let patience = patience.min(self.settings.coherence.ping_interval());
        let sent = tokio::select! {
            biased;
            sent = sent.wait_for(|sent| sent.number >= number) => sent.is_ok_and(|sent| sent.failed < number),
            () = self.clock.sleep_until(now.plus(patience)) => false,
        };
        if sent { Ok(()) } else { Err(untold()) }
    }

    /// Tells the other nodes of a key.
    pub(crate) fn tell_of(self: &Arc<Self>, key: &K, event: impl FnOnce(String) -> Event) {
        if self.bus.is_none() {
            return;
        }
        let text = key.to_string();
        let read: Option<K::Owned> = text.parse().ok();
        // They must be able to read it.
        let is_readable = read.is_some_and(|read| read.borrow() == key);
        self.tell(if is_readable {
            event(text)
        } else {
            Event::Everything
        });
    }

    /// Sees to what goes on in the background.
    pub(crate) fn attend(self: &Arc<Self>) {
        if self.doubts.count() > 0 {
            self.mend();
        }
        if self.is_time_due(self.now()) {
            self.keep_time();
        }
        self.listen();
    }

    /// Lets the node's task run, if it does not. A cache may be built where there is no runtime, and may outlive the one that
    /// it was first used on.
    pub(crate) fn listen(self: &Arc<Self>) {
        let Some(bus) = &self.bus else { return };
        if bus.is_running() || bus.is_closed() {
            return;
        }
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        if bus.begin() {
            runtime.spawn(Node::new(self, Arc::clone(bus)).run());
        }
    }
}

/// The task of a node.
struct Node<V, K: Key + ?Sized> {
    subscription: Box<dyn Subscription>,
    bus: Arc<Bus>,
    shared: Weak<Shared<V, K>>,
    clock: Clock,
    ping_interval: Duration,
    next_ping: Tick,
    /// When to look whether the store was emptied, where it watches itself: of that it says nothing.
    next_look: Option<Tick>,
    peers: Peers,
    publishing: Option<Publishing>,
}

type Publishing = BoxFuture<'static, Result<()>>;

/// What may come up.
enum Next {
    Ping,
    Sent(Result<()>),
    Ready,
    News(Option<News>),
}

impl<V: Send + Sync + 'static, K: Key + ?Sized> Node<V, K> {
    fn new(shared: &Arc<Shared<V, K>>, bus: Arc<Bus>) -> Self {
        let coherence = &shared.settings.coherence;
        Self {
            subscription: bus.subscribe(),
            bus,
            shared: Arc::downgrade(shared),
            clock: shared.clock.clone(),
            ping_interval: coherence.ping_interval(),
            next_ping: shared.now(),
            next_look: None,
            // Three pings missed; noticed with the fourth.
            peers: Peers::new(coherence.ping_interval() * 3),
            publishing: None,
        }
    }

    async fn run(mut self) {
        while !self.bus.is_closed() {
            let next = self.next().await;
            if self.act(next).is_none() {
                break;
            }
            self.speak();
        }
        self.bus.tell(Event::Bye);
        if let Some(publishing) = self.publishing.take() {
            self.bus.note_sent(publishing.await.is_ok());
        }
        while let Some(message) = self.bus.message() {
            if self.bus.publish(&message).await.is_err() {
                // Who misses it will notice that this node is silent.
                self.bus.put_back(message);
                break;
            }
            self.bus.note_sent(true);
        }
    }

    async fn next(&mut self) -> Next {
        tokio::select! {
            biased;
            () = self.clock.sleep_until(self.next_ping) => Next::Ping,
            sent = outcome(&mut self.publishing) => Next::Sent(sent),
            () = self.bus.ready.notified() => Next::Ready,
            news = self.subscription.next() => Next::News(news),
        }
    }

    /// `None`: there is nothing more to do.
    fn act(&mut self, next: Next) -> Option<()> {
        let shared = self.shared.upgrade()?;
        match next {
            Next::Ready => {}
            Next::Ping => self.ping(&shared),
            Next::Sent(sent) => {
                self.publishing = None;
                if sent.is_err() {
                    shared.counters.add(Count::MessagesLost, 1);
                }
                self.bus.note_sent(sent.is_ok());
            }
            Next::News(news) => self.hear(&shared, news?),
        }
        Some(())
    }

    /// Sends the next message, if the last one is out.
    fn speak(&mut self) {
        if self.publishing.is_none()
            && let Some(message) = self.bus.message()
        {
            self.publishing = Some(self.bus.publish(&message));
        }
    }

    fn ping(&mut self, shared: &Arc<Shared<V, K>>) {
        let now = self.clock.now();
        self.next_ping = now.plus(self.ping_interval);
        self.bus.tell(Event::Ping(now));
        if self.peers.any_is_silent(now) {
            shared.doubt();
        }
        if self.next_look.is_some_and(|next| next <= now) {
            self.next_look = Some(now.plus(self.ping_interval));
            shared.touched(&[]);
        }
    }

    fn hear(&mut self, shared: &Arc<Shared<V, K>>, news: News) {
        match news {
            News::Gap => {
                shared.doubt();
                self.peers.miss(self.clock.now());
                self.next_ping = self.clock.now();
            }
            News::Message(bytes) => match Message::read(&bytes) {
                Some(message) => self.hear_message(shared, message),
                None => shared.doubt(),
            },
            News::Touched(names) => {
                self.next_look = self.next_look.or(Some(self.clock.now()));
                shared.touched(&names);
            }
        }
    }

    fn hear_message(&mut self, shared: &Arc<Shared<V, K>>, message: Message) {
        let Message {
            sender,
            number,
            events,
        } = message;
        if sender == self.bus.sender {
            for event in events {
                if let Event::Ping(sent) = event {
                    // Who is silent may have been about to say something.
                    let silent = self.peers.longest_silence().unwrap_or(sent);
                    shared.near.trust.heard_all_before(sent.min(silent));
                }
            }
            return;
        }
        shared.counters.add(Count::MessagesHeard, 1);
        if self.peers.has_missed(sender, number, self.clock.now()) {
            shared.doubt();
        }
        for event in events {
            if event == Event::Bye {
                self.peers.forget(sender);
            }
            shared.heard(event);
        }
    }
}

impl<V, K: Key + ?Sized> Drop for Node<V, K> {
    fn drop(&mut self) {
        self.bus.end();
    }
}

fn untold() -> Error {
    let message = "the other nodes could not be told: they may hold older copies until those end";
    Error::new(ErrorKind::Unavailable, message)
}

async fn outcome(publishing: &mut Option<Publishing>) -> Result<()> {
    match publishing {
        Some(publishing) => publishing.await,
        None => pending().await,
    }
}
