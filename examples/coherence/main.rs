//! Shows with real processes and a real Redis what the cache promises of its nodes together: how stale a read can be
//! while connections break and processes freeze, that a stampede is one load, how fast an invalidation arrives, and what
//! it costs to have been cut off.
//!
//! ```text
//! cargo run --release -p tiered-examples --example coherence
//! cargo run --release -p tiered-examples --example coherence -- staleness --seconds 300 --bound 500
//! ```
//!
//! The program starts itself again for each process it needs; `process` is how they talk, `traffic`, `crowd` and two in
//! `latency` are the roles they play. `lab` is what they have in common. Of `staleness`, the processes keep `journal`s,
//! from which `verdict` tells afterwards what each read should have known; `faults` is what is done to them meanwhile,
//! some of it by `proxy`.

mod args;
mod crowd;
mod cut;
mod faults;
mod fill;
mod invalidations;
mod journal;
mod keys;
mod lab;
mod latency;
mod process;
mod staleness;
mod stampede;
mod table;
mod traffic;
mod verdict;

use std::fmt::Display;
use std::process::ExitCode;

use clap::Parser;
use tiered_examples::{Address, Failure, Server};
use tokio::process::Command as Program;

use crate::args::{Args, Command};
use crate::lab::Lab;
use crate::process::Parent;

#[tokio::main]
async fn main() -> ExitCode {
    if let Some(role) = process::role() {
        Parent::end(play(&role).await);
        return ExitCode::SUCCESS;
    }
    match show(Args::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprint!("coherence: {failure}");
            ExitCode::FAILURE
        }
    }
}

async fn play(role: &str) -> Result<(), Failure> {
    let mut parent = Parent::attach();
    match role {
        traffic::TRAFFIC => traffic::play(&mut parent).await,
        crowd::CROWD => crowd::play(&mut parent).await,
        latency::HOLDER => latency::hold(&mut parent).await,
        latency::REMOVER => latency::remove(&mut parent).await,
        role => Err(Failure::new(format!("there is no role {role:?}"))),
    }
}

/// Does what is asked for, and says whether every promise was kept.
async fn show(args: Args) -> Result<bool, Failure> {
    let server = match args.redis {
        Some(_) => None,
        None => Some(Server::start().await?),
    };
    let own = server.as_ref().map(Server::url);
    let redis = Address::parse(&args.redis.or(own).unwrap_or_default())?;
    let lab = Lab::new(redis, again)?;
    let all = || Command::all().map_err(|error| Failure::new("no commands").because(error));
    let mut is_sound = true;
    for command in args.command.map_or_else(all, |command| Ok(vec![command]))? {
        is_sound &= run(&lab, &command).await?;
    }
    Ok(is_sound)
}

async fn run(lab: &Lab, command: &Command) -> Result<bool, Failure> {
    Ok(match command {
        Command::Staleness(asked) => {
            let verdict = staleness::run(lab, &asked.terms()).await?;
            report("staleness", &verdict, verdict.is_sound())
        }
        Command::Stampede(asked) => {
            let stampedes = stampede::run(lab, &asked.terms()).await?;
            report("stampede", &stampedes, stampedes.is_sound())
        }
        Command::Latency(asked) => {
            let latencies = latency::run(lab, asked.rate, asked.seconds).await?;
            report("latency", &latencies, latencies.is_sound())
        }
        Command::Cut(asked) => {
            let recovery = cut::run(lab, asked.keys, asked.away()).await?;
            report("cut", &recovery, recovery.is_sound())
        }
    })
}

fn report(name: &str, outcome: &impl Display, is_sound: bool) -> bool {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let verdict = if is_sound { "kept" } else { "BROKEN" };
    println!(
        "{name}: {verdict}   ($ coherence {})\n{outcome}",
        arguments.join(" ")
    );
    is_sound
}

/// This program once more.
fn again() -> Program {
    // Where its file cannot be told, the shell's name for it has to do.
    let file = std::env::current_exe();
    Program::new(file.unwrap_or_else(|_| "coherence".into()))
}
