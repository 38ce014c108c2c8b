//! Looks into L2 as a cache does that holds nothing itself, and is not part of the world.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::FutureExt;
use tiered::{Backplane, Cache, Kind, L2, News, Options, Random, Result, Subscription};

use crate::datum::{Datum, Plain};
use crate::judge::row_of;
use crate::loader::name;
use crate::world::World;

pub(crate) struct Probe(Cache<Datum>);

impl Probe {
    pub(crate) fn new(world: &World) -> Self {
        let cache = Cache::builder("sim")
            .l2_with(world.server.store.clone(), Plain)
            .backplane(Deaf)
            .settings(world.profile.settings.clone())
            .clock(world.server.hand.clone())
            .random(Random::seeded(world.dice.bits()));
        Self(cache.build().unwrap())
    }

    /// What L2 holds that may be used. The store answers at once.
    pub(crate) fn look(&self, key: usize) -> Option<Arc<Datum>> {
        let name = name(key);
        let call = self.0.with(Options::default());
        call.get(&name).now_or_never().unwrap()?.value
    }

    /// L2 holds nothing that is older than an invalidation that was acknowledged.
    pub(crate) fn check(&self, world: &World) {
        for key in 0..world.profile.keys {
            let Some(datum) = self.look(key) else {
                continue;
            };
            let row = row_of(&datum);
            if let Some(outlived) = world.ledger.outlived(key, row) {
                let what = format!("stale set: l2 holds {row} of k{key}, after {outlived}");
                world.journal.violate(what);
            }
        }
    }

    /// Somebody still has the right to fill this key.
    pub(crate) fn is_claimed(world: &World, key: usize) -> bool {
        let name = format!("sim:{}", name(key));
        let names = [name.as_str()];
        let records = world.server.store.get_many(&names).now_or_never().unwrap();
        let record = records.into_iter().flatten().flatten().next();
        record.is_some_and(|record| record.kind() == Kind::Claim)
    }
}

/// Nothing is ever heard here: so nothing is taken for known.
struct Deaf;

#[async_trait]
impl Backplane for Deaf {
    async fn publish(&self, _namespace: &str, _message: Bytes) -> Result<()> {
        Ok(())
    }

    fn subscribe(&self, _namespace: &str) -> Box<dyn Subscription> {
        Box::new(Self)
    }
}

#[async_trait]
impl Subscription for Deaf {
    async fn next(&mut self) -> Option<News> {
        std::future::pending().await
    }
}
