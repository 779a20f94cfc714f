//! Row 13: peers that vanish without a word are found by the heartbeat.
//!
//! In a network namespace of its own, packets to the peers' address are dropped by a route: the
//! peers' sockets stay open, and nothing of what the plane sends arrives or is answered.

use crate::peer::{Peer, take_of};
use crate::process::{self, Base};
use ringway_protocol::Request;
use socket2::{Domain, Socket, Type};
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

const NAME: &str = "half_open::a_peer_that_vanishes_is_found_by_the_heartbeat";
/// Where the vanishing peers connect from.
const FAR: [u8; 4] = [127, 0, 0, 2];
const LOOPBACK_UP: [&str; 5] = ["ip", "link", "set", "lo", "up"];
const HEARTBEAT: Duration = Duration::from_secs(1);
/// What a busy machine may take on top of two heartbeats.
const MARGIN: Duration = Duration::from_secs(8);

fn run(command: &[&str]) -> Result<(), String> {
    let output = Command::new(command[0]).args(&command[1..]).output();
    let output = output.map_err(|error| format!("{}: {error}", command[0]))?;
    let said = || format!("{}: {}", command.join(" "), String::from_utf8_lossy(&output.stderr));
    if output.status.success() { Ok(()) } else { Err(said()) }
}

fn connect_from_far(address: SocketAddr) -> Peer {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a descriptor is left");
    socket.bind(&SocketAddr::from((FAR, 0)).into()).expect("all of 127/8 is ours");
    socket.connect(&address.into()).expect("the plane listens");
    Peer::over(socket.into()).greeted()
}

#[test]
fn a_peer_that_vanishes_is_found_by_the_heartbeat() {
    // As an ordinary user a namespace of users makes the one of the network possible.
    let wrappers: [&[&str]; 2] = [&["unshare", "-n"], &["unshare", "-r", "-n"]];
    let possible = |wrapper: &[&str]| run(&[wrapper, &LOOPBACK_UP].concat());
    let wrapper = match possible(wrappers[0]) {
        _ if process::is_alone(NAME) => wrappers[0],
        Ok(()) => wrappers[0],
        Err(_) if possible(wrappers[1]).is_ok() => wrappers[1],
        Err(why) => return println!("skipped: no network namespace with `ip`: {why}"),
    };
    process::alone(NAME, wrapper, vanish);
}

fn vanish() {
    run(&LOOPBACK_UP).expect("it worked a moment ago");
    let plane = process::plane(|config| config.heartbeat_ms = HEARTBEAT.as_millis() as u64);
    let addresses = plane.shard_addresses();
    let mut neighbour = Peer::connect(addresses[0]);
    let queues = [0, 1].map(|shard| {
        ["leased", "waited", "promised"].map(|name| neighbour.declare_on(shard, name))
    });
    let base = Base::of(&plane);
    // On each shard: one peer holds a lease and waits in silence; the other is owed something.
    let mut gone = Vec::new();
    for (address, [leased, waited, promised]) in addresses.iter().zip(queues) {
        neighbour.put(leased, b"leased to one who vanishes");
        let mut silent = connect_from_far(*address);
        assert_eq!(silent.ask(Request::Take(take_of(leased, 0, 4_000))).delivered(), (1, 1));
        silent.say(&crate::peer::encoded(Request::Take(take_of(waited, 60_000, 0)), 7));
        let mut owed = connect_from_far(*address);
        owed.say(&crate::peer::encoded(Request::Take(take_of(promised, 60_000, 1_500)), 7));
        // Answered after the waiting takes, so those have arrived.
        owed.say(&crate::peer::encoded(Request::Ping, 8));
        silent.say(&crate::peer::encoded(Request::Ping, 8));
        assert_eq!(owed.next().expect("a pong").header.request, 8);
        assert_eq!(silent.next().expect("a pong").header.request, 8);
        gone.extend([silent, owed]);
    }
    assert_eq!(process::connections(&plane), 5);
    run(&["ip", "route", "add", "blackhole", "127.0.0.2/32", "table", "local"]).expect("a route");
    for [_, _, promised] in queues {
        neighbour.put(promised, b"delivered to one who has vanished");
    }
    let found = process::wait_until("closed by the heartbeat", 2 * HEARTBEAT + MARGIN, || {
        process::connections(&plane) == 1
    });
    println!("four peers that vanished were found after {found:?}");
    for [leased, waited, promised] in queues {
        // A waiting take of a peer that is gone takes nothing: this is the first delivery.
        neighbour.put(waited, b"for the living");
        let delivered = neighbour.ask(Request::Take(take_of(waited, 0, 0))).delivered();
        assert_eq!(delivered, (1, 1));
        // What was leased, before it vanished and after, comes again when the leases run out.
        for queue in [leased, promised] {
            let delivered = neighbour.ask(Request::Take(take_of(queue, 10_000, 0))).delivered();
            assert_eq!(delivered, (1, 2));
        }
    }
    drop(gone);
    base.awaited(&plane, process::PATIENCE);
    neighbour.is_served();
}
