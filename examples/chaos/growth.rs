use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::sleep;

/// By how much this process has grown.
pub(crate) struct Growth {
    largest: Arc<AtomicU64>,
    work: JoinHandle<()>,
}

impl Growth {
    /// Watches it from now on.
    pub(crate) fn watch() -> Self {
        let largest = Arc::default();
        Self {
            work: tokio::spawn(watch(Arc::clone(&largest))),
            largest,
        }
    }

    /// By how many bytes it was larger than at the beginning, at most.
    pub(crate) async fn end(self) -> u64 {
        self.work.abort();
        // It has been aborted, and that is all there is to know.
        let _ = self.work.await;
        self.largest.load(Ordering::Relaxed)
    }
}

async fn watch(largest: Arc<AtomicU64>) {
    let begin = memory();
    loop {
        largest.fetch_max(memory().saturating_sub(begin), Ordering::Relaxed);
        sleep(Duration::from_millis(100)).await;
    }
}

/// How many bytes of memory this process takes; zero where that cannot be told.
fn memory() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let resident = pages.split(' ').nth(1).and_then(|pages| pages.parse().ok());
    resident.unwrap_or(0) * rustix::param::page_size() as u64
}
