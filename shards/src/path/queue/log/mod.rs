//! One log of a queue: where its messages lie, and which segments it keeps.
//!
//! ```text
//!   passed segments            a cursor          tail
//!   [##.#..] [..###.]   [###...|fresh] [fresh] [fresh|room]
//! ```
//! Each group has a [`Line`](self::line::Line) on the log: a cursor that moves over the segments.
//!
//! Held bytes are the capacity of every segment that the log keeps, those in limbo included: a slow
//! reader's sends are paid for by the queue that they read from. Records of a lease or of a piece
//! given back cost memory of their own that is not counted.
//!
//! | file | what it knows |
//! |---|---|
//! | `line`, `membership` | a group's position in a log; how it joins and leaves |
//! | `bands` | the logs of a queue, one a priority |
//! | `segment`, `segments` | memory for records, and its reuse |
//! | `held` | which segments a log gives back, keeps waiting or compacts |
//! | `keep` | what is done and kept for groups to come |
//! | `piece` | messages that follow each other in a segment |
//! | `fetch` | memory that many messages need, all at once |
//! | `handles` | what calendars know a segment by |

pub(super) mod bands;
pub(super) mod fetch;
pub(super) mod handles;
pub(super) mod held;
pub(super) mod keep;
pub(super) mod line;
pub(super) mod membership;
pub(super) mod piece;
pub(super) mod segment;
pub(super) mod segments;

use ringway_protocol::Records;

use self::held::List;
use self::keep::Kept;
use self::line::Lines;
use self::piece::Piece;
use self::segment::{NIL, Place, Segment};
use self::segments::Segments;
use super::put::free::FreeRun;
use crate::limits::SEGMENT_BYTES;

/// Invariant: live counts the messages that are not gone; live_bytes <= held_bytes; for each line
/// sequence + holes <= next_sequence.
#[derive(Debug)]
pub(super) struct Log {
    pub lines: Lines,
    /// The oldest and the newest segment in the order of the messages.
    pub head: u32,
    last: u32,
    /// The newest segment, unless nothing can be appended to it any more.
    pub tail: u32,
    pub(super) next_sequence: u64,
    pub(super) sparse: List,
    pub(super) limbo: List,
    /// Messages and bytes of records that some group needs.
    pub live: u64,
    pub live_bytes: u64,
    /// Those of them that a replay brought back.
    pub revived: u64,
    pub held_bytes: u64,
    /// What is done and kept for groups to come, if anything is.
    pub kept: Option<Box<Kept>>,
    /// Capacity of the segment that was opened last.
    pub(super) last_capacity: u64,
}

impl Log {
    /// A log that begins with this sequence.
    pub fn new(sequence: u64, lines: Lines) -> Self {
        Self {
            lines,
            head: NIL,
            last: NIL,
            tail: NIL,
            next_sequence: sequence,
            sparse: List::EMPTY,
            limbo: List::EMPTY,
            live: 0,
            live_bytes: 0,
            revived: 0,
            held_bytes: 0,
            kept: None,
            last_capacity: 0,
        }
    }

    #[inline]
    pub fn next_sequence(&self) -> u64 {
        self.next_sequence
    }

    /// Messages that a group could take now.
    #[inline]
    pub fn ready(&self, group: usize) -> u64 {
        let line = self.lines.at(group);
        self.next_sequence - line.sequence - line.holes + line.returned()
    }

    /// Appends records to the tail, all of them or none.
    #[inline]
    pub fn append(
        &mut self,
        segments: &mut Segments,
        records: &[u8],
        count: u32,
        now_ms: u64,
    ) -> bool {
        let groups = self.lines.active;
        if self.tail == NIL || !segments[self.tail].append(records, count, groups, now_ms) {
            return false;
        }
        self.next_sequence += u64::from(count);
        self.live += u64::from(count);
        self.live_bytes += records.len() as u64;
        true
    }

    /// Appends a whole batch to the tail, or nothing.
    #[inline(always)]
    pub fn append_batch(
        &mut self,
        segments: &mut Segments,
        records: &Records<'_>,
        now_ms: u64,
    ) -> bool {
        let groups = self.lines.active;
        if self.tail == NIL || !segments[self.tail].append_batch(records, groups, now_ms) {
            return false;
        }
        self.next_sequence += u64::from(records.count());
        self.live += u64::from(records.count());
        self.live_bytes += records.as_bytes().len() as u64;
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

    /// Opens a new tail of one of the sizes for the queue in a slot.
    #[inline]
    pub fn open_tail(&mut self, segments: &mut Segments, size: usize, queue: u32) {
        let slot = segments.open(size, queue, self.next_sequence);
        if self.kept.is_some() {
            segments[slot].begin_keeping();
        }
        self.last_capacity = SEGMENT_BYTES[size] as u64;
        self.held_bytes += self.last_capacity;
        let before = std::mem::replace(&mut self.last, slot);
        segments[slot].before = before;
        match before {
            NIL => self.head = slot,
            before => segments[before].after = slot,
        }
        self.lines.for_each_mut(|line| {
            if line.segment == NIL {
                (line.segment, line.offset) = (slot, 0);
            }
        });
        let full = std::mem::replace(&mut self.tail, slot);
        self.leave_tail(segments, full);
        if self.limbo.first != NIL {
            self.reap(segments);
        }
    }

    /// A segment, if there was one, is the tail no more: cursors at its end move on.
    #[inline]
    fn leave_tail(&mut self, segments: &mut Segments, full: u32) {
        if full != NIL {
            self.look_at(segments, full);
        }
        for group in 0..self.lines.len() {
            self.advance(segments, group);
        }
    }

    /// Forgets messages that a group is done with.
    #[inline(always)]
    pub fn settle(&mut self, segments: &mut Segments, piece: &Piece) {
        let segment = &mut segments[piece.segment];
        if self.lines.active > 1 || segment.done.is_shared() {
            return self.settle_shared(segments, piece);
        }
        segment.settle(piece.sequence, piece.count, piece.bytes);
        self.gone(segments, piece.segment, piece.count, piece.bytes);
    }

    #[cold]
    fn settle_shared(&mut self, segments: &mut Segments, piece: &Piece) {
        let segment = &mut segments[piece.segment];
        self.count_groups(segment);
        let from = (piece.sequence, piece.offset);
        let (count, bytes) = segment.finish(from, piece.count, piece.bytes);
        if count > 0 {
            self.gone(segments, piece.segment, count, bytes);
        }
    }

    /// Counts for each message of a segment the groups that need it, from now on.
    #[inline]
    pub(super) fn count_groups(&self, segment: &mut Segment) {
        if !segment.done.is_shared() {
            let first = segment.first_sequence;
            let starts = self.lines.iter().map(|line| line.start.saturating_sub(first));
            let starts = starts.map(|start| start.min(u64::from(segment.messages)) as u32);
            segment.done.share(segment.messages, starts);
        }
    }

    /// Messages of a segment are gone, as the segment knows by now.
    #[inline(always)]
    pub(super) fn gone(&mut self, segments: &mut Segments, slot: u32, count: u32, bytes: u32) {
        self.live -= u64::from(count);
        self.live_bytes -= u64::from(bytes);
        let queue = segments[slot].queue;
        if self.revived > 0 {
            self.revived -= segments[slot].count_ended_revivals();
        }
        if let Some(kept) = &mut self.kept {
            kept.add(count, bytes);
        }
        self.look_at(segments, slot);
        if self.is_wasteful() {
            self.shrink(segments);
        }
        segments.note_room(queue);
    }

    /// Some of a segment went, or it is the tail no more: it may be of no use, or worth compacting.
    #[inline(always)]
    pub(super) fn look_at(&mut self, segments: &mut Segments, slot: u32) {
        if segments[slot].handle != NIL {
            segments.count_dead(slot);
        }
        let segment = &segments[slot];
        if segment.live + segment.kept == 0 {
            match slot == self.tail {
                // What comes next can go on in it; else it is given back at the end of the turn.
                true if self.keeps_dead_tail() => {}
                true => self.release_dead_tail(segments),
                false => self.retire(segments, slot),
            }
        } else if slot != self.tail {
            if segment.live == 0
                && let Some(kept) = &mut self.kept
            {
                kept.note_done(segment.first_sequence, slot);
            }
            if segment.place == Place::Open && segment.is_sparse() {
                self.sparse.append(segments, slot, Place::Sparse);
            }
        }
    }

    /// Removes one message that is in no lease and was not given back. It is not kept.
    pub fn remove(&mut self, segments: &mut Segments, slot: u32, sequence: u64) {
        self.remove_run(segments, &FreeRun { sequence, slot, count: 1 });
    }

    /// The same for several, none of which is gone: holes for every line whose cursor has not
    /// reached them.
    pub fn remove_run(&mut self, segments: &mut Segments, run: &FreeRun) {
        let FreeRun { sequence, slot, count } = *run;
        for line in self.lines.iter_mut().filter(|line| line.sequence <= sequence) {
            line.holes += u64::from(count);
        }
        let segment = &mut segments[slot];
        let offset = segment.offset_of(sequence);
        let bytes = segment.span_from((sequence, offset), count);
        segment.settle(sequence, count, bytes);
        self.gone(segments, slot, count, bytes);
        let piece =
            Piece { sequence, segment: slot, offset, bytes, count, deliveries: 0, first_ms: 0 };
        self.erase(segments, &piece);
        self.release_dead_tail(segments);
    }

    /// Gives the tail back if every message in it is gone, nobody reads it, and no group has
    /// anything before it.
    pub fn release_dead_tail(&mut self, segments: &mut Segments) {
        let tail = self.tail;
        if tail == NIL || segments[tail].live + segments[tail].kept > 0 {
            return;
        }
        if segments[tail].is_pinned() {
            return;
        }
        if !self.lines.are_all_in(tail) {
            return;
        }
        let next = self.next_sequence;
        self.lines.for_each_mut(|line| {
            (line.segment, line.offset) = (NIL, 0);
            (line.sequence, line.holes) = (next, 0);
        });
        self.held_bytes -= segments[tail].capacity();
        self.unlink(segments, tail);
        segments.give_back(tail);
    }

    /// Takes a segment out of the order of the messages.
    pub(super) fn unlink(&mut self, segments: &mut Segments, slot: u32) {
        let (before, after) = (segments[slot].before, segments[slot].after);
        match before {
            NIL => self.head = after,
            before => segments[before].after = after,
        }
        match after {
            NIL => self.last = before,
            after => segments[after].before = before,
        }
        if slot == self.tail {
            self.tail = NIL;
        }
    }

    /// Moves a group's cursor over segments that hold nothing fresh, up to the tail.
    #[inline]
    pub(super) fn advance(&mut self, segments: &mut Segments, group: usize) {
        loop {
            let line = self.lines.at_mut(group);
            let slot = line.segment;
            if slot == NIL || segments[slot].after == NIL || segments[slot].end() != line.sequence {
                return;
            }
            let after = segments[slot].after;
            // Segments between them are gone as a whole: their messages were holes.
            let first = segments[after].first_sequence;
            line.holes -= first - line.sequence;
            (line.segment, line.offset, line.sequence) = (after, 0, first);
        }
    }
}
