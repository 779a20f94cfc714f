//! A put that asks for more than the end of the line: messages with keys, priorities, delays, times
//! to live or deduplication ids, producers that number their messages.
//!
//! Each record gets its fate first; then the batch is checked against the queue's bounds as a
//! whole, and only then is anything stored. What a put without any of this costs is in `bounds`.

use ringway_protocol::record::record_bytes;
use ringway_protocol::reply::PutOutcome;
use ringway_protocol::request::{Producer, Put};
use ringway_protocol::{Code, QueueId, Record, Records, Rejection, Tags};

use super::Store;
use super::Stored;
use super::bands::{LOGS, SCHEDULED};
use super::bounds::make_room;
use super::catalog::Queue;
use super::dedup::{Batch, Seen, Stretch};
use super::keys::NO_KEY;
use super::mortality::lifetime_ms;
use crate::world::Now;

const PAUSED: Rejection =
    Rejection::new(Code::Paused, "puts to the queue are paused: resume it, or try again later");

/// What becomes of one record of a batch.
#[derive(Clone, Copy, Debug)]
enum Fate {
    /// It is stored in this band, or in the scheduled log.
    Band(usize),
    /// It was stored before, with this sequence.
    Known(u64),
    /// An earlier record of the batch, by its index, has the same deduplication id.
    SameAs(usize),
}

/// Records for one log, gathered from a batch: their bytes and the slots of their keys.
#[derive(Debug, Default)]
struct Part {
    bytes: Vec<u8>,
    count: u32,
    keys: Vec<u32>,
    /// When each is due: the monotonic clock's nanoseconds, and whether the wall clock decides.
    due: Vec<(u64, bool)>,
    /// The index in this part and the lifetime in milliseconds of those that expire by themselves.
    mortal: Vec<(u32, u64)>,
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
pub(super) struct Desk {
    fates: Vec<Fate>,
    /// Whether all records go to the first log, as they came.
    together: bool,
    parts: [Part; LOGS],
    /// Where each part begins once it is stored.
    firsts: [u64; LOGS],
    ids: Batch,
    sequences: Vec<u64>,
    answer: Vec<Stretch>,
}

impl Desk {
    /// How many records of a batch are no repeats, and their bytes.
    fn new_messages(&self, records: Records<'_>) -> (u64, u64) {
        if self.together {
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

impl Store {
    /// Puts a batch that the short way does not know.
    #[cold]
    pub(super) fn put_carefully(
        &mut self,
        put: &Put<'_>,
        first: bool,
        now: Now,
        stored: &mut Stored,
    ) -> Result<(), Rejection> {
        let mut desk = self.desk.take().unwrap_or_default();
        let outcome = self.admit(put, first, now, &mut desk, stored);
        self.desk = Some(desk);
        outcome
    }

    fn admit(
        &mut self,
        put: &Put<'_>,
        first: bool,
        now: Now,
        desk: &mut Desk,
        stored: &mut Stored,
    ) -> Result<(), Rejection> {
        let queue = self.catalog.get_mut(put.queue)?;
        if queue.pause.puts {
            return Err(PAUSED);
        }
        if let Some(producer) = put.producer
            && queue.repeat(producer, put.records.count(), now, &mut desk.answer)?
        {
            stored.repeat(&desk.answer);
            queue.counters.duplicates += u64::from(put.records.count());
            return Ok(());
        }
        if queue.line.puts > 0 && !first {
            return Err(queue.behind_line(put));
        }
        queue.rest();
        queue.decide(put.records, now, desk);
        if queue.quotas != 0 {
            let (new, bytes) = desk.new_messages(put.records);
            if new > 0 {
                self.check_quotas(put.queue, new, bytes)?;
            }
        }
        let queue = self.catalog.get_mut(put.queue)?;
        queue.gather(put.records, now, desk);
        self.store_parts(put, now, desk)?;
        self.answer_parts(put, now, desk, stored)
    }

    /// Stores what was gathered, all of it or nothing.
    fn store_parts(&mut self, put: &Put<'_>, now: Now, desk: &mut Desk) -> Result<(), Rejection> {
        let (id, mut wanted) = (put.queue, [const { None }; LOGS]);
        for (part, wanted) in desk.parts.iter().zip(&mut wanted).filter(|(part, _)| part.count > 0)
        {
            *wanted = Some(match part.bytes.is_empty() {
                true => put.records,
                false => Records::parse(&part.bytes, part.count)?,
            });
        }
        if wanted.iter().all(Option::is_none) {
            // Repeats need no room, even where the queue holds more than it may by now.
            return Ok(());
        }
        let queue = self.catalog.get_mut(id)?;
        let before = queue.bands.live();
        let sizes = make_room(queue, &mut self.segments, &wanted);
        self.messages = self.messages + queue.bands.live() - before;
        let sizes = sizes.inspect_err(|_| queue.let_keys_go(&desk.parts))?;
        let mut added = 0;
        for (band, records) in wanted.iter().enumerate() {
            let Some(records) = records else { continue };
            added += u64::from(records.count());
            desk.firsts[band] = queue.bands.make(band).next_sequence();
            queue.append(&mut self.segments, (band, sizes[band]), *records, now);
        }
        queue.counters.puts += added;
        self.messages += added;
        queue.puts.add(now.ns, added as u32);
        for (band, part) in desk.parts.iter().enumerate().filter(|(_, part)| part.count > 0) {
            self.follow_up(id, band, part, now);
        }
        self.watch_lifetimes(id.slot() as u32, now);
        self.watch_kept(id.slot() as u32, now);
        self.stir(id, now.ns);
        let queue = self.catalog.get_mut(id)?;
        queue.check();
        if queue.groups.wait() {
            self.offer_all(id);
        }
        Ok(())
    }

    /// Keys, deadlines and due times of messages that were just stored.
    fn follow_up(&mut self, id: QueueId, band: usize, part: &Part, now: Now) {
        let Self { catalog, segments, schedule, .. } = self;
        let Ok(queue) = catalog.get_mut(id) else { return };
        let log = queue.bands.at_mut(band);
        log.label(segments, &part.keys);
        if band == SCHEDULED {
            let mut due = part.due.iter();
            log.visit_newest(segments, part.count, |segments, spot| {
                let (due_ns, at) = due.next().expect("a scheduled message is due some time");
                schedule.insert(*due_ns, *at, segments.note_entry(spot));
            });
        }
        if !part.mortal.is_empty() {
            queue.mortal = true;
            let log = queue.bands.at(band);
            let (mut index, mut mortal) = (0, part.mortal.iter().peekable());
            log.visit_newest(segments, part.count, |segments, spot| {
                if let Some((_, ttl_ms)) = mortal.next_if(|(at, _)| *at == index) {
                    let due_ns = now.ns.saturating_add(ttl_ms * 1_000_000);
                    schedule.insert_expiry(due_ns, segments.note_entry(spot));
                }
                index += 1;
            });
        }
    }

    /// Says where everything went, and remembers it for repeats.
    fn answer_parts(
        &mut self,
        put: &Put<'_>,
        now: Now,
        desk: &mut Desk,
        stored: &mut Stored,
    ) -> Result<(), Rejection> {
        let queue = self.catalog.get_mut(put.queue)?;
        if desk.together {
            let (first, count) = (desk.firsts[0], put.records.count());
            stored.set_whole(first, count);
            queue.remember_ids(&desk.ids, first, now);
        } else {
            queue.answer_each(desk, stored, now);
        }
        if let Some(producer) = put.producer.filter(|_| queue.options.dedup_ms > 0) {
            desk.answer.clear();
            desk.answer.extend(stored.stretches());
            let count = put.records.count();
            let memory = queue.memory();
            memory.producers.record(producer.id, producer.sequence, count, &desk.answer, now.ms());
        }
        self.watch_memory(put.queue.slot() as u32);
        Ok(())
    }
}

impl Queue {
    /// Whether a producer's batch was stored before; then its answer is in `answer`.
    fn repeat(
        &mut self,
        producer: Producer,
        count: u32,
        now: Now,
        answer: &mut Vec<Stretch>,
    ) -> Result<bool, Rejection> {
        if self.options.dedup_ms == 0 {
            return Ok(false);
        }
        let producers = &self.memory().producers;
        match producers.look(producer.id, producer.sequence, count, now.ms(), answer) {
            Seen::New => Ok(false),
            Seen::Repeat => Ok(true),
            Seen::OutOfWindow => Err(Rejection::new(
                Code::OutOfWindow,
                "the producer's sequence is older than what the queue remembers",
            )),
            Seen::Overlaps => Err(Rejection::new(
                Code::Conflict,
                "the producer has used some of these sequences for another batch: go on after them",
            )),
        }
    }

    /// Gives each record its fate.
    fn decide(&mut self, records: Records<'_>, now: Now, desk: &mut Desk) {
        desk.fates.clear();
        desk.ids.clear();
        let (tags, known) = (records.tags(), self.options.dedup_ms > 0);
        desk.together = !tags.meets(Tags::SCATTERING);
        if desk.together {
            return;
        }
        let named = known && tags.meets(Tags::DEDUPLICATION);
        let window = named.then(|| &self.memory().window);
        if let Some(window) = window {
            desk.ids.read(records, window);
        }
        desk.together = true;
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
            desk.together &= matches!(fate, Fate::Band(0));
            desk.fates.push(fate);
        }
    }

    /// Remembers the ids of a batch that was stored as it came.
    fn remember_ids(&mut self, ids: &Batch, first: u64, now: Now) {
        if ids.is_empty() {
            return;
        }
        let window = &mut self.memory().window;
        for (sequence, digest) in (first..).zip(ids.digests()) {
            if let Some(digest) = digest {
                window.insert(*digest, sequence, now.ms());
            }
        }
    }

    /// Says where each record went, and remembers the ids of those that are new.
    fn answer_each(&mut self, desk: &mut Desk, stored: &mut Stored, now: Now) {
        let mut next = desk.firsts;
        desk.sequences.clear();
        stored.clear();
        for (index, fate) in desk.fates.iter().enumerate() {
            let (sequence, outcome) = match *fate {
                Fate::Band(band) => {
                    let sequence = next[band];
                    next[band] += 1;
                    let scheduled = band == SCHEDULED;
                    (sequence, if scheduled { PutOutcome::Scheduled } else { PutOutcome::Stored })
                }
                Fate::Known(sequence) => (sequence, PutOutcome::Duplicate),
                Fate::SameAs(first) => (desk.sequences[first], PutOutcome::Duplicate),
            };
            desk.sequences.push(sequence);
            stored.add(sequence, outcome);
            self.counters.duplicates += u64::from(outcome == PutOutcome::Duplicate);
            if let (Fate::Band(_), Some(digest)) = (fate, desk.ids.digest(index)) {
                self.memory().window.insert(digest, sequence, now.ms());
            }
        }
        stored.finish();
    }

    /// Gathers the records of each log.
    fn gather(&mut self, records: Records<'_>, now: Now, desk: &mut Desk) {
        desk.parts.iter_mut().for_each(Part::clear);
        if desk.together {
            let part = &mut desk.parts[0];
            // Its bytes are the put's own.
            part.count = records.count();
            if records.tags().meets(Tags::KEY | Tags::TIME_TO_LIVE) {
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

impl Queue {
    /// Takes back what a batch that is refused held of its keys.
    fn let_keys_go(&mut self, parts: &[Part]) {
        let slots = parts.iter().flat_map(|part| &part.keys).filter(|slot| **slot != NO_KEY);
        for slot in slots {
            self.keys.as_deref_mut().expect("a key was held").let_go(*slot);
        }
    }
}

/// When a record is due, on the monotonic clock, and whether the wall clock decides.
pub(super) fn due(record: &Record<'_>, now: Now) -> (u64, bool) {
    let traits = record.traits();
    let at = traits.at_ms > 0;
    let after_ms = if at { traits.at_ms.saturating_sub(now.wall_ms) } else { traits.delay_ms };
    (now.ns.saturating_add(after_ms.saturating_mul(1_000_000)), at)
}
