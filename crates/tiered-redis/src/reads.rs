//! Reads of values. Where many callers read one key each at the same time, those who are ready to ask go out together, as
//! one `MGET`: a command of its own costs fred several times what a further key in a command does, and costs each caller
//! a future of 5 KiB. Nobody waits for company: what goes out is what is there, and with few commands under way a read
//! goes out by itself.

use std::sync::Arc;

use bytes::Bytes;
use fred::error::Error as Cause;
use fred::interfaces::KeysInterface;
use futures_util::future::join_all;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tiered_core::{ErrorKind, Record, Result};
use tokio::sync::{mpsc, oneshot};
use tokio::task::yield_now;

use crate::error;
use crate::line::Line;

/// Up to so many commands under way, a read goes out by itself.
const FEW: usize = 2;

/// How many keys go into one command at most, and how many such commands are under way at most.
const KEYS: usize = 128;
const COMMANDS: usize = 64;

/// fred takes a reply of three to five values, the first of which is "message" or "subscribe", for news of pub/sub, and
/// from then on gives every reply to the wrong caller. So no shorter array of stored bytes may ever be a reply.
const LEAST_IN_MGET: usize = 6;

/// The reads of one connection.
pub(crate) struct Reads {
    line: Arc<Line>,
    queue: mpsc::Sender<Asked>,
}

struct Asked {
    key: String,
    answer: oneshot::Sender<Result<Option<Record>>>,
}

impl Reads {
    /// Reads over this line. Needs a runtime; its task ends when this is dropped.
    pub(crate) fn new(line: Arc<Line>) -> Self {
        let (queue, asked) = mpsc::channel(line.max_waiting());
        tokio::spawn(gather(Arc::clone(&line), asked));
        Self { line, queue }
    }

    /// The record under one key.
    pub(crate) async fn one(&self, key: &str) -> Result<Option<Record>> {
        if self.line.waiting() <= FEW {
            // Boxed, so that those who queue up do not carry the room for it.
            return Box::pin(get(&self.line, key)).await;
        }
        let (answer, answered) = oneshot::channel();
        let key = key.to_owned();
        let queued = self.queue.try_send(Asked { key, answer });
        queued.map_err(|_| error::too_many_waiting())?;
        answered.await.map_err(|_| error::not_connected())?
    }

    /// The records under many keys.
    pub(crate) async fn many(&self, keys: &[&str]) -> Vec<Result<Option<Record>>> {
        get_all(&self.line, keys).await
    }
}

/// Sends what has queued up, whenever there is room for a command.
async fn gather(line: Arc<Line>, mut queue: mpsc::Receiver<Asked>) {
    let mut under_way = FuturesUnordered::new();
    loop {
        tokio::select! {
            biased;
            Some(is_silent) = under_way.next() => {
                if is_silent {
                    give_up(&mut queue);
                }
            }
            first = queue.recv(), if under_way.len() < COMMANDS => {
                let Some(first) = first else { return };
                // The others who are ready to ask do so now.
                yield_now().await;
                let mut asked = vec![first];
                while asked.len() < KEYS && let Ok(next) = queue.try_recv() {
                    asked.push(next);
                }
                under_way.push(answer(Arc::clone(&line), asked));
            }
        }
    }
}

/// Answers these callers. Whether the server did not answer in time.
async fn answer(line: Arc<Line>, mut asked: Vec<Asked>) -> bool {
    asked.retain(|asked| !asked.answer.is_closed());
    let keys: Vec<_> = asked.iter().map(|asked| asked.key.as_str()).collect();
    let records = get_all(&line, &keys).await;
    let is_silent = records.iter().any(is_timeout);
    for (asked, record) in asked.into_iter().zip(records) {
        // Who does not wait any more needs no answer.
        let _ = asked.answer.send(record);
    }
    is_silent
}

/// Those who have waited while the server was silent do not wait for another silence.
fn give_up(queue: &mut mpsc::Receiver<Asked>) {
    while let Ok(asked) = queue.try_recv() {
        let _ = asked.answer.send(Err(error::not_asked()));
    }
}

async fn get_all(line: &Line, keys: &[&str]) -> Vec<Result<Option<Record>>> {
    if keys.len() < LEAST_IN_MGET {
        return join_all(keys.iter().map(|key| get(line, key))).await;
    }
    match mget(line, keys).await {
        Ok(values) if values.len() == keys.len() => {
            let record = |value: Option<Bytes>| Ok(value.map(Record::new));
            values.into_iter().map(record).collect()
        }
        Ok(_) => vec![Err(error::garbled()); keys.len()],
        Err(error) => vec![Err(error); keys.len()],
    }
}

async fn get(line: &Line, key: &str) -> Result<Option<Record>> {
    let client = line.turn()?;
    let value = or_foreign(client.get(key).await)?;
    Ok(value.map(Record::new))
}

async fn mget(line: &Line, keys: &[&str]) -> Result<Vec<Option<Bytes>>> {
    let client = line.turn()?;
    let values = client.mget(keys.to_vec()).await;
    values.map_err(|cause| error::of_command(&cause))
}

/// Something under the key that is no string is a foreign record.
pub(crate) fn or_foreign(reply: Result<Option<Bytes>, Cause>) -> Result<Option<Bytes>> {
    match reply {
        Ok(bytes) => Ok(bytes),
        Err(cause) if error::is_wrong_type(&cause) => Ok(Some(Bytes::new())),
        Err(cause) => Err(error::of_command(&cause)),
    }
}

fn is_timeout<T>(outcome: &Result<T>) -> bool {
    let error = outcome.as_ref().err();
    error.is_some_and(|error| error.kind() == ErrorKind::Timeout)
}
