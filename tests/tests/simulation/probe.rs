//! Looks into L2 as a cache does that holds nothing itself, and is not part of the world.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::FutureExt;
use tiered::{
    Access, Backplane, Builder, Cache, Clock, Coherence, EarlyRefresh, Kind, L2, News, Options,
    Random, Result, Settings, Subscription, Throttle,
};
use tokio::runtime::{self, Runtime};

use crate::datum::{Datum, Plain};
use crate::dice::Dice;
use crate::judge::row_of;
use crate::loader::name;
use crate::profile::Profile;
use crate::server::Server;
use crate::shelf::Shelf;
use crate::world::World;

pub(crate) struct Probe {
    cache: Cache<Datum>,
    /// For copies that are no longer fresh: a cache whose loaders always fail, and what it then keeps at hand.
    last_resort: Cache<Datum>,
    shelf: Shelf,
    clock: Clock,
    runtime: Mutex<Runtime>,
}

impl Probe {
    pub(crate) fn new(server: &Server, profile: &Profile, dice: &Dice) -> Self {
        let clock = Clock::from(server.hand.clone());
        let shelf = Shelf::new(dice.clone(), 0, clock.clone());
        let cache = |settings: Settings| -> Builder<Datum> {
            Cache::builder("sim")
                .l2_with(server.store.clone(), Plain)
                .backplane(Deaf)
                .settings(settings)
                .clock(server.hand.clone())
                .random(Random::seeded(dice.bits()))
        };
        let patient = Settings {
            throttle: Throttle {
                hold_off: Duration::ZERO,
                ..Throttle::default()
            },
            early_refresh: EarlyRefresh::Off,
            coherence: Coherence {
                claim_wait: Duration::ZERO,
                ..profile.settings.coherence
            },
            ..profile.settings.clone()
        };
        let runtime = runtime::Builder::new_current_thread().build().unwrap();
        Self {
            cache: cache(profile.settings.clone()).build().unwrap(),
            last_resort: cache(patient).l1(shelf.clone()).build().unwrap(),
            shelf,
            clock,
            runtime: Mutex::new(runtime),
        }
    }

    /// For how long what L2 holds may still be used at all.
    pub(crate) fn rest(&self, key: usize) -> Option<Duration> {
        let name = name(key);
        let options = Options {
            l1: Access::WriteOnly,
            l2: Access::ReadOnly,
            ..Options::default()
        };
        let load = || async { Err::<Datum, _>("there is nobody to ask") };
        self.shelf.forget_all();
        let read = self.last_resort.with(options).get_or_load(&name, load);
        let answer = self.runtime.lock().unwrap().block_on(read);
        answer.ok()?;
        let place = self.shelf.look(&name)?;
        Some(place.entry.stale_until.since(self.clock.now()))
    }

    /// What L2 holds that may be used. The store answers at once.
    pub(crate) fn look(&self, key: usize) -> Option<Arc<Datum>> {
        let name = name(key);
        let call = self.cache.with(Options::default());
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
