//! Inner parts by themselves, so that a bench can hold each against what it is made of. Not part of the API.

use std::sync::Arc;
use std::time::Duration;

use tiered_core::{Begun, Clock, Codec, Entry, Record, Version};

use crate::settings::Settings;
use crate::wire::{Address, Now, Wire};

/// What stands between a value and its record.
#[expect(missing_debug_implementations, reason = "it is seen by benches only")]
pub struct Frames<V> {
    wire: Wire<V>,
    clock: Clock,
}

impl<V: 'static> Frames<V> {
    pub fn new(codec: impl Codec<V>, settings: &Settings) -> Self {
        Self {
            wire: Wire::new("bench", Box::new(codec), settings),
            clock: Clock::system(),
        }
    }

    pub fn encode(&self, name: &str, value: &Arc<V>) -> Option<Record> {
        let now = self.clock.now();
        let until = now.plus(Duration::from_secs(300));
        let entry = Entry {
            value: Some(Arc::clone(value)),
            version: Version::from_bytes([7; 8]),
            begun: Begun::new(0, now),
            created: now,
            fresh_until: until,
            stale_until: until,
            load_millis: 0,
            weight: 0,
            tags: None,
        };
        let packed = self
            .wire
            .pack(address(name), &entry, self.clock.wall())
            .ok()?;
        Some(packed.record)
    }

    pub fn decode(&self, name: &str, record: &Record) -> Option<Arc<V>> {
        self.wire
            .unpack(address(name), record, self.now())
            .ok()?
            .entry
            .value
    }
}

impl<V> Frames<V> {
    fn now(&self) -> Now {
        Now {
            tick: self.clock.now(),
            wall: self.clock.wall(),
        }
    }
}

fn address(name: &str) -> Address<'_> {
    let space = Version::from_bytes([9; 8]);
    Address { name, space }
}
