//! Rows 16 and 17 against a plane that serves: bytes that are no frames, and frames that mean
//! nothing.

use crate::peer::{Peer, greeting, put_of};
use crate::process::{self, Base};
use ringway_protocol::limits::{FRAME_BYTES_MAX, GREETING_BYTES_MAX};
use ringway_protocol::{Code, HEADER_BYTES, Header, Kind, QueueId};
use std::io::{Read, Write};
use std::net::TcpStream;

fn header(kind: u8, length: usize) -> Header {
    Header { length: length as u32, kind, flags: 0, code: 0, stream: 0, request: 9 }
}

/// What ends the connection of a peer that was greeted, and the code of its goodbye.
fn nonsense(queue: QueueId) -> Vec<(String, Vec<u8>, Code)> {
    let mut cases = Vec::new();
    let mut case = |why: String, bytes: Vec<u8>, code| cases.push((why, bytes, code));
    for length in [FRAME_BYTES_MAX + 1, 1 << 31, u32::MAX as usize] {
        let bytes = header(Kind::Put as u8, length).encode().to_vec();
        case(format!("a length of {length}"), bytes, Code::FrameTooLarge);
    }
    for kind in 0..=u8::MAX {
        let code = match Kind::from_number(kind) {
            Some(Kind::Open | Kind::Ping | Kind::Echo) => continue,
            Some(Kind::Goodbye) => Code::UnknownKind,
            Some(_) => Code::Malformed,
            None => Code::UnknownKind,
        };
        case(format!("kind {kind} without a body"), header(kind, 0).encode().to_vec(), code);
    }
    let put = put_of(queue, b"never stored");
    for flags in [2, 3, 0x80, 0xff] {
        let mut bytes = put.clone();
        bytes[5] = flags;
        case(format!("flags {flags:#x}"), bytes, Code::Malformed);
    }
    for code in [1, 16, u16::MAX] {
        let mut bytes = put.clone();
        bytes[6..8].copy_from_slice(&code.to_le_bytes());
        case(format!("code {code}"), bytes, Code::Malformed);
    }
    for (at, what) in [(28, "reserved bytes"), (24, "a count of records that is wrong")] {
        let mut bytes = put.clone();
        bytes[at] += 1;
        case(what.to_owned(), bytes, Code::Malformed);
    }
    let mut lying = put.clone();
    lying[HEADER_BYTES + 16..HEADER_BYTES + 20].copy_from_slice(&u32::MAX.to_le_bytes());
    case("a record longer than its frame".to_owned(), lying, Code::Malformed);
    case("a second greeting".to_owned(), greeting(), Code::Malformed);
    case("0xff for ever".to_owned(), vec![0xff; 5_000], Code::FrameTooLarge);
    case("text".to_owned(), b"SUBSCRIBE to everything, please\r\n".to_vec(), Code::FrameTooLarge);
    cases
}

/// The same for a peer that has not greeted.
fn strangers(queue: QueueId) -> Vec<(&'static str, Vec<u8>, Code)> {
    let long = header(Kind::Greet as u8, GREETING_BYTES_MAX + 1).encode().to_vec();
    let mut flagged = greeting();
    flagged[5] = 2;
    let mut other_version = greeting();
    other_version[HEADER_BYTES..].fill(0xee);
    vec![
        ("a browser", b"GET / HTTP/1.1\r\nHost: queue\r\n\r\n".to_vec(), Code::FrameTooLarge),
        ("a TLS hello", vec![22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3, 9, 9, 9, 9, 9], {
            Code::FrameTooLarge
        }),
        ("a greeting that is too long", long, Code::FrameTooLarge),
        ("a put before the greeting", put_of(queue, b"x"), Code::NotGreeted),
        ("a kind that nobody knows", header(77, 0).encode().to_vec(), Code::NotGreeted),
        ("a greeting without a body", header(Kind::Greet as u8, 0).encode().to_vec(), {
            Code::Malformed
        }),
        ("a greeting with flags", flagged, Code::Malformed),
        ("a greeting full of nonsense", other_version, Code::Malformed),
    ]
}

#[test]
fn nonsense_ends_its_own_connection_with_a_reason() {
    process::alone("nonsense::nonsense_ends_its_own_connection_with_a_reason", &[], || {
        let plane = process::plane(|_| ());
        let mut neighbour = Peer::connect(plane.address());
        let base = Base::of(&plane);
        let address = plane.shard_addresses()[0];
        // Of both shards: what is wrong is found where it arrives, or where the queue lives.
        for shard in [0, 1] {
            let queue = neighbour.declare_on(shard, "sense");
            for (why, bytes, code) in nonsense(queue) {
                let mut peer = Peer::connect(address);
                peer.say(&bytes);
                peer.expect_dismissal(code, &format!("{why}, shard {shard}"));
                neighbour.is_served();
            }
            for (why, bytes, code) in strangers(queue) {
                let mut peer = Peer::silent(address);
                peer.say(&bytes);
                peer.expect_dismissal(code, why);
            }
            assert_eq!(neighbour.drain(queue, 100), 0, "nothing of it was stored");
        }
        base.awaited(&plane, process::PATIENCE);
    });
}

#[test]
fn a_frame_that_can_be_skipped_is_refused_and_its_connection_lives() {
    process::alone(
        "nonsense::a_frame_that_can_be_skipped_is_refused_and_its_connection_lives",
        &[],
        || {
            let plane = process::plane(|_| ());
            let mut peer = Peer::connect(plane.shard_addresses()[0]);
            let open = header(Kind::Open as u8, 0).encode().to_vec();
            let mut cases = vec![(open, Code::InvalidName)];
            for shard in [0, 1] {
                let queue = peer.declare_on(shard, "chunks");
                let mut chunk = put_of(queue, b"a part of a message");
                chunk[5] = ringway_protocol::frame::CHUNK;
                cases.push((chunk, Code::Unsupported));
                cases.push((put_of(QueueId(queue.0 + (1 << 32)), b"x"), Code::NoSuchQueue));
            }
            cases.push((put_of(QueueId(u64::MAX), b"x"), Code::NoSuchQueue));
            let name = [&header(Kind::Open as u8, 3).encode()[..], b"a\xff\xfe"].concat();
            cases.push((name, Code::InvalidName));
            for (bytes, code) in cases {
                peer.say(&bytes);
                assert_eq!(peer.next().expect("a refusal").code(), code, "{bytes:?}");
                peer.is_served();
            }
        },
    );
}

/// Connections that announce the longest frame, if descriptors allow.
const ANNOUNCERS: usize = 1_000;
/// What the process may grow by, client included: 16 KiB for each of them, where they announce
/// 1 MiB each.
const GROWTH_BYTES_MAX: usize = ANNOUNCERS * (16 << 10);

#[test]
fn nothing_is_allocated_for_a_length_that_is_only_announced() {
    process::alone(
        "nonsense::nothing_is_allocated_for_a_length_that_is_only_announced",
        &[],
        || {
            let plane = process::plane(|_| ());
            let count = ANNOUNCERS.min(process::descriptors_max().saturating_sub(200) / 2);
            let mut neighbour = Peer::connect(plane.address());
            let queue = neighbour.declare_on(1, "announced");
            let base = Base::of(&plane);
            let mut chunk = [0; 4096];
            let mut sockets: Vec<TcpStream> = Vec::with_capacity(count);
            for _ in 0..count {
                let mut socket = TcpStream::connect(plane.address()).expect("the plane listens");
                socket.set_read_timeout(Some(process::PATIENCE)).expect("a valid timeout");
                socket.write_all(&greeting()).expect("the plane reads");
                assert!(socket.read(&mut chunk).expect("a welcome") > HEADER_BYTES);
                sockets.push(socket);
            }
            let bytes_in =
                || plane.stats().iter().map(|stats| stats.bytes_in.get()).sum::<u64>() as usize;
            let (before, heard) = (process::resident(), bytes_in());
            let announcement = header(Kind::Put as u8, FRAME_BYTES_MAX).encode();
            for socket in &mut sockets {
                socket.write_all(&announcement).expect("the plane reads");
            }
            process::wait_until("every announcement was read", process::PATIENCE, || {
                bytes_in() >= heard + count * HEADER_BYTES
            });
            neighbour.is_served();
            let growth = process::resident().saturating_sub(before);
            println!("{count} announcements of 1 MiB: {growth} bytes more");
            assert!(growth <= GROWTH_BYTES_MAX, "{growth} bytes more");
            drop(sockets);
            base.awaited(&plane, process::PATIENCE);
            assert_eq!(neighbour.drain(queue, 10), 0);
        },
    );
}
