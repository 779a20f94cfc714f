//! A plane that goes down: what its shards have done is said before they say goodbye.

mod stepped;

use ringway_checker::Ask;
use ringway_checker::clients::peer::{Asked, Peer};
use ringway_protocol::{GroupId, QueueId, Request, request::Take};
use stepped::{Plane, declare_on};

/// A plane, and a client of shard 0 that has sent these requests about a queue of shard 1, which
/// has not had them yet.
fn asking<'a>(requests: impl Fn(QueueId) -> Vec<Request<'a>>) -> Plane {
    let mut plane = Plane::new();
    let peer = plane.with(|_, _, outside| Peer::connect(0, outside));
    plane.peers.push(peer.expect("an empty backlog"));
    let queue = declare_on(&mut plane, 1);
    for request in requests(queue) {
        plane.ask(0, Asked::Other, Ask::Other, &request);
    }
    plane.run(&[0]);
    plane
}

fn stop(plane: &mut Plane) {
    plane.network.borrow_mut().excuse_all();
    plane.shards.stop();
}

#[test]
fn a_reply_that_has_arrived_goes_before_the_goodbye() {
    let mut plane = asking(|queue| vec![Request::Stat { queue: Some(queue) }]);
    plane.run(&[1]);
    assert_eq!(plane.peers[0].outstanding(), 1, "its shard stands still");
    stop(&mut plane);
    plane.run(&[0, 1]);
    assert_eq!(plane.peers[0].outstanding(), 0, "the reply was there before the end");
    assert!(plane.shards.have_stopped());
}

#[test]
fn the_goodbye_waits_for_a_reply_that_is_under_way() {
    let mut plane = asking(|queue| vec![Request::Stat { queue: Some(queue) }]);
    stop(&mut plane);
    plane.run(&[0]);
    plane.run(&[0, 1]);
    assert_eq!(plane.peers[0].outstanding(), 0, "the other shard has answered");
    assert!(plane.shards.have_stopped());
}

/// Neither take gets an answer, and nobody waits for one.
#[test]
fn what_waits_at_another_shard_holds_no_goodbye_back() {
    let take = |queue| Take {
        queue,
        messages_max: 1,
        bytes_max: 0,
        wait_ms: 60_000,
        lease_ms: 0,
        group: GroupId::DEFAULT,
        acknowledged: false,
    };
    let mut plane = asking(|queue| vec![Request::Take(take(queue)); 2]);
    plane.run(&[0, 1]);
    stop(&mut plane);
    plane.run(&[0, 1]);
    assert_eq!(plane.peers[0].outstanding(), 2);
    assert!(plane.shards.have_stopped(), "within milliseconds");
}
