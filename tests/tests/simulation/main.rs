//! Nodes of one namespace in a world of chance: their L2 and backplane delay, fail, forget and lie about it, and the nodes crash
//! and freeze. Everything is decided by a seed, so that every failure replays.
//!
//! Each node runs the real cache on a runtime of its own, all on one thread. Time is a manual clock that jumps from event to
//! event. Between two events every node runs until it waits; what happens between two waits of one node is not taken apart.
//!
//! `TIERED_SIMULATION_SEEDS=n` runs n seeds, `TIERED_SIMULATION_SEED=k` one, with a trace of its steps.

#[cfg(test)]
mod books;
#[cfg(test)]
mod caller;
#[cfg(test)]
mod datum;
#[cfg(test)]
mod dice;
#[cfg(test)]
mod exclusion;
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
mod node;
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
mod shelf;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod source;
#[cfg(test)]
mod timeline;
#[cfg(test)]
mod world;
#[cfg(test)]
mod writes;
