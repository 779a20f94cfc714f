//! Messages that were delivered too often move to their queue's dead-letter queue, with the reason.
//!
//! The dead-letter queue is a plain queue of the same shard. A dead letter is the message's own
//! record with headers in front of its attributes: `ringway-reason`, `ringway-deliveries`,
//! `ringway-queue`, `ringway-sequence`, as text, as many as the limit on attributes leaves room
//! for. If the dead-letter queue refuses it, the message is ready again and the refusal is counted.

use ringway_protocol::limits::{ATTRIBUTES_BYTES_MAX, DEAD_LETTER_BYTES_MAX};
use ringway_protocol::record::{RECORD_HEADER_BYTES, record_bytes};
use ringway_protocol::request::Put;
use ringway_protocol::{Attribute, QueueId, Records, Rejection};

use super::piece::Piece;
use super::{Store, Stored};
use crate::world::Now;

/// Why a message became a dead letter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Reason {
    /// It was delivered as often as it may be.
    Deliveries,
    /// Its time to live was over.
    Expired,
}

impl Reason {
    fn as_str(self) -> &'static str {
        match self {
            Reason::Deliveries => "deliveries",
            Reason::Expired => "expired",
        }
    }
}

impl Store {
    /// Moves messages that a group leased to the dead-letter queue, one by one; those it refuses
    /// become ready again.
    #[cold]
    pub(super) fn bury(&mut self, (slot, holder): (u32, usize), mut piece: Piece, now: Now) {
        while piece.count > 0 {
            let bytes = self.segments[piece.segment].span(piece.offset, 1);
            let message = piece.split_front(1, bytes);
            let outcome = self.send_letter((slot, holder), &message, Reason::Deliveries, now);
            let queue = self.catalog.at_mut(slot);
            queue.groups.at_mut(holder).leased -= 1;
            match outcome {
                Ok(()) => {
                    let before = queue.bands.live();
                    queue.settle(&mut self.segments, holder, &message, true);
                    self.messages -= before - queue.bands.live();
                }
                Err(_) => {
                    let log = queue.bands.of_mut(message.sequence);
                    log.lines.at_mut(holder).give_back(message);
                }
            }
        }
    }

    /// Puts a copy of a group's message into the dead-letter queue. A refusal is counted.
    pub(super) fn send_letter(
        &mut self,
        (slot, group): (u32, usize),
        message: &Piece,
        reason: Reason,
        now: Now,
    ) -> Result<(), Rejection> {
        let mut record = std::mem::take(&mut self.record);
        let mut letter = std::mem::take(&mut self.letter);
        record.clear();
        let segment = &self.segments[message.segment];
        record.extend_from_slice(segment.records(message.offset, message.bytes));
        let queue = self.catalog.at_mut(slot);
        write_letter(&record, queue.name.as_str(), message, reason, &mut letter);
        let outcome = self.put_letter(slot, &letter, now);
        (self.record, self.letter) = (record, letter);
        let counters = &mut self.catalog.at_mut(slot).groups.at_mut(group).counters;
        match outcome {
            Ok(()) => counters.dead_lettered += 1,
            Err(_) => counters.dead_letters_refused += 1,
        }
        outcome
    }

    /// Puts a dead letter of the queue in `slot`. A refusal is counted where it happened.
    fn put_letter(&mut self, slot: u32, letter: &[u8], now: Now) -> Result<(), Rejection> {
        let queue = self.catalog.at_mut(slot);
        let known = queue.dead_letters;
        let name = queue.name.dead_letter();
        let id = match known.filter(|id| self.catalog.get(*id).is_ok()) {
            Some(id) => id,
            None => {
                self.declare_dead_letters(slot, name.as_ref().map_or("", |name| name.as_str()))?
            }
        };
        let records = Records::parse(letter, 1).inspect_err(|_| {
            debug_assert!(false, "a dead letter is a valid record");
        })?;
        self.put_at_once(&Put::new(id, records), now, &mut Stored::new())
    }

    fn declare_dead_letters(&mut self, slot: u32, name: &str) -> Result<QueueId, Rejection> {
        let declared = self.declare(name, None);
        let queue = self.catalog.at_mut(slot);
        match declared {
            Ok((id, _)) => {
                queue.dead_letters = Some(id);
                Ok(id)
            }
            Err(rejection) => {
                queue.counters.refused += 1;
                Err(rejection)
            }
        }
    }
}

/// Writes a record again with headers in front of its attributes, as many as fit the limit.
fn write_letter(record: &[u8], queue: &str, message: &Piece, reason: Reason, letter: &mut Vec<u8>) {
    debug_assert_eq!(record_bytes(record), record.len());
    let own = usize::from(u16::from_le_bytes([record[4], record[5]]));
    letter.clear();
    letter.extend_from_slice(&record[..RECORD_HEADER_BYTES]);
    let (deliveries, sequence) = (message.deliveries.to_string(), message.sequence.to_string());
    for (name, value) in [
        ("ringway-reason", reason.as_str()),
        ("ringway-deliveries", &deliveries),
        ("ringway-queue", queue),
        ("ringway-sequence", &sequence),
    ] {
        let before = letter.len();
        Attribute::Header { name, value: value.as_bytes() }.encode(letter);
        let attributes = letter.len() - RECORD_HEADER_BYTES + own;
        if attributes > ATTRIBUTES_BYTES_MAX + DEAD_LETTER_BYTES_MAX {
            letter.truncate(before);
        }
    }
    let attributes = letter.len() - RECORD_HEADER_BYTES + own;
    letter.extend_from_slice(&record[RECORD_HEADER_BYTES..]);
    let length = (letter.len() - RECORD_HEADER_BYTES) as u32;
    letter[..4].copy_from_slice(&length.to_le_bytes());
    letter[4..6].copy_from_slice(&(attributes as u16).to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringway_protocol::record;

    #[test]
    fn a_message_full_of_attributes_keeps_them_and_gets_the_four_headers() {
        let value = [7; 1000];
        let own: Vec<_> = (0..4).map(|_| Attribute::Header { name: "x", value: &value }).collect();
        let (mut message, mut letter) = (Vec::new(), Vec::new());
        record::write(&mut message, &own, b"payload");
        let queue = "q".repeat(250);
        let (sequence, deliveries) = (u64::MAX, u32::MAX);
        let piece = Piece { sequence, segment: 0, offset: 0, bytes: 0, count: 1, deliveries };
        write_letter(&message, &queue, &piece, Reason::Deliveries, &mut letter);
        let records = Records::parse(&letter, 1).expect("a valid record");
        let record = records.iter().next().expect("one record");
        assert_eq!(record.payload, b"payload");
        assert_eq!(record.attributes().count(), 8);
    }
}
