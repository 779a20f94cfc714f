//! Messages expire: after their own time to live, or their queue's, whichever is over first.
//!
//! An expired message is never delivered: a take steps over it. So that nobody has to take for
//! memory to be freed, a queue with a time to live looks at its oldest messages now and then, and a
//! message with a time of its own has an entry in a calendar. Each group loses what it has not
//! finished with. A message under a lease is left to its consumer; it expires when it is given back
//! and would be delivered again.

use ringway_protocol::{Rejection, record};

use crate::path::queue::catalog::Queue;
use crate::path::queue::lease::dead_letters::Reason;
use crate::path::queue::log::bands::{SCHEDULED, band_of};
use crate::path::queue::log::piece::Piece;
use crate::path::queue::log::segments::Segments;
use crate::path::queue::{Store, Timer};
use crate::world::Now;

/// Messages that one look at a queue ends, at most.
const EXPIRED_PER_LOOK_MAX: u64 = 4_096;
/// Milliseconds between two looks at a queue whose expired messages are all leased.
const LOOK_AGAIN_MS: u64 = 1_000;

/// The shorter of two times to live, 0 being none.
pub(in crate::path::queue) fn lifetime_ms(queue: u64, message: u64) -> Option<u64> {
    [queue, message].into_iter().filter(|ms| *ms > 0).min()
}

impl Queue {
    /// Whether messages of this queue can expire.
    #[inline]
    pub fn is_mortal(&self) -> bool {
        self.mortal || self.options.ttl_ms > 0
    }

    /// Whether a message has expired.
    pub fn has_expired(&self, segments: &Segments, piece: &Piece, now: Now) -> bool {
        self.expires_at_ms(segments, piece).is_some_and(|at_ms| now.ms() >= at_ms)
    }

    /// When a message expires, in milliseconds of the monotonic clock.
    pub fn expires_at_ms(&self, segments: &Segments, piece: &Piece) -> Option<u64> {
        let segment = &segments[piece.segment];
        let own = if self.mortal {
            let (record, _) = record::first(segment.records(piece.offset, piece.bytes))
                .expect("a piece has a record");
            record.traits().ttl_ms
        } else {
            0
        };
        let put_ms = segment.put_at_ms(piece.sequence);
        lifetime_ms(self.options.ttl_ms, own).map(|ttl_ms| put_ms.saturating_add(ttl_ms))
    }

    /// Cuts what has expired out of messages that are to be delivered: visits each stretch, and
    /// whether it has. Reads each message only where some have a time of their own.
    pub fn cull(
        &self,
        segments: &Segments,
        piece: Piece,
        now: Now,
        mut visit: impl FnMut(Piece, bool),
    ) {
        let segment = &segments[piece.segment];
        let (mut rest, mut end) = (piece, piece.offset);
        if !self.mortal {
            // They came in this order, and all live as long.
            let count = segment.put_before(piece.sequence, piece.count, self.oldest_put_ms(now));
            if count == piece.count {
                return visit(piece, true);
            }
            if count > 0 {
                visit(rest.split_front(count, segment.span(rest.offset, count)), true);
            }
            return visit(rest, false);
        }
        let (mut run, mut expired) = (0, false);
        for index in 0..piece.count {
            let bytes = segment.span(end, 1);
            let sequence = piece.sequence + u64::from(index);
            let one = Piece { sequence, offset: end, bytes, count: 1, ..piece };
            let has = self.has_expired(segments, &one, now);
            if run > 0 && has != expired {
                visit(rest.split_front(run, end - rest.offset), expired);
                run = 0;
            }
            (run, expired, end) = (run + 1, has, end + bytes);
        }
        visit(rest, expired);
    }

    /// When a message was put at least that has not expired by its queue's time to live.
    fn oldest_put_ms(&self, now: Now) -> u64 {
        (now.ms() + 1).saturating_sub(self.options.ttl_ms)
    }
}

impl Store {
    /// A message's own time is over. Where somebody has it in flight it is looked at again, until
    /// nobody has it.
    pub(super) fn expire_message(&mut self, place: u64, now: Now) {
        let Some(spot) = self.segments.spot(place) else {
            return self.segments.entry_ended(place);
        };
        let segment = &self.segments[spot.segment];
        let (slot, sequence) = (segment.queue, segment.first_sequence + u64::from(spot.index));
        let offset = spot.offset;
        let (bytes, key) = (segment.span(offset, 1), segment.key_of(sequence));
        let put_ms = segment.put_at_ms(sequence);
        let segment = spot.segment;
        let piece =
            Piece { sequence, segment, offset, bytes, count: 1, deliveries: 0, first_ms: 0 };
        for group in 0..self.catalog.at(slot).groups.places() {
            let queue = self.catalog.at_mut(slot);
            let lines = &mut queue.bands.of_mut(sequence).lines;
            if queue.groups.get(group).is_none() || group >= lines.len() {
                continue;
            }
            if let Some(piece) = lines.at_mut(group).remove_returned(&self.segments, sequence) {
                self.end_expired((slot, group), piece, true, now);
            } else if let Some(piece) = queue.groups.at_mut(group).keys.remove(key, sequence) {
                self.end_expired((slot, group), piece, false, now);
            }
        }
        if self.segments.spot(place).is_none() {
            return self.segments.entry_ended(place);
        }
        let unseen = self.unseen_by(slot, &piece);
        if unseen.len() == self.needed_by(slot, &piece)
            && self.expire_unseen((slot, &unseen), piece, now).is_ok()
        {
            return self.segments.entry_ended(place);
        }
        // If nobody else wants it, it waits as long again as it has: whoever gives it back ends it.
        let age_ms = now.ms().saturating_sub(put_ms);
        let again_ms = if unseen.is_empty() { age_ms.max(LOOK_AGAIN_MS) } else { LOOK_AGAIN_MS };
        let again_ns = now.ns.saturating_add(again_ms.saturating_mul(1_000_000));
        self.schedule.insert_expiry(again_ns, place);
    }

    /// The groups that a message is still before.
    fn unseen_by(&self, slot: u32, piece: &Piece) -> Vec<usize> {
        let queue = self.catalog.at(slot);
        let lines = &queue.bands.at(band_of(piece.sequence)).lines;
        let before = |group: &usize| {
            let line = lines.at(*group);
            line.active && line.start <= piece.sequence && line.sequence <= piece.sequence
        };
        queue.groups.iter().map(|(group, _)| group).filter(before).collect()
    }

    /// How many groups are not done with a message that is held.
    fn needed_by(&self, slot: u32, piece: &Piece) -> usize {
        let segment = &self.segments[piece.segment];
        usize::from(match segment.done.is_shared() {
            true => segment.done.left(segment.index(piece.sequence)),
            false => self
                .catalog
                .at(slot)
                .bands
                .at(band_of(piece.sequence))
                .lines
                .needing(piece.sequence),
        })
    }

    /// Ends a message that has expired before any of the groups that need it has seen it, or says
    /// why it cannot become dead letters.
    fn expire_unseen(
        &mut self,
        (slot, groups): (u32, &[usize]),
        piece: Piece,
        now: Now,
    ) -> Result<(), Rejection> {
        let queue = self.catalog.at_mut(slot);
        if queue.options.dead_letter_expired && queue.has_dead_letters() {
            self.send_letters(slot, groups, &piece, Reason::Expired, now)?;
        }
        let queue = self.catalog.at_mut(slot);
        for group in groups {
            queue.groups.at_mut(*group).counters.expired += 1;
        }
        let key = self.segments[piece.segment].key_of(piece.sequence);
        if let Some(keys) =
            queue.keys.as_deref_mut().filter(|_| key != crate::path::queue::keys::NO_KEY)
        {
            keys.let_go(key);
        }
        let log = queue.bands.of_mut(piece.sequence);
        log.remove(&mut self.segments, piece.segment, piece.sequence);
        self.messages -= 1;
        queue.linger(&mut self.lingering);
        queue.check();
        let id = queue.id;
        self.stir(id, now.ns);
        Ok(())
    }

    /// Ends what a take of a group found expired.
    #[cold]
    pub(in crate::path::queue) fn end_culled(&mut self, slot: u32, group: usize, now: Now) {
        let mut expired = std::mem::take(&mut self.basket.expired);
        for (piece, claimed) in expired.drain(..) {
            self.end_expired((slot, group), piece, claimed, now);
        }
        self.basket.expired = expired;
    }

    /// Ends a group's messages that have expired and are in no lease and not ready any more.
    pub(in crate::path::queue) fn end_expired(
        &mut self,
        (slot, group): (u32, usize),
        piece: Piece,
        claimed: bool,
        now: Now,
    ) {
        let queue = self.catalog.at_mut(slot);
        let (id, keyed) = (queue.id, queue.keys.is_some());
        if queue.options.dead_letter_expired && queue.has_dead_letters() {
            self.bury((slot, group), piece, (Reason::Expired, claimed), now);
        } else {
            queue.groups.at_mut(group).counters.expired += u64::from(piece.count);
            self.let_die((slot, group), &piece, claimed);
        }
        self.stir(id, now.ns);
        if keyed && claimed {
            // The next one of its key is ready.
            self.offer(id, group);
        }
    }

    /// A group is done with messages that are not to be kept for groups to come.
    pub(in crate::path::queue) fn let_die(
        &mut self,
        (slot, group): (u32, usize),
        piece: &Piece,
        claimed: bool,
    ) {
        let queue = self.catalog.at_mut(slot);
        let before = queue.bands.live();
        queue.drop_for(&mut self.segments, group, piece, claimed);
        self.messages -= before - queue.bands.live();
        queue.linger(&mut self.lingering);
    }

    /// Ends those of a group's messages that have expired, which are in no lease and whose keys are
    /// busy for them; the others go on to `keep`.
    #[inline]
    pub(in crate::path::queue) fn sift_returned(
        &mut self,
        (slot, group): (u32, usize),
        piece: Piece,
        now: Now,
        mut keep: impl FnMut(&mut Self, Piece),
    ) {
        let queue = self.catalog.at(slot);
        if !queue.is_mortal() {
            return keep(self, piece);
        }
        let mut stretches = std::mem::take(&mut self.stretches);
        queue.cull(&self.segments, piece, now, |piece, expired| stretches.push((piece, expired)));
        for (piece, expired) in stretches.drain(..) {
            if expired {
                self.end_expired((slot, group), piece, true, now);
            } else {
                keep(self, piece);
            }
        }
        self.stretches = stretches;
    }

    /// Sees to it that a queue with a time to live is looked at while it holds something.
    #[inline]
    pub(in crate::path::queue) fn watch_lifetimes(&mut self, slot: u32, now: Now) {
        let queue = self.catalog.at_mut(slot);
        if queue.options.ttl_ms > 0 && queue.lifetimes.is_none() {
            let in_ns = queue.options.ttl_ms.saturating_mul(1_000_000);
            let timer = self.wheel.arm(now.ns.saturating_add(in_ns), Timer::Lifetimes(slot));
            queue.lifetimes = Some(timer);
        }
    }

    /// Ends the oldest messages of a queue that have expired, and says when to look again.
    pub(in crate::path::queue) fn look_at_lifetimes(&mut self, slot: u32, now: Now) {
        let queue = self.catalog.at_mut(slot);
        queue.lifetimes = None;
        let ttl_ms = queue.options.ttl_ms;
        if ttl_ms == 0 {
            return;
        }
        let (mut left, mut next_ms) = (EXPIRED_PER_LOOK_MAX, now.ms() + LOOK_AGAIN_MS.min(ttl_ms));
        for group in 0..self.catalog.at(slot).groups.places() {
            if self.catalog.at(slot).groups.get(group).is_some() {
                let oldest = self.end_oldest((slot, group), &mut left, now);
                next_ms = oldest.map_or(next_ms, |at_ms| next_ms.min(at_ms + ttl_ms));
            }
        }
        let queue = self.catalog.at_mut(slot);
        queue.check();
        if queue.bands.live() > 0 {
            let at_ns = next_ms.max(now.ms() + 1).saturating_mul(1_000_000);
            queue.lifetimes = Some(self.wheel.arm(at_ns, Timer::Lifetimes(slot)));
        }
    }

    /// Ends a group's ready messages whose queue's time to live is over; returns when the oldest of
    /// those left was put.
    fn end_oldest(&mut self, holder: (u32, usize), left: &mut u64, now: Now) -> Option<u64> {
        loop {
            let before = *left;
            let bands = (0..SCHEDULED).map(|band| self.end_oldest_of(holder, band, left, now));
            let oldest = bands.flatten().min();
            if *left == before || *left == 0 {
                return oldest;
            }
            // Each frees the next one of its key, which may lie in a band that was looked at.
        }
    }

    /// The same in one band, oldest first.
    fn end_oldest_of(
        &mut self,
        (slot, group): (u32, usize),
        band: usize,
        left: &mut u64,
        now: Now,
    ) -> Option<u64> {
        loop {
            let queue = self.catalog.at_mut(slot);
            queue.bands.get(band)?;
            let log = queue.bands.at_mut(band);
            let claimed = log.lines.at(group).returned() > 0;
            let put_ms = log.first_put_ms(&mut self.segments, group)?;
            if *left == 0 || now.ms() < put_ms + queue.options.ttl_ms {
                return Some(put_ms);
            }
            let log = queue.bands.at_mut(band);
            let piece = log.next_piece(&mut self.segments, group, (1, u32::MAX), true)?;
            *left -= 1;
            self.end_expired((slot, group), piece, claimed, now);
        }
    }
}
