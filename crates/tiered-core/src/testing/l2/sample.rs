//! Records and keys to try a store with.

use crate::{Kind, Record, Version};

pub(super) const ODD_KEYS: &[&str] = &[
    "", " ", "  ", "a b", "\r\n", "a\r\n", "\r\nGET", "\0", "a\0", "a\0b", "🦀", "é", "e\u{301}",
    "{}", "{a}", "{a}b", "a}b", "{}a", "a{b", "}{", "*", "a*", "?", "[a]", "%s", "%00", "$1", "\"",
    "'", "\\", "/", "../a", ":", "a", "A",
];

/// A record that is its text.
pub(super) fn record(text: &str) -> Record {
    Record::new(text.as_bytes().to_vec())
}

/// Records of telling lengths, some with every byte value.
pub(super) fn samples() -> Vec<Record> {
    let bytes = |length| (0..=u8::MAX).cycle().take(length).collect::<Vec<_>>();
    let lengths = [1, 3, 8, 63, 64, 65, 256, 300_000];
    lengths.map(|length| Record::new(bytes(length))).into()
}

/// An entry that is its text behind the version.
pub(super) fn entry(version: Version, text: &str) -> Record {
    let head = version.to_bytes().into_iter().chain([Kind::VALUE]);
    Record::new(head.chain(text.bytes()).collect::<Vec<_>>())
}

/// Entries, fresh and stale: the shortest, some of telling lengths, and a long one.
pub(super) fn entries() -> Vec<Record> {
    let lengths = [9, Record::PLACEHOLDER, 64, 65, 256, 300_000];
    let of_kind = |kind| lengths.map(|length| sample(kind, length));
    [Kind::VALUE, Kind::STALE].map(of_kind).concat()
}

/// Records that are neither entries nor placeholders, though some have a placeholder's ninth byte.
pub(super) fn foreigners() -> Vec<Record> {
    let mut all = vec![sample(0, 1), sample(0, 7), sample(0, 8)];
    for kind in [0, Kind::CLAIM, Kind::PASS] {
        let lengths = [9, Record::PLACEHOLDER - 1, Record::PLACEHOLDER + 1, 300];
        all.extend(lengths.map(|length| sample(kind, length)));
    }
    all.push(sample(0, Record::PLACEHOLDER));
    all
}

/// Whatever a claim can be noted beside.
pub(super) fn claimables() -> Vec<Record> {
    [entries(), foreigners()].concat()
}

/// The first bytes of such a record, with every byte value behind them.
fn sample(kind: u8, length: usize) -> Record {
    let head = b"\xFE\0\r\n{}\x80\x01".iter().copied().chain([kind]);
    let bytes = head.chain((0..=u8::MAX).cycle()).take(length);
    Record::new(bytes.collect::<Vec<_>>())
}
