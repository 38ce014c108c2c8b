//! Records and locks that are put into the server by hand, by name.

use tiered_core::{Claim, Expiry, Fill, Hold, Kind, Record, Seen, Version};
use tiered_tests::RedisServer;

use super::{LONG, stored};

pub(crate) const KEY: &str = "users:7";
pub(crate) const LOCK: &str = "#lock:{users:7}";

const TOKEN: [u8; 8] = *b"token\0\x01\xff";
const OTHER: [u8; 8] = *b"other\0\x02\xff";
const SEEN: [u8; 8] = *b"seen\0\0\x04\xff";
const MARK: [u8; 8] = *b"mark\0\0\x03\xff";
const SHORT: [u8; 8] = *b"see\0\0\0\0\0";
const NOBODY: [u8; 8] = [0; 8];

pub(crate) fn record(name: &str) -> Vec<u8> {
    match name {
        "nothing" => Vec::new(),
        "own" => placeholder(TOKEN, Kind::CLAIM, MARK),
        "own pass" => placeholder(TOKEN, Kind::PASS, MARK),
        "other's" => placeholder(OTHER, Kind::CLAIM, MARK),
        "other's pass" => placeholder(OTHER, Kind::PASS, MARK),
        "other's, other mark" => placeholder(OTHER, Kind::CLAIM, NOBODY),
        "pass, other mark" => placeholder(OTHER, Kind::PASS, NOBODY),
        "seen claim" => placeholder(SEEN, Kind::CLAIM, MARK),
        "seen pass" => placeholder(SEEN, Kind::PASS, MARK),
        "almost a claim" => [placeholder(SEEN, Kind::CLAIM, MARK), vec![0]].concat(),
        "value" => value(SEEN, Kind::VALUE),
        "newer" => value(OTHER, Kind::VALUE),
        "renamed" => value(TOKEN, Kind::VALUE),
        "expired" => value(TOKEN, Kind::STALE),
        "filled" => value(*b"a filled", Kind::VALUE),
        "short" => b"see".to_vec(),
        "short, renamed" => TOKEN.to_vec(),
        "foreign" => b"some foreign bytes".to_vec(),
        name => unreachable!("{name}"),
    }
}

pub(crate) fn lock(name: &str) -> Vec<u8> {
    let (version, token) = match name {
        "free" => return Vec::new(),
        "own" => (SEEN, TOKEN),
        "other's" => (SEEN, OTHER),
        "pass" => (SEEN, NOBODY),
        "older" => (OTHER, OTHER),
        "forced" => (TOKEN, TOKEN),
        "of short" => (SHORT, TOKEN),
        name => unreachable!("{name}"),
    };
    [version, token].concat()
}

pub(crate) fn seen(name: &str) -> Seen {
    match name {
        "nothing" => Seen::Nothing,
        "anything" => Seen::Anything,
        "it" => version(SEEN),
        "other" => version(OTHER),
        "short" => version(SHORT),
        name => unreachable!("{name}"),
    }
}

/// Puts these under the key and into its lock.
pub(crate) async fn lay(server: &RedisServer, record_name: &str, lock_name: &str) {
    for (name, bytes) in [(KEY, record(record_name)), (LOCK, lock(lock_name))] {
        server.raw(&["DEL", name]).await;
        if !bytes.is_empty() {
            server.raw(&[b"SET", name.as_bytes(), &bytes]).await;
        }
    }
}

/// These are under the key and in its lock.
pub(crate) async fn lies(server: &RedisServer, record_name: &str, lock_name: &str, row: &str) {
    assert_eq!(stored(server, KEY).await, record(record_name), "{row}");
    assert_eq!(stored(server, LOCK).await, lock(lock_name), "{row}");
}

pub(crate) fn claim(seen: Seen) -> Claim<'static> {
    Claim {
        key: KEY,
        seen,
        token: Version::from_bytes(TOKEN),
        mark: Version::from_bytes(MARK),
        life: LONG,
    }
}

/// The claim on the value.
pub(crate) fn hold() -> Hold<'static> {
    Hold {
        key: KEY,
        held: Version::from_bytes(SEEN),
        token: Version::from_bytes(TOKEN),
    }
}

pub(crate) fn fill() -> [Fill<'static>; 1] {
    [Fill {
        hold: hold(),
        record: Record::new(record("filled")),
        life: LONG,
    }]
}

pub(crate) fn expiry() -> [Expiry<'static>; 1] {
    [Expiry {
        key: KEY,
        version: Version::from_bytes(TOKEN),
    }]
}

fn version(version: [u8; 8]) -> Seen {
    Seen::Version(Version::from_bytes(version))
}

fn value(version: [u8; 8], kind: u8) -> Vec<u8> {
    // More than a head.
    [version.as_slice(), &[kind], &[b'x'; 100]].concat()
}

fn placeholder(token: [u8; 8], kind: u8, mark: [u8; 8]) -> Vec<u8> {
    [token.as_slice(), &[kind], &mark].concat()
}
