//! The contract of [`L2`] as a function.

mod batches;
#[cfg(test)]
mod broken;
mod change;
mod claim;
mod expiry;
mod fill;
mod hold;
mod lives;
mod marks;
mod outcome;
mod probe;
mod records;
mod sample;
mod time;
#[cfg(test)]
mod toy;
#[cfg(test)]
mod toy_fence;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use self::probe::Probe;
use crate::L2;

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(40);
/// Long enough to do something before it is over.
const BRIEF: Duration = Duration::from_secs(1);
/// Longer than `BRIEF` by more than the resolution of any clock.
const PAUSE: Duration = Duration::from_millis(1_150);

const GONE: &str = "what was removed is not found";

/// Holds a store against the contract written at [`L2`], but for what takes a broken server to show. Its backplane, if
/// it has one, is held against [`backplane::contract`](super::backplane::contract).
///
/// `pass` lets so much of the store's time go by: give `tokio::time::sleep` for a store that runs on the machine's
/// clock, or move a [`ManualClock`](crate::ManualClock). It is asked for little more than a second, once. Nobody may set
/// the store's clock meanwhile.
///
/// The store may be in use by others. Touched are the empty key, and keys and marks under a random prefix of this
/// run's own. The keys are removed at the end; marks, and what the store notes beside records, end by themselves within
/// a minute. The store needs room for 8 MiB.
///
/// ```
/// use std::{future::ready, sync::Arc};
/// use tiered_core::{L2, ManualClock, testing};
///
/// async fn my_store_keeps_the_contract(store: Arc<dyn L2>, clock: ManualClock) {
///     testing::l2::contract(store, |time| {
///         clock.advance(time);
///         ready(())
///     }).await;
/// }
/// ```
///
/// # Panics
/// When a rule is broken; the message names it.
pub async fn contract<F, Fut>(store: Arc<dyn L2>, pass: F)
where
    F: Fn(Duration) -> Fut,
    Fut: Future<Output = ()>,
{
    let probe = &Probe::new(store);
    records::contract(probe).await;
    expiry::contract(probe).await;
    claim::contract(probe).await;
    fill::contract(probe).await;
    hold::contract(probe).await;
    expiry::a_placeholder_is_removed(probe).await;
    batches::contract(probe).await;
    marks::contract(probe).await;
    records::lives_begin(probe).await;
    marks::lives_begin(probe).await;
    let lives = lives::begin(probe).await;
    let begun = time::begin(probe).await;
    pass(PAUSE).await;
    time::end(probe, begun).await;
    records::lives_end(probe).await;
    marks::lives_end(probe).await;
    lives.end(probe).await;
    probe.leave().await;
}
