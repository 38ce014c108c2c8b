//! What a cache does while its source, its L2 or its backplane fails or is slow, and when it leaves.

mod abandon;
mod authoritative;
mod batch_budget;
mod budget;
mod bulkhead;
mod clock;
mod conditional;
mod deadlines;
mod dropped;
mod early;
mod early_limits;
mod fallback;
mod farewell;
mod guard;
mod hard;
mod health;
mod hold_off;
mod outage;
mod probes;
mod recovery;
mod room;
mod shutdown;
mod world;
mod xfetch;
