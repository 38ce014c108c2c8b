//! The matrix as a table in Markdown.

use std::fmt;
use std::time::Duration;

use crate::tally::Phase;
use crate::trial::Outcome;

/// All rows of a run.
pub(crate) struct Report(pub(crate) Vec<Outcome>);

impl Report {
    pub(crate) fn is_sound(&self) -> bool {
        self.0.iter().all(|outcome| outcome.complaints().is_empty())
    }
}

impl fmt::Display for Outcome {
    /// A line of the table.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tally = &self.world.tally;
        let lasted = self.lasted.as_secs_f64();
        write!(f, "| {} | {lasted:.1} | {} |", self.fault, tally.requests())?;
        write!(f, " {} |", tally.sum(|span| &span.failed))?;
        write!(f, " {} |", tally.sum(|span| &span.stale))?;
        let phases = [Phase::Before, Phase::During, Phase::After];
        let spans = || phases.into_iter().filter_map(|phase| tally.span(phase));
        spans().try_for_each(|span| write!(f, " {} |", span.latencies))?;
        let (l2, backplane) = tally.health();
        write!(f, " {l2:?} / {backplane:?} |")?;
        write!(f, " {} |", instant(self.recovery.used))?;
        write!(f, " {} |", instant(self.recovery.settled))?;
        let loads: Vec<_> = spans().map(|span| span.load_rate().to_string()).collect();
        write!(f, " {} | {:.1} |", loads.join(" / "), mebi(self.grown))?;
        match self.complaints().as_slice() {
            [] => write!(f, " kept |"),
            broken => write!(f, " **BROKEN**: {} |", broken.join("<br>")),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEAD}")?;
        self.0
            .iter()
            .try_for_each(|outcome| writeln!(f, "{outcome}"))?;
        writeln!(f, "\n{LEGEND}")
    }
}

const HEAD: &str = "\
| fault | s | requests | failed | stale | before | during | after | health | L2 again | settled | loads a second | MiB | promises |
| --- | --: | --: | --: | --: | --- | --- | --- | --- | --: | --: | --: | --: | --- |";

const LEGEND: &str = "\
- *s*: how long the fault lasted, in seconds. *requests*: of all readers, before, during and after it.
- *failed*: answered with an error. *stale*: answered with a value that was no longer fresh, and marked so.
- *before*, *during*, *after*: the latency of `get_or_load` in milliseconds, p50 / p99 / max, by when it began.
- *health*: the worst that a node told during the fault, of L2 and of the backplane.
- *L2 again*: from the end of the fault until L2 had answered a read on each node. *settled*: until no invalidation was left
  that L2 had not taken, and no node called L2 or the backplane down.
- *loads a second*: calls of the loader, before, during and after. *MiB*: how much larger the process became than it was before the fault.
- *promises*: no request failed; no node answered with a value that it had invalidated itself, nor as fresh with one that
  another node had, once that was confirmed and the bound and the blind trust were over, nor, once all had settled and the
  bound was over, with any that had been invalidated before; none was used beyond its end; all settled within 15 s; where a clock was off, nothing expired early; when the
  caches were dropped, no task and no connection was left.";

fn instant(waited: Option<Duration>) -> String {
    waited.map_or_else(
        || "never".to_owned(),
        |waited| format!("{:.2} s", waited.as_secs_f64()),
    )
}

#[expect(clippy::cast_precision_loss, reason = "it is shown with one digit")]
fn mebi(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
