//! What subscriptions promise a connection is bounded, and freed when they end.

use super::peer::{PATIENCE, Peer, on_planes, subscribe};
use ringway_protocol::request::{Credit, Subscribe};
use ringway_protocol::{Code, QueueId, QueueOptions, Reply, Request, SubscriptionId};
use ringway_shards::plane::{Plane, PlaneConfig};

const MIB: u32 = 1 << 20;

fn of_bytes(queue: QueueId, bytes: u32) -> Subscribe {
    Subscribe { bytes, ..subscribe(queue, 100) }
}

fn credit(queue: QueueId, subscription: SubscriptionId, bytes: u32) -> Request<'static> {
    Request::Credit(Credit { queue, subscription, messages: 100, bytes })
}

#[test]
fn a_connection_is_promised_eight_mib_and_no_more() {
    on_planes(|plane, shard| {
        let mut peer = Peer::connect(plane);
        let queue = peer.declare(shard, "promised", QueueOptions::default());
        let (first, _) = peer.subscribe(of_bytes(queue, 6 * MIB)).expect("within it");
        assert_eq!(peer.subscribe(of_bytes(queue, 3 * MIB)), Err(Code::TooManyWaits));
        let (second, _) = peer.subscribe(of_bytes(queue, 2 * MIB)).expect("all of it");
        // More for one is too much; as much as it has, or less, is not.
        assert_eq!(peer.ask(credit(queue, second, 3 * MIB)).code(), Code::TooManyWaits);
        assert_eq!(peer.ask(credit(queue, second, 2 * MIB)).reply(), Reply::Done);
        assert_eq!(peer.ask(credit(queue, first, MIB)).reply(), Reply::Done);
        assert_eq!(peer.ask(credit(queue, second, 7 * MIB)).reply(), Reply::Done);
        assert_eq!(peer.subscribe(of_bytes(queue, MIB)), Err(Code::TooManyWaits));
        assert_eq!(peer.unsubscribe(queue, second), 0);
        peer.subscribe(of_bytes(queue, 7 * MIB)).expect("what was freed");
    });
}

#[test]
fn subscriptions_that_the_server_ends_free_what_they_promised() {
    on_planes(|plane, shard| {
        let (mut peer, mut other) = (Peer::connect(plane), Peer::connect(plane));
        for _ in 0..3 {
            let queue = other.declare(shard, "freed", QueueOptions::default());
            peer.subscribe(of_bytes(queue, 8 * MIB)).expect("all of it");
            other.ask(Request::Delete { queue });
            let last = peer.receive(PATIENCE).expect("a last word");
            assert_eq!(last.code(), Code::NoSuchQueue);
        }
    });
}

#[test]
fn refused_subscriptions_promise_nothing() {
    on_planes(|plane, shard| {
        let mut peer = Peer::connect(plane);
        let queue = peer.declare(shard, "refused", QueueOptions::default());
        let gone = QueueId::new(77, shard as u8, 99);
        for _ in 0..3 {
            assert_eq!(peer.subscribe(of_bytes(gone, 8 * MIB)), Err(Code::NoSuchQueue));
            let never = SubscriptionId::new(9, shard as u8, 9);
            assert_eq!(peer.ask(credit(queue, never, 8 * MIB)).code(), Code::NoSuchLease);
        }
        peer.subscribe(of_bytes(queue, 8 * MIB)).expect("all of it");
    });
}

#[test]
fn a_connection_has_so_many_subscriptions_and_no_more() {
    let plane = Plane::start(PlaneConfig { shards: 2, ..PlaneConfig::default() });
    let plane = plane.expect("this host can run it");
    for (shard, spread) in [(0, 1), (1, 1), (0, 2)] {
        let mut peer = Peer::connect(&plane);
        let options = QueueOptions { spread, ..QueueOptions::default() };
        let queue = peer.declare(shard, &format!("many-{spread}"), options);
        for _ in 0..4_096 {
            peer.send(Request::Subscribe(of_bytes(queue, 2)));
        }
        for _ in 0..4_096 {
            let reply = peer.receive(PATIENCE).expect("a reply in time");
            assert_eq!(reply.code(), Code::Ok);
        }
        assert_eq!(peer.subscribe(of_bytes(queue, 2)), Err(Code::ResourceExhausted));
        let mut other = Peer::connect(&plane);
        other.subscribe(of_bytes(queue, 2)).expect("another one's");
    }
}
