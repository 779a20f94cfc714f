//! Streams of one connection: one that waits for credit, room or messages stops no other.

use super::peer::{PATIENCE, Peer, on_planes, subscribe};
use ringway_protocol::request::{Put, Range, Take, encode_settle};
use ringway_protocol::{
    Code, FullPolicy, GroupId, Kind, QueueOptions, Records, Reply, Request, record,
};
use std::collections::HashSet;
use std::io::Write;

/// Streams of the connection; those before the first of the others are stalled.
const STREAMS: u32 = 1_000;
const OTHERS: u32 = 4;

#[test]
fn a_stalled_stream_stops_no_other() {
    on_planes(|plane, shard| {
        let mut peer = Peer::connect(plane);
        let plain = QueueOptions::default();
        let pushed = peer.declare(shard, "pushed", plain);
        let empty = peer.declare(shard, "empty", plain);
        let served = peer.declare(shard, "served", plain);
        let full_policy = FullPolicy::Hold;
        let full =
            peer.declare(shard, "full", QueueOptions { messages_max: 1, full_policy, ..plain });
        peer.put(full, &["a"]);
        peer.put(pushed, &["a", "b"]);
        let mut bytes = Vec::new();
        // Out of credit, held, waiting.
        let small = |queue| subscribe(queue, 1);
        let mut credit = small(pushed);
        credit.bytes = 1_024;
        Request::Subscribe(credit).encode(1, 1, &mut bytes);
        let mut batch = Vec::new();
        record::write(&mut batch, &[], b"b");
        let records = Records::parse(&batch, 1).expect("a record");
        Request::Put(Put::new(full, records)).encode(2, 1, &mut bytes);
        let waiting = Take {
            queue: empty,
            messages_max: 1,
            bytes_max: 1_024,
            wait_ms: 60_000,
            lease_ms: 0,
            group: GroupId::DEFAULT,
            acknowledged: false,
        };
        Request::Take(waiting).encode(3, 1, &mut bytes);
        // Everybody else subscribes, and gets a message after the other.
        for stream in OTHERS..STREAMS {
            let mut credit = small(served);
            credit.bytes = 1_024;
            Request::Subscribe(credit).encode(stream, 1, &mut bytes);
        }
        peer.socket.write_all(&bytes).expect("the plane reads");
        let mut subscribed = HashSet::new();
        while subscribed.len() < (STREAMS - OTHERS) as usize {
            let reply = peer.receive(PATIENCE).expect("a reply in time");
            let stream = reply.header.stream;
            match reply.reply() {
                Reply::Subscribed { .. } if stream >= OTHERS => {
                    subscribed.insert(stream);
                }
                Reply::Subscribed { .. } | Reply::Delivery(_) => assert_eq!(stream, 1),
                other => panic!("stream {stream}: {other:?}"),
            }
        }
        for _ in 0..2 {
            let mut bytes = Vec::new();
            for _ in OTHERS..STREAMS {
                Request::Put(Put::new(served, records)).encode(0, 2, &mut bytes);
            }
            peer.socket.write_all(&bytes).expect("the plane reads");
            let mut got = HashSet::new();
            let (mut puts, mut settled) = (0, 0);
            while settled < STREAMS - OTHERS || puts < STREAMS - OTHERS {
                let reply = peer.receive(PATIENCE).expect("something in time");
                let stream = reply.header.stream;
                match reply.reply() {
                    // All that its credit allows.
                    Reply::Delivery(_) if stream == 1 => {}
                    Reply::Put(_) => puts += 1,
                    Reply::Settled(..) => settled += 1,
                    Reply::Delivery(delivery) => {
                        assert!(got.insert(stream), "each in turn");
                        let (mut ack, all) = (Vec::new(), [Range { first: 0, count: 1 }]);
                        let of = (served, delivery.lease);
                        encode_settle(Kind::Ack, of, &all, (stream, 3), &mut ack);
                        peer.socket.write_all(&ack).expect("the plane reads");
                    }
                    other => panic!("stream {stream}: {other:?}"),
                }
            }
            assert_eq!(got.len(), (STREAMS - OTHERS) as usize);
        }
        // The three are where they were.
        assert_eq!(peer.figure(pushed, "ready"), 1);
        assert_eq!(peer.figure(full, "held_puts"), 1);
        assert_eq!(peer.figure(empty, "waiting_takes"), 1);
        assert_eq!(peer.ask(Request::Ping).code(), Code::Ok);
    });
}
