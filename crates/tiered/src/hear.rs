//! What a node does about what it hears.

use std::borrow::Borrow;
use std::sync::Arc;

use tiered_core::{Key, Version};
use tokio::runtime::Handle;

use crate::far::borrowed;
use crate::marks::Which;
use crate::message::Event;
use crate::shared::Shared;
use crate::stats::Count;

impl<V: Send + Sync + 'static, K: Key + ?Sized> Shared<V, K> {
    /// Another node has said this.
    pub(crate) fn heard(&self, event: Event) {
        match event {
            Event::Set(version, text) => self.changed(&text, Some(version), false),
            Event::Filled(version, text) | Event::Expired(version, text) => {
                self.changed(&text, Some(version), true);
            }
            Event::Removed(text) => self.changed(&text, None, false),
            Event::Freed(text) => self.freed(&text),
            Event::Tag(tag) => self.drop_tag(&tag),
            Event::Cleared => self.drop_space(),
            Event::Everything => self.doubt(),
            Event::Ping(_) | Event::Bye => {}
        }
    }

    /// Something may have been missed: nothing that is here may be trusted until L2 has confirmed it.
    pub(crate) fn doubt(&self) {
        self.counters.add(Count::Doubts, 1);
        // The marks first: what begins after the watermark must not be held against marks from before.
        self.marks.forget_all();
        self.near.trust.doubt(self.now());
        self.wall.doubt();
    }

    /// DROP of a tag's mark. The epoch has moved with it. Which flights bring values with the tag is not known, so nobody
    /// joins any of them; what they bring is judged by its marks.
    pub(crate) fn drop_tag(&self, tag: &str) {
        self.marks.retire_tag(tag);
        self.marks.forget_epoch();
        self.near.close_all();
    }

    /// DROP of the namespace's mark, and with it of all copies.
    pub(crate) fn drop_space(&self) {
        self.marks.forget_space(|| self.near.trust.next_era());
        self.near.detach_all();
    }

    /// Nobody loads this key any more: who waits for it may.
    fn freed(&self, text: &str) {
        if let Ok(key) = text.parse::<K::Owned>() {
            self.near.ring(key.borrow());
        }
    }

    fn changed(&self, text: &str, version: Option<Version>, is_refill: bool) {
        match text.parse::<K::Owned>() {
            Ok(key) => {
                self.hold_offs.end(key.borrow());
                self.near.changed(key.borrow(), version, is_refill);
            }
            // Somebody says that a key has changed, and it cannot be told which.
            Err(_) => self.doubt(),
        }
    }

    /// The store says that these records have changed, whoever caused it: perhaps this node itself. So L2 is asked which
    /// copies are still what is there. Without a record, whether the namespace's mark is: it goes when the store is emptied.
    pub(crate) fn touched(self: &Arc<Self>, names: &[String]) {
        let held = |name: &String| {
            let text = self.far.as_ref()?.wire.text(name)?;
            let key = text.parse::<K::Owned>().ok()?;
            self.near.held(key.borrow())?;
            Some((key, name.clone()))
        };
        let is_named = !names.is_empty();
        let (keys, names): (Vec<_>, Vec<_>) = names.iter().filter_map(held).unzip();
        if is_named && keys.is_empty() {
            return;
        }
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(Arc::clone(self).compare(keys, names));
        }
    }

    async fn compare(self: Arc<Self>, keys: Vec<K::Owned>, names: Vec<String>) {
        if keys.is_empty() {
            self.learn(self.marks.again([Which::Space])).await;
        }
        let Some(far) = self.far.as_ref().filter(|_| !keys.is_empty()) else {
            return;
        };
        let heads = far.l2.heads_many(&borrowed(&names)).await;
        for (key, head) in keys.iter().zip(heads) {
            let version = head.ok().flatten().map(|head| head.version());
            self.near.changed(key.borrow(), version, false);
        }
    }
}
