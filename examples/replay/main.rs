//! Drives the cache with a trace of keys, in front of a real table in `SQLite`, and reports what it was worth.
//!
//! ```text
//! cargo run --release --example replay
//! cargo run --release --example replay -- --trace web12.trace.xz --records packages.jsonl.zst \
//!     --nodes 2 --redis redis://127.0.0.1:6379
//! ```
//!
//! `trace` and `records` are the input, `origin` the table, `nodes` the caches. `drive` sends each key of the trace to
//! a node and checks the answer; each of its tasks keeps a `tally`, from whose sum `report` makes the table at the end.

mod args;
mod drive;
mod nodes;
mod origin;
mod package;
mod records;
mod report;
mod tally;
mod trace;

use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use tiered_examples::Failure;

use crate::args::Args;
use crate::drive::Drive;
use crate::report::Report;

#[tokio::main]
async fn main() -> ExitCode {
    match replay(&Args::parse()).await {
        Ok(report) => {
            print!("{report}");
            if report.is_sound() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(failure) => {
            eprint!("replay: {failure}");
            ExitCode::FAILURE
        }
    }
}

async fn replay(args: &Args) -> Result<Report, Failure> {
    let drive = Arc::new(Drive::prepare(args).await?);
    let tally = drive.run(args.concurrency.get()).await?;
    let report = Report::new(args, &drive, tally);
    drive.nodes.shutdown().await;
    Ok(report)
}
