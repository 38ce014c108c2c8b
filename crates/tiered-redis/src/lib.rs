//! L2 of [`tiered`](https://docs.rs/tiered), a two-tier cache, on Redis 6 or later, through fred.
//!
//! [`Redis`] is a handle to one server; it implements [`L2`](tiered_core::L2) and [`Backplane`](tiered_core::Backplane).
//! It reconnects for ever, and while the server is away every operation fails at once.
//!
//! The feature `tls` makes `rediss://` addresses work.

mod address;
mod arming;
mod batch;
mod bus;
mod call;
mod channel;
mod clock;
mod commands;
mod connection;
mod ear;
mod error;
mod eviction;
mod fence;
mod line;
mod listener;
mod lock;
mod marks;
mod options;
mod reads;
mod redis;
mod scripts;
mod setup;
mod trial;

pub use options::RedisOptions;
pub use redis::Redis;
