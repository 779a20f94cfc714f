//! Messages of a group that a filter lets through are taken out from among the others, which stay
//! where they are.
//!
//! A look goes over what is ready from the most urgent band on, a bounded number of messages; the
//! next one can go on where it stopped. What it passes over counts as seen by the group, and is
//! first in line as before.

use ringway_protocol::request::HeaderFilter;
use ringway_protocol::{Record, record};

use crate::limits::MOVES_LOOKED_AT_MAX;
use crate::path::queue::catalog::Queue;
use crate::path::queue::log::bands::{SCHEDULED, band_of};
use crate::path::queue::log::piece::Piece;
use crate::path::queue::log::segments::Segments;
use crate::world::Now;

/// Whether a filter lets a message through; without one, every message passes.
pub(super) fn passes(filter: Option<HeaderFilter<'_>>, record: &Record<'_>) -> bool {
    filter.is_none_or(|HeaderFilter { name, value }| {
        record.headers().any(|header| header == (name, value))
    })
}

/// What a look may take out.
#[derive(Clone, Copy, Debug)]
pub(in crate::path::queue) struct Sieve<'a> {
    pub group: usize,
    pub filter: Option<HeaderFilter<'a>>,
    pub messages_max: u32,
    pub bytes_max: u32,
    /// Pieces that it may consist of.
    pub pieces_max: usize,
    pub now: Now,
}

/// What a look took out.
#[derive(Debug, Default)]
pub(in crate::path::queue) struct Sifted {
    /// In the order of the look; their keys are busy for them.
    pub pieces: Vec<Piece>,
    pub count: u32,
    bytes: u32,
    looked_at: u32,
    /// Messages that it passed over.
    pub passed: u32,
    /// Unseen messages that had expired, to be ended.
    pub expired: Vec<Piece>,
    /// The first message that would have been too much.
    closed_at: Option<u64>,
    /// Where to go on, if there was more to look at.
    pub stopped_at: Option<u64>,
    /// Whether it stopped at an unseen message because the group has set aside as many as it may.
    pub held_up: bool,
}

impl Sifted {
    fn is_full(&self, sieve: &Sieve<'_>) -> bool {
        self.count >= sieve.messages_max
            || self.bytes >= sieve.bytes_max
            || self.pieces.len() >= sieve.pieces_max
            || self.looked_at >= MOVES_LOOKED_AT_MAX
    }

    /// Takes one message out, unless it or one before it would be too much.
    fn add(&mut self, sieve: &Sieve<'_>, piece: Piece) -> bool {
        if self.count > 0 && self.bytes.saturating_add(piece.bytes) > sieve.bytes_max {
            self.closed_at.get_or_insert(piece.sequence);
        }
        if self.closed_at.is_some() {
            return false;
        }
        self.count += 1;
        self.bytes = self.bytes.saturating_add(piece.bytes);
        if !self.pieces.last_mut().is_some_and(|last| last.join(&piece)) {
            self.pieces.push(piece);
        }
        true
    }
}

impl Queue {
    /// Takes out what a filter lets through, from the start or from where the last look stopped.
    pub fn sift_out(
        &mut self,
        segments: &mut Segments,
        sieve: &Sieve<'_>,
        from: Option<u64>,
    ) -> Sifted {
        let mut sifted = Sifted::default();
        for band in self.bands.urgent_first() {
            if from.is_some_and(|from| band_of(from) < band) {
                continue;
            }
            let start = from.filter(|from| band_of(*from) == band).unwrap_or(0);
            let stopped_at = match self.sift_returned(segments, sieve, (band, start), &mut sifted) {
                Some(at) => Some(at),
                None => self.sift_fresh(segments, sieve, band, &mut sifted),
            };
            if stopped_at.is_some() {
                sifted.stopped_at = stopped_at.filter(|at| self.has_more(sieve.group, *at));
                break;
            }
        }
        sifted
    }

    /// Whether a group has something ready from a sequence on, or in a less urgent band.
    fn has_more(&self, group: usize, from: u64) -> bool {
        let log = self.bands.at(band_of(from));
        let line = log.lines.at(group);
        let fresh = log.next_sequence() - line.sequence - line.holes;
        fresh > 0
            || line.returned_from(from).next().is_some()
            || (0..band_of(from))
                .any(|band| self.bands.get(band).is_some_and(|log| log.ready(group) > 0))
    }

    /// Looks at what was given back; returns where it stopped before the end.
    fn sift_returned(
        &mut self,
        segments: &Segments,
        sieve: &Sieve<'_>,
        (band, start): (usize, u64),
        sifted: &mut Sifted,
    ) -> Option<u64> {
        let mut at = start;
        loop {
            let log = self.bands.at_mut(band);
            let line = log.lines.at_mut(sieve.group);
            let mut rest = line.returned_from(at).next().copied()?;
            let segment = &segments[rest.segment];
            let before = at.saturating_sub(rest.sequence) as u32;
            rest.split_front(before, segment.span(rest.offset, before));
            at = rest.sequence;
            while rest.count > 0 {
                if sifted.is_full(sieve) {
                    return Some(at);
                }
                let one = rest.split_front(1, segment.span(rest.offset, 1));
                sifted.looked_at += 1;
                let expired = self.is_mortal() && self.has_expired(segments, &one, sieve.now);
                if expired || !matches(segments, sieve, &one) {
                    sifted.passed += 1;
                    at += 1;
                    continue;
                }
                if !sifted.add(sieve, one) {
                    return Some(at);
                }
                let line = self.bands.at_mut(band).lines.at_mut(sieve.group);
                line.remove_returned(segments, at).expect("it was looked at a moment ago");
                at += 1;
            }
        }
    }

    /// Looks at what the group has not seen; returns where it stopped before the end.
    fn sift_fresh(
        &mut self,
        segments: &mut Segments,
        sieve: &Sieve<'_>,
        band: usize,
        sifted: &mut Sifted,
    ) -> Option<u64> {
        loop {
            let log = self.bands.at_mut(band);
            if sifted.closed_at.is_some() {
                return sifted.closed_at;
            }
            if sifted.is_full(sieve) {
                return Some(log.lines.at(sieve.group).sequence);
            }
            let mut left = (sieve.messages_max - sifted.count)
                .min(MOVES_LOOKED_AT_MAX - sifted.looked_at)
                .min((sieve.pieces_max - sifted.pieces.len()) as u32);
            if self.keys.is_some() {
                left = left.min(self.groups.at(sieve.group).keys.room());
            }
            let log = self.bands.at_mut(band);
            if left == 0 {
                // What it waits for may be in another band.
                sifted.held_up |= log.next_sequence() > log.lines.at(sieve.group).sequence;
                return None;
            }
            let piece = log.next_ahead(segments, sieve.group, (left, u32::MAX), true)?;
            sifted.looked_at += piece.count;
            for piece in self.free_ones(segments, sieve, piece, &mut sifted.expired) {
                self.sift_piece(segments, sieve, band, piece, sifted);
            }
        }
    }

    /// What of an unseen piece could be delivered: what has not expired and whose keys are free.
    fn free_ones(
        &mut self,
        segments: &Segments,
        sieve: &Sieve<'_>,
        piece: Piece,
        dead: &mut Vec<Piece>,
    ) -> Vec<Piece> {
        let mut fresh = Vec::new();
        if self.is_mortal() {
            self.cull(segments, piece, sieve.now, |piece, expired| match expired {
                true => dead.push(piece),
                false => fresh.push(piece),
            });
        } else {
            fresh.push(piece);
        }
        if self.keys.is_none() {
            return fresh;
        }
        let (mut free, states) = (Vec::new(), &mut self.groups.at_mut(sieve.group).keys);
        for piece in fresh {
            Queue::claim_keys(states, segments, piece, |piece| free.push(piece));
        }
        free
    }

    /// Takes out what passes of messages that the group has just seen; the others are first in
    /// line.
    fn sift_piece(
        &mut self,
        segments: &Segments,
        sieve: &Sieve<'_>,
        band: usize,
        mut rest: Piece,
        sifted: &mut Sifted,
    ) {
        debug_assert!(band < SCHEDULED);
        let segment = &segments[rest.segment];
        let line = self.bands.at_mut(band).lines.at_mut(sieve.group);
        let mut left_out = 0;
        let mut start = rest;
        while rest.count > 0 {
            let one = rest.split_front(1, segment.span(rest.offset, 1));
            if sifted.closed_at.is_none()
                && matches(segments, sieve, &one)
                && sifted.add(sieve, one)
            {
                if left_out > 0 {
                    line.give_back(start.split_front(left_out, one.offset - start.offset));
                }
                (start, left_out) = (rest, 0);
            } else {
                left_out += 1;
                sifted.passed += 1;
            }
        }
        if left_out > 0 {
            line.give_back(start);
        }
    }
}

/// Whether the filter lets a message through.
fn matches(segments: &Segments, sieve: &Sieve<'_>, piece: &Piece) -> bool {
    if sieve.filter.is_none() {
        return true;
    }
    let bytes = segments[piece.segment].records(piece.offset, piece.bytes);
    let (record, _) = record::first(bytes).expect("a stored record is whole");
    passes(sieve.filter, &record)
}
