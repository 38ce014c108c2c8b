//! Repeats what L2 has not confirmed, on a task that runs only while there is something to repeat.

use std::borrow::Borrow;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tiered_core::{Clock, Key, Result};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::far::borrowed;
use crate::marks::Which;
use crate::message::Event;
use crate::shared::Shared;

/// How long it waits before it tries, at first and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// How many keys it repeats at a time.
const AT_A_TIME: usize = 512;

#[derive(Default)]
pub(crate) struct Mender(Mutex<Option<JoinHandle<()>>>);

impl Mender {
    pub(crate) fn stop(&self) {
        if let Some(task) = self.task().take() {
            task.abort();
        }
    }

    fn task(&self) -> std::sync::MutexGuard<'_, Option<JoinHandle<()>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<V: Send + Sync + 'static, K: Key + ?Sized> Shared<V, K> {
    /// What L2 holds under this key is not known.
    pub(crate) fn distrust(self: &Arc<Self>, key: &K) {
        self.doubts.add(key);
        self.mend();
    }

    /// What L2 holds as this mark is not known.
    pub(crate) fn distrust_mark(self: &Arc<Self>, which: Which) {
        self.doubts.add_mark(which);
        self.mend();
    }

    /// Lets the repetition run, if it does not.
    pub(crate) fn mend(self: &Arc<Self>) {
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        if self.is_closed() {
            return;
        }
        let mut task = self.mender.task();
        if task.as_ref().is_none_or(JoinHandle::is_finished) {
            *task = Some(runtime.spawn(mend(Arc::downgrade(self), self.clock.clone())));
        }
    }

    /// Repeats some of it, and gives back what was claimed in vain.
    async fn repeat(self: &Arc<Self>) -> Result<()> {
        self.give_back().await;
        let due = self.doubts.due(AT_A_TIME);
        let mut outcome = Ok(());
        for mark in &due.marks {
            match self.renew_again(&mark.0).await {
                Ok(()) => self.doubts.settle_mark(mark),
                Err(error) => outcome = Err(error),
            }
        }
        outcome.and(self.repeat_removals(&due.keys).await)
    }

    async fn repeat_removals(self: &Arc<Self>, due: &[(K::Owned, u64)]) -> Result<()> {
        let Some(far) = self.far.as_ref().filter(|_| !due.is_empty()) else {
            return Ok(());
        };
        let names = due.iter().map(|(key, _)| far.wire.name(key.borrow()));
        let names: Vec<_> = names.collect();
        let removed = far.l2.remove_many(&borrowed(&names)).await;
        let mut outcome = Ok(());
        for ((key, time), removed) in due.iter().zip(removed) {
            match removed {
                Ok(_) => {
                    self.near.drop_copy(key.borrow());
                    self.tell_of(key.borrow(), Event::Removed);
                    self.doubts.settle(key.borrow(), *time);
                }
                Err(error) => {
                    self.doubts.put_off(key.borrow());
                    outcome = Err(error);
                }
            }
        }
        outcome
    }
}

async fn mend<V: Send + Sync + 'static, K: Key + ?Sized>(shared: Weak<Shared<V, K>>, clock: Clock) {
    let mut pause = FIRST_PAUSE;
    loop {
        clock.sleep_until(clock.now().plus(pause)).await;
        let Some(shared) = shared.upgrade() else {
            return;
        };
        pause = match shared.repeat().await {
            Ok(()) => FIRST_PAUSE,
            Err(_) => (pause * 2).min(LONGEST_PAUSE),
        };
        // Under the lock under which a new task is begun: what comes into doubt from now on finds this one finished.
        let mut task = shared.mender.task();
        if shared.doubts.count() == 0 && shared.lost_claims.is_empty() {
            *task = None;
            return;
        }
    }
}
