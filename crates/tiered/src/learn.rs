//! Reads marks from L2, under the rules of the table that keeps them.

use futures_util::future::join;
use tiered_core::{Key, NewMark};

use crate::marks::{Lessons, MARK_LIFE, Unknown, Which, new_mark};
use crate::shared::Shared;
use crate::stats::Count;

impl<V: Send + Sync + 'static, K: Key + ?Sized> Shared<V, K> {
    /// Learns what has to be known before records can be judged: the namespace's mark, and what time it is in L2.
    pub(crate) async fn orient(&self) -> Lessons {
        join(self.learn_space(), self.learn_time()).await.0
    }

    /// All of that is known.
    pub(crate) fn is_oriented(&self) -> bool {
        let is_space_known = self.marks.space().is_some() && self.near.trust.is_heard(self.now());
        is_space_known && self.wall.is_known()
    }

    /// Reads the namespace's mark, if it is not known.
    pub(crate) async fn learn_space(&self) -> Lessons {
        self.learn(self.unsure_of([Which::Space])).await
    }

    /// Those of these marks that have to be read: what is known of them may be out of date if this node does not hear
    /// the others.
    pub(crate) fn unsure_of(&self, marks: impl IntoIterator<Item = Which>) -> Vec<Unknown> {
        if self.near.trust.is_heard(self.now()) {
            self.marks.unknown(marks)
        } else {
            self.marks.again(marks)
        }
    }

    /// Reads these marks, in their order; without an L2, makes them. What L2 holds of a mark that is in doubt is not looked at.
    pub(crate) async fn learn(&self, mut unknown: Vec<Unknown>) -> Lessons {
        let mut lessons = Lessons::default();
        unknown.retain(|read| !self.doubts.has_mark(&read.which));
        if unknown.is_empty() {
            return lessons;
        }
        let names: Vec<_> = unknown
            .iter()
            .map(|read| self.marks.name(&read.which))
            .collect();
        let marks: Vec<_> = names.iter().map(|name| self.new_mark(name)).collect();
        let versions = match &self.far {
            None => Ok(marks.iter().map(|mark| mark.version).collect()),
            Some(far) => far.l2.read_marks(&marks).await,
        };
        let Ok(versions) = versions.inspect_err(|_| self.counters.add(Count::L2Errors, 1)) else {
            return lessons;
        };
        for (read, version) in unknown.into_iter().zip(versions) {
            self.marks
                .learn(&read, version, || self.near.trust.next_era());
            lessons.note(read.which, version);
        }
        lessons
    }

    /// A mark that nothing carries yet.
    pub(crate) fn new_mark<'n>(&self, name: &'n str) -> NewMark<'n> {
        let life = MARK_LIFE.max(self.settings.ttl.saturating_mul(2));
        new_mark(name, &self.random, life)
    }
}
