use std::collections::HashMap;
use std::time::Duration;

use tiered_examples::Moment;

use crate::journal::Note;

/// The invalidations of a run: for each key, versions in rising order, each with the moment from which on nothing older
/// was to be expected.
pub(crate) struct Invalidations(HashMap<u32, Vec<(u32, Moment)>>);

impl Invalidations {
    pub(crate) fn new<'a>(notes: impl Iterator<Item = &'a Note>) -> Self {
        let mut by_key: HashMap<u32, Vec<(u32, Moment)>> = HashMap::new();
        for note in notes {
            let versions = by_key.entry(note.key).or_default();
            versions.push((note.version, note.at));
        }
        for versions in by_key.values_mut() {
            versions.sort_unstable();
            // The invalidation of a later version may have returned first; it covers the earlier ones.
            let mut earliest = Moment::from_nanos(u64::MAX);
            for (_, at) in versions.iter_mut().rev() {
                earliest = earliest.min(*at);
                *at = earliest;
            }
        }
        Self(by_key)
    }

    /// How long before the read began an invalidation had returned that the read knows nothing of; zero if there is none.
    pub(crate) fn age(&self, read: &Note) -> Duration {
        let versions = self.0.get(&read.key).map(Vec::as_slice).unwrap_or_default();
        let known = versions.partition_point(|(version, _)| *version <= read.version);
        let missed = versions.get(known);
        missed.map_or(Duration::ZERO, |(_, at)| read.at.since(*at))
    }
}
