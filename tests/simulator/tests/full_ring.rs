//! The ring to another shard is full: who filled it is stopped, nobody else is, and nothing is
//! dropped.

use std::cell::RefCell;
use std::rc::Rc;

use ringway_checker::chance::Chance;
use ringway_checker::clients::peer::{Arrival, Asked, Peer, Sending};
use ringway_checker::clients::{Found, Outside};
use ringway_checker::{Ask, Batch, Checker, Traits, parcel};
use ringway_protocol::name::shard_of;
use ringway_protocol::request::{Put, Range, encode_transfer};
use ringway_protocol::{LeaseId, QueueId, Records, Reply, Request, record};
use ringway_shards::limits::{HANDOFF_BATCH_BYTES, HANDOFF_SLOTS};
use ringway_simulator::faults::Faults;
use ringway_simulator::network::Network;
use ringway_simulator::shards_under_test::ShardsUnderTest;
use ringway_simulator::trace::Trace;

/// Payload of each message: large, so that the batch behind the full ring fills up too.
const FILLER_BYTES: usize = 60_000;
/// Puts that fill the ring, one a batch, then the batch that is being filled, and some that must
/// wait.
const PUTS: usize = HANDOFF_SLOTS + HANDOFF_BATCH_BYTES / FILLER_BYTES + 10;

struct Plane {
    network: Rc<RefCell<Network>>,
    shards: ShardsUnderTest,
    checker: Checker,
    chance: Chance,
    peers: Vec<Peer>,
    connections: u64,
    messages: u64,
    found: Found,
}

impl Plane {
    fn new() -> Self {
        let faults = Faults { pipe_bytes: 256 << 10, ..Faults::none() };
        let network = Network::new((2, 3), faults, Chance::new(1), Trace::new(false));
        let network = Rc::new(RefCell::new(network));
        let shards = ShardsUnderTest::new(&network, 2);
        let (checker, chance) = (Checker::new(), Chance::new(2));
        let (peers, found) = (vec![], Found::default());
        Self { network, shards, checker, chance, peers, connections: 0, messages: 0, found }
    }

    fn with<T>(
        &mut self,
        act: impl FnOnce(&mut Vec<Peer>, &mut Chance, &mut Outside<'_>) -> T,
    ) -> T {
        let Self { network, checker, connections, messages, found, .. } = self;
        let mut network = network.borrow_mut();
        let network = &mut *network;
        let mut outside = Outside { network, checker, connections, messages, found };
        act(&mut self.peers, &mut self.chance, &mut outside)
    }

    /// Lets these shards work for a while, and the clients write and read; returns what arrived at
    /// each client.
    fn run(&mut self, shards: &[usize]) -> Vec<Vec<Arrival>> {
        let mut arrivals: Vec<Vec<Arrival>> = self.peers.iter().map(|_| Vec::new()).collect();
        for _ in 0..2000 {
            self.network.borrow_mut().advance(2_000);
            for shard in shards {
                self.network.borrow_mut().progress_all(*shard);
                self.shards.turn(*shard);
            }
            self.with(|peers, chance, outside| {
                for (peer, arrivals) in peers.iter_mut().zip(&mut arrivals) {
                    peer.write(chance, outside);
                    peer.read(chance, outside, arrivals);
                }
            });
        }
        arrivals
    }

    fn ask(&mut self, peer: usize, asked: Asked, ask: Ask, request: &Request<'_>) {
        self.with(|peers, _, outside| {
            peers[peer]
                .ask(asked, ask, 0, outside, |name, out| request.encode(name.0, name.1, out));
        });
    }

    fn rings_full(&self) -> u64 {
        let figures = self.shards.figures();
        let full = figures.iter().find(|(name, _)| name.starts_with("rings"));
        full.expect("shards count them").1
    }
}

/// Declares a queue of a shard.
fn declare_on(plane: &mut Plane, shard: usize) -> QueueId {
    let names = (0..).map(|number| format!("of-{shard}/{number}"));
    let name = names.into_iter().find(|name| shard_of(name, 2) == shard).expect("half of them");
    let declare = Request::Declare { name: &name, options: None };
    plane.ask(0, Asked::Declare(shard), Ask::Other, &declare);
    let arrivals = plane.run(&[0, 1]);
    let queue = arrivals[0].iter().find_map(|arrival| match arrival.reply() {
        Reply::Declared { queue, .. } => Some(queue),
        _ => None,
    });
    queue.expect("both shards worked")
}

/// Asks for so many puts to the other shard, by `ask` with the near queue, the far one and the
/// message; `sequence` reads where a reply says that its message went.
fn check(
    ask: impl Fn(&mut Plane, (QueueId, QueueId), &Records<'_>, u64),
    sequence: impl Fn(&Reply<'_>) -> Option<u64>,
) {
    let mut plane = Plane::new();
    for _ in 0..2 {
        let peer = plane.with(|_, _, outside| Peer::connect(0, outside));
        plane.peers.push(peer.expect("an empty backlog"));
    }
    let queues = (declare_on(&mut plane, 0), declare_on(&mut plane, 1));

    // The owner of the far queue stands still: its ring fills, batch by batch.
    for number in 0..PUTS as u64 {
        let mut records = Vec::new();
        record::write(&mut records, &[], &parcel::payload(number, FILLER_BYTES));
        let records = Records::parse(&records, 1).expect("a record");
        ask(&mut plane, queues, &records, number);
        plane.run(&[0]);
    }
    assert!(plane.rings_full() > 0, "the connection was stopped");
    assert_eq!(
        plane.peers[0].outstanding(),
        PUTS,
        "nothing is answered by a shard that stands still"
    );

    // The neighbour on the same shard notices nothing.
    plane.ask(1, Asked::Other, Ask::Other, &Request::Ping);
    plane.run(&[0]);
    assert_eq!(plane.peers[1].outstanding(), 0, "only who filled the ring is stopped");

    let arrivals = plane.run(&[0, 1]);
    let stored: Vec<_> = arrivals[0].iter().map(|arrival| sequence(&arrival.reply())).collect();
    let expected: Vec<_> = (0..PUTS as u64).map(Some).collect();
    assert_eq!(stored, expected, "all of them, in order");
}

#[test]
fn who_fills_a_ring_is_stopped_and_nothing_is_dropped() {
    check(
        |plane, (_, far), records, number| {
            let ask = Ask::Put(Batch { queue: far.0, messages: vec![number], producer: None });
            let messages = vec![(number, Traits::default())];
            let put = Request::Put(Put::new(far, *records));
            plane.ask(0, Asked::Put(0, Sending { messages, producer: None }), ask, &put);
        },
        |reply| match reply {
            Reply::Put(receipt) => Some(receipt.first_sequence),
            _ => None,
        },
    );
}

/// Each transfer is an errand: its put is what finds the ring full, its acknowledgement follows.
#[test]
fn transfers_that_fill_a_ring_are_stopped_and_none_is_dropped() {
    check(
        |plane, (near, far), records, _| {
            let put = Put::new(far, *records);
            let lease = (near, LeaseId::new(1, 0, 0));
            let all = [Range { first: 0, count: 1 }];
            plane.with(|peers, _, outside| {
                peers[0].ask(Asked::Other, Ask::Other, 0, outside, |name, out| {
                    encode_transfer(lease, &all, &put, name, out);
                });
            });
        },
        |reply| match reply {
            // There was no such lease, which the near shard says after the put.
            Reply::Transferred(settled, receipt) if settled.unknown == 1 => {
                Some(receipt.first_sequence)
            }
            _ => None,
        },
    );
}
