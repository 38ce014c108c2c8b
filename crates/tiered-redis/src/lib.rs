//! L2 of [`tiered`](https://docs.rs/tiered), a two-tier cache, on Redis 6 or later, through fred.
//!
//! [`Redis`] is a handle to one server; it implements [`L2`](tiered_core::L2). It reconnects for ever, and while the
//! server is away every operation fails at once.
//!
//! The feature `tls` makes `rediss://` addresses work.

mod address;
mod batch;
mod call;
mod commands;
mod connection;
mod error;
mod line;
mod options;
mod reads;
mod redis;

pub use options::RedisOptions;
pub use redis::Redis;
