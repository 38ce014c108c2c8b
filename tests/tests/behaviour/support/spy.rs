use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use tiered::{Error, ErrorKind, L2, Record, Result, Write};

use super::gate::{Gate, Stop, gate};

/// What was done, in its order.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<&'static str>>>);

impl Log {
    pub(crate) fn note(&self, what: &'static str) {
        self.0.lock().unwrap().push(what);
    }

    /// What was noted since it was last asked.
    pub(crate) fn take(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

/// The operations of an L2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Get,
    Heads,
    Set,
    Remove,
}

/// Where an operation is held up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// Before the store has done it.
    Before,
    /// After, and before the caller has the answer.
    After,
}

/// An L2 that counts its calls, and that can be made to fail, to take long, and to be held up.
#[derive(Clone)]
pub(crate) struct Spy(Arc<Inner>);

struct Inner {
    store: Box<dyn L2>,
    log: Log,
    calls: [AtomicUsize; 4],
    keys: [AtomicUsize; 4],
    fails: [AtomicBool; 4],
    yields: AtomicUsize,
    gates: Mutex<VecDeque<(Op, When, Gate)>>,
}

impl Spy {
    pub(crate) fn new(store: impl L2) -> Self {
        Self(Arc::new(Inner {
            store: Box::new(store),
            log: Log::default(),
            calls: Default::default(),
            keys: Default::default(),
            fails: Default::default(),
            yields: AtomicUsize::new(0),
            gates: Mutex::default(),
        }))
    }

    pub(crate) fn log(&self) -> Log {
        self.0.log.clone()
    }

    /// How often it was asked so, and for how many keys in all.
    pub(crate) fn asked(&self, op: Op) -> (usize, usize) {
        let count = |counts: &[AtomicUsize; 4]| counts[op as usize].load(Ordering::SeqCst);
        (count(&self.0.calls), count(&self.0.keys))
    }

    /// How often it was asked at all.
    pub(crate) fn round_trips(&self) -> usize {
        self.0
            .calls
            .iter()
            .map(|count| count.load(Ordering::SeqCst))
            .sum()
    }

    /// Lets these operations fail from now on, and all others work.
    pub(crate) fn fail(&self, ops: &[Op]) {
        for op in [Op::Get, Op::Heads, Op::Set, Op::Remove] {
            self.0.fails[op as usize].store(ops.contains(&op), Ordering::SeqCst);
        }
    }

    /// Lets each operation take so many polls, before and after its work.
    pub(crate) fn slow(&self, yields: usize) {
        self.0.yields.store(yields, Ordering::SeqCst);
    }

    /// Holds up the next operation of this kind.
    pub(crate) fn hold(&self, op: Op, when: When) -> Stop {
        let (stop, gate) = gate();
        self.0.gates.lock().unwrap().push_back((op, when, gate));
        stop
    }

    async fn meet(&self, op: Op, when: When) {
        for _ in 0..self.0.yields.load(Ordering::SeqCst) {
            tokio::task::yield_now().await;
        }
        let gate = {
            let mut gates = self.0.gates.lock().unwrap();
            let found = gates
                .iter()
                .position(|(held, at, _)| (*held, *at) == (op, when));
            found.and_then(|found| gates.remove(found))
        };
        if let Some((_, _, gate)) = gate {
            gate.pass().await;
        }
    }

    /// Does `work`, or says for each of `count` keys that it failed.
    async fn act<T, F>(&self, op: Op, count: usize, note: &'static str, work: F) -> Vec<Result<T>>
    where
        F: Future<Output = Vec<Result<T>>>,
    {
        self.0.calls[op as usize].fetch_add(1, Ordering::SeqCst);
        self.0.keys[op as usize].fetch_add(count, Ordering::SeqCst);
        self.meet(op, When::Before).await;
        let answers = if self.0.fails[op as usize].load(Ordering::SeqCst) {
            let failed = || Err(Error::new(ErrorKind::Unavailable, "the spy lets it fail"));
            (0..count).map(|_| failed()).collect()
        } else {
            work.await
        };
        self.0.log.note(note);
        self.meet(op, When::After).await;
        answers
    }
}

#[async_trait]
impl L2 for Spy {
    async fn get_many(&self, keys: &[&str]) -> Vec<Result<Option<Record>>> {
        self.act(Op::Get, keys.len(), "l2 get", self.0.store.get_many(keys))
            .await
    }

    async fn heads_many(&self, keys: &[&str]) -> Vec<Result<Option<Record>>> {
        self.act(
            Op::Heads,
            keys.len(),
            "l2 heads",
            self.0.store.heads_many(keys),
        )
        .await
    }

    async fn set_many(&self, writes: &[Write<'_>]) -> Vec<Result<()>> {
        self.act(
            Op::Set,
            writes.len(),
            "l2 set",
            self.0.store.set_many(writes),
        )
        .await
    }

    async fn remove_many(&self, keys: &[&str]) -> Vec<Result<Option<Record>>> {
        self.act(
            Op::Remove,
            keys.len(),
            "l2 remove",
            self.0.store.remove_many(keys),
        )
        .await
    }
}
