//! A client that breaks the protocol, or connects and goes: whatever it does must harm nobody else.

use super::Outside;
use super::peer::{Peer, Standing};
use crate::chance::Chance;

/// A client without manners.
pub struct Vandal {
    chance: Chance,
    listeners: usize,
    peer: Option<Peer>,
    rests_until_ns: u64,
    calm: bool,
}

impl Vandal {
    /// One that connects to any of so many listeners.
    pub fn new(chance: Chance, listeners: usize) -> Self {
        Self { chance, listeners, peer: None, rests_until_ns: 0, calm: false }
    }

    /// From now on it stays away.
    pub fn calm(&mut self, outside: &mut Outside<'_>) {
        self.calm = true;
        if let Some(mut peer) = self.peer.take() {
            peer.abort(outside);
        }
    }

    /// Does some harm.
    pub fn step(&mut self, outside: &mut Outside<'_>) {
        let now_ns = outside.network.now_ns();
        let Some(mut peer) = self.peer.take() else {
            if !self.calm && now_ns >= self.rests_until_ns {
                let listener = self.chance.below(self.listeners);
                self.peer = Peer::connect(listener, outside);
                self.rests_until_ns = now_ns + self.chance.between(0, 2_000_000);
            }
            return;
        };
        if self.chance.once_in(10) {
            match self.chance.below(3) {
                0 => return peer.close(outside),
                1 => return peer.abort(outside),
                _ => {
                    peer.spoil(&junk(&mut self.chance), outside);
                }
            }
        }
        peer.write(&mut self.chance, outside);
        if peer.read(&mut self.chance, outside, &mut Vec::new()) == Standing::Alive {
            self.peer = Some(peer);
        }
    }
}

/// Bytes that are no request.
pub fn junk(chance: &mut Chance) -> Vec<u8> {
    match chance.below(4) {
        // A header that announces 4 GiB.
        0 => [&[0xff; 4][..], &[4, 0, 0, 0], &[0; 8]].concat(),
        // A kind that nobody knows.
        1 => [&[0; 4][..], &[99, 0, 0, 0], &[0; 8]].concat(),
        // A put whose body ends in the middle of its first field.
        2 => [&[3, 0, 0, 0][..], &[4, 0, 0, 0], &[0; 8], &[1; 3]].concat(),
        // Anything.
        _ => (0..chance.magnitude(200)).map(|_| chance.below(256) as u8).collect(),
    }
}
