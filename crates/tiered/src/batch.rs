//! Many keys in one call.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::sync::Arc;

use tiered_core::{Key, Result};

use crate::answer::Answer;

/// The different keys of a batch, and where in it each occurs.
pub(crate) struct Batch<'k, K: Key + ?Sized> {
    keys: Vec<&'k K>,
    places: Places,
}

/// For each place in a batch, the number of the key that is there.
pub(crate) struct Places(Vec<usize>);

impl<'k, K: Key + ?Sized> Batch<'k, K> {
    pub(crate) fn new<Q: Borrow<K> + ?Sized + 'k>(given: impl IntoIterator<Item = &'k Q>) -> Self {
        let given = given.into_iter();
        let count = given.size_hint().0;
        let mut seen: HashMap<&K, usize> = HashMap::with_capacity(count);
        let (mut keys, mut places) = (Vec::with_capacity(count), Vec::with_capacity(count));
        for key in given {
            let key: &K = key.borrow();
            let place = *seen.entry(key).or_insert(keys.len());
            if place == keys.len() {
                keys.push(key);
            }
            places.push(place);
        }
        let places = Places(places);
        Self { keys, places }
    }

    /// The keys, each once, in the order of their first occurrence.
    pub(crate) fn keys(&self) -> &[&'k K] {
        &self.keys
    }

    /// The keys, to keep.
    pub(crate) fn to_owned_keys(&self) -> Vec<K::Owned> {
        self.keys.iter().map(|key| (*key).to_owned()).collect()
    }

    /// One result for each place in the batch, from one for each key.
    pub(crate) fn spread<T: Clone>(&self, results: Vec<T>) -> Vec<T> {
        self.places.spread(results)
    }

    /// Each key with the value that was given last for it, and the places.
    pub(crate) fn with_last<T>(
        self,
        values: impl Iterator<Item = T>,
    ) -> (Vec<(K::Owned, T)>, Places) {
        let mut last: Vec<Option<T>> = self.keys.iter().map(|_| None).collect();
        for (place, value) in self.places.0.iter().zip(values) {
            if let Some(slot) = last.get_mut(*place) {
                *slot = Some(value);
            }
        }
        let items = self
            .to_owned_keys()
            .into_iter()
            .zip(last.into_iter().flatten());
        (items.collect(), self.places)
    }
}

impl Places {
    /// One result for each place in the batch, from one for each key.
    pub(crate) fn spread<T: Clone>(&self, results: Vec<T>) -> Vec<T> {
        if results.len() == self.0.len() {
            return results;
        }
        let result = |place: &usize| results.get(*place).cloned();
        self.0.iter().filter_map(result).collect()
    }
}

/// The different keys of what is to be set, each with the value given last, and where in the batch each occurs.
pub(crate) fn last_of_each<K: Key + ?Sized, Q: Borrow<K>, V, A: Into<V>>(
    items: impl IntoIterator<Item = (Q, A)>,
) -> (Vec<(K::Owned, V)>, Places) {
    let (keys, values): (Vec<_>, Vec<_>) = items.into_iter().unzip();
    Batch::new(&keys).with_last(values.into_iter().map(Into::into))
}

/// The keys about which nothing is known yet.
pub(crate) fn gaps<'k, K: ?Sized, T>(keys: &[&'k K], known: &[Option<T>]) -> Vec<&'k K> {
    keys.iter()
        .zip(known)
        .filter(|(_, known)| known.is_none())
        .map(|(key, _)| *key)
        .collect()
}

/// Puts what was found about the [`gaps`] in their places.
pub(crate) fn fill<T>(known: &mut [Option<T>], found: impl IntoIterator<Item = Option<T>>) {
    let empty = known.iter_mut().filter(|known| known.is_none());
    for (place, found) in empty.zip(found) {
        *place = found;
    }
}

/// The result of a batch of one key.
pub(crate) fn only<T>(mut results: Vec<T>) -> T {
    results.pop().expect("one key has one result")
}

/// The values alone.
pub(crate) fn values<V>(answers: Vec<Result<Answer<V>>>) -> Vec<Result<Option<Arc<V>>>> {
    answers
        .into_iter()
        .map(|answer| answer.map(|answer| answer.value))
        .collect()
}
