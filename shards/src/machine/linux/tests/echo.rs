//! Whole conversations: many connections at once, everything that was sent comes back.

use super::*;
use crate::world::SegmentMemory;
use std::io::{Read, Write};

/// A shard as small as it gets: it sends back what it receives.
struct EchoShard {
    stage: Stage,
    size: BufferSize,
    /// Whether replies go out from segments instead of copied bytes.
    pinned: bool,
    peers: Vec<Peer>,
    closed: usize,
}

struct Peer {
    socket: Option<LinuxSocket>,
    waiting: Vec<u8>,
    sending: bool,
}

impl EchoShard {
    const ACCEPT: Token = Token(1 << 56);

    fn new(stage: Stage, size: BufferSize, pinned: bool) -> Self {
        Self { stage, size, pinned, peers: Vec::new(), closed: 0 }
    }

    fn run(&mut self, connections: usize) {
        let started = Instant::now();
        self.stage.world.accept(0, Self::ACCEPT);
        while self.closed < connections {
            assert!(started.elapsed() < PATIENCE, "{} of {connections} ended", self.closed);
            for completion in self.stage.turn() {
                match completion.token.purpose() {
                    Some(Purpose::Accept) => self.accepted(completion),
                    Some(Purpose::Receive) => self.received(completion),
                    Some(Purpose::Send) => self.sent(completion),
                    other => panic!("{other:?} has completed"),
                }
            }
        }
        self.stage.settle();
    }

    fn accepted(&mut self, completion: Completion) {
        assert!(completion.result >= 0, "{completion:?}");
        let socket = self.stage.world.accepted(completion.result);
        self.stage.world.receive(&socket, receive_token(self.peers.len() as u32), self.size);
        self.peers.push(Peer { socket: Some(socket), waiting: Vec::new(), sending: false });
        if !completion.more {
            self.stage.world.accept(0, Self::ACCEPT);
        }
    }

    fn received(&mut self, completion: Completion) {
        let slot = completion.token.slot();
        let (world, peer) = (&mut self.stage.world, &mut self.peers[slot as usize]);
        if let Some(buffer) = completion.buffer {
            peer.waiting.extend_from_slice(world.received(buffer, completion.result as usize));
            world.give_back(buffer);
        }
        if completion.result == 0 {
            assert!(!completion.more, "the end of a stream is the end of a receive");
            assert!(peer.waiting.is_empty() && !peer.sending, "the client has read everything");
            world.close(peer.socket.take().expect("open"));
            self.closed += 1;
            return;
        }
        if !completion.more {
            assert!(completion.result > 0 || completion.result == -libc::ENOBUFS, "{completion:?}");
            world.receive(peer.socket.as_ref().expect("open"), completion.token, self.size);
        }
        self.send(slot);
    }

    fn send(&mut self, slot: u32) {
        let peer = &mut self.peers[slot as usize];
        if peer.waiting.is_empty() || peer.sending {
            return;
        }
        let outgoing = if self.pinned { in_holes(&peer.waiting) } else { copied(&peer.waiting) };
        assert_eq!(outgoing.len(), peer.waiting.len());
        peer.waiting.clear();
        peer.sending = true;
        let socket = peer.socket.as_ref().expect("open");
        self.stage.world.send(socket, send_token(slot), outgoing);
    }

    fn sent(&mut self, completion: Completion) {
        let slot = completion.token.slot();
        assert!(completion.result > 0 && !completion.more, "{completion:?}");
        let mut outgoing = self.stage.world.take_back(completion.token);
        outgoing.sent += completion.result as usize;
        assert!(outgoing.sent <= outgoing.len());
        let peer = &mut self.peers[slot as usize];
        peer.sending = outgoing.sent < outgoing.len();
        if peer.sending {
            let socket = peer.socket.as_ref().expect("open");
            self.stage.world.send(socket, completion.token, outgoing);
        } else {
            self.send(slot);
        }
    }
}

fn copied(bytes: &[u8]) -> Outgoing {
    Outgoing { bytes: bytes.to_vec(), ..Outgoing::default() }
}

/// Copied and pinned bytes in turn, as in a reply with holes.
fn in_holes(bytes: &[u8]) -> Outgoing {
    let (mut outgoing, mut segment) = (Outgoing::default(), SegmentMemory::new(bytes.len()));
    for (number, piece) in bytes.chunks(100).enumerate() {
        if number % 2 == 0 {
            outgoing.bytes.extend_from_slice(piece);
        } else {
            let start = segment.append(piece).expect("a segment as long as all pieces");
            outgoing.pin(segment.pin(start, piece.len()));
        }
    }
    outgoing
}

/// Sends everything while it reads everything, then ends the stream and waits for our end.
fn converse(address: SocketAddr, seed: usize, bytes: usize) {
    let sent = pattern(seed, bytes);
    let mut client = TcpStream::connect(address).expect("it listens");
    client.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let mut writer = client.try_clone().expect("a descriptor is left");
    let to_send = sent.clone();
    let writing = std::thread::spawn(move || writer.write_all(&to_send).expect("it is read"));
    let mut received = vec![0; bytes];
    client.read_exact(&mut received).expect("everything comes back");
    writing.join().expect("it has written");
    assert!(received == sent, "connection {seed} got other bytes than it sent");
    client.shutdown(std::net::Shutdown::Write).expect("open");
    assert_eq!(client.read(&mut received).expect("a clean end"), 0);
}

fn check(config: &LinuxConfig, size: BufferSize, pinned: bool, clients: usize, bytes: usize) {
    let stage = Stage::new(config);
    let address = stage.address;
    let start = |seed| std::thread::spawn(move || converse(address, seed, bytes));
    let conversations: Vec<_> = (0..clients).map(start).collect();
    let mut shard = EchoShard::new(stage, size, pinned);
    shard.run(clients);
    for conversation in conversations {
        conversation.join().expect("a conversation without a fault");
    }
    let world = &shard.stage.world;
    assert_eq!(world.buffers_free(BufferSize::Small), config.small_buffers);
    assert_eq!(world.buffers_free(BufferSize::Large), config.large_buffers);
    let accepting = 1;
    assert_eq!(world.under_way(), accepting, "only the accept is left");
}

#[test]
fn everything_comes_back_over_small_rings() {
    for mode in MODES {
        check(&small_config(mode), BufferSize::Small, false, 24, 100_000);
    }
}

#[test]
fn everything_comes_back_in_large_buffers_and_from_segments() {
    for mode in MODES {
        check(&small_config(mode), BufferSize::Large, true, 4, 1_000_000);
    }
}

#[test]
fn everything_comes_back_with_the_default_sizes() {
    for mode in MODES {
        let config = LinuxConfig { receive: mode, ..LinuxConfig::default() };
        check(&config, BufferSize::Large, true, 50, 200_000);
    }
}
