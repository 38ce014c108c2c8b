//! A two-tier cache for services: memory in the process (L1), a server shared by all processes (L2), your own loader
//! behind both.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> tiered::Result<()> {
//! use std::convert::Infallible;
//! use tiered::{Cache, Embedded, Moka};
//!
//! // In a service: `let l2 = Redis::connect("redis://127.0.0.1:6379").await?;`
//! let l2 = Embedded::new();
//! let users: Cache<String> = Cache::builder("users").l1(Moka::entries(100_000)).l2(l2).build()?;
//!
//! let load = || async { Ok::<_, Infallible>("Ada".to_owned()) };
//! assert_eq!(users.get_or_load("42", load).await?.as_str(), "Ada"); // L1, then L2, then the loader, once
//! users.remove("42").await; // from both tiers
//! # Ok(())
//! # }
//! ```
//!
//! - [`Cache`] has the verbs, [`Builder`] puts one together, [`Settings`] are its numbers.
//! - [`Cache::with`] takes [`Options`] for one call, and answers in full: an [`Answer`] with its [`Source`] and age.
//! - Loaders answer as [`LoadResult`] says; [`Loaded`] says more than a value.
//! - [`Written`] and [`Removed`] say what became of a write, [`Stats`] what the cache has done.
//! - [`Deadlines`], [`Throttle`], [`Breaker`] and [`EarlyRefresh`] say what happens while things are slow or fail;
//!   [`Cache::health`] tells, and [`Cache::shutdown`] leaves in order.
//! - [`L1`], [`L2`] and [`Codec`] are yours to implement.
//!
//! What is promised, what it costs, and what is not here yet is in the README.

mod answer;
mod authoritative;
mod batch;
#[cfg(feature = "testing")]
#[doc(hidden)]
pub mod bench;
mod breaker;
mod budget;
mod builder;
mod bus;
mod cache;
mod call;
mod circuit;
mod claim;
mod codec;
mod coherence;
mod compress;
mod cover;
mod deadlines;
mod doubts;
mod early;
mod embedded;
mod far;
mod fill;
mod finish;
mod flight;
mod fly;
mod frame;
mod guard;
mod health;
mod hear;
mod holdoff;
mod invalidate;
mod invalidator;
mod landing;
mod learn;
mod load;
mod load_fn;
mod loader;
mod look;
mod loopback;
mod lost;
mod marks;
mod mend;
mod message;
mod near;
mod options;
mod outbox;
mod peers;
mod ration;
mod read;
mod refresh;
mod rejection;
mod running;
mod seeded;
mod settings;
mod shared;
mod shutdown;
mod stats;
mod stock;
mod throttle;
mod trust;
mod wall;
mod weight;
mod wire;
mod write;
mod written;

pub use answer::{Answer, Source};
pub use authoritative::Authoritative;
pub use breaker::Breaker;
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
pub use coherence::Coherence;
pub use compress::Compression;
pub use deadlines::Deadlines;
pub use early::EarlyRefresh;
pub use embedded::Embedded;
pub use health::{Condition, Health, State};
pub use invalidator::Invalidator;
pub use loader::{Held, LoadResult, Loaded};
pub use loopback::Loopback;
pub use options::{Access, Options};
pub use rejection::Rejection;
pub use settings::Settings;
pub use shutdown::Farewell;
pub use stats::Stats;
pub use throttle::Throttle;
#[cfg(feature = "testing")]
pub use tiered_core::testing;
pub use tiered_core::{
    Backplane, Begun, Bound, BoxError, Claim, Claimed, Clock, Codec, Entry, Error, ErrorKind,
    Expiry, Fill, Hold, Key, Kind, L1, L2, ManualClock, Mark, NewMark, News, Random, Record,
    Result, Seen, Stamp, Subscription, Tags, Tick, Usage, Version, Write,
};
#[cfg(feature = "moka")]
pub use tiered_moka::Moka;
#[cfg(feature = "redis")]
pub use tiered_redis::{Redis, RedisOptions};
pub use written::{Outcome, Removed, Written};
