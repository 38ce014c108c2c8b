//! Two sides that take turns in short rounds, so that what else the machine does meets both.

use std::thread;
use std::time::{Duration, Instant};

const ROUNDS: usize = 31;

/// Names the columns.
pub fn heading(base: &str, ours: &str) {
    println!("{:<44}{base:>10}{ours:>10}   ratio (quartiles)", "");
}

/// Lets both take turns, and prints the medians of their times and of the ratios. Each answers with the time of one
/// operation, in nanoseconds.
pub fn compare(what: &str, mut baseline: impl FnMut() -> f64, mut ours: impl FnMut() -> f64) {
    baseline();
    ours();
    let rounds: Vec<_> = (0..ROUNDS).map(|_| (baseline(), ours())).collect();
    report(what, &rounds);
}

/// Prints the medians of what both took in these rounds, in nanoseconds, and of the ratios, with their quartiles.
pub fn report(what: &str, rounds: &[(f64, f64)]) {
    let [_, base, _] = quartiles(rounds.iter().map(|(base, _)| *base));
    let [_, mine, _] = quartiles(rounds.iter().map(|(_, mine)| *mine));
    let [low, ratio, high] = quartiles(rounds.iter().map(|(base, mine)| mine / base));
    let (base, mine) = (told(base), told(mine));
    println!("{what:<44}{base:>10}{mine:>10}   {ratio:.2}  ({low:.2} to {high:.2})");
}

/// How long this takes, in nanoseconds.
#[expect(
    clippy::disallowed_methods,
    reason = "a bench measures with the full clock"
)]
pub async fn timed(work: impl Future<Output = ()>) -> f64 {
    let begin = Instant::now();
    work.await;
    over(1, begin.elapsed())
}

fn quartiles(numbers: impl Iterator<Item = f64>) -> [f64; 3] {
    let mut numbers: Vec<_> = numbers.collect();
    numbers.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| {
        numbers
            .get(numbers.len() * quarter / 4)
            .copied()
            .unwrap_or_default()
    })
}

fn told(nanos: f64) -> String {
    if nanos < 1_000.0 {
        format!("{nanos:.0} ns")
    } else {
        format!("{:.2} µs", nanos / 1_000.0)
    }
}

/// How long one of so many hits takes, where each thread does as many.
///
/// # Panics
/// If the work does.
pub fn on_threads(threads: usize, hits: usize, work: impl Fn() + Sync) -> f64 {
    let times = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| scope.spawn(|| measure(&work)))
            .collect();
        let times = workers
            .into_iter()
            .map(|worker| worker.join().expect("no hit panics"));
        times.collect::<Vec<_>>()
    });
    let mean = times.iter().sum::<Duration>() / u32::try_from(threads).unwrap_or(1);
    over(hits as u64, mean)
}

/// How long this takes.
#[expect(
    clippy::disallowed_methods,
    reason = "a bench measures with the full clock"
)]
pub fn measure(work: impl FnOnce()) -> Duration {
    let begin = Instant::now();
    work();
    begin.elapsed()
}

/// How long each of so many operations took, in nanoseconds.
#[expect(
    clippy::cast_precision_loss,
    reason = "a bench does not do so many operations"
)]
pub fn over(operations: u64, took: Duration) -> f64 {
    took.as_nanos() as f64 / operations as f64
}
