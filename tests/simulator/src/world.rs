//! The simulated world of one shard: the [`World`] that its kernel in the [`Network`] stands
//! behind.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use ringway_shards::limits::TURN_NS;
use ringway_shards::world::{BufferId, BufferSize, Completion, Outgoing, PeerEnd, Token, World};

use crate::canary::Canary;
use crate::network::{Network, Posted, Work};
use ringway_checker::clients::ClientSide;
use ringway_checker::clients::queues::HOUR_MS;

/// How many times too fast the clock of a shard runs whose leases end too early.
const HASTE: u64 = 8;
/// How many times too slow the clock of a shard runs that keeps what has expired.
const SLOWNESS: u64 = 4;
/// What is left in a receive buffer that was given back.
const POISON: u8 = 0xa5;

/// A socket of the simulated network; closed when it is dropped.
#[derive(Debug)]
pub struct SimSocket {
    number: usize,
    /// Counted by the network, which closes a connection whose socket has gone.
    _held: Arc<()>,
}

/// One shard's world.
pub struct SimWorld {
    network: Rc<RefCell<Network>>,
    shard: usize,
    /// The network's number of each listener that the shard may name.
    listeners: Vec<usize>,
    /// The memory of both groups of receive buffers, small then large.
    memory: [Vec<Vec<u8>>; 2],
    /// The clock's reading when the shard was made: where a clock that is wrong starts from.
    started_ns: u64,
    /// Whether the shard has read both clocks in this turn, and how much later it is when it reads
    /// one again.
    has_read: bool,
    late_ns: u64,
}

impl SimWorld {
    /// The world of a shard, which may accept on `listeners` (by their number in the network).
    pub fn new(network: Rc<RefCell<Network>>, shard: usize, listeners: Vec<usize>) -> Self {
        let (buffers, started_ns) = {
            let network = network.borrow();
            (network.faults().buffers, network.now_ns())
        };
        let memory = buffers.map(|(count, _)| vec![Vec::new(); usize::from(count)]);
        Self { network, shard, listeners, memory, started_ns, has_read: false, late_ns: 0 }
    }

    fn buffer(&self, buffer: BufferId) -> &Vec<u8> {
        &self.memory[buffer.size as usize][usize::from(buffer.index)]
    }
}

impl World for SimWorld {
    type Socket = SimSocket;

    fn now_ns(&mut self) -> u64 {
        let network = self.network.borrow();
        let late_ns = if self.has_read { self.late_ns } else { 0 };
        let now_ns = network.now_ns() + late_ns;
        match network.canary() {
            Some(Canary::LeaseForgotten) => self.started_ns,
            Some(Canary::LeaseCutShort) => self.started_ns + (now_ns - self.started_ns) * HASTE,
            Some(Canary::ExpiredKept) => self.started_ns + (now_ns - self.started_ns) / SLOWNESS,
            _ => now_ns,
        }
    }

    fn wall_ms(&mut self) -> u64 {
        self.has_read = true;
        let network = self.network.borrow();
        let ahead = network.canary() == Some(Canary::DueEarly);
        network.wall_ms() + if ahead { HOUR_MS } else { 0 }
    }

    fn cpu_ns(&mut self) -> u64 {
        self.network.borrow().now_ns() - self.started_ns
    }

    fn pending(&self) -> bool {
        self.network.borrow().pending(self.shard)
    }

    fn reap(&mut self, completions: &mut Vec<Completion>) {
        for Posted { completion, bytes } in self.network.borrow_mut().reap(self.shard) {
            if let Some(BufferId { size, index }) = completion.buffer {
                self.memory[size as usize][usize::from(index)] = bytes;
            }
            completions.push(completion);
        }
    }

    fn accept(&mut self, listener: u32, token: Token) {
        let listener = self.listeners[listener as usize];
        self.network.borrow_mut().ask(self.shard, token, Work::Accept { listener });
    }

    fn accepted(&mut self, result: i32) -> SimSocket {
        let number = usize::try_from(result).expect("an accept that failed names no socket");
        let held = self.network.borrow_mut().accepted(self.shard, number);
        SimSocket { number, _held: held }
    }

    fn receive(&mut self, socket: &SimSocket, token: Token, size: BufferSize) {
        let work = Work::Receive { connection: socket.number, size };
        self.network.borrow_mut().ask(self.shard, token, work);
    }

    fn received(&self, buffer: BufferId, length: usize) -> &[u8] {
        let lent = self.network.borrow().is_lent(self.shard, buffer.size, buffer.index);
        assert!(lent, "shard {} reads {buffer:?}, which it has given back", self.shard);
        let bytes = self.buffer(buffer);
        let received = bytes.len();
        assert!(length <= received, "{buffer:?} has {received} bytes, not {length}");
        &bytes[..length]
    }

    fn give_back(&mut self, buffer: BufferId) {
        self.network.borrow_mut().give_back(self.shard, buffer.size, buffer.index);
        self.memory[buffer.size as usize][usize::from(buffer.index)].fill(POISON);
    }

    fn send(&mut self, socket: &SimSocket, token: Token, outgoing: Outgoing) {
        self.network.borrow_mut().ask_send(self.shard, socket.number, token, outgoing);
    }

    fn take_back(&mut self, token: Token) -> Outgoing {
        self.network.borrow_mut().take_back(self.shard, token)
    }

    fn cancel(&mut self, target: Token, token: Token) {
        self.network.borrow_mut().ask_cancel(self.shard, target, token);
    }

    fn cancel_all(&mut self, socket: &SimSocket, token: Token) {
        self.network.borrow_mut().ask_cancel_all(self.shard, socket.number, token);
    }

    fn peer_end(&mut self, socket: &SimSocket) -> PeerEnd {
        self.network.borrow().peer_end(socket.number)
    }

    fn shutdown(&mut self, socket: &SimSocket) {
        self.network.borrow_mut().shut_down(self.shard, socket.number);
    }

    fn close(&mut self, socket: SimSocket) {
        let mut network = self.network.borrow_mut();
        if network.canary() == Some(Canary::CloseForgotten) {
            // The socket is leaked, as by a shard that loses track of a slot.
            return std::mem::forget(socket);
        }
        network.ask_close(self.shard, socket.number);
    }

    fn submit(&mut self) {
        let mut network = self.network.borrow_mut();
        network.submit(self.shard);
        self.has_read = false;
        self.late_ns = if network.is_slow() { TURN_NS } else { 0 };
    }

    fn ring_doorbell(&mut self, shard: usize) {
        self.network.borrow_mut().ring(self.shard, shard);
    }
}
