//! The logs of a queue: one for each priority band that is in use, and one for what is scheduled.
//!
//! The top four bits of a message's sequence name its log. A queue without priorities and delays
//! has the first log only.

use super::line::{Line, Lines};
use super::segments::Segments;
use crate::path::queue::log::Log;
use crate::world::prefetch_all;

/// Bits of a sequence below those that name its log.
const BAND_SHIFT: u32 = 60;
/// Bits of a sequence below those that name the part of a spread queue.
const PART_SHIFT: u32 = 52;
/// The log of messages that are not due yet.
pub(in crate::path::queue) const SCHEDULED: usize = 8;
/// How many logs a queue may have.
pub(in crate::path::queue) const LOGS: usize = SCHEDULED + 1;

/// The log that a sequence belongs to.
#[inline]
pub(in crate::path::queue) fn band_of(sequence: u64) -> usize {
    (sequence >> BAND_SHIFT) as usize
}

/// A sequence of a priority band with its band counted from the other end, and back again: so the
/// most urgent messages have the lowest.
pub(in crate::path::queue) fn turned(sequence: u64) -> u64 {
    sequence ^ ((SCHEDULED as u64 - 1) << BAND_SHIFT)
}

/// A sequence that is not after the first one of a log.
pub(in crate::path::queue) fn first_of(band: usize) -> u64 {
    (band as u64) << BAND_SHIFT
}

/// The logs of one queue.
#[derive(Debug)]
pub(in crate::path::queue) struct Bands {
    /// Band 0, where messages without a priority are.
    pub first: Log,
    /// Where the sequences of band 0 begin: the part of a spread queue is in them.
    base: u64,
    /// The others, made when they are needed first.
    more: Option<Box<[Option<Log>; LOGS - 1]>>,
}

impl Bands {
    /// An empty queue's logs, for its first group. They may keep what is done. The sequences of a
    /// part of a spread queue carry its number.
    pub fn new(keeps: bool, part: u8) -> Self {
        let base = u64::from(part) << PART_SHIFT;
        let mut first = Log::new(base, Lines::new(base, true));
        first.kept = keeps.then(Box::default);
        Self { first, base, more: None }
    }

    /// The number of the part of a spread queue that they belong to.
    pub fn part_number(&self) -> u8 {
        (self.base >> PART_SHIFT) as u8
    }

    /// Whether there is no log but the first.
    #[inline]
    pub fn is_single(&self) -> bool {
        self.more.is_none()
    }

    /// Asks for the log of what is scheduled.
    #[inline]
    pub fn prefetch_scheduled(&self) {
        if let Some(more) = &self.more {
            prefetch_all(&more[SCHEDULED - 1]);
        }
    }

    /// A log that is known to exist.
    #[inline]
    pub fn at(&self, band: usize) -> &Log {
        if band == 0 {
            return &self.first;
        }
        let more = self.more.as_ref().and_then(|more| more[band - 1].as_ref());
        more.expect("a message's log is there")
    }

    /// A log that is known to exist.
    #[inline]
    pub fn at_mut(&mut self, band: usize) -> &mut Log {
        if band == 0 {
            return &mut self.first;
        }
        let more = self.more.as_mut().and_then(|more| more[band - 1].as_mut());
        more.expect("a message's log is there")
    }

    /// The log of a message.
    #[inline]
    pub fn of_mut(&mut self, sequence: u64) -> &mut Log {
        self.at_mut(band_of(sequence))
    }

    /// A log if it is in use.
    pub fn get(&self, band: usize) -> Option<&Log> {
        match band {
            0 => Some(&self.first),
            _ => self.more.as_ref()?[band - 1].as_ref(),
        }
    }

    /// A log, made if it is not there yet.
    pub fn make(&mut self, band: usize) -> &mut Log {
        if band == 0 {
            return &mut self.first;
        }
        let (first, keeps) = (&self.first.lines, self.first.kept.is_some());
        let base = self.base;
        let place = &mut self.more.get_or_insert_default()[band - 1];
        place.get_or_insert_with(|| {
            let sequence = first_of(band) | base;
            let mut lines = Lines::new(sequence, false);
            // What is scheduled belongs to nobody until it is due.
            if band != SCHEDULED {
                lines.grow(first.len(), sequence);
                for group in 0..first.len() {
                    if first.at(group).active {
                        *lines.at_mut(group) = Line::new(sequence, true);
                        lines.active += 1;
                    }
                }
            }
            let mut log = Log::new(sequence, lines);
            log.kept = (keeps && band != SCHEDULED).then(Box::default);
            log
        })
    }

    /// Every log, the scheduled one included.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = &Log> {
        std::iter::once(&self.first).chain(self.more.iter().flat_map(|more| more.iter().flatten()))
    }

    /// Every log, the scheduled one included.
    #[inline]
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Log> {
        let more = self.more.iter_mut().flat_map(|more| more.iter_mut().flatten());
        std::iter::once(&mut self.first).chain(more)
    }

    /// Every log with its number.
    pub fn numbered_mut(&mut self) -> impl Iterator<Item = (usize, &mut Log)> {
        let more = self.more.iter_mut().flat_map(|more| more.iter_mut()).enumerate();
        let more = more.filter_map(|(index, log)| Some((index + 1, log.as_mut()?)));
        std::iter::once((0, &mut self.first)).chain(more)
    }

    /// Drops what is scheduled. Visits every message of it.
    pub fn drop_scheduled(&mut self, segments: &mut Segments) {
        let Some(more) = self.more.as_mut() else { return };
        if let Some(log) = &mut more[SCHEDULED - 1] {
            log.clear(segments);
        }
    }

    /// Takes a group's lines away.
    pub fn part(&mut self, segments: &mut Segments, group: usize) {
        for (band, log) in self.numbered_mut() {
            if band != SCHEDULED {
                log.part(segments, group);
            }
        }
    }

    /// The numbers of the logs that groups take from, the most urgent first.
    #[inline]
    pub fn urgent_first(&self) -> impl Iterator<Item = usize> + use<> {
        let used = self.more.as_ref().map_or(1, |more| {
            (1..SCHEDULED)
                .filter(|band| more[band - 1].is_some())
                .fold(1, |used, band| used | 1 << band)
        });
        (0..SCHEDULED).rev().filter(move |band| used >> band & 1 == 1)
    }

    /// Messages that some group needs, or that are scheduled.
    #[inline]
    pub fn live(&self) -> u64 {
        if self.is_single() { self.first.live } else { self.iter().map(|log| log.live).sum() }
    }

    /// Those of them that count in the bound on messages: what a replay brought back does not.
    pub fn counted(&self) -> u64 {
        self.live() - self.iter().map(|log| log.revived).sum::<u64>()
    }

    /// Bytes of the records of those messages.
    #[inline]
    pub fn live_bytes(&self) -> u64 {
        if self.is_single() {
            self.first.live_bytes
        } else {
            self.iter().map(|log| log.live_bytes).sum()
        }
    }

    /// Bytes of memory held for them.
    #[inline]
    pub fn held_bytes(&self) -> u64 {
        if self.is_single() {
            self.first.held_bytes
        } else {
            self.iter().map(|log| log.held_bytes).sum()
        }
    }

    /// Messages that a group could take now.
    #[inline(always)]
    pub fn ready(&self, group: usize) -> u64 {
        if self.is_single() { self.first.ready(group) } else { self.ready_in_all(group) }
    }

    #[inline(never)]
    fn ready_in_all(&self, group: usize) -> u64 {
        self.urgent_first().map(|band| self.at(band).ready(group)).sum()
    }
}
