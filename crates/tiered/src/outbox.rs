//! What a node has to say, until it is said.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::BoxFuture;
use tiered_core::{Backplane as _, Result, Subscription};
use tokio::sync::{Notify, watch};

use crate::circuit::Circuit;
use crate::guard::GuardedBackplane;
use crate::message::{Event, Message};

/// How many events may wait to be sent; with one more, all become one that says "everything".
pub(crate) const MOST_WAITING: usize = 4_096;

/// How many events go into one message.
pub(crate) const MOST_IN_MESSAGE: usize = 512;

pub(crate) struct Bus {
    backplane: GuardedBackplane,
    namespace: String,
    pub(crate) sender: u64,
    outbox: Mutex<Outbox>,
    /// There is something to say, or nothing any more.
    pub(crate) ready: Notify,
    is_running: AtomicBool,
    is_closed: AtomicBool,
    pub(crate) sent: watch::Sender<Sent>,
}

/// What has become of the messages.
#[derive(Clone, Copy, Default)]
pub(crate) struct Sent {
    /// The last one that was sent, or was not.
    pub(crate) number: u64,
    /// The last one that was not.
    pub(crate) failed: u64,
}

#[derive(Default)]
struct Outbox {
    events: VecDeque<Event>,
    /// How many messages were made.
    number: u64,
    /// How many changes are in the one that is on its way.
    sending: usize,
    /// How many were in those that could not be sent, since the last one that was: with that the others notice.
    lost: usize,
}

impl Bus {
    pub(crate) fn new(backplane: GuardedBackplane, namespace: &str, sender: u64) -> Self {
        Self {
            backplane,
            namespace: namespace.to_owned(),
            sender,
            outbox: Mutex::default(),
            ready: Notify::new(),
            is_running: AtomicBool::new(false),
            is_closed: AtomicBool::new(false),
            sent: watch::Sender::default(),
        }
    }

    /// Sends this, soon.
    pub(crate) fn tell(&self, event: Event) {
        let mut outbox = self.outbox();
        if outbox.events.len() >= MOST_WAITING {
            outbox.events.clear();
            outbox.events.push_back(Event::Everything);
        } else {
            outbox.events.push_back(event);
        }
        drop(outbox);
        self.ready.notify_one();
    }

    pub(crate) fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
        self.ready.notify_one();
    }

    pub(crate) fn circuit(&self) -> &Circuit {
        self.backplane.circuit()
    }

    /// How many changes the others do not know of.
    pub(crate) fn waiting(&self) -> usize {
        let outbox = self.outbox();
        changes(&outbox.events) + outbox.sending + outbox.lost
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Acquire)
    }

    /// Its task runs: it has not said farewell.
    pub(crate) fn is_running(&self) -> bool {
        self.is_running.load(Ordering::Acquire)
    }

    /// Its task begins, if it does not run; whether it did not.
    pub(crate) fn begin(&self) -> bool {
        !self.is_running.swap(true, Ordering::AcqRel)
    }

    pub(crate) fn end(&self) {
        self.is_running.store(false, Ordering::Release);
    }

    pub(crate) fn subscribe(&self) -> Box<dyn Subscription> {
        self.backplane.subscribe(&self.namespace)
    }

    /// The next message, if there is something to say. It keeps its number, sent or not.
    pub(crate) fn message(&self) -> Option<Message> {
        let mut outbox = self.outbox();
        if outbox.events.is_empty() {
            return None;
        }
        let count = outbox.events.len().min(MOST_IN_MESSAGE);
        let events: VecDeque<_> = outbox.events.drain(..count).collect();
        outbox.sending = changes(&events);
        outbox.number += 1;
        Some(Message {
            sender: self.sender,
            number: outbox.number,
            events: events.into(),
        })
    }

    /// This message could not be sent.
    pub(crate) fn put_back(&self, message: Message) {
        let mut outbox = self.outbox();
        outbox.sending = 0;
        message
            .events
            .into_iter()
            .rev()
            .for_each(|event| outbox.events.push_front(event));
    }

    /// The number of the message that brings the last of what is waiting.
    pub(crate) fn last_number(&self) -> u64 {
        let outbox = self.outbox();
        outbox.number + outbox.events.len().div_ceil(MOST_IN_MESSAGE) as u64
    }

    /// The message that was made last was sent, or not.
    pub(crate) fn note_sent(&self, is_sent: bool) {
        let mut outbox = self.outbox();
        let sending = std::mem::take(&mut outbox.sending);
        outbox.lost = if is_sent { 0 } else { outbox.lost + sending };
        let number = outbox.number;
        drop(outbox);
        self.sent.send_modify(|sent| {
            sent.number = number;
            if !is_sent {
                sent.failed = number;
            }
        });
    }

    pub(crate) fn publish(self: &Arc<Self>, message: &Message) -> BoxFuture<'static, Result<()>> {
        let (bus, text) = (Arc::clone(self), message.write());
        Box::pin(async move { bus.backplane.publish(&bus.namespace, text.into()).await })
    }

    fn outbox(&self) -> MutexGuard<'_, Outbox> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn changes(events: &VecDeque<Event>) -> usize {
    let changes = events.iter().filter(|event| event.is_change());
    changes.count()
}
