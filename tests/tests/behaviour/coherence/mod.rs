//! How nodes keep together: what each of them may serve, load and store after another one has changed something.

mod after;
mod backplane;
mod batches;
mod claims;
mod clear;
mod doubts;
mod fence;
mod hold_ups;
mod invalidation;
mod invalidator;
mod keys;
mod life;
pub(crate) mod line;
mod recovery;
mod redis;
mod stale;
mod tag_races;
mod tags;
mod trust;
pub(crate) mod world;
