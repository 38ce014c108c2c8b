//! Shows what users of the cache notice when Redis fails, in every way that it can.
//!
//! ```text
//! cargo run --release -p tiered-examples --example chaos
//! cargo run --release -p tiered-examples --example chaos -- matrix --seconds 5 --only killed,half-open
//! ```
//!
//! A `trial` is a row of the matrix: it prepares a `ground`, that is a server and a proxy before it, lets `traffic` run on
//! two nodes, and has one of the `faults` happen. Readers hold each answer against the `ledger`, which knows what the source
//! holds and what was invalidated; what they see goes into a `tally`.
//!
//! `killed`, `frozen`, `outage`, `back` and `hung` each measure one thing, against its `targets`.

mod args;
mod back;
mod breach;
mod complaints;
mod faults;
mod frozen;
mod garbage;
mod ground;
mod growth;
mod hung;
mod keys;
mod killed;
mod latencies;
mod ledger;
mod leftovers;
mod outage;
mod pair;
mod recovery;
mod report;
mod skew;
mod tally;
mod targets;
mod traffic;
mod trial;

use std::future::pending;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use tiered_examples::Failure;
use tokio::signal::ctrl_c;
use tokio::signal::unix::{SignalKind, signal};

use crate::args::{Args, Command, Matrix};
use crate::faults::Fault;
use crate::report::Report;

#[tokio::main]
async fn main() -> ExitCode {
    let shown = tokio::select! {
        shown = show(Args::parse()) => shown,
        // What has been started ends with what is dropped here.
        () = interrupted() => Err(Failure::new("interrupted")),
    };
    match shown {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprint!("chaos: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Waits until somebody wants this to end.
async fn interrupted() {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return pending().await;
    };
    tokio::select! {
        _ = ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

/// Does what is asked for, and says whether every promise was kept.
async fn show(args: Args) -> Result<bool, Failure> {
    let workers = args.workers();
    let all = || Command::all().map_err(|error| Failure::new("no commands").because(error));
    let mut is_sound = true;
    for command in args.command.map_or_else(all, |command| Ok(vec![command]))? {
        is_sound &= run(&command, workers).await?;
    }
    Ok(is_sound)
}

async fn run(command: &Command, workers: usize) -> Result<bool, Failure> {
    let (name, targets) = match command {
        Command::Matrix(asked) => {
            let report = matrix(asked, workers).await?;
            println!("\n## matrix\n\n{report}");
            return Ok(report.is_sound());
        }
        Command::Killed => ("killed", killed::run(workers).await?),
        Command::Frozen => ("frozen", frozen::run(workers).await?),
        Command::Outage(asked) => ("outage", outage::run(asked.lasts()).await?),
        Command::Back => ("back", back::run().await?),
        Command::Hung => ("hung", hung::run(workers).await?),
    };
    println!("\n## {name}\n\n{targets}");
    Ok(targets.is_sound())
}

async fn matrix(asked: &Matrix, workers: usize) -> Result<Report, Failure> {
    let all = Fault::value_variants();
    let is_asked = |fault: &&Fault| asked.only.is_empty() || asked.only.contains(fault);
    let mut outcomes = Vec::new();
    for fault in all.iter().filter(is_asked) {
        let outcome = trial::run(*fault, asked.lengths(), workers).await?;
        // The table follows when all is over; so long this shows how far it is.
        eprintln!("{outcome}");
        outcomes.push(outcome);
    }
    Ok(Report(outcomes))
}
