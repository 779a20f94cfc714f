//! Shards that drive themselves: no socket, no kernel, no thread beside them.
//!
//! Each shard runs on a thread and a CPU of its own, with connections that live in its own memory
//! (`world`, `peer`); between them are the real rings. Requests and replies are the bytes of the
//! wire, so everything from decoding to the reply is the server's own code. Each connection puts a
//! batch of 256, takes it under a lease and acknowledges it, eight rounds at a time: in a spread
//! queue on the part of its own shard, as long as that has messages.

mod peer;
mod world;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ringway_protocol::greeting::Greet;
use ringway_protocol::{QueueId, QueueOptions, Request};
use ringway_shards::limits;
use ringway_shards::machine::clock::thread_cpu_ns;
use ringway_shards::path::dispatch::Reception;
use ringway_shards::path::handoff::Handoffs;
use ringway_shards::shard::{Shard, ShardConfig, Turn};
use ringway_shards::stats::ShardStats;

use self::peer::Peer;
use self::world::{OwnWorld, PeerSocket};
use crate::floors::CpuPair;
use crate::floors::cpus::pin_to;

/// Connections of a shard.
const PEERS: usize = 4;
/// Bytes of a queue, and of each part of a spread one: far more than is ever under way.
const BYTES_MAX: u64 = 256 << 20;
/// How long a step of the preparation or of the end may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often the leader looks whether a thread has given up.
const LOOK: Duration = Duration::from_millis(5);

const WARMING_UP: u8 = 0;
const MEASURING: u8 = 1;
const ENDING: u8 = 2;

/// What the shards of a measurement reached together.
#[derive(Clone, Copy, Debug, Default)]
pub struct Driven {
    /// Messages put, taken and acknowledged in a second.
    pub messages_per_second: f64,
    /// CPU time of a message, nanoseconds.
    pub cpu_ns_per_message: f64,
}

/// What the threads share. All of it are hints in one direction: the threads are joined before
/// anything else is read, and the queue's id is a value of its own.
#[derive(Default)]
struct Shared {
    stage: AtomicU8,
    /// The queue, once it is there; 0 before.
    queue: AtomicU64,
    /// Whether a thread gave up, so that nobody waits for it.
    failed: AtomicBool,
}

/// One or two shards with one queue, which is spread over both if there are two, for so long.
///
/// # Errors
/// Why not, in a sentence.
pub fn measure(cpus: CpuPair, shards: usize, duration: Duration) -> Result<Driven, String> {
    assert!((1..=2).contains(&shards), "there are two CPUs");
    let shared = Shared::default();
    let stats: Arc<[ShardStats]> = (0..shards).map(|_| ShardStats::default()).collect();
    let outcomes: Vec<Result<Window, String>> = std::thread::scope(|scope| {
        let mut threads = Vec::new();
        for (shard, handoffs) in Handoffs::connect(shards).into_iter().enumerate() {
            let (shared, stats) = (&shared, stats.clone());
            let work = move || {
                let cpu = if shard == 0 { cpus.server } else { cpus.client };
                let driver = Driver::start((shard, shards), (cpus, cpu), handoffs, stats, shared);
                let outcome = driver.and_then(Driver::run);
                // The others must not wait for this one.
                shared.failed.fetch_or(outcome.is_err(), Ordering::Relaxed);
                outcome
            };
            threads.push(scope.spawn(work));
        }
        lead(&shared, duration);
        let join = |thread: std::thread::ScopedJoinHandle<'_, _>| match thread.join() {
            Ok(outcome) => outcome,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        threads.into_iter().map(join).collect()
    });
    let mut driven = Driven::default();
    let (mut messages, mut cpu_ns) = (0, 0);
    for outcome in outcomes {
        let window = outcome?;
        driven.messages_per_second += window.messages as f64 / window.time.as_secs_f64();
        (messages, cpu_ns) = (messages + window.messages, cpu_ns + window.cpu_ns);
    }
    driven.cpu_ns_per_message = cpu_ns as f64 / messages as f64;
    Ok(driven)
}

/// Leads the threads from stage to stage.
fn lead(shared: &Shared, duration: Duration) {
    let pass = |time: Duration| {
        let began = Instant::now();
        while began.elapsed() < time && !shared.failed.load(Ordering::Relaxed) {
            std::thread::sleep(time.saturating_sub(began.elapsed()).min(LOOK));
        }
    };
    while shared.queue.load(Ordering::Relaxed) == 0 && !shared.failed.load(Ordering::Relaxed) {
        std::thread::sleep(LOOK);
    }
    pass(duration / 4);
    shared.stage.store(MEASURING, Ordering::Relaxed);
    pass(duration);
    shared.stage.store(ENDING, Ordering::Relaxed);
}

/// What one shard did while it was measured.
#[derive(Clone, Copy, Debug, Default)]
struct Window {
    messages: u64,
    time: Duration,
    cpu_ns: u64,
}

/// One shard, on the thread that drives it.
struct Driver<'a> {
    shard: Shard<OwnWorld>,
    number: usize,
    shards: usize,
    cpus: CpuPair,
    shared: &'a Shared,
}

impl<'a> Driver<'a> {
    fn start(
        (number, shards): (usize, usize),
        (cpus, cpu): (CpuPair, usize),
        handoffs: Handoffs<PeerSocket>,
        stats: Arc<[ShardStats]>,
        shared: &'a Shared,
    ) -> Result<Self, String> {
        if !pin_to(cpu) {
            return Err("the kernel refused to pin a thread to its CPU".to_owned());
        }
        let shard = Shard::new(config(number, shards), OwnWorld::new(PEERS), handoffs, stats);
        Ok(Self { shard, number, shards, cpus, shared })
    }

    fn run(mut self) -> Result<Window, String> {
        self.peers().for_each(|peer| peer.ask(&Request::Greet(Greet::new(b""))));
        self.turn_until(|driver| driver.peers().all(|peer| peer.is_greeted()))?;
        let queue = self.find_queue()?;
        self.peers().for_each(|peer| peer.begin(queue));
        self.turn_through(WARMING_UP);
        let before = self.mark();
        self.turn_through(MEASURING);
        let window = self.mark().since(before);
        self.peers().for_each(Peer::stop);
        self.turn_until(|driver| driver.peers().all(|peer| peer.is_idle()))?;
        if self.shard.messages() > 0 {
            return Err(format!("{} messages were put and not taken", self.shard.messages()));
        }
        let (put, settled) = (self.shard.stats().puts.get(), self.mark().messages);
        if put != settled {
            return Err(format!("of {settled} messages, {put} were put on their own shard"));
        }
        Ok(window)
    }

    /// Shard 0 makes the queue and says where it is.
    fn find_queue(&mut self) -> Result<QueueId, String> {
        let shared = self.shared;
        if self.number == 0 {
            let options = QueueOptions {
                bytes_max: BYTES_MAX,
                spread: if self.shards > 1 { self.shards as u16 } else { 0 },
                ..QueueOptions::default()
            };
            self.peers().take(1).for_each(|peer| peer.declare(options));
            self.turn_until(|driver| driver.peers().any(|peer| peer.declared().is_some()))?;
            let queue = self.peers().find_map(|peer| peer.declared());
            shared.queue.store(queue.map_or(0, |queue| queue.0), Ordering::Relaxed);
        }
        self.turn_until(|_| shared.queue.load(Ordering::Relaxed) != 0)?;
        Ok(QueueId(shared.queue.load(Ordering::Relaxed)))
    }

    fn peers(&mut self) -> impl Iterator<Item = &mut Peer> {
        self.shard.world().peers()
    }

    #[inline]
    fn turn(&mut self) {
        if self.shard.turn() == Turn::Idle {
            self.cpus.pause();
        }
    }

    /// As long as a stage lasts.
    fn turn_through(&mut self, stage: u8) {
        while self.shared.stage.load(Ordering::Relaxed) == stage {
            self.turn();
        }
    }

    fn turn_until(&mut self, mut is_done: impl FnMut(&mut Self) -> bool) -> Result<(), String> {
        let began = Instant::now();
        loop {
            self.turn();
            if let Some(sentence) = self.peers().find_map(|peer| peer.wrong().map(str::to_owned)) {
                return Err(sentence);
            }
            if is_done(self) {
                return Ok(());
            }
            if began.elapsed() > PATIENCE || self.shared.failed.load(Ordering::Relaxed) {
                return Err("a shard that drives itself waited in vain".to_owned());
            }
        }
    }

    fn mark(&mut self) -> Mark {
        let messages = self.peers().map(|peer| peer.messages()).sum();
        Mark { at: Instant::now(), cpu_ns: thread_cpu_ns(), messages }
    }
}

/// What was done and used at one moment.
#[derive(Clone, Copy)]
struct Mark {
    at: Instant,
    cpu_ns: u64,
    messages: u64,
}

impl Mark {
    fn since(self, before: Self) -> Window {
        Window {
            messages: self.messages - before.messages,
            time: self.at - before.at,
            cpu_ns: self.cpu_ns - before.cpu_ns,
        }
    }
}

fn config(shard: usize, shards: usize) -> ShardConfig {
    ShardConfig {
        shard,
        listeners: vec![0],
        shared_listener: None,
        connections_max: PEERS,
        reception: Reception {
            token: Vec::new(),
            addresses: vec![String::new(); shards],
            heartbeat_ms: limits::HEARTBEAT_MS as u32,
            connection_puts_max: 0,
        },
        quotas: None,
        defaults: QueueOptions::default(),
        seed: 1,
        auto_declare: false,
        greeting_ms: limits::GREETING_MS,
        frame_ms: limits::FRAME_MS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_shard_and_two_lose_nothing() {
        let cpus = CpuPair::choose(None, None).expect("this host tells its CPUs");
        for shards in [1, 2] {
            let driven = measure(cpus, shards, Duration::from_millis(20));
            let driven = driven.expect("every message comes back");
            assert!(driven.messages_per_second > 0.0, "{shards} shards: {driven:?}");
        }
    }
}
