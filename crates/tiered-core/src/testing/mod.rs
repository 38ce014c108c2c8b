//! The contracts of the two tiers as functions that any implementation can be held against.
//!
//! Call [`l1::contract`] and [`l2::contract`] from a test of your own crate. They panic with the rule that is broken,
//! and know no runtime: time is passed by whatever the caller gives them.

pub mod l1;
pub mod l2;
