//! A world without a kernel: a shard's connections are [`Peer`]s in the memory of its own thread.
//!
//! What a peer has sent is copied into a receive buffer, as the kernel would; what the shard sends
//! is read where it lies. Everything completes at the next `reap`. Nothing ever goes wrong here.

use std::collections::VecDeque;

use ringway_shards::limits::{
    LARGE_BUFFER_BYTES, LARGE_BUFFERS, SMALL_BUFFER_BYTES, SMALL_BUFFERS,
};
use ringway_shards::machine::clock::{monotonic_ns, thread_cpu_ns, wall_ns};
use ringway_shards::world::{BufferId, BufferSize, Completion, Outgoing, PeerEnd, Token, World};

use super::peer::Peer;

/// As the kernel says that an operation was cancelled: `-ECANCELED`.
const CANCELLED: i32 = -125;

/// A connection, by the number of its peer.
#[derive(Debug)]
pub struct PeerSocket(usize);

/// One peer and what its shard asks of its connection.
#[derive(Debug, Default)]
struct Connection {
    peer: Peer,
    /// The receive that is armed, and the size of its buffers.
    receive: Option<(Token, BufferSize)>,
}

/// A group of receive buffers.
#[derive(Debug)]
struct Buffers {
    memory: Vec<Box<[u8]>>,
    free: Vec<u16>,
}

impl Buffers {
    fn new(count: u16, bytes: usize) -> Self {
        let memory = (0..count).map(|_| vec![0; bytes].into_boxed_slice()).collect();
        Self { memory, free: (0..count).rev().collect() }
    }
}

/// The world of one shard that drives itself.
#[derive(Debug)]
pub struct OwnWorld {
    connections: Vec<Connection>,
    ready: VecDeque<Completion>,
    /// What is being sent, by the slot of the connection.
    sending: Vec<Option<Outgoing>>,
    /// Small, then large.
    buffers: [Buffers; 2],
}

impl OwnWorld {
    /// A world in which so many peers connect.
    pub fn new(peers: usize) -> Self {
        Self {
            connections: (0..peers).map(|_| Connection::default()).collect(),
            ready: VecDeque::new(),
            sending: Vec::new(),
            buffers: [
                Buffers::new(SMALL_BUFFERS, SMALL_BUFFER_BYTES),
                Buffers::new(LARGE_BUFFERS, LARGE_BUFFER_BYTES),
            ],
        }
    }

    /// The peers.
    pub fn peers(&mut self) -> impl Iterator<Item = &mut Peer> {
        self.connections.iter_mut().map(|connection| &mut connection.peer)
    }

    fn complete(&mut self, token: Token, result: i32) {
        self.ready.push_back(Completion { token, result, more: false, buffer: None });
    }
}

impl Connection {
    /// Moves what the peer has sent into a buffer, if a receive waits for it and one is free.
    #[inline]
    fn deliver(&mut self, buffers: &mut [Buffers; 2]) -> Option<Completion> {
        let (token, size) = self.receive?;
        if self.peer.outbox.is_empty() {
            return None;
        }
        let group = &mut buffers[size as usize];
        let index = group.free.pop()?;
        let (memory, unsent) = (&mut group.memory[usize::from(index)], self.peer.outbox.unsent());
        let length = unsent.len().min(memory.len());
        memory[..length].copy_from_slice(&unsent[..length]);
        self.peer.outbox.advance(length);
        let buffer = Some(BufferId { size, index });
        Some(Completion { token, result: length as i32, more: true, buffer })
    }
}

impl World for OwnWorld {
    type Socket = PeerSocket;

    fn now_ns(&mut self) -> u64 {
        monotonic_ns()
    }

    fn wall_ms(&mut self) -> u64 {
        wall_ns() / 1_000_000
    }

    fn cpu_ns(&mut self) -> u64 {
        thread_cpu_ns()
    }

    fn pending(&self) -> bool {
        let has_sent = |connection: &Connection| {
            connection.receive.is_some() && !connection.peer.outbox.is_empty()
        };
        !self.ready.is_empty() || self.connections.iter().any(has_sent)
    }

    fn reap(&mut self, completions: &mut Vec<Completion>) {
        completions.extend(self.ready.drain(..));
        let Self { connections, buffers, .. } = self;
        completions.extend(connections.iter_mut().filter_map(|one| one.deliver(buffers)));
    }

    fn accept(&mut self, _listener: u32, token: Token) {
        // All of them connect at once, and nobody after that.
        for number in 0..self.connections.len() {
            let result = number as i32;
            self.ready.push_back(Completion { token, result, more: true, buffer: None });
        }
    }

    fn accepted(&mut self, result: i32) -> PeerSocket {
        PeerSocket(usize::try_from(result).expect("no accept fails here"))
    }

    fn receive(&mut self, socket: &PeerSocket, token: Token, size: BufferSize) {
        self.connections[socket.0].receive = Some((token, size));
    }

    fn received(&self, buffer: BufferId, length: usize) -> &[u8] {
        &self.buffers[buffer.size as usize].memory[usize::from(buffer.index)][..length]
    }

    fn give_back(&mut self, buffer: BufferId) {
        self.buffers[buffer.size as usize].free.push(buffer.index);
    }

    fn send(&mut self, socket: &PeerSocket, token: Token, outgoing: Outgoing) {
        let peer = &mut self.connections[socket.0].peer;
        outgoing.slices().for_each(|slice| peer.hear(slice));
        let slot = token.slot() as usize;
        if self.sending.len() <= slot {
            self.sending.resize_with(slot + 1, || None);
        }
        self.complete(token, outgoing.len() as i32);
        self.sending[slot] = Some(outgoing);
    }

    fn take_back(&mut self, token: Token) -> Outgoing {
        self.sending[token.slot() as usize].take().expect("a connection has one send")
    }

    fn cancel(&mut self, target: Token, token: Token) {
        let armed = |connection: &&mut Connection| {
            connection.receive.is_some_and(|(token, _)| token == target)
        };
        if let Some(connection) = self.connections.iter_mut().find(armed) {
            connection.receive = None;
            self.complete(target, CANCELLED);
        }
        self.complete(token, 0);
    }

    fn cancel_all(&mut self, socket: &PeerSocket, token: Token) {
        if let Some((receive, _)) = self.connections[socket.0].receive.take() {
            self.complete(receive, CANCELLED);
        }
        self.complete(token, 0);
    }

    fn peer_end(&mut self, _socket: &PeerSocket) -> PeerEnd {
        PeerEnd::Open
    }

    fn shutdown(&mut self, _socket: &PeerSocket) {}

    fn close(&mut self, _socket: PeerSocket) {}

    fn submit(&mut self) {}

    fn ring_doorbell(&mut self, _shard: usize) {
        // No shard sleeps here.
    }
}
