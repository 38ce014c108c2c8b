//! What may be done with a cache, and what its loaders say.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use tiered::{Access, Loaded, Options};

use super::KEYS;
use crate::support::world::{DEFAULT, millis};

/// What a loader answers. Values are numbered, so that each is told from any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Say {
    Found,
    FoundFor(u64),
    Missing,
    MissingFor(u64),
    Uncached,
    Unchanged,
    Error,
}

#[derive(Clone, Debug)]
pub(super) enum Step {
    Get(usize, Options),
    GetMany(Vec<usize>, Options),
    Contains(usize, Options),
    Load(usize, Say, Options),
    Reload(usize, Say, Options),
    LoadMany(Vec<usize>, Vec<Say>, Options),
    Set(usize, Options),
    SetMany(Vec<usize>, Options),
    Remove(usize),
    RemoveMany(Vec<usize>),
    Refresh(usize, Say, Options),
    RefreshMany(Vec<usize>, Vec<Say>, Options),
    Pass(u64),
}

pub(super) fn say() -> impl Strategy<Value = Say> {
    prop_oneof![
        4 => Just(Say::Found),
        1 => (0..500_u64).prop_map(Say::FoundFor),
        2 => Just(Say::Missing),
        1 => (0..500_u64).prop_map(Say::MissingFor),
        1 => Just(Say::Uncached),
        1 => Just(Say::Unchanged),
        1 => Just(Say::Error),
    ]
}

pub(super) fn options() -> impl Strategy<Value = Options> {
    let access = || {
        prop_oneof![
            5 => Just(Access::ReadWrite),
            1 => Just(Access::ReadOnly),
            1 => Just(Access::WriteOnly),
            1 => Just(Access::Skip),
        ]
    };
    let life =
        || prop_oneof![4 => Just(None), 1 => (0..400_u64).prop_map(|life| Some(millis(life)))];
    let refuses = || prop_oneof![4 => Just(false), 1 => Just(true)];
    let lives = (life(), life(), life());
    (lives, access(), access(), refuses()).prop_map(|(lives, l1, l2, refuses_stale)| {
        let (ttl, l1_ttl, negative_ttl) = lives;
        Options {
            ttl,
            l1_ttl,
            negative_ttl,
            l1,
            l2,
            refuses_stale,
            ..DEFAULT
        }
    })
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    let key = || 0..KEYS.len();
    let keys = || prop::collection::vec(key(), 0..6);
    let says = || prop::collection::vec(say(), KEYS.len());
    prop_oneof![
        3 => (key(), options()).prop_map(|(key, options)| Step::Get(key, options)),
        1 => (keys(), options()).prop_map(|(keys, options)| Step::GetMany(keys, options)),
        1 => (key(), options()).prop_map(|(key, options)| Step::Contains(key, options)),
        4 => (key(), say(), options()).prop_map(|(key, say, options)| Step::Load(key, say, options)),
        1 => (key(), say(), options()).prop_map(|(key, say, options)| Step::Reload(key, say, options)),
        2 => (keys(), says(), options()).prop_map(|(keys, says, options)| Step::LoadMany(keys, says, options)),
        2 => (key(), options()).prop_map(|(key, options)| Step::Set(key, options)),
        1 => (keys(), options()).prop_map(|(keys, options)| Step::SetMany(keys, options)),
        1 => key().prop_map(Step::Remove),
        1 => keys().prop_map(Step::RemoveMany),
        2 => (key(), say(), options()).prop_map(|(key, say, options)| Step::Refresh(key, say, options)),
        1 => (keys(), says(), options()).prop_map(|(keys, says, options)| Step::RefreshMany(keys, says, options)),
        3 => (1..400_u64).prop_map(Step::Pass),
    ]
}

pub(super) fn loaded(say: Say, number: &str) -> Loaded<String> {
    let found = || Loaded::found(number.to_owned());
    match say {
        Say::Found => found(),
        Say::FoundFor(life) => found().ttl(millis(life)),
        Say::Missing => Loaded::missing(),
        Say::MissingFor(life) => Loaded::missing().ttl(millis(life)),
        Say::Uncached => found().uncached(),
        Say::Unchanged => Loaded::unchanged(),
        Say::Error => unreachable!("an error is no answer"),
    }
}

pub(super) fn says_or_fails(say: Say, number: &str) -> Result<Loaded<String>, &'static str> {
    match say {
        Say::Error => Err("the database is away"),
        say => Ok(loaded(say, number)),
    }
}

/// The keys of a batch, each once, and what the loader of the batch says about each; one error fails them all.
pub(super) fn different(keys: &[usize]) -> Vec<usize> {
    let mut different: Vec<usize> = Vec::new();
    for key in keys {
        if !different.contains(key) {
            different.push(*key);
        }
    }
    different
}

pub(super) fn names(keys: &[usize]) -> Vec<&'static str> {
    keys.iter().map(|key| KEYS[*key]).collect()
}

pub(super) fn batch_answer(
    keys: &[&'static str],
    says: &[Say],
    number: &str,
) -> Result<Vec<(String, Loaded<String>)>, &'static str> {
    let place = |key: &str| KEYS.iter().position(|known| *known == key).unwrap();
    if keys.iter().any(|key| says[place(key)] == Say::Error) {
        return Err("the database is away");
    }
    let answer = |key: &&'static str| ((*key).to_owned(), loaded(says[place(key)], number));
    Ok(keys.iter().map(answer).collect())
}

pub(super) fn statics(keys: &[String]) -> Vec<&'static str> {
    keys.iter()
        .map(|key| *KEYS.iter().find(|known| **known == key).unwrap())
        .collect()
}

/// The keys that a loader was asked for, and what it was shown of each.
#[derive(Clone, Default)]
pub(super) struct Asked(Arc<Mutex<HashMap<String, Option<String>>>>);

impl Asked {
    pub(super) fn add(&self, key: &str, shown: Option<String>) {
        let before = self.0.lock().unwrap().insert(key.to_owned(), shown);
        assert!(before.is_none(), "{key} is loaded once at most");
    }

    pub(super) fn all(&self) -> HashMap<String, Option<String>> {
        self.0.lock().unwrap().clone()
    }
}
