//! The log of one queue: where its messages lie, which are ready, which segments it keeps.
//!
//! ```text
//!   passed segments            cursor            tail
//!   [##.#..] [..###.]   [###...|fresh] [fresh] [fresh|room]
//! ```
//! A cursor moves over the segments. What lies behind it is leased, gone, or was given back; pieces
//! given back wait in a heap by sequence and are always before the cursor, so they are first in
//! line.
//!
//! Held bytes are the capacity of every segment that the queue keeps, those in limbo included: a
//! slow reader's sends are paid for by the queue that they read from. Records of a lease or of a
//! piece given back cost memory of their own that is not counted.

use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

use super::held::List;
use super::piece::{Piece, walk};
use super::segment::{NIL, Place};
use super::segments::Segments;
use crate::limits::SEGMENT_BYTES;

/// Pieces that the heap keeps room for when it is empty; beyond this it gives memory back.
const RETURNED_KEPT: usize = 4096;

/// Invariant: live = messages leased + ready; live_bytes <= held_bytes; every piece given back is
/// before the cursor; cursor <= next_sequence.
#[derive(Debug)]
pub(super) struct Log {
    cursor_segment: u32,
    cursor_offset: u32,
    cursor_sequence: u64,
    pub(super) tail: u32,
    next_sequence: u64,
    returned: BinaryHeap<Piece>,
    returned_messages: u64,
    pub(super) sparse: List,
    pub(super) limbo: List,
    /// Messages and bytes of records that are ready or leased.
    pub live: u64,
    pub live_bytes: u64,
    pub held_bytes: u64,
    /// Capacity of the segment that was opened last.
    pub(super) last_capacity: u64,
}

impl Log {
    pub fn new() -> Self {
        Self {
            cursor_segment: NIL,
            cursor_offset: 0,
            cursor_sequence: 0,
            tail: NIL,
            next_sequence: 0,
            returned: BinaryHeap::new(),
            returned_messages: 0,
            sparse: List::EMPTY,
            limbo: List::EMPTY,
            live: 0,
            live_bytes: 0,
            held_bytes: 0,
            last_capacity: 0,
        }
    }

    #[inline]
    pub fn next_sequence(&self) -> u64 {
        self.next_sequence
    }

    /// Messages that a take could have now.
    #[inline]
    pub fn ready(&self) -> u64 {
        self.next_sequence - self.cursor_sequence + self.returned_messages
    }

    /// Appends records to the tail, all of them or none.
    #[inline]
    pub fn append(&mut self, segments: &mut Segments, records: &[u8], count: u32) -> bool {
        if self.tail == NIL || !segments[self.tail].append(records, count) {
            return false;
        }
        self.next_sequence += u64::from(count);
        self.live += u64::from(count);
        self.live_bytes += records.len() as u64;
        true
    }

    /// Bytes that the tail still has room for.
    #[inline]
    pub fn tail_room(&self, segments: &Segments) -> usize {
        if self.tail == NIL {
            return 0;
        }
        segments[self.tail].capacity() as usize - segments[self.tail].len() as usize
    }

    /// Opens a new tail of one of the sizes.
    #[inline]
    pub fn open_tail(&mut self, segments: &mut Segments, size: usize) {
        let slot = segments.open(size, self.next_sequence);
        self.last_capacity = SEGMENT_BYTES[size] as u64;
        self.held_bytes += self.last_capacity;
        match std::mem::replace(&mut self.tail, slot) {
            NIL => (self.cursor_segment, self.cursor_offset) = (slot, 0),
            last => {
                segments[last].next = slot;
                self.advance(segments);
            }
        }
        if self.limbo.first != NIL {
            self.reap(segments);
        }
    }

    /// Takes the oldest ready messages of one segment out, within both limits, but at least one if
    /// `one` says so.
    #[inline]
    pub fn next_piece(
        &mut self,
        segments: &mut Segments,
        (messages_max, bytes_max): (u32, u32),
        one: bool,
    ) -> Option<Piece> {
        if self.returned_messages > 0 {
            return self.next_returned(segments, (messages_max, bytes_max), one);
        }
        if self.cursor_segment == NIL {
            return None;
        }
        let segment = &segments[self.cursor_segment];
        let messages = (segment.end() - self.cursor_sequence) as u32;
        let bytes = segment.len() - self.cursor_offset;
        let (count, bytes) = if messages <= messages_max && bytes <= bytes_max {
            (messages, bytes)
        } else {
            let cursor = (self.cursor_sequence, self.cursor_offset);
            match segment.within(cursor, (messages_max, bytes_max)) {
                (0, _) if one && messages_max > 0 => (1, segment.span(self.cursor_offset, 1)),
                some => some,
            }
        };
        if count == 0 {
            return None;
        }
        let piece = Piece {
            sequence: self.cursor_sequence,
            segment: self.cursor_segment,
            offset: self.cursor_offset,
            bytes,
            count,
            deliveries: 0,
        };
        self.cursor_sequence += u64::from(count);
        self.cursor_offset += bytes;
        if count == messages {
            self.advance(segments);
        }
        Some(piece)
    }

    #[cold]
    fn next_returned(
        &mut self,
        segments: &Segments,
        (messages_max, bytes_max): (u32, u32),
        one: bool,
    ) -> Option<Piece> {
        let mut first = self.returned.peek_mut()?;
        let piece = if first.count <= messages_max && first.bytes <= bytes_max {
            PeekMut::pop(first)
        } else {
            let records = segments[first.segment].records(first.offset, first.bytes);
            let some = match walk(records, messages_max, bytes_max as usize) {
                (0, _) if one && messages_max > 0 => walk(records, 1, usize::MAX),
                some => some,
            };
            match some {
                (0, _) => return None,
                (count, _) if count == first.count => PeekMut::pop(first),
                (count, bytes) => {
                    let front = first.split_front(count, bytes);
                    drop(first);
                    front
                }
            }
        };
        self.returned_messages -= u64::from(piece.count);
        if self.returned_messages == 0 && self.returned.capacity() > RETURNED_KEPT {
            self.returned.shrink_to(RETURNED_KEPT);
        }
        Some(piece)
    }

    /// Makes leased messages ready again, first in line.
    #[inline]
    pub fn give_back(&mut self, piece: Piece) {
        debug_assert!(piece.sequence < self.cursor_sequence && piece.count > 0);
        self.returned_messages += u64::from(piece.count);
        self.returned.push(piece);
    }

    /// Forgets messages that are neither ready nor leased any more.
    #[inline]
    pub fn settle(&mut self, segments: &mut Segments, piece: &Piece) {
        let segment = &mut segments[piece.segment];
        segment.settle(piece.sequence, piece.count, piece.bytes);
        self.live -= u64::from(piece.count);
        self.live_bytes -= u64::from(piece.bytes);
        if segment.live == 0 {
            match segment.place {
                Place::Fresh => self.release_dead_tail(segments),
                Place::Passed | Place::Sparse => self.retire(segments, piece.segment),
                Place::Limbo | Place::Free => unreachable!("a live message is in a live segment"),
            }
        } else if segment.place == Place::Passed && segment.is_sparse() {
            self.sparse.append(segments, piece.segment, Place::Sparse);
        }
        if self.is_wasteful() {
            self.shrink(segments);
        }
    }

    /// Gives the tail back if every message in it is gone and nobody reads it.
    #[inline]
    pub fn release_dead_tail(&mut self, segments: &mut Segments) {
        let tail = self.tail;
        if tail == NIL || segments[tail].live > 0 || segments[tail].is_pinned() {
            return;
        }
        debug_assert_eq!(self.cursor_segment, tail, "nothing is fresh in a dead tail");
        self.held_bytes -= segments[tail].capacity();
        segments.give_back(tail);
        (self.tail, self.cursor_segment, self.cursor_offset) = (NIL, NIL, 0);
    }

    /// Moves the cursor over segments that hold nothing fresh, up to the tail.
    #[inline]
    fn advance(&mut self, segments: &mut Segments) {
        while self.cursor_segment != self.tail
            && segments[self.cursor_segment].end() == self.cursor_sequence
        {
            let passed = self.cursor_segment;
            (self.cursor_segment, self.cursor_offset) = (segments[passed].next, 0);
            segments[passed].place = Place::Passed;
            if segments[passed].live == 0 {
                self.retire(segments, passed);
            } else if segments[passed].is_sparse() {
                self.sparse.append(segments, passed, Place::Sparse);
            }
        }
    }
}
