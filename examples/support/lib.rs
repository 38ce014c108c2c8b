//! What the examples have in common: a `redis-server` of their own, the troubles on the way to it, and how they tell
//! time and failures.

#![expect(
    clippy::missing_errors_doc,
    reason = "a `Failure` says by itself what could not be done"
)]

mod address;
mod failure;
mod freeze;
mod moment;
mod proxy;
mod server;
mod spread;

pub use address::Address;
pub use failure::Failure;
pub use freeze::{freeze, thaw};
pub use moment::{Moment, resolution};
pub use proxy::{Proxy, Trouble};
pub use server::Server;
pub use spread::{Spread, millis};
