//! The other nodes, as far as one hears of them.

use std::collections::HashMap;
use std::time::Duration;

use tiered_core::Tick;

/// How many nodes are told apart.
const MOST_PEERS: usize = 4_096;

/// Who sends under this name does not count.
const NOBODY: u64 = 0;

/// Each sender's next number, and when it was last heard.
pub(crate) struct Peers {
    patience: Duration,
    peers: HashMap<u64, Peer>,
}

struct Peer {
    next: u64,
    heard: Tick,
}

impl Peers {
    /// Who says nothing for so long is silent.
    pub(crate) fn new(patience: Duration) -> Self {
        let peers = HashMap::new();
        Self { patience, peers }
    }

    /// Something was missed before this message. A sender of whom nothing was known may have said something before, unless this
    /// is its first message; what comes late or twice was missed or heard already. Sender 0 does not count.
    pub(crate) fn has_missed(&mut self, sender: u64, number: u64, now: Tick) -> bool {
        if sender == NOBODY {
            return false;
        }
        if self.peers.len() >= MOST_PEERS && !self.peers.contains_key(&sender) {
            self.peers.clear();
        }
        let first = Peer {
            next: 1,
            heard: now,
        };
        let peer = self.peers.entry(sender).or_insert(first);
        let has_missed = number > peer.next;
        peer.next = peer.next.max(number.saturating_add(1));
        peer.heard = now;
        has_missed
    }

    /// Messages may have been missed, and with them the first word of somebody: whoever it was has to say something soon.
    pub(crate) fn miss(&mut self, now: Tick) {
        let next = 0;
        self.peers.insert(NOBODY, Peer { next, heard: now });
    }

    /// When the one was heard last who has been silent for longest.
    pub(crate) fn longest_silence(&self) -> Option<Tick> {
        self.peers.values().map(|peer| peer.heard).min()
    }

    /// This node has said that it goes.
    pub(crate) fn forget(&mut self, sender: u64) {
        self.peers.remove(&sender);
    }

    /// Somebody has not been heard for too long: it may have died with a message unsent. It is forgotten.
    pub(crate) fn any_is_silent(&mut self, now: Tick) -> bool {
        let before = self.peers.len();
        self.peers
            .retain(|_, peer| now.since(peer.heard) < self.patience);
        self.peers.len() < before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tick(millis: i64) -> Tick {
        Tick::from_nanos(millis * 1_000_000)
    }

    #[test]
    fn a_message_that_is_missing_is_missed_once() {
        let mut peers = Peers::new(Duration::from_secs(1));
        let mut missed = |number| peers.has_missed(7, number, tick(0));
        assert!(!missed(1));
        assert!(!missed(2));
        assert!(missed(4));
        assert!(!missed(3), "it comes late");
        assert!(!missed(5));
        assert!(!peers.has_missed(0, 9, tick(0)), "nobody counts there");
        assert!(
            peers.has_missed(8, 2, tick(0)),
            "its first message is missing"
        );
    }

    #[test]
    fn who_goes_without_a_word_is_noticed() {
        let mut peers = Peers::new(Duration::from_secs(1));
        peers.has_missed(7, 1, tick(0));
        peers.has_missed(8, 1, tick(0));
        peers.forget(8);
        assert!(!peers.any_is_silent(tick(999)));
        assert!(peers.any_is_silent(tick(1_000)));
        assert!(!peers.any_is_silent(tick(9_000)));
    }
}
