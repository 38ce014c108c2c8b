//! Behaviour of `tiered` through its public API. One theme a file; one binary, because linking takes longest.

#[cfg(test)]
mod batches;
#[cfg(test)]
mod cancellation;
#[cfg(test)]
mod coherence;
#[cfg(test)]
mod degrade;
#[cfg(test)]
mod flights;
#[cfg(test)]
mod model;
#[cfg(test)]
mod one_step;
#[cfg(test)]
mod options;
#[cfg(test)]
mod reads;
#[cfg(test)]
mod redis;
#[cfg(test)]
mod stats;
#[cfg(test)]
mod support;
#[cfg(test)]
mod time;
#[cfg(test)]
mod writes;
