//! Faults of the system call itself, and the end of a world (FAULTS.md rows 21 and 30).

use super::*;
use crate::machine::alone::alone;
use crate::machine::seccomp;
use std::io::{Read, Write};

/// A conversation on a thread of its own, on which entering the ring fails with these errnos first.
fn converse_with(errnos: &[i32]) -> (Result<Counters, String>, usize) {
    let errnos = errnos.to_vec();
    let thread = std::thread::spawn(move || {
        let mut stage = Stage::new(&small_config(ReceiveMode::Multishot));
        let (mut client, socket) = stage.connect();
        stage.world.receive(&socket, receive_token(0), BufferSize::Small);
        stage.turn();
        client.write_all(b"ping").expect("open");
        let supervisor = seccomp::fail_next(libc::SYS_io_uring_enter, errnos);
        let conversation = std::panic::AssertUnwindSafe(|| {
            let received = stage.wait_for(receive_token(0));
            assert_eq!(received.result, 4);
            let outgoing = Outgoing { bytes: b"pong".to_vec(), ..Outgoing::default() };
            stage.world.send(&socket, send_token(0), outgoing);
            assert_eq!(stage.wait_for(send_token(0)).result, 4);
            let mut answer = [0; 4];
            client.read_exact(&mut answer).expect("an answer");
            assert_eq!(&answer, b"pong");
            stage.world.counters()
        });
        let outcome = std::panic::catch_unwind(conversation);
        let text = |panic: Box<dyn std::any::Any + Send>| {
            panic
                .downcast_ref::<String>()
                .cloned()
                .or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string))
        };
        (outcome.map_err(|panic| text(panic).unwrap_or_default()), supervisor)
    });
    let (outcome, supervisor) = thread.join().expect("the world ends well");
    (outcome, supervisor.join().expect("the supervisor ends with the thread"))
}

#[test]
fn interruptions_and_refusals_are_ridden_out() {
    let errnos = [libc::EINTR, libc::EBUSY, libc::EAGAIN, libc::EINTR, libc::ENOMEM, libc::EBUSY];
    let (outcome, calls) = converse_with(&errnos);
    let counters = outcome.expect("the conversation was held");
    assert_eq!((counters.interrupted, counters.refused), (2, 4));
    assert!(calls > errnos.len());
}

#[test]
fn a_lost_completion_ends_the_shard() {
    for errno in [libc::EBADR, libc::EBADF] {
        let (outcome, _) = converse_with(&[errno]);
        let sentence = outcome.expect_err("it must not go on");
        let expected = if errno == libc::EBADR { "dropped a completion" } else { "io_uring_enter" };
        assert!(sentence.contains(expected), "{sentence}");
    }
}

#[test]
fn a_refused_enter_makes_room_and_keeps_what_has_completed() {
    let thread = std::thread::spawn(|| {
        let mut stage = Stage::new(&small_config(ReceiveMode::Multishot));
        let cancel_nobody = |world: &mut LinuxWorld, number| {
            let nobody = Token::new(Purpose::Receive, 0, 0);
            world.cancel(nobody, Token::new(Purpose::Cancel, number, 0));
        };
        (0..10).for_each(|number| cancel_nobody(&mut stage.world, number));
        stage.world.submit();
        assert_eq!(stage.world.ring.completed(), 10);
        let _supervisor = seccomp::fail_next(libc::SYS_io_uring_enter, vec![libc::EBUSY; 3]);
        cancel_nobody(&mut stage.world, 10);
        stage.world.enter_once();
        assert_eq!((stage.world.ring.completed(), stage.world.held.len()), (0, 10));
        assert!(stage.world.pending());
        let slots: Vec<_> = stage.settle().iter().map(|c| c.token.slot()).collect();
        assert_eq!(slots, (0..=10).collect::<Vec<_>>(), "in order, and each once");
    });
    thread.join().expect("nothing was lost");
}

fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("proc is there").count()
}

fn mapped_pages() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").expect("proc is there");
    text.split_whitespace().next().and_then(|pages| pages.parse().ok()).expect("a number")
}

/// A world that ends with every kind of operation under way.
fn stop_in_the_middle(mode: ReceiveMode) {
    let options = ListenerOptions { send_bytes: Some(16 << 10), ..ListenerOptions::default() };
    let mut stage = Stage::with_options(&small_config(mode), &options);
    let (mut client, socket) = stage.connect();
    stage.world.receive(&socket, receive_token(0), BufferSize::Small);
    let outgoing = Outgoing { bytes: pattern(1, 4 << 20), ..Outgoing::default() };
    stage.world.send(&socket, send_token(0), outgoing);
    stage.world.accept(0, Token::new(Purpose::Accept, 0, 0));
    let deadline = stage.world.now_ns() + 3_600_000_000_000;
    stage.world.prepare_to_park(Some(deadline));
    // Accepted and received by the kernel, and never seen by the shard.
    let _unseen = TcpStream::connect(stage.address).expect("it listens");
    client.write_all(b"too late").expect("open");
    if mode != ReceiveMode::SingleShot {
        stage.world.submit();
    }
    assert!(stage.world.under_way() >= 3);
}

#[test]
fn stopping_in_the_middle_leaks_nothing() {
    alone("machine::linux::tests::faults::stopping_in_the_middle_leaks_nothing", || {
        MODES.into_iter().for_each(stop_in_the_middle);
        let (files, pages) = (open_files(), mapped_pages());
        for _ in 0..34 {
            MODES.into_iter().for_each(stop_in_the_middle);
        }
        assert_eq!(open_files(), files, "descriptors leak");
        let grown = mapped_pages().saturating_sub(pages);
        assert!(grown < 256, "{grown} pages more after 102 worlds");
    });
}

#[test]
fn without_descriptors_accepting_fails_and_later_goes_on() {
    alone(
        "machine::linux::tests::faults::without_descriptors_accepting_fails_and_later_goes_on",
        || {
            for mode in MODES {
                let mut stage = Stage::new(&small_config(mode));
                let accept = Token::new(Purpose::Accept, 0, 0);
                let _client = TcpStream::connect(stage.address).expect("it listens");
                let mut fill = Vec::new();
                while let Ok(file) = std::fs::File::open("/dev/null") {
                    fill.push(file);
                }
                stage.world.accept(0, accept);
                let refused = stage.wait_for(accept);
                assert_eq!((refused.result, refused.more), (-libc::EMFILE, false), "{mode:?}");
                drop(fill);
                stage.world.accept(0, accept);
                let accepted = stage.wait_for(accept);
                assert!(accepted.result >= 0, "{mode:?}: {accepted:?}");
                let _socket = stage.world.accepted(accepted.result);
            }
        },
    );
}
