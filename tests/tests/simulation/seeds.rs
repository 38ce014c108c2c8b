//! Which seeds are run, and what is told of them.

use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use crate::journal::Counts;
use crate::simulation::{Outcome, Simulation};

const SEEDS: u64 = 2_000;

/// More than a few say no more.
const MOST_FAILURES: usize = 5;

#[test]
fn the_promises_hold_whatever_goes_wrong() {
    if let Some(seed) = number("TIERED_SIMULATION_SEED") {
        return show(seed);
    }
    let tally = Tally::default();
    let (first, seeds) = (
        number("TIERED_SIMULATION_FIRST").unwrap_or(0),
        number("TIERED_SIMULATION_SEEDS").unwrap_or(SEEDS),
    );
    let next = AtomicU64::new(first);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + seeds || tally.is_full() {
                        return;
                    }
                    tally.note(seed, run(seed, false));
                }
            });
        }
    });
    tally.print();
    let failures = tally.0.into_inner().unwrap().failures;
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn a_seed_replays() {
    for seed in 0..36 {
        let (first, second) = (run(seed, true), run(seed, true));
        assert!(first.trace.len() > 100);
        assert!(first.trace == second.trace, "seed {seed} does not replay");
    }
}

/// Runs a seed. A panic outside the loaders is a violation as well.
fn run(seed: u64, is_traced: bool) -> Outcome {
    let run = AssertUnwindSafe(|| Simulation::run(seed, is_traced));
    catch_unwind(run).unwrap_or_else(|_| panic!("seed {seed} panics"))
}

fn show(seed: u64) {
    let outcome = run(seed, true);
    for line in &outcome.trace {
        println!("{line}");
    }
    println!("{:#?}", outcome.counts);
    assert!(outcome.violation.is_none(), "{}", failure(seed, &outcome));
}

fn failure(seed: u64, outcome: &Outcome) -> String {
    format!(
        "seed {seed} ({}), step {}: {}\n    replay: TIERED_SIMULATION_SEED={seed} cargo test -p tiered-tests --test simulation the_promises -- --nocapture",
        outcome.profile,
        outcome.steps,
        outcome.violation.as_deref().unwrap_or("nothing"),
    )
}

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok()?.parse().ok()
}

/// What all seeds together have done.
#[derive(Default)]
struct Tally(Mutex<Sums>);

#[derive(Default)]
struct Sums {
    seeds: u64,
    steps: u64,
    counts: Counts,
    failures: Vec<String>,
}

impl Tally {
    fn note(&self, seed: u64, outcome: Outcome) {
        let mut sums = self.0.lock().unwrap();
        sums.seeds += 1;
        sums.steps += outcome.steps as u64;
        if outcome.violation.is_some() {
            sums.failures.push(failure(seed, &outcome));
        }
        for (what, count) in outcome.counts {
            *sums.counts.entry(what).or_default() += count;
        }
    }

    fn is_full(&self) -> bool {
        self.0.lock().unwrap().failures.len() >= MOST_FAILURES
    }

    fn print(&self) {
        let sums = self.0.lock().unwrap();
        println!("{} seeds, {} steps", sums.seeds, sums.steps);
        for (what, count) in &sums.counts {
            println!("{count:>10} {what}");
        }
    }
}
