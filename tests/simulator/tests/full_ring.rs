//! The ring to another shard is full: who filled it is stopped, nobody else is, and nothing is
//! dropped.

mod stepped;

use ringway_checker::clients::peer::{Asked, Peer, Sending};
use ringway_checker::{Ask, Batch, Traits, parcel};
use ringway_protocol::request::{Put, Range, encode_transfer};
use ringway_protocol::{LeaseId, QueueId, Records, Reply, Request, record};
use ringway_shards::limits::{HANDOFF_BATCH_BYTES, HANDOFF_SLOTS};
use stepped::{Plane, declare_on};

/// Payload of each message: large, so that the batch behind the full ring fills up too.
const FILLER_BYTES: usize = 60_000;
/// Puts that fill the ring, one a batch, then the batch that is being filled, and some that must
/// wait.
const PUTS: usize = HANDOFF_SLOTS + HANDOFF_BATCH_BYTES / FILLER_BYTES + 10;

fn rings_full(plane: &Plane) -> u64 {
    let figures = plane.shards.figures();
    let full = figures.iter().find(|(name, _)| name.starts_with("rings"));
    full.expect("shards count them").1
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
    assert!(rings_full(&plane) > 0, "the connection was stopped");
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
