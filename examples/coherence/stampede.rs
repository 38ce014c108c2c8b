//! Processes whose callers all ask for the same cold key at once: it is loaded once. And a process that dies while it
//! loads: the others go on.

use std::fmt;
use std::time::Duration;

use tiered::Coherence;
use tiered_examples::{Failure, Moment, Spread, millis};
use tokio::time::sleep;

use crate::crowd::{CROWD, Landed, Rush};
use crate::lab::{Lab, Site};
use crate::process::Process;
use crate::table::Table;

/// How a run is to be.
pub(crate) struct Terms {
    pub(crate) processes: usize,
    /// In each process.
    pub(crate) callers: usize,
    pub(crate) rounds: u32,
    /// How long a load takes.
    pub(crate) load: Duration,
    pub(crate) claim_life: Duration,
}

/// What became of the stampedes.
pub(crate) struct Stampedes {
    /// Loads of each round's key.
    pub(crate) loads: Vec<u64>,
    waits: Spread,
    wrong: u64,
    /// Loads without the right to fill L2.
    unfenced: u64,
    /// Loads whose result was not stored.
    refused: u64,
    pub(crate) orphaned: Orphaned,
}

/// What became of a key whose loading process was killed.
pub(crate) struct Orphaned {
    /// Loads after that.
    pub(crate) loads: u64,
    /// From the kill to the last caller's answer.
    pub(crate) took: Duration,
    /// What it may take: the life of the claim, a load, and a while for a busy machine.
    limit: Duration,
    wrong: u64,
}

pub(crate) async fn run(lab: &Lab, terms: &Terms) -> Result<Stampedes, Failure> {
    let site = lab.site(Coherence {
        claim_life: terms.claim_life,
        ..Coherence::default()
    });
    let mut crowd = Crowd::gather(lab, terms, &site).await?;
    let (mut loads, mut all) = (Vec::new(), Landed::default());
    for round in 0..terms.rounds {
        let landed = crowd.rush(crowd.plan(round, terms)).await?;
        all.add(landed);
        loads.push(crowd.loads(round).await?);
    }
    Ok(Stampedes {
        loads,
        waits: all.waits.into_iter().collect(),
        wrong: all.wrong,
        unfenced: all.unfenced,
        refused: all.refused,
        orphaned: crowd.lose_the_loader(terms).await?,
    })
}

struct Crowd {
    processes: Vec<Process>,
    table: Table,
}

impl Crowd {
    async fn gather(lab: &Lab, terms: &Terms, site: &Site) -> Result<Self, Failure> {
        let table = Table::create(&site.file("sqlite"), 0).await?;
        let mut processes = Vec::new();
        for _ in 0..terms.processes {
            processes.push(lab.start(CROWD, site).await?);
        }
        Ok(Self { processes, table })
    }

    /// A rush for the key of a round, as soon as everybody has heard of it.
    fn plan(&self, round: u32, terms: &Terms) -> Rush {
        let notice = Duration::from_millis(20 + 5 * self.processes.len() as u64);
        Rush {
            key: round,
            start: Moment::now().plus(notice).nanos(),
            callers: terms.callers,
            load: terms.load,
        }
    }

    async fn rush(&mut self, rush: Rush) -> Result<Landed, Failure> {
        for process in &mut self.processes {
            tell(process, rush).await?;
        }
        let mut all = Landed::default();
        for process in &mut self.processes {
            let words = process.hear("landed").await?;
            let landed: Landed = serde_json::from_str(&words).map_err(|error| {
                Failure::new("a process says what it should not").because(error)
            })?;
            all.add(landed);
        }
        Ok(all)
    }

    async fn loads(&self, key: u32) -> Result<u64, Failure> {
        let loads = self.table.loads(key).await;
        loads.map_err(|error| Failure::new("the loads cannot be counted").because(error))
    }

    /// Kills a process in the middle of a load that the others wait for.
    async fn lose_the_loader(mut self, terms: &Terms) -> Result<Orphaned, Failure> {
        let key = terms.rounds;
        let mut loader = self
            .processes
            .pop()
            .ok_or_else(|| Failure::new("nobody loads"))?;
        let endless = Rush {
            callers: 1,
            load: Duration::from_secs(10) + terms.claim_life,
            ..self.plan(key, terms)
        };
        tell(&mut loader, endless).await?;
        while loader.hear("loading").await? != key.to_string() {}
        let (plan, died) = (self.plan(key, terms), kill_soon(loader));
        let (landed, died) = tokio::join!(self.rush(plan), died);
        let (landed, took) = (landed?, Moment::now().since(died?));
        Ok(Orphaned {
            loads: self.loads(key).await?.saturating_sub(1),
            took,
            limit: terms.claim_life + terms.load + Duration::from_secs(1),
            wrong: landed.wrong,
        })
    }
}

impl Stampedes {
    /// Each key was loaded once, and everybody got its value.
    pub(crate) fn is_sound(&self) -> bool {
        let Orphaned {
            loads,
            took,
            limit,
            wrong,
        } = self.orphaned;
        let is_replaced = loads == 1 && took <= limit;
        is_replaced && wrong + self.wrong == 0 && self.loads.iter().all(|loads| *loads == 1)
    }
}

impl fmt::Display for Stampedes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rounds = self.loads.len();
        writeln!(
            f,
            "rounds           {rounds}, a cold key each, the first as soon as all are up"
        )?;
        let (unfenced, refused) = (self.unfenced, self.refused);
        let loads: Vec<_> = self.loads.iter().map(u64::to_string).collect();
        writeln!(
            f,
            "loads            {} (unfenced: {unfenced}, not stored: {refused})",
            loads.join(" ")
        )?;
        writeln!(f, "calls            {}; {}", self.waits.len(), self.waits)?;
        writeln!(f, "wrong answers    {}", self.wrong + self.orphaned.wrong)?;
        let Orphaned {
            loads, took, limit, ..
        } = &self.orphaned;
        writeln!(
            f,
            "loader killed    all others answered {} later (limit {}), loads {loads}",
            millis(*took),
            millis(*limit)
        )
    }
}

async fn tell(process: &mut Process, rush: Rush) -> Result<(), Failure> {
    let rush = serde_json::to_string(&rush);
    process.tell(&rush.unwrap_or_default()).await
}

/// Kills the process when the others wait for it, and says when that was.
async fn kill_soon(mut process: Process) -> Result<Moment, Failure> {
    sleep(Duration::from_millis(500)).await;
    let now = Moment::now();
    process.kill().await?;
    Ok(now)
}
