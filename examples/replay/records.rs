use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use tiered_examples::Failure;

use crate::args::Args;
use crate::package::Package;

/// All records, by the number of their row, and which of them a key of the trace stands for.
pub(crate) struct Records(Vec<Package>);

/// How many records are made up.
const MADE_UP: usize = 10_000;

impl Records {
    /// The file's records, or made-up ones.
    pub(crate) fn open(args: &Args) -> Result<Self, Failure> {
        match &args.records {
            Some(path) => Self::read(path),
            None => Ok(Self::make_up(args.seed)),
        }
    }

    pub(crate) fn all(&self) -> &[Package] {
        &self.0
    }

    /// The record that a key stands for.
    pub(crate) fn of(&self, key: u32) -> &Package {
        self.0
            .get(self.row(key))
            .expect("`row` is below the number of records")
    }

    /// The row of the record that a key stands for. There may be more keys than records, and then several stand for
    /// the same one; mixed, so that neighbouring keys are not neighbouring rows.
    pub(crate) fn row(&self, key: u32) -> usize {
        let mixed = (u64::from(key) + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        usize::try_from(mixed % self.0.len() as u64).expect("a row is below the number of records")
    }

    fn make_up(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        Self(
            (0..MADE_UP)
                .map(|number| Package::made_up(number, &mut rng))
                .collect(),
        )
    }

    fn read(path: &Path) -> Result<Self, Failure> {
        let name = path.display();
        let file = File::open(path)
            .map_err(|error| Failure::new(format!("cannot open {name}")).because(error))?;
        let unreadable = |error| Failure::new(format!("cannot read {name} as zstd")).because(error);
        let lines = BufReader::new(zstd::Decoder::new(file).map_err(unreadable)?).lines();
        let records = lines.enumerate().map(|(index, line)| {
            let line = line.map_err(unreadable)?;
            let wrong = |error| {
                Failure::new(format!("{name}, line {}: not a record", index + 1)).because(error)
            };
            serde_json::from_str(&line).map_err(wrong)
        });
        let records: Vec<_> = records.collect::<Result<_, Failure>>()?;
        if records.is_empty() {
            return Err(Failure::new(format!("{name} holds no records")));
        }
        Ok(Self(records))
    }
}
