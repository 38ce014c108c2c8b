//! A cache whose L1 forgets.

use std::collections::HashMap;

use proptest::prelude::*;
use tiered::{Cache, Moka};

use super::KEYS;
use super::rules::text;
use crate::support::world::{World, settings};

/// What happens to a key in a cache whose L1 forgets.
#[derive(Clone, Debug)]
pub(super) enum Brief {
    Get(usize),
    Load(usize),
    Set(usize),
    Remove(usize),
    Pass(u64),
}

pub(super) fn brief() -> impl Strategy<Value = Brief> {
    let key = || 0..KEYS.len();
    prop_oneof![
        2 => key().prop_map(Brief::Get),
        3 => key().prop_map(Brief::Load),
        2 => key().prop_map(Brief::Set),
        1 => key().prop_map(Brief::Remove),
        1 => (1..6_000_u64).prop_map(Brief::Pass),
    ]
}

/// An L1 of two entries over four keys: what is answered is the last value, or it was loaded anew; never an old one.
pub(super) async fn hold_forgetful(has_l2: bool, steps: &[Brief]) {
    let world = World::new();
    let mut builder = world.bare().l1(Moka::entries(2)).settings(settings());
    if has_l2 {
        builder = builder.l2(world.store.clone());
    }
    let cache: Cache<String> = builder.build().unwrap();
    let (mut model, mut now): (HashMap<usize, (String, u64)>, u64) = (HashMap::new(), 0);
    for (at, step) in steps.iter().enumerate() {
        let value = format!("value {at}");
        let known = |model: &HashMap<usize, (String, u64)>, key: &usize| {
            model
                .get(key)
                .filter(|(_, until)| now < *until)
                .map(|(value, _)| value.clone())
        };
        match step {
            Brief::Get(key) => {
                let got = text(cache.get(KEYS[*key]).await);
                let is_forgotten = got.is_none() && !has_l2;
                assert!(is_forgotten || got == known(&model, key));
            }
            Brief::Load(key) => {
                let load = crate::support::loaders::found(&value);
                let got = cache
                    .get_or_load(KEYS[*key], load)
                    .await
                    .unwrap()
                    .to_string();
                let is_old = Some(&got) == known(&model, key).as_ref();
                assert!(is_old || (got == value && (!has_l2 || known(&model, key).is_none())));
                if !is_old {
                    model.insert(*key, (got, now + 10_000));
                }
            }
            Brief::Set(key) => {
                cache.set(KEYS[*key], value.clone()).await.ok().unwrap();
                model.insert(*key, (value, now + 10_000));
            }
            Brief::Remove(key) => {
                cache.remove(KEYS[*key]).await.ok().unwrap();
                model.remove(key);
            }
            Brief::Pass(time) => {
                world.pass(*time);
                now += time;
            }
        }
    }
}
