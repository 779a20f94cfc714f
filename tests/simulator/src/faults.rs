//! How cruel a run's world is: each fault has a rate of its own, drawn from the seed, often zero
//! (swarm testing).

use ringway_shards::limits::{LARGE_BUFFER_BYTES, SMALL_BUFFER_BYTES};

use ringway_checker::chance::{Chance, Rate};

/// The rates of every fault, and the sizes of everything finite.
#[derive(Clone, Debug)]
pub struct Faults {
    /// A send ends before all its bytes are in the pipe.
    pub short_send: Rate,
    /// A send fails with EAGAIN or EINTR before any byte of it.
    pub soft_send_error: Rate,
    /// A receive takes fewer bytes than there are.
    pub partial_receive: Rate,
    /// A receive's completion is its last one though nothing is wrong, with its data.
    pub multishot_ends: Rate,
    /// A receive ends without data: EAGAIN, EINTR, or ENOBUFS though buffers are there.
    pub soft_receive_error: Rate,
    /// A cancel meets an operation that completes at the same moment (ENOENT, EALREADY).
    pub cancel_race: Rate,
    /// An accept ends with EMFILE, ENFILE, ENOMEM or ECONNABORTED.
    pub accept_error: Rate,
    /// An accept ends with the socket that it brings.
    pub accept_ends: Rate,
    /// The network breaks a connection.
    pub reset: Rate,
    /// A doorbell takes its time.
    pub late_doorbell: Rate,
    /// A parked shard wakes for nothing.
    pub spurious_wake: Rate,
    /// One reap sees only some of what has completed.
    pub short_reap: Rate,
    /// A turn has used its time up as soon as it has begun.
    pub slow_turn: Rate,
    /// A shard gets no turn for a while.
    pub starved_shard: Rate,
    /// The clock jumps ahead by some milliseconds: the machine stood still.
    pub stall: Rate,
    /// The wall clock is set, by an hour or by little, ahead or back.
    pub clock_step: Rate,
    /// Every receive completes once: the path for kernels without multishot.
    pub single_shot: bool,
    /// Longest way of bytes through the network, in nanoseconds.
    pub delay_ns_max: u64,
    /// Longest way of a late doorbell, in nanoseconds.
    pub doorbell_ns_max: u64,
    /// Bytes that a pipe holds in each direction.
    pub pipe_bytes: usize,
    /// Receive buffers of each group, small then large: how many, and their bytes.
    pub buffers: [(u16, usize); 2],
}

impl Faults {
    /// Draws a world.
    pub fn draw(chance: &mut Chance) -> Self {
        // Half of the worlds are free of a fault, a quarter have it now and then, a quarter have it
        // often.
        let mut rate = |largest: u32| match chance.below(4) {
            0 | 1 => Rate::NEVER,
            2 => Rate(chance.magnitude(largest as usize) as u32),
            _ => Rate(chance.between(u64::from(largest / 4), u64::from(largest)) as u32),
        };
        let (short_send, soft_send_error) = (rate(500_000), rate(100_000));
        let (partial_receive, multishot_ends) = (rate(900_000), rate(500_000));
        let (soft_receive_error, cancel_race) = (rate(100_000), rate(800_000));
        let (accept_error, accept_ends) = (rate(200_000), rate(500_000));
        let (reset, late_doorbell) = (rate(300), rate(800_000));
        let (spurious_wake, short_reap) = (rate(100_000), rate(500_000));
        let (starved_shard, stall, clock_step) = (rate(2_000), rate(300), rate(1_000));
        let slow_turn = rate(900_000);
        Self {
            short_send,
            soft_send_error,
            partial_receive,
            multishot_ends,
            soft_receive_error,
            cancel_race,
            accept_error,
            accept_ends,
            reset,
            late_doorbell,
            spurious_wake,
            short_reap,
            slow_turn,
            starved_shard,
            stall,
            clock_step,
            single_shot: chance.once_in(8),
            delay_ns_max: chance.magnitude(200_000) as u64,
            doorbell_ns_max: chance.magnitude(500_000) as u64,
            pipe_bytes: chance.pick(&[64, 700, 4 << 10, 64 << 10, 256 << 10]),
            buffers: [
                (chance.pick(&[2, 4, 16, 128]), chance.pick(&[64, 256, SMALL_BUFFER_BYTES])),
                (chance.pick(&[2, 4, 16]), chance.pick(&[1 << 10, 16 << 10, LARGE_BUFFER_BYTES])),
            ],
        }
    }

    /// A world in which nothing goes wrong, with plenty of everything.
    pub fn none() -> Self {
        let never = Rate::NEVER;
        Self {
            short_send: never,
            soft_send_error: never,
            partial_receive: never,
            multishot_ends: never,
            soft_receive_error: never,
            cancel_race: never,
            accept_error: never,
            accept_ends: never,
            reset: never,
            late_doorbell: never,
            spurious_wake: never,
            short_reap: never,
            slow_turn: never,
            starved_shard: never,
            stall: never,
            clock_step: never,
            single_shot: false,
            delay_ns_max: 1_000,
            doorbell_ns_max: 1_000,
            pipe_bytes: 64 << 10,
            buffers: [(64, SMALL_BUFFER_BYTES), (8, LARGE_BUFFER_BYTES)],
        }
    }

    /// The same sizes with nothing going wrong any more: how a run ends.
    pub fn calm(&self) -> Self {
        Self {
            single_shot: self.single_shot,
            delay_ns_max: self.delay_ns_max,
            doorbell_ns_max: self.doorbell_ns_max,
            pipe_bytes: self.pipe_bytes,
            buffers: self.buffers,
            ..Self::none()
        }
    }
}
