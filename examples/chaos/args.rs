use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::faults::{Fault, Lengths};

/// Shows what users of the cache notice when Redis fails: with a redis-server that it starts, kills, freezes, fills and cuts
/// off.
///
/// Without a command, all follow each other. The exit code is 0 if every promise was kept.
#[derive(Debug, Parser)]
#[command(name = "chaos", max_term_width = 100)]
pub(crate) struct Args {
    /// How many tasks read at a time.
    #[arg(long, value_name = "N", default_value = "100", value_parser = clap::value_parser!(u16).range(1..=10_000), global = true)]
    workers: u16,

    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Command {
    /// The matrix: one fault after the other, while two nodes are used.
    Matrix(Matrix),
    /// What a read costs that L1 cannot answer, when Redis is killed.
    Killed,
    /// What it costs when Redis is there and does not answer.
    Frozen,
    /// What the source has to bear while Redis is away.
    Outage(Outage),
    /// How soon Redis is used again once it is back.
    Back,
    /// Loaders that never return.
    Hung,
}

#[derive(Clone, Debug, Parser)]
pub(crate) struct Matrix {
    /// How long a fault lasts.
    #[arg(long, value_name = "N", default_value = "10", value_parser = clap::value_parser!(u32).range(1..=600))]
    seconds: u32,

    /// How long the server is stopped where that is to be long.
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = clap::value_parser!(u32).range(1..=600))]
    frozen_for: u32,

    /// These faults alone.
    #[arg(long, value_name = "FAULT", value_delimiter = ',')]
    pub(crate) only: Vec<Fault>,
}

#[derive(Clone, Debug, Parser)]
pub(crate) struct Outage {
    /// How long it lasts.
    #[arg(long, value_name = "N", default_value = "30", value_parser = clap::value_parser!(u32).range(1..=600))]
    seconds: u32,
}

impl Args {
    pub(crate) fn workers(&self) -> usize {
        self.workers.into()
    }
}

impl Command {
    /// All, as they are without arguments.
    pub(crate) fn all() -> Result<Vec<Self>, clap::Error> {
        let parse = |name| Ok(Args::try_parse_from(["chaos", name])?.command);
        let names = ["matrix", "killed", "frozen", "outage", "back", "hung"];
        let commands: Result<Vec<_>, clap::Error> = names.into_iter().map(parse).collect();
        Ok(commands?.into_iter().flatten().collect())
    }
}

impl Outage {
    pub(crate) fn lasts(&self) -> Duration {
        Duration::from_secs(self.seconds.into())
    }
}

impl Matrix {
    pub(crate) fn lengths(&self) -> Lengths {
        Lengths {
            usual: Duration::from_secs(self.seconds.into()),
            frozen: Duration::from_secs(self.frozen_for.into()),
        }
    }
}
