//! A two-tier cache for services: memory in the process (L1), a server shared by all processes (L2), your own loader
//! behind both.
//!
//! Begin at [`Cache`].

mod answer;
mod batch;
#[cfg(feature = "testing")]
#[doc(hidden)]
pub mod bench;
mod builder;
mod cache;
mod call;
mod codec;
mod compress;
mod embedded;
mod far;
mod finish;
mod flight;
mod frame;
mod load;
mod loader;
mod near;
mod options;
mod read;
mod rejection;
mod settings;
mod shared;
mod stats;
mod weight;
mod wire;
mod write;
mod written;

pub use answer::{Answer, Source};
pub use builder::Builder;
pub use cache::Cache;
pub use call::Call;
#[cfg(feature = "bincode")]
pub use codec::Bincode;
#[cfg(feature = "json")]
pub use codec::Json;
#[cfg(feature = "msgpack")]
pub use codec::MessagePack;
#[cfg(feature = "postcard")]
pub use codec::Postcard;
pub use compress::Compression;
pub use embedded::Embedded;
pub use loader::{Held, LoadResult, Loaded};
pub use options::{Access, Options};
pub use rejection::Rejection;
pub use settings::Settings;
pub use stats::Stats;
#[cfg(feature = "testing")]
pub use tiered_core::testing;
pub use tiered_core::{
    Bound, BoxError, Clock, Codec, Entry, Error, ErrorKind, Key, L1, L2, ManualClock, Random,
    Record, Result, Stamp, Tick, Usage, Version, Write,
};
#[cfg(feature = "moka")]
pub use tiered_moka::Moka;
#[cfg(feature = "redis")]
pub use tiered_redis::{Redis, RedisOptions};
pub use written::{Outcome, Removed, Written};
