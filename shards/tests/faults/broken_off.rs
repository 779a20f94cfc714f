//! Row 14: peers that reset, or end, in the middle of a frame.

use crate::peer::{Peer, put_of};
use crate::process::{self, Base};
use ringway_protocol::{QueueId, Reply};
use socket2::SockRef;
use std::net::{Shutdown, SocketAddr};
use std::time::Duration;

/// Peers of each kind on each shard.
const PEERS: usize = 30;

/// How a peer ends.
#[derive(Clone, Copy, PartialEq, Debug)]
enum End {
    Reset,
    Fin,
}

/// Breaks off after `length` bytes of a put, and reads what is left to read.
fn break_off(mut peer: Peer, put: &[u8], length: usize, end: End) {
    peer.say(&put[..length]);
    match end {
        // Dropped below, which resets the connection.
        End::Reset => {
            let socket = SockRef::from(&peer.socket);
            socket.set_linger(Some(Duration::ZERO)).expect("a socket option");
        }
        End::Fin => {
            peer.socket.shutdown(Shutdown::Write).expect("it is open");
            let last = peer.next();
            assert!(last.is_none(), "an answer to {length} bytes of a put: {last:?}");
        }
    }
}

fn break_off_in_many_places(address: SocketAddr, queue: QueueId) {
    let put = put_of(queue, &[7; 40_000]);
    for end in [End::Reset, End::Fin] {
        let peers: Vec<_> = (0..PEERS).map(|_| Peer::connect(address)).collect();
        for (number, peer) in peers.into_iter().enumerate() {
            // In the header, at its end, in the prefix, in a record, one byte before the end.
            let lengths = [1, 15, 16, 17, 33, 20_000, put.len() - 1];
            break_off(peer, &put, lengths[number % lengths.len()], end);
        }
    }
}

#[test]
fn a_frame_that_breaks_off_has_no_effect() {
    process::alone("broken_off::a_frame_that_breaks_off_has_no_effect", &[], || {
        let plane = process::plane(|_| ());
        let mut neighbour = Peer::connect(plane.address());
        let base = Base::of(&plane);
        for address in plane.shard_addresses() {
            for shard in [0, 1] {
                let queue = neighbour.declare_on(shard, "broken");
                break_off_in_many_places(*address, queue);
                neighbour.is_served();
                // Whole frames before the one that breaks off do have their effect.
                let mut peer = Peer::connect(*address);
                peer.say(&put_of(queue, b"whole"));
                peer.say(&put_of(queue, b"half")[..20]);
                peer.socket.shutdown(Shutdown::Write).expect("it is open");
                let reply = peer.next().expect("the whole put is answered");
                assert!(matches!(reply.reply(), Reply::Put(_)));
                assert!(peer.next().is_none());
                drop(peer);
                assert_eq!(neighbour.drain(queue, 100), 1, "only the whole put");
            }
        }
        base.awaited(&plane, process::PATIENCE);
        neighbour.is_served();
    });
}
