use std::time::Duration;

use crate::dice::Dice;

/// Most delays are short, some are not.
#[derive(Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) usual: Duration,
    pub(crate) longest: Duration,
    long_ones: u64,
}

impl Pace {
    pub(crate) const fn prompt(millis: u64) -> Self {
        let usual = Duration::from_millis(millis);
        Self {
            usual,
            longest: usual,
            long_ones: 0,
        }
    }

    pub(crate) const fn uneven(usual: u64, longest: u64, long_ones: u64) -> Self {
        Self {
            usual: Duration::from_millis(usual),
            longest: Duration::from_millis(longest),
            long_ones,
        }
    }

    pub(crate) fn draw(&self, dice: &Dice) -> Duration {
        let is_long = dice.permille(self.long_ones);
        dice.up_to(if is_long { self.longest } else { self.usual })
    }
}
