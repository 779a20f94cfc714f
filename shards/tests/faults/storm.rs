//! Row 20: many connections at once, and connections that are closed as soon as they are open.

use crate::peer::{Peer, greeting};
use crate::process::{self, Base};
use socket2::SockRef;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Threads that connect, and connections of each.
const THREADS: usize = 8;
const EACH: usize = 500;
/// Within this time after the storm everything is as before it.
const CALM: Duration = Duration::from_secs(5);

/// Connects and leaves in one of the ways in which peers leave.
fn connect_and_leave(address: SocketAddr, number: usize) {
    let mut socket = TcpStream::connect(address).expect("accepting never stops");
    match number % 4 {
        0 => {}
        1 => {
            let socket = SockRef::from(&socket);
            socket.set_linger(Some(Duration::ZERO)).expect("a socket option");
        }
        2 => socket.write_all(&greeting()).expect("open"),
        _ => socket.write_all(&greeting()[..9]).expect("open"),
    }
}

#[test]
fn after_a_storm_of_connections_everything_is_as_before() {
    process::alone("storm::after_a_storm_of_connections_everything_is_as_before", &[], || {
        let plane = process::plane(|_| ());
        let mut neighbour = Peer::connect(plane.address());
        let base = Base::of(&plane);
        let accepted =
            || -> u64 { plane.stats().iter().map(|stats| stats.connections_accepted.get()).sum() };
        // One after the other, from many threads.
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let storm: Vec<_> = (0..THREADS)
                .map(|_| {
                    let address = plane.address();
                    scope.spawn(move || (0..EACH).for_each(|n| connect_and_leave(address, n)))
                })
                .collect();
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    neighbour.is_served();
                    std::thread::sleep(Duration::from_millis(1));
                }
            });
            let ended: Vec<_> = storm.into_iter().map(|thread| thread.join()).collect();
            over.store(true, Ordering::Relaxed);
            assert!(ended.iter().all(Result::is_ok), "somebody could not connect");
        });
        base.awaited(&plane, CALM);
        assert_eq!(accepted(), (1 + THREADS * EACH) as u64);

        // All open at a time, then closed at a time.
        let room = process::descriptors_max().saturating_sub(200) / 2;
        let count = (THREADS * EACH).min(room);
        let peers: Vec<_> = (0..count)
            .map(|_| {
                let mut socket = TcpStream::connect(plane.address()).expect("it listens");
                socket.write_all(&greeting()).expect("open");
                socket
            })
            .collect();
        process::wait_until("all are taken on", process::PATIENCE, || {
            process::connections(&plane) == 1 + count as u64
        });
        drop(peers);
        base.awaited(&plane, CALM);
        neighbour.is_served();
        Peer::connect(plane.address()).is_served();
        let errors: u64 = plane.stats().iter().map(|stats| stats.accept_errors.get()).sum();
        assert_eq!(errors, 0);
    });
}
