//! Messages given back with a delay: ready again, first in line, when it is over.
//!
//! They stay where they lie, count as held, and their keys stay busy for them. Each group keeps its
//! own, by sequence and by when they are to be looked at: when their delay is over, or before that
//! if they expire. One timer a group wakes it, so whatever ends a message has no timer to find.

use std::collections::{BTreeMap, BTreeSet};

use super::dead_letters::Reason;
use crate::limits::COMING_BACK_PER_CALL_MAX;
use crate::path::queue::catalog::Queue;
use crate::path::queue::log::piece::Piece;
use crate::path::queue::log::segments::Segments;
use crate::path::queue::{Store, Timer};
use crate::world::{Now, TimerId};

/// Messages with times to live of their own that wait together, at most: when one of them expires,
/// all of them are looked at.
const TOGETHER_MAX: u32 = 64;

/// Messages that wait together.
#[derive(Clone, Copy, Debug)]
struct Away {
    piece: Piece,
    /// When they are ready again.
    due_ns: u64,
    /// When they are looked at next: then, or before because some expire.
    wake_ns: u64,
    /// Why they become dead letters then, if they are not to be ready.
    dies: Option<Reason>,
}

impl Away {
    /// Appends messages that continue these and wait alike, unless they become too many to be
    /// looked at together.
    fn join(&mut self, next: &Away) -> bool {
        (self.due_ns, self.wake_ns, self.dies) == (next.due_ns, next.wake_ns, next.dies)
            && self.piece.first_ms == next.piece.first_ms
            && self.piece.count + next.piece.count <= COMING_BACK_PER_CALL_MAX
            && self.piece.join(&next.piece)
    }
}

/// What one group has given back with a delay.
///
/// Invariant: `wakes` names each of `pieces` once; no two pieces overlap; `messages` counts them.
#[derive(Debug, Default)]
pub(in crate::path::queue) struct Delayed {
    pieces: BTreeMap<u64, Away>,
    wakes: BTreeSet<(u64, u64)>,
    messages: u64,
    /// Armed while anything waits, and for when.
    timer: Option<(u64, TimerId)>,
}

impl Delayed {
    /// How many messages wait.
    #[inline]
    pub fn messages(&self) -> u64 {
        self.messages
    }

    fn insert(&mut self, away: Away) {
        let sequence = away.piece.sequence;
        self.messages += u64::from(away.piece.count);
        let before = self.pieces.range_mut(..sequence).next_back();
        if before.is_some_and(|(_, before)| before.join(&away)) {
            return;
        }
        self.wakes.insert((away.wake_ns, sequence));
        let before = self.pieces.insert(sequence, away);
        debug_assert!(before.is_none(), "a message waits once");
    }

    fn take_out(&mut self, sequence: u64) -> Option<Away> {
        let away = self.pieces.remove(&sequence)?;
        self.wakes.remove(&(away.wake_ns, sequence));
        self.messages -= u64::from(away.piece.count);
        Some(away)
    }

    /// When the first of them is to be looked at.
    fn next_wake_ns(&self) -> Option<u64> {
        self.wakes.first().map(|(wake_ns, _)| *wake_ns)
    }

    /// The first of them, if its time has come.
    fn take_first(&mut self, now_ns: u64) -> Option<Away> {
        let (wake_ns, sequence) = *self.wakes.first()?;
        (wake_ns <= now_ns).then(|| self.take_out(sequence)).flatten()
    }

    /// Takes one message out.
    pub fn remove(&mut self, segments: &Segments, sequence: u64) -> Option<Piece> {
        let (first, away) = self.pieces.range(..=sequence).next_back()?;
        if sequence - first >= u64::from(away.piece.count) {
            return None;
        }
        let away = self.take_out(*first).expect("it was found a moment ago");
        let (mut rest, segment) = (away.piece, &segments[away.piece.segment]);
        let before = (sequence - rest.sequence) as u32;
        if before > 0 {
            let piece = rest.split_front(before, segment.span(rest.offset, before));
            self.insert(Away { piece, ..away });
        }
        let found = rest.split_front(1, segment.span(rest.offset, 1));
        if rest.count > 0 {
            self.insert(Away { piece: rest, ..away });
        }
        Some(found)
    }

    /// What waits from a sequence on, in order, and when it is ready again.
    pub fn from(&self, sequence: u64) -> impl Iterator<Item = (&Piece, u64)> {
        let first = self.pieces.range(..=sequence).next_back().map_or(sequence, |(at, _)| *at);
        let ends = |piece: &Piece| piece.sequence + u64::from(piece.count);
        self.pieces
            .range(first..)
            .map(|(_, away)| (&away.piece, away.due_ns))
            .filter(move |(piece, _)| ends(piece) > sequence)
    }
}

impl Queue {
    /// When the first of some messages expires, in nanoseconds of the monotonic clock.
    fn first_expiry_ns(&self, segments: &Segments, piece: &Piece) -> Option<u64> {
        if !self.mortal {
            // The first one is the oldest.
            let at_ms = self.expires_at_ms(segments, piece);
            return at_ms.map(|ms| ms.saturating_mul(1_000_000));
        }
        let (mut rest, mut first) = (*piece, None::<u64>);
        while rest.count > 0 {
            let one = rest.split_front(1, segments[rest.segment].span(rest.offset, 1));
            let at_ms = self.expires_at_ms(segments, &one);
            first = at_ms.map_or(first, |ms| Some(first.map_or(ms, |other| other.min(ms))));
        }
        first.map(|ms| ms.saturating_mul(1_000_000))
    }
}

impl Store {
    /// Keeps a group's messages back that are in no lease any more, until `due_ns`; those that
    /// expire before that end then, if they `may_expire`.
    #[cold]
    pub(super) fn delay(
        &mut self,
        (slot, group): (u32, usize),
        mut piece: Piece,
        due_ns: u64,
        may_expire: bool,
    ) {
        let may_expire = may_expire && self.catalog.at(slot).is_mortal();
        while piece.count > 0 {
            let queue = self.catalog.at(slot);
            let (mut wake_ns, mut count) = (due_ns, piece.count);
            if may_expire && queue.mortal {
                count = count.min(TOGETHER_MAX);
            }
            let bytes = match count == piece.count {
                true => piece.bytes,
                false => self.segments[piece.segment].span(piece.offset, count),
            };
            let piece = piece.split_front(count, bytes);
            if may_expire {
                let expiry_ns = queue.first_expiry_ns(&self.segments, &piece);
                wake_ns = expiry_ns.map_or(due_ns, |ns| due_ns.min(ns));
            }
            let away = Away { piece, due_ns, wake_ns, dies: None };
            self.delayed_of((slot, group)).insert(away);
        }
        self.arm_delayed((slot, group));
    }

    /// Keeps messages back that become dead letters at `due_ns`.
    pub(super) fn delay_burial(
        &mut self,
        holder: (u32, usize),
        piece: Piece,
        reason: Reason,
        due_ns: u64,
    ) {
        let away = Away { piece, due_ns, wake_ns: due_ns, dies: Some(reason) };
        self.delayed_of(holder).insert(away);
        self.arm_delayed(holder);
    }

    /// Sees to it that a group's timer is armed for the first of its delayed messages.
    fn arm_delayed(&mut self, (slot, group): (u32, usize)) {
        let delayed = self.delayed_of((slot, group));
        let (armed, Some(wake_ns)) = (delayed.timer, delayed.next_wake_ns()) else { return };
        match armed {
            // At worst it finds nothing, once.
            Some((at_ns, _)) if at_ns <= wake_ns => return,
            Some((_, timer)) => drop(self.wheel.disarm(timer)),
            None => {}
        }
        let timer = self.wheel.arm(wake_ns, Timer::Delayed(slot, group as u16));
        self.delayed_of((slot, group)).timer = Some((wake_ns, timer));
    }

    /// Makes a group's messages ready again whose delay is over, and ends those that expire; stops
    /// when so many messages are `left` to be looked at, and goes on at the next call.
    pub(in crate::path::queue) fn wake_delayed(
        &mut self,
        (slot, group): (u32, usize),
        left: &mut u32,
        now: Now,
    ) {
        self.delayed_of((slot, group)).timer = None;
        while *left > 0 {
            let first = self.delayed_of((slot, group)).take_first(now.ns);
            let Some(Away { piece, due_ns, dies, .. }) = first else { break };
            *left = left.saturating_sub(piece.count);
            if let Some(reason) = dies {
                self.bury((slot, group), piece, (reason, true), now);
            } else if due_ns <= now.ns {
                self.make_ready((slot, group), piece, now);
            } else {
                self.sift_returned((slot, group), piece, now, |store, piece| {
                    store.delay((slot, group), piece, due_ns, true);
                });
            }
        }
        self.arm_delayed((slot, group));
        let queue = self.catalog.at_mut(slot);
        let id = queue.id;
        queue.check();
        self.stir(id, now.ns);
        self.offer(id, group);
    }

    /// What a group has delayed; nothing, the first time.
    fn delayed_of(&mut self, (slot, group): (u32, usize)) -> &mut Delayed {
        self.catalog.at_mut(slot).groups.at_mut(group).delayed.get_or_insert_default()
    }

    /// Forgets what a group has delayed, which is done with it.
    pub(in crate::path::queue) fn end_delayed(&mut self, (slot, group): (u32, usize)) {
        let holder = self.catalog.at_mut(slot).groups.at_mut(group);
        let Some(delayed) = holder.delayed.take() else { return };
        if let Some((_, timer)) = delayed.timer {
            self.wheel.disarm(timer);
        }
        for away in delayed.pieces.into_values() {
            self.finish((slot, group), &away.piece, true);
        }
    }
}
