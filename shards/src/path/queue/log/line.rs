//! A group's position in one log: what it has not seen, and what was given back to it.
//!
//! A cursor moves over the segments. What lies behind it is leased, done, or was given back; pieces
//! given back wait by sequence and are always before the cursor, so they are first in line. A
//! message that is removed before the cursor reaches it is a hole: the cursor steps over it.

use std::collections::BTreeMap;

use super::piece::{Piece, walk};
use super::segment::{NIL, Segment};
use super::segments::Segments;
use crate::path::queue::log::Log;

/// Invariant: every piece given back is before the cursor, and none overlap; `holes` counts the
/// messages from the cursor on that are gone.
#[derive(Debug)]
pub(in crate::path::queue) struct Line {
    /// Whether a group has this line: lines of deleted groups stay until their place is used again.
    pub active: bool,
    /// Where the cursor is; `NIL` when the log has no segment.
    pub segment: u32,
    pub offset: u32,
    pub sequence: u64,
    /// Messages before this one are not the group's.
    pub start: u64,
    pub holes: u64,
    returned: BTreeMap<u64, Piece>,
    returned_messages: u64,
}

impl Line {
    /// A line that begins with the next message of a log, or a place for one.
    pub fn new(sequence: u64, active: bool) -> Self {
        Self {
            active,
            segment: NIL,
            offset: 0,
            sequence,
            start: sequence,
            holes: 0,
            returned: BTreeMap::new(),
            returned_messages: 0,
        }
    }

    /// Messages that were given back and are ready.
    #[inline]
    pub fn returned(&self) -> u64 {
        self.returned_messages
    }

    /// Makes messages ready again, first in line.
    #[inline]
    pub fn give_back(&mut self, piece: Piece) {
        debug_assert!(piece.sequence < self.sequence && piece.count > 0);
        self.returned_messages += u64::from(piece.count);
        self.returned.insert(piece.sequence, piece);
    }

    /// The oldest messages given back, within both limits, but at least one if `one` says so.
    #[cold]
    pub fn next_returned(
        &mut self,
        segments: &Segments,
        (messages_max, bytes_max): (u32, u32),
        one: bool,
    ) -> Option<Piece> {
        let first = self.returned.first_entry()?;
        let piece = first.get();
        let (count, bytes) = if piece.count <= messages_max && piece.bytes <= bytes_max {
            (piece.count, piece.bytes)
        } else {
            let records = segments[piece.segment].records(piece.offset, piece.bytes);
            match walk(records, messages_max, bytes_max as usize) {
                (0, _) if one && messages_max > 0 => walk(records, 1, usize::MAX),
                some => some,
            }
        };
        if count == 0 {
            return None;
        }
        let front = if count == piece.count {
            first.remove()
        } else {
            let mut rest = first.remove();
            let front = rest.split_front(count, bytes);
            self.returned.insert(rest.sequence, rest);
            front
        };
        self.returned_messages -= u64::from(front.count);
        Some(front)
    }

    /// Takes one message out of those given back.
    pub fn remove_returned(&mut self, segments: &Segments, sequence: u64) -> Option<Piece> {
        let (at, piece) = self.returned.range(..=sequence).next_back()?;
        if sequence - at >= u64::from(piece.count) {
            return None;
        }
        let mut rest = self.returned.remove(&{ *at }).expect("it was found a moment ago");
        let segment = &segments[rest.segment];
        let before = (sequence - rest.sequence) as u32;
        if before > 0 {
            let front = rest.split_front(before, segment.span(rest.offset, before));
            self.returned.insert(front.sequence, front);
        }
        let found = rest.split_front(1, segment.span(rest.offset, 1));
        if rest.count > 0 {
            self.returned.insert(rest.sequence, rest);
        }
        self.returned_messages -= 1;
        Some(found)
    }

    /// The pieces given back from a sequence on, in order.
    pub fn returned_from(&self, sequence: u64) -> impl Iterator<Item = &Piece> {
        let from = self.returned.range(..=sequence).next_back().map_or(sequence, |(at, _)| *at);
        self.returned
            .range(from..)
            .map(|(_, piece)| piece)
            .filter(move |piece| piece.sequence + u64::from(piece.count) > sequence)
    }
}

/// The lines of a log, one for each group of its queue and at the group's index.
#[derive(Debug)]
pub(in crate::path::queue) struct Lines {
    first: Line,
    more: Vec<Line>,
    /// How many are active.
    pub active: u16,
}

impl Lines {
    /// The line of a queue's first group, if it `has` one.
    pub fn new(sequence: u64, has: bool) -> Self {
        Self { first: Line::new(sequence, has), more: Vec::new(), active: u16::from(has) }
    }

    /// How many lines there are, active or not.
    pub fn len(&self) -> usize {
        1 + self.more.len()
    }

    /// Adds lines that are not active up to so many.
    pub fn grow(&mut self, len: usize, sequence: u64) {
        while self.len() < len {
            self.more.push(Line::new(sequence, false));
        }
    }

    #[inline]
    pub fn at(&self, group: usize) -> &Line {
        if group == 0 { &self.first } else { &self.more[group - 1] }
    }

    #[inline]
    pub fn at_mut(&mut self, group: usize) -> &mut Line {
        if group == 0 { &mut self.first } else { &mut self.more[group - 1] }
    }

    /// Visits the active lines. With one group, which is usual, this is one comparison.
    #[inline]
    pub fn for_each_mut(&mut self, mut visit: impl FnMut(&mut Line)) {
        if self.first.active {
            visit(&mut self.first);
        }
        for line in &mut self.more {
            if line.active {
                visit(line);
            }
        }
    }

    /// Whether every active line is in a segment.
    #[inline]
    pub fn are_all_in(&self, segment: u32) -> bool {
        (!self.first.active || self.first.segment == segment)
            && self.more.iter().all(|line| !line.active || line.segment == segment)
    }

    /// The active lines.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = &Line> {
        std::iter::once(&self.first).chain(&self.more).filter(|line| line.active)
    }

    /// The active lines.
    #[inline]
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Line> {
        std::iter::once(&mut self.first).chain(&mut self.more).filter(|line| line.active)
    }

    /// How many groups need a message that was just put or not done by anyone.
    pub fn needing(&self, sequence: u64) -> u16 {
        self.iter().filter(|line| line.start <= sequence).count() as u16
    }
}

impl Log {
    /// Takes the oldest ready messages of one segment out for a group, within both limits, but at
    /// least one if `one` says so.
    #[inline]
    pub fn next_piece(
        &mut self,
        segments: &mut Segments,
        group: usize,
        limits: (u32, u32),
        one: bool,
    ) -> Option<Piece> {
        let line = self.lines.at_mut(group);
        if line.returned_messages > 0 {
            return line.next_returned(segments, limits, one);
        }
        self.next_ahead(segments, group, limits, one)
    }

    /// The same of those before the cursor.
    #[inline]
    pub fn next_ahead(
        &mut self,
        segments: &mut Segments,
        group: usize,
        limits: (u32, u32),
        one: bool,
    ) -> Option<Piece> {
        let line = self.lines.at_mut(group);
        if line.holes > 0 || line.segment != NIL && segments[line.segment].is_compacted() {
            return self.next_among_holes(segments, group, limits, one);
        }
        self.next_unseen(segments, group, limits, one)
    }

    /// The same where nothing was given back, is gone or has moved: every take's way. `None` also
    /// where that is not so.
    #[inline(always)]
    pub fn next_fresh(
        &mut self,
        segments: &mut Segments,
        group: usize,
        (messages_max, bytes_max): (u32, u32),
        one: bool,
    ) -> Option<Piece> {
        if self.lines.at(group).returned_messages > 0 {
            return None;
        }
        self.next_unseen(segments, group, (messages_max, bytes_max), one)
    }

    /// The same if it is all that there is for a group within the limits; else nothing has moved.
    #[inline(always)]
    pub fn only_run(
        &mut self,
        segments: &mut Segments,
        group: usize,
        limits: (u32, u32),
    ) -> Option<Piece> {
        let line = self.lines.at_mut(group);
        if line.returned_messages > 0 || line.holes > 0 || line.segment == NIL {
            return None;
        }
        let segment = &segments[line.segment];
        let goes_on = segment.after != NIL;
        let messages = segment.end() - line.sequence;
        if segment.is_compacted() || goes_on && messages < u64::from(limits.0) {
            return None;
        }
        let piece = line.next_in(segment, limits, true)?;
        if goes_on && u64::from(piece.count) == messages {
            self.advance(segments, group);
        }
        Some(piece)
    }

    /// The same whatever was given back.
    #[inline(always)]
    fn next_unseen(
        &mut self,
        segments: &mut Segments,
        group: usize,
        limits: (u32, u32),
        one: bool,
    ) -> Option<Piece> {
        let line = self.lines.at_mut(group);
        if line.holes > 0 || line.segment == NIL {
            return None;
        }
        let segment = &segments[line.segment];
        if segment.is_compacted() {
            return None;
        }
        let piece = line.next_in(segment, limits, one)?;
        if segment.after != NIL && line.sequence == segment.end() {
            self.advance(segments, group);
        }
        Some(piece)
    }

    /// The same where some messages from the cursor on are gone, or records have moved.
    #[cold]
    fn next_among_holes(
        &mut self,
        segments: &mut Segments,
        group: usize,
        (messages_max, bytes_max): (u32, u32),
        one: bool,
    ) -> Option<Piece> {
        self.step_over_holes(segments, group)?;
        let line = self.lines.at_mut(group);
        let segment = &segments[line.segment];
        let (index, end) = (segment.index(line.sequence), segment.messages);
        let live = segment.done.alike(index, end, false);
        let records = &segment.bytes()[segment.locate(line.offset)..];
        let (count, bytes) = match walk(records, messages_max.min(live), bytes_max as usize) {
            (0, _) if one && messages_max > 0 => walk(records, 1, usize::MAX),
            (0, _) => return None,
            some => some,
        };
        let piece = line.step(count, bytes);
        if index + count == end {
            self.advance(segments, group);
        }
        Some(piece)
    }

    /// Moves a group's cursor to its next message; `None` if it has none before it.
    pub(super) fn step_over_holes(&mut self, segments: &mut Segments, group: usize) -> Option<()> {
        loop {
            let line = self.lines.at_mut(group);
            if line.segment == NIL {
                return None;
            }
            let segment = &segments[line.segment];
            let (from, end) = (segment.index(line.sequence), segment.messages);
            let gone = segment.done.alike(from, end, true);
            line.holes -= u64::from(gone);
            line.sequence += u64::from(gone);
            if from + gone < end {
                line.offset = segment.offset_of(line.sequence);
                return Some(());
            }
            line.offset = segment.len();
            let here = line.segment;
            self.advance(segments, group);
            if self.lines.at(group).segment == here {
                return None;
            }
        }
    }
}

impl Line {
    /// Takes the next messages of its segment, none of which is gone and whose records lie where
    /// they were put, within both limits, but at least one if `one` says so.
    #[inline(always)]
    fn next_in(
        &mut self,
        segment: &Segment,
        (messages_max, bytes_max): (u32, u32),
        one: bool,
    ) -> Option<Piece> {
        let messages = (segment.end() - self.sequence) as u32;
        let bytes = segment.len() - self.offset;
        let (count, bytes) = if messages <= messages_max && bytes <= bytes_max {
            (messages, bytes)
        } else {
            match segment.within((self.sequence, self.offset), (messages_max, bytes_max)) {
                (0, _) if one && messages_max > 0 => (1, segment.span(self.offset, 1)),
                some => some,
            }
        };
        (count > 0).then(|| self.step(count, bytes))
    }

    /// Moves the cursor within its segment over messages that follow each other.
    #[inline]
    fn step(&mut self, count: u32, bytes: u32) -> Piece {
        let piece = Piece {
            sequence: self.sequence,
            segment: self.segment,
            offset: self.offset,
            bytes,
            count,
            deliveries: 0,
            first_ms: 0,
        };
        self.sequence += u64::from(count);
        self.offset += bytes;
        piece
    }
}
