//! What a shard sees of sending and of a full submission queue (FAULTS.md row 25).

use super::*;
use crate::machine::alone::alone;
use crate::world::SegmentMemory;
use std::io::{Read, Write};

fn plain(bytes: Vec<u8>) -> Outgoing {
    Outgoing { bytes, ..Outgoing::default() }
}

#[test]
fn a_send_to_a_slow_reader_completes_once_and_whole() {
    const BYTES: usize = 4 << 20;
    let options = ListenerOptions { send_bytes: Some(16 << 10), ..ListenerOptions::default() };
    let mut stage = Stage::with_options(&LinuxConfig::default(), &options);
    let (mut client, socket) = stage.connect();
    stage.world.send(&socket, send_token(0), plain(pattern(1, BYTES)));
    assert_eq!(stage.settle(), [], "nobody reads, so it cannot be done");
    let reading = std::thread::spawn(move || {
        let mut received = vec![0; BYTES];
        client.read_exact(&mut received).expect("all of it");
        received
    });
    let sent = stage.wait_for(send_token(0));
    assert_eq!((sent.result as usize, sent.more), (BYTES, false));
    assert_eq!(stage.world.take_back(send_token(0)).len(), BYTES);
    assert!(reading.join().expect("it reads") == pattern(1, BYTES));
}

#[test]
fn more_slices_than_one_send_takes_go_in_two() {
    const PIECES: usize = limits::SLICES_PER_SEND_MAX + 100;
    let mut stage = Stage::new(&LinuxConfig::default());
    let (mut client, socket) = stage.connect();
    let bytes = pattern(2, PIECES * 10);
    let mut segment = SegmentMemory::new(bytes.len());
    segment.append(&bytes).expect("it fits");
    let mut outgoing = Outgoing::default();
    (0..PIECES).for_each(|number| outgoing.pin(segment.pin(number * 10, 10)));

    stage.world.send(&socket, send_token(0), outgoing);
    let first = stage.wait_for(send_token(0));
    assert_eq!(first.result as usize, limits::SLICES_PER_SEND_MAX * 10);
    let mut rest = stage.world.take_back(send_token(0));
    assert!(segment.is_pinned(), "the rest is still to be sent");
    rest.sent += first.result as usize;
    stage.world.send(&socket, send_token(0), rest);
    assert_eq!(stage.wait_for(send_token(0)).result, 1000);
    drop(stage.world.take_back(send_token(0)));
    assert!(!segment.is_pinned());

    let mut received = vec![0; bytes.len()];
    client.read_exact(&mut received).expect("all of it");
    assert!(received == bytes);
}

#[test]
fn a_pinned_segment_stays_pinned_until_the_send_is_taken_back() {
    let options = ListenerOptions { send_bytes: Some(16 << 10), ..ListenerOptions::default() };
    let mut stage = Stage::with_options(&LinuxConfig::default(), &options);
    let (client, socket) = stage.connect();
    let mut segment = SegmentMemory::new(8 << 20);
    segment.append(&pattern(3, 8 << 20)).expect("it fits");
    let mut outgoing = Outgoing::default();
    outgoing.pin(segment.pin(0, 8 << 20));
    stage.world.send(&socket, send_token(0), outgoing);
    stage.settle();
    // The client is there and does not read: the dance of a closing connection.
    let cancel = Token::new(Purpose::Cancel, 0, 7);
    stage.world.receive(&socket, receive_token(0), BufferSize::Small);
    stage.turn();
    stage.world.cancel_all(&socket, cancel);
    let ends = stage.wait_for_all(&[send_token(0), receive_token(0), cancel]);
    let of = |token| ends.iter().find(|c| c.token == token).expect("it has ended").result;
    assert_eq!((of(receive_token(0)), of(cancel)), (-libc::ECANCELED, 2));
    // What had gone out is reported, for nothing may be sent twice.
    assert!((1..8 << 20).contains(&of(send_token(0))), "{ends:?}");
    assert!(segment.is_pinned());
    drop(stage.world.take_back(send_token(0)));
    assert!(!segment.is_pinned());
    stage.world.close(socket);
    stage.settle();
    assert_eq!(stage.world.under_way(), 0);
    drop(client);
}

#[test]
fn after_a_shutdown_the_peer_can_still_send() {
    let mut stage = Stage::new(&LinuxConfig::default());
    let (mut client, socket) = stage.connect();
    stage.world.shutdown(&socket);
    assert_eq!(client.read(&mut [0]).expect("a clean end"), 0);
    client.write_all(b"late").expect("our end is open for that");
    stage.world.receive(&socket, receive_token(0), BufferSize::Small);
    assert_eq!(stage.wait_for(receive_token(0)).result, 4);
}

#[test]
fn sending_to_a_peer_that_is_gone_is_an_error_and_no_signal() {
    let path = "machine::linux::tests::send::\
                sending_to_a_peer_that_is_gone_is_an_error_and_no_signal";
    alone(path, || {
        // Rust's programs ignore SIGPIPE, but a program that embeds the plane may not.
        // SAFETY: the default action, before anything else runs in this process.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
        for gather in [false, true] {
            let mut stage = Stage::new(&LinuxConfig::default());
            let (client, socket) = stage.connect();
            socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO)).expect("an option");
            drop(client);
            let mut result = 0;
            for _ in 0..2 {
                let mut segment = SegmentMemory::new(100);
                segment.append(&[1; 100]).expect("it fits");
                let mut outgoing = plain(vec![1; 100]);
                if gather {
                    outgoing.pin(segment.pin(0, 100));
                }
                stage.world.send(&socket, send_token(0), outgoing);
                result = stage.wait_for(send_token(0)).result;
                stage.world.take_back(send_token(0));
            }
            assert_eq!(result, -libc::EPIPE);
        }
    });
}

#[test]
fn a_full_submission_queue_drops_nothing() {
    const CONNECTIONS: u32 = 40;
    for mode in MODES {
        let config = LinuxConfig {
            submission_entries: 4,
            completion_entries: 32,
            small_buffers: 64,
            ..small_config(mode)
        };
        let mut stage = Stage::new(&config);
        let (mut clients, sockets): (Vec<_>, Vec<_>) =
            (0..CONNECTIONS).map(|_| stage.connect()).unzip();
        let before = stage.world.counters().submissions_full;
        for (slot, socket) in (0..).zip(&sockets) {
            stage.world.receive(socket, receive_token(slot), BufferSize::Small);
            stage.world.send(socket, send_token(slot), plain(vec![slot as u8]));
        }
        let full = stage.world.counters().submissions_full - before;
        assert!(full >= u64::from(2 * CONNECTIONS / 4 - 1), "{mode:?}: full {full} times");
        for (number, client) in (0..).zip(&mut clients) {
            let mut byte = [0];
            stage.world.submit();
            client.read_exact(&mut byte).expect("each send went out");
            assert_eq!(byte[0], number);
            client.write_all(&byte).expect("it is open");
        }
        let receives: Vec<_> = (0..CONNECTIONS).map(receive_token).collect();
        for received in stage.wait_for_all(&receives) {
            let buffer = received.buffer.expect("a byte has arrived");
            assert_eq!(stage.world.received(buffer, 1), [received.token.slot() as u8]);
            stage.world.give_back(buffer);
        }
    }
}
