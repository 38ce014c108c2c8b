use std::sync::Arc;

use arc_swap::ArcSwapOption;
use fred::clients::{Client, WithOptions};
use tiered_core::Result;

use crate::error;

/// What commands go through: the present client, if there is one.
///
/// Every command reads it, from every thread, so it is not behind a lock; and its count of references, which they must
/// move anyway, is the number of commands that wait.
pub(crate) struct Line {
    client: ArcSwapOption<WithOptions<Client>>,
    max_waiting: usize,
}

impl Line {
    pub(crate) fn new(max_waiting: usize) -> Self {
        Self {
            client: ArcSwapOption::empty(),
            max_waiting,
        }
    }

    pub(crate) fn set(&self, client: Option<&WithOptions<Client>>) {
        self.client.store(client.cloned().map(Arc::new));
    }

    /// The client for one command, to be held until its answer is there: who holds it is who waits.
    ///
    /// # Errors
    /// The connection is down, or too many commands wait already.
    pub(crate) fn turn(&self) -> Result<Arc<WithOptions<Client>>> {
        let client = self.client.load_full();
        let client = client.ok_or_else(error::not_connected)?;
        // One is held by the line, and one by this command.
        if Arc::strong_count(&client) > self.max_waiting + 1 {
            return Err(error::too_many_waiting());
        }
        Ok(client)
    }

    /// How many commands wait for their answer.
    pub(crate) fn waiting(&self) -> usize {
        let client = self.client.load();
        let holders = client.as_ref().map_or(1, Arc::strong_count);
        holders.saturating_sub(1)
    }

    pub(crate) fn max_waiting(&self) -> usize {
        self.max_waiting
    }

    pub(crate) fn is_up(&self) -> bool {
        self.client.load().is_some()
    }
}
