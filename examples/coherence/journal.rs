use std::fs;
use std::path::Path;

use tiered::Source;
use tiered_examples::{Failure, Moment};

/// What a process has seen or done, to be laid beside what others have: moments of keys in the order of their noting.
#[derive(Default)]
pub(crate) struct Journal {
    pub(crate) notes: Vec<Note>,
}

#[derive(Clone, Copy)]
pub(crate) struct Note {
    pub(crate) at: Moment,
    pub(crate) key: u32,
    /// Of the key's row.
    pub(crate) version: u32,
    /// Of a read: by whom it was answered.
    pub(crate) source: Option<Source>,
    /// Of a read: how long it took, in microseconds.
    pub(crate) took: u32,
}

impl Journal {
    pub(crate) fn note(&mut self, at: Moment, key: u32, version: u32) {
        self.notes.push(Note {
            at,
            key,
            version,
            source: None,
            took: 0,
        });
    }

    pub(crate) fn save(&self, file: &Path) -> Result<(), Failure> {
        let bytes: Vec<u8> = self.notes.iter().flat_map(Note::bytes).collect();
        let saved = fs::write(file, bytes);
        saved.map_err(|error| Failure::new("cannot write a journal").because(error))
    }

    pub(crate) fn read(file: &Path) -> Result<Self, Failure> {
        let unread = |error| Failure::new("cannot read a journal").because(error);
        let bytes = fs::read(file).map_err(unread)?;
        let notes = bytes.as_chunks::<LENGTH>().0.iter().map(Note::from_bytes);
        Ok(Self {
            notes: notes.collect(),
        })
    }
}

/// How many bytes a note has in a file.
const LENGTH: usize = 24;

impl Note {
    fn bytes(&self) -> [u8; LENGTH] {
        let source = match self.source {
            None => 0,
            Some(Source::L1) => 1,
            Some(Source::L2) => 2,
            Some(Source::Loader) => 3,
        };
        let words = [self.key, self.version, source, self.took];
        let mut bytes = [0; LENGTH];
        let all = self.at.nanos().to_be_bytes().into_iter();
        let all = all.chain(words.into_iter().flat_map(u32::to_be_bytes));
        bytes
            .iter_mut()
            .zip(all)
            .for_each(|(place, byte)| *place = byte);
        bytes
    }

    fn from_bytes(bytes: &[u8; LENGTH]) -> Self {
        let (words, _) = bytes.as_chunks::<4>();
        let mut words = words.iter().map(|word| u32::from_be_bytes(*word));
        let mut next = || words.next().unwrap_or_default();
        Self {
            at: Moment::from_nanos(u64::from(next()) << 32 | u64::from(next())),
            key: next(),
            version: next(),
            source: match next() {
                1 => Some(Source::L1),
                2 => Some(Source::L2),
                3 => Some(Source::Loader),
                _ => None,
            },
            took: next(),
        }
    }
}
