//! The form that entries have in L2: key names, codec, compression, limits.

use std::cell::Cell;
use std::fmt::{Display, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use tiered_core::{
    Begun, BoxError, Codec, Entry, Error, ErrorKind, Record, Result, Stamp, Tick, Version,
};

use crate::compress::{self, Compression, Method};
use crate::frame::{self, HEAD, Head, KeyHash};
use crate::rejection::Rejection;
use crate::settings::Settings;

pub(crate) struct Wire<V> {
    prefix: String,
    codec: Box<dyn Codec<V>>,
    schema: u16,
    compression: Compression,
    compress_from: usize,
    max_stored_bytes: usize,
    max_value_bytes: usize,
}

/// A record, and how long its payload was before compression.
pub(crate) struct Packed {
    pub(crate) record: Record,
    pub(crate) raw_bytes: usize,
}

/// An entry without its tags, these, and how long its payload was before compression.
pub(crate) struct Unpacked<V> {
    pub(crate) entry: Entry<V>,
    pub(crate) tags: Vec<(String, Version)>,
    pub(crate) raw_bytes: usize,
}

/// Where a record belongs: its name in L2, and the mark of the namespace.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Address<'a> {
    pub(crate) name: &'a str,
    pub(crate) space: Version,
}

impl Address<'_> {
    fn hash(self) -> KeyHash {
        KeyHash::of(self.name, self.space)
    }
}

impl<V: 'static> Wire<V> {
    pub(crate) fn new(namespace: &str, codec: Box<dyn Codec<V>>, settings: &Settings) -> Self {
        Self {
            prefix: format!("{namespace}:"),
            codec,
            schema: settings.schema,
            compression: settings.compression,
            compress_from: settings.compress_from,
            max_stored_bytes: settings.max_stored_bytes,
            max_value_bytes: settings.max_value_bytes,
        }
    }

    /// The name of `key` in L2.
    pub(crate) fn name(&self, key: &(impl Display + ?Sized)) -> String {
        let mut name = String::with_capacity(self.prefix.len() + 24);
        name.push_str(&self.prefix);
        // Writing into a string fails only if `Display` itself does, which it must not.
        let _ = write!(name, "{key}");
        name
    }

    /// The text of the key that has this name in L2.
    pub(crate) fn text<'n>(&self, name: &'n str) -> Option<&'n str> {
        name.strip_prefix(&self.prefix)
    }

    /// The record of an entry that was made at this moment.
    pub(crate) fn pack(
        &self,
        address: Address<'_>,
        entry: &Entry<V>,
        now: Stamp,
    ) -> Result<Packed> {
        with_scratch(|raw| {
            let codec = match &entry.value {
                Some(value) => self.encode(value, raw)?,
                None => 0,
            };
            let (bytes, method) = self.compress(room(entry, raw.len()), raw);
            if bytes.len() > self.max_stored_bytes {
                return Err(Error::new(
                    ErrorKind::Unstorable,
                    "the value is too large for L2",
                ));
            }
            let head = Head {
                method,
                codec,
                ..self.head_of(entry, now)
            };
            Ok(Packed {
                record: frame::seal(bytes, &head, address.hash()),
                raw_bytes: raw.len(),
            })
        })
    }

    /// The entry that a record holds, which may be fresh or not.
    pub(crate) fn unpack(
        &self,
        address: Address<'_>,
        record: &Record,
        now: Now,
    ) -> Result<Unpacked<V>, Rejection> {
        if record.bytes().len() > self.max_stored_bytes {
            return Err(Rejection::TooLarge);
        }
        let key = address.hash();
        let head = self.head(key, record)?;
        let body = frame::body(record, key)?;
        let (tags, payload) = if head.is_tagged {
            frame::split_tags(body)?
        } else {
            (Vec::new(), body)
        };
        let (value, raw_bytes) = if head.is_negative {
            (None, 0)
        } else {
            let (value, raw_bytes) = self.decode(&head, payload)?;
            (Some(Arc::new(value)), raw_bytes)
        };
        let entry = Times::of(&head, now).entry(&head, value);
        let tags = tags.into_iter().map(|(name, mark)| (name.to_owned(), mark));
        Ok(Unpacked {
            entry,
            tags: tags.collect(),
            raw_bytes,
        })
    }

    /// What a record's head says of its presence.
    pub(crate) fn presence(
        &self,
        address: Address<'_>,
        record: &Record,
        now: Now,
    ) -> Result<Presence, Rejection> {
        let head = self.head(address.hash(), record)?;
        let is_value = !head.is_negative && !Times::of(&head, now).fresh_left.is_zero();
        Ok(match (is_value, head.is_tagged) {
            (true, true) => Presence::IfTagsHold,
            (true, false) => Presence::Present,
            (false, _) => Presence::Absent,
        })
    }

    /// How long the value is when encoded; `None` if it cannot be.
    pub(crate) fn measure(&self, value: &V) -> Option<usize> {
        with_scratch(|raw| {
            let encoded = contained(|| self.codec.encode(value, raw));
            encoded.ok().map(|()| raw.len())
        })
    }

    fn head(&self, key: KeyHash, record: &Record) -> Result<Head, Rejection> {
        let head = frame::head(record, key)?;
        if head.schema != self.schema {
            return Err(Rejection::Schema);
        }
        if !head.is_negative && head.codec != self.codec.id() {
            return Err(Rejection::Codec);
        }
        Ok(head)
    }

    /// What the frame says of the entry itself.
    fn head_of(&self, entry: &Entry<V>, now: Stamp) -> Head {
        Head {
            version: entry.version,
            is_stale: false,
            is_negative: entry.value.is_none(),
            is_tagged: entry.tags.is_some(),
            method: Method::None,
            codec: 0,
            schema: self.schema,
            load_millis: entry.load_millis,
            created: now,
            fresh_for: entry.fresh_until.since(entry.created),
            stale_for: entry.stale_until.since(entry.created),
        }
    }

    fn encode(&self, value: &V, raw: &mut Vec<u8>) -> Result<u8> {
        let unstorable = |message| Error::new(ErrorKind::Unstorable, message);
        let encoded = contained(|| self.codec.encode(value, raw));
        encoded.map_err(|error| unstorable("the value cannot be encoded").because(error))?;
        if raw.len() > self.max_value_bytes {
            return Err(unstorable("the value is too large for L2"));
        }
        Ok(self.codec.id())
    }

    /// Appends the payload as it is stored: compressed only if that makes it shorter.
    fn compress(&self, mut bytes: Vec<u8>, raw: &[u8]) -> (Vec<u8>, Method) {
        let before = bytes.len();
        if raw.len() >= self.compress_from {
            let length = u32::try_from(raw.len()).unwrap_or(u32::MAX);
            bytes.extend_from_slice(&length.to_le_bytes());
            let method = self.compression.append(raw, &mut bytes);
            if method != Method::None && bytes.len() < before + raw.len() {
                return (bytes, method);
            }
            bytes.truncate(before);
        }
        bytes.extend_from_slice(raw);
        (bytes, Method::None)
    }

    fn decode(&self, head: &Head, payload: &[u8]) -> Result<(V, usize), Rejection> {
        if head.method == Method::None {
            return self.decode_raw(payload);
        }
        let (length, packed) = payload.split_first_chunk().ok_or(Rejection::Corrupt)?;
        let length = u32::from_le_bytes(*length) as usize;
        if length > self.max_value_bytes {
            return Err(Rejection::TooLarge);
        }
        with_scratch(|raw| {
            compress::unpack(head.method, packed, length, raw)?;
            self.decode_raw(raw)
        })
    }

    fn decode_raw(&self, raw: &[u8]) -> Result<(V, usize), Rejection> {
        if raw.len() > self.max_value_bytes {
            return Err(Rejection::TooLarge);
        }
        let value = contained(|| self.codec.decode(raw)).map_err(|_| Rejection::Decode)?;
        Ok((value, raw.len()))
    }
}

/// What the head of a record tells of the presence of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    Present,
    Absent,
    /// The tags are not in the head.
    IfTagsHold,
}

/// Room for the head, then the tags, then room for the payload.
fn room<V>(entry: &Entry<V>, payload: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEAD + payload);
    bytes.resize(HEAD, 0);
    if let Some(tags) = &entry.tags {
        let tags = tags.iter().map(|(mark, version)| (mark.name(), *version));
        frame::append_tags(&mut bytes, tags);
    }
    bytes
}

/// The present, as this process counts it and as frames do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    pub(crate) tick: Tick,
    pub(crate) wall: Stamp,
}

/// What a frame's stamps mean here and now.
struct Times {
    now: Tick,
    age: Duration,
    fresh_left: Duration,
    stale_left: Duration,
}

impl Times {
    /// To the millisecond. The values of a writer whose clock runs ahead seem new for as long as it does, and live here
    /// for at most their whole life from now.
    fn of(head: &Head, now: Now) -> Self {
        let age = now.wall.since(head.created);
        let left = |life: Duration| life.saturating_sub(age);
        Self {
            now: now.tick,
            age,
            fresh_left: if head.is_stale {
                Duration::ZERO
            } else {
                left(head.fresh_for)
            },
            stale_left: left(head.stale_for.max(head.fresh_for)),
        }
    }

    fn entry<V>(&self, head: &Head, value: Option<Arc<V>>) -> Entry<V> {
        Entry {
            value,
            version: head.version,
            begun: Begun::new(0, self.now),
            created: self.now.minus(self.age),
            fresh_until: self.now.plus(self.fresh_left),
            stale_until: self.now.plus(self.stale_left),
            load_millis: head.load_millis,
            weight: 0,
            tags: None,
        }
    }
}

/// A codec that panics is a codec that fails: one bad value must not take a whole batch with it.
fn contained<T>(work: impl FnOnce() -> Result<T, BoxError>) -> Result<T, BoxError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err("the codec panicked".into()))
}

/// Runs `work` with an empty buffer that keeps its room from one use to the next.
fn with_scratch<T>(work: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    thread_local! {
        static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    }
    const KEPT: usize = 1 << 20;

    // Taken out rather than borrowed: a codec may itself use a cache.
    let mut buffer = SCRATCH.take();
    buffer.clear();
    let result = work(&mut buffer);
    if buffer.capacity() <= KEPT {
        SCRATCH.set(buffer);
    }
    result
}
