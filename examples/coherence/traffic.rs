//! The role of a process that reads, and changes rows.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tiered::{Cache, Options, Stats};
use tiered_examples::{Failure, Moment};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::journal::{Journal, Note};
use crate::keys::{self, Kind};
use crate::lab::Site;
use crate::process::{Parent, plan, say};
use crate::table::Table;

/// The name of the role.
pub(crate) const TRAFFIC: &str = "traffic";

#[derive(Clone, Deserialize, Serialize)]
pub(crate) struct Plan {
    pub(crate) site: Site,
    /// Of the process.
    pub(crate) number: usize,
    /// What it does to rows of this kind, and how often a second.
    pub(crate) writes: Vec<(Kind, u32)>,
    /// How often a second it reads.
    pub(crate) reads: u32,
    pub(crate) lasts: Duration,
    pub(crate) seed: u64,
}

impl Plan {
    pub(crate) fn table(site: &Site) -> std::path::PathBuf {
        site.file("sqlite")
    }

    /// What the process has read.
    pub(crate) fn reads_file(&self) -> std::path::PathBuf {
        self.site.file(&format!("{}-reads", self.number))
    }

    /// What it has changed and invalidated, at the moment when the invalidation had returned.
    pub(crate) fn invalidated_file(&self) -> std::path::PathBuf {
        self.site.file(&format!("{}-invalidated", self.number))
    }
}

/// What a process has counted.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Counts {
    pub(crate) l1_hits: u64,
    pub(crate) l2_hits: u64,
    pub(crate) loads: u64,
    pub(crate) loads_unfenced: u64,
    pub(crate) confirmed: u64,
    pub(crate) blind_hits: u64,
    pub(crate) doubts: u64,
    pub(crate) l2_errors: u64,
    /// Invalidations that had to be repeated by the writer.
    pub(crate) repeated: u64,
    /// Reads that ended in an error.
    pub(crate) read_errors: u64,
}

pub(crate) async fn play(parent: &mut Parent) -> Result<(), Failure> {
    let plan: Plan = plan()?;
    let redis = plan.site.connect().await?;
    let node = Arc::new(Node {
        cache: plan.site.cache(&redis)?,
        table: Table::open(&Plan::table(&plan.site))?,
    });
    say("ready");
    parent.hear().await?;
    let (reads, invalidated, counts) = node.work(&plan).await?;
    reads.save(&plan.reads_file())?;
    invalidated.save(&plan.invalidated_file())?;
    let counts = serde_json::to_string(&counts);
    say(&format!("done {}", counts.unwrap_or_default()));
    redis.shutdown().await;
    Ok(())
}

struct Node {
    cache: Cache<u32, u32>,
    table: Table,
}

impl Node {
    async fn work(self: &Arc<Self>, plan: &Plan) -> Result<(Journal, Journal, Counts), Failure> {
        let end = Moment::now().plus(plan.lasts);
        let (mut readers, mut writers) = (JoinSet::new(), JoinSet::new());
        let mut seeds = fastrand::Rng::with_seed(plan.seed);
        for _ in 0..READERS {
            readers.spawn(Arc::clone(self).read(plan.reads / READERS, seeds.fork(), end));
        }
        for (kind, rate) in plan.writes.clone() {
            writers.spawn(Arc::clone(self).write(kind, rate, seeds.fork(), end));
        }
        let (reads, read_errors) = sum(readers).await?;
        let (invalidated, repeated) = sum(writers).await?;
        let counts = Counts {
            repeated,
            read_errors,
            ..Counts::of(&self.cache.stats())
        };
        Ok((reads, invalidated, counts))
    }

    async fn read(
        self: Arc<Self>,
        rate: u32,
        mut rng: fastrand::Rng,
        end: Moment,
    ) -> (Journal, u64) {
        let (mut journal, mut errors) = (Journal::default(), 0);
        while Moment::now() < end {
            for _ in 0..BURST {
                let read = self.version(keys::any(&mut rng)).await;
                match read {
                    Ok(note) => journal.notes.push(note),
                    Err(_) => errors += 1,
                }
            }
            sleep(Duration::from_secs(1) * BURST / rate).await;
        }
        (journal, errors)
    }

    /// Reads the version of a row as the cache tells it.
    async fn version(&self, key: u32) -> tiered::Result<Note> {
        let table = self.table.clone();
        let tag = keys::tag(key);
        let tags: Vec<_> = tag.iter().map(String::as_str).collect();
        // An answer that is marked stale promises nothing.
        let fresh = Options {
            refuses_stale: true,
            ..Options::default()
        };
        let call = self.cache.with(fresh).tags(&tags);
        let at = Moment::now();
        let answer = call.get_or_load(&key, move || table.version(key)).await?;
        let took = Moment::now().since(at).as_micros();
        Ok(Note {
            at,
            key,
            version: answer.value.map(|version| *version).unwrap_or_default(),
            source: Some(answer.source),
            took: u32::try_from(took).unwrap_or(u32::MAX),
        })
    }

    async fn write(
        self: Arc<Self>,
        kind: Kind,
        rate: u32,
        mut rng: fastrand::Rng,
        end: Moment,
    ) -> (Journal, u64) {
        let (mut journal, mut repeated) = (Journal::default(), 0);
        while Moment::now() < end {
            let keys = keys::together(kind, &mut rng);
            if let Ok(versions) = self.table.change(keys.clone()).await {
                let changed: Vec<_> = keys.into_iter().zip(versions).collect();
                repeated += self.invalidate(kind, &changed).await;
                let at = Moment::now();
                for (key, version) in changed {
                    journal.note(at, key, version);
                }
            }
            sleep(Duration::from_secs(1) / rate).await;
        }
        (journal, repeated)
    }

    /// Invalidates until L2 has confirmed it, and says how often it had to be repeated.
    async fn invalidate(&self, kind: Kind, changed: &[(u32, u32)]) -> u64 {
        let mut repeated = 0;
        while self.try_to_invalidate(kind, changed).await.is_err() {
            repeated += 1;
            sleep(Duration::from_millis(20)).await;
        }
        repeated
    }

    async fn try_to_invalidate(&self, kind: Kind, changed: &[(u32, u32)]) -> tiered::Result<()> {
        for (key, version) in changed {
            match kind {
                Kind::Removed => self.cache.remove(key).await.ok()?,
                Kind::Set => self.cache.set(key, *version).await.ok()?,
                Kind::Tagged => {
                    let tag = keys::tag(*key).unwrap_or_default();
                    return self.cache.remove_tag(&tag).await;
                }
            }
        }
        Ok(())
    }
}

impl Counts {
    fn of(stats: &Stats) -> Self {
        Self {
            l1_hits: stats.l1_hits,
            l2_hits: stats.l2_hits,
            loads: stats.loads,
            loads_unfenced: stats.loads_unfenced,
            confirmed: stats.confirmed,
            blind_hits: stats.blind_hits,
            doubts: stats.doubts,
            l2_errors: stats.l2_errors,
            ..Self::default()
        }
    }
}

/// So many tasks read, so that some go on while others wait for a Redis that does not answer.
const READERS: u32 = 8;
/// How many keys a reader reads at a time.
const BURST: u32 = 10;

async fn sum(mut tasks: JoinSet<(Journal, u64)>) -> Result<(Journal, u64), Failure> {
    let (mut all, mut count) = (Journal::default(), 0);
    while let Some(task) = tasks.join_next().await {
        let (journal, number) = task.map_err(|error| Failure::new("a task died").because(error))?;
        all.notes.extend(journal.notes);
        count += number;
    }
    Ok((all, count))
}
