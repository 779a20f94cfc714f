//! What a queue keeps that is done, so that a group that is made later gets it: until one of the
//! queue's limits is exceeded, or the bound on bytes needs the room.
//!
//! Whole segments are given up, the oldest first, and only those of which all is done. Messages
//! that are done in a segment with others that are not go with it. The tail is given up for its age
//! or for room alone: it is the newest.

use std::collections::BTreeMap;

use ringway_protocol::Record;

use super::bands::{Bands, SCHEDULED};
use super::piece::Piece;
use super::segment::{Amount, NIL, Revival};
use super::segments::Segments;
use crate::path::queue::catalog::Queue;
use crate::path::queue::log::Log;
use crate::path::queue::{Store, Timer};
use crate::world::Now;

/// Milliseconds after which a queue with a limit of age looks again that holds nothing over it.
const LOOK_AGAIN_MS: u64 = 1_000;

/// What a log keeps that is done.
///
/// Invariant: `amount` is the sum over the log's segments; `done` has those of which all is done,
/// without the tail.
#[derive(Debug, Default)]
pub(in crate::path::queue) struct Kept {
    pub amount: Amount,
    /// By their first sequence.
    done: BTreeMap<u64, u32>,
}

impl Kept {
    #[inline]
    pub fn add(&mut self, messages: u32, bytes: u32) {
        self.amount.messages += u64::from(messages);
        self.amount.bytes += u64::from(bytes);
    }

    fn subtract(&mut self, amount: Amount) {
        self.amount.messages -= amount.messages;
        self.amount.bytes -= amount.bytes;
    }

    /// All of a segment is done that is not the tail.
    pub fn note_done(&mut self, first_sequence: u64, slot: u32) {
        self.done.insert(first_sequence, slot);
    }
}

impl Log {
    /// Keeps what is done from now on, or not any more. Visits each segment.
    pub fn keep(&mut self, segments: &mut Segments, keeps: bool) {
        if keeps == self.kept.is_some() {
            return;
        }
        self.kept = keeps.then(Box::default);
        let slots: Vec<u32> = self.slots_from(segments, self.head).collect();
        for slot in slots {
            if keeps {
                segments[slot].begin_keeping();
            } else {
                segments[slot].stop_keeping();
                self.look_at(segments, slot);
            }
        }
        if self.is_wasteful() {
            self.shrink(segments);
        }
    }

    /// Keeps messages no longer that were just settled, as far as they are gone.
    pub fn erase(&mut self, segments: &mut Segments, piece: &Piece) {
        let Some(kept) = &mut self.kept else { return };
        kept.subtract(segments[piece.segment].erase(piece.sequence, piece.count));
        self.look_at_kept(segments, piece.segment);
    }

    /// Brings back what is kept from a sequence on, as `look` decides by a message's time of
    /// arrival and its record: nobody needs it yet. Visits segments.
    pub fn revive(
        &mut self,
        segments: &mut Segments,
        start: u64,
        mut look: impl FnMut(u64, Record<'_>) -> Revival,
    ) {
        let Some(first) = self.find(segments, start).filter(|_| self.kept.is_some()) else {
            return;
        };
        let slots: Vec<u32> = self.slots_from(segments, first).collect();
        for slot in slots {
            let segment = &mut segments[slot];
            if segment.kept == 0 {
                continue;
            }
            // From now on not every group that began before a message needs it.
            self.count_groups(segment);
            let first_sequence = segment.first_sequence;
            let from = segment.index(start.max(first_sequence));
            let (back, erased) = segment.revive(from, &mut look);
            self.live += back.messages;
            self.live_bytes += back.bytes;
            self.revived += back.messages;
            let kept = self.kept.as_mut().expect("the log keeps something");
            kept.subtract(back);
            kept.subtract(erased);
            if back.messages > 0 {
                kept.done.remove(&first_sequence);
            }
            self.look_at_kept(segments, slot);
        }
    }

    /// The oldest segment of which all is done, the tail only if there is no other and it is asked
    /// for; and when its newest message was put, in milliseconds of the monotonic clock.
    fn oldest_done(&self, segments: &Segments, or_tail: bool) -> Option<(u64, u32)> {
        let first = self.kept.as_ref()?.done.first_key_value();
        let tail = (or_tail && self.tail != NIL).then_some(self.tail);
        let slot = first.map(|(_, slot)| *slot).or(tail)?;
        let segment = &segments[slot];
        let done = segment.live == 0 && segment.kept > 0;
        done.then(|| (segment.put_at_ms(segment.end() - 1), slot))
    }

    /// Keeps nothing of a segment any longer.
    fn give_up(&mut self, segments: &mut Segments, slot: u32) {
        let amount = segments[slot].erase_kept();
        self.kept.as_mut().expect("the log keeps something").subtract(amount);
        self.look_at_kept(segments, slot);
    }

    /// Less of a segment is kept.
    fn look_at_kept(&mut self, segments: &mut Segments, slot: u32) {
        let segment = &segments[slot];
        let first_sequence = segment.first_sequence;
        if segment.live + segment.kept == 0
            && let Some(kept) = &mut self.kept
        {
            kept.done.remove(&first_sequence);
        }
        self.look_at(segments, slot);
        if self.is_wasteful() {
            self.shrink(segments);
        }
    }
}

impl Bands {
    /// What is kept of all logs together.
    pub fn kept(&self) -> Amount {
        let kept = self.iter().filter_map(|log| log.kept.as_deref());
        kept.fold(Amount::default(), |sum, kept| Amount {
            messages: sum.messages + kept.amount.messages,
            bytes: sum.bytes + kept.amount.bytes,
        })
    }

    /// Keeps what is done from now on, or not any more.
    pub fn keep(&mut self, segments: &mut Segments, keeps: bool) {
        for (_, log) in self.numbered_mut().filter(|(band, _)| *band != SCHEDULED) {
            log.keep(segments, keeps);
        }
    }

    /// The oldest segment of which all is done: when its newest message was put, and its log.
    fn oldest_done(&self, segments: &Segments, or_tail: bool) -> Option<(u64, u32, usize)> {
        let logs = (0..SCHEDULED).filter_map(|band| Some((band, self.get(band)?)));
        let oldest = logs.filter_map(|(band, log)| {
            log.oldest_done(segments, or_tail).map(|(put_ms, slot)| (put_ms, slot, band))
        });
        oldest.min()
    }
}

impl Queue {
    /// Gives up the oldest of what is kept while there is more of it than the options allow.
    #[inline]
    pub fn trim_kept(&mut self, segments: &mut Segments) {
        if self.bands.first.kept.is_some() {
            self.trim(segments);
        }
    }

    #[cold]
    fn trim(&mut self, segments: &mut Segments) {
        let over = |limit: u64, amount: u64| limit > 0 && amount > limit;
        loop {
            let Amount { messages, bytes } = self.bands.kept();
            let options = &self.options;
            if !over(options.keep_messages, messages) && !over(options.keep_bytes, bytes) {
                return;
            }
            let Some((_, slot, band)) = self.bands.oldest_done(segments, false) else { return };
            self.bands.at_mut(band).give_up(segments, slot);
        }
    }

    /// Gives up what has been kept for as long as the options say; returns when to look again.
    fn trim_old(&mut self, segments: &mut Segments, now: Now) -> Option<u64> {
        let keep_ms = self.options.keep_ms;
        while let Some((put_ms, slot, band)) = self.bands.oldest_done(segments, true) {
            if now.ms() < put_ms + keep_ms {
                return Some(put_ms + keep_ms);
            }
            self.bands.at_mut(band).give_up(segments, slot);
        }
        let waits = self.bands.live() > 0 || self.bands.kept().messages > 0;
        waits.then(|| now.ms() + keep_ms.max(LOOK_AGAIN_MS))
    }

    /// Gives up what is kept, the oldest first, until this many bytes fit the bound.
    pub fn give_kept_up(&mut self, segments: &mut Segments, bytes: u64) {
        let full =
            |queue: &Self| queue.bands.held_bytes().saturating_add(bytes) > queue.options.bytes_max;
        while full(self)
            && let Some((_, slot, band)) = self.bands.oldest_done(segments, true)
        {
            self.bands.at_mut(band).give_up(segments, slot);
        }
        if full(self) && self.bands.kept().messages > 0 {
            // All that is left of it lies between messages that somebody needs.
            self.bands.keep(segments, false);
            self.bands.keep(segments, true);
        }
    }

    /// Whether a put has to see to it that what is kept is looked at.
    #[inline]
    pub fn keeps_unwatched(&self) -> bool {
        self.options.keep_ms > 0 && self.known_rare().is_none_or(|rare| rare.kept.is_none())
    }
}

impl Store {
    /// Sees to it that a queue with a limit of age is looked at while it keeps something.
    #[inline]
    pub(in crate::path::queue) fn watch_kept(&mut self, slot: u32, now: Now) {
        let queue = self.catalog.at_mut(slot);
        if queue.keeps_unwatched() {
            let at_ns = now.ns.saturating_add(queue.options.keep_ms.saturating_mul(1_000_000));
            queue.rare().kept = Some(self.wheel.arm(at_ns, Timer::Kept(slot)));
        }
    }

    /// Gives up what a queue has kept for too long, and says when to look again.
    pub(in crate::path::queue) fn look_at_kept(&mut self, slot: u32, now: Now) {
        let queue = self.catalog.at_mut(slot);
        queue.rare().kept = None;
        if queue.options.keep_ms == 0 {
            return;
        }
        let next_ms = queue.trim_old(&mut self.segments, now);
        queue.linger(&mut self.lingering);
        let id = queue.id;
        self.note_held(id);
        if let Some(at_ms) = next_ms {
            let timer = self.wheel.arm(at_ms.saturating_mul(1_000_000), Timer::Kept(slot));
            self.catalog.at_mut(slot).rare().kept = Some(timer);
        }
    }
}
