//! Requests that several shards carry out allocate nothing either: transfers, publishes, puts to
//! queues spread in order per key, and takes that ask part after part. (What a queue with keys
//! allocates for itself is left to it.)
//!
//! The count is of the whole process; the client below allocates nothing after its first round.

use ringway_protocol::greeting::Greet;
use ringway_protocol::limits::FRAME_BYTES_MAX;
use ringway_protocol::name::shard_of;
use ringway_protocol::pattern::Pattern;
use ringway_protocol::record::Attribute;
use ringway_protocol::request::{Binding, Publish, Put, Range, Take, encode_transfer};
use ringway_protocol::{
    Frame, GroupId, HEADER_BYTES, LeaseId, QueueId, QueueOptions, Records, Reply, Request, Split,
    SpreadOrder, frame, record,
};
use ringway_shards::plane::{Plane, PlaneConfig};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Rounds that are counted together: each of them has 9 requests on each of 4 connections.
const ROUNDS: u32 = 300;
/// Counts in a row that must be within what is allowed.
const CLEAN_COUNTS: u32 = 3;
/// Counts within which the plane must have warmed up and stayed so.
const COUNTS_MAX: u32 = 15;
/// Longer than the test: a shard that sleeps waits in glommio, which allocates for each sleep.
const SPIN: Duration = Duration::from_secs(600);
/// Allocations of one sleep and its wake-up, for hosts with one CPU, where shards do not spin.
const ALLOCATIONS_PER_PARK_MAX: u64 = 16;
/// Allocations that a round of one connection may cost: each of the two parts makes a table of keys
/// for the segment that its messages come to when it was empty, as any queue with keys does.
const ALLOCATIONS_PER_ROUND_MAX: u64 = 2;
/// Connections.
const PEERS: usize = 4;
/// Bytes of the lease's id in a transfer: after the header, the length, and the queue's id.
const LEASE_AT: usize = HEADER_BYTES + 8 + 8;
/// Messages of a batch for a spread queue, each with a key of its own.
const KEYS: u32 = 8;

struct Peer {
    socket: TcpStream,
    received: Box<[u8]>,
    length: usize,
    /// Puts a job and takes it.
    work: Vec<u8>,
    /// Puts its result; the lease is written over.
    transfer: Vec<u8>,
    /// Publishes, puts by key, and takes everything that came of it.
    rest: Vec<u8>,
}

impl Peer {
    fn connect(address: SocketAddr) -> Self {
        let socket = TcpStream::connect(address).expect("the plane listens");
        socket.set_read_timeout(Some(Duration::from_secs(30))).expect("a valid timeout");
        socket.set_nodelay(true).expect("TCP");
        let received = vec![0; 64 << 10].into_boxed_slice();
        let (work, transfer, rest) = Default::default();
        let mut peer = Self { socket, received, length: 0, work, transfer, rest };
        peer.ask(Request::Greet(Greet::new(b"")), |_| ());
        peer
    }

    fn ask<T>(&mut self, request: Request<'_>, read: impl FnMut(Reply<'_>) -> T) -> T {
        let mut bytes = Vec::new();
        request.encode(0, 1, &mut bytes);
        self.socket.write_all(&bytes).expect("the plane reads");
        self.read(read)
    }

    fn read<T>(&mut self, mut read: impl FnMut(Reply<'_>) -> T) -> T {
        loop {
            let split = frame::split(&self.received[..self.length], FRAME_BYTES_MAX);
            if let Split::Frame(Frame { header, body }) = split.expect("valid replies") {
                let length = HEADER_BYTES + body.len();
                let outcome = read(Reply::decode(Frame { header, body }).expect("a valid reply"));
                self.received.copy_within(length..self.length, 0);
                self.length -= length;
                return outcome;
            }
            let room = &mut self.received[self.length..];
            let count = self.socket.read(room).expect("a reply within the timeout");
            assert!(count > 0, "the plane closed the connection");
            self.length += count;
        }
    }

    fn declare(&mut self, name: &str, options: Option<QueueOptions>) -> QueueId {
        self.ask(Request::Declare { name, options }, |reply| match reply {
            Reply::Declared { queue, .. } => queue,
            other => panic!("{other:?}"),
        })
    }

    /// A queue on one of two shards.
    fn queue_on(&mut self, shard: usize, stem: &str) -> QueueId {
        let mut names = (0..).map(|number| format!("{stem}-{number}"));
        let name = names.find(|name| shard_of(name, 2) == shard).expect("a hash");
        self.declare(&name, None)
    }

    /// Its own queues, and the requests of a round.
    fn prepare(&mut self, number: usize) {
        let jobs = self.queue_on(number / 2 % 2, &format!("jobs-{number}"));
        let results = self.queue_on(1 - number / 2 % 2, &format!("results-{number}"));
        let topic = format!("topic-{number}");
        let bound = [0, 1].map(|shard| self.queue_on(shard, &format!("bound-{number}")));
        for queue in bound {
            let pattern = Pattern::new(&topic).expect("a valid pattern");
            self.ask(Request::Bind(Binding { queue, pattern }), |_| ());
        }
        let options =
            QueueOptions { spread: 2, spread_order: SpreadOrder::PerKey, ..Default::default() };
        let spread = self.declare(&format!("spread-{number}"), Some(options));
        let mut one = Vec::new();
        record::write(&mut one, &[], &[7; 100]);
        let one = Records::parse(&one, 1).expect("a record");
        let mut keyed = Vec::new();
        for key in 0..KEYS {
            record::write(&mut keyed, &[Attribute::Key(&key.to_le_bytes())], &[8; 100]);
        }
        let keyed = Records::parse(&keyed, KEYS).expect("valid records");
        Request::Put(Put::new(jobs, one)).encode(0, 1, &mut self.work);
        Request::Take(take(jobs, false)).encode(0, 2, &mut self.work);
        let put = Put::new(results, one);
        let all = [Range { first: 0, count: 1 }];
        encode_transfer((jobs, LeaseId::NONE), &all, &put, (0, 3), &mut self.transfer);
        let rest = &mut self.rest;
        Request::Take(take(results, true)).encode(0, 4, rest);
        Request::Publish(Publish { name: &topic, records: one }).encode(0, 5, rest);
        Request::Put(Put::new(spread, keyed)).encode(0, 6, rest);
        bound.iter().for_each(|queue| Request::Take(take(*queue, true)).encode(0, 7, rest));
        Request::Take(take(spread, true)).encode(0, 8, rest);
        Request::Take(take(spread, true)).encode(0, 8, rest);
    }

    fn round(&mut self) {
        self.socket.write_all(&self.work).expect("the plane reads");
        let mut lease = LeaseId::NONE;
        for _ in 0..2 {
            self.read(|reply| match reply {
                Reply::Delivery(delivery) => lease = delivery.lease,
                Reply::Put(_) => {}
                other => panic!("{other:?}"),
            });
        }
        assert_ne!(lease, LeaseId::NONE);
        self.transfer[LEASE_AT..LEASE_AT + 8].copy_from_slice(&lease.0.to_le_bytes());
        self.socket.write_all(&self.transfer).expect("the plane reads");
        self.read(|reply| match reply {
            Reply::Transferred(settled, _) => assert_eq!(settled.settled, 1),
            other => panic!("{other:?}"),
        });
        self.socket.write_all(&self.rest).expect("the plane reads");
        let mut delivered = 0;
        for _ in 0..7 {
            self.read(|reply| match reply {
                Reply::Delivery(delivery) => delivered += delivery.count(),
                Reply::Put(receipt) => assert_eq!(receipt.count, KEYS),
                Reply::Published(published) => assert_eq!(published.stored, 2),
                other => panic!("{other:?}"),
            });
        }
        assert_eq!(delivered, 1 + 2 + KEYS, "a result, two copies, the keyed messages");
    }
}

fn take(queue: QueueId, acknowledged: bool) -> Take {
    Take {
        queue,
        messages_max: 100,
        bytes_max: 0,
        wait_ms: 0,
        lease_ms: 0,
        group: GroupId::DEFAULT,
        acknowledged,
    }
}

#[test]
fn errands_allocate_nothing_after_warm_up() {
    let spin_ns = SPIN.as_nanos() as u64;
    let plane = Plane::start(PlaneConfig { shards: 2, spin_ns, ..PlaneConfig::default() })
        .expect("this host can run it");
    let mut peers: Vec<Peer> = (0..PEERS)
        .map(|number| {
            let mut peer = Peer::connect(plane.shard_addresses()[number % 2]);
            peer.prepare(number);
            peer
        })
        .collect();
    let parks = || plane.stats().iter().map(|stats| stats.parks.get()).sum::<u64>();
    let mut rounds = || {
        (0..ROUNDS).for_each(|_| peers.iter_mut().for_each(Peer::round));
    };
    rounds();
    let mut counts = Vec::with_capacity(COUNTS_MAX as usize);
    let mut clean = 0;
    while clean < CLEAN_COUNTS {
        assert!(counts.len() < COUNTS_MAX as usize, "allocations, of {ROUNDS} rounds: {counts:?}");
        let before = parks();
        let region = Region::new(ALLOCATOR);
        rounds();
        let counted = region.change();
        let parks = parks() - before;
        let allocations = (counted.allocations + counted.reallocations) as u64;
        assert!(parks == 0 || plane.shares_cpus(), "it spins for longer than this takes");
        let rounds = u64::from(ROUNDS) * PEERS as u64;
        let allowed = parks * ALLOCATIONS_PER_PARK_MAX + rounds * ALLOCATIONS_PER_ROUND_MAX;
        clean = if allocations <= allowed { clean + 1 } else { 0 };
        counts.push(allocations);
    }
}
