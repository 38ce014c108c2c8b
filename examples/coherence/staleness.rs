//! Processes that read and change the rows of one table while connections break and one of them freezes: no read may
//! be staler than the bound.

use std::time::Duration;

use tiered::Coherence;
use tiered_examples::{Failure, Moment, Proxy, resolution};

use crate::faults::{Faults, Injury};
use crate::journal::Journal;
use crate::keys::{KEYS, Kind};
use crate::lab::{Lab, Site};
use crate::process::Process;
use crate::table::Table;
use crate::traffic::{Counts, Plan, TRAFFIC};
use crate::verdict::{Evidence, Verdict};

/// How a run is to be.
pub(crate) struct Terms {
    pub(crate) lasts: Duration,
    pub(crate) bound: Duration,
    pub(crate) blind_trust: Duration,
    /// How long a process is frozen at a time.
    pub(crate) frozen_for: Duration,
    /// How long a way to Redis is frozen or cut at most.
    pub(crate) away: Duration,
    /// The pauses between two faults, on average.
    pub(crate) pause: Duration,
    /// A second, by each process.
    pub(crate) reads: u32,
    /// A second, by each writer.
    pub(crate) writes: u32,
    pub(crate) seed: u64,
}

/// The process that writes nothing, and is frozen.
const SLEEPER: usize = 3;

pub(crate) async fn run(lab: &Lab, terms: &Terms) -> Result<Verdict, Failure> {
    let site = lab.site(Coherence {
        bound: terms.bound,
        blind_trust: terms.blind_trust,
        ..Coherence::default()
    });
    let _table = Table::create(&Plan::table(&site), KEYS).await?;
    let (plans, proxies) = plans(lab, terms, &site).await?;
    let mut processes = Vec::new();
    for plan in &plans {
        processes.push(lab.start(TRAFFIC, plan).await?);
    }
    for process in &mut processes {
        process.tell("go").await?;
    }
    let faults = faults(lab, terms, proxies, &processes)?;
    let mut rng = fastrand::Rng::with_seed(terms.seed);
    let injuries = faults
        .inject(&mut rng, Moment::now().plus(terms.lasts))
        .await?;
    let evidence = gather(processes, &plans, injuries).await?;
    let limit = terms.bound + terms.blind_trust + resolution();
    Ok(Verdict::of(evidence, limit))
}

/// What each process is to do. The first one goes straight to Redis, the others through a proxy each.
async fn plans(
    lab: &Lab,
    terms: &Terms,
    site: &Site,
) -> Result<(Vec<Plan>, Vec<(usize, Proxy)>), Failure> {
    let duties = [
        vec![Kind::Removed, Kind::Tagged],
        vec![Kind::Removed],
        vec![Kind::Set],
        vec![],
    ];
    let (mut plans, mut proxies) = (Vec::new(), Vec::new());
    for (number, duties) in duties.into_iter().enumerate() {
        let mut site = site.clone();
        if number > 0 {
            let proxy = Proxy::start(lab.redis.clone()).await?;
            site.url = lab.redis.through(proxy.port()).url();
            proxies.push((number, proxy));
        }
        plans.push(Plan {
            site,
            number,
            writes: duties
                .into_iter()
                .map(|kind| (kind, terms.rate(kind)))
                .collect(),
            reads: terms.reads,
            lasts: terms.lasts,
            seed: terms.seed.wrapping_add(number as u64),
        });
    }
    Ok((plans, proxies))
}

impl Terms {
    /// A tag stands for ten keys.
    fn rate(&self, kind: Kind) -> u32 {
        match kind {
            Kind::Removed | Kind::Set => self.writes,
            Kind::Tagged => (self.writes / 10).max(1),
        }
    }
}

fn faults(
    lab: &Lab,
    terms: &Terms,
    proxies: Vec<(usize, Proxy)>,
    processes: &[Process],
) -> Result<Faults, Failure> {
    let sleeper = processes.get(SLEEPER);
    let sleeper = sleeper.ok_or_else(|| Failure::new("nobody sleeps"))?;
    Ok(Faults {
        redis: lab.redis.clone(),
        proxies,
        sleeper: (SLEEPER, sleeper.pid()?),
        frozen_for: terms.frozen_for,
        away: terms.away,
        pause: terms.pause,
    })
}

async fn gather(
    processes: Vec<Process>,
    plans: &[Plan],
    injuries: Vec<Injury>,
) -> Result<Evidence, Failure> {
    let (mut reads, mut invalidated, mut counts) = (Vec::new(), Vec::new(), Vec::new());
    for (mut process, plan) in processes.into_iter().zip(plans) {
        let words = process.hear("done").await?;
        let counted: Counts = serde_json::from_str(&words)
            .map_err(|error| Failure::new("a process says what it should not").because(error))?;
        counts.push(counted);
        reads.push(Journal::read(&plan.reads_file())?);
        invalidated.push(Journal::read(&plan.invalidated_file())?);
    }
    Ok(Evidence {
        reads,
        invalidated,
        counts,
        injuries,
    })
}
