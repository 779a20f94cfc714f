//! Puts that find their queue full and wait for room, where the queue's policy is to hold them.
//!
//! A held put is a copy, in the line of its queue. Whatever frees room notes the queue; then the
//! first in line tries again, and after it the next. Nothing that is put later overtakes a line.

use ringway_protocol::request::{Producer, Put};
use ringway_protocol::{Code, FullPolicy, QueueId, QueueOptions, Records, Rejection};

use super::bounds::FULL;
use crate::limits::{
    HELD_BYTES_MAX, HELD_BYTES_PER_ASKER_MAX, HELD_PUTS_MAX, SPARE_HELD_BYTES_MAX,
};
use crate::path::origin::Origin;
use crate::path::queue::catalog::Queue;
use crate::path::queue::log::segment::NIL;
use crate::path::queue::rarely::Nothing;
use crate::path::queue::take::deadline_ns;
use crate::path::queue::waits::{Asks, Place, Wait, WaitList};
use crate::path::queue::{Admission, Answer, Asked, Store, Stored, Timer};
use crate::world::Now;

const NO_ROOM_IN_TIME: Rejection =
    Rejection::new(Code::QueueFull, "the queue was full for as long as a put may wait");

/// The held puts of one queue, in line.
#[derive(Clone, Copy, Debug)]
pub(in crate::path::queue) struct Line {
    list: WaitList,
    pub puts: u32,
    pub bytes: u64,
}

impl Nothing for Line {
    const NOTHING: &'static Self = &Self { list: WaitList::EMPTY, puts: 0, bytes: 0 };

    fn nothing() -> Self {
        Self { ..*Self::NOTHING }
    }
}

/// A copy of a put; a free slot keeps its memory.
#[derive(Debug, Default)]
struct HeldPut {
    records: Vec<u8>,
    count: u32,
    producer: Option<Producer>,
}

/// The held puts of a shard.
#[derive(Debug, Default)]
pub(in crate::path::queue) struct HeldPuts {
    slots: Vec<HeldPut>,
    free: Vec<u32>,
    bytes: u64,
}

impl HeldPuts {
    /// Copies a put.
    fn keep(&mut self, put: &Put<'_>) -> u32 {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(HeldPut::default());
            (self.slots.len() - 1) as u32
        });
        let held = &mut self.slots[slot as usize];
        held.records.extend_from_slice(put.records.as_bytes());
        (held.count, held.producer) = (put.records.count(), put.producer);
        self.bytes += held.records.len() as u64;
        slot
    }

    /// Forgets a put, and keeps its memory unless that is large.
    fn drop(&mut self, slot: u32) {
        let held = &mut self.slots[slot as usize];
        self.bytes -= held.records.len() as u64;
        held.records.clear();
        if held.records.capacity() > SPARE_HELD_BYTES_MAX {
            held.records = Vec::new();
        }
        self.free.push(slot);
    }

    fn is_full(&self, more: u64) -> bool {
        self.slots.len() - self.free.len() >= HELD_PUTS_MAX || self.bytes + more > HELD_BYTES_MAX
    }
}

impl Store {
    /// A put was refused: it is held if its queue is full and does so, else the refusal is counted.
    #[cold]
    pub(super) fn hold_or_refuse(
        &mut self,
        put: &Put<'_>,
        origin: Option<Origin>,
        now: Now,
        why: Rejection,
    ) -> Result<Admission, Rejection> {
        let options = self.catalog.get(put.queue)?.options;
        if why.code == Code::QueueFull
            && options.full_policy == FullPolicy::Hold
            && options.wait_max_ms > 0
            && let Some(origin) = origin
            && self.may_hold(put, origin)
        {
            self.hold(put, origin, now);
            return Ok(Admission::Held);
        }
        if matches!(why.code, Code::QueueFull | Code::TooLarge) {
            let queue = self.catalog.get_mut(put.queue)?;
            queue.counters.refused += u64::from(put.records.count());
        }
        Err(why)
    }

    fn may_hold(&self, put: &Put<'_>, origin: Origin) -> bool {
        let bytes = put.records.as_bytes().len() as u64;
        let of_asker = self.waits.held_bytes(origin.asker());
        of_asker + bytes <= HELD_BYTES_PER_ASKER_MAX && !self.held_puts.is_full(bytes)
    }

    fn hold(&mut self, put: &Put<'_>, origin: Origin, now: Now) {
        let held = self.held_puts.keep(put);
        let queue = put.queue.slot() as u32;
        let slot = self.waits.create(Asks::Put(held), (queue, 0), origin);
        let bytes = put.records.as_bytes().len() as u64;
        self.waits.hold_bytes(origin, bytes as i64);
        let queue = self.catalog.at_mut(queue);
        let at_ns = deadline_ns(now.ns, queue.options.wait_max_ms);
        let wait = &mut self.waits[slot];
        wait.timer = Some(self.wheel.arm(at_ns, Timer::Wait(slot)));
        wait.place = Place::Line;
        queue.line.list.append(&mut self.waits, slot);
        queue.line.puts += 1;
        queue.line.bytes += bytes;
        self.segments.watched += u32::from(queue.line.puts == 1);
    }

    /// Takes a put out of its line, its timer out of the wheel, and forgets its copy.
    fn leave_line(&mut self, slot: u32) {
        let wait = &mut self.waits[slot];
        if let Some(timer) = wait.timer.take() {
            self.wheel.disarm(timer);
        }
        let Wait { asks: Asks::Put(held), queue, origin, .. } = *wait else {
            unreachable!("only puts are in line");
        };
        wait.place = Place::Nowhere;
        let bytes = self.held_puts.slots[held as usize].records.len() as u64;
        self.held_puts.drop(held);
        self.waits.hold_bytes(origin, -(bytes as i64));
        let line = &mut self.catalog.at_mut(queue).line;
        line.list.unlink(&mut self.waits, slot);
        line.puts -= 1;
        line.bytes -= bytes;
        self.segments.watched -= u32::from(line.puts == 0);
    }

    /// A held put has waited long enough. Without it the next one may fit.
    pub(in crate::path::queue) fn give_up(&mut self, slot: u32) {
        let queue = self.waits[slot].queue;
        self.leave_line(slot);
        self.waits.give_answer(slot, Err(NO_ROOM_IN_TIME));
        self.segments.note_room(queue);
    }

    /// The asker of a held put is gone. Without it the next one may fit.
    pub(in crate::path::queue) fn drop_held(&mut self, slot: u32) {
        let queue = self.waits[slot].queue;
        self.leave_line(slot);
        self.waits.remove(slot);
        self.segments.note_room(queue);
    }

    /// Notes that a queue may have room for those in its line, for another reason than that
    /// messages are gone: its bounds were raised, or puts to it are no longer paused.
    pub(in crate::path::queue) fn look_at_line(&mut self, queue: QueueId) {
        self.segments.note_room(queue.slot() as u32);
    }

    /// The puts in the line of a queue are told why they cannot be stored.
    pub(in crate::path::queue) fn refuse_line(&mut self, queue: u32, why: Rejection) {
        loop {
            let slot = self.catalog.at(queue).line.list.first;
            if slot == NIL {
                return;
            }
            self.leave_line(slot);
            self.waits.give_answer(slot, Err(why));
        }
    }

    /// No put is held any longer, of any queue. Visits every queue.
    pub fn refuse_held(&mut self, why: Rejection) {
        let lines = self.catalog.iter().filter(|queue| queue.line.puts > 0);
        let queues: Vec<u32> = lines.map(|queue| queue.id.slot() as u32).collect();
        queues.into_iter().for_each(|queue| self.refuse_line(queue, why));
    }

    /// Stores the next held put for which there is room, or finds why it never will be: its answer.
    #[cold]
    pub(in crate::path::queue) fn next_admission(
        &mut self,
        now: Now,
        stored: &mut Stored,
    ) -> Option<Answer> {
        while let Some(queue) = self.segments.room.pop_front() {
            let Some(found) = self.catalog.find(queue) else { continue };
            let (id, slot) = (found.id, found.line.list.first);
            if slot == NIL {
                continue;
            }
            let Wait { asks: Asks::Put(held), origin, .. } = self.waits[slot] else {
                unreachable!("only puts are in line");
            };
            let outcome = self.try_held((id, held), now, stored);
            let full = |why: &Rejection| matches!(why.code, Code::QueueFull | Code::Paused);
            if outcome.as_ref().is_err_and(full) {
                self.segments.room.retain(|other| *other != queue);
                continue;
            }
            self.leave_line(slot);
            self.waits.remove(slot);
            // The next in line may fit, too.
            self.segments.room.push_back(queue);
            return Some(Answer { origin, asked: Asked::Put, outcome });
        }
        None
    }

    /// Puts what is first in line.
    fn try_held(
        &mut self,
        (queue, held): (QueueId, u32),
        now: Now,
        stored: &mut Stored,
    ) -> Result<(), Rejection> {
        let kept = &mut self.held_puts.slots[held as usize];
        let (count, producer) = (kept.count, kept.producer);
        let bytes = std::mem::take(&mut kept.records);
        let outcome = if self.catalog.get(queue)?.has_no_room_for(&bytes, count) {
            Err(FULL)
        } else {
            let records = Records::parse(&bytes, count).expect("it was valid when it came");
            self.store(&Put { queue, producer, records }, true, now, stored)
        };
        self.held_puts.slots[held as usize].records = bytes;
        outcome
    }
}

impl Queue {
    /// Why a put cannot be stored that comes while others are in line: it fits never, or not yet.
    pub fn behind_line(&self, put: &Put<'_>) -> Rejection {
        // Of a batch with repeats nobody knows yet how much of it is new.
        let all_new = self.options.dedup_ms == 0;
        let size = if all_new { self.could_hold(&[Some(put.records)]) } else { Ok(()) };
        size.err().unwrap_or(FULL)
    }

    /// Whether a look at its bounds is enough to know that a batch does not fit by now; repeats
    /// would need no room. That it never will is found out by who tries.
    fn has_no_room_for(&self, records: &[u8], count: u32) -> bool {
        let (bytes, count, live) = (records.len() as u64, u64::from(count), self.bands.counted());
        let QueueOptions { messages_max, bytes_max, dedup_ms, .. } = self.options;
        let will_fit = count <= messages_max && bytes <= bytes_max / 4;
        dedup_ms == 0
            && live > 0
            && will_fit
            && (live + count > messages_max || self.bands.live_bytes() + bytes > bytes_max)
    }
}
