//! What is wrong with the server and the ways to it, since when and until when.

use std::time::Duration;

/// What a command does with the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Use {
    Read,
    Write,
}

impl Use {
    pub(crate) fn of(verb: &str) -> Self {
        match verb {
            "get" | "heads" | "read mark" | "time" => Self::Read,
            _ => Self::Write,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ill {
    /// It answers with an error.
    Down,
    /// This node does not reach it.
    Cut(usize),
    /// It stands still, and does what it was asked when it goes on.
    Stopped(Scope),
    /// What it is asked is gone, and nobody says so.
    Swallows(Scope),
    /// It changes nothing.
    IsReadOnly,
    /// It stores nothing more.
    IsFull,
    /// All takes longer, by so much at most each way.
    Slow(Duration),
}

/// Which commands a trouble concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    All,
    Only(Use),
}

impl Scope {
    fn holds(self, what: Use) -> bool {
        match self {
            Self::All => true,
            Self::Only(scope) => scope == what,
        }
    }
}

struct Trouble {
    ill: Ill,
    begun: Duration,
    until: Duration,
}

#[derive(Default)]
pub(crate) struct Troubles(Vec<Trouble>);

impl Troubles {
    pub(crate) fn begin(&mut self, ill: Ill, begun: Duration, until: Duration) {
        self.0.push(Trouble { ill, begun, until });
    }

    pub(crate) fn end_all(&mut self, now: Duration) {
        for trouble in &mut self.0 {
            trouble.until = trouble.until.min(now);
        }
    }

    pub(crate) fn is_down(&self, now: Duration) -> bool {
        self.at(now).any(|ill| ill == Ill::Down)
    }

    pub(crate) fn is_cut(&self, node: usize, now: Duration) -> bool {
        self.at(now).any(|ill| ill == Ill::Cut(node))
    }

    pub(crate) fn swallows(&self, what: Use, now: Duration) -> bool {
        self.at(now)
            .any(|ill| matches!(ill, Ill::Swallows(scope) if scope.holds(what)))
    }

    /// Until when it stands still.
    pub(crate) fn stopped_until(&self, what: Use, now: Duration) -> Option<Duration> {
        let is_it = |ill: Ill| matches!(ill, Ill::Stopped(scope) if scope.holds(what));
        let stops = self
            .0
            .iter()
            .filter(|trouble| trouble.goes_on(now) && is_it(trouble.ill));
        stops.map(|trouble| trouble.until).max()
    }

    /// It does not do this.
    pub(crate) fn denies(&self, verb: &str, now: Duration) -> bool {
        let is_store = matches!(verb, "set" | "fill" | "claim");
        let denies = |ill| match ill {
            Ill::IsReadOnly => Use::of(verb) == Use::Write,
            Ill::IsFull => is_store,
            _ => false,
        };
        self.at(now).any(denies)
    }

    /// How much longer each way may take.
    pub(crate) fn slowness(&self, now: Duration) -> Duration {
        let slow = |ill| match ill {
            Ill::Slow(by) => by,
            _ => Duration::ZERO,
        };
        self.at(now).map(slow).max().unwrap_or_default()
    }

    /// Nothing that this node has asked between these moments was answered.
    pub(crate) fn is_silent(&self, node: usize, (from, to): (Duration, Duration)) -> bool {
        let is_silence = |ill| match ill {
            Ill::Down => true,
            Ill::Cut(cut) => cut == node,
            Ill::Stopped(scope) | Ill::Swallows(scope) => scope.holds(Use::Read),
            Ill::IsReadOnly | Ill::IsFull | Ill::Slow(_) => false,
        };
        let spans = |trouble: &Trouble| trouble.begun <= from && to < trouble.until;
        self.0
            .iter()
            .any(|trouble| spans(trouble) && is_silence(trouble.ill))
    }

    fn at(&self, now: Duration) -> impl Iterator<Item = Ill> {
        let going_on = self.0.iter().filter(move |trouble| trouble.goes_on(now));
        going_on.map(|trouble| trouble.ill)
    }
}

impl Trouble {
    fn goes_on(&self, now: Duration) -> bool {
        self.begun <= now && now < self.until
    }
}
