use std::time::Duration;

use tiered::{Clock, ManualClock};
use tiered_examples::Moment;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// A clock that runs as the machine's does, and shows another time of day. It stands still when this is dropped.
pub(crate) struct Skew {
    hand: ManualClock,
    /// How far ahead it is, in milliseconds.
    ahead: i64,
    work: JoinHandle<()>,
}

impl Skew {
    /// A clock that shows the right time, at first.
    pub(crate) fn start() -> Self {
        let hand = ManualClock::new();
        let (right, shown) = (Clock::system().wall(), Clock::from(hand.clone()).wall());
        hand.jump_wall(difference(right.millis(), shown.millis()));
        Self {
            work: tokio::spawn(run(hand.clone())),
            hand,
            ahead: 0,
        }
    }

    pub(crate) fn clock(&self) -> Clock {
        self.hand.clone().into()
    }

    /// Sets it, so many milliseconds ahead of the machine's clock.
    pub(crate) fn set(&mut self, ahead: i64) {
        self.hand.jump_wall(ahead - self.ahead);
        self.ahead = ahead;
    }
}

impl Drop for Skew {
    fn drop(&mut self) {
        self.work.abort();
    }
}

async fn run(hand: ManualClock) {
    let mut shown = Moment::now();
    loop {
        sleep(Duration::from_millis(1)).await;
        let now = Moment::now();
        hand.advance(now.since(shown));
        shown = now;
    }
}

fn difference(later: u64, earlier: u64) -> i64 {
    let signed = |millis| i64::try_from(millis).unwrap_or(i64::MAX);
    signed(later) - signed(earlier)
}
