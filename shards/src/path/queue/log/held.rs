//! The memory that a log holds: dead segments go back, pinned ones wait, sparse ones are compacted.
//!
//! The dead bytes stay within half of those of use (needed by a group, or kept), or within three
//! segments where that is more: the one under the cursor, the tail, and one that is being settled.
//! Any segment is compacted, a few a call, and none that a send refers to; the tail last, and only
//! if a quarter of it is dead by then.

use std::collections::VecDeque;

use ringway_protocol::QueueId;

use super::bands::Bands;
use super::segment::{NIL, Place};
use super::segments::Segments;
use crate::path::queue::Store;
use crate::path::queue::catalog::Queue;
use crate::path::queue::log::Log;

/// Segments that one call compacts at most.
const COMPACTIONS_PER_CALL_MAX: usize = 8;
/// Queues that keep dead segments for sends: how many one call looks at.
const LINGERING_PER_CALL_MAX: usize = 8;
/// Segments in limbo that one call looks at, at most.
const REAPED_PER_CALL_MAX: usize = 4;

/// A list of segments in one place.
#[derive(Clone, Copy, Debug)]
pub(in crate::path::queue) struct List {
    pub first: u32,
    last: u32,
}

impl List {
    pub const EMPTY: List = List { first: NIL, last: NIL };

    pub fn append(&mut self, segments: &mut Segments, slot: u32, place: Place) {
        let segment = &mut segments[slot];
        segment.place = place;
        (segment.previous, segment.next) = (self.last, NIL);
        match std::mem::replace(&mut self.last, slot) {
            NIL => self.first = slot,
            last => segments[last].next = slot,
        }
    }

    pub fn unlink(&mut self, segments: &mut Segments, slot: u32) {
        let (previous, next) = (segments[slot].previous, segments[slot].next);
        match previous {
            NIL => self.first = next,
            previous => segments[previous].next = next,
        }
        match next {
            NIL => self.last = previous,
            next => segments[next].previous = previous,
        }
    }
}

impl Log {
    /// Gives a segment back that is of no use, or lets it wait for the sends that refer to it.
    /// Cursors that are in it move on: what they had before them was holes.
    pub fn retire(&mut self, segments: &mut Segments, slot: u32) {
        let after = segments[slot].after;
        let first = if after == NIL { self.next_sequence } else { segments[after].first_sequence };
        self.lines.for_each_mut(|line| {
            if line.segment == slot {
                line.holes -= first - line.sequence;
                (line.segment, line.offset, line.sequence) = (after, 0, first);
            }
        });
        if segments[slot].place == Place::Sparse {
            self.sparse.unlink(segments, slot);
        }
        self.unlink(segments, slot);
        if segments[slot].is_pinned() {
            self.limbo.append(segments, slot, Place::Limbo);
        } else {
            self.held_bytes -= segments[slot].capacity();
            segments.give_back(slot);
        }
    }

    /// Gives segments back whose sends have ended; looks at a few, the others come first next time.
    #[cold]
    pub fn reap(&mut self, segments: &mut Segments) {
        for _ in 0..REAPED_PER_CALL_MAX {
            let slot = self.limbo.first;
            if slot == NIL {
                break;
            }
            self.limbo.unlink(segments, slot);
            if segments[slot].is_pinned() {
                self.limbo.append(segments, slot, Place::Limbo);
            } else {
                self.held_bytes -= segments[slot].capacity();
                segments.give_back(slot);
            }
        }
    }

    /// Whether dead segments are kept because a send refers to them, or did a moment ago, or until
    /// the end of the turn.
    #[inline]
    pub fn lingers(&self) -> bool {
        self.limbo.first != NIL || self.keeps_dead_tail()
    }

    /// Whether all of the log is gone, and its tail is still there.
    #[inline]
    pub fn keeps_dead_tail(&self) -> bool {
        self.live == 0 && self.tail != NIL && self.kept.is_none()
    }

    /// Whether more bytes are held than those of use justify.
    #[inline]
    pub fn is_wasteful(&self) -> bool {
        let kept = self.kept.as_ref().map_or(0, |kept| kept.amount.bytes);
        wastes(self.held_bytes, self.live_bytes + kept, self.last_capacity)
    }

    /// Compacts some sparse segments.
    #[cold]
    pub fn shrink(&mut self, segments: &mut Segments) {
        self.reap(segments);
        for _ in 0..COMPACTIONS_PER_CALL_MAX {
            if !self.is_wasteful() || !(self.compact_one(segments) || self.close_tail(segments)) {
                break;
            }
        }
    }

    /// Makes the tail a segment like any other, so that it can be compacted, if enough of it is
    /// dead to be worth that; says whether it was.
    fn close_tail(&mut self, segments: &mut Segments) -> bool {
        let tail = self.tail;
        if tail == NIL || segments[tail].is_pinned() || !segments[tail].is_worth_closing() {
            return false;
        }
        self.tail = NIL;
        self.look_at(segments, tail);
        true
    }

    /// Compacts a sparse segment, if there is one and no send refers to it; else it comes last.
    /// Says whether there was one.
    fn compact_one(&mut self, segments: &mut Segments) -> bool {
        let slot = self.sparse.first;
        if slot == NIL {
            return false;
        }
        self.sparse.unlink(segments, slot);
        if segments[slot].is_pinned() {
            self.sparse.append(segments, slot, Place::Sparse);
        } else {
            segments[slot].place = Place::Open;
            self.held_bytes -= segments[slot].compact();
        }
        true
    }

    /// Compacts a segment whatever else there is to do, unless it is the tail, a send refers to it,
    /// or it went with its messages.
    pub fn compact_now(&mut self, segments: &mut Segments, slot: u32) {
        let segment = &segments[slot];
        let in_order = matches!(segment.place, Place::Open | Place::Sparse);
        if !in_order || slot == self.tail || segment.is_pinned() || segment.bytes_of_use() == 0 {
            return;
        }
        if segment.place == Place::Sparse {
            self.sparse.unlink(segments, slot);
            segments[slot].place = Place::Open;
        }
        self.held_bytes -= segments[slot].compact();
    }

    /// Drops what is left of a queue without leases or ready messages: segments that only sends
    /// refer to.
    pub fn close(&mut self, segments: &mut Segments) {
        assert!(
            self.live == 0 && self.kept.is_none() && self.sparse.first == NIL,
            "a queue is emptied before it is closed"
        );
        debug_assert!(self.head == self.tail, "only a tail outlives its messages");
        while self.limbo.first != NIL {
            let slot = self.limbo.first;
            self.limbo.unlink(segments, slot);
            segments.abandon(slot);
        }
        if self.tail != NIL {
            segments.abandon(self.tail);
        }
        self.held_bytes = 0;
    }
}

/// Whether bytes held are too many for those of use, segments being so large.
#[inline]
fn wastes(held: u64, of_use: u64, segment: u64) -> bool {
    2 * (held - of_use) > of_use.max(6 * segment)
}

impl Bands {
    /// Compacts some sparse segments of a queue whose logs are small each, and wasteful together.
    pub fn shrink(&mut self, segments: &mut Segments) {
        let of_use = self.live_bytes() + self.kept().bytes;
        let segment = self.iter().map(|log| log.last_capacity).max().unwrap_or(0);
        let mut left = COMPACTIONS_PER_CALL_MAX;
        while left > 0 && wastes(self.held_bytes(), of_use, segment) {
            let before = left;
            for log in self.iter_mut() {
                left -= usize::from(left > 0 && log.compact_one(segments));
            }
            if left == before && !self.iter_mut().any(|log| log.close_tail(segments)) {
                break;
            }
        }
    }
}

/// Queues that keep dead segments: those that began to since they were looked at last, and those
/// whose sends have not ended, in turn.
#[derive(Debug, Default)]
pub(in crate::path::queue) struct Lingering {
    new: Vec<QueueId>,
    old: VecDeque<QueueId>,
}

impl Lingering {
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.new.is_empty() && self.old.is_empty()
    }
}

impl Queue {
    /// Notes that dead segments are kept, because of sends or until the end of the turn.
    #[inline]
    pub fn linger(&mut self, lingering: &mut Lingering) {
        if !self.lingering && self.bands.iter().any(Log::lingers) {
            self.lingering = true;
            lingering.new.push(self.id);
        }
    }
}

impl Store {
    /// Looks at the queues that have begun to keep dead segments since the last call, and at some
    /// of those that keep them because a send referred to them.
    #[cold]
    pub(in crate::path::queue) fn give_memory_back(&mut self) {
        for _ in 0..LINGERING_PER_CALL_MAX {
            let Some(id) = self.lingering.old.pop_front() else { break };
            self.give_back(id);
        }
        for index in 0..self.lingering.new.len() {
            self.give_back(self.lingering.new[index]);
        }
        self.lingering.new.clear();
    }

    fn give_back(&mut self, id: QueueId) {
        let Ok(queue) = self.catalog.get_mut(id) else { return };
        for log in queue.bands.iter_mut() {
            log.reap(&mut self.segments);
            if log.live == 0 {
                log.release_dead_tail(&mut self.segments);
            }
        }
        self.segments.note_room(id.slot() as u32);
        queue.lingering = queue.bands.iter().any(Log::lingers);
        if queue.lingering {
            self.lingering.old.push_back(id);
        }
        self.note_held(id);
    }
}
