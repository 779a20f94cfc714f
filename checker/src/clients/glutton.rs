//! A client that asks for far more than it reads, until the server stops reading from it; then it
//! wants everything.

use ringway_protocol::Request;

use super::Outside;
use super::peer::{Asked, Peer, Standing};
use crate::chance::Chance;
use crate::{Ask, parcel};

/// Bytes of each echo that it asks for.
const ECHO_BYTES: usize = 700_000;
/// Echoes in flight: more than a connection may owe, and than pipes and buffers hold besides.
const ECHOES: usize = 20;
/// Pieces that it writes in one step.
const PIECES: usize = 32;
/// Steps without progress after which it knows that the server does not read any more.
const STUCK_STEPS: u32 = 300;

/// A slow reader with a big appetite.
pub struct Glutton {
    chance: Chance,
    listener: usize,
    peer: Option<Peer>,
    asked: usize,
    stuck_steps: u32,
    reads: bool,
}

impl Glutton {
    /// One that connects to this listener.
    pub fn new(chance: Chance, listener: usize) -> Self {
        Self { chance, listener, peer: None, asked: 0, stuck_steps: 0, reads: false }
    }

    /// From now on it reads.
    pub fn calm(&mut self) {
        self.reads = true;
    }

    /// Whether everything that it asked for has come back.
    pub fn is_done(&self) -> bool {
        self.peer.as_ref().is_none_or(|peer| peer.outstanding() == 0)
    }

    /// Parts in order.
    pub fn leave(&mut self, outside: &mut Outside<'_>) {
        if let Some(mut peer) = self.peer.take() {
            peer.close(outside);
        }
    }

    /// Asks and writes until it is stuck; then reads.
    pub fn step(&mut self, outside: &mut Outside<'_>) {
        if self.peer.is_none() && self.asked == 0 && !self.reads {
            self.peer = Peer::connect(self.listener, outside);
        }
        let Some(mut peer) = self.peer.take() else { return };
        while self.asked < ECHOES && !self.reads {
            self.asked += 1;
            let body = parcel::payload(self.asked as u64, ECHO_BYTES);
            peer.ask(Asked::Echo(body.clone()), Ask::Other, 0, outside, |name, out| {
                Request::Echo(&body).encode(name.0, name.1, out);
            });
        }
        let before = peer.unwritten();
        (0..PIECES).for_each(|_| peer.write(&mut self.chance, outside));
        let stuck = !self.reads && before > 0 && peer.unwritten() == before;
        self.stuck_steps = if stuck { self.stuck_steps + 1 } else { 0 };
        if self.stuck_steps == STUCK_STEPS {
            outside.network.count("slow readers held back");
            self.reads = true;
        }
        let standing = if self.reads {
            peer.read_much(&mut self.chance, outside, &mut Vec::new())
        } else {
            Standing::Alive
        };
        if standing == Standing::Alive {
            self.peer = Some(peer);
        }
    }
}
