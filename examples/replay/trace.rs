use std::collections::HashSet;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use liblzma::read::XzDecoder;
use tiered_examples::Failure;

use crate::args::Args;

/// The keys that are asked for, in their order.
pub(crate) struct Trace {
    pub(crate) name: String,
    pub(crate) keys: Vec<u32>,
}

impl Trace {
    /// The file's keys, or made-up ones; no more than the limit.
    pub(crate) fn open(args: &Args) -> Result<Self, Failure> {
        let limit = args.limit.map_or(usize::MAX, usize::from);
        match &args.trace {
            Some(path) => Self::read(path, limit),
            None => Ok(Self::make_up(limit.min(REQUESTS), args.seed)),
        }
    }

    /// How many keys it has, each counted once.
    pub(crate) fn distinct(&self) -> usize {
        self.keys.iter().collect::<HashSet<_>>().len()
    }

    fn make_up(requests: usize, seed: u64) -> Self {
        let (zipf, mut rng) = (Zipf::new(KEYS, SKEW), fastrand::Rng::with_seed(seed));
        let keys = (0..requests).map(|_| zipf.draw(&mut rng)).collect();
        Self {
            name: format!("zipf {SKEW}"),
            keys,
        }
    }

    fn read(path: &Path, limit: usize) -> Result<Self, Failure> {
        let name = path.display();
        let file = File::open(path)
            .map_err(|error| Failure::new(format!("cannot open {name}")).because(error))?;
        let most = (limit as u64).saturating_mul(KEY_BYTES as u64);
        let mut bytes = Vec::new();
        XzDecoder::new_multi_decoder(BufReader::new(file))
            .take(most)
            .read_to_end(&mut bytes)
            .map_err(|error| Failure::new(format!("cannot read {name} as xz")).because(error))?;
        let (keys, rest) = bytes.as_chunks::<KEY_BYTES>();
        if !rest.is_empty() || keys.is_empty() {
            let length = bytes.len();
            return Err(Failure::new(format!(
                "{name} is no trace: {length} bytes are no sequence of 4-byte keys"
            )));
        }
        let keys = keys.iter().map(|key| u32::from_be_bytes(*key)).collect();
        Ok(Self {
            name: path.file_name().unwrap_or_default().display().to_string(),
            keys,
        })
    }
}

const KEY_BYTES: usize = size_of::<u32>();

/// What a made-up trace is like.
const REQUESTS: usize = 500_000;
const KEYS: u32 = 50_000;
const SKEW: f64 = 0.9;

/// Zipf's law: of the keys 0, 1, 2, … the n-th is asked for in proportion to 1 / n^skew.
struct Zipf {
    /// For each key the sum of the proportions up to its own.
    sums: Vec<f64>,
}

impl Zipf {
    fn new(keys: u32, skew: f64) -> Self {
        let proportions = (1..=keys).map(|rank| f64::from(rank).powf(-skew));
        let sums = proportions.scan(0.0, |sum, proportion| {
            *sum += proportion;
            Some(*sum)
        });
        Self {
            sums: sums.collect(),
        }
    }

    /// The key in whose part of the whole a random point falls.
    fn draw(&self, rng: &mut fastrand::Rng) -> u32 {
        let whole = self.sums.last().expect("there are keys");
        let point = rng.f64() * whole;
        let key = self.sums.partition_point(|sum| *sum <= point);
        u32::try_from(key).expect("a key is below their number")
    }
}
