//! What a queue with keys does more when messages come, are delivered and go.

use crate::path::queue::catalog::Queue;
use crate::path::queue::keys::{KeyStates, Keys, NO_KEY};
use crate::path::queue::log::piece::Piece;
use crate::path::queue::log::segments::Segments;
use crate::path::queue::rarely::Rarely;

impl Queue {
    /// A group is done with messages. `claimed` says that their keys are busy for them: they were
    /// leased or given back.
    #[inline(always)]
    pub fn settle(&mut self, segments: &mut Segments, group: usize, piece: &Piece, claimed: bool) {
        self.finish(segments, group, piece, claimed);
        self.trim_kept(segments);
    }

    /// The same, for messages that are not to be kept.
    pub fn drop_for(
        &mut self,
        segments: &mut Segments,
        group: usize,
        piece: &Piece,
        claimed: bool,
    ) {
        self.finish(segments, group, piece, claimed);
        self.bands.of_mut(piece.sequence).erase(segments, piece);
        self.trim_kept(segments);
    }

    #[inline(always)]
    fn finish(&mut self, segments: &mut Segments, group: usize, piece: &Piece, claimed: bool) {
        if self.keys.is_some() {
            self.let_go(segments, group, piece, claimed);
        }
        self.bands.of_mut(piece.sequence).settle(segments, piece);
        if !self.bands.is_single() {
            self.bands.shrink(segments);
        }
    }

    /// Frees the keys of messages that a group is done with.
    fn let_go(&mut self, segments: &Segments, group: usize, piece: &Piece, claimed: bool) {
        let segment = &segments[piece.segment];
        let from = segment.index(piece.sequence);
        let lines = &self.bands.of_mut(piece.sequence).lines;
        let several = lines.active > 1 || segment.done.is_shared();
        let keys = self.keys.as_deref_mut().expect("the queue has keys");
        for (index, slot) in (from..).zip(segment.keys(from, piece.count)) {
            if *slot == NO_KEY {
                continue;
            }
            let states = &mut self.groups.at_mut(group).keys;
            if claimed && let Some(next) = states.release(*slot) {
                // The next of a key may lie in another band.
                self.bands.of_mut(next.sequence).lines.at_mut(group).give_back(next);
            }
            let sequence = segment.first_sequence + u64::from(index);
            let last = !several
                || match segment.done.is_shared() {
                    true => segment.done.left(index) == 1,
                    false => self.bands.of_mut(sequence).lines.needing(sequence) == 1,
                };
            if last {
                keys.let_go(*slot);
            }
        }
    }

    /// Delivers of a fresh piece what its keys allow, and sets the rest aside.
    pub fn claim_keys(
        states: &mut KeyStates,
        segments: &Segments,
        piece: Piece,
        mut deliver: impl FnMut(Piece),
    ) {
        let segment = &segments[piece.segment];
        let slots = segment.keys(segment.index(piece.sequence), piece.count);
        let (mut rest, mut run) = (piece, 0);
        for slot in slots {
            if *slot == NO_KEY || states.claim(*slot) {
                run += 1;
                continue;
            }
            if run > 0 {
                deliver(rest.split_front(run, segment.span(rest.offset, run)));
                run = 0;
            }
            let one = rest.split_front(1, segment.span(rest.offset, 1));
            states.set_aside(*slot, one);
        }
        if rest.count > 0 {
            deliver(rest);
        }
    }

    /// A queue that holds nothing forgets what only cost it: tables of very many keys, and that it
    /// had messages with times to live of their own.
    #[inline]
    pub fn rest(&mut self) {
        let many = self.keys.as_deref().is_some_and(Keys::are_many);
        if (many || self.mortal) && self.bands.live() == 0 && self.bands.kept().messages == 0 {
            self.mortal = false;
            if many {
                self.keys = None;
                for group in 0..self.groups.places() {
                    if self.groups.get(group).is_some() {
                        self.groups.at_mut(group).keys = Rarely::new();
                    }
                }
            }
        }
    }

    /// Forgets what a group has set aside: it is done with it. It may be `kept` for groups to
    /// come.
    pub fn drain_blocked(&mut self, segments: &mut Segments, group: usize, kept: bool) -> u64 {
        if self.keys.is_none() {
            return 0;
        }
        let mut states = std::mem::take(&mut self.groups.at_mut(group).keys);
        let count = u64::from(states.count);
        states.drain(|piece| match kept {
            true => self.settle(segments, group, &piece, false),
            false => self.drop_for(segments, group, &piece, false),
        });
        self.groups.at_mut(group).keys = states;
        count
    }
}
