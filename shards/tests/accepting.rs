//! Connections of the plane's one address are dealt out exactly, and stat says where they are.

use ringway_protocol::greeting::Greet;
use ringway_protocol::limits::FRAME_BYTES_MAX;
use ringway_protocol::reply::SHARD_COLUMNS;
use ringway_protocol::{Frame, HEADER_BYTES, Reply, Request, Split, frame};
use ringway_shards::limits::{CLOSED_PER_TURN_MAX, SENDS_PER_TURN_MAX};
use ringway_shards::plane::{Plane, PlaneConfig};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

const CONNECTIONS: u64 = 50;

/// Reads until `read` has what it wants of a reply.
fn next<T>(socket: &mut TcpStream, received: &mut Vec<u8>, read: impl FnOnce(Reply<'_>) -> T) -> T {
    let mut chunk = [0; 4096];
    loop {
        let split = frame::split(received, FRAME_BYTES_MAX).expect("valid replies");
        if let Split::Frame(Frame { header, body }) = split {
            let length = HEADER_BYTES + body.len();
            let outcome = read(Reply::decode(Frame { header, body }).expect("a valid reply"));
            received.drain(..length);
            return outcome;
        }
        let count = socket.read(&mut chunk).expect("a reply within the timeout");
        assert!(count > 0, "the plane closed the connection");
        received.extend_from_slice(&chunk[..count]);
    }
}

/// The column `connections` of the plane's statistics, by shard, as a client gets it.
fn connections_by_shard(socket: &mut TcpStream) -> Vec<u64> {
    let column = SHARD_COLUMNS.iter().position(|name| *name == "connections").expect("it is one");
    let mut bytes = Vec::new();
    Request::Stat { queue: None }.encode(0, 2, &mut bytes);
    socket.write_all(&bytes).expect("the plane reads");
    next(socket, &mut Vec::new(), |reply| match reply {
        Reply::Figures(figures) => figures.rows().map(|row| row[column]).collect(),
        other => panic!("{other:?}"),
    })
}

#[test]
fn fifty_connections_differ_by_at_most_one_on_any_number_of_shards() {
    for shards in [2, 4, 12] {
        let plane = Plane::start(PlaneConfig { shards, ..PlaneConfig::default() })
            .expect("this host can run it");
        let mut sockets: Vec<TcpStream> = (0..CONNECTIONS)
            .map(|_| TcpStream::connect(plane.address()).expect("the plane listens"))
            .collect();
        let mut greeting = Vec::new();
        Request::Greet(Greet::new(b"")).encode(0, 1, &mut greeting);
        let mut answered = vec![0; shards];
        for socket in &mut sockets {
            socket.set_read_timeout(Some(Duration::from_secs(20))).expect("a valid timeout");
            socket.write_all(&greeting).expect("the plane reads");
            next(socket, &mut Vec::new(), |reply| match reply {
                Reply::Welcome(welcome) => answered[usize::from(welcome.shard)] += 1,
                other => panic!("{other:?}"),
            });
        }
        let found = connections_by_shard(&mut sockets[0]);
        assert_eq!(found, answered, "stat says where they were welcomed");
        assert_eq!(found.iter().sum::<u64>(), CONNECTIONS);
        let (low, high) = (found.iter().min(), found.iter().max());
        assert!(high.zip(low).is_some_and(|(high, low)| high - low <= 1), "{found:?}");
    }
}

#[test]
fn a_shard_keeps_what_arrives_on_its_own_address() {
    let plane =
        Plane::start(PlaneConfig { shards: 4, ..PlaneConfig::default() }).expect("it can run");
    let own = plane.shard_addresses()[2];
    let sockets: Vec<_> =
        (0..10).map(|_| TcpStream::connect(own).expect("the plane listens")).collect();
    let counts = || plane.stats().iter().map(|stats| stats.connections.get()).collect::<Vec<_>>();
    let started = Instant::now();
    while counts() != [0, 0, sockets.len() as u64, 0] {
        assert!(started.elapsed() < Duration::from_secs(20), "{:?}", counts());
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// More connections than a turn answers, arms and closes: none waits for somebody else's request.
#[test]
fn a_crowd_that_asks_and_goes_at_once_is_answered_and_closed_in_turn() {
    let plane = Plane::start(PlaneConfig { shards: 1, ..PlaneConfig::default() })
        .expect("this host can run it");
    let count = 20 * SENDS_PER_TURN_MAX.max(CLOSED_PER_TURN_MAX);
    let mut sockets: Vec<TcpStream> = (0..count)
        .map(|_| TcpStream::connect(plane.address()).expect("the plane listens"))
        .collect();
    let mut requests = Vec::new();
    Request::Greet(Greet::new(b"")).encode(0, 1, &mut requests);
    Request::Ping.encode(0, 2, &mut requests);
    for socket in &mut sockets {
        socket.set_read_timeout(Some(Duration::from_secs(20))).expect("a valid timeout");
        socket.write_all(&requests).expect("the plane reads");
    }
    for socket in &mut sockets {
        let mut received = Vec::new();
        next(socket, &mut received, |reply| assert!(matches!(reply, Reply::Welcome(_))));
        next(socket, &mut received, |reply| assert!(matches!(reply, Reply::Pong)));
    }
    drop(sockets);
    let open = || plane.stats().iter().map(|stats| stats.connections.get()).sum::<u64>();
    let started = Instant::now();
    while open() > 0 {
        assert!(started.elapsed() < Duration::from_secs(20), "{} are left", open());
        std::thread::sleep(Duration::from_millis(1));
    }
}
