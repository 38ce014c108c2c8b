//! How long after an invalidation another process still has its copy.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tiered::{Access, BoxError, Cache, Coherence, Options};
use tiered_examples::{Failure, Moment, Spread};
use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{MissedTickBehavior, interval};

use crate::fill::fill;
use crate::journal::{Journal, Note};
use crate::lab::{Lab, Site};
use crate::process::{Parent, plan, say};

/// The name of the role of the process that has copies of all keys, and watches some of them go.
pub(crate) const HOLDER: &str = "holder";
/// The name of the role of the process that removes all keys, one by one.
pub(crate) const REMOVER: &str = "remover";

#[derive(Clone, Deserialize, Serialize)]
pub(crate) struct Plan {
    pub(crate) site: Site,
    /// A second.
    pub(crate) rate: u32,
    pub(crate) seconds: u32,
    /// One key in so many is watched.
    pub(crate) watched: u32,
}

/// What became of the watched keys.
pub(crate) struct Latencies {
    /// Removals in a second.
    rate: f64,
    after_call: Spread,
    after_return: Spread,
    /// How many were gone before anybody had removed them.
    early: usize,
    watched: usize,
}

pub(crate) async fn run(lab: &Lab, rate: u32, seconds: u32) -> Result<Latencies, Failure> {
    let plan = Plan {
        site: lab.site(Coherence::default()),
        rate,
        seconds,
        watched: 50,
    };
    let mut holder = lab.start(HOLDER, &plan).await?;
    let mut remover = lab.start(REMOVER, &plan).await?;
    holder.tell("go").await?;
    remover.tell("go").await?;
    tokio::time::sleep(Duration::from_secs(seconds.into())).await;
    let removals = remover.hear("done").await?;
    holder.hear("done").await?;
    let read = |name| Journal::read(&plan.site.file(name));
    let (called, returned, gone) = (read("called")?, read("returned")?, read("gone")?);
    let rate = removals.parse();
    let rate =
        rate.map_err(|error| Failure::new("no rate is known").because(BoxError::from(error)))?;
    Ok(Latencies::of(rate, (&called, &returned), &gone))
}

/// Fills L1 with all keys, then notes when the watched ones are gone.
pub(crate) async fn hold(parent: &mut Parent) -> Result<(), Failure> {
    let plan: Plan = plan()?;
    let redis = plan.site.connect().await?;
    let cache: Cache<String, u32> = plan.site.cache(&redis)?;
    fill(&cache, plan.keys()).await?;
    say("ready");
    parent.hear().await?;
    let (runtime, watched) = (Handle::current(), plan.clone());
    // A thread of its own: it polls.
    let gone = spawn_blocking(move || runtime.block_on(watch(&cache, &watched))).await;
    let gone = gone.map_err(|error| Failure::new("the watcher died").because(error))?;
    gone.save(&plan.site.file("gone"))?;
    say("done");
    redis.shutdown().await;
    Ok(())
}

/// Removes all keys in their order, evenly.
pub(crate) async fn remove(parent: &mut Parent) -> Result<(), Failure> {
    let plan: Plan = plan()?;
    let redis = plan.site.connect().await?;
    let cache = Arc::new(plan.site.cache(&redis)?);
    say("ready");
    parent.hear().await?;
    let begin = Moment::now();
    let (called, returned) = remove_all(cache, &plan).await;
    let took = Moment::now().since(begin);
    called.save(&plan.site.file("called"))?;
    returned.save(&plan.site.file("returned"))?;
    say(&format!(
        "done {:.0}",
        f64::from(plan.keys()) / took.as_secs_f64()
    ));
    redis.shutdown().await;
    Ok(())
}

impl Plan {
    fn keys(&self) -> u32 {
        self.rate * self.seconds
    }
}

impl Latencies {
    fn of(rate: f64, (called, returned): (&Journal, &Journal), gone: &Journal) -> Self {
        let gone: HashMap<_, _> = gone.notes.iter().map(|note| (note.key, note.at)).collect();
        let after = |notes: &[Note]| -> Spread {
            let lasted = notes
                .iter()
                .filter_map(|note| Some(gone.get(&note.key)?.since(note.at)));
            lasted.collect()
        };
        let is_early = |note: &&Note| gone.get(&note.key).is_some_and(|gone| *gone < note.at);
        Self {
            rate,
            after_call: after(&called.notes),
            after_return: after(&returned.notes),
            early: called.notes.iter().filter(is_early).count(),
            watched: called.notes.len(),
        }
    }

    /// Every watched key went, and none by itself.
    pub(crate) fn is_sound(&self) -> bool {
        self.watched > 0 && self.early == 0 && self.after_call.len() == self.watched
    }
}

impl fmt::Display for Latencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "removals         {:.0} a second", self.rate)?;
        let gone = self.after_call.len();
        writeln!(
            f,
            "keys watched     {}, of which gone {gone}, before their removal {}",
            self.watched, self.early
        )?;
        writeln!(f, "from the call    {}", self.after_call)?;
        writeln!(
            f,
            "from its return  {} (zero: gone before)",
            self.after_return
        )
    }
}

async fn watch(cache: &Cache<String, u32>, plan: &Plan) -> Journal {
    let end = Moment::now().plus(Duration::from_secs(u64::from(plan.seconds) + 10));
    let mut gone = Journal::default();
    for key in (0..plan.keys()).step_by(plan.watched as usize) {
        while has(cache, key).await {
            if Moment::now() > end {
                return gone;
            }
            std::thread::sleep(POLL);
        }
        gone.note(Moment::now(), key, 0);
    }
    gone
}

async fn has(cache: &Cache<String, u32>, key: u32) -> bool {
    let only_l1 = Options {
        l2: Access::Skip,
        ..Options::default()
    };
    cache.with(only_l1).get(&key).await.is_some()
}

const POLL: Duration = Duration::from_micros(20);

async fn remove_all(cache: Arc<Cache<String, u32>>, plan: &Plan) -> (Journal, Journal) {
    let (sender, mut ends) = unbounded_channel();
    let mut removals = JoinSet::new();
    let mut ticks = interval(Duration::from_millis(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let begin = Moment::now();
    for key in 0..plan.keys() {
        while begin.plus(Duration::from_secs(1) * key / plan.rate) > Moment::now() {
            ticks.tick().await;
        }
        let is_watched = key % plan.watched == 0;
        removals.spawn(remove_one(
            Arc::clone(&cache),
            key,
            sender.clone(),
            is_watched,
        ));
        while removals.try_join_next().is_some() {}
    }
    drop((sender, removals.join_all().await));
    let (mut called, mut returned) = (Journal::default(), Journal::default());
    while let Some((key, call, end)) = ends.recv().await {
        called.note(call, key, 0);
        returned.note(end, key, 0);
    }
    (called, returned)
}

async fn remove_one(
    cache: Arc<Cache<String, u32>>,
    key: u32,
    ends: UnboundedSender<(u32, Moment, Moment)>,
    is_watched: bool,
) {
    let begin = Moment::now();
    let removed = cache.remove(&key).await;
    if is_watched && removed.ok().is_ok() {
        // The other end lives as long as the tasks do.
        let _ = ends.send((key, begin, Moment::now()));
    }
}
