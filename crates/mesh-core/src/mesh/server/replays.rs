//! The answered first messages of handshakes. Each is answered once, so a recorded
//! message causes no work.

use std::collections::{HashSet, VecDeque};

/// The number of remembered messages; the oldest is forgotten first. A first
/// message contains no time, so it never becomes invalid by age.
const MOST: usize = 16_384;

/// The MAC identifies a message, because nobody can make another message with the same MAC.
type Mac = [u8; 32];

#[derive(Debug, Default)]
pub(super) struct Replays {
    seen: HashSet<Mac>,
    order: VecDeque<Mac>,
}

impl Replays {
    pub(super) fn has(&self, mac: &Mac) -> bool {
        self.seen.contains(mac)
    }

    pub(super) fn remember(&mut self, mac: Mac) {
        if !self.seen.insert(mac) {
            return;
        }
        self.order.push_back(mac);
        if self.order.len() > MOST
            && let Some(oldest) = self.order.pop_front()
        {
            self.seen.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_new_once_and_the_memory_of_them_is_bounded() {
        let mac = |n: usize| {
            let mut mac = Mac::default();
            mac[..8].copy_from_slice(&n.to_be_bytes());
            mac
        };
        let mut replays = Replays::default();
        for n in 0..2 * MOST {
            assert!(!replays.has(&mac(n)));
            replays.remember(mac(n));
            replays.remember(mac(n));
        }
        assert_eq!((replays.seen.len(), replays.order.len()), (MOST, MOST));
        assert!(replays.has(&mac(MOST)) && !replays.has(&mac(MOST - 1)));
    }
}
