//! The plane as an embedding program sees it: real threads, real sockets, lanes.

use ringway_protocol::greeting::Greet;
use ringway_protocol::limits::FRAME_BYTES_MAX;
use ringway_protocol::request::{Put, Range, Take, encode_settle};
use ringway_protocol::{
    Attribute, Code, Frame, GroupId, HEADER_BYTES, Kind, QueueId, Records, Reply, Request, Split,
    frame, record,
};
use ringway_shards::plane::{Plane, PlaneConfig};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A client that sends one request at a time, for tests of the server alone.
struct Peer {
    socket: TcpStream,
    received: Vec<u8>,
    request: u32,
}

impl Peer {
    fn connect(address: SocketAddr) -> Self {
        let socket = TcpStream::connect(address).expect("the plane listens");
        socket.set_read_timeout(Some(Duration::from_secs(10))).expect("a valid timeout");
        socket.set_nodelay(true).expect("TCP");
        let mut peer = Self { socket, received: Vec::new(), request: 0 };
        peer.ask(Request::Greet(Greet::new(b"")), |reply| {
            assert!(matches!(reply, Reply::Welcome(_)), "{reply:?}");
        });
        peer
    }

    fn ask<T>(&mut self, request: Request<'_>, read: impl FnOnce(Reply<'_>) -> T) -> T {
        self.request += 1;
        let mut bytes = Vec::new();
        request.encode(3, self.request, &mut bytes);
        self.send_and_read(&bytes, read)
    }

    fn send_and_read<T>(&mut self, bytes: &[u8], read: impl FnOnce(Reply<'_>) -> T) -> T {
        self.socket.write_all(bytes).expect("the plane reads");
        self.read(read)
    }

    fn read<T>(&mut self, read: impl FnOnce(Reply<'_>) -> T) -> T {
        let mut chunk = [0; 65536];
        loop {
            let split = frame::split(&self.received, FRAME_BYTES_MAX).expect("valid replies");
            if let Split::Frame(Frame { header, body }) = split {
                let length = HEADER_BYTES + body.len();
                let outcome = read(Reply::decode(Frame { header, body }).expect("a valid reply"));
                self.received.drain(..length);
                return outcome;
            }
            let count = self.socket.read(&mut chunk).expect("a reply within the timeout");
            assert!(count > 0, "the plane closed the connection");
            self.received.extend_from_slice(&chunk[..count]);
        }
    }

    fn declare(&mut self, name: &str) -> QueueId {
        self.ask(Request::Declare { name, options: None }, |reply| match reply {
            Reply::Declared { queue, .. } => queue,
            other => panic!("{other:?}"),
        })
    }

    fn put(&mut self, queue: QueueId, payloads: &[&[u8]]) -> u64 {
        let mut bytes = Vec::new();
        payloads.iter().for_each(|payload| record::write(&mut bytes, &[], payload));
        let records = Records::parse(&bytes, payloads.len() as u32).expect("valid records");
        self.ask(Request::Put(Put::new(queue, records)), |reply| match reply {
            Reply::Put(receipt) => receipt.first_sequence,
            other => panic!("{other:?}"),
        })
    }
}

fn take(queue: QueueId, messages_max: u32, wait_ms: u32) -> Request<'static> {
    Request::Take(Take {
        queue,
        messages_max,
        bytes_max: 0,
        wait_ms,
        lease_ms: 0,
        group: GroupId::DEFAULT,
        acknowledged: false,
    })
}

/// The payloads of a delivery.
fn payloads(reply: &Reply<'_>) -> Vec<Vec<u8>> {
    match reply {
        Reply::Delivery(delivery) => {
            let records = delivery.records.iter().flat_map(|records| records.iter());
            records.map(|record| record.payload.to_vec()).collect()
        }
        other => panic!("{other:?}"),
    }
}

fn plane(shards: usize) -> Plane {
    Plane::start(PlaneConfig { shards, ..PlaneConfig::default() }).expect("this host can run it")
}

/// A queue of each shard.
fn queues(peer: &mut Peer, shards: usize) -> Vec<QueueId> {
    let mut found = vec![None; shards];
    for number in 0.. {
        if found.iter().all(Option::is_some) {
            break;
        }
        let queue = peer.declare(&format!("queue-{number}"));
        found[queue.shard()].get_or_insert(queue);
    }
    found.into_iter().flatten().collect()
}

#[test]
fn put_take_and_acknowledge_on_every_shard_count() {
    for shards in [1, 2, 4, 12] {
        let plane = plane(shards);
        let mut peer = Peer::connect(plane.address());
        for queue in queues(&mut peer, shards) {
            let big = vec![7; 60_000];
            assert_eq!(peer.put(queue, &[b"one", b"two"]), 0);
            assert_eq!(peer.put(queue, &[&big]), 2);
            let lease = peer.ask(take(queue, 10, 0), |reply| {
                assert_eq!(payloads(&reply), [b"one".to_vec(), b"two".to_vec(), big.clone()]);
                match reply {
                    Reply::Delivery(delivery) => delivery.lease,
                    _ => unreachable!("it had payloads"),
                }
            });
            let mut ack = Vec::new();
            let all = [Range { first: 0, count: 3 }];
            encode_settle(Kind::Ack, (queue, lease), &all, (3, 9), &mut ack);
            for expected in [(3, 0, 0), (0, 3, 0)] {
                peer.send_and_read(&ack, |reply| match reply {
                    Reply::Settled(settled, _) => {
                        let found = (settled.settled, settled.stale, settled.unknown);
                        assert_eq!(found, expected);
                    }
                    other => panic!("{other:?}"),
                });
            }
        }
        let report = plane.drain(Duration::from_secs(5), || false).expect("shards end");
        assert!(report.is_clean(), "{report:?}");
    }
}

#[test]
fn a_waiting_take_is_answered_by_a_later_put_from_another_shard() {
    let plane = plane(2);
    let mut consumer = Peer::connect(plane.shard_addresses()[0]);
    let mut producer = Peer::connect(plane.shard_addresses()[1]);
    for queue in queues(&mut producer, 2) {
        let mut bytes = Vec::new();
        take(queue, 1, 5_000).encode(0, 77, &mut bytes);
        consumer.socket.write_all(&bytes).expect("the plane reads");
        std::thread::sleep(Duration::from_millis(20));
        producer.put(queue, &[b"late"]);
        consumer.read(|reply| assert_eq!(payloads(&reply), [b"late".to_vec()]));
        // A wait that ends without a message is answered with none.
        consumer.ask(take(queue, 1, 30), |reply| assert!(payloads(&reply).is_empty()));
    }
}

#[test]
fn a_lease_expires_on_time_on_a_parked_server() {
    let plane = plane(1);
    let mut peer = Peer::connect(plane.address());
    let queue = peer.declare("idle");
    peer.put(queue, &[b"again"]);
    let lease = |lease_ms, wait_ms| {
        Request::Take(Take {
            queue,
            messages_max: 1,
            bytes_max: 0,
            wait_ms,
            lease_ms,
            group: GroupId::DEFAULT,
            acknowledged: false,
        })
    };
    let started = std::time::Instant::now();
    peer.ask(lease(300, 0), |reply| assert_eq!(payloads(&reply).len(), 1));
    let parks = plane.stats()[0].parks.get();
    peer.ask(lease(300, 5_000), |reply| match reply {
        Reply::Delivery(delivery) => {
            let runs: Vec<_> = delivery.runs().collect();
            assert_eq!((runs.len(), runs[0].deliveries), (1, 2));
        }
        other => panic!("{other:?}"),
    });
    let waited = started.elapsed();
    assert!(waited >= Duration::from_millis(250), "a lease may not end early: {waited:?}");
    assert!(waited < Duration::from_secs(4), "nor wait for somebody to come by: {waited:?}");
    assert!(plane.stats()[0].parks.get() > parks, "the server slept meanwhile");
}

#[test]
fn a_protocol_error_closes_one_connection_with_its_last_words() {
    let plane = plane(2);
    let mut bystander = Peer::connect(plane.address());
    let queue = bystander.declare("orders");
    for address in plane.shard_addresses() {
        let mut peer = Peer::connect(*address);
        let mut bytes = Vec::new();
        Request::Purge { queue }.encode(0, 5, &mut bytes);
        bytes.push(0);
        bytes[0] += 1; // one byte more than a purge has
        peer.send_and_read(&bytes, |reply| match reply {
            Reply::Refused { code, .. } => assert_eq!(code, Code::Malformed),
            other => panic!("{other:?}"),
        });
        let mut rest = Vec::new();
        assert_eq!(peer.socket.read_to_end(&mut rest).expect("an orderly end"), 0);
    }
    bystander.ask(Request::Ping, |reply| assert_eq!(reply, Reply::Pong));
}

#[test]
fn a_value_out_of_its_range_refuses_one_request_and_no_more() {
    let plane = plane(2);
    let mut peer = Peer::connect(plane.address());
    for queue in queues(&mut peer, 2) {
        let (mut record, mut bytes) = (Vec::new(), Vec::new());
        record::write(&mut record, &[Attribute::Priority(7)], b"x");
        let records = Records::parse(&record, 1).expect("a valid record");
        Request::Put(Put::new(queue, records)).encode(0, 5, &mut bytes);
        let band = bytes.len() - 2;
        assert_eq!(bytes[band..], [7, b'x']);
        bytes[band] = 8;
        peer.send_and_read(&bytes, |reply| match reply {
            Reply::Refused { code, .. } => assert_eq!(code, Code::InvalidOption),
            other => panic!("{other:?}"),
        });
        assert_eq!(peer.put(queue, &[b"y"]), 0, "the connection goes on");
    }
}

#[test]
fn lanes_reach_their_queue_and_see_the_end() {
    let plane = plane(2);
    for name in ["a", "b", "c", "d"] {
        let mut lane = plane.lane(name, None).expect("a lane");
        assert_eq!(lane.enqueue(b"one"), Ok(0));
        assert_eq!(lane.enqueue_batch([&b"two"[..], b"three"]), Ok(1));
        assert_eq!(lane.dequeue(), Ok(Some(&b"one"[..])));
        let rest: Vec<_> = lane.dequeue_batch(9).expect("running").map(<[u8]>::to_vec).collect();
        assert_eq!(rest, [b"two".to_vec(), b"three".to_vec()]);
        assert_eq!(lane.dequeue(), Ok(None));
    }
    let mut lane = plane.lane("a", None).expect("a lane");
    plane.stop().expect("shards end");
    assert!(lane.enqueue(b"late").is_err());
}
