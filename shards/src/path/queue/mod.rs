//! The queues of one shard: ready, leased, given back, dead. Pure: commands and time in, outcomes
//! out.
//!
//! | file | what it knows |
//! |---|---|
//! | `catalog` | queues by name and by id |
//! | `segment`, `segments` | memory for records, and its reuse |
//! | `log` | where a queue's messages lie and which are ready |
//! | `held` | which segments a log gives back, keeps waiting or compacts |
//! | `piece` | messages that follow each other in a segment |
//! | `bounds` | put, and what a full queue does |
//! | `take` | ready messages become a delivery |
//! | `lease` | who holds which messages until when |
//! | `settle` | ack, nack, release, expiry |
//! | `dead_letters` | messages delivered too often |
//! | `waits` | takes that wait for messages |
//! | `stat` | what a queue counts |
//!
//! A message's way through it: `put` appends its record to the tail segment of its queue's log, and
//! there it stays. `take` moves the log's cursor over it and writes its place into a lease. `ack`
//! marks it gone; the segment is reused when all of its messages are. Whatever ends a lease
//! otherwise puts the place on the log's heap, first in line. Nothing allocates in the steady
//! state, and no call's work grows with the number of queues, leases or waiting takes, except that
//! `purge` and `delete` visit every segment, lease and waiting take of their queue.

mod bounds;
mod catalog;
mod dead_letters;
mod held;
mod lease;
mod log;
mod piece;
mod segment;
mod segments;
mod settle;
mod stat;
mod take;
mod waits;

use std::collections::VecDeque;

use ringway_protocol::reply::{ListEntry, QUEUE_COLUMNS, Run};
use ringway_protocol::request::Take;
use ringway_protocol::{LeaseId, QueueId, QueueOptions, Rejection};

use self::catalog::Catalog;
use self::lease::Leases;
use self::piece::Piece;
use self::segment::NIL;
use self::segments::Segments;
use self::settle::End;
use self::waits::Waits;
use crate::limits::TIMERS_PER_TURN_MAX;
use crate::path::origin::Origin;
use crate::world::{PinnedSlice, Wheel};

/// Queues that keep dead segments for sends: how many one call looks at.
const LINGERING_PER_CALL_MAX: usize = 8;

/// What a store is made with.
#[derive(Clone, Copy, Debug)]
pub struct StoreConfig {
    /// The shard's number, part of each queue's id.
    pub shard: u8,
    /// The options of a queue that is declared without any. They must be valid.
    pub defaults: QueueOptions,
    /// Most queues.
    pub queues_max: usize,
    /// Most leases, of all queues together.
    pub leases_max: usize,
    /// Most takes that wait, of all queues together.
    pub waits_max: usize,
}

/// What a take returned. Reused from one take to the next.
#[derive(Debug)]
pub struct Taken {
    /// The lease; [`LeaseId::NONE`] if nothing came or it was acknowledged at once.
    pub lease: LeaseId,
    /// How long the lease lasts from now, in milliseconds; 0 without a lease.
    pub lease_ms: u32,
    /// How many messages came.
    pub count: u32,
    /// The messages in the order of the lease's indices.
    pub runs: Vec<TakenRun>,
}

/// Messages that follow each other, and their records in wire format.
#[derive(Debug)]
pub struct TakenRun {
    /// Where they stood, and how often they were delivered.
    pub run: Run,
    /// Their records; the memory stays as it is until this is dropped.
    pub slice: PinnedSlice,
}

impl Taken {
    /// Nothing taken yet.
    pub const fn new() -> Self {
        Self { lease: LeaseId::NONE, lease_ms: 0, count: 0, runs: Vec::new() }
    }

    /// Forgets what was taken, and lets go of its memory.
    #[inline]
    pub fn clear(&mut self) {
        (self.lease, self.lease_ms, self.count) = (LeaseId::NONE, 0, 0);
        self.runs.clear();
    }
}

impl Default for Taken {
    fn default() -> Self {
        Self::new()
    }
}

/// The answer to a take that waited.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    /// Who asked.
    pub origin: Origin,
    /// What was asked.
    pub take: Take,
    /// Whether messages came (they are in the [`Taken`]), the wait ran out (none are), or why not.
    pub outcome: Result<(), Rejection>,
}

/// What a timer of a store ends.
#[derive(Clone, Copy, Debug)]
enum Timer {
    /// The lease in this slot.
    Lease(u32),
    /// The waiting take in this slot.
    Wait(u32),
}

/// The queues of one shard.
///
/// Invariant: `ready` and `leased` are the sums over all queues.
#[derive(Debug)]
pub struct Store {
    catalog: Catalog,
    segments: Segments,
    leases: Leases,
    waits: Waits,
    wheel: Wheel<Timer>,
    /// Queues that may have something for their waiting takes, in turn.
    offers: VecDeque<QueueId>,
    /// Queues that keep dead segments until sends end, in turn.
    lingering: VecDeque<QueueId>,
    ready: u64,
    leased: u64,
    /// Room that is reused: pieces being delivered, ranges claimed, pieces ending, a dead letter
    /// before and after.
    pieces: Vec<Piece>,
    claimed: Vec<(u32, u32)>,
    ending: Vec<Piece>,
    record: Vec<u8>,
    letter: Vec<u8>,
}

impl Store {
    /// A store without queues.
    pub fn new(config: StoreConfig) -> Self {
        let StoreConfig { shard, defaults, queues_max, leases_max, waits_max } = config;
        assert!(defaults.check().is_ok(), "the default options of a queue are valid");
        Self {
            catalog: Catalog::new(shard, defaults, queues_max),
            segments: Segments::new(),
            leases: Leases::new(shard, leases_max),
            waits: Waits::new(waits_max),
            wheel: Wheel::new(),
            offers: VecDeque::new(),
            lingering: VecDeque::new(),
            ready: 0,
            leased: 0,
            pieces: Vec::new(),
            claimed: Vec::new(),
            ending: Vec::new(),
            record: Vec::new(),
            letter: Vec::new(),
        }
    }

    /// Makes a queue, or finds it with the same options; the second value says whether it was made.
    /// Without options it gets the defaults, and an existing queue fits whatever its options are.
    pub fn declare(
        &mut self,
        name: &str,
        options: Option<QueueOptions>,
    ) -> Result<(QueueId, bool), Rejection> {
        self.catalog.declare(name, options)
    }

    /// The id of a queue.
    pub fn open(&self, name: &str) -> Result<QueueId, Rejection> {
        self.catalog.open(name)
    }

    /// Visits up to `limit` queues whose names start with `prefix`, from a slot on. Returns the
    /// slot to go on from, `None` after the last. Looks at a bounded number of slots a call, so a
    /// page may be short.
    pub fn list(
        &self,
        from_slot: u32,
        limit: u32,
        prefix: &str,
        visit: &mut dyn FnMut(ListEntry<'_>),
    ) -> Option<u32> {
        self.catalog.list(from_slot, limit, prefix, visit)
    }

    /// The figures of a queue in the order of [`QUEUE_COLUMNS`].
    pub fn stat(&self, queue: QueueId) -> Result<[u64; QUEUE_COLUMNS.len()], Rejection> {
        self.catalog.get(queue).map(|queue| queue.figures())
    }

    /// How many queues there are.
    pub fn queues(&self) -> usize {
        self.catalog.len()
    }

    /// Messages ready in all queues.
    pub fn ready(&self) -> u64 {
        self.ready
    }

    /// Messages leased in all queues.
    pub fn leased(&self) -> u64 {
        self.leased
    }

    /// Drops every ready message of a queue and says how many. Leases are untouched. Visits each
    /// segment.
    pub fn purge(&mut self, queue: QueueId) -> Result<u64, Rejection> {
        let queue = self.catalog.get_mut(queue)?;
        let purged = queue.log.ready();
        while let Some(piece) = queue.log.next_piece(&mut self.segments, (u32::MAX, u32::MAX), true)
        {
            queue.log.settle(&mut self.segments, &piece);
        }
        queue.counters.purged += purged;
        self.ready -= purged;
        queue.linger(&mut self.lingering);
        queue.check();
        Ok(purged)
    }

    /// Removes a queue with its messages and says how many, leased ones included. Its leases end,
    /// its waiting takes are answered that there is no such queue, its dead-letter queue stays.
    /// Visits each of its segments, leases and waiting takes.
    pub fn delete(&mut self, queue: QueueId) -> Result<u64, Rejection> {
        let leased = self.catalog.get(queue)?.leased;
        let ready = self.purge(queue)?;
        while let Ok(found) = self.catalog.get(queue)
            && found.leases != NIL
        {
            let lease = found.leases;
            self.end_lease(lease, End::Deleted);
        }
        self.refuse_waits(queue);
        let mut queue = self.catalog.remove(queue)?;
        assert!(queue.leased == 0 && queue.log.live == 0, "a deleted queue is empty");
        queue.log.close(&mut self.segments);
        Ok(ready + leased)
    }

    /// Ends leases and waits whose time is over, at most [`TIMERS_PER_TURN_MAX`] a call, and gives
    /// memory back whose sends have ended. For once a turn.
    pub fn expire(&mut self, now_ns: u64) {
        if !self.lingering.is_empty() {
            self.give_memory_back();
        }
        let mut budget = TIMERS_PER_TURN_MAX;
        while let Some(timer) = self.wheel.expire(now_ns, &mut budget) {
            match timer {
                Timer::Wait(slot) => self.time_out(slot),
                Timer::Lease(slot) => {
                    let lease = &mut self.leases[slot];
                    lease.timer = None;
                    let queue = lease.queue;
                    self.end_lease(slot, End::GivenBack);
                    let queue = self.catalog.at_mut(queue);
                    queue.counters.expired_leases += 1;
                    let id = queue.id;
                    queue.check();
                    self.offer(id);
                }
            }
        }
    }

    /// Looks at some of the queues that keep dead segments because a send referred to them.
    #[cold]
    fn give_memory_back(&mut self) {
        for _ in 0..LINGERING_PER_CALL_MAX {
            let Some(id) = self.lingering.pop_front() else { break };
            let Ok(queue) = self.catalog.get_mut(id) else { continue };
            queue.log.reap(&mut self.segments);
            if queue.log.live == 0 {
                queue.log.release_dead_tail(&mut self.segments);
            }
            queue.lingering = queue.log.lingers();
            if queue.lingering {
                self.lingering.push_back(id);
            }
        }
    }

    /// When [`Store::expire`] has something to do next. Never late by more than a tick of the
    /// wheel; after a settlement it may be too early, once.
    pub fn next_deadline(&self) -> Option<u64> {
        self.wheel.next_deadline()
    }
}
