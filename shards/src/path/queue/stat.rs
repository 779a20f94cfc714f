//! What a queue counts, and the row of figures that a stat answers.

use ringway_protocol::reply::{GROUP_COLUMNS, QUEUE_COLUMNS};
use ringway_protocol::{QueueId, Rejection};

use super::Store;
use super::catalog::Queue;
use super::groups::{Counters as GroupCounters, Group};
use super::log::bands::SCHEDULED;
use super::log::segments::Segments;
use crate::world::Now;

/// Messages that go one by one between two looks at whether all adds up.
const CHECKED_MESSAGES: u64 = 64;

/// Counters of a queue since it was declared, in messages. What its groups do, they count.
///
/// Invariant: puts = live messages + gone.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Counters {
    /// Put, by producers or as dead letters.
    pub puts: u64,
    /// Refused because the queue was full or they were too large, dead letters included.
    pub refused: u64,
    /// Repeats of messages that were stored before.
    pub duplicates: u64,
    /// Removed before they were due.
    pub removed: u64,
    /// Moved to another queue.
    pub moved_out: u64,
}

impl Queue {
    /// Messages ready, of all groups together.
    pub fn ready(&self) -> u64 {
        self.groups.iter().map(|(group, _)| self.bands.ready(group)).sum()
    }

    /// Messages leased, of all groups together.
    pub fn leased(&self) -> u64 {
        self.groups.iter().map(|(_, group)| group.leased).sum()
    }

    fn sum(&self, counter: impl Fn(&Group) -> u64) -> u64 {
        self.groups.iter().map(|(_, group)| counter(group)).sum()
    }

    /// What all groups have counted, those that are gone by now included.
    fn counted(&self, counter: impl Fn(&GroupCounters) -> u64) -> u64 {
        let gone = self.known_rare().map_or(0, |rare| counter(&rare.gone_groups));
        gone + self.sum(|group| counter(&group.counters))
    }

    /// The figures in the order of [`QUEUE_COLUMNS`].
    pub fn figures(&self, segments: &Segments, now: Now) -> [u64; QUEUE_COLUMNS.len()] {
        let scheduled = self.bands.get(SCHEDULED).map_or(0, |log| log.live);
        [
            self.ready(),
            self.leased(),
            self.bands.held_bytes(),
            self.bands.live_bytes(),
            self.counters.puts,
            self.counted(|counters| counters.takes),
            self.counted(|counters| counters.acks),
            self.counted(|counters| counters.nacks),
            self.counted(|counters| counters.expired_leases),
            self.counted(|counters| counters.redeliveries),
            self.counted(|counters| counters.dead_lettered),
            self.counted(|counters| counters.dropped),
            self.counters.refused,
            self.counted(|counters| counters.purged),
            self.sum(|group| u64::from(group.waits.takes)),
            self.sum(Group::delayed),
            self.sum(|group| u64::from(group.keys.count)),
            scheduled,
            self.groups.len() as u64,
            self.sum(|group| u64::from(group.waits.subscriptions)),
            self.counted(|counters| counters.expired),
            self.counted(|counters| counters.removed) + self.counters.removed,
            self.counters.duplicates,
            u64::from(self.line.puts),
            self.line.bytes,
            self.bands.kept().messages,
            self.counted(|counters| counters.dead_letters_refused),
            self.counters.moved_out,
            self.oldest_age_ms(segments, now),
            self.puts.per_second(now.ns),
            self.acks.per_second(now.ns),
            u64::from(self.pause.puts) + 2 * u64::from(self.pause.takes),
            self.bands.live(),
        ]
    }

    /// The figures of a group in the order of [`GROUP_COLUMNS`].
    pub fn group_figures(&self, index: usize) -> [u64; GROUP_COLUMNS.len()] {
        let group = self.groups.at(index);
        let counters = &group.counters;
        [
            self.bands.first.lines.at(index).sequence,
            self.bands.ready(index),
            group.leased,
            u64::from(group.keys.count),
            group.delayed(),
            counters.takes,
            counters.acks,
            counters.nacks,
            counters.expired_leases,
            counters.redeliveries,
            counters.dead_lettered,
            counters.expired,
            counters.dropped,
            counters.purged,
            counters.removed,
            u64::from(group.waits.takes),
            u64::from(group.waits.subscriptions),
        ]
    }

    /// How long the oldest message has been held that some group needs, what is scheduled left out.
    fn oldest_age_ms(&self, segments: &Segments, now: Now) -> u64 {
        let logs = (0..SCHEDULED).filter_map(|band| self.bands.get(band));
        let oldest = logs.filter_map(|log| log.oldest_put_ms(segments)).min();
        oldest.map_or(0, |put_ms| now.ms().saturating_sub(put_ms))
    }

    /// Asserts what must hold after every batch.
    #[inline(always)]
    pub fn check(&self) {
        if self.bands.is_single() && self.groups.places() == 1 {
            let group = self.groups.at(0);
            let held = self.bands.first.ready(0) + group.held();
            assert!(self.bands.first.live == held, "a held message is ready or the group has it");
        }
        assert!(self.bands.live_bytes() <= self.bands.held_bytes(), "live bytes are held");
        if cfg!(debug_assertions) {
            self.check_groups();
        }
    }

    /// The same after so many messages, of `all` that were counted: once a batch, and once in 64
    /// where they go one by one. What does not add up once never does again, so it is found soon.
    #[inline(always)]
    pub fn check_some(&self, all: u64, messages: u32) {
        if cfg!(debug_assertions) || all % CHECKED_MESSAGES < u64::from(messages) {
            self.check_now();
        }
    }

    #[inline(never)]
    fn check_now(&self) {
        self.check();
    }

    fn check_groups(&self) {
        let scheduled = self.bands.get(SCHEDULED).map_or(0, |log| log.live);
        for (index, group) in self.groups.iter() {
            let held = self.bands.ready(index) + group.held();
            assert!(held + scheduled <= self.bands.live(), "a group holds live messages");
        }
    }
}

impl Store {
    /// The figures of a queue in the order of [`QUEUE_COLUMNS`].
    pub fn stat(&self, id: QueueId, now: Now) -> Result<[u64; QUEUE_COLUMNS.len()], Rejection> {
        self.catalog.get(id).map(|queue| queue.figures(&self.segments, now))
    }

    /// How many queues there are.
    pub fn queues(&self) -> usize {
        self.catalog.len()
    }

    /// Messages held in all queues: what would be lost if the store went.
    pub fn messages(&self) -> u64 {
        self.messages
    }

    /// Queues that hold messages, with how many, each counted once however many groups need it.
    /// Visits every queue.
    pub fn left_over(&self) -> Vec<(String, u64)> {
        let holding = self.catalog.iter().filter(|queue| queue.bands.live() > 0);
        holding.map(|queue| (queue.name.as_str().to_owned(), queue.bands.live())).collect()
    }

    /// Messages ready and leased in all groups of all queues: visits each of them, for tests.
    pub fn ready_and_leased(&self) -> (u64, u64) {
        let sums = self.catalog.iter().map(|queue| (queue.ready(), queue.leased()));
        sums.fold((0, 0), |(ready, leased), (more, also)| (ready + more, leased + also))
    }
}
