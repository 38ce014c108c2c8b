//! Leaving: what is under way is finished, what cannot be is given up and told.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tiered_core::{Key, Tick};
use tokio::sync::Notify;

use crate::cache::Cache;
use crate::shared::Shared;

/// Whether a cache still works.
#[derive(Default)]
pub(crate) struct Phase {
    /// What is under way is finished; nothing is begun in the background.
    is_draining: AtomicBool,
    /// Nothing is loaded any more.
    is_closed: AtomicBool,
    closing: Notify,
}

impl Phase {
    fn drain(&self) {
        self.is_draining.store(true, Ordering::Release);
    }

    fn close(&self) {
        self.drain();
        self.is_closed.store(true, Ordering::Release);
        self.closing.notify_waiters();
    }
}

/// What a [`shutdown`](crate::Cache::shutdown) could not finish in time.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> tiered::Result<()> {
/// use std::time::Duration;
/// use tiered::{Cache, Farewell, Moka};
///
/// let names: Cache<String> = Cache::builder("names").l1(Moka::entries(100)).build()?;
/// let farewell = names.shutdown(Duration::from_secs(5)).await;
/// assert_eq!(farewell, Farewell::default());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Farewell {
    /// Loaders that still ran, and were aborted. Those who waited for them have an error of the kind
    /// [`Aborted`](crate::ErrorKind::Aborted), or an older copy.
    pub aborted_loads: usize,
    /// Writes that had not ended. They go on for as long as the runtime does.
    pub unfinished_writes: usize,
    /// Writes and invalidations that L2 has not confirmed. L2 may hold older values than these, until their own end.
    pub unconfirmed: usize,
    /// Changes of which the other nodes were not told. They notice that this node was silent, and ask L2.
    pub untold: usize,
}

impl Farewell {
    /// Nothing was lost.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        *self == Self::default()
    }
}

/// How often one looks whether everything is done.
const PAUSE: Duration = Duration::from_millis(5);

/// For the last words: claims that are released, and the farewell to the other nodes.
const GRACE: Duration = Duration::from_millis(500);

impl<V: Send + Sync + 'static, K: Key + ?Sized> Cache<V, K> {
    /// Leaves: waits until the loads, the writes and what is to be repeated in L2 are done, at most for so long; then aborts
    /// what still runs, gives back its claims, says farewell to the other nodes, and tells what was lost. That last part takes half a
    /// second at most.
    ///
    /// It concerns all handles of the cache. Nothing is begun in the background from now on, and nothing is loaded after it: a
    /// read that no tier can answer has an error of the kind [`Aborted`](crate::ErrorKind::Aborted). Dropped half-way, it waits
    /// no more, and the cache stays as it is.
    ///
    /// Dropping the last handle is a shutdown that waits for nothing.
    pub async fn shutdown(&self, deadline: Duration) -> Farewell {
        Arc::clone(&self.shared).shut_down(deadline).await
    }
}

impl<V: Send + Sync + 'static, K: Key + ?Sized> Shared<V, K> {
    /// Nothing new may begin in the background otherwise.
    pub(crate) fn is_open(&self) -> bool {
        !self.phase.is_draining.load(Ordering::Acquire)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.phase.is_closed.load(Ordering::Acquire)
    }

    /// Ends when the cache is closed.
    pub(crate) async fn closed(&self) {
        let closing = self.phase.closing.notified();
        let mut closing = pin!(closing);
        // It may be closed between the look and the wait.
        closing.as_mut().enable();
        if !self.is_closed() {
            closing.await;
        }
    }

    pub(crate) async fn shut_down(self: Arc<Self>, deadline: Duration) -> Farewell {
        self.phase.drain();
        let end = self.now().plus(deadline);
        self.until(end, || self.is_drained()).await;
        let aborted_loads = self.loads.count();
        let unfinished_writes = self.writes.count();
        self.close();
        self.until(self.now().plus(GRACE), || self.has_left()).await;
        Farewell {
            aborted_loads,
            unfinished_writes,
            unconfirmed: self.doubts.count(),
            untold: self.bus.as_ref().map_or(0, |bus| bus.waiting()),
        }
    }

    fn is_drained(&self) -> bool {
        let is_quiet = self.near.flights() == 0 && self.loads.count() == 0;
        let is_told = self.bus.as_ref().is_none_or(|bus| bus.waiting() == 0);
        is_quiet && self.writes.count() == 0 && self.doubts.count() == 0 && is_told
    }

    fn has_left(&self) -> bool {
        self.near.flights() == 0 && self.bus.as_ref().is_none_or(|bus| !bus.is_running())
    }

    async fn until(&self, end: Tick, is_done: impl Fn() -> bool) {
        while !is_done() && self.now() < end {
            self.clock
                .sleep_until(self.now().plus(PAUSE).min(end))
                .await;
        }
    }
}

impl<V, K: Key + ?Sized> Shared<V, K> {
    /// Ends all that runs for this cache. What is cached can still be read.
    pub(crate) fn close(&self) {
        self.phase.close();
        self.mender.stop();
        if let Some(bus) = &self.bus {
            bus.close();
        }
    }
}

/// Ends, with the last handle, what would otherwise keep the cache alive: loads hold on to it.
pub(crate) struct Owner<V, K: Key + ?Sized>(pub(crate) Arc<Shared<V, K>>);

impl<V, K: Key + ?Sized> Drop for Owner<V, K> {
    fn drop(&mut self) {
        let unconfirmed = self.0.doubts.count();
        if unconfirmed > 0 && !self.0.phase.is_closed.load(Ordering::Acquire) {
            let namespace = &self.0.namespace;
            log::warn!(
                "cache {namespace}: dropped with {unconfirmed} writes or invalidations that l2 has not confirmed"
            );
        }
        self.0.close();
    }
}
