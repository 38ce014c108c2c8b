use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::{staleness, stampede};

/// Shows with real processes and a real Redis what the cache promises of its nodes together.
///
/// Without a command, all four follow each other. The exit code is 0 if every promise was kept.
#[derive(Debug, Parser)]
#[command(name = "coherence", max_term_width = 100)]
pub(crate) struct Args {
    /// The Redis, as redis://user:password@host:port/database. All its clients are cut off now and then. Default: a
    /// redis-server that is started for this.
    #[arg(long, value_name = "URL", global = true)]
    pub(crate) redis: Option<String>,

    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Command {
    /// Four processes read and change a table while connections break and one of them freezes: no read is staler than
    /// the bound.
    Staleness(Staleness),
    /// Many callers in many processes ask for one cold key: it is loaded once, even if the loading process is killed.
    Stampede(Stampede),
    /// How long after an invalidation another process still has its copy.
    Latency(Latency),
    /// What it costs a process with a full L1 to lose the connection over which it hears of changes.
    Cut(Cut),
}

#[derive(Clone, Debug, Parser)]
pub(crate) struct Staleness {
    /// How long it lasts.
    #[arg(long, value_name = "N", default_value = "60", value_parser = clap::value_parser!(u32).range(5..=3_600))]
    seconds: u32,

    /// The bound of staleness.
    #[arg(long, value_name = "MILLIS", default_value = "1000")]
    bound: u32,

    /// For how much longer a process that cannot reach Redis trusts its copies: that adds to the bound.
    #[arg(long, value_name = "MILLIS", default_value = "0")]
    blind_trust: u32,

    /// How often a second each process reads.
    #[arg(long, value_name = "N", default_value = "4000", value_parser = clap::value_parser!(u32).range(8..=1_000_000))]
    reads: u32,

    /// How often a second each writer writes.
    #[arg(long, value_name = "N", default_value = "50", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    writes: u32,

    /// What the choice of keys and faults is made from.
    #[arg(long, value_name = "N", default_value = "42")]
    seed: u64,
}

#[derive(Clone, Debug, Parser)]
pub(crate) struct Stampede {
    /// How many processes.
    #[arg(long, value_name = "N", default_value = "8", value_parser = clap::value_parser!(u8).range(2..=64))]
    processes: u8,

    /// How many callers in each process.
    #[arg(long, value_name = "N", default_value = "1000")]
    callers: usize,

    /// How many keys, one after the other.
    #[arg(long, value_name = "N", default_value = "20")]
    rounds: u32,

    /// How long the right to fill a key outlives its holder.
    #[arg(long, value_name = "MILLIS", default_value = "3000")]
    claim_life: u32,
}

#[derive(Clone, Debug, Parser)]
pub(crate) struct Latency {
    /// How many invalidations a second.
    #[arg(long, value_name = "N", default_value = "5000", value_parser = clap::value_parser!(u32).range(1..=50_000))]
    pub(crate) rate: u32,

    /// How long it lasts.
    #[arg(long, value_name = "N", default_value = "10", value_parser = clap::value_parser!(u32).range(1..=60))]
    pub(crate) seconds: u32,
}

#[derive(Clone, Debug, Parser)]
pub(crate) struct Cut {
    /// How many keys are in L1.
    #[arg(long, value_name = "N", default_value = "100000", value_parser = clap::value_parser!(u32).range(1..=200_000))]
    pub(crate) keys: u32,

    /// For how long the connection cannot be had.
    #[arg(long, value_name = "MILLIS", default_value = "2000")]
    away: u32,
}

impl Command {
    /// All, as they are without arguments.
    pub(crate) fn all() -> Result<Vec<Self>, clap::Error> {
        let names = ["staleness", "stampede", "latency", "cut"];
        let parse = |name| Ok(Args::try_parse_from(["coherence", name])?.command);
        let commands: Result<Vec<_>, clap::Error> = names.into_iter().map(parse).collect();
        Ok(commands?.into_iter().flatten().collect())
    }
}

impl Staleness {
    pub(crate) fn terms(&self) -> staleness::Terms {
        staleness::Terms {
            lasts: Duration::from_secs(self.seconds.into()),
            bound: millis(self.bound),
            blind_trust: millis(self.blind_trust),
            frozen_for: Duration::from_secs(5).min(Duration::from_secs(self.seconds.into()) / 3),
            away: Duration::from_secs(3).min(Duration::from_secs(self.seconds.into()) / 5),
            pause: Duration::from_secs(1),
            reads: self.reads,
            writes: self.writes,
            seed: self.seed,
        }
    }
}

impl Stampede {
    pub(crate) fn terms(&self) -> stampede::Terms {
        stampede::Terms {
            processes: self.processes.into(),
            callers: self.callers,
            rounds: self.rounds,
            load: Duration::from_millis(50),
            claim_life: millis(self.claim_life),
        }
    }
}

impl Cut {
    pub(crate) fn away(&self) -> Duration {
        millis(self.away)
    }
}

fn millis(number: u32) -> Duration {
    Duration::from_millis(number.into())
}
