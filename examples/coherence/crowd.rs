//! The role of a process whose many callers ask for one key at once.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tiered::{BoxError, Cache, Options};
use tiered_examples::{Failure, Moment};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::lab::Site;
use crate::process::{Parent, plan, say};
use crate::table::Table;

/// The name of the role.
pub(crate) const CROWD: &str = "crowd";

/// What a process is told to do.
#[derive(Clone, Copy, Deserialize, Serialize)]
pub(crate) struct Rush {
    pub(crate) key: u32,
    /// When, in nanoseconds of [`Moment`].
    pub(crate) start: u64,
    pub(crate) callers: usize,
    /// How long its loader takes, if it comes to that.
    pub(crate) load: Duration,
}

/// How it went.
#[derive(Default, Deserialize, Serialize)]
pub(crate) struct Landed {
    /// How long each caller waited.
    pub(crate) waits: Vec<Duration>,
    /// How many of them got an error or another value.
    pub(crate) wrong: u64,
    /// How many loads were begun without the right to fill L2, because L2 did not answer in time.
    pub(crate) unfenced: u64,
    /// How many loads were not stored because something came before their end.
    pub(crate) refused: u64,
}

impl Landed {
    pub(crate) fn add(&mut self, other: Self) {
        self.waits.extend(other.waits);
        self.wrong += other.wrong;
        self.unfenced += other.unfenced;
        self.refused += other.refused;
    }
}

pub(crate) async fn play(parent: &mut Parent) -> Result<(), Failure> {
    let site: Site = plan()?;
    let redis = site.connect().await?;
    let node = Arc::new(Node {
        cache: site.cache(&redis)?,
        table: Table::open(&site.file("sqlite"))?,
    });
    say("ready");
    loop {
        let order = parent.hear().await?;
        let Ok(rush) = serde_json::from_str::<Rush>(&order) else {
            redis.shutdown().await;
            return Ok(());
        };
        let landed = Arc::clone(&node).rush(rush).await?;
        let landed = serde_json::to_string(&landed).unwrap_or_default();
        say(&format!("landed {landed}"));
    }
}

struct Node {
    cache: Cache<String, u32>,
    table: Table,
}

impl Node {
    async fn rush(self: Arc<Self>, rush: Rush) -> Result<Landed, Failure> {
        Moment::from_nanos(rush.start).reached().await;
        let mut callers: JoinSet<_> = (0..rush.callers)
            .map(|_| Arc::clone(&self).call(rush))
            .collect();
        let mut landed = Landed::default();
        let before = self.cache.stats();
        while let Some(caller) = callers.join_next().await {
            let caller = caller.map_err(|error| Failure::new("a caller died").because(error));
            let (wait, is_right) = caller?;
            landed.waits.push(wait);
            landed.wrong += u64::from(!is_right);
        }
        let after = self.cache.stats();
        landed.unfenced = after.loads_unfenced - before.loads_unfenced;
        landed.refused = after.loads_refused - before.loads_refused;
        Ok(landed)
    }

    async fn call(self: Arc<Self>, rush: Rush) -> (Duration, bool) {
        let begin = Moment::now();
        let table = self.table.clone();
        let call = self.cache.with(Options::default());
        let answer = call.get_or_load(&rush.key, move || load(table, rush)).await;
        let value = answer.ok().and_then(|answer| answer.value);
        let is_right = value.is_some_and(|value| *value == rush.key.to_string());
        (Moment::now().since(begin), is_right)
    }
}

async fn load(table: Table, rush: Rush) -> Result<String, BoxError> {
    table.begin_load(rush.key).await?;
    say(&format!("loading {}", rush.key));
    sleep(rush.load).await;
    Ok(rush.key.to_string())
}
