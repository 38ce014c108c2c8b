//! Bytes from L2, as they should be and as they should not: never a panic, never a wrong value, memory bounded.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use tiered::{
    BoxError, Cache, Clock, Codec, Compression, Embedded, L2, ManualClock, NewMark, Record,
    Rejection, Settings, Version, Write,
};
use tokio::runtime::Builder;
use xxhash_rust::xxh3::xxh3_64_with_seed;

const HEAD: usize = 40;
const MAX_VALUE: usize = 64 << 10;
/// The mark of the namespace.
const SPACE: [u8; 8] = *b"in order";

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Package {
    name: String,
    size: u64,
    blob: Vec<u8>,
    tags: BTreeMap<String, Option<String>>,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Part {
    Text(String),
    Numbers(Vec<u64>),
    Nothing,
}

fn package() -> impl Strategy<Value = Package> {
    let part = prop_oneof![
        "[a-z ]{0,40}".prop_map(Part::Text),
        prop::collection::vec(any::<u64>(), 0..8).prop_map(Part::Numbers),
        Just(Part::Nothing),
    ];
    let tags = prop::collection::btree_map("[a-z]{1,8}", prop::option::of("[ -~]{0,20}"), 0..6);
    let blob = prop::collection::vec(any::<u8>(), 0..600);
    let parts = prop::collection::vec(part, 0..6);
    (".{0,30}", any::<u64>(), blob, tags, parts).prop_map(|(name, size, blob, tags, parts)| {
        Package {
            name,
            size,
            blob,
            tags,
            parts,
        }
    })
}

/// A cache over a store whose bytes are at hand.
struct Bench {
    cache: Cache<Package>,
    store: Embedded,
}

impl Bench {
    fn new(codec: impl Codec<Package>, compression: Compression) -> Self {
        let clock = Clock::from(ManualClock::new());
        let store = Embedded::new().with_clock(clock.clone());
        let settings = Settings {
            compression,
            compress_from: 64,
            max_value_bytes: MAX_VALUE,
            max_stored_bytes: MAX_VALUE,
            jitter: 0.0,
            ..Settings::default()
        };
        let mark = NewMark {
            name: "#space:{frame}",
            version: Version::from_bytes(SPACE),
            life: Duration::from_secs(3_600),
        };
        block_on(store.write_marks(&[mark])).unwrap();
        let cache = Cache::builder("frame")
            .l2_with(store.clone(), codec)
            .settings(settings)
            .clock(clock);
        Self {
            cache: cache.build().unwrap(),
            store,
        }
    }

    async fn plant(&self, key: &str, bytes: &[u8]) {
        let name = format!("frame:{key}");
        let write = Write {
            key: &name,
            record: Record::new(bytes.to_vec()),
            life: Duration::from_secs(60),
        };
        self.store.set_many(&[write]).await.remove(0).unwrap();
    }

    async fn bytes(&self, key: &str) -> Vec<u8> {
        let name = format!("frame:{key}");
        self.store
            .get_many(&[&name])
            .await
            .remove(0)
            .unwrap()
            .unwrap()
            .bytes()
            .to_vec()
    }

    async fn get(&self, key: &str) -> Option<Package> {
        self.cache.get(key).await.map(|value| (*value).clone())
    }

    fn rejections(&self) -> u64 {
        Rejection::ALL
            .into_iter()
            .map(|reason| self.cache.stats().rejected(reason))
            .sum()
    }
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(work)
}

/// A frame made by the table in `frame.rs`, not by the code there.
fn by_hand(key: &str, flags: u8, codec: u8, payload: &[u8]) -> Vec<u8> {
    let name = format!("frame:{key}");
    let key_hash = xxh3_64_with_seed(name.as_bytes(), u64::from_le_bytes(SPACE));
    let created: u64 = 1_767_225_600_000;
    let life: u64 = 300_000;
    let mut bytes = vec![7; 8];
    bytes.extend([0xA1, 1]);
    bytes.extend([0; 4]);
    bytes.extend([flags, codec, 0, 0, 0, 0]);
    bytes.extend(&key_hash.to_le_bytes()[..4]);
    bytes.extend(&created.to_le_bytes()[..6]);
    bytes.extend(&life.to_le_bytes()[..5]);
    bytes.extend(&life.to_le_bytes()[..5]);
    bytes.extend(payload);
    let checksum = xxh3_64_with_seed(&bytes[14..], key_hash).to_le_bytes();
    bytes[10..14].copy_from_slice(&checksum[..4]);
    bytes
}

fn benches(compression: Compression) -> Vec<(&'static str, Bench)> {
    vec![
        #[cfg(feature = "bincode")]
        ("bincode", Bench::new(tiered::Bincode, compression)),
        #[cfg(feature = "postcard")]
        ("postcard", Bench::new(tiered::Postcard, compression)),
        #[cfg(feature = "json")]
        ("json", Bench::new(tiered::Json, compression)),
        #[cfg(feature = "msgpack")]
        ("msgpack", Bench::new(tiered::MessagePack, compression)),
    ]
}

fn compressions() -> Vec<Compression> {
    vec![
        Compression::None,
        #[cfg(feature = "zstd")]
        Compression::Zstd { level: 1 },
        #[cfg(feature = "lz4")]
        Compression::Lz4,
    ]
}

/// What failed is told by proptest itself; nothing is written into the source tree.
fn config() -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn every_value_comes_back_whatever_the_codec_and_the_compression(value in package()) {
        for compression in compressions() {
            for (name, bench) in benches(compression) {
                let found = block_on(async {
                    bench.cache.set("k", value.clone()).await.ok().unwrap();
                    bench.get("k").await
                });
                prop_assert_eq!(found.as_ref(), Some(&value), "{} {:?}", name, compression);
            }
        }
    }

    #[test]
    fn a_cache_reads_what_another_compression_has_written(value in package()) {
        let written = compressions().into_iter().map(|compression| Bench::new(Tagged, compression));
        for writer in written {
            for reader in compressions() {
                let reader = Bench::new(Tagged, reader);
                let found = block_on(async {
                    writer.cache.set("k", value.clone()).await.ok().unwrap();
                    reader.plant("k", &writer.bytes("k").await).await;
                    reader.get("k").await
                });
                prop_assert_eq!(found.as_ref(), Some(&value));
            }
        }
    }

    #[test]
    fn any_bytes_are_a_miss_with_a_reason(bytes in prop::collection::vec(any::<u8>(), 1..200)) {
        for (name, bench) in benches(Compression::None) {
            block_on(bench.plant("k", &bytes));
            prop_assert_eq!(block_on(bench.get("k")), None, "{}", name);
            prop_assert_eq!(bench.rejections(), 1, "{}", name);
        }
    }

    #[test]
    fn a_damaged_record_is_a_miss_or_still_right(
        value in package(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        for compression in compressions() {
            let bench = Bench::new(Tagged, compression);
            let found = block_on(async {
                bench.cache.set("k", value.clone()).await.ok().unwrap();
                let mut bytes = bench.bytes("k").await;
                for (at, by) in &damage {
                    let at = at.index(bytes.len());
                    bytes[at] ^= by;
                }
                if let Some(cut) = cut {
                    bytes.truncate(cut.index(bytes.len()).max(1));
                }
                bench.plant("k", &bytes).await;
                bench.get("k").await
            });
            prop_assert!(found.is_none_or(|found| found == value));
        }
    }

    /// Whoever can write to L2 can also make the checksum fit.
    #[test]
    fn a_hostile_payload_with_a_right_checksum_takes_little_memory(
        payload in prop::collection::vec(prop_oneof![Just(0xFF), Just(0xFD), Just(0xFC), Just(0xDD), any::<u8>()], 0..300),
        flags in 0_u8..16,
        codec in 0_u8..6,
    ) {
        let frame = by_hand("k", flags, codec, &payload);
        for (name, bench) in benches(Compression::None) {
            block_on(bench.plant("k", &frame));
            let used = allocation_counter::measure(|| drop(block_on(bench.get("k"))));
            prop_assert!(used.bytes_max < 8 << 20, "{}: {} bytes", name, used.bytes_max);
        }
    }
}

#[test]
fn a_frame_made_by_the_table_is_read() {
    let bench = Bench::new(Tagged, Compression::None);
    let value = sample();
    let mut payload = Vec::new();
    Tagged.encode(&value, &mut payload).unwrap();
    block_on(bench.plant("k", &by_hand("k", 0, Tagged.id(), &payload)));
    assert_eq!(block_on(bench.get("k")), Some(value));
}

#[test]
fn a_small_value_takes_forty_bytes_more_than_its_payload() {
    let bench = Bench::new(Tagged, Compression::None);
    let mut payload = Vec::new();
    Tagged.encode(&sample(), &mut payload).unwrap();
    let stored = block_on(async {
        bench.cache.set("k", sample()).await.ok().unwrap();
        bench.bytes("k").await.len()
    });
    assert_eq!(stored - payload.len(), HEAD);
}

#[test]
fn each_doubt_has_its_reason() {
    let bench = Bench::new(Tagged, Compression::None);
    let mut payload = Vec::new();
    Tagged.encode(&sample(), &mut payload).unwrap();
    let good = by_hand("k", 0, Tagged.id(), &payload);
    let with = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    let bomb = [&u32::MAX.to_le_bytes(), payload.as_slice()].concat();
    let long = vec![0; MAX_VALUE + 1];
    let cases = [
        (good[..HEAD - 1].to_vec(), Rejection::Foreign),
        (with(8, b'{'), Rejection::Foreign),
        (with(9, 2), Rejection::Format),
        (
            by_hand("k", 0b1_0000, Tagged.id(), &payload),
            Rejection::Format,
        ),
        (by_hand("another", 0, Tagged.id(), &payload), Rejection::Key),
        (with(16, 1), Rejection::Schema),
        (by_hand("k", 0, 99, &payload), Rejection::Codec),
        (with(HEAD, 0xEE), Rejection::Corrupt),
        (by_hand("k", 0b010, Tagged.id(), &bomb), Rejection::TooLarge),
        (long, Rejection::TooLarge),
        (by_hand("k", 0, Tagged.id(), b"no json"), Rejection::Decode),
    ];
    for (bytes, reason) in cases {
        let before = bench.cache.stats().rejected(reason);
        block_on(bench.plant("k", &bytes));
        assert_eq!(block_on(bench.get("k")), None, "{reason:?}");
        assert_eq!(
            bench.cache.stats().rejected(reason),
            before + 1,
            "{reason:?}"
        );
    }
}

#[cfg(feature = "zstd")]
#[test]
fn a_decompression_bomb_takes_no_more_than_the_limit() {
    let bomb = zstd::bulk::compress(&vec![0; 100 << 20], 19).unwrap();
    assert!(bomb.len() < MAX_VALUE);
    for said in [1_000_u32, u32::try_from(MAX_VALUE).unwrap(), 100 << 20] {
        let payload = [said.to_le_bytes().as_slice(), &bomb].concat();
        let bench = Bench::new(Tagged, Compression::None);
        block_on(bench.plant("k", &by_hand("k", 0b010, Tagged.id(), &payload)));
        let used = allocation_counter::measure(|| assert_eq!(block_on(bench.get("k")), None));
        assert!(used.bytes_max < 1 << 20, "{} bytes", used.bytes_max);
    }
}

/// bincode allocates what a length prefix asks for; what it may ask for is bounded at every size of payload.
#[cfg(feature = "bincode")]
#[test]
fn a_hostile_length_takes_memory_in_proportion_to_the_payload() {
    for length in [9, 0x1_0000, 0x1_0001, 0x10_0001, 0x100_0001, 0x400_0001] {
        for asked in [1_u64 << 33, 1 << 40, 1 << 50, u64::MAX] {
            let mut payload = vec![0_u8; length];
            payload[0] = 253;
            payload[1..9].copy_from_slice(&asked.to_le_bytes());
            let decode = || Codec::<String>::decode(&tiered::Bincode, &payload).unwrap_err();
            let used = allocation_counter::measure(|| drop(decode()));
            assert!(used.bytes_max < 1 << 16, "{} bytes", used.bytes_max);
        }
    }
}

#[test]
fn a_codec_that_panics_is_a_codec_that_fails() {
    let bench = Bench::new(Panicking, Compression::None);
    let value = Package {
        name: "panic".to_owned(),
        ..sample()
    };
    let written = block_on(bench.cache.set("k", value));
    assert!(written.ok().is_err());
    let plain = Bench::new(Tagged, Compression::None);
    block_on(async {
        plain.cache.set("k", sample()).await.ok().unwrap();
        bench.plant("k", &plain.bytes("k").await).await;
    });
    assert_eq!(block_on(bench.get("k")), None);
    assert_eq!(bench.cache.stats().rejected(Rejection::Decode), 1);
}

/// As [`Tagged`], but it panics.
#[derive(Debug)]
struct Panicking;

impl Codec<Package> for Panicking {
    fn id(&self) -> u8 {
        Tagged.id()
    }

    fn encode(&self, _: &Package, _: &mut Vec<u8>) -> Result<(), BoxError> {
        panic!("as it must in this test")
    }

    fn decode(&self, _: &[u8]) -> Result<Package, BoxError> {
        panic!("as it must in this test")
    }
}

fn sample() -> Package {
    Package {
        name: "zstd".to_owned(),
        size: 7,
        blob: vec![1, 2, 3],
        tags: BTreeMap::from([("section".to_owned(), None)]),
        parts: vec![Part::Text("text".to_owned()), Part::Nothing],
    }
}

/// A codec of the user's own: JSON behind one byte.
#[derive(Debug)]
struct Tagged;

impl Codec<Package> for Tagged {
    fn id(&self) -> u8 {
        200
    }

    fn encode(&self, value: &Package, out: &mut Vec<u8>) -> Result<(), BoxError> {
        out.push(b'!');
        Ok(serde_json::to_writer(out, value)?)
    }

    fn decode(&self, bytes: &[u8]) -> Result<Package, BoxError> {
        Ok(serde_json::from_slice(
            bytes.strip_prefix(b"!").ok_or("no mark")?,
        )?)
    }
}
