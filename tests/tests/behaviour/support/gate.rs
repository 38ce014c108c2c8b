use std::sync::{Arc, Mutex};

use tokio::sync::oneshot;

use super::world::promptly;

/// A place at which work stops until the test lets it go on: the test's end, and the work's.
pub(crate) fn gate() -> (Stop, Gate) {
    let (reached, is_reached) = oneshot::channel();
    let (go, may_go) = oneshot::channel();
    let stop = Stop {
        is_reached: Some(is_reached),
        go,
    };
    (stop, Gate(Arc::new(Mutex::new(Some((reached, may_go))))))
}

/// The test's end. Dropped, it lets the work go on.
pub(crate) struct Stop {
    is_reached: Option<oneshot::Receiver<()>>,
    go: oneshot::Sender<()>,
}

impl Stop {
    /// Waits until the work has come to the gate.
    pub(crate) async fn reached(&mut self) {
        let reached = self.is_reached.take().expect("asked once");
        let reached = promptly(reached).await;
        reached.expect("the work comes to its gate");
    }

    /// The work was dropped at its gate.
    pub(crate) fn is_given_up(&self) -> bool {
        self.go.is_closed()
    }

    pub(crate) fn go(self) {
        let _ = self.go.send(());
    }
}

/// The work's end. It holds up the first who comes.
#[derive(Clone)]
pub(crate) struct Gate(Arc<Mutex<Option<Ends>>>);

type Ends = (oneshot::Sender<()>, oneshot::Receiver<()>);

impl Gate {
    pub(crate) async fn pass(self) {
        let ends = self.0.lock().unwrap().take();
        if let Some((reached, may_go)) = ends {
            let _ = reached.send(());
            let _ = may_go.await;
        }
    }
}
