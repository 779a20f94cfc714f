//! Sleeping: what rings the doorbell, what does not, and that nothing is slept through.

use super::*;
use std::io::Write;

const SECOND_NS: u64 = 1_000_000_000;

/// Waits for the doorbell, reads its eventfd, and says whether it was rung in time.
fn rung(stage: &Stage, within: Duration) -> bool {
    let fd = stage.world.doorbells[0].as_fd().as_raw_fd();
    let mut poll = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    let mut count = 0u64;
    // SAFETY: one pollfd and eight bytes, valid for the calls.
    unsafe {
        libc::poll(&raw mut poll, 1, within.as_millis() as i32) == 1
            && libc::read(fd, (&raw mut count).cast(), 8) == 8
    }
}

fn in_ns(stage: &mut Stage, delay_ns: u64) -> Option<u64> {
    Some(stage.world.now_ns() + delay_ns)
}

#[test]
fn the_alarm_rings_on_time_and_is_not_the_shards_business() {
    let mut stage = Stage::new(&LinuxConfig::default());
    for delay_ns in [0, 1_000_000, 30_000_000] {
        let started = Instant::now();
        let deadline = in_ns(&mut stage, delay_ns);
        if stage.world.prepare_to_park(deadline) {
            assert!(rung(&stage, PATIENCE), "slept through {delay_ns} ns");
            assert!(started.elapsed().as_nanos() as u64 >= delay_ns, "rang too early");
        }
        stage.world.unpark();
        assert_eq!(stage.turn(), []);
        assert!(!stage.world.pending() && stage.world.under_way() == 0);
    }
}

#[test]
fn an_earlier_deadline_moves_the_alarm_and_a_later_one_does_not() {
    let mut stage = Stage::new(&LinuxConfig::default());
    let late = in_ns(&mut stage, 3600 * SECOND_NS);
    assert!(stage.world.prepare_to_park(late));
    stage.world.unpark();
    let started = Instant::now();
    let early = in_ns(&mut stage, 40_000_000);
    assert!(stage.world.prepare_to_park(early), "moving an alarm is no reason to stay awake");
    stage.world.unpark();
    let entered = stage.world.counters().enters;
    assert!(stage.world.prepare_to_park(late), "the earlier alarm stays");
    assert!(stage.world.counters().enters - entered <= 1, "nothing was to be handed over");
    assert!(rung(&stage, PATIENCE));
    assert!(started.elapsed() >= Duration::from_millis(40));
    stage.world.unpark();
    assert_eq!(stage.turn(), []);
    assert_eq!(stage.world.under_way(), 0, "there was only one alarm");
}

#[test]
fn completions_ring_only_for_a_parked_shard() {
    for mode in MODES {
        let mut stage = Stage::new(&small_config(mode));
        let (mut client, socket) = stage.connect();
        stage.world.receive(&socket, receive_token(0), BufferSize::Small);
        stage.turn();
        client.write_all(b"a").expect("open");
        let first = stage.wait_for(receive_token(0));
        assert!(!rung(&stage, Duration::from_millis(20)), "{mode:?}: rung while awake");

        if !first.more {
            stage.world.receive(&socket, receive_token(0), BufferSize::Small);
        }
        assert!(stage.world.prepare_to_park(None), "{mode:?}");
        client.write_all(b"b").expect("open");
        assert!(rung(&stage, PATIENCE), "{mode:?}: slept through a message");
        stage.world.unpark();
        assert!(stage.world.pending(), "{mode:?}");
        assert_eq!(stage.wait_for(receive_token(0)).result, 1);
    }
}

#[test]
fn what_is_there_already_keeps_a_shard_awake() {
    let mut stage = Stage::new(&small_config(ReceiveMode::Multishot));
    let (mut client, socket) = stage.connect();
    stage.world.receive(&socket, receive_token(0), BufferSize::Small);
    client.write_all(b"a").expect("open");
    assert!(!stage.world.prepare_to_park(None));
    assert_eq!(stage.wait_for(receive_token(0)).result, 1);
}

/// A client answers each byte with another after a while that walks over the time it takes to fall
/// asleep; a wake-up that is lost ends in the time-out.
#[test]
fn nothing_is_slept_through() {
    const ROUNDS: usize = 3000;
    let mut stage = Stage::new(&LinuxConfig::default());
    let (mut client, socket) = stage.connect();
    stage.world.receive(&socket, receive_token(0), BufferSize::Small);
    stage.turn();
    let (go, gone) = std::sync::mpsc::channel::<usize>();
    let writing = std::thread::spawn(move || {
        for round in gone {
            let until = Instant::now() + Duration::from_nanos((round % 100) as u64 * 300);
            while Instant::now() < until {
                std::hint::spin_loop();
            }
            client.write_all(b"x").expect("open");
        }
    });
    let mut slept = 0;
    for round in 0..ROUNDS {
        go.send(round).expect("the client waits");
        let mut received = 0;
        while received == 0 {
            if stage.world.prepare_to_park(None) {
                slept += 1;
                assert!(rung(&stage, PATIENCE), "a byte was slept through in round {round}");
            }
            stage.world.unpark();
            for completion in stage.turn() {
                received += completion.result;
                assert!(completion.more);
                stage.world.give_back(completion.buffer.expect("a byte has arrived"));
            }
        }
    }
    drop(go);
    writing.join().expect("it has written");
    assert!(slept > ROUNDS / 10, "it slept {slept} times: the race was not tried");
}

#[test]
fn shards_wake_each_other() {
    let doorbells: Vec<_> =
        (0..2).map(|_| Arc::new(Doorbell::new().expect("a descriptor is left"))).collect();
    let config = LinuxConfig::default();
    let mut first = LinuxWorld::new(&config, 0, doorbells.clone(), Vec::new()).expect("a ring");
    first.ring_doorbell(1);
    doorbells[1].prepare_to_park();
    first.ring_doorbell(1);
    let fd = doorbells[1].as_fd().as_raw_fd();
    let mut count = 0u64;
    // SAFETY: eight bytes, valid for the call, which does not block: it was rung.
    assert_eq!(unsafe { libc::read(fd, (&raw mut count).cast(), 8) }, 8);
    assert_eq!(count, 1, "rung once, while it was parked");
}
