//! A peer that asks and does not read: it stops itself and nobody else, and loses nothing.

use crate::peer::{Peer, encoded, put_of, take_of};
use crate::process::{self, PATIENCE};
use ringway_protocol::reply::QUEUE_COLUMNS;
use ringway_protocol::request::{Subscribe, Take};
use ringway_protocol::{GroupId, QueueId, Reply, Request};
use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

/// Bytes of one reply.
const REPLY_BYTES: usize = 64 << 10;
/// Replies that are asked for: 128 MiB.
const REPLIES: u32 = 2048;
/// What the process may grow by: 8 MiB owed in a buffer that grew by doubling, the reply that went
/// over, 8 MiB of batches between two shards, and what the heap and the test itself round up.
/// Unbounded it would be 128 MiB.
const GROWTH_BYTES_MAX: usize = 40 << 20;

/// Sends without reading until the plane takes no more, then reads all replies in order.
fn ask_without_reading(
    plane: &ringway_shards::plane::Plane,
    neighbour: &mut Peer,
    requests: impl Fn(u32) -> Vec<u8> + Send + 'static,
    check: impl Fn(Reply<'_>),
) {
    let mut peer = Peer::connect(plane.shard_addresses()[0]);
    let before = process::resident();
    let socket: TcpStream = peer.socket.try_clone().expect("a descriptor is left");
    let writer = std::thread::spawn(move || {
        let mut socket = socket;
        (0..REPLIES).for_each(|number| {
            socket.write_all(&requests(number)).expect("read sooner or later");
        });
    });
    // The plane has stopped serving it when no more bytes come in or go out.
    let moved = || -> u64 {
        let stats = plane.stats();
        stats.iter().map(|stats| stats.bytes_in.get() + stats.bytes_out.get()).sum()
    };
    let mut last = moved();
    process::wait_until("the plane pauses it", PATIENCE, || {
        std::thread::sleep(Duration::from_millis(200));
        let now = moved();
        now == std::mem::replace(&mut last, now)
    });
    let growth = process::resident().saturating_sub(before);
    println!("a slow reader: {growth} bytes more");
    assert!(growth <= GROWTH_BYTES_MAX, "{growth} bytes more");
    neighbour.is_served();
    for number in 0..REPLIES {
        let reply = peer.next().expect("every reply");
        assert_eq!(reply.header.request, number, "in order");
        check(reply.reply());
    }
    writer.join().expect("all was sent");
    peer.is_served();
}

#[test]
fn echoes_that_nobody_reads() {
    process::alone("slow_reader::echoes_that_nobody_reads", &[], || {
        let plane = process::plane(|_| ());
        let mut neighbour = Peer::connect(plane.shard_addresses()[0]);
        let body = vec![0xa5; REPLY_BYTES];
        let expected = body.clone();
        ask_without_reading(
            &plane,
            &mut neighbour,
            move |number| encoded(Request::Echo(&body), number),
            |reply| assert_eq!(reply, Reply::Echo(&expected)),
        );
    });
}

#[test]
fn deliveries_that_nobody_reads() {
    process::alone("slow_reader::deliveries_that_nobody_reads", &[], || {
        let plane = process::plane(|_| ());
        let mut neighbour = Peer::connect(plane.shard_addresses()[0]);
        for shard in [0, 1] {
            let queue = neighbour.declare_on(shard, "unread");
            // 128 MiB that the takes below may deliver; they are there before the count begins.
            let put = put_of(queue, &[0x5a; REPLY_BYTES]);
            for _ in 0..REPLIES {
                neighbour.say(&put);
                neighbour.next().expect("it is stored");
            }
            let take = Take {
                bytes_max: 2 * REPLY_BYTES as u32,
                acknowledged: true,
                ..take_of(queue, 0, 0)
            };
            ask_without_reading(
                &plane,
                &mut neighbour,
                move |number| encoded(Request::Take(take), number),
                |reply| match reply {
                    Reply::Delivery(delivery) => assert_eq!(delivery.count(), 1),
                    other => panic!("{other:?}"),
                },
            );
        }
    });
}

/// The figures that tell how often messages of a queue were delivered, and how many leases ran out.
fn deliveries(peer: &mut Peer, queue: QueueId) -> (u64, u64) {
    let at = |column| QUEUE_COLUMNS.iter().position(|known| *known == column).expect("a column");
    match peer.ask(Request::Stat { queue: Some(queue) }).reply() {
        Reply::Figures(figures) => {
            let row = figures.rows().next().expect("a row");
            (row[at("takes")], row[at("expired_leases")])
        }
        other => panic!("{other:?}"),
    }
}

/// Row 11 for a subscriber: the leases of what it does not read run out, which gives its credit
/// back, and all of it is pushed again: without a bound on what it is owed, for ever.
#[test]
fn pushes_that_nobody_reads() {
    process::alone("slow_reader::pushes_that_nobody_reads", &[], || {
        let plane = process::plane(|_| ());
        let mut neighbour = Peer::connect(plane.shard_addresses()[0]);
        for shard in [0, 1] {
            let queue = neighbour.declare_on(shard, "unread");
            let put = put_of(queue, &[0x5a; REPLY_BYTES]);
            for _ in 0..100 {
                neighbour.say(&put);
                neighbour.next().expect("it is stored");
            }
            let before = process::resident();
            let mut peer = Peer::connect(plane.shard_addresses()[0]);
            let subscribed = peer.ask(Request::Subscribe(Subscribe {
                queue,
                group: GroupId::DEFAULT,
                messages: 1000,
                bytes: 8 << 20,
                batch_max: 0,
                lease_ms: 100,
                rate: 0,
            }));
            assert!(matches!(subscribed.reply(), Reply::Subscribed { .. }), "{subscribed:?}");
            // Its leases run out and nothing is pushed any more.
            let mut last = deliveries(&mut neighbour, queue);
            process::wait_until("nothing more is pushed", PATIENCE, || {
                std::thread::sleep(Duration::from_millis(500));
                let now = deliveries(&mut neighbour, queue);
                let before = std::mem::replace(&mut last, now);
                now.1 > 0 && now == before
            });
            let growth = process::resident().saturating_sub(before);
            println!("a subscriber that does not read: {growth} bytes more, {last:?}");
            assert!(growth <= GROWTH_BYTES_MAX, "{growth} bytes more");
            neighbour.is_served();
            // It reads, and more comes.
            for _ in 0..last.1 + 30 {
                let pushed = peer.next().expect("a delivery");
                assert!(pushed.delivered().0 > 0);
            }
            let (takes, _) = deliveries(&mut neighbour, queue);
            assert!(takes > last.0, "{takes} deliveries");
        }
    });
}
