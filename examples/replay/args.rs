use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use tiered::Compression;

/// Replays a trace of keys through a two-tier cache in front of a database table.
///
/// Each key stands for a record of the table; a read that no tier can answer is a query. Every answer is compared
/// with the record it should be. The exit code is 0 if all were right and the cache's own counts add up.
#[derive(Debug, Parser)]
#[command(name = "replay", max_term_width = 100)]
pub(crate) struct Args {
    /// The trace: big-endian u32 keys, xz-compressed. Without it: 500,000 requests for 50,000 keys, by Zipf's law.
    #[arg(long, value_name = "FILE.xz")]
    pub(crate) trace: Option<PathBuf>,

    /// The records of the table: Debian packages, a JSON object a line, zstd-compressed. Without it: 10,000 made up.
    #[arg(long, value_name = "FILE.jsonl.zst")]
    pub(crate) records: Option<PathBuf>,

    /// Stop after so many requests. Default: the whole trace.
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<NonZeroUsize>,

    /// How many nodes take turns: caches with an L1 each, that share the L2.
    #[arg(long, value_name = "N", default_value = "1")]
    pub(crate) nodes: NonZeroUsize,

    /// How many tasks send requests, each one at a time.
    #[arg(long, value_name = "N", default_value = "64")]
    pub(crate) concurrency: NonZeroUsize,

    /// How many keys a request asks for; from 2 on by `get_many_or_load`.
    #[arg(long, value_name = "N", default_value = "1")]
    pub(crate) batch: NonZeroUsize,

    /// The Redis that is the L2, as redis://user:password@host:port/database. Default: a store in this process.
    #[arg(long, value_name = "URL")]
    pub(crate) redis: Option<String>,

    /// The name under which the records are in L2: one used before finds what is still there, and must be of the same
    /// records. Default: a new one. Redis forgets them by itself when --ttl is over.
    #[arg(long, value_name = "NAME")]
    pub(crate) namespace: Option<String>,

    /// How many entries fit into the L1 of a node; 0 for no L1.
    #[arg(long, value_name = "N", default_value = "10000")]
    pub(crate) l1_entries: u64,

    /// How long a record is fresh, in seconds.
    #[arg(long, value_name = "SECONDS", default_value = "300", value_parser = seconds)]
    pub(crate) ttl: Duration,

    /// With what records are compressed in L2.
    #[arg(long, value_name = "METHOD", default_value = "zstd")]
    pub(crate) compression: Method,

    /// What the trace and the records that are made up are made from.
    #[arg(long, value_name = "N", default_value = "42")]
    pub(crate) seed: u64,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Method {
    /// Not at all.
    None,
    /// LZ4 blocks.
    Lz4,
    /// Zstandard, level 3.
    Zstd,
}

impl From<Method> for Compression {
    fn from(method: Method) -> Self {
        match method {
            Method::None => Self::None,
            Method::Lz4 => Self::Lz4,
            Method::Zstd => Self::Zstd { level: 3 },
        }
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text
        .parse()
        .map_err(|_| "not a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}
