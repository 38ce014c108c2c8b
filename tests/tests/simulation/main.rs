//! Nodes of one namespace in a world of chance: their L2 and backplane delay, fail, hang, forget and lie about it, their source fails
//! and hangs, their clocks are wrong, and the nodes crash, freeze and leave. Everything is decided by a seed, so that every failure
//! replays.
//!
//! Each node runs the real cache on a runtime of its own, all on one thread. Time is a manual clock that jumps from event to
//! event. Between two events every node runs until it waits; what happens between two waits of one node is not taken apart.
//!
//! What is held against what was promised, and where:
//!
//! - `judge`: no answer is older than an invalidation allows, nor than its own life; what is marked stale only where it may be.
//! - `probe`: L2 holds nothing that an acknowledged invalidation should have ended.
//! - `failures`: a read fails only as its loader does, or because nothing could come in time, and never where `copies` knows of an
//!   older copy that may serve.
//! - `waits`: every wait ends within its budget; `wishes`: and no sooner than that is anybody kept from an older copy.
//! - `loads`: a load is given up in time; `exclusion`: where nothing goes wrong, a key is loaded once at a time.
//! - `farewell`: who leaves leaves nothing behind; `rest`: in the end all agree, and nothing is left over.
//!
//! `TIERED_SIMULATION_SEEDS=n` runs n seeds, `TIERED_SIMULATION_SEED=k` one, with a trace of its steps. A seed's world is of the kind
//! that its number says: see `profile`.

#[cfg(test)]
mod books;
#[cfg(test)]
mod caller;
#[cfg(test)]
mod copies;
#[cfg(test)]
mod datum;
#[cfg(test)]
mod dice;
#[cfg(test)]
mod errand;
#[cfg(test)]
mod exclusion;
#[cfg(test)]
mod failures;
#[cfg(test)]
mod farewell;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod hub;
#[cfg(test)]
mod journal;
#[cfg(test)]
mod judge;
#[cfg(test)]
mod ledger;
#[cfg(test)]
mod link;
#[cfg(test)]
mod loader;
#[cfg(test)]
mod loads;
#[cfg(test)]
mod node;
#[cfg(test)]
mod pace;
#[cfg(test)]
mod probe;
#[cfg(test)]
mod profile;
#[cfg(test)]
mod rest;
#[cfg(test)]
mod seeds;
#[cfg(test)]
mod server;
#[cfg(test)]
mod settings;
#[cfg(test)]
mod shelf;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod source;
#[cfg(test)]
mod timeline;
#[cfg(test)]
mod troubles;
#[cfg(test)]
mod view;
#[cfg(test)]
mod waits;
#[cfg(test)]
mod wishes;
#[cfg(test)]
mod world;
#[cfg(test)]
mod writes;
