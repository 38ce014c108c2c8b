//! The contract of [`tiered`](https://docs.rs/tiered), a two-tier cache: what a tier, a codec and an entry are, who
//! reads time, and what an error says.
//!
//! Nothing here does I/O or knows a runtime. Implement [`L1`] or [`L2`] to bring a store of your own, [`Backplane`] to
//! bring a transport between nodes, [`Codec`] to
//! bring a serialization, and hold it against the written contract with the functions of `testing` (feature
//! `testing`). Users of the cache find all of these names re-exported by `tiered`.

mod backplane;
mod clock;
mod codec;
mod entry;
mod error;
mod fence;
mod key;
mod l1;
mod l2;
mod mark;
mod random;
mod record;
#[cfg(feature = "testing")]
pub mod testing;

pub use backplane::{Backplane, News, Subscription};
pub use clock::{Clock, ManualClock, Stamp, Tick};
pub use codec::Codec;
pub use entry::{Begun, Entry};
pub use error::{BoxError, Error, ErrorKind, Result};
pub use fence::{Claim, Claimed, Expiry, Fill, Hold, NewMark, Seen};
pub use key::Key;
pub use l1::{Bound, L1, Usage};
pub use l2::{L2, Write};
pub use mark::{Mark, Tags};
pub use random::Random;
pub use record::{Kind, Record, Version};
