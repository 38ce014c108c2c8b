//! Invalidations beside removal: expiry, tags, the whole namespace.

use std::borrow::Borrow;
use std::sync::Arc;

use futures_util::future::join;
use tiered_core::{Expiry, Key, Result, Version};

use crate::marks::Which;
use crate::message::Event;
use crate::shared::Shared;
use crate::write::{check_tags, names};
use crate::written::Removed;

impl<V: Send + Sync + 'static, K: Key + ?Sized> Shared<V, K> {
    /// Expires these keys, which differ from each other: what is there stays, no longer fresh.
    pub(crate) async fn expire(self: Arc<Self>, keys: Vec<K::Owned>) -> Removed {
        let version = Version::random(&self.random);
        let mut tally = self.tally(&keys, version);
        self.expire_near(&keys);
        if let Some(far) = &self.far {
            let names = names::<V, K>(far, &keys);
            let expiries = names.iter().map(|key| Expiry { key, version });
            let expiries: Vec<_> = expiries.collect();
            let (heads, _) = join(far.l2.expire_many(&expiries), self.orient()).await;
            self.note_heads(&mut tally, &keys, heads);
        }
        self.expire_near(&keys);
        for key in &keys {
            self.tell_of(key.borrow(), |text| Event::Expired(version, text));
        }
        tally.removed(self.told().await)
    }

    fn expire_near(&self, keys: &[K::Owned]) {
        for key in keys {
            self.near.changed(key.borrow(), None, true);
            self.hold_offs.end(key.borrow());
        }
    }

    /// Removes what carries this tag.
    pub(crate) async fn remove_tag(self: Arc<Self>, tag: Box<str>) -> Result<()> {
        check_tags(std::slice::from_ref(&tag))?;
        let which = Which::Tag(tag);
        let renewed = self.renew_mark(&which).await;
        renewed.and(self.told().await)
    }

    /// Removes everything.
    pub(crate) async fn clear(self: Arc<Self>) -> Result<()> {
        let renewed = self.renew_mark(&Which::Space).await;
        renewed.and(self.told().await)
    }

    /// DROP, L2, DROP, publish: as a removal, and for the same reasons.
    pub(crate) async fn renew_mark(self: &Arc<Self>, which: &Which) -> Result<()> {
        self.drop_mark(which);
        let renewed = self.renew_in_l2(which).await;
        if renewed.is_err() {
            // Before anybody learns the old one again.
            self.distrust_mark(which.clone());
        }
        self.drop_and_tell(which);
        renewed
    }

    /// The same once more, for what L2 has not confirmed. All was dropped when it was first tried, and is so again only when L2
    /// has taken it: not with every attempt.
    pub(crate) async fn renew_again(self: &Arc<Self>, which: &Which) -> Result<()> {
        self.renew_in_l2(which).await?;
        self.drop_and_tell(which);
        Ok(())
    }

    fn drop_and_tell(self: &Arc<Self>, which: &Which) {
        self.drop_mark(which);
        match which {
            Which::Tag(tag) => self.tell(Event::Tag(tag.to_string())),
            Which::Space | Which::Epoch => self.tell(Event::Cleared),
        }
    }

    async fn renew_in_l2(&self, which: &Which) -> Result<()> {
        let Some(far) = &self.far else { return Ok(()) };
        let name = self.marks.name(which);
        let epoch = self.marks.name(&Which::Epoch);
        // The epoch first: who reads the new mark must not read the old epoch after it.
        let marks = match which {
            Which::Tag(_) => vec![self.new_mark(&epoch), self.new_mark(&name)],
            Which::Space | Which::Epoch => vec![self.new_mark(&name)],
        };
        far.l2.write_marks(&marks).await
    }

    fn drop_mark(&self, which: &Which) {
        match which {
            Which::Tag(tag) => self.drop_tag(tag),
            Which::Space | Which::Epoch => self.drop_space(),
        }
    }
}
