//! Golden frames of every released format: what was once written to Redis stays readable, byte by byte.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(all(
    feature = "bincode",
    feature = "json",
    feature = "lz4",
    feature = "msgpack",
    feature = "postcard",
    feature = "zstd"
))]

use std::convert::Infallible;
use std::fmt::Write as _;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tiered::{
    Bincode, Cache, Clock, Codec, Compression, Embedded, Json, L2, ManualClock, MessagePack,
    NewMark, Options, Postcard, Record, Settings, Version, Write,
};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct User {
    id: u64,
    name: String,
    email: Option<String>,
    roles: Vec<String>,
}

fn user() -> User {
    User {
        id: 4_711,
        name: "Ada Lovelace".to_owned(),
        email: Some("ada@example.org".to_owned()),
        roles: vec!["reader".to_owned(); 12],
    }
}

const TAGS: [&str; 2] = ["red", "staff of the engine"];

/// What a cache on this clock writes under `users:7`, where the namespace's mark is eight bytes of 1.
const BINCODE: &str = "\
    d614473f7b3fd96ca1011647730e00010300000037d1f75400a8da769b01e093040000e093040000\
    fb67120c416461204c6f76656c616365010f616461406578616d706c652e6f72670c067265616465\
    72067265616465720672656164657206726561646572067265616465720672656164657206726561\
    6465720672656164657206726561646572067265616465720672656164657206726561646572\
";
const POSTCARD: &str = "\
    1f1c25fedb5aac3ca1011217028400020300000037d1f75400a8da769b01e093040000e093040000\
    e7240c416461204c6f76656c616365010f616461406578616d706c652e6f72670c06726561646572\
    06726561646572067265616465720672656164657206726561646572067265616465720672656164\
    65720672656164657206726561646572067265616465720672656164657206726561646572\
";
const JSON: &str = "\
    7b57c5b802466acba1014b8efd7700030300000037d1f75400a8da769b01e093040000e093040000\
    7b226964223a343731312c226e616d65223a22416461204c6f76656c616365222c22656d61696c22\
    3a22616461406578616d706c652e6f7267222c22726f6c6573223a5b22726561646572222c227265\
    61646572222c22726561646572222c22726561646572222c22726561646572222c22726561646572\
    222c22726561646572222c22726561646572222c22726561646572222c22726561646572222c2272\
    6561646572222c22726561646572225d7d\
";
const MESSAGE_PACK: &str = "\
    8ddefab90f25be7aa1018e0e919b00040300000037d1f75400a8da769b01e093040000e093040000\
    84a26964cd1267a46e616d65ac416461204c6f76656c616365a5656d61696caf616461406578616d\
    706c652e6f7267a5726f6c65739ca6726561646572a6726561646572a6726561646572a672656164\
    6572a6726561646572a6726561646572a6726561646572a6726561646572a6726561646572a67265\
    61646572a6726561646572a6726561646572\
";
const TAGGED: &str = "\
    09bebe43e0c700a8a101b6b71a7c08010300000037d1f75400a8da769b01e093040000e093040000\
    02037265640202020202020202137374616666206f662074686520656e67696e6503030303030303\
    03fb67120c416461204c6f76656c616365010f616461406578616d706c652e6f72670c0672656164\
    65720672656164657206726561646572067265616465720672656164657206726561646572067265\
    616465720672656164657206726561646572067265616465720672656164657206726561646572\
";
const NEGATIVE: &str = "\
    e3bf90b34f77ea3ca101f299551201000300000037d1f75400a8da769b0130750000003075000000\
";
/// Written with libzstd 1.5.7 and `lz4_flex` 0.14: other versions may pack differently, all must unpack this.
const ZSTD: &str = "\
    cd2a2af85dca09b6a1017b87c8a902010300000037d1f75400a8da769b01e093040000e093040000\
    7600000028b52ffd20768d01009402fb67120c416461204c6f76656c616365010f61646140657861\
    6d706c652e6f72670c06726561646572010051a1a50c\
";
const LZ4: &str = "\
    b19c4e3e29e996a3a1013036817604010300000037d1f75400a8da769b01e093040000e093040000\
    76000000ff21fb67120c416461204c6f76656c616365010f616461406578616d706c652e6f72670c\
    06726561646572067265616465720e002d60726561646572\
";

#[tokio::test]
async fn format_1_is_written_as_ever() {
    let written = [
        (written(Bincode, Compression::None).await, BINCODE),
        (written(Postcard, Compression::None).await, POSTCARD),
        (written(Json, Compression::None).await, JSON),
        (written(MessagePack, Compression::None).await, MESSAGE_PACK),
        (negative().await, NEGATIVE),
        (tagged().await, TAGGED),
    ];
    for (written, golden) in written {
        // The first eight bytes are random.
        assert_eq!(written[16..], golden[16..]);
    }
}

#[tokio::test]
async fn format_1_is_read_as_ever() {
    assert_eq!(read(Bincode, BINCODE).await, Some(Some(user())));
    assert_eq!(read(Postcard, POSTCARD).await, Some(Some(user())));
    assert_eq!(read(Json, JSON).await, Some(Some(user())));
    assert_eq!(read(MessagePack, MESSAGE_PACK).await, Some(Some(user())));
    assert_eq!(read(Bincode, NEGATIVE).await, Some(None));
    assert_eq!(read(Bincode, TAGGED).await, Some(Some(user())));
    assert_eq!(read(Bincode, ZSTD).await, Some(Some(user())));
    assert_eq!(read(Bincode, LZ4).await, Some(Some(user())));
}

#[tokio::test]
async fn a_frame_of_format_1_keeps_its_age_and_its_end() {
    let (cache, store, hand) = cache(Bincode, Compression::None).await;
    plant(&store, BINCODE).await;
    hand.advance(Duration::from_secs(299));
    let answer = cache.with(Options::default()).get("7").await.unwrap();
    assert_eq!(answer.age, Duration::from_secs(299));
    hand.advance(Duration::from_secs(1));
    assert!(cache.get("7").await.is_none());
}

async fn cache(
    codec: impl Codec<User>,
    compression: Compression,
) -> (Cache<User>, Embedded, ManualClock) {
    let hand = ManualClock::new();
    let store = Embedded::new().with_clock(Clock::from(hand.clone()));
    mark(&store, "#space:{users}", [1; 8]).await;
    mark(&store, "#tag:{users}:red", [2; 8]).await;
    mark(&store, "#tag:{users}:staff of the engine", [3; 8]).await;
    let settings = Settings {
        compression,
        compress_from: 1,
        jitter: 0.0,
        schema: 3,
        ..Settings::default()
    };
    let cache = Cache::builder("users")
        .l2_with(store.clone(), codec)
        .settings(settings)
        .clock(hand.clone());
    (cache.build().unwrap(), store, hand)
}

async fn written(codec: impl Codec<User>, compression: Compression) -> String {
    let (cache, store, _) = cache(codec, compression).await;
    cache.set("7", user()).await.ok().unwrap();
    stored(&store).await
}

async fn negative() -> String {
    let (cache, store, _) = cache(Bincode, Compression::None).await;
    cache
        .get_or_load("7", || async { Ok::<Option<User>, Infallible>(None) })
        .await
        .unwrap();
    stored(&store).await
}

async fn tagged() -> String {
    let (cache, store, _) = cache(Bincode, Compression::None).await;
    let tagged = cache.with(Options::default()).tags(&TAGS);
    tagged.set("7", user()).await.ok().unwrap();
    stored(&store).await
}

async fn mark(store: &Embedded, name: &str, version: [u8; 8]) {
    let mark = NewMark {
        name,
        version: Version::from_bytes(version),
        life: Duration::from_secs(3_600),
    };
    store.write_marks(&[mark]).await.unwrap();
}

async fn stored(store: &Embedded) -> String {
    let record = store
        .get_many(&["users:7"])
        .await
        .remove(0)
        .unwrap()
        .unwrap();
    let hex = |mut hex: String, byte: &u8| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    };
    record.bytes().iter().fold(String::new(), hex)
}

async fn read(codec: impl Codec<User>, hex: &str) -> Option<Option<User>> {
    let (cache, store, _) = cache(codec, Compression::None).await;
    plant(&store, hex).await;
    let answer = cache.with(Options::default()).get("7").await?;
    Some(answer.value.map(|value| (*value).clone()))
}

async fn plant(store: &Embedded, hex: &str) {
    let byte =
        |digits: &[u8]| u8::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap();
    let bytes: Vec<u8> = hex.as_bytes().chunks(2).map(byte).collect();
    let write = Write {
        key: "users:7",
        record: Record::new(bytes),
        life: Duration::from_secs(3_600),
    };
    store.set_many(&[write]).await.remove(0).unwrap();
}
