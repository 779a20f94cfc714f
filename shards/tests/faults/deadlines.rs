//! Row 15, without TLS: a greeting that does not come, and a frame that does not end.

use crate::peer::{Peer, greeting, put_of};
use crate::process::{self, Base};
use ringway_protocol::Code;
use std::time::{Duration, Instant};

/// Milliseconds that the plane is configured to wait.
const GREETING_MS: u64 = 400;
const FRAME_MS: u64 = 600;

#[test]
fn who_is_too_slow_is_told_so_and_dismissed() {
    process::alone("deadlines::who_is_too_slow_is_told_so_and_dismissed", &[], || {
        let plane = process::plane(|config| {
            config.greeting_ms = GREETING_MS;
            config.frame_ms = FRAME_MS;
        });
        let mut neighbour = Peer::connect(plane.address());
        let queue = neighbour.declare_on(1, "slow");
        let base = Base::of(&plane);
        let started = Instant::now();
        let mut slow = Vec::new();
        for address in plane.shard_addresses() {
            slow.push(("silence", GREETING_MS, Peer::silent(*address)));
            let mut half = Peer::silent(*address);
            half.say(&greeting()[..20]);
            slow.push(("half a greeting", GREETING_MS, half));
            for length in [1, 16, 500] {
                let mut begun = Peer::connect(*address);
                begun.say(&put_of(queue, &[0; 1000])[..length]);
                slow.push(("a frame that was begun", FRAME_MS, begun));
            }
        }
        // One that sends a byte now and then is as slow: a frame's time is not extended.
        let mut dripping = Peer::connect(plane.address());
        let put = put_of(queue, &[0; 1000]);
        for byte in put.chunks(1).take(5) {
            dripping.say(byte);
            std::thread::sleep(Duration::from_millis(FRAME_MS / 10));
        }
        slow.push(("bytes that drip", FRAME_MS, dripping));
        for (why, limit_ms, peer) in slow {
            peer.expect_dismissal(Code::TooSlow, why);
            let least = Duration::from_millis(limit_ms);
            assert!(started.elapsed() >= least, "{why}: before its time was over");
        }
        base.awaited(&plane, process::PATIENCE);
        // A neighbour that was silent between frames all the while is welcome.
        neighbour.is_served();
        assert_eq!(neighbour.drain(queue, 10), 0);
    });
}
