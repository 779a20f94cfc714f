//! The memory that a log holds: dead segments go back, pinned ones wait, sparse ones are compacted.
//!
//! Held bytes stay within 1.5 times the live ones, and three segments more: the one under the
//! cursor, the tail, and one that is being settled. Only segments behind the cursor are compacted,
//! a few a call, and none that a send refers to.

use std::collections::VecDeque;

use ringway_protocol::QueueId;

use super::catalog::Queue;
use super::log::Log;
use super::segment::{NIL, Place};
use super::segments::Segments;

/// Segments that one call compacts at most.
const COMPACTIONS_PER_CALL_MAX: usize = 8;
/// Segments in limbo that one call looks at, at most.
const REAPED_PER_CALL_MAX: usize = 4;

/// A list of segments in one place.
#[derive(Clone, Copy, Debug)]
pub(super) struct List {
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
    /// Gives a dead segment behind the cursor back, or lets it wait for the sends that refer to it.
    pub fn retire(&mut self, segments: &mut Segments, slot: u32) {
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

    /// Whether dead segments are kept only because a send refers to them, or did a moment ago.
    #[inline]
    pub fn lingers(&self) -> bool {
        self.limbo.first != NIL || self.live == 0 && self.tail != NIL
    }

    /// Whether more bytes are held than the live ones justify.
    #[inline]
    pub fn is_wasteful(&self) -> bool {
        2 * self.held_bytes > 3 * self.live_bytes + 6 * self.last_capacity
    }

    /// Compacts some sparse segments.
    #[cold]
    pub fn shrink(&mut self, segments: &mut Segments) {
        self.reap(segments);
        for _ in 0..COMPACTIONS_PER_CALL_MAX {
            let slot = self.sparse.first;
            if slot == NIL || !self.is_wasteful() {
                break;
            }
            self.sparse.unlink(segments, slot);
            if segments[slot].is_pinned() {
                self.sparse.append(segments, slot, Place::Sparse);
            } else {
                segments[slot].place = Place::Passed;
                self.held_bytes -= segments[slot].compact();
            }
        }
    }

    /// Drops what is left of a queue without leases or ready messages: segments that only sends
    /// refer to.
    pub fn close(&mut self, segments: &mut Segments) {
        assert!(
            self.live == 0 && self.sparse.first == NIL,
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

impl Queue {
    /// Notes that dead segments are kept because of sends, so that they are looked at later.
    #[inline]
    pub fn linger(&mut self, lingering: &mut VecDeque<QueueId>) {
        if self.bands.iter().any(Log::lingers) && !self.lingering {
            self.lingering = true;
            lingering.push_back(self.id);
        }
    }
}
