//! One shard and its loop: everything that one core owns.
//!
//! [`Shard::turn`] is synchronous. It reads the clock once and runs every stage on whatever has
//! gathered, in the order of a message's way. Who calls it decides when to spin and when to sleep:
//! `plane` on Linux, a scheduler in the simulator.

mod life;
mod turns;

pub use life::Life;

use crate::lane::Lanes;
use crate::limits::{COMPLETIONS_PER_TURN_MAX, TIMERS_PER_CALL_MAX, TURN_NS};
use crate::path::accept::Listeners;
use crate::path::connection::closing::ConnectionTimer;
use crate::path::connection::{Connections, Stall};
use crate::path::dispatch::Reception;
use crate::path::errand::Errands;
use crate::path::handoff::Handoffs;
use crate::path::perform::Performer;
use crate::path::queue::{Quotas, Store, StoreConfig};
use crate::shard::turns::Turns;
use crate::stats::ShardStats;
use crate::world::{Completion, Now, Outgoing, Wheel, World};
use ringway_protocol::QueueOptions;
use std::collections::VecDeque;
use std::sync::Arc;

/// What a shard is told once.
#[derive(Clone, Debug)]
pub struct ShardConfig {
    /// Its number, from 0.
    pub shard: usize,
    /// The world's listeners that it accepts on.
    pub listeners: Vec<u32>,
    /// The one of them whose connections are dealt out to all shards, if it is the one to deal.
    pub shared_listener: Option<u32>,
    /// Most connections of this shard.
    pub connections_max: usize,
    /// What greetings are checked against and answered with.
    pub reception: Reception,
    /// What queues may hold together, on all shards of the plane.
    pub quotas: Option<Quotas>,
    /// Options of queues that are declared without any.
    pub defaults: QueueOptions,
    /// What the hashes of deduplication ids depend on.
    pub seed: u64,
    /// Whether opening a queue that does not exist makes it.
    pub auto_declare: bool,
    /// Milliseconds within which a greeting must arrive.
    pub greeting_ms: u64,
    /// Milliseconds within which a frame that was begun must end.
    pub frame_ms: u64,
}

/// Whether a turn found anything to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Turn {
    /// It did something: more may follow at once.
    Worked,
    /// It found nothing.
    Idle,
}

/// One core's executor's only task drives one of these.
pub struct Shard<W: World> {
    pub(crate) world: W,
    pub(crate) config: ShardConfig,
    pub(crate) life: Life,
    pub(crate) completions: Vec<Completion>,
    pub(crate) listeners: Listeners,
    pub(crate) connections: Connections<W::Socket>,
    pub(crate) timers: Wheel<ConnectionTimer>,
    pub(crate) performer: Performer,
    pub(crate) handoffs: Handoffs<W::Socket>,
    pub(crate) errands: Errands,
    pub(crate) lanes: Lanes,
    /// Slots with something to send, in turn.
    pub(crate) replying: VecDeque<u32>,
    /// Whether some of them have not had their turn.
    pub(crate) replies_left: bool,
    /// Slots whose receive has ended and is to be armed again at the end of the turn.
    pub(crate) rearming: Vec<u32>,
    /// Sockets without operations under way, to be closed in turn.
    pub(crate) closing: VecDeque<W::Socket>,
    /// Slots whose next frame waits for a ring to another shard.
    pub(crate) stalled: VecDeque<u32>,
    /// Memory for inboxes and outboxes of connections that have something in them.
    pub(crate) spare_inboxes: Vec<Vec<u8>>,
    pub(crate) spare_outboxes: Vec<Outgoing>,
    /// Until when a shard that ends waits for its errands.
    pub(crate) errands_until_ns: Option<u64>,
    turns: Turns,
    work: usize,
}

impl<W: World> Shard<W> {
    /// A shard without connections or queues. `handoffs` are its ends of the rings between the
    /// shards.
    pub fn new(
        config: ShardConfig,
        world: W,
        handoffs: Handoffs<W::Socket>,
        stats: Arc<[ShardStats]>,
    ) -> Self {
        let mut store = Store::new(StoreConfig {
            shard: config.shard as u8,
            defaults: config.defaults,
            queues_max: crate::limits::QUEUES_MAX,
            leases_max: crate::limits::LEASES_MAX,
            waits_max: crate::limits::WAITS_MAX,
            seed: config.seed,
        });
        if let Some(quotas) = &config.quotas {
            store.set_quotas(quotas.clone());
        }
        let performer = Performer::new(config.shard, store, stats, config.auto_declare);
        let mut shard = Self {
            world,
            life: Life::Serving,
            completions: Vec::with_capacity(COMPLETIONS_PER_TURN_MAX),
            listeners: Listeners::new(&config.listeners),
            connections: Connections::default(),
            timers: Wheel::new(),
            performer,
            handoffs,
            errands: Errands::default(),
            lanes: Lanes::default(),
            replying: VecDeque::new(),
            replies_left: false,
            rearming: Vec::new(),
            closing: VecDeque::new(),
            stalled: VecDeque::new(),
            spare_inboxes: Vec::new(),
            spare_outboxes: Vec::new(),
            errands_until_ns: None,
            turns: Turns::new(),
            work: 0,
            config,
        };
        shard.performer.now = read_clocks(&mut shard.world);
        shard
    }

    /// One pass over all stages, in the order of a message's way.
    pub fn turn(&mut self) -> Turn {
        self.work = 0;
        self.serve_lanes(); //    threads of this process: they wait in nanoseconds, not for a clock
        self.performer.now = read_clocks(&mut self.world);
        self.performer.store.tell_time(self.performer.now);
        self.reap(); //           completions are recorded
        self.accept(); //         listening sockets become connections, here or on another shard
        self.receive(); //        bytes become frames, frames outcomes or handoffs
        self.take_arrivals(); //  what other shards handed over
        self.part_with_all(); //  at the end of the shard: nothing that has arrived is lost
        self.expire(); //         leases, waits and deadlines that have run out
        self.answer(); //         waiting takes that can be answered now
        self.run_errands(); //    requests of several shards go on, and home
        self.resume(); //         connections whose obstacle is gone
        self.performer.journal.commit(); // the mark that replies wait for
        self.reply(); //          one send a connection
        self.hand_over(); //      batches to other shards, doorbells
        self.rearm(); //          receives that ended are armed again
        self.close_sockets(); //  of connections that are over
        self.world.submit(); //   everything asked for goes to the kernel, once
        self.performer.store.publish_usage();
        self.performer.stats().turns.add(1);
        self.performer.stats().messages.set(self.messages());
        if self.has_ended() {
            self.life = Life::Stopped;
        }
        if self.work == 0 {
            return Turn::Idle;
        }
        let took_ns = self.world.now_ns() - self.performer.now.ns;
        let stats = &self.performer.stats[self.config.shard];
        let Self { turns, world, .. } = self;
        turns.note((self.performer.now.ns, took_ns), stats, || world.cpu_ns());
        Turn::Worked
    }

    /// Says that a stage did something in this turn.
    #[inline]
    pub(crate) fn worked(&mut self, count: usize) {
        self.work += count;
    }

    fn reap(&mut self) {
        self.completions.clear();
        if self.world.pending() {
            self.world.reap(&mut self.completions);
            self.worked(self.completions.len());
        }
    }

    fn expire(&mut self) {
        let now = self.performer.now;
        loop {
            let is_due = self.performer.store.is_due(now);
            self.worked(usize::from(is_due));
            self.performer.store.expire(now);
            if !is_due || !self.has_time() {
                break;
            }
        }
        self.forget_deleted();
        self.ask_for_letters();
        let mut budget = TIMERS_PER_CALL_MAX;
        while let Some(timer) = self.timers.expire(now.ns, &mut budget) {
            self.worked(1);
            self.timer_fired(timer);
        }
    }

    /// Whether this turn may begin something that could wait for the next one.
    fn has_time(&mut self) -> bool {
        self.world.now_ns().saturating_sub(self.performer.now.ns) < TURN_NS
    }

    fn hand_over(&mut self) {
        let Self { handoffs, performer, world, .. } = self;
        handoffs.flush(&performer.journal, performer.stats(), |shard| world.ring_doorbell(shard));
    }

    /// Retries connections that stopped because a ring to another shard was full, or because of
    /// what publishes store in one turn.
    fn resume(&mut self) {
        self.errands.end_turn();
        for _ in 0..self.stalled.len() {
            let Some(slot) = self.stalled.pop_front() else { break };
            let stall = self.connections.at(slot).and_then(|connection| connection.stall);
            match stall {
                Some(Stall::Handoff(shard)) if !self.handoffs.has_room(shard) => {
                    self.stalled.push_back(slot);
                }
                Some(Stall::Scattered) if !self.errands.may_scatter() => {
                    self.stalled.push_back(slot);
                }
                Some(Stall::Handoff(_) | Stall::Scattered) => {
                    self.worked(1);
                    self.serve_kept(slot);
                }
                _ => {}
            }
        }
    }

    /// Whether a turn would find something: looked at while spinning and before sleeping.
    #[inline]
    pub fn has_work(&self) -> bool {
        self.world.pending()
            || self.handoffs.has_arrivals()
            || self.handoffs.has_unsent()
            || self.lanes.have_arrivals()
            || !self.rearming.is_empty()
            || self.replies_left
            || !self.closing.is_empty()
            || self.errands.have_work(self.performer.journal.committed())
            || (self.errands.has_spent() && !self.stalled.is_empty())
    }

    /// Whoever drives the shard has let its thread sleep.
    #[inline]
    pub fn slept(&mut self) {
        self.turns.slept();
    }

    /// The monotonic clock as this turn read it.
    pub fn now_ns(&self) -> u64 {
        self.performer.now.ns
    }

    /// When the next timer runs out, on the world's clock.
    pub fn next_deadline(&self) -> Option<u64> {
        let deadlines = [
            self.performer.store.next_deadline(),
            self.timers.next_deadline(),
            self.listeners.retry_at(),
            self.errands_until_ns.filter(|at| !self.errands.is_empty() && *at > self.now_ns()),
        ];
        deadlines.into_iter().flatten().min()
    }

    /// Messages that would be lost if the shard stopped now.
    pub fn messages(&self) -> u64 {
        self.performer.store.messages()
    }

    /// How far the shard's end has come.
    pub fn life(&self) -> Life {
        self.life
    }

    /// The world, for those who drive the shard.
    pub fn world(&mut self) -> &mut W {
        &mut self.world
    }

    /// The shard's own figures.
    pub fn stats(&self) -> &ShardStats {
        self.performer.stats()
    }

    /// The queues, for tests that look inside.
    pub fn store(&mut self) -> &mut Store {
        &mut self.performer.store
    }
}

fn read_clocks(world: &mut impl World) -> Now {
    Now { ns: world.now_ns(), wall_ms: world.wall_ms() }
}
