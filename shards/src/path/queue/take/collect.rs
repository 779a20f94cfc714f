//! Which messages a take gets: the most urgent bands first, or each band its share; none whose key
//! is busy, none that has expired.
//!
//! A queue with one band, without keys and without times to live takes the short way.

use ringway_protocol::PriorityOrder;

use crate::limits::RUNS_PER_TAKE_MAX;
use crate::path::queue::catalog::Queue;
use crate::path::queue::log::Log;
use crate::path::queue::log::bands::SCHEDULED;
use crate::path::queue::log::piece::{Piece, short_ms};
use crate::path::queue::log::segments::Segments;
use crate::world::Now;

/// Messages with keys or times to live that one take looks at, at most.
pub(super) const SIFTED_PER_TAKE_MAX: u32 = 4_096;

/// What a take has gathered. Reused from one take to the next.
#[derive(Debug, Default)]
pub(in crate::path::queue) struct Basket {
    pub pieces: Vec<Piece>,
    pub count: u32,
    /// How many of them were delivered before.
    pub redelivered: u32,
    bytes: u32,
    /// When this delivery is, as pieces keep it.
    first_ms: u32,
    /// What has expired, and whether its keys are busy for it.
    pub expired: Vec<(Piece, bool)>,
    /// Room that is reused: a piece cut up, and what of it has expired.
    stretches: Vec<(Piece, bool)>,
    sifted: u32,
}

impl Basket {
    #[inline]
    fn begin(&mut self, now: Now) {
        self.first_ms = short_ms(now);
        self.pieces.clear();
        self.expired.clear();
        (self.count, self.redelivered, self.bytes, self.sifted) = (0, 0, 0, 0);
    }

    /// What was gathered elsewhere.
    pub fn fill_with(&mut self, pieces: Vec<Piece>, now: Now) {
        self.begin(now);
        pieces.into_iter().for_each(|piece| self.add(piece));
    }

    /// Gathers from one log of a queue where nothing has to be looked at.
    #[inline]
    fn fill(&mut self, log: &mut Log, group: usize, segments: &mut Segments, limits: (u32, u32)) {
        // Fresh messages, in registers until the end: this is every take's way.
        let (mut count, mut bytes) = (self.count, self.bytes);
        let (messages_max, bytes_max) = limits;
        while count < messages_max && self.pieces.len() < RUNS_PER_TAKE_MAX {
            let left = (messages_max - count, bytes_max.saturating_sub(bytes));
            let Some(piece) = log.next_fresh(segments, group, left, count == 0) else { break };
            (count, bytes) = (count + piece.count, bytes + piece.bytes);
            let piece = Piece { deliveries: 1, first_ms: self.first_ms, ..piece };
            if !self.pieces.last_mut().is_some_and(|last| last.join(&piece)) {
                self.pieces.push(piece);
            }
        }
        (self.count, self.bytes) = (count, bytes);
        if self.wants_more(limits) && log.ready(group) > 0 {
            self.fill_with_any(log, group, segments, limits);
        }
    }

    /// Gathers whatever comes next, given back or fresh.
    #[cold]
    fn fill_with_any(
        &mut self,
        log: &mut Log,
        group: usize,
        segments: &mut Segments,
        limits: (u32, u32),
    ) {
        while self.wants_more(limits) {
            let piece = log.next_piece(segments, group, self.left(limits), self.count == 0);
            let Some(piece) = piece else { break };
            self.add(piece);
        }
    }

    #[inline]
    fn wants_more(&self, (messages_max, _): (u32, u32)) -> bool {
        self.count < messages_max && self.pieces.len() < RUNS_PER_TAKE_MAX
    }

    /// What is left of the limits.
    #[inline]
    fn left(&self, (messages_max, bytes_max): (u32, u32)) -> (u32, u32) {
        (messages_max - self.count, bytes_max.saturating_sub(self.bytes))
    }

    #[inline]
    fn add(&mut self, mut piece: Piece) {
        if piece.deliveries == 0 {
            piece.first_ms = self.first_ms;
        } else {
            self.redelivered += piece.count;
        }
        piece.deliveries = piece.deliveries.saturating_add(1);
        self.count += piece.count;
        self.bytes += piece.bytes;
        if !self.pieces.last_mut().is_some_and(|last| last.join(&piece)) {
            self.pieces.push(piece);
        }
    }
}

/// The share of a band among those that have something: it counts from 1.
fn share(band: usize) -> u8 {
    band as u8 + 1
}

impl Queue {
    /// A group's first ready messages if they lie together and are all that a take gets, which is
    /// so for most takes; else nothing has moved.
    #[inline(always)]
    pub fn only_run(
        &mut self,
        group: usize,
        segments: &mut Segments,
        limits: (u32, u32),
        now: Now,
    ) -> Option<Piece> {
        if !self.is_taken_in_order() {
            return None;
        }
        let piece = self.bands.first.only_run(segments, group, limits)?;
        Some(Piece { deliveries: 1, first_ms: short_ms(now), ..piece })
    }

    /// Whether nothing has to be looked at before it is delivered.
    #[inline]
    fn is_taken_in_order(&self) -> bool {
        self.bands.is_single() && self.keys.is_none() && !self.is_mortal()
    }

    /// Moves a group's first ready messages into the basket.
    #[inline(never)]
    pub fn collect(
        &mut self,
        group: usize,
        segments: &mut Segments,
        limits: (u32, u32),
        now: Now,
        basket: &mut Basket,
    ) {
        basket.begin(now);
        if self.is_taken_in_order() {
            basket.fill(&mut self.bands.first, group, segments, limits);
        } else {
            self.collect_by_band(group, segments, limits, now, basket);
        }
    }

    #[cold]
    fn collect_by_band(
        &mut self,
        group: usize,
        segments: &mut Segments,
        limits: (u32, u32),
        now: Now,
        basket: &mut Basket,
    ) {
        if self.bands.is_single() || self.options.priority == PriorityOrder::Strict {
            for band in self.bands.urgent_first() {
                self.sift(group, band, segments, limits, now, basket);
            }
            return;
        }
        // Each band in turn, from where the last take stopped, as many messages as its share.
        let mut barren = 0;
        while basket.wants_more(limits) && barren <= SCHEDULED {
            let (band, left) = self.groups.at(group).turn;
            let band = usize::from(band);
            let before = basket.count;
            if left > 0 && self.bands.get(band).is_some_and(|log| log.ready(group) > 0) {
                let messages_max = limits.0.min(basket.count + u32::from(left));
                self.sift(group, band, segments, (messages_max, limits.1), now, basket);
            }
            let served = (basket.count - before) as u8;
            let turn = &mut self.groups.at_mut(group).turn;
            barren = if served == 0 { barren + 1 } else { 0 };
            if served < left && !basket.wants_more(limits) {
                turn.1 = left - served;
            } else {
                let next = if band == 0 { SCHEDULED - 1 } else { band - 1 };
                *turn = (next as u8, share(next));
            }
        }
    }

    /// Gathers from one band what has not expired and whose keys are free.
    fn sift(
        &mut self,
        group: usize,
        band: usize,
        segments: &mut Segments,
        limits: (u32, u32),
        now: Now,
        basket: &mut Basket,
    ) {
        let (keyed, mortal) = (self.keys.is_some(), self.is_mortal());
        if !keyed && !mortal {
            return basket.fill(self.bands.at_mut(band), group, segments, limits);
        }
        while basket.wants_more(limits) && basket.sifted < SIFTED_PER_TAKE_MAX {
            let claimed = self.bands.at(band).lines.at(group).returned() > 0;
            let (messages, bytes) = basket.left(limits);
            // Each message that is left out may end one run.
            let mut messages = messages.min(2 * (RUNS_PER_TAKE_MAX - basket.pieces.len()) as u32);
            if keyed && !claimed {
                // What was given back goes on even so: it is what the others wait for.
                messages = messages.min(self.groups.at(group).keys.room());
            }
            if messages == 0 {
                break;
            }
            let log = self.bands.at_mut(band);
            let piece = log.next_piece(segments, group, (messages, bytes), basket.count == 0);
            let Some(piece) = piece else { break };
            basket.sifted += piece.count;
            if mortal {
                let mut stretches = std::mem::take(&mut basket.stretches);
                self.cull(segments, piece, now, |piece, expired| stretches.push((piece, expired)));
                for (piece, expired) in stretches.drain(..) {
                    if expired {
                        basket.expired.push((piece, claimed));
                    } else {
                        self.pass(group, segments, piece, claimed, basket);
                    }
                }
                basket.stretches = stretches;
            } else {
                self.pass(group, segments, piece, claimed, basket);
            }
        }
    }

    /// Delivers what keys allow: all that was given back, since its keys are busy for it.
    fn pass(
        &mut self,
        group: usize,
        segments: &Segments,
        piece: Piece,
        claimed: bool,
        basket: &mut Basket,
    ) {
        if claimed || self.keys.is_none() {
            return basket.add(piece);
        }
        let states = &mut self.groups.at_mut(group).keys;
        Queue::claim_keys(states, segments, piece, |piece| basket.add(piece));
    }
}
