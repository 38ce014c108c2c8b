//! One connection that is kept up.
//!
//! fred could reconnect by itself. It is not left to, because fred 10.1
//! - sends commands to a lost connection until its first attempt to reconnect, so that each waits for its timeout;
//! - takes a silent server for a live one as long as commands are written to it, and waits without end where the
//!   socket takes no more bytes;
//! - no longer flushes single commands once its bounded buffer has been full, and stops for good if the connection is
//!   lost while it is full.
//!
//! So the buffer is bounded here, silence is noticed here, and a lost connection gets a fresh client.

use std::sync::Arc;

use tiered_core::Result;
use tokio::sync::watch;

use crate::call::Call;
use crate::line::Line;
use crate::reads::Reads;
use crate::setup::{Purpose, Setup};

/// A connection that is kept up until it is closed or dropped.
pub(crate) struct Connection {
    pub(crate) line: Arc<Line>,
    pub(crate) reads: Reads,
    /// Tells the keeper to stop, also by being dropped; closed when the keeper has ended.
    keeper: watch::Sender<()>,
}

impl Connection {
    /// Connects, and waits until a command has worked.
    pub(crate) async fn open(setup: Arc<Setup>) -> Result<Self> {
        let call = setup.call(Purpose::Commands).await?;
        let line = Arc::new(Line::new(setup.options.max_waiting_commands));
        let (keeper, stop) = watch::channel(());
        let connection = Self {
            line: line.clone(),
            reads: Reads::new(line.clone()),
            keeper,
        };
        line.set(Some(&call.client));
        tokio::spawn(Keeper { setup, line, call }.run(stop));
        Ok(connection)
    }

    pub(crate) fn is_up(&self) -> bool {
        self.line.is_up()
    }

    /// Refuses new commands, gives those under way a moment, and waits until the socket is closed.
    pub(crate) async fn close(&self) {
        self.line.set(None);
        let _ = self.keeper.send(());
        self.keeper.closed().await;
    }
}

/// The task that keeps a connection up.
struct Keeper {
    setup: Arc<Setup>,
    line: Arc<Line>,
    call: Call,
}

impl Keeper {
    async fn run(mut self, mut stop: watch::Receiver<()>) {
        tokio::select! {
            biased;
            _ = stop.changed() => {}
            () = self.keep_up() => {}
        }
        self.line.set(None);
        self.call.end(self.setup.silence()).await;
    }

    async fn keep_up(&mut self) {
        loop {
            self.call.lost(self.setup.silence()).await;
            self.line.set(None);
            self.call.abort();
            self.call = self.setup.call_again(Purpose::Commands).await;
            self.line.set(Some(&self.call.client));
        }
    }
}
