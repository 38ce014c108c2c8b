use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::oneshot;

/// What happens outside the nodes, and when: on the wires, in the server, in the database. Moments are counted from the
/// beginning of the world.
#[derive(Default)]
pub(crate) struct Timeline(Mutex<State>);

#[derive(Default)]
struct State {
    now: Duration,
    count: u64,
    events: BTreeMap<(Duration, u64), Event>,
}

type Event = Box<dyn FnOnce() + Send>;

impl Timeline {
    pub(crate) fn now(&self) -> Duration {
        self.state().now
    }

    pub(crate) fn move_to(&self, moment: Duration) {
        self.state().now = moment;
    }

    pub(crate) fn at(&self, moment: Duration, event: impl FnOnce() + Send + 'static) {
        let mut state = self.state();
        state.count += 1;
        let place = (moment.max(state.now), state.count);
        state.events.insert(place, Box::new(event));
    }

    pub(crate) fn next(&self) -> Option<Duration> {
        let state = self.state();
        let ((moment, _), _) = state.events.first_key_value()?;
        Some(*moment)
    }

    /// The next event that is due.
    pub(crate) fn take_due(&self) -> Option<Event> {
        let mut state = self.state();
        let now = state.now;
        let first = state.events.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }

    pub(crate) fn clear(&self) {
        let events = std::mem::take(&mut self.state().events);
        drop(events);
    }

    pub(crate) async fn pause(&self, pause: Duration) {
        self.reach(self.now() + pause).await;
    }

    pub(crate) async fn reach(&self, moment: Duration) {
        let (over, wait) = oneshot::channel();
        self.at(moment, move || {
            // Whoever has waited may be gone.
            let _ = over.send(());
        });
        let _ = wait.await;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

/// What waits for the server to go on.
#[derive(Default)]
pub(crate) struct Stopped(Mutex<Vec<Event>>);

impl Stopped {
    pub(crate) fn push(&self, event: impl FnOnce() + Send + 'static) {
        self.0.lock().unwrap().push(Box::new(event));
    }

    /// It goes on. What finds that it does not waits again.
    pub(crate) fn release(&self) {
        let events = std::mem::take(&mut *self.0.lock().unwrap());
        for event in events {
            event();
        }
    }
}
