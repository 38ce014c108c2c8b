//! Many keys in one call.

use std::borrow::Borrow;
use std::collections::HashMap;

use tiered_core::Key;

/// The different keys of a batch, and where in it each occurs.
pub(crate) struct Batch<K: Key + ?Sized> {
    keys: Vec<K::Owned>,
    places: Vec<usize>,
}

impl<K: Key + ?Sized> Batch<K> {
    pub(crate) fn new<'k, Q: Borrow<K> + ?Sized + 'k>(
        keys: impl IntoIterator<Item = &'k Q>,
    ) -> Self {
        let mut seen: HashMap<K::Owned, usize> = HashMap::new();
        let mut batch = Self {
            keys: Vec::new(),
            places: Vec::new(),
        };
        for key in keys {
            let key = key.borrow();
            let place = seen.get(key).copied().unwrap_or_else(|| {
                batch.keys.push(key.to_owned());
                seen.insert(key.to_owned(), batch.keys.len() - 1);
                batch.keys.len() - 1
            });
            batch.places.push(place);
        }
        batch
    }

    /// The keys, each once, in the order of their first occurrence.
    pub(crate) fn keys(&self) -> Vec<&K> {
        self.keys.iter().map(Borrow::borrow).collect()
    }

    /// The keys themselves.
    pub(crate) fn into_keys(self) -> Vec<K::Owned> {
        self.keys
    }

    /// One result for each place in the batch, from one for each key.
    pub(crate) fn spread<T: Clone>(&self, results: Vec<T>) -> Vec<T> {
        if results.len() == self.places.len() {
            return results;
        }
        self.places
            .iter()
            .filter_map(|place| results.get(*place).cloned())
            .collect()
    }

    /// The item that was given last for each key.
    pub(crate) fn last<T>(&self, items: Vec<T>) -> Vec<T> {
        let mut last: Vec<Option<T>> = self.keys.iter().map(|_| None).collect();
        for (place, item) in self.places.iter().zip(items) {
            if let Some(slot) = last.get_mut(*place) {
                *slot = Some(item);
            }
        }
        last.into_iter().flatten().collect()
    }
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
