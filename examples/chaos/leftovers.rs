use std::time::Duration;

use tiered_examples::{Failure, Moment};
use tokio::runtime::Handle;
use tokio::time::sleep;

use crate::ground::Ground;

/// What should be gone when the caches are.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Leftovers {
    pub(crate) connections: usize,
    pub(crate) tasks: usize,
}

impl Leftovers {
    /// Waits until nothing is left over, or for so long that it will stay. `tasks` were there before the ground was prepared.
    pub(crate) async fn of(ground: Ground, tasks: usize) -> Result<Self, Failure> {
        let end = Moment::now().plus(PATIENCE);
        let mut connections = ground.connections().await?;
        while connections > 0 && Moment::now() < end {
            sleep(Duration::from_millis(50)).await;
            connections = ground.connections().await?;
        }
        drop(ground);
        let end = Moment::now().plus(PATIENCE);
        while self::tasks() > tasks && Moment::now() < end {
            sleep(Duration::from_millis(50)).await;
        }
        Ok(Self {
            connections,
            tasks: self::tasks().saturating_sub(tasks),
        })
    }

    pub(crate) fn is_none(self) -> bool {
        self.connections == 0 && self.tasks == 0
    }
}

/// How many tasks there are.
pub(crate) fn tasks() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

const PATIENCE: Duration = Duration::from_secs(5);
