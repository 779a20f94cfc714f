//! A group joins a log at some position, and leaves it.

use super::line::Line;
use super::piece::Piece;
use super::segment::NIL;
use super::segments::Segments;
use crate::path::queue::log::Log;
use crate::path::queue::time::schedule::Spot;

impl Log {
    /// The sequence of the oldest message that is held, or of the next one.
    pub fn earliest(&self, segments: &Segments) -> u64 {
        match self.head {
            NIL => self.next_sequence,
            head => segments[head].first_sequence,
        }
    }

    /// The first message held that was put at this time or later, in milliseconds of the monotonic
    /// clock, or the next one. Visits segments.
    pub fn first_since(&self, segments: &Segments, at_ms: u64) -> u64 {
        let mut slots = self.slots_from(segments, self.head);
        slots.find_map(|slot| segments[slot].first_since(at_ms)).unwrap_or(self.next_sequence)
    }

    /// The segments from one on, in the order of the messages.
    pub fn slots_from<'a>(
        &self,
        segments: &'a Segments,
        first: u32,
    ) -> impl Iterator<Item = u32> + use<'a> {
        let some = |slot: u32| (slot != NIL).then_some(slot);
        std::iter::successors(some(first), move |slot| some(segments[*slot].after))
    }

    /// The segment that holds a sequence, or else the first one after it. Visits segments.
    pub fn find(&self, segments: &Segments, sequence: u64) -> Option<u32> {
        self.slots_from(segments, self.head).find(|slot| segments[*slot].end() > sequence)
    }

    /// Gives a group a line: it needs every message from `start` on that is held. Visits segments,
    /// and the messages of those whose groups are counted.
    pub fn join(&mut self, segments: &mut Segments, group: usize, start: u64) {
        let start = start.clamp(self.earliest(segments), self.next_sequence);
        let mut line = Line::new(start, true);
        line.segment = self.find(segments, start).unwrap_or(self.tail);
        let mut live = 0;
        let slots: Vec<u32> = self.slots_from(segments, line.segment).collect();
        for slot in slots {
            let segment = &mut segments[slot];
            let from = segment.index(start.max(segment.first_sequence));
            live += u64::from(segment.live_from(from));
            segment.done.join(from);
        }
        if line.segment != NIL {
            let segment = &segments[line.segment];
            line.sequence = start.max(segment.first_sequence);
            let at_end = line.sequence == segment.end();
            line.offset = match at_end || segment.is_gone(line.sequence) {
                true if at_end => segment.len(),
                // Found again when the cursor has stepped over what is gone.
                true => 0,
                false => segment.offset_of(line.sequence),
            };
        } else {
            line.sequence = self.next_sequence;
        }
        line.holes = self.next_sequence - line.sequence - live;
        self.lines.grow(group + 1, self.next_sequence);
        *self.lines.at_mut(group) = line;
        self.lines.active += 1;
    }

    /// Notes the slots of the keys of the newest messages, in their order; those before have none.
    pub fn label(&self, segments: &mut Segments, slots: &[u32]) {
        let (mut left, mut at) = (slots, self.tail);
        while !left.is_empty() {
            let segment = &mut segments[at];
            let here = left.len().min(segment.messages as usize);
            let (before, these) = left.split_at(left.len() - here);
            segment.label(these);
            (left, at) = (before, segment.before);
        }
    }

    /// Visits the places of the newest messages, which are in segments that are not compacted, in
    /// their order.
    pub fn visit_newest(
        &self,
        segments: &mut Segments,
        count: u32,
        mut visit: impl FnMut(&mut Segments, Spot),
    ) {
        let first = self.next_sequence() - u64::from(count);
        let mut at = self.tail;
        while segments[at].first_sequence > first {
            at = segments[at].before;
        }
        while at != NIL {
            let segment = &segments[at];
            let mut index = segment.index(first.max(segment.first_sequence));
            let mut offset = segment.offset_of(segment.first_sequence + u64::from(index));
            while index < segments[at].messages {
                visit(segments, Spot { segment: at, index, offset });
                offset += segments[at].span(offset, 1);
                index += 1;
            }
            at = segments[at].after;
        }
    }

    /// When the message that is first in line for a group was put, in milliseconds of the monotonic
    /// clock.
    pub fn first_put_ms(&mut self, segments: &mut Segments, group: usize) -> Option<u64> {
        if let Some(piece) = self.lines.at(group).returned_from(0).next() {
            return Some(segments[piece.segment].put_at_ms(piece.sequence));
        }
        self.step_over_holes(segments, group)?;
        let line = self.lines.at(group);
        Some(segments[line.segment].put_at_ms(line.sequence))
    }

    /// When the oldest message was put that some group needs, in milliseconds of the monotonic
    /// clock. Visits segments of which all is gone.
    pub fn oldest_put_ms(&self, segments: &Segments) -> Option<u64> {
        let live = |slot: &u32| segments[*slot].live > 0;
        let segment = &segments[self.slots_from(segments, self.head).find(live)?];
        let index = segment.done.alike(0, segment.messages, true);
        Some(segment.put_at_ms(segment.first_sequence + u64::from(index)))
    }

    /// Drops every message of a log without lines. Visits each.
    pub fn clear(&mut self, segments: &mut Segments) {
        debug_assert_eq!(self.lines.active, 0);
        loop {
            let live = |slot: &u32| segments[*slot].live > 0;
            let Some(slot) = self.slots_from(segments, self.head).find(live) else { break };
            let segment = &segments[slot];
            let index = segment.done.alike(0, segment.messages, true);
            let count = segment.done.alike(index, segment.messages, false);
            let sequence = segment.first_sequence + u64::from(index);
            let offset = segment.offset_of(sequence);
            let bytes = segment.span(offset, count);
            let piece =
                Piece { sequence, segment: slot, offset, bytes, count, deliveries: 0, first_ms: 0 };
            self.settle(segments, &piece);
        }
        self.release_dead_tail(segments);
    }

    /// Takes a group's line away. It needs nothing any more: its messages were settled.
    pub fn part(&mut self, segments: &mut Segments, group: usize) {
        let line = self.lines.at_mut(group);
        line.active = false;
        line.segment = NIL;
        self.lines.active -= 1;
        self.release_dead_tail(segments);
    }
}
