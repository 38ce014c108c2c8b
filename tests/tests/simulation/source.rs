//! The database: what the cache is a cache of.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use crate::dice::Dice;
use crate::world::World;

/// The tags there are; bit by bit, they are what a row carries.
pub(crate) const TAGS: [&str; 2] = ["red", "blue"];

pub(crate) struct Source(Mutex<State>);

struct State {
    rows: Vec<Vec<Row>>,
    /// When each value was made, and then said to be unchanged.
    made: Vec<Vec<Duration>>,
    /// The values of loads that were given up.
    given_up: BTreeSet<u32>,
    malady: Option<(Malady, Duration)>,
    has_writer: bool,
}

/// What the database may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Malady {
    Fails,
    Hangs,
}

/// One state of a row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) version: u32,
    pub(crate) tags: u8,
    pub(crate) is_absent: bool,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tags = ["", " (red)", " (blue)", " (red, blue)"][usize::from(self.tags)];
        let absent = if self.is_absent { " (absent)" } else { "" };
        write!(f, "state {}{tags}{absent}", self.version)
    }
}

impl Source {
    pub(crate) fn new(keys: usize) -> Self {
        let first = Row {
            version: 1,
            tags: 0,
            is_absent: false,
        };
        Self(Mutex::new(State {
            rows: vec![vec![first]; keys],
            made: Vec::new(),
            given_up: BTreeSet::new(),
            malady: None,
            has_writer: false,
        }))
    }

    pub(crate) fn row(&self, key: usize) -> Row {
        *self.state().rows[key].last().unwrap()
    }

    /// The states in which there was no such row.
    pub(crate) fn absences(&self, key: usize) -> Vec<Row> {
        let state = self.state();
        let rows = state.rows[key].iter();
        rows.filter(|row| row.is_absent).copied().collect()
    }

    /// Changes a row. Its new version.
    pub(crate) fn update(&self, key: usize, dice: &Dice) -> u32 {
        let row = Row {
            version: self.row(key).version + 1,
            tags: *dice.pick(&[0, 0, 1, 2, 3]),
            is_absent: dice.one_in(10),
        };
        self.state().rows[key].push(row);
        row.version
    }

    /// The name of a value that is made now.
    pub(crate) fn new_id(&self, now: Duration) -> u32 {
        let made = &mut self.state().made;
        made.push(vec![now]);
        u32::try_from(made.len() - 1).unwrap()
    }

    pub(crate) fn renew(&self, id: u32, now: Duration) {
        self.state().made[place(id)].push(now);
    }

    /// When the life of a value began, each time.
    pub(crate) fn made(&self, id: u32) -> Vec<Duration> {
        self.state().made[place(id)].clone()
    }

    /// The load that has brought this had been given up.
    pub(crate) fn give_up(&self, id: u32) {
        self.state().given_up.insert(id);
    }

    pub(crate) fn is_given_up(&self, id: u32) -> bool {
        self.state().given_up.contains(&id)
    }

    pub(crate) fn fall_ill(&self, malady: Malady, until: Duration) {
        self.state().malady = Some((malady, until));
    }

    pub(crate) fn recover(&self) {
        self.state().malady = None;
    }

    /// What it has at this moment, and until when.
    pub(crate) fn malady(&self, now: Duration) -> Option<(Malady, Duration)> {
        self.state().malady.filter(|(_, until)| now < *until)
    }

    /// The right to write the key that has one writer only.
    pub(crate) fn writer(world: &Arc<World>) -> Option<Writer> {
        let has_writer = &mut world.source.state().has_writer;
        (!std::mem::replace(has_writer, true)).then(|| Writer(Arc::clone(world)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

fn place(id: u32) -> usize {
    usize::try_from(id).unwrap()
}

pub(crate) struct Writer(Arc<World>);

impl Drop for Writer {
    fn drop(&mut self) {
        self.0.source.state().has_writer = false;
    }
}
