use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

/// What a world tells about itself.
pub(crate) struct Journal(Mutex<Pages>);

#[derive(Default)]
struct Pages {
    trace: Option<Vec<String>>,
    counts: Counts,
    violation: Option<String>,
}

/// How often what happened.
pub(crate) type Counts = BTreeMap<Cow<'static, str>, u64>;

impl Journal {
    pub(crate) fn new(is_traced: bool) -> Self {
        Self(Mutex::new(Pages {
            trace: is_traced.then(Vec::new),
            ..Pages::default()
        }))
    }

    pub(crate) fn count(&self, what: impl Into<Cow<'static, str>>) {
        *self.pages().counts.entry(what.into()).or_default() += 1;
    }

    pub(crate) fn is_traced(&self) -> bool {
        self.pages().trace.is_some()
    }

    pub(crate) fn write(&self, line: String) {
        self.pages().trace.as_mut().unwrap().push(line);
    }

    /// The first violation counts: what comes after it may be its consequence.
    pub(crate) fn violate(&self, what: String) {
        self.pages().violation.get_or_insert(what);
    }

    pub(crate) fn violation(&self) -> Option<String> {
        self.pages().violation.clone()
    }

    pub(crate) fn take(&self) -> (Vec<String>, Counts) {
        let mut pages = self.pages();
        let trace = pages.trace.take().unwrap_or_default();
        (trace, std::mem::take(&mut pages.counts))
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().unwrap()
    }
}
