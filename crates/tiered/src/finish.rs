use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use tiered_core::Key;
use tokio::runtime::Handle;

use crate::budget::with_budget;
use crate::shared::Shared;

/// A write that is finished even if its caller goes away: dropped half-way, it goes on on a task of its own. Half a
/// write would leave the tiers apart.
pub(crate) struct Finish<T: Send + 'static> {
    work: Option<BoxFuture<'static, T>>,
    /// Where it goes on: known once it has begun.
    runtime: Option<Handle>,
}

impl<T: Send + 'static> Finish<T> {
    fn new(work: impl Future<Output = T> + Send + 'static) -> Self {
        Self {
            work: Some(Box::pin(work)),
            runtime: None,
        }
    }
}

impl<T: Send + 'static> Future for Finish<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        // Work that panics is gone, not polled again.
        let Some(mut work) = self.work.take() else {
            return Poll::Pending;
        };
        let polled = work.as_mut().poll(context);
        if polled.is_pending() {
            self.work = Some(work);
            self.runtime = self.runtime.take().or_else(|| Handle::try_current().ok());
        }
        polled
    }
}

impl<T: Send + 'static> Drop for Finish<T> {
    fn drop(&mut self) {
        if let (Some(work), Some(runtime)) = (self.work.take(), self.runtime.take()) {
            runtime.spawn(work);
        }
    }
}

impl<V: Send + Sync + 'static, K: Key + ?Sized> Shared<V, K> {
    /// A write of so many keys, within its budget.
    pub(crate) fn finish<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
        self: &Arc<Self>,
        keys: usize,
        write: impl FnOnce(Arc<Self>) -> F,
    ) -> Finish<T> {
        let run = self.writes.begin(self.now());
        let write = with_budget(self.budget(keys), write(Arc::clone(self)));
        Finish::new(async move {
            let written = write.await;
            drop(run);
            written
        })
    }
}
