//! What was loaded goes to L2 under the claim that the load began with, and to L1 if L2 has taken it.

use std::borrow::Borrow;
use std::collections::BTreeSet;
use std::sync::Arc;

use tiered_core::{Entry, ErrorKind, Fill, Key, Result, Version};

use crate::answer::Source;
use crate::claim::{Grip, PASS, Right};
use crate::far::borrowed;
use crate::flight::Lead;
use crate::landing::Landed;
use crate::marks::{Known, Lessons, Which};
use crate::message::Event;
use crate::near::Act;
use crate::options::Terms;
use crate::settings::Life;
use crate::shared::Shared;
use crate::stats::Count;
use crate::wire::Packed;
use crate::write::check_tags;

/// What was loaded for one key, where it is to go, and what has become of it so far.
pub(crate) struct Draft<V, K: Key + ?Sized> {
    pub(crate) lead: Lead<V, K>,
    pub(crate) right: Right,
    pub(crate) entry: Result<Entry<V>>,
    pub(crate) tags: Vec<Box<str>>,
    pub(crate) life: Life,
    pub(crate) l1: Act<()>,
    pub(crate) l2: Act<()>,
    /// What becomes of old copies where the new one cannot go.
    pub(crate) otherwise: Act<()>,
    pub(crate) packed: Option<Packed>,
    pub(crate) fate: Fate,
}

/// What L2 has made of a draft.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// There is no L2.
    Alone,
    /// It was not to go there, or could not; or it is not known.
    Unconfirmed,
    /// It is there.
    Stored,
    /// Something came after the load's begin, and was there first.
    Refused,
}

impl Fate {
    pub(crate) fn before(has_l2: bool) -> Self {
        if has_l2 {
            Self::Unconfirmed
        } else {
            Self::Alone
        }
    }
}

impl<V: Send + Sync + 'static, K: Key + ?Sized> Shared<V, K> {
    /// Stores what is to be stored, and lands the flights.
    pub(crate) async fn settle_loads(
        self: &Arc<Self>,
        mut drafts: Vec<Draft<V, K>>,
        known: &Known,
        terms: &Terms,
    ) {
        self.mark_tags(&mut drafts, known, terms).await;
        for draft in &mut drafts {
            if draft.entry.is_ok() && draft.lead.begin.at.era() != self.near.trust.era() {
                // The namespace was cleared meanwhile.
                draft.fate = Fate::Refused;
            }
            self.pack_draft(draft);
        }
        self.fill(&mut drafts).await;
        self.clear_away(&drafts).await;
        for draft in drafts {
            self.settle_load(draft);
        }
    }

    /// Gives each draft its tags, with the marks that were known when the load began. A mark that was not is read now, and
    /// then the epoch: if that has moved, some tag was removed during the load, perhaps this one.
    async fn mark_tags(&self, drafts: &mut [Draft<V, K>], known: &Known, terms: &Terms) {
        let mut late = BTreeSet::new();
        for draft in drafts.iter_mut() {
            self.name_tags(draft, terms);
            let tags = draft.tags.iter();
            let unknown = tags.filter(|tag| self.marks.since(tag, known).is_none());
            late.extend(unknown.cloned());
        }
        let mut lessons = Lessons::default();
        if !late.is_empty() {
            let late = late.into_iter().map(Which::Tag);
            let read = self.marks.again(late.chain([Which::Epoch]));
            lessons = self.learn(read).await;
        }
        if known.epoch.is_none() || lessons.of(&Which::Epoch) != known.epoch {
            // Some tag was removed during the load, perhaps one of these.
            lessons = Lessons::default();
        }
        for draft in drafts {
            self.mark_draft(draft, known, &lessons);
        }
    }

    /// All tags of a draft, each once: its loader's and its caller's.
    fn name_tags(&self, draft: &mut Draft<V, K>, terms: &Terms) {
        if draft.entry.is_err() {
            // There is nothing that could carry them.
            return;
        }
        draft.tags.extend(terms.tags.iter().cloned());
        draft.tags.sort_unstable();
        draft.tags.dedup();
        if check_tags(&draft.tags).is_err() {
            // This cannot be stored anywhere as it is.
            self.counters.add(Count::Unstorable, 1);
            draft.tags.clear();
            draft.l1 = draft.otherwise;
            draft.l2 = draft.otherwise;
        }
    }

    /// Gives a draft its tags with the marks that were known then, or were read since.
    fn mark_draft(&self, draft: &mut Draft<V, K>, known: &Known, lessons: &Lessons) {
        let mark = |tag: &str| {
            let known = self.marks.since(tag, known);
            known.or_else(|| lessons.of_tag(tag))
        };
        let tags = draft.tags.iter();
        let marked: Option<Vec<_>> = tags.map(|tag| Some((&**tag, mark(tag)?))).collect();
        match (marked, &mut draft.entry) {
            (Some(marked), Ok(entry)) => entry.tags = self.marks.tags(marked),
            (None, _) => draft.fate = Fate::Refused,
            (Some(_), Err(_)) => {}
        }
    }

    /// Also the namespace's mark is the one that was known when the load began.
    fn pack_draft(&self, draft: &mut Draft<V, K>) {
        let (Some(far), Some(grip), Ok(entry)) = (&self.far, draft.right.grip(), &draft.entry)
        else {
            return;
        };
        if draft.fate == Fate::Refused || !matches!(draft.l2, Act::Put(())) {
            return;
        }
        draft.packed = self.pack(far, (&grip.name, grip.space), entry).ok();
        if draft.packed.is_none() {
            self.counters.add(Count::Unstorable, 1);
            draft.l2 = draft.otherwise;
        }
    }

    /// Stores what is packed, as far as its claim still stands.
    async fn fill(self: &Arc<Self>, drafts: &mut [Draft<V, K>]) {
        let fills: Vec<_> = drafts.iter().filter_map(Draft::fill).collect();
        let Some(far) = self.far.as_ref().filter(|_| !fills.is_empty()) else {
            return;
        };
        let answers = far.l2.fill_many(&fills).await;
        let filled = drafts.iter_mut().filter(|draft| draft.packed.is_some());
        for (draft, answer) in filled.zip(answers) {
            match answer {
                Ok(true) => {
                    draft.fate = Fate::Stored;
                    draft
                        .packed
                        .iter()
                        .for_each(|packed| self.count_stored(packed));
                }
                Ok(false) => draft.fate = Fate::Refused,
                Err(error) if error.kind() == ErrorKind::Unstorable => {
                    self.counters.add(Count::Unstorable, 1);
                    draft.packed = None;
                    draft.l2 = draft.otherwise;
                }
                Err(_) => {
                    self.counters.add(Count::L2Errors, 1);
                    draft
                        .right
                        .grip()
                        .into_iter()
                        .for_each(|grip| self.lose(&grip.hold()));
                    if matches!(draft.otherwise, Act::Take) {
                        // What it was to replace may still be there.
                        self.distrust(draft.lead.key.borrow());
                    }
                }
            }
        }
    }

    /// Ends the claims under which nothing was stored, and takes out of L2 what is not to stay there.
    async fn clear_away(self: &Arc<Self>, drafts: &[Draft<V, K>]) {
        let unused = drafts.iter().filter(|draft| draft.packed.is_none());
        let (refused, empty): (Vec<_>, Vec<_>) =
            unused.partition(|draft| draft.fate == Fate::Refused);
        self.release(&grips(&empty), Some(PASS)).await;
        // The next load may well have something to store.
        self.release(&grips(&refused), None).await;
        let is_out =
            |draft: &&Draft<V, K>| matches!(draft.l2, Act::Take) && draft.fate != Fate::Refused;
        let out: Vec<_> = drafts
            .iter()
            .filter(is_out)
            .map(|draft| draft.lead.key.borrow())
            .collect();
        let Some(far) = self.far.as_ref().filter(|_| !out.is_empty()) else {
            return;
        };
        let removed = far.l2.remove_many(&borrowed(&far.names(&out))).await;
        for (key, removed) in out.into_iter().zip(removed) {
            self.tell_of(key, Event::Removed);
            if removed.is_err() {
                self.counters.add(Count::L2Errors, 1);
                self.distrust(key);
            }
        }
    }

    /// Brings one draft to L1, tells the others, and lands its flight.
    fn settle_load(self: &Arc<Self>, draft: Draft<V, K>) {
        let entry = match &draft.entry {
            Ok(entry) => entry.clone(),
            Err(error) => {
                self.counters.add(Count::LoadErrors, 1);
                if matches!(draft.l1, Act::Take) {
                    self.take_out(&draft.lead);
                }
                self.hold_offs.end(draft.lead.key.borrow());
                self.tell_freed(draft.lead.key.borrow(), &draft.right);
                return draft.lead.land(Err(error.clone()));
            }
        };
        let is_in = draft.fate != Fate::Refused && self.install_load(&draft, &entry);
        let was_to_be_stored =
            matches!((draft.l1, draft.l2), (Act::Put(()), _) | (_, Act::Put(())));
        if was_to_be_stored && !is_in && draft.fate != Fate::Stored {
            self.counters.add(Count::LoadsRefused, 1);
        }
        let key = draft.lead.key.borrow();
        self.hold_offs.end(key);
        match draft.fate {
            Fate::Stored => {
                if !is_in {
                    // What L1 has is older than what L2 has now, and nobody else will say so.
                    let version = Some(entry.version);
                    self.near.changed(key, version, false);
                }
                // A flight of this node may wait as well: for one that was detached.
                self.near.ring(key);
                self.tell_of(key, |text| Event::Filled(entry.version, text));
            }
            _ => self.tell_freed(key, &draft.right),
        }
        draft.lead.land(Ok(Landed::new(entry, Source::Loader)));
    }

    /// INSTALL. What L2 has not confirmed gets a version that L2 never had, so that it is never confirmed by mistake.
    fn install_load(&self, draft: &Draft<V, K>, entry: &Entry<V>) -> bool {
        let Draft {
            lead, life, fate, ..
        } = draft;
        let is_confirmed = *fate != Fate::Unconfirmed;
        let act = match draft.l1 {
            Act::Put(()) => {
                let raw_bytes = draft.packed.as_ref().map(|packed| packed.raw_bytes);
                let life = self.near_life_of(*life, is_confirmed);
                self.near_copy(lead.key.borrow(), entry, &lead.begin, (life, raw_bytes))
                    .map_or(draft.otherwise_in_l1(), Act::Put)
            }
            Act::Take => Act::Take,
            Act::Leave => Act::Leave,
        };
        let act = match act {
            Act::Put(copy) if !is_confirmed => Act::Put(Entry {
                version: Version::random(&self.random),
                ..copy
            }),
            act => act,
        };
        if matches!(act, Act::Take) {
            self.take_out(lead);
            return true;
        }
        self.near.install(lead.key.borrow(), &lead.begin, act)
    }

    /// DROP: what L1 has is not to stay, nor what a flight may bring that nobody joins any more. Nobody else will say so.
    fn take_out(&self, lead: &Lead<V, K>) {
        drop(self.near.drop_copy(lead.key.borrow()));
    }
}

fn grips<'d, V, K: Key + ?Sized>(drafts: &[&'d Draft<V, K>]) -> Vec<&'d Grip> {
    let grips = drafts.iter().filter_map(|draft| draft.right.grip());
    grips.collect()
}

impl<V, K: Key + ?Sized> Draft<V, K> {
    fn fill(&self) -> Option<Fill<'_>> {
        Some(Fill {
            hold: self.right.grip()?.hold(),
            record: self.packed.as_ref()?.record.clone(),
            life: self.life.whole.saturating_add(self.life.stale),
        })
    }

    fn otherwise_in_l1(&self) -> Act<Entry<V>> {
        match self.otherwise {
            Act::Put(()) | Act::Take => Act::Take,
            Act::Leave => Act::Leave,
        }
    }
}
