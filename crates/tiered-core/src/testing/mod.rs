//! The contracts of the two tiers and of the backplane as functions that any implementation can be held against.
//!
//! Call [`l1::contract`], [`l2::contract`] and [`backplane::contract`] from a test of your own crate. They panic with the
//! rule that is broken, and know no runtime: time is passed by whatever the caller gives them.

pub mod backplane;
pub mod l1;
pub mod l2;
