//! What a node knows of marks: of the tags, of the namespace itself (its *space* mark), and of the *epoch*, which moves
//! with every removal of a tag.
//!
//! The table is to marks what L1 is to values, and obeys the same rules. Whoever reads a mark from L2 notes first how
//! often it was dropped (BEGIN), and brings it in only if it was not dropped since (INSTALL); a removal, here or elsewhere,
//! drops it (DROP). A message never *assigns* a mark: two messages may cross.
//!
//! A tag's mark is shared with the copies in L1 that carry the tag, so that a hit compares without looking into the
//! table. A mark that leaves the table is retired, and never known again.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tiered_core::{Mark, NewMark, Random, Tags, Version};

/// How many tags a node remembers: about 200 bytes each.
const MOST_TAGS: usize = 50_000;

/// How long L2 remembers a mark at least. A forgotten one ends the entries that carry it; none is brought back.
pub(crate) const MARK_LIFE: Duration = Duration::from_secs(60 * 24 * 3_600);

/// A mark that nothing carries yet.
pub(crate) fn new_mark<'n>(name: &'n str, random: &Random, life: Duration) -> NewMark<'n> {
    let version = Version::random(random);
    NewMark {
        name,
        version,
        life,
    }
}

pub(crate) struct Marks {
    namespace: String,
    space: Arc<Mark>,
    epoch: Arc<Mark>,
    table: Mutex<Table>,
}

struct Table {
    space: State,
    epoch: State,
    /// The space mark that the present era knows, even while it has to be asked for again.
    last_space: Option<Version>,
    tags: HashMap<Box<str>, (Arc<Mark>, State)>,
    /// The tags by age.
    ages: VecDeque<Box<str>>,
    /// Counts all that happens to marks.
    moves: u64,
}

/// When something happened to a mark, in moves of the table. A tag that returns to the table counts as dropped: nobody
/// knows what it has missed.
#[derive(Clone, Copy, Default)]
struct State {
    dropped: u64,
    learned: u64,
}

/// Which mark.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Which {
    Space,
    Epoch,
    Tag(Box<str>),
}

impl Which {
    /// What L2 calls it. No key of a cache begins so, and all marks of a namespace share one hash slot of a Redis Cluster.
    pub(crate) fn name(&self, namespace: &str) -> String {
        match self {
            Self::Space => format!("#space:{{{namespace}}}"),
            Self::Epoch => format!("#epoch:{{{namespace}}}"),
            Self::Tag(tag) => format!("#tag:{{{namespace}}}:{tag}"),
        }
    }
}

/// A mark that has to be read from L2, and where it stood before.
pub(crate) struct Unknown {
    pub(crate) which: Which,
    dropped: u64,
}

/// What was just read from L2, whether the table has taken it or not: it may have been dropped there meanwhile, and is as
/// good as it was for who has asked for it since.
#[derive(Default)]
pub(crate) struct Lessons(Vec<(Which, Version)>);

impl Lessons {
    pub(crate) fn of(&self, which: &Which) -> Option<Version> {
        let mut latest = self.0.iter().rev();
        let (_, version) = latest.find(|(mark, _)| mark == which)?;
        Some(*version)
    }

    pub(crate) fn of_tag(&self, tag: &str) -> Option<Version> {
        let is_it = |which: &Which| matches!(which, Which::Tag(name) if **name == *tag);
        let (_, version) = self.0.iter().rev().find(|(mark, _)| is_it(mark))?;
        Some(*version)
    }

    pub(crate) fn note(&mut self, which: Which, version: Version) {
        self.0.push((which, version));
    }

    pub(crate) fn extend(&mut self, later: Self) {
        self.0.extend(later.0);
    }
}

/// What was known when a load began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    pub(crate) epoch: Option<Version>,
    moves: u64,
}

impl Marks {
    pub(crate) fn new(namespace: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            space: Arc::new(Mark::unknown("space")),
            epoch: Arc::new(Mark::unknown("epoch")),
            table: Mutex::new(Table {
                space: State::default(),
                epoch: State::default(),
                last_space: None,
                tags: HashMap::new(),
                ages: VecDeque::new(),
                moves: 0,
            }),
        }
    }

    /// What L2 calls it.
    pub(crate) fn name(&self, which: &Which) -> String {
        which.name(&self.namespace)
    }

    pub(crate) fn space(&self) -> Option<Version> {
        self.space.known()
    }

    /// What is known now.
    pub(crate) fn known(&self) -> Known {
        let moves = self.table().moves;
        Known {
            epoch: self.epoch.known(),
            moves,
        }
    }

    /// BEGIN, for those of these marks that are not known.
    pub(crate) fn unknown(&self, wanted: impl IntoIterator<Item = Which>) -> Vec<Unknown> {
        let mut table = self.table();
        let mut unknown = Vec::new();
        for which in wanted {
            let (mark, state) = self.at(&mut table, &which);
            if mark.known().is_none() {
                let dropped = state.dropped;
                unknown.push(Unknown { which, dropped });
            }
        }
        unknown
    }

    /// BEGIN, for these marks, known or not.
    pub(crate) fn again(&self, wanted: impl IntoIterator<Item = Which>) -> Vec<Unknown> {
        let mut table = self.table();
        let unknown = wanted.into_iter().map(|which| {
            let dropped = self.at(&mut table, &which).1.dropped;
            Unknown { which, dropped }
        });
        unknown.collect()
    }

    /// INSTALL. `new_era` is called if the namespace was cleared meanwhile, before anything new is known.
    pub(crate) fn learn(&self, read: &Unknown, version: Version, new_era: impl FnOnce()) {
        let mut table = self.table();
        let is_space = read.which == Which::Space;
        if is_space
            && table
                .last_space
                .replace(version)
                .is_some_and(|last| last != version)
        {
            // Also if it was dropped meanwhile: what was seen under another mark must not be confirmed under this one.
            self.space.forget();
            new_era();
        }
        let (mark, state) = self.at(&mut table, &read.which);
        if state.dropped != read.dropped {
            return;
        }
        let mark = Arc::clone(mark);
        let moves = table.count();
        self.at(&mut table, &read.which).1.learned = moves;
        mark.learn(version);
    }

    /// DROP of the epoch: some tag was removed.
    pub(crate) fn forget_epoch(&self) {
        let mut table = self.table();
        self.epoch.forget();
        table.epoch.dropped = table.count();
    }

    /// DROP of a tag that was removed. Copies that carry it are gone, not doubtful: their mark is retired, and the tag gets
    /// another one.
    pub(crate) fn retire_tag(&self, tag: &str) {
        let mut table = self.table();
        let moves = table.count();
        if let Some((mark, state)) = table.tags.get_mut(tag) {
            mark.retire();
            *mark = Arc::new(Mark::unknown(tag));
            state.dropped = moves;
        }
    }

    /// DROP of the space mark, by who begins a new era at once: what is read next is no surprise.
    pub(crate) fn forget_space(&self, new_era: impl FnOnce()) {
        let mut table = self.table();
        self.space.forget();
        table.space.dropped = table.count();
        table.last_space = None;
        new_era();
    }

    /// DROP of all marks: any may have been missed.
    pub(crate) fn forget_all(&self) {
        let mut table = self.table();
        let moves = table.count();
        self.space.forget();
        self.epoch.forget();
        table.space.dropped = moves;
        table.epoch.dropped = moves;
        for (mark, state) in table.tags.values_mut() {
            mark.forget();
            state.dropped = moves;
        }
    }

    /// These tags with the versions they had, as a copy carries them.
    pub(crate) fn tags<'a>(
        &self,
        tags: impl IntoIterator<Item = (&'a str, Version)>,
    ) -> Option<Arc<Tags>> {
        let mut table = self.table();
        let mut carried = tags.into_iter().peekable();
        carried.peek()?;
        let carried = carried.map(|(name, version)| {
            let which = Which::Tag(name.into());
            (Arc::clone(self.at(&mut table, &which).0), version)
        });
        Some(Arc::new(Tags::new(carried)))
    }

    /// The mark of a tag if it was known at that time already and has not been dropped since.
    pub(crate) fn since(&self, tag: &str, known: &Known) -> Option<Version> {
        let table = self.table();
        let (mark, state) = table.tags.get(tag)?;
        mark.known().filter(|_| state.learned <= known.moves)
    }

    fn at<'t>(&'t self, table: &'t mut Table, which: &Which) -> (&'t Arc<Mark>, &'t mut State) {
        match which {
            Which::Space => (&self.space, &mut table.space),
            Which::Epoch => (&self.epoch, &mut table.epoch),
            Which::Tag(name) => table.tag(name),
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn count(&mut self) -> u64 {
        self.moves += 1;
        self.moves
    }

    fn tag(&mut self, name: &str) -> (&Arc<Mark>, &mut State) {
        if !self.tags.contains_key(name) {
            self.make_room();
            self.ages.push_back(name.into());
        }
        let dropped = self.count();
        let learned = 0;
        let tag = self.tags.entry(name.into());
        let (mark, state) =
            tag.or_insert_with(|| (Arc::new(Mark::unknown(name)), State { dropped, learned }));
        (mark, state)
    }

    /// The oldest tag goes; one that copies in L1 carry only if there are many such.
    fn make_room(&mut self) {
        const TRIES: usize = 32;
        if self.tags.len() < MOST_TAGS {
            return;
        }
        for _ in 0..TRIES {
            let Some(oldest) = self.ages.pop_front() else {
                return;
            };
            let is_carried = |(mark, _): &(Arc<Mark>, State)| Arc::strong_count(mark) > 1;
            if !self.tags.get(&oldest).is_some_and(is_carried) {
                self.retire(&oldest);
                return;
            }
            self.ages.push_back(oldest);
        }
        if let Some(oldest) = self.ages.pop_front() {
            self.retire(&oldest);
        }
    }

    fn retire(&mut self, tag: &str) {
        if let Some((mark, _)) = self.tags.remove(tag) {
            mark.retire();
        }
    }
}
