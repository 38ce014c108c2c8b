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
use std::time::Duration;

use arc_swap::ArcSwapOption;
use fred::clients::{Client, WithOptions};
use tiered_core::Result;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::call::{Call, Setup};
use crate::error;

/// A connection that is kept up until it is closed or dropped.
pub(crate) struct Connection {
    line: Arc<Line>,
    /// Tells the keeper to stop, also by being dropped; closed when the keeper has ended.
    keeper: watch::Sender<()>,
    max_waiting: usize,
}

impl Connection {
    /// Connects, and waits until a command has worked.
    pub(crate) async fn open(setup: Arc<Setup>) -> Result<Self> {
        let call = setup.call().await?;
        let line = Arc::new(Line::default());
        let (keeper, stop) = watch::channel(());
        let connection = Self {
            line: line.clone(),
            keeper,
            max_waiting: setup.options.max_waiting_commands,
        };
        put(&line, Some(&call.client));
        tokio::spawn(Keeper { setup, line, call }.run(stop));
        Ok(connection)
    }

    /// The client for one command, to be held until its answer is there: who holds it is who waits.
    ///
    /// # Errors
    /// The connection is down, or too many commands wait already.
    pub(crate) fn turn(&self) -> Result<Arc<WithOptions<Client>>> {
        let client = self.line.load_full().ok_or_else(error::not_connected)?;
        // One is held by the line, and one by this command.
        if Arc::strong_count(&client) > self.max_waiting + 1 {
            return Err(error::too_many_waiting());
        }
        Ok(client)
    }

    pub(crate) fn is_up(&self) -> bool {
        self.line.load().is_some()
    }

    /// Refuses new commands, gives those under way a moment, and waits until the socket is closed.
    pub(crate) async fn close(&self) {
        put(&self.line, None);
        let _ = self.keeper.send(());
        self.keeper.closed().await;
    }
}

/// What commands go through: the present client, if there is one. Read by every command from every thread, so not
/// behind a lock; and its count of references, which they must move anyway, is the number of those that wait.
type Line = ArcSwapOption<WithOptions<Client>>;

fn put(line: &Line, client: Option<&WithOptions<Client>>) {
    line.store(client.cloned().map(Arc::new));
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
        put(&self.line, None);
        self.call.end(self.setup.silence()).await;
    }

    async fn keep_up(&mut self) {
        loop {
            self.call.lost(self.setup.silence()).await;
            put(&self.line, None);
            self.call.abort();
            self.call = self.reconnected().await;
            put(&self.line, Some(&self.call.client));
        }
    }

    async fn reconnected(&self) -> Call {
        const FIRST_DELAY: Duration = Duration::from_millis(50);
        let longest = self.setup.options.reconnect_delay_max;
        let mut delay = FIRST_DELAY.min(longest);
        loop {
            // Nodes that have lost the server together do not come back in one moment.
            sleep(delay.mul_f64(0.5 + self.setup.fraction() / 2.0)).await;
            if let Ok(call) = self.setup.call().await {
                return call;
            }
            delay = (delay * 2).min(longest);
        }
    }
}
