//! Put, take or push, and acknowledgement allocate nothing: 50 connections, half of them to queues
//! of the other shard, and some of them with subscriptions.
//!
//! The count is of the whole process, so it covers the shard threads and more; the client below
//! allocates nothing after its first round either.

use ringway_protocol::greeting::Greet;
use ringway_protocol::limits::FRAME_BYTES_MAX;
use ringway_protocol::request::{Put, Range, Subscribe, Take, encode_settle};
use ringway_protocol::{
    Frame, GroupId, HEADER_BYTES, Kind, LeaseId, QueueId, Records, Reply, Request, Split, frame,
    record,
};
use ringway_shards::plane::{Plane, PlaneConfig};
use ringway_shards::stats::ShardStats;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const CONNECTIONS: usize = 50;
/// Rounds that are counted together: 75,000 requests.
const ROUNDS: u32 = 500;
/// Counts in a row that must be 0. A buffer still grows when a batch is larger than any before.
const CLEAN_COUNTS: u32 = 3;
/// Counts within which the plane must have warmed up and stayed so.
const COUNTS_MAX: u32 = 15;
/// Messages of a request, by connection: one, a run that is copied into the reply, one that is
/// pinned.
const BATCHES: [u32; 3] = [1, 16, 64];
/// One of so many connections has its messages pushed.
const PUSHED: usize = 3;
/// Longer than the test: a shard that sleeps waits in glommio, which allocates for each sleep.
const SPIN: Duration = Duration::from_secs(600);
/// Allocations of one sleep and its wake-up, for hosts with one CPU, where shards do not spin.
const ALLOCATIONS_PER_PARK_MAX: u64 = 16;
/// Bytes of the lease's id in the body of an acknowledgement, after the queue's.
const LEASE_AT: usize = HEADER_BYTES + 8;

/// A connection with a queue of its own. In each round it acknowledges what the round before
/// delivered, puts a batch and takes it, or has it pushed.
struct Peer {
    socket: TcpStream,
    received: Box<[u8]>,
    length: usize,
    batch: u32,
    /// An acknowledgement, whose lease is written over, a put, and a take if nothing is pushed.
    requests: Vec<u8>,
    acknowledgement_bytes: usize,
}

impl Peer {
    fn connect(address: SocketAddr, batch: u32) -> Self {
        let socket = TcpStream::connect(address).expect("the plane listens");
        socket.set_read_timeout(Some(Duration::from_secs(30))).expect("a valid timeout");
        socket.set_nodelay(true).expect("TCP");
        let received = vec![0; 64 << 10].into_boxed_slice();
        let (requests, acknowledgement_bytes) = (Vec::new(), 0);
        let mut peer = Self { socket, received, length: 0, batch, requests, acknowledgement_bytes };
        peer.ask(Request::Greet(Greet::new(b"")), |reply| {
            assert!(matches!(reply, Reply::Welcome(_)), "{reply:?}");
        });
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

    /// A queue of its own on that shard, and the requests of a round.
    fn prepare(&mut self, number: usize, shard: usize) {
        let queue = (0..)
            .map(|attempt| {
                let name = format!("queue-{number}-{attempt}");
                let declare = Request::Declare { name: &name, options: None };
                self.ask(declare, |reply| match reply {
                    Reply::Declared { queue, .. } => queue,
                    other => panic!("{other:?}"),
                })
            })
            .find(|queue: &QueueId| queue.shard() == shard)
            .expect("every shard owns names");
        let all = [Range { first: 0, count: self.batch }];
        encode_settle(Kind::Ack, (queue, LeaseId::NONE), &all, (0, 1), &mut self.requests);
        self.acknowledgement_bytes = self.requests.len();
        let mut records = Vec::new();
        (0..self.batch).for_each(|_| record::write(&mut records, &[], &[7; 100]));
        let records = Records::parse(&records, self.batch).expect("valid records");
        Request::Put(Put::new(queue, records)).encode(0, 2, &mut self.requests);
        if (number / 4).is_multiple_of(PUSHED) {
            let credit = Subscribe {
                queue,
                group: GroupId::DEFAULT,
                messages: self.batch,
                bytes: 0,
                batch_max: 0,
                lease_ms: 0,
                rate: 0,
            };
            return self.ask(Request::Subscribe(credit), |reply| {
                assert!(matches!(reply, Reply::Subscribed { .. }), "{reply:?}");
            });
        }
        let take = Take {
            queue,
            messages_max: self.batch,
            bytes_max: 0,
            wait_ms: 0,
            lease_ms: 0,
            group: GroupId::DEFAULT,
            acknowledged: false,
        };
        Request::Take(take).encode(0, 3, &mut self.requests);
    }

    fn send(&mut self, is_first: bool) {
        let from = if is_first { self.acknowledgement_bytes } else { 0 };
        self.socket.write_all(&self.requests[from..]).expect("the plane reads");
    }

    /// Reads the replies of a round and notes the lease for the next one.
    fn collect(&mut self, is_first: bool) {
        let batch = self.batch;
        if !is_first {
            self.read(|reply| match reply {
                Reply::Settled(settled, _) => assert_eq!(settled.settled, batch),
                other => panic!("{other:?}"),
            });
        }
        self.read(|reply| assert!(matches!(reply, Reply::Put(_)), "{reply:?}"));
        let lease = self.read(|reply| match reply {
            Reply::Delivery(delivery) => {
                assert_eq!(delivery.count(), batch);
                delivery.lease
            }
            other => panic!("{other:?}"),
        });
        self.requests[LEASE_AT..LEASE_AT + 8].copy_from_slice(&lease.0.to_le_bytes());
    }
}

fn rounds(peers: &mut [Peer], count: u32, mut is_first: bool) {
    for _ in 0..count {
        peers.iter_mut().for_each(|peer| peer.send(is_first));
        peers.iter_mut().for_each(|peer| peer.collect(is_first));
        is_first = false;
    }
}

#[test]
fn put_take_and_ack_allocate_nothing_after_warm_up() {
    let spin_ns = SPIN.as_nanos() as u64;
    let plane = Plane::start(PlaneConfig { shards: 2, spin_ns, ..PlaneConfig::default() })
        .expect("this host can run it");
    let mut peers: Vec<Peer> = (0..CONNECTIONS)
        .map(|number| {
            let address = plane.shard_addresses()[number % 2];
            let mut peer = Peer::connect(address, BATCHES[number % BATCHES.len()]);
            peer.prepare(number, number / 2 % 2);
            peer
        })
        .collect();
    let sum = |figure: fn(&ShardStats) -> u64| plane.stats().iter().map(figure).sum::<u64>();
    let figures = || (sum(|stats| stats.handoffs_out.get()), sum(|stats| stats.parks.get()));
    rounds(&mut peers, ROUNDS, true);
    let mut counts = Vec::with_capacity(COUNTS_MAX as usize);
    let mut clean = 0;
    while clean < CLEAN_COUNTS {
        assert!(counts.len() < COUNTS_MAX as usize, "allocations, of {ROUNDS} rounds: {counts:?}");
        let (handoffs, parks) = figures();
        let region = Region::new(ALLOCATOR);
        rounds(&mut peers, ROUNDS, false);
        let counted = region.change();
        let (handoffs, parks) = (figures().0 - handoffs, figures().1 - parks);
        assert!(handoffs >= u64::from(ROUNDS), "requests crossed: {handoffs}");
        let allocations = (counted.allocations + counted.reallocations) as u64;
        assert!(parks == 0 || plane.shares_cpus(), "it spins for longer than this takes");
        clean = if allocations <= parks * ALLOCATIONS_PER_PARK_MAX { clean + 1 } else { 0 };
        counts.push(allocations);
    }
}
