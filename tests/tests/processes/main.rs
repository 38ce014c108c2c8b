//! The promises of nodes together, kept by real processes: shorter runs of the example `coherence`, whose code this is.
//!
//! This program starts itself again for each process, with nothing but the test [`a_process_plays_its_role`].

#[path = "../../../examples/coherence/crowd.rs"]
mod crowd;
#[path = "../../../examples/coherence/faults.rs"]
mod faults;
#[path = "../../../examples/coherence/invalidations.rs"]
mod invalidations;
#[path = "../../../examples/coherence/journal.rs"]
mod journal;
#[path = "../../../examples/coherence/keys.rs"]
mod keys;
#[path = "../../../examples/coherence/lab.rs"]
mod lab;
#[path = "../../../examples/coherence/process.rs"]
mod process;
#[path = "../../../examples/coherence/staleness.rs"]
mod staleness;
#[path = "../../../examples/coherence/stampede.rs"]
mod stampede;
#[path = "../../../examples/coherence/table.rs"]
mod table;
#[path = "../../../examples/coherence/traffic.rs"]
mod traffic;
#[path = "../../../examples/coherence/verdict.rs"]
mod verdict;

use std::time::Duration;

use tiered_examples::{Address, Failure};
use tiered_tests::RedisServer;
use tokio::process::Command;

use crate::lab::Lab;
use crate::process::Parent;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_process_reads_what_is_staler_than_the_bound() -> Result<(), String> {
    let server = RedisServer::start().await;
    let terms = staleness::Terms {
        lasts: Duration::from_secs(6),
        bound: Duration::from_millis(500),
        blind_trust: Duration::ZERO,
        frozen_for: Duration::from_millis(1_500),
        away: Duration::from_millis(800),
        pause: Duration::from_millis(300),
        reads: 2_000,
        writes: 50,
        seed: 42,
    };
    let verdict = staleness::run(&lab(&server)?, &terms).await;
    let verdict = verdict.map_err(|failure| failure.to_string())?;
    assert!(!verdict.thawed.is_empty(), "nobody was frozen:\n{verdict}");
    assert!(verdict.is_sound(), "{verdict}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stampede_of_processes_is_one_load_even_if_the_loader_is_killed() -> Result<(), String> {
    let server = RedisServer::start().await;
    let terms = stampede::Terms {
        processes: 3,
        callers: 200,
        rounds: 3,
        load: Duration::from_millis(50),
        claim_life: Duration::from_secs(1),
    };
    let stampedes = stampede::run(&lab(&server)?, &terms).await;
    let stampedes = stampedes.map_err(|failure| failure.to_string())?;
    assert!(stampedes.is_sound(), "{stampedes}");
    Ok(())
}

/// Without a role there is nothing to play: the other tests start it with one, as a process of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_plays_its_role() {
    if let Some(role) = process::role() {
        Parent::end(play(&role).await);
    }
}

async fn play(role: &str) -> Result<(), Failure> {
    let mut parent = Parent::attach();
    match role {
        traffic::TRAFFIC => traffic::play(&mut parent).await,
        crowd::CROWD => crowd::play(&mut parent).await,
        role => Err(Failure::new(format!("there is no role {role:?}"))),
    }
}

fn lab(server: &RedisServer) -> Result<Lab, String> {
    let lab = Address::parse(&server.url()).and_then(|redis| Lab::new(redis, again));
    lab.map_err(|failure| failure.to_string())
}

fn again() -> Command {
    let file = std::env::current_exe().expect("a test knows its file");
    let mut command = Command::new(file);
    command.args(["a_process_plays_its_role", "--exact", "--nocapture"]);
    command
}
