use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use tiered::{Answer, BoxError, Options, Result, Source};
use tiered_examples::Failure;
use tokio::task::JoinSet;
use tokio::task::coop::consume_budget;

use crate::args::Args;
use crate::nodes::Nodes;
use crate::origin::Origin;
use crate::package::Package;
use crate::records::Records;
use crate::tally::Tally;
use crate::trace::Trace;

/// A replay: tasks take requests off the trace until it is used up, and send each to the node whose turn it is.
pub(crate) struct Drive {
    pub(crate) trace: Trace,
    pub(crate) records: Records,
    pub(crate) origin: Arc<Origin>,
    pub(crate) nodes: Nodes,
    /// How many keys a request is for.
    batch: usize,
    /// The number of the next request.
    next: AtomicUsize,
}

impl Drive {
    /// Reads or makes the input, fills the table and builds the nodes.
    pub(crate) async fn prepare(args: &Args) -> Result<Self, Failure> {
        let nodes = Nodes::build(args).await?;
        let trace = Trace::open(args)?;
        let records = Records::open(args)?;
        let origin = Arc::new(Origin::fill(&records)?);
        let (batch, next) = (args.batch.get(), AtomicUsize::new(0));
        Ok(Self {
            trace,
            records,
            origin,
            nodes,
            batch,
            next,
        })
    }

    /// Replays the trace by so many tasks, or what of it they have begun before Ctrl-C.
    pub(crate) async fn run(self: &Arc<Self>, tasks: usize) -> Result<Tally, Failure> {
        let (bar, begin) = (bar(self.trace.keys.len()), now());
        let mut work: JoinSet<_> = (0..tasks)
            .map(|_| Arc::clone(self).work(bar.clone()))
            .collect();
        let drive = Arc::clone(self);
        let end_early = tokio::spawn(async move {
            if tokio::signal::ctrl_c().await.is_ok() {
                drive.next.store(drive.trace.keys.len(), Ordering::Relaxed);
            }
        });
        let mut total = Tally::new();
        while let Some(tally) = work.join_next().await {
            total.add(&tally.map_err(|error| Failure::new("a task died").because(error))?);
        }
        end_early.abort();
        bar.finish_and_clear();
        total.took = begin.elapsed();
        Ok(total)
    }

    async fn work(self: Arc<Self>, bar: ProgressBar) -> Tally {
        let mut tally = Tally::new();
        while let Some((turn, keys)) = self.next() {
            match keys {
                [key] => self.ask(turn, *key, &mut tally).await,
                keys => self.ask_many(turn, keys, &mut tally).await,
            }
            bar_reaches(&bar, turn, self.batch);
            // A hit in L1 does not suspend: many in a row would keep the other tasks off this thread.
            consume_budget().await;
        }
        tally
    }

    /// A request of its own for the caller: its number and its keys.
    fn next(&self) -> Option<(usize, &[u32])> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        Some((turn, self.trace.keys.chunks(self.batch).nth(turn)?))
    }

    async fn ask(&self, turn: usize, key: u32, tally: &mut Tally) {
        let (origin, row) = (Arc::clone(&self.origin), self.records.row(key));
        let load = move || async move { origin.find(row).await };
        let node = self.nodes.at(turn).with(Options::default());
        let (answer, took) = timed(node.get_or_load(&key, load)).await;
        tally.reads += 1;
        self.judge(key, answer, took, tally);
    }

    async fn ask_many(self: &Arc<Self>, turn: usize, keys: &[u32], tally: &mut Tally) {
        let drive = Arc::clone(self);
        let load = move |keys: Vec<u32>| async move { drive.load_many(keys).await };
        let node = self.nodes.at(turn).with(Options::default());
        let (answers, took) = timed(node.get_many_or_load(keys, load)).await;
        tally.reads += keys.iter().collect::<HashSet<_>>().len() as u64;
        for (key, answer) in keys.iter().zip(answers) {
            self.judge(*key, answer, took, tally);
        }
    }

    async fn load_many(&self, keys: Vec<u32>) -> Result<Vec<(u32, Package)>, BoxError> {
        let rows = keys.iter().map(|key| self.records.row(*key)).collect();
        let packages = Arc::clone(&self.origin).find_many(rows).await?;
        Ok(keys.into_iter().zip(packages).collect())
    }

    /// Compares an answer with the record it should be: its name if it is a copy that was in L1, where it has been
    /// compared before, otherwise all of it.
    fn judge(&self, key: u32, answer: Result<Answer<Package>>, took: Duration, tally: &mut Tally) {
        let expected = self.records.of(key);
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return tally.add_error(&error),
        };
        let is_right = answer.value.is_some_and(|package| match answer.source {
            Source::L1 => package.name == expected.name,
            Source::L2 | Source::Loader => *package == *expected,
        });
        tally.add_answer(answer.source, took, is_right);
    }
}

async fn timed<T>(work: impl Future<Output = T>) -> (T, Duration) {
    let begin = now();
    let outcome = work.await;
    (outcome, begin.elapsed())
}

#[expect(
    clippy::disallowed_methods,
    reason = "what is measured here is the real time, from outside of the cache"
)]
fn now() -> Instant {
    Instant::now()
}

/// Not drawn where stderr is no terminal.
fn bar(keys: usize) -> ProgressBar {
    let template = "{wide_bar} {human_pos} of {human_len} keys, {rate} a second, {eta} left";
    let style = ProgressStyle::with_template(template).expect("the template is right");
    let style = style.with_key("rate", |state: &ProgressState, out: &mut dyn fmt::Write| {
        // Where it cannot be written, it is not shown.
        let _ = write!(out, "{:.0}", state.per_sec());
    });
    ProgressBar::new(keys as u64).with_style(style)
}

/// Moves the bar, but not at each request: that would cost as much as a hit in L1.
fn bar_reaches(bar: &ProgressBar, turn: usize, batch: usize) {
    if turn.is_multiple_of(128) {
        bar.set_position((turn * batch) as u64);
    }
}
