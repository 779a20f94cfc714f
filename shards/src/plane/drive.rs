//! The one task of a shard's executor: turn, spin for a while, sleep.

use crate::lane::Command;
use crate::machine::doorbell::Doorbell;
use crate::machine::executor::ParkEvent;
use crate::machine::linux::{LinuxConfig, LinuxWorld, StartError};
use crate::machine::listeners::Listener;
use crate::path::handoff::Handoffs;
use crate::shard::{Life, Shard, ShardConfig, Turn};
use crate::stats::ShardStats;
use crate::world::World;
use rtrb::Consumer;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;

/// What a shard's thread gets to start from.
pub struct ShardStart<S> {
    pub config: ShardConfig,
    pub linux: LinuxConfig,
    pub handoffs: Handoffs<S>,
    pub listeners: Vec<Listener>,
    pub doorbells: Vec<Arc<Doorbell>>,
    pub stats: Arc<[ShardStats]>,
    pub spin_ns: u64,
}

/// Looks at the clock once in so many looks for work while spinning.
const LOOKS_PER_CLOCK: u32 = 32;
/// Looks for more work after a turn that found some, before the next turn: less than a microsecond.
const LOOKS_AFTER_WORK: u32 = 64;
/// Why a failure to wait for the doorbell is fatal.
const DEAF: &str = "a shard that cannot hear its doorbell must end";

/// Drives one shard until it has stopped; returns what its queues still held.
///
/// This is the only place of the data plane with an `.await`, and nothing is borrowed over it.
pub async fn drive(
    start: ShardStart<<LinuxWorld as World>::Socket>,
    commands: Consumer<Command>,
    ready: SyncSender<Result<(), StartError>>,
) -> Vec<(String, u64)> {
    let number = start.config.shard;
    let doorbell = start.doorbells[number].clone();
    let world = LinuxWorld::new(&start.linux, number, start.doorbells, start.listeners);
    let (world, event) = match (world, ParkEvent::new(&doorbell)) {
        (Ok(world), Ok(event)) => (world, event),
        (Err(error), _) => return refuse(&ready, error),
        (_, Err(error)) => return refuse(&ready, StartError::Doorbell(error)),
    };
    let mut shard = Shard::new(start.config, world, start.handoffs, start.stats);
    shard.listen_to(commands);
    // The process waits for this; if it is gone, the shard stops with its first command.
    let _ = ready.send(Ok(()));
    loop {
        let turn = shard.turn();
        if shard.life() == Life::Stopped {
            break shard.store().left_over();
        }
        if turn == Turn::Worked {
            // The next request often follows at once: looking for it is cheaper than an idle turn.
            found_work(&shard, LOOKS_AFTER_WORK);
        } else if !spin(&mut shard, start.spin_ns) {
            read_cpu_time(&mut shard);
            park(&mut shard, &doorbell, &event).await;
            if start.spin_ns == 0 && shard.has_work() {
                // The CPU is shared: a shard whose ring we wait for may be behind us in the queue.
                std::thread::yield_now();
            }
        }
        event.yield_if_due(shard.now_ns()).await.expect(DEAF);
    }
}

fn refuse(ready: &SyncSender<Result<(), StartError>>, error: StartError) -> Vec<(String, u64)> {
    let _ = ready.send(Err(error));
    Vec::new()
}

/// Looks for work for a while; `true` as soon as there is some.
fn spin(shard: &mut Shard<LinuxWorld>, spin_ns: u64) -> bool {
    let started_ns = shard.world().now_ns();
    loop {
        if found_work(shard, LOOKS_PER_CLOCK) {
            return true;
        }
        let now_ns = shard.world().now_ns();
        if now_ns - started_ns >= spin_ns || shard.next_deadline().is_some_and(|at| at <= now_ns) {
            return shard.next_deadline().is_some_and(|at| at <= now_ns);
        }
    }
}

/// Looks for work so many times, or until there is some.
#[inline]
fn found_work(shard: &Shard<LinuxWorld>, looks: u32) -> bool {
    (0..looks).any(|_| shard.has_work())
}

/// Sleeps until the doorbell is rung, a request completes or the next deadline comes.
async fn park(shard: &mut Shard<LinuxWorld>, doorbell: &Doorbell, event: &ParkEvent) {
    // Announce first, look again second: see `machine/parked.rs` for why none of the two can be
    // lost.
    doorbell.prepare_to_park();
    let deadline = shard.next_deadline();
    if !shard.has_work() && shard.world().prepare_to_park(deadline) {
        shard.stats().parks.add(1);
        event.wait().await.expect(DEAF);
        shard.slept();
        shard.world().unpark();
    }
    doorbell.unpark();
}

/// A shard that is busy reads it itself, to know how long its turns are.
fn read_cpu_time(shard: &mut Shard<LinuxWorld>) {
    let cpu_ns = shard.world().cpu_ns();
    shard.stats().cpu_ns.set(cpu_ns);
}
