//! A backplane as plain as can be, in which one thing is done wrong.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Poll;

use async_trait::async_trait;
use bytes::Bytes;

use crate::{Backplane, Error, ErrorKind, News, Result, Subscription};

/// One handle on a list of queues. One thing is done wrong; nothing, if the fault is empty.
#[derive(Clone)]
pub(super) struct Toy {
    fault: &'static str,
    handle: usize,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    queues: Vec<Queue>,
    past: Vec<Message>,
    names: usize,
}

struct Queue {
    name: usize,
    namespace: String,
    handle: usize,
    news: VecDeque<Option<Message>>,
    is_closed: bool,
}

#[derive(Clone)]
struct Message {
    namespace: String,
    publisher: usize,
    bytes: Bytes,
}

impl Toy {
    /// Two handles.
    pub(super) fn pair(fault: &'static str) -> [Self; 2] {
        let shared = Arc::default();
        [0, 1].map(|handle| Self {
            fault,
            handle,
            shared: Arc::clone(&shared),
        })
    }

    pub(super) fn subscriptions(&self) -> usize {
        self.shared().queues.len()
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap()
    }

    fn is(&self, fault: &str) -> bool {
        self.fault == fault
    }

    fn reaches(&self, queue: &Queue, message: &Message) -> bool {
        let (from, to) = (&message.namespace, &queue.namespace);
        let is_own = queue.handle == message.publisher;
        match self.fault {
            "hears the beginning of a namespace" => to.starts_with(from.as_str()),
            "ignores case" => from.eq_ignore_ascii_case(to),
            "does not hear itself" => from == to && !is_own,
            "hears itself only" => from == to && is_own,
            "loses what is empty" => from == to && !message.bytes.is_empty(),
            _ => from == to,
        }
    }

    fn put(&self, queue: &mut Queue, message: &Message) {
        let news = &mut queue.news;
        if self.is("tells of gaps where there are none") {
            news.push_back(None);
        }
        let last = news.back().and_then(Option::as_ref);
        let overtakes = last.is_some_and(|last| match self.fault {
            "reorders" => true,
            "puts one's own first at one handle" => {
                queue.handle == 1 && message.publisher == 1 && last.publisher == 0
            }
            _ => false,
        });
        let at = news.len() - usize::from(overtakes);
        news.insert(at, Some(message.clone()));
        if self.is("says all twice") {
            news.push_back(Some(message.clone()));
        }
    }
}

#[async_trait]
impl Backplane for Toy {
    async fn publish(&self, namespace: &str, mut bytes: Bytes) -> Result<()> {
        if self.is("cuts long messages") {
            bytes.truncate(65_536);
        }
        if self.is("takes no long messages") && bytes.len() > 65_536 {
            return Err(Error::new(ErrorKind::Unstorable, "too long"));
        }
        let message = Message {
            namespace: namespace.to_owned(),
            publisher: self.handle,
            bytes,
        };
        let mut shared = self.shared();
        let queues = shared.queues.iter_mut();
        for queue in queues.filter(|queue| self.reaches(queue, &message)) {
            self.put(queue, &message);
        }
        shared.past.push(message);
        Ok(())
    }

    fn subscribe(&self, namespace: &str) -> Box<dyn Subscription> {
        let mut shared = self.shared();
        shared.names += 1;
        let mut queue = Queue {
            name: shared.names,
            namespace: namespace.to_owned(),
            handle: self.handle,
            news: VecDeque::new(),
            is_closed: false,
        };
        if !self.is("confirms nothing") {
            queue.news.push_back(None);
        }
        if self.is("repeats the past") {
            let past = shared.past.iter();
            let past = past.filter(|message| message.namespace == namespace);
            queue.news.extend(past.cloned().map(Some));
        }
        shared.queues.push(queue);
        let (name, toy) = (shared.names, self.clone());
        Box::new(Ear { name, toy })
    }
}

struct Ear {
    name: usize,
    toy: Toy,
}

impl Ear {
    fn take(&self) -> Poll<Option<News>> {
        let mut shared = self.toy.shared();
        let mut queues = shared.queues.iter_mut();
        let queue = queues.find(|queue| queue.name == self.name).unwrap();
        if queue.is_closed {
            return Poll::Ready(None);
        }
        let message = |message: Message| News::Message(message.bytes);
        match queue.news.pop_front() {
            None => Poll::Pending,
            Some(news) => Poll::Ready(Some(news.map_or(News::Gap, message))),
        }
    }
}

#[async_trait]
impl Subscription for Ear {
    async fn next(&mut self) -> Option<News> {
        let news = poll_fn(|_| self.take()).await;
        if self.toy.is("takes a message before it gives it") {
            pause().await;
        }
        news
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        let mut shared = self.toy.shared();
        let queues = &mut shared.queues;
        let dropped = queues.iter().position(|queue| queue.name == self.name);
        let dropped = queues.remove(dropped.unwrap());
        let neighbours = queues.iter_mut();
        let neighbours = neighbours.filter(|queue| queue.namespace == dropped.namespace);
        if self.toy.is("closes a namespace with one subscription") {
            neighbours.for_each(|queue| queue.is_closed = true);
        }
    }
}

/// Is ready when it is polled again.
async fn pause() {
    let mut is_polled = false;
    let again = poll_fn(|_| {
        if std::mem::replace(&mut is_polled, true) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    });
    again.await;
}
