//! What becomes of the records of a batch, worked out before any of them is stored: into which log
//! each goes, which were put before, what each log gets.

use ringway_protocol::record::record_bytes;
use ringway_protocol::{Record, Records, Tags};

use super::dedup::{Batch, Stretch};
use crate::path::queue::catalog::Queue;
use crate::path::queue::keys::NO_KEY;
use crate::path::queue::log::bands::{LOGS, SCHEDULED};
use crate::path::queue::time::mortality::lifetime_ms;
use crate::world::Now;

/// What becomes of one record of a batch.
#[derive(Clone, Copy, Debug)]
pub(in crate::path::queue) enum Fate {
    /// It is stored in this band, or in the scheduled log.
    Band(usize),
    /// It was stored before, with this sequence.
    Known(u64),
    /// An earlier record of the batch, by its index, has the same deduplication id.
    SameAs(usize),
}

/// Records for one log, gathered from a batch: their bytes and the slots of their keys.
#[derive(Debug, Default)]
pub(in crate::path::queue) struct Part {
    pub bytes: Vec<u8>,
    pub count: u32,
    pub keys: Vec<u32>,
    /// When each is due: the monotonic clock's nanoseconds, and whether the wall clock decides.
    pub due: Vec<(u64, bool)>,
    /// The index in this part and the lifetime in milliseconds of those that expire by themselves.
    pub mortal: Vec<(u32, u64)>,
}

impl Part {
    fn clear(&mut self) {
        self.bytes.clear();
        self.count = 0;
        self.keys.clear();
        self.due.clear();
        self.mortal.clear();
    }
}

/// Room for the work on one batch, used again for the next.
#[derive(Debug, Default)]
pub(in crate::path::queue) struct Desk {
    pub fates: Vec<Fate>,
    /// The log to which all records go, as they came.
    pub together: Option<usize>,
    pub parts: [Part; LOGS],
    /// Where each part begins once it is stored.
    pub firsts: [u64; LOGS],
    pub ids: Batch,
    pub sequences: Vec<u64>,
    pub answer: Vec<Stretch>,
}

impl Desk {
    /// How many records of a batch are no repeats, and their bytes.
    pub fn new_messages(&self, records: Records<'_>) -> (u64, u64) {
        if self.together.is_some() {
            return (records.count().into(), records.as_bytes().len() as u64);
        }
        let (mut rest, mut new, mut bytes) = (records.as_bytes(), 0, 0);
        for fate in &self.fates {
            let length = record_bytes(rest);
            if matches!(fate, Fate::Band(_)) {
                (new, bytes) = (new + 1, bytes + length as u64);
            }
            rest = &rest[length..];
        }
        (new, bytes)
    }
}

impl Queue {
    /// Gives each record its fate.
    pub fn decide(&mut self, records: Records<'_>, now: Now, desk: &mut Desk) {
        desk.fates.clear();
        desk.ids.clear();
        let (tags, known) = (records.tags(), self.options.dedup_ms > 0);
        desk.together = Some(0);
        if !tags.meets(Tags::SCATTERING) {
            return;
        }
        let named = known && tags.meets(Tags::DEDUPLICATION);
        let window = named.then(|| &self.memory().window);
        if let Some(window) = window {
            desk.ids.read(records, window);
        }
        let elsewhere = tags.meets(Tags::DELAY | Tags::AT | Tags::PRIORITY);
        let mut rest = records.iter();
        for index in 0..records.count() as usize {
            let mut fate = Fate::Band(0);
            if elsewhere && let Some(record) = rest.next() {
                let traits = record.traits();
                let later = traits.delay_ms > 0 || traits.at_ms > now.wall_ms;
                fate = Fate::Band(if later { SCHEDULED } else { traits.priority.into() });
            }
            if let Some(window) = window
                && let Some(digest) = desk.ids.digest(index)
            {
                if let Some(sequence) = window.find(digest, now.ms()) {
                    fate = Fate::Known(sequence);
                } else if let Some(first) = desk.ids.earlier(index, digest) {
                    fate = Fate::SameAs(first);
                }
            }
            desk.fates.push(fate);
        }
        let alike = |band: usize| {
            desk.fates.iter().all(|fate| matches!(fate, Fate::Band(it) if *it == band))
        };
        desk.together = match desk.fates.first() {
            Some(Fate::Band(band)) if alike(*band) => Some(*band),
            _ => None,
        };
    }

    /// Gathers the records of each log.
    pub fn gather(&mut self, records: Records<'_>, now: Now, desk: &mut Desk) {
        desk.parts.iter_mut().for_each(Part::clear);
        if let Some(band) = desk.together {
            let part = &mut desk.parts[band];
            // Its bytes are the put's own.
            part.count = records.count();
            if band == SCHEDULED {
                part.due.extend(records.iter().map(|record| due(&record, now)));
            } else if records.tags().meets(Tags::KEY | Tags::TIME_TO_LIVE) {
                for (index, record) in records.iter().enumerate() {
                    self.note_traits(part, index as u32, record);
                }
            }
            return;
        }
        let mut rest = records.as_bytes();
        for (record, fate) in records.iter().zip(&desk.fates) {
            let (bytes, after) = rest.split_at(record_bytes(rest));
            rest = after;
            let Fate::Band(band) = fate else { continue };
            let part = &mut desk.parts[*band];
            part.bytes.extend_from_slice(bytes);
            if *band == SCHEDULED {
                part.due.push(due(&record, now));
            } else {
                self.note_traits(part, part.count, record);
            }
            part.count += 1;
        }
    }

    fn note_traits(&mut self, part: &mut Part, index: u32, record: Record<'_>) {
        let traits = record.traits();
        if let Some(key) = traits.key {
            part.keys.resize(index as usize, NO_KEY);
            part.keys.push(self.keys().hold(key));
        } else if !part.keys.is_empty() {
            part.keys.push(NO_KEY);
        }
        if let Some(ttl_ms) = lifetime_ms(0, traits.ttl_ms) {
            part.mortal.push((index, ttl_ms));
        }
    }
}

/// When a record is due, on the monotonic clock, and whether the wall clock decides.
pub(in crate::path::queue) fn due(record: &Record<'_>, now: Now) -> (u64, bool) {
    let traits = record.traits();
    let at = traits.at_ms > 0;
    let after_ms = if at { traits.at_ms.saturating_sub(now.wall_ms) } else { traits.delay_ms };
    (now.ns.saturating_add(after_ms.saturating_mul(1_000_000)), at)
}
