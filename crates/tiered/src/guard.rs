//! The guard around L2 and the backplane: every operation ends in time, and what fails is left alone for a while.
//!
//! It wraps what it guards and implements the same trait, so nothing else needs to know of it. A call's operations share its
//! budget (`budget.rs`); what is done in the background has a limit of its own. Reads and writes have a breaker each: a read-only
//! replica, or a full store, still answers reads.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tiered_core::{
    Backplane, Claim, Claimed, Clock, Error, ErrorKind, Expiry, Fill, Hold, L2, NewMark, Record,
    Result, Stamp, Subscription, Version, Write,
};
use tokio::runtime::Handle;

use crate::budget::{Question, for_keys, left};
use crate::circuit::{Circuit, refusal};
use crate::settings::Settings;

/// What a single operation may take that is no caller's: at least a call's whole budget.
pub(crate) const BACKGROUND: Duration = Duration::from_millis(250);

/// How long the store keeps the mark that a probe writes.
const PROBE_LIFE: Duration = Duration::from_secs(1);

/// An [`L2`] that answers in time.
#[derive(Clone)]
pub(crate) struct Guard(Arc<Inner>);

struct Inner {
    l2: Arc<dyn L2>,
    reads: Line,
    writes: Line,
    clock: Clock,
    limit: Duration,
    /// The name of the mark that probes write, and of the record that they read.
    probe: String,
}

/// One of the two ways that L2 is used.
struct Line {
    circuit: Circuit,
    is_probed: AtomicBool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    Read,
    Write,
}

impl Guard {
    pub(crate) fn new(
        l2: Arc<dyn L2>,
        namespace: &str,
        settings: &Settings,
        clock: &Clock,
    ) -> Self {
        let line = |what: &str| Line {
            circuit: circuit(namespace, what, settings, clock),
            is_probed: AtomicBool::new(false),
        };
        Self(Arc::new(Inner {
            l2,
            reads: line("reads of l2"),
            writes: line("writes of l2"),
            clock: clock.clone(),
            limit: settings.deadlines.l2.max(BACKGROUND),
            probe: format!("#probe:{namespace}"),
        }))
    }

    pub(crate) fn reads(&self) -> &Circuit {
        &self.0.reads.circuit
    }

    pub(crate) fn writes(&self) -> &Circuit {
        &self.0.writes.circuit
    }

    /// The answers for so many keys.
    async fn many<T>(
        &self,
        what: Use,
        keys: usize,
        work: impl Future<Output = Vec<Result<T>>>,
    ) -> Vec<Result<T>> {
        let answers = self.within(what, keys, work).await;
        answers.unwrap_or_else(|error| (0..keys).map(|_| Err(error.clone())).collect())
    }

    /// The only answer.
    async fn one<T>(&self, what: Use, work: impl Future<Output = Result<T>>) -> Result<T> {
        self.within(what, 1, work).await?
    }

    async fn within<A: Answers>(
        &self,
        what: Use,
        keys: usize,
        work: impl Future<Output = A>,
    ) -> Result<A> {
        let line = self.0.line(what);
        if line.circuit.is_open() {
            self.probe(what);
            return Err(refusal());
        }
        let now = self.0.clock.now();
        let budget = left(now);
        let left = budget.unwrap_or_else(|| for_keys(self.0.limit, keys));
        if left.is_zero() {
            return Err(over_budget());
        }
        let question = Question::open(&self.0.clock, now);
        let answers = in_time(&self.0.clock, left, work).await;
        drop(question);
        if budget.is_some() {
            self.note(what, answers.as_ref());
        }
        answers.ok_or_else(late)
    }

    /// What has become of a call; of what the node does in the background, a key that fails for ever would open the breaker.
    fn note<A: Answers>(&self, what: Use, answers: Option<&A>) {
        let circuit = &self.0.line(what).circuit;
        if answers.is_some_and(A::was_refused) {
            circuit.note_refusal();
        }
        if circuit.note(answers.is_none_or(A::has_failed)) {
            self.probe(what);
        }
    }

    /// Lets the probing run, if it does not.
    fn probe(&self, what: Use) {
        let is_probed = &self.0.line(what).is_probed;
        if is_probed.load(Ordering::Acquire) {
            return;
        }
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        if !is_probed.swap(true, Ordering::AcqRel) {
            let guard = Arc::downgrade(&self.0);
            runtime.spawn(Prober { guard, what }.run(self.0.clock.clone()));
        }
    }
}

impl Inner {
    fn line(&self, what: Use) -> &Line {
        match what {
            Use::Read => &self.reads,
            Use::Write => &self.writes,
        }
    }

    /// Asks for something that is no use to anybody.
    async fn ask(&self, what: Use) -> bool {
        let name = self.probe.as_str();
        let mark = NewMark {
            name,
            version: Version::from_bytes([1; 8]),
            life: PROBE_LIFE,
        };
        let answer = match what {
            Use::Read => in_time(&self.clock, self.limit, self.l2.heads_many(&[name]))
                .await
                .map(|heads| heads.has_failed()),
            Use::Write => in_time(&self.clock, self.limit, self.l2.write_marks(&[mark]))
                .await
                .map(|done| done.has_failed()),
        };
        answer.unwrap_or(true)
    }
}

/// The task that probes while a breaker is open.
struct Prober {
    guard: Weak<Inner>,
    what: Use,
}

impl Prober {
    async fn run(self, clock: Clock) {
        while let Some(next) = self.next() {
            clock.sleep_until(next).await;
            let Some(guard) = self.guard.upgrade() else {
                return;
            };
            let circuit = &guard.line(self.what).circuit;
            if circuit.may_probe() {
                circuit.note_probe(guard.ask(self.what).await);
            }
        }
    }

    /// When to probe next; `None` if it is not open any more.
    fn next(&self) -> Option<tiered_core::Tick> {
        let guard = self.guard.upgrade()?;
        let circuit = &guard.line(self.what).circuit;
        circuit.is_open().then(|| circuit.next_probe())
    }
}

impl Drop for Prober {
    /// The runtime that it runs on may end before the cache does.
    fn drop(&mut self) {
        if let Some(guard) = self.guard.upgrade() {
            guard
                .line(self.what)
                .is_probed
                .store(false, Ordering::Release);
        }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl L2 for Guard {
    async fn get_many(&self, keys: &[&str]) -> Vec<Result<Option<Record>>> {
        self.many(Use::Read, keys.len(), self.0.l2.get_many(keys))
            .await
    }

    async fn heads_many(&self, keys: &[&str]) -> Vec<Result<Option<Record>>> {
        self.many(Use::Read, keys.len(), self.0.l2.heads_many(keys))
            .await
    }

    async fn set_many(&self, writes: &[Write<'_>]) -> Vec<Result<()>> {
        self.many(Use::Write, writes.len(), self.0.l2.set_many(writes))
            .await
    }

    async fn remove_many(&self, keys: &[&str]) -> Vec<Result<Option<Record>>> {
        self.many(Use::Write, keys.len(), self.0.l2.remove_many(keys))
            .await
    }

    async fn expire_many(&self, expiries: &[Expiry<'_>]) -> Vec<Result<Option<Record>>> {
        self.many(Use::Write, expiries.len(), self.0.l2.expire_many(expiries))
            .await
    }

    async fn claim_many(&self, claims: &[Claim<'_>]) -> Vec<Result<Claimed>> {
        self.many(Use::Write, claims.len(), self.0.l2.claim_many(claims))
            .await
    }

    async fn fill_many(&self, fills: &[Fill<'_>]) -> Vec<Result<bool>> {
        self.many(Use::Write, fills.len(), self.0.l2.fill_many(fills))
            .await
    }

    async fn renew_many(&self, holds: &[Hold<'_>], life: Duration) -> Vec<Result<bool>> {
        self.many(Use::Write, holds.len(), self.0.l2.renew_many(holds, life))
            .await
    }

    async fn release_many(&self, holds: &[Hold<'_>], pass: Option<Duration>) -> Vec<Result<()>> {
        self.many(Use::Write, holds.len(), self.0.l2.release_many(holds, pass))
            .await
    }

    async fn read_marks(&self, marks: &[NewMark<'_>]) -> Result<Vec<Version>> {
        self.one(Use::Read, self.0.l2.read_marks(marks)).await
    }

    async fn write_marks(&self, marks: &[NewMark<'_>]) -> Result<()> {
        self.one(Use::Write, self.0.l2.write_marks(marks)).await
    }

    async fn time(&self) -> Result<Stamp> {
        self.one(Use::Read, self.0.l2.time()).await
    }

    fn backplane(&self) -> Option<Arc<dyn Backplane>> {
        self.0.l2.backplane()
    }
}

/// A [`Backplane`] whose messages are sent in time, or not at all. Its probes are messages: no caller waits for them.
#[derive(Clone)]
pub(crate) struct GuardedBackplane(Arc<Speaker>);

struct Speaker {
    backplane: Arc<dyn Backplane>,
    circuit: Circuit,
    clock: Clock,
    limit: Duration,
}

impl GuardedBackplane {
    pub(crate) fn new(
        backplane: Arc<dyn Backplane>,
        namespace: &str,
        settings: &Settings,
        clock: &Clock,
    ) -> Self {
        Self(Arc::new(Speaker {
            backplane,
            circuit: circuit(namespace, "the backplane", settings, clock),
            clock: clock.clone(),
            limit: settings.deadlines.l2.max(BACKGROUND),
        }))
    }

    pub(crate) fn circuit(&self) -> &Circuit {
        &self.0.circuit
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Backplane for GuardedBackplane {
    async fn publish(&self, namespace: &str, message: Bytes) -> Result<()> {
        let Speaker {
            backplane,
            circuit,
            clock,
            limit,
        } = &*self.0;
        let is_probe = circuit.is_open();
        if is_probe && !circuit.may_probe() {
            return Err(refusal());
        }
        let sent = in_time(clock, *limit, backplane.publish(namespace, message)).await;
        let has_failed = sent.as_ref().is_none_or(Answers::has_failed);
        if is_probe {
            circuit.note_probe(has_failed);
        } else {
            circuit.note(has_failed);
        }
        sent.unwrap_or_else(|| Err(late()))
    }

    fn subscribe(&self, namespace: &str) -> Box<dyn Subscription> {
        self.0.backplane.subscribe(namespace)
    }
}

/// What a store answers.
trait Answers {
    /// It was of no use. That it has no room for a record is an answer.
    fn has_failed(&self) -> bool;

    /// There was no room for some record.
    fn was_refused(&self) -> bool;
}

impl<T> Answers for Result<T> {
    fn has_failed(&self) -> bool {
        let error = self.as_ref().err();
        error.is_some_and(|error| error.kind() != ErrorKind::Unstorable)
    }

    fn was_refused(&self) -> bool {
        let error = self.as_ref().err();
        error.is_some_and(|error| error.kind() == ErrorKind::Unstorable)
    }
}

impl<T> Answers for Vec<Result<T>> {
    fn has_failed(&self) -> bool {
        // One key that fails is no failure of the store.
        !self.is_empty() && self.iter().all(Answers::has_failed)
    }

    fn was_refused(&self) -> bool {
        self.iter().any(Answers::was_refused)
    }
}

/// What `work` brings, if it does so in time.
async fn in_time<T>(clock: &Clock, limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        done = work => Some(done),
        () = clock.sleep_until(clock.now().plus(limit)) => None,
    }
}

fn circuit(namespace: &str, what: &str, settings: &Settings, clock: &Clock) -> Circuit {
    Circuit::new(
        format!("cache {namespace}: {what}"),
        settings.breaker,
        clock.clone(),
    )
}

fn late() -> Error {
    Error::new(ErrorKind::Timeout, "it did not answer in time")
}

fn over_budget() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "not asked, for this call has spent all its time on l2 already",
    )
}
