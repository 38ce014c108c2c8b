use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tiered::{
    Backplane, Claim, Claimed, Error, ErrorKind, Expiry, Fill, Hold, L2, NewMark, Record, Result,
    Stamp, Version, Write,
};
use tokio::sync::Notify;

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
    Expire,
    Claim,
    Fill,
    Renew,
    Release,
    ReadMarks,
    WriteMarks,
    Time,
}

impl Op {
    /// All that an L2 can be asked.
    pub(crate) const ALL: [Self; 12] = [
        Self::Get,
        Self::Heads,
        Self::Set,
        Self::Remove,
        Self::Expire,
        Self::Claim,
        Self::Fill,
        Self::Renew,
        Self::Release,
        Self::ReadMarks,
        Self::WriteMarks,
        Self::Time,
    ];
}

type PerOp<T> = [T; Op::ALL.len()];

/// Where an operation is held up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// Before the store has done it.
    Before,
    /// After, and before the caller has the answer.
    After,
}

/// An L2 that counts its calls, and that can be made to fail, to take long, to hang, and to be held up.
#[derive(Clone)]
pub(crate) struct Spy(Arc<Inner>);

struct Inner {
    store: Box<dyn L2>,
    log: Log,
    calls: PerOp<AtomicUsize>,
    keys: PerOp<AtomicUsize>,
    fails: PerOp<AtomicBool>,
    loses: PerOp<AtomicBool>,
    is_frozen: PerOp<AtomicBool>,
    thaws: Notify,
    /// Keys that cannot be removed.
    stuck: Mutex<Vec<String>>,
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
            loses: Default::default(),
            is_frozen: Default::default(),
            thaws: Notify::new(),
            stuck: Mutex::default(),
            yields: AtomicUsize::new(0),
            gates: Mutex::default(),
        }))
    }

    pub(crate) fn log(&self) -> Log {
        self.0.log.clone()
    }

    /// How often it was asked so, and for how many keys in all.
    pub(crate) fn asked(&self, op: Op) -> (usize, usize) {
        let count = |counts: &PerOp<AtomicUsize>| counts[op as usize].load(Ordering::SeqCst);
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
        for op in Op::ALL {
            self.0.fails[op as usize].store(ops.contains(&op), Ordering::SeqCst);
        }
    }

    /// Lets these operations be done from now on, and their answers be lost; and no others.
    pub(crate) fn lose_answers(&self, ops: &[Op]) {
        for op in Op::ALL {
            self.0.loses[op as usize].store(ops.contains(&op), Ordering::SeqCst);
        }
    }

    /// Lets these operations hang from now on, before the store has done anything; all others go on, those that hung too.
    pub(crate) fn freeze(&self, ops: &[Op]) {
        for op in Op::ALL {
            self.0.is_frozen[op as usize].store(ops.contains(&op), Ordering::SeqCst);
        }
        self.0.thaws.notify_waiters();
    }

    /// Lets the removal of this name fail from now on, and none of any other.
    pub(crate) fn stick(&self, name: &str) {
        self.0.stuck.lock().unwrap().push(name.to_owned());
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

    async fn thawed(&self, op: Op) {
        loop {
            let thaws = self.0.thaws.notified();
            if !self.0.is_frozen[op as usize].load(Ordering::SeqCst) {
                return;
            }
            thaws.await;
        }
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
        self.thawed(op).await;
        self.meet(op, When::Before).await;
        let failed = |kind| (0..count).map(move |_| Err(Error::new(kind, "the spy lets it fail")));
        let answers = if self.0.fails[op as usize].load(Ordering::SeqCst) {
            failed(ErrorKind::Unavailable).collect()
        } else {
            work.await
        };
        let answers = if self.0.loses[op as usize].load(Ordering::SeqCst) {
            failed(ErrorKind::Timeout).collect()
        } else {
            answers
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
        let work = async {
            let mut answers = self.0.store.remove_many(keys).await;
            let stuck = self.0.stuck.lock().unwrap();
            for (key, answer) in keys.iter().zip(&mut answers) {
                if stuck.iter().any(|stuck| stuck == key) {
                    *answer = Err(Error::new(ErrorKind::Unavailable, "this one is stuck"));
                }
            }
            answers
        };
        self.act(Op::Remove, keys.len(), "l2 remove", work).await
    }

    async fn expire_many(&self, expiries: &[Expiry<'_>]) -> Vec<Result<Option<Record>>> {
        let work = self.0.store.expire_many(expiries);
        self.act(Op::Expire, expiries.len(), "l2 expire", work)
            .await
    }

    async fn claim_many(&self, claims: &[Claim<'_>]) -> Vec<Result<Claimed>> {
        let work = self.0.store.claim_many(claims);
        self.act(Op::Claim, claims.len(), "l2 claim", work).await
    }

    async fn fill_many(&self, fills: &[Fill<'_>]) -> Vec<Result<bool>> {
        let work = self.0.store.fill_many(fills);
        self.act(Op::Fill, fills.len(), "l2 fill", work).await
    }

    async fn renew_many(&self, holds: &[Hold<'_>], life: Duration) -> Vec<Result<bool>> {
        let work = self.0.store.renew_many(holds, life);
        self.act(Op::Renew, holds.len(), "l2 renew", work).await
    }

    async fn release_many(&self, holds: &[Hold<'_>], pass: Option<Duration>) -> Vec<Result<()>> {
        let work = self.0.store.release_many(holds, pass);
        self.act(Op::Release, holds.len(), "l2 release", work).await
    }

    async fn read_marks(&self, marks: &[NewMark<'_>]) -> Result<Vec<Version>> {
        let work = async { vec![self.0.store.read_marks(marks).await] };
        let mut outcome = self.act(Op::ReadMarks, 1, "l2 read marks", work).await;
        outcome.remove(0)
    }

    async fn write_marks(&self, marks: &[NewMark<'_>]) -> Result<()> {
        let work = async { vec![self.0.store.write_marks(marks).await] };
        let mut outcome = self.act(Op::WriteMarks, 1, "l2 write marks", work).await;
        outcome.remove(0)
    }

    async fn time(&self) -> Result<Stamp> {
        let work = async { vec![self.0.store.time().await] };
        let mut outcome = self.act(Op::Time, 1, "l2 time", work).await;
        outcome.remove(0)
    }

    fn backplane(&self) -> Option<Arc<dyn Backplane>> {
        self.0.store.backplane()
    }
}
