use std::sync::{Arc, OnceLock, mpsc};
use std::thread;

use futures_util::FutureExt;
use tiered::{Bound, Cache, Entry, L1, Result, Usage};

use crate::support::loaders::found;
use crate::support::plain::Plain;
use crate::support::world::{World, millis, settings, until};

/// An L1 that lets somebody else remove the key while it inserts, as far as that is possible.
struct Interrupted {
    plain: Plain<String, str>,
    cache: Arc<OnceLock<Cache<String>>>,
}

impl L1<String, str> for Interrupted {
    fn get(&self, key: &str) -> Option<Entry<String>> {
        self.plain.get(key)
    }

    fn insert(&self, key: String, entry: Entry<String>) {
        if let Some(cache) = self.cache.get().cloned() {
            let (done, is_done) = mpsc::channel();
            let removed = key.clone();
            thread::spawn(move || {
                cache.remove(&removed).now_or_never();
                let _ = done.send(());
            });
            // It cannot end before this insert does: that it does not is waited for.
            let _ = is_done.recv_timeout(millis(100));
        }
        self.plain.insert(key, entry);
    }

    fn remove(&self, key: &str) -> Option<Entry<String>> {
        self.plain.remove(key)
    }

    fn bound(&self) -> Bound {
        self.plain.bound()
    }

    fn usage(&self) -> Usage {
        self.plain.usage()
    }
}

/// A removal comes before the comparison, and then nothing is inserted, or after the insert, and then it takes that out.
#[tokio::test]
async fn no_removal_comes_between_a_comparison_and_its_insert() -> Result<()> {
    let handle = Arc::new(OnceLock::new());
    let l1 = Interrupted {
        plain: Plain::new(),
        cache: Arc::clone(&handle),
    };
    let node = World::new().bare().l1(l1).settings(settings()).build()?;
    let _ = handle.set(node.clone());
    node.get_or_load("1", found("old")).await?;
    let is_gone = || node.get("1").now_or_never().flatten().is_none();
    until("the removal has its way", is_gone).await;
    node.set("2", "old".to_owned()).await;
    let is_gone = || node.get("2").now_or_never().flatten().is_none();
    until("the removal has its way", is_gone).await;
    Ok(())
}
