//! The frame: the bytes of an entry in L2.
//!
//! | bytes | what |
//! | --- | --- |
//! | 0–7 | version, random |
//! | 8 | kind: `0xA1`, a value; `0xA2`, one that somebody has expired |
//! | 9 | format: 1 |
//! | 10–13 | checksum: the low half of XXH3-64 over bytes 14 to the end, seeded with the hash of the key |
//! | 14 | flags: bit 0 negative; bits 1–2 compression (0 none, 1 zstd, 2 lz4); bit 3 has tags |
//! | 15 | codec |
//! | 16–17 | schema of the value's type |
//! | 18–19 | how long the load took, in ms, at most 65,535 |
//! | 20–23 | the low half of the hash of the key |
//! | 24–29 | created, ms since the Unix epoch |
//! | 30–34 | fresh for so many ms after that |
//! | 35–39 | usable at all for so many ms after that |
//! | 40– | tags, if it has any: their number (1 byte), then of each its length (1 byte), its name, its mark (8 bytes) |
//! | | payload; if compressed, first its length before compression (4 bytes) |
//!
//! The hash of the key is its XXH3-64, seeded with the mark of the namespace: a value that was written before the namespace
//! was cleared fails like one that was written under another key, and the mark takes no room of its own.
//!
//! Numbers are little-endian. Version and kind lie outside the checksum: a store may give a record a new version or
//! mark it without knowing the key or reading the payload. There is no length of the payload: the store knows how long a
//! record is, and a record cut short fails its checksum. The key as seed makes a record that was written under another
//! key fail too, even where the short hashes are the same.

use std::time::Duration;

use tiered_core::{Kind, Record, Stamp, Version};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::compress::Method;
use crate::rejection::Rejection;

/// The length of what precedes the payload.
pub(crate) const HEAD: usize = 40;

const FORMAT: u8 = 1;
const CHECKED_FROM: usize = 14;
const NEGATIVE: u8 = 0b0001;
const METHOD_SHIFT: u32 = 1;
const METHOD: u8 = 0b11;
const TAGGED: u8 = 0b1000;
const FLAGS: u8 = 0b1111;

/// How many tags a value has at most, and how long each is at most, in bytes.
pub(crate) const MOST_TAGS: usize = 32;
pub(crate) const LONGEST_TAG: usize = 128;

/// All that a frame says of an entry, but for the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) version: Version,
    /// Somebody has expired it.
    pub(crate) is_stale: bool,
    pub(crate) is_negative: bool,
    pub(crate) is_tagged: bool,
    pub(crate) method: Method,
    pub(crate) codec: u8,
    pub(crate) schema: u16,
    pub(crate) load_millis: u32,
    pub(crate) created: Stamp,
    pub(crate) fresh_for: Duration,
    pub(crate) stale_for: Duration,
}

/// What a frame knows of its key, and of the namespace's mark.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeyHash(u64);

impl KeyHash {
    pub(crate) fn of(key: &str, space: Version) -> Self {
        let seed = u64::from_le_bytes(space.to_bytes());
        Self(xxh3_64_with_seed(key.as_bytes(), seed))
    }
}

/// Tags with their marks.
pub(crate) type TagList<'a> = Vec<(&'a str, Version)>;

/// Appends the tags, with their marks.
pub(crate) fn append_tags<'a>(
    bytes: &mut Vec<u8>,
    tags: impl ExactSizeIterator<Item = (&'a str, Version)>,
) {
    bytes.push(u8::try_from(tags.len()).unwrap_or(u8::MAX));
    for (name, mark) in tags {
        bytes.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
        bytes.extend_from_slice(name.as_bytes());
        bytes.extend_from_slice(&mark.to_bytes());
    }
}

/// The tags at the beginning of these bytes, and what follows.
pub(crate) fn split_tags(bytes: &[u8]) -> Result<(TagList<'_>, &[u8]), Rejection> {
    let (count, mut rest) = bytes.split_first().ok_or(Rejection::Corrupt)?;
    let mut tags = Vec::new();
    for _ in 0..*count {
        let (length, after) = rest.split_first().ok_or(Rejection::Corrupt)?;
        let (name, after) = after
            .split_at_checked((*length).into())
            .ok_or(Rejection::Corrupt)?;
        let (mark, after) = after.split_first_chunk().ok_or(Rejection::Corrupt)?;
        let name = std::str::from_utf8(name).map_err(|_| Rejection::Corrupt)?;
        tags.push((name, Version::from_bytes(*mark)));
        rest = after;
    }
    Ok((tags, rest))
}

/// Completes the frame in `bytes`, which holds [`HEAD`] bytes to be written, then tags and payload.
pub(crate) fn seal(mut bytes: Vec<u8>, head: &Head, key: KeyHash) -> Record {
    let mut flags = (head.method as u8) << METHOD_SHIFT;
    if head.is_negative {
        flags |= NEGATIVE;
    }
    if head.is_tagged {
        flags |= TAGGED;
    }
    let load_millis = u16::try_from(head.load_millis).unwrap_or(u16::MAX);
    let mut out = Fields(&mut bytes);
    out.put(0, &head.version.to_bytes());
    out.put(8, &[Kind::VALUE, FORMAT]);
    out.put(14, &[flags, head.codec]);
    out.put(16, &head.schema.to_le_bytes());
    out.put(18, &load_millis.to_le_bytes());
    out.put(20, &short(key.0));
    out.put_number(24, 6, head.created.millis());
    out.put_number(30, 5, millis(head.fresh_for));
    out.put_number(35, 5, millis(head.stale_for));
    let checksum = checksum(&bytes, key);
    Fields(&mut bytes).put(10, &checksum);
    Record::new(bytes)
}

/// What the frame's head says, if it is one of ours for `key`. The payload is not looked at.
pub(crate) fn head(record: &Record, key: KeyHash) -> Result<Head, Rejection> {
    let bytes: &[u8; HEAD] = record.bytes().first_chunk().ok_or(Rejection::Foreign)?;
    let is_stale = match record.kind() {
        Kind::Value => false,
        Kind::Stale => true,
        Kind::Claim | Kind::Pass | Kind::Foreign => return Err(Rejection::Foreign),
    };
    if field::<1>(bytes, 9) != [FORMAT] {
        return Err(Rejection::Format);
    }
    if field::<4>(bytes, 20) != short(key.0) {
        return Err(Rejection::Key);
    }
    let [flags, codec] = field(bytes, 14);
    if flags & !FLAGS != 0 {
        return Err(Rejection::Format);
    }
    Ok(Head {
        version: Version::from_bytes(field(bytes, 0)),
        is_stale,
        is_negative: flags & NEGATIVE != 0,
        is_tagged: flags & TAGGED != 0,
        method: Method::from_bits(flags >> METHOD_SHIFT & METHOD).ok_or(Rejection::Format)?,
        codec,
        schema: u16::from_le_bytes(field(bytes, 16)),
        load_millis: u16::from_le_bytes(field(bytes, 18)).into(),
        created: Stamp::from_millis(number::<6>(bytes, 24)),
        fresh_for: Duration::from_millis(number::<5>(bytes, 30)),
        stale_for: Duration::from_millis(number::<5>(bytes, 35)),
    })
}

/// What follows the head, if the record is whole and was written under `key`.
pub(crate) fn body(record: &Record, key: KeyHash) -> Result<&[u8], Rejection> {
    let bytes = record.bytes();
    let (stored, payload) = (bytes.get(10..14), bytes.get(HEAD..));
    if stored != Some(checksum(bytes, key).as_slice()) {
        return Err(Rejection::Corrupt);
    }
    payload.ok_or(Rejection::Corrupt)
}

/// The longest life that a frame can tell: 34 years.
pub(crate) const LONGEST: Duration = Duration::from_millis((1 << 40) - 1);

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.min(LONGEST).as_millis()).unwrap_or_default()
}

fn checksum(bytes: &[u8], key: KeyHash) -> [u8; 4] {
    short(xxh3_64_with_seed(
        bytes.get(CHECKED_FROM..).unwrap_or_default(),
        key.0,
    ))
}

fn short(hash: u64) -> [u8; 4] {
    let [a, b, c, d, ..] = hash.to_le_bytes();
    [a, b, c, d]
}

#[expect(
    clippy::indexing_slicing,
    reason = "the table above keeps every field within the head"
)]
fn field<const N: usize>(bytes: &[u8; HEAD], at: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&bytes[at..at + N]);
    field
}

fn number<const N: usize>(bytes: &[u8; HEAD], at: usize) -> u64 {
    let digits = field::<N>(bytes, at);
    digits
        .iter()
        .rev()
        .fold(0, |number, digit| number << 8 | u64::from(*digit))
}

struct Fields<'a>(&'a mut [u8]);

impl Fields<'_> {
    #[expect(
        clippy::indexing_slicing,
        reason = "the table above keeps every field within the head"
    )]
    fn put(&mut self, at: usize, field: &[u8]) {
        self.0[at..at + field.len()].copy_from_slice(field);
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "no number of the table is wider than eight bytes"
    )]
    fn put_number(&mut self, at: usize, width: usize, number: u64) {
        self.put(at, &number.to_le_bytes()[..width]);
    }
}
