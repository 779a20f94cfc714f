//! Messages that nobody could use move to their queue's dead-letter queue, with the reason.
//!
//! The dead-letter queue is a plain queue of the same shard. A dead letter is the message's own
//! record with headers in front of its attributes, which say why, how often, where and when; see
//! [`Letter`]. If the dead-letter queue refuses it, the refusal is counted and the message comes
//! back later: it is never lost.

use ringway_protocol::request::Put;
use ringway_protocol::{QueueId, Records, Rejection};

use super::piece::Piece;
use super::{Store, Stored};
use crate::world::Now;

mod letter;

use self::letter::Letter;
pub(super) use self::letter::{LETTER_HEADERS, Reason};

impl Store {
    /// A part of a spread queue that has made dead letters for itself.
    pub fn next_letters_alone(&mut self) -> Option<QueueId> {
        self.letters_alone.pop()
    }

    /// Makes dead letters of a group's messages, one by one, that are in no lease and not ready any
    /// more. `claimed` says that their keys are busy for them. Those that are refused come back.
    #[cold]
    pub(super) fn bury(
        &mut self,
        (slot, group): (u32, usize),
        mut piece: Piece,
        (reason, claimed): (Reason, bool),
        now: Now,
    ) {
        let mut refused: Option<Piece> = None;
        while piece.count > 0 {
            let message = piece.split_front(1, self.segments[piece.segment].span(piece.offset, 1));
            if self.send_letters(slot, &[group], &message, reason, now).is_ok() {
                if reason == Reason::Expired {
                    self.catalog.at_mut(slot).groups.at_mut(group).counters.expired += 1;
                    self.let_die((slot, group), &message, claimed);
                } else {
                    self.finish((slot, group), &message, claimed);
                }
            } else if !refused.as_mut().is_some_and(|before| before.join(&message)) {
                let before = refused.replace(message);
                before.into_iter().for_each(|piece| {
                    self.try_again((slot, group), piece, claimed, now);
                });
            }
        }
        if let Some(piece) = refused {
            self.try_again((slot, group), piece, claimed, now);
        }
    }

    /// Puts a copy of a message for each of some groups into the dead-letter queue, all of them or
    /// none. A refusal is counted.
    pub(super) fn send_letters(
        &mut self,
        slot: u32,
        groups: &[usize],
        message: &Piece,
        reason: Reason,
        now: Now,
    ) -> Result<(), Rejection> {
        let mut letters = std::mem::take(&mut self.letter);
        letters.clear();
        let segment = &self.segments[message.segment];
        let record = segment.records(message.offset, message.bytes);
        let queue = self.catalog.at(slot);
        for group in groups {
            let group = queue.groups.at(*group).name();
            let put_ms = segment.put_at_ms(message.sequence);
            Letter { reason, queue: queue.name.as_str(), group, message, put_ms, now }
                .write(record, &mut letters);
        }
        let outcome = self.put_letters(slot, (&letters, groups.len() as u32), now);
        self.letter = letters;
        for group in groups {
            let counters = &mut self.catalog.at_mut(slot).groups.at_mut(*group).counters;
            match outcome {
                Ok(()) => counters.dead_lettered += 1,
                Err(_) => counters.dead_letters_refused += 1,
            }
        }
        outcome
    }

    /// Puts dead letters of the queue in `slot`. A refusal is counted where it happened.
    fn put_letters(
        &mut self,
        slot: u32,
        (letters, count): (&[u8], u32),
        now: Now,
    ) -> Result<(), Rejection> {
        let queue = self.catalog.at(slot);
        let id = match queue.dead_letters.filter(|id| self.catalog.get(*id).is_ok()) {
            Some(id) => id,
            None => self.declare_dead_letters(slot)?,
        };
        let records = Records::parse(letters, count).inspect_err(|_| {
            debug_assert!(false, "a dead letter is a valid record");
        })?;
        self.put_at_once(&Put::new(id, records), now, &mut Stored::new())
    }

    fn declare_dead_letters(&mut self, slot: u32) -> Result<QueueId, Rejection> {
        let queue = self.catalog.at(slot);
        let (part, id, name) = (queue.bands.part_number(), queue.id, queue.name.dead_letter());
        let name = name.as_ref().map_or("", |name| name.as_str());
        let (letters, made) = self.declare_part(name, None, part)?;
        if made && part > 0 {
            // Nobody finds them yet: they are a part, and the name leads to the first one.
            self.letters_alone.push(id);
        }
        self.catalog.at_mut(slot).dead_letters = Some(letters);
        Ok(letters)
    }
}
