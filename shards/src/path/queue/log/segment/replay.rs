//! What of a segment is done and kept: erased in the end, or brought back for a group that is made
//! later.

use ringway_protocol::{Record, record};

use super::Segment;
use crate::path::queue::keys::NO_KEY;

/// Messages and the bytes of their records.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Amount {
    pub messages: u64,
    pub bytes: u64,
}

/// What becomes of a kept message that a new group would get.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Revival {
    /// It is back, with this slot of its key.
    Back(u32),
    /// Its time is over.
    Erased,
}

impl Segment {
    /// Keeps what goes from now on.
    pub fn begin_keeping(&mut self) {
        self.done.begin_keeping();
    }

    /// Keeps nothing from now on; says what was kept.
    pub fn stop_keeping(&mut self) -> Amount {
        self.done.stop_keeping();
        self.take_kept()
    }

    /// Erases everything that is kept; says what that was.
    pub fn erase_kept(&mut self) -> Amount {
        if self.kept > 0 {
            self.done.begin_keeping();
        }
        self.take_kept()
    }

    fn take_kept(&mut self) -> Amount {
        let (messages, bytes) = (self.kept.into(), self.kept_bytes.into());
        (self.kept, self.kept_bytes) = (0, 0);
        Amount { messages, bytes }
    }

    /// Erases some messages as far as they are gone; says what was kept of them.
    pub fn erase(&mut self, sequence: u64, count: u32) -> Amount {
        let first = self.index(sequence);
        let mut erased = Amount::default();
        self.visit_kept(first, first + count, |segment, index, offset| {
            let bytes = segment.span(offset, 1);
            segment.done.erase(index);
            segment.kept -= 1;
            segment.kept_bytes -= bytes;
            erased.messages += 1;
            erased.bytes += u64::from(bytes);
        });
        erased
    }

    /// Brings back what is kept from an index on, as `look` decides by a message's time of arrival
    /// and its record. Says what came back, and what was erased.
    pub fn revive(
        &mut self,
        from: u32,
        mut look: impl FnMut(u64, Record<'_>) -> Revival,
    ) -> (Amount, Amount) {
        let (mut back, mut erased) = (Amount::default(), Amount::default());
        self.visit_kept(from, self.messages, |segment, index, offset| {
            let bytes = segment.span(offset, 1);
            let (record, _) = record::first(segment.records(offset, bytes)).expect("a record");
            let revival = look(segment.stamps.at_ms(index), record);
            segment.kept -= 1;
            segment.kept_bytes -= bytes;
            let amount = match revival {
                Revival::Back(key) => {
                    segment.done.revive(index);
                    segment.live += 1;
                    segment.live_bytes += bytes;
                    segment.revived += 1;
                    segment.set_key(index, key);
                    &mut back
                }
                Revival::Erased => {
                    segment.done.erase(index);
                    &mut erased
                }
            };
            amount.messages += 1;
            amount.bytes += u64::from(bytes);
        });
        self.revived_counted = self.revived;
        (back, erased)
    }

    /// How many messages that a replay brought back are gone since they were counted last.
    pub fn count_ended_revivals(&mut self) -> u64 {
        let before = std::mem::replace(&mut self.revived_counted, self.revived);
        u64::from(before - self.revived)
    }

    /// Visits the messages of a stretch that are kept, with their offsets.
    fn visit_kept(&mut self, first: u32, end: u32, mut visit: impl FnMut(&mut Self, u32, u32)) {
        let mut known = None;
        for index in first..end {
            if !self.done.is_kept(index) {
                continue;
            }
            let sequence = self.first_sequence + u64::from(index);
            let offset = match known {
                Some(known) => self.seek(known, sequence),
                None => self.offset_of(sequence),
            };
            known = Some((sequence, offset));
            visit(self, index, offset);
        }
    }

    fn set_key(&mut self, index: u32, key: u32) {
        let index = index as usize;
        if self.keys.len() <= index && key != NO_KEY {
            self.keys.resize(index + 1, NO_KEY);
        }
        if let Some(slot) = self.keys.get_mut(index) {
            *slot = key;
        }
    }
}
