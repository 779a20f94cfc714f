//! The queues of one shard: ready, leased, given back, dead. Pure: commands and time in, outcomes
//! out.
//!
//! | where | what it knows |
//! |---|---|
//! | `catalog`, `state` | queues by name and by id, and what each consists of |
//! | `log` | where messages lie, and which are ready for a group |
//! | `put` | messages come: limits, repeats, what a full queue does |
//! | `take` | ready messages become a delivery |
//! | `lease` | who holds which messages until when, and what comes of them |
//! | `waits` | takes, subscriptions and puts that wait, and who is served next |
//! | `groups` | the consumer groups of a queue |
//! | `keys` | order by key |
//! | `time` | what is due when, and what expires |
//! | `admin` | what is done to queues and messages from the side |
//! | `quota`, `rate` | what all queues of a prefix may hold; how many messages a second |
//! | `stat` | what a queue counts |
//!
//! A message's way through it: `put` appends its record to the tail segment of its queue's log, and
//! there it stays. `take` moves the log's cursor over it and writes its place into a lease. `ack`
//! marks it gone; the segment is reused when all of its messages are. Whatever ends a lease
//! otherwise puts the place among what was given back, first in line. Nothing allocates in the
//! steady state, and no call's work grows with the number of queues, leases or waiting takes,
//! except that `purge` and `delete` visit every segment, lease and waiting take of their queue.

mod admin;
mod catalog;
mod groups;
mod keys;
mod lease;
mod log;
mod put;
mod quota;
mod rarely;
mod rate;
mod stat;
mod state;
mod take;
mod time;
mod waits;

use std::collections::VecDeque;

use ringway_protocol::{QueueId, QueueOptions, Rejection};

use self::admin::idle::Uses;
use self::catalog::{Catalog, NO_SUCH_QUEUE};
use self::lease::Leases;
use self::lease::backoff::Random;
use self::lease::settle::End;
use self::log::held::Lingering;
use self::log::piece::Piece;
use self::log::segment::NIL;
use self::log::segments::Segments;
use self::put::fates::Desk;
use self::put::hold::HeldPuts;
use self::take::collect::Basket;
use self::time::schedule::Schedule;
use self::waits::Waits;
use self::waits::ending::Leaving;
use self::waits::subscriptions::Subscriptions;
use crate::limits::{
    BURIALS_PER_CALL_MAX, COMING_BACK_PER_CALL_MAX, ENDINGS_PER_CALL_MAX, TIMERS_PER_CALL_MAX,
};
use crate::world::{Now, Wheel};

pub use self::admin::moving::{named_queue, rewrite};
pub use self::put::stored::{Admission, Stored};
pub use self::quota::{Quota, Quotas};
pub use self::rate::TokenBucket;
pub use self::take::taken::{Taken, TakenRun};
pub use self::waits::answers::{Answer, Asked};
pub use self::waits::subscriptions::TOO_MANY_SUBSCRIPTIONS;

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
    /// What the hashes of deduplication ids depend on: hard to guess, but the same in a run that
    /// is to be repeated.
    pub seed: u64,
}

/// What a timer of a store ends.
#[derive(Clone, Copy, Debug)]
enum Timer {
    /// The lease in this slot.
    Lease(u32),
    /// The wait in this slot.
    Wait(u32),
    /// The time until the queue in this slot is looked at for messages that have expired.
    Lifetimes(u32),
    /// The delay of messages that the group of the queue in this slot was given back.
    Delayed(u32, u16),
    /// The same for what it has kept too long.
    Kept(u32),
    /// The time until it goes if nobody uses it.
    Idle(u32),
    /// The time until the queue in this slot forgets some of its earlier puts.
    Memory(u32),
}

/// The queues of one shard.
///
/// Invariant: `messages` is the sum of the live messages of all queues.
#[derive(Debug)]
pub struct Store {
    catalog: Catalog,
    segments: Segments,
    leases: Leases,
    waits: Waits,
    subscriptions: Subscriptions,
    /// Subscriptions that have ended and hold something yet, and how much may come back of them in
    /// this turn.
    leaving: VecDeque<Leaving>,
    endings_left: u32,
    /// Dead letters that may be made in this turn.
    burials_left: u32,
    held_puts: HeldPuts,
    wheel: Wheel<Timer>,
    /// Groups of queues that may have something for those who wait, in turn; and those that found
    /// no lease.
    offers: VecDeque<(QueueId, u16)>,
    starved: Vec<(QueueId, u16)>,
    lingering: Lingering,
    /// Parts whose dead letters were made without the others', until somebody asks for them.
    letters_alone: Vec<QueueId>,
    uses: Uses,
    schedule: Schedule,
    messages: u64,
    /// Made on first use; out of its place while a batch is worked on.
    desk: Option<Box<Desk>>,
    /// The dice for back-offs.
    random: Random,
    /// Room that is reused: what a take gathers, ranges claimed, pieces ending, a piece cut up and
    /// what of it has expired, a record, dead letters.
    basket: Basket,
    claimed: Vec<(u32, u32)>,
    ending: Vec<Piece>,
    stretches: Vec<(Piece, bool)>,
    record: Vec<u8>,
    letter: Vec<u8>,
}

impl Store {
    /// A store without queues.
    pub fn new(config: StoreConfig) -> Self {
        let StoreConfig { shard, defaults, queues_max, leases_max, waits_max, seed } = config;
        assert!(defaults.check().is_ok(), "the default options of a queue are valid");
        Self {
            catalog: Catalog::new(shard, defaults, queues_max, seed),
            segments: Segments::new(),
            leases: Leases::new(shard, leases_max),
            waits: Waits::new(waits_max),
            subscriptions: Subscriptions::new(shard),
            leaving: VecDeque::new(),
            endings_left: ENDINGS_PER_CALL_MAX,
            burials_left: BURIALS_PER_CALL_MAX,
            held_puts: HeldPuts::default(),
            wheel: Wheel::new(),
            offers: VecDeque::new(),
            starved: Vec::new(),
            lingering: Lingering::default(),
            letters_alone: Vec::new(),
            uses: Uses::default(),
            schedule: Schedule::new(),
            messages: 0,
            desk: None,
            random: Random::new(seed),
            basket: Basket::default(),
            claimed: Vec::new(),
            ending: Vec::new(),
            stretches: Vec::new(),
            record: Vec::new(),
            letter: Vec::new(),
        }
    }

    /// Drops every ready message of a queue, of every group, and says how many messages went: they
    /// are not kept. Leases are untouched. Visits each segment.
    pub fn purge(&mut self, id: QueueId) -> Result<u64, Rejection> {
        let queue = self.catalog.get_mut(id)?;
        let before = queue.bands.live();
        for group in 0..queue.groups.places() {
            if queue.groups.get(group).is_some() {
                queue.purge_group(&mut self.segments, group, false);
            }
        }
        let purged = before - queue.bands.live();
        self.messages -= purged;
        queue.linger(&mut self.lingering);
        queue.check();
        self.stir(id, self.uses.clock_ns);
        Ok(purged)
    }

    /// Removes a queue with its messages and says how many, leased ones included. Its leases end,
    /// who waits is answered that there is no such queue, its dead-letter queue stays. Visits each
    /// of its segments, its leases and those who wait.
    pub fn delete(&mut self, id: QueueId) -> Result<u64, Rejection> {
        let messages = self.catalog.get(id)?.bands.live();
        let slot = id.slot() as u32;
        self.forget_use(slot);
        self.catalog.at_mut(slot).bands.keep(&mut self.segments, false);
        self.purge(id)?;
        let queue = self.catalog.at_mut(slot);
        let before = queue.bands.live();
        queue.bands.drop_scheduled(&mut self.segments);
        self.messages -= before - queue.bands.live();
        if let Some(timer) = queue.lifetimes.take() {
            self.wheel.disarm(timer);
        }
        self.refuse_line(slot, NO_SUCH_QUEUE);
        for group in 0..self.catalog.at(slot).groups.places() {
            if self.catalog.at(slot).groups.get(group).is_some() {
                self.end_group(slot, group, NO_SUCH_QUEUE);
            }
        }
        let mut queue = self.catalog.remove(id)?;
        assert!(queue.bands.live() == 0, "a deleted queue is empty");
        queue.bands.iter_mut().for_each(|log| log.close(&mut self.segments));
        Ok(messages)
    }

    /// Ends the leases and delays of a group for good, and refuses those who wait there.
    fn end_group(&mut self, slot: u32, group: usize, why: Rejection) {
        loop {
            let lease = self.catalog.at(slot).groups.at(group).leases;
            if lease == NIL {
                break;
            }
            self.end_lease(lease, End::Deleted);
        }
        self.end_delayed((slot, group));
        self.refuse_waits(slot, group, why);
    }

    /// Ends leases, delays and waits whose time is over, at most [`TIMERS_PER_CALL_MAX`] a call and
    /// about [`COMING_BACK_PER_CALL_MAX`] messages of theirs, and gives memory back whose sends
    /// have ended. For once a turn.
    pub fn expire(&mut self, now: Now) {
        self.tell_time(now);
        if !self.lingering.is_empty() {
            self.give_memory_back();
        }
        self.burials_left = BURIALS_PER_CALL_MAX;
        self.end_leaving(now);
        self.run_schedule(now);
        let (mut budget, mut left) = (TIMERS_PER_CALL_MAX, COMING_BACK_PER_CALL_MAX);
        while left > 0
            && let Some(timer) = self.wheel.expire(now.ns, &mut budget)
        {
            match timer {
                Timer::Wait(slot) => self.time_out(slot),
                Timer::Lifetimes(slot) => self.look_at_lifetimes(slot, now),
                Timer::Kept(slot) => self.look_at_kept(slot, now),
                Timer::Idle(slot) => self.look_at_use(slot, now),
                Timer::Memory(slot) => self.look_at_memory(slot, now),
                Timer::Lease(slot) => left = left.saturating_sub(self.run_out(slot, now)),
                Timer::Delayed(slot, group) => {
                    self.wake_delayed((slot, group.into()), &mut left, now);
                }
            }
        }
    }

    /// Whether [`Store::expire`] has something to do.
    #[inline]
    pub fn is_due(&self, now: Now) -> bool {
        self.next_deadline().is_some_and(|at| at <= now.ns)
    }

    /// When [`Store::expire`] has something to do next. Never late by more than a tick of the
    /// wheel; after settlements it may be too early, once for each lease that there was at a time.
    pub fn next_deadline(&self) -> Option<u64> {
        let at_once = (!self.leaving.is_empty()).then_some(self.uses.clock_ns);
        let scheduled = self.schedule.next_deadline(&self.segments);
        let deadlines = [self.wheel.next_deadline(), scheduled, at_once];
        deadlines.into_iter().flatten().min()
    }
}
