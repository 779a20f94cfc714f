//! A put that asks for more than the end of the line: messages with keys, priorities, delays, times
//! to live or deduplication ids, producers that number their messages.
//!
//! Each record gets its fate first; then the batch is checked against the queue's bounds as a
//! whole, and only then is anything stored. What a put without any of this costs is in `bounds`.

use ringway_protocol::reply::PutOutcome;
use ringway_protocol::request::{Producer, Put};
use ringway_protocol::{Code, QueueId, Records, Rejection};

use super::bounds::make_room;
use super::dedup::{Batch, Seen, Stretch};
use super::fates::{Desk, Fate, Part};
use crate::path::queue::Store;
use crate::path::queue::Stored;
use crate::path::queue::catalog::Queue;
use crate::path::queue::keys::NO_KEY;
use crate::path::queue::log::bands::{LOGS, SCHEDULED};
use crate::world::Now;

const PAUSED: Rejection =
    Rejection::new(Code::Paused, "puts to the queue are paused: resume it, or try again later");

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
        if let Some(band) = desk.together.filter(|band| *band != SCHEDULED) {
            let (first, count) = (desk.firsts[band], put.records.count());
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
