//! What a store answered, compared with what it should have.

use crate::{Claimed, Record, Result, Version};

/// One outcome of a batch.
pub(super) trait Outcome: PartialEq {
    /// In few words: some records are large.
    fn brief(&self) -> String;
}

/// The outcomes, none of which may be an error.
pub(super) fn outcomes<T>(method: &str, asked: usize, outcomes: Vec<Result<T>>) -> Vec<T> {
    let outcomes = counted(method, asked, outcomes);
    outcomes
        .into_iter()
        .map(|outcome| done(method, outcome))
        .collect()
}

/// The outcomes, one for each item.
pub(super) fn counted<T>(method: &str, asked: usize, outcomes: Vec<T>) -> Vec<T> {
    let given = outcomes.len();
    assert!(
        given == asked,
        "L2: `{method}` gave {given} outcomes for {asked} keys"
    );
    outcomes
}

#[expect(
    clippy::panic,
    reason = "a broken rule ends the caller's test with a panic that names it"
)]
pub(super) fn done<T>(method: &str, outcome: Result<T>) -> T {
    outcome.unwrap_or_else(|error| panic!("L2: `{method}` failed for a key: {error:?}"))
}

/// Both have one outcome for each key asked for.
pub(super) fn same<T: Outcome>(rule: &str, found: &[T], wanted: &[T]) {
    for (at, (found, wanted)) in found.iter().zip(wanted).enumerate() {
        let (is, should) = (found.brief(), wanted.brief());
        assert!(
            found == wanted,
            "L2: {rule}: outcome {at} is {is}, not {should}"
        );
    }
}

impl Outcome for Record {
    fn brief(&self) -> String {
        let (length, head) = (self.bytes().len(), self.head());
        format!("{length} bytes beginning with {:?}", head.bytes())
    }
}

impl Outcome for Option<Record> {
    fn brief(&self) -> String {
        self.as_ref().map_or("nothing".to_owned(), Outcome::brief)
    }
}

/// What a claim has met: a [`Claimed`] whose version was looked at.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Met {
    Granted,
    Busy,
    Changed(Record),
}

impl From<Claimed> for Met {
    fn from(claimed: Claimed) -> Self {
        match claimed {
            Claimed::Granted(_) => Self::Granted,
            Claimed::Busy => Self::Busy,
            Claimed::Changed(record) => Self::Changed(record),
        }
    }
}

impl Outcome for Met {
    fn brief(&self) -> String {
        match self {
            Self::Granted | Self::Busy => format!("{self:?}"),
            Self::Changed(record) => format!("changed, with {}", record.brief()),
        }
    }
}

impl Outcome for bool {
    fn brief(&self) -> String {
        self.to_string()
    }
}

impl Outcome for Version {
    fn brief(&self) -> String {
        format!("{self:?}")
    }
}
