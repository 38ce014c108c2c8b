use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;
use indicatif::{DecimalBytes, HumanCount};
use tiered::{Rejection, Stats};

use crate::args::Args;
use crate::drive::Drive;
use crate::tally::Tally;

/// What a replay was worth.
pub(crate) struct Report {
    title: String,
    queries: u64,
    tally: Tally,
    /// Of each node.
    nodes: Vec<Stats>,
}

impl Report {
    pub(crate) fn new(args: &Args, drive: &Drive, tally: Tally) -> Self {
        let l2 = if args.redis.is_some() {
            "redis"
        } else {
            "embedded"
        };
        let (trace, records) = (&drive.trace, drive.records.all().len());
        let title = format!(
            "{}: {} requests for {} keys, {} records; nodes: {}, tasks: {}, L2: {l2}{}",
            trace.name,
            count(trace.keys.len() as u64),
            count(trace.distinct() as u64),
            count(records as u64),
            args.nodes,
            args.concurrency,
            batch(args.batch.get()),
        );
        Self {
            title,
            queries: drive.origin.queries(),
            tally,
            nodes: drive.nodes.stats(),
        }
    }

    /// Every answer was right, and the cache has counted what was done.
    pub(crate) fn is_sound(&self) -> bool {
        self.tally.wrong == 0 && self.tally.errors == 0 && self.contradictions().is_empty()
    }

    /// Where the counts of the caches, the table and the tasks do not agree.
    fn contradictions(&self) -> Vec<String> {
        let hits = self.sum(|node| node.l1_hits) + self.sum(|node| node.l2_hits);
        let reads = hits + self.sum(|node| node.misses) + self.sum(|node| node.coalesced);
        let claims = [
            ("reads", reads, self.tally.reads),
            (
                "misses",
                self.sum(|node| node.misses),
                self.sum(|node| node.loads),
            ),
            ("loads", self.sum(|node| node.loads), self.queries),
        ];
        let wrong = claims
            .into_iter()
            .filter(|(_, counted, real)| counted != real);
        wrong
            .map(|(what, counted, real)| format!("{counted} {what} counted, but there were {real}"))
            .collect()
    }

    fn sum(&self, of: impl Fn(&Stats) -> u64) -> u64 {
        self.nodes.iter().map(of).sum()
    }

    fn write_work(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally {
            reads,
            errors,
            wrong,
            took,
            first_error,
            ..
        } = &self.tally;
        let pace = format!(
            "in {:.2} s: {} a second",
            took.as_secs_f64(),
            rate(*reads, *took)
        );
        let first = first_error
            .as_ref()
            .map(|error| format!("the first: {error}"));
        line(f, "reads", &count(*reads), &pace)?;
        line(f, "origin queries", &count(self.queries), "")?;
        line(f, "wrong answers", &count(*wrong), "")?;
        line(f, "errors", &count(*errors), &first.unwrap_or_default())
    }

    fn write_tiers(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [l1, l2, loader] = self.tally.latencies();
        self.write_tier(f, "from L1", |node| node.l1_hits, Some(l1))?;
        self.write_tier(f, "from L2", |node| node.l2_hits, Some(l2))?;
        self.write_tier(f, "from the loader", |node| node.misses, Some(loader))?;
        self.write_tier(f, "coalesced", |node| node.coalesced, None)
    }

    fn write_tier(
        &self,
        f: &mut fmt::Formatter<'_>,
        name: &str,
        reads: fn(&Stats) -> u64,
        latencies: Option<&Histogram<u64>>,
    ) -> fmt::Result {
        let reads = self.sum(reads);
        write!(
            f,
            "{name:<17}{:>12}{:>9}",
            count(reads),
            percent(reads, self.tally.reads)
        )?;
        for quantile in [0.5, 0.99, 0.999] {
            write!(f, "{:>12}", latency(latencies, quantile))?;
        }
        writeln!(f)
    }

    fn write_stores(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let raw = self.sum(|node| node.l2_raw_bytes);
        let stored = self.sum(|node| node.l2_stored_bytes);
        let (bytes, part) = (DecimalBytes(stored), percent(stored, raw));
        let stored = format!("raw, {bytes} as stored: {part}");
        let entries: Vec<_> = self
            .nodes
            .iter()
            .map(|node| count(node.l1_entries))
            .collect();
        let refused = self.count(|node| node.loads_refused);
        line(f, "written to L2", &DecimalBytes(raw).to_string(), &stored)?;
        line(f, "loads not stored", &refused, "")?;
        line(f, "L2 failures", &self.count(|node| node.l2_errors), "")?;
        line(f, "L2 rejections", &self.count(rejections), "")?;
        line(f, "L1 entries", &entries.join(" + "), "")
    }

    fn count(&self, of: fn(&Stats) -> u64) -> String {
        count(self.sum(of))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n", self.title)?;
        self.write_work(f)?;
        writeln!(
            f,
            "\n{:>29}{:>9}{:>12}{:>12}{:>12}",
            "reads", "share", "p50", "p99", "p99.9"
        )?;
        self.write_tiers(f)?;
        writeln!(f)?;
        self.write_stores(f)?;
        self.contradictions()
            .iter()
            .try_for_each(|wrong| writeln!(f, "WRONG COUNT: {wrong}"))
    }
}

fn line(f: &mut fmt::Formatter<'_>, name: &str, value: &str, note: &str) -> fmt::Result {
    let space = if note.is_empty() { "" } else { "   " };
    writeln!(f, "{name:<17}{value:>12}{space}{note}")
}

fn batch(keys: usize) -> String {
    if keys == 1 {
        String::new()
    } else {
        format!("; latencies of whole batches of {keys}")
    }
}

fn rejections(node: &Stats) -> u64 {
    Rejection::ALL
        .iter()
        .map(|reason| node.rejected(*reason))
        .sum()
}

fn count(number: u64) -> String {
    HumanCount(number).to_string()
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate is read, not reckoned with"
)]
fn rate(number: u64, took: Duration) -> String {
    count((number as f64 / took.as_secs_f64().max(1e-6)) as u64)
}

#[expect(clippy::cast_precision_loss, reason = "a percentage has two digits")]
fn percent(part: u64, whole: u64) -> String {
    match whole {
        0 => "-".to_owned(),
        whole => format!("{:.2} %", 100.0 * part as f64 / whole as f64),
    }
}

/// In microseconds, or in milliseconds if there are many.
fn latency(latencies: Option<&Histogram<u64>>, quantile: f64) -> String {
    let Some(latencies) = latencies.filter(|latencies| !latencies.is_empty()) else {
        return "-".to_owned();
    };
    let micros = Duration::from_nanos(latencies.value_at_quantile(quantile)).as_secs_f64() * 1e6;
    if micros < 1e4 {
        format!("{micros:.1} µs")
    } else {
        format!("{:.1} ms", micros / 1e3)
    }
}
