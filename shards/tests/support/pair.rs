//! The real store and the naive model side by side: each command goes to both, and their outcomes
//! are compared.

use ringway_protocol::reply::{QUEUE_COLUMNS, RangeVerdict};
use ringway_protocol::request::Take;
use ringway_protocol::{Code, FullPolicy, LeaseId, QueueId, QueueOptions, Records};
use ringway_shards::path::origin::Origin;
use ringway_shards::path::queue::{Store, StoreConfig, Taken};
use ringway_shards::world::PinnedSlice;

use super::model::{Due, Model, TICK_NS, Wait};
use super::{at, figure, put, record_of, records_in, settle};

/// Few enough that a dead-letter queue sometimes cannot be made.
const QUEUES_MAX: usize = 5;

/// The store and the model side by side.
pub struct Pair {
    pub store: Store,
    pub model: Model,
    /// The ids of leases, in the model's order.
    leases: Vec<LeaseId>,
    taken: Taken,
    verdicts: Vec<RangeVerdict>,
    frame: Vec<u8>,
    /// Slices that a send refers to, and what they must still say.
    pub pins: Vec<(PinnedSlice, Vec<u8>)>,
    now_ns: u64,
    payloads: u64,
    requests: u32,
}

impl Pair {
    pub fn new(start_ns: u64) -> Self {
        let defaults = QueueOptions { messages_max: 30, lease_ms: 700, ..QueueOptions::default() };
        let mut store = Store::new(StoreConfig {
            shard: 3,
            defaults,
            queues_max: QUEUES_MAX,
            leases_max: 10_000,
            waits_max: 1_000,
            seed: 1,
        });
        store.expire(at(start_ns));
        Self {
            store,
            model: Model::new(defaults, QUEUES_MAX),
            leases: Vec::new(),
            taken: Taken::new(),
            verdicts: Vec::new(),
            frame: Vec::new(),
            pins: Vec::new(),
            now_ns: start_ns,
            payloads: 0,
            requests: 0,
        }
    }

    /// How many leases were granted.
    pub fn leases(&self) -> usize {
        self.leases.len()
    }

    /// The id of a name, or one that names nothing.
    pub fn queue(&self, name: &str) -> QueueId {
        self.model.find(name).unwrap_or(QueueId::new(77, 3, 99))
    }

    pub fn declare(&mut self, name: &str, options: Option<QueueOptions>) {
        let outcome = self.store.declare(name, options);
        let is_letters = name.ends_with(".dead");
        if options.is_some_and(|options| is_letters && options.deliveries_max > 0) {
            assert_eq!(outcome.unwrap_err().code, Code::InvalidOption);
        } else if let Some(id) = self.model.find(name) {
            match options {
                Some(options) if options != self.model.queues[&id].options => {
                    assert_eq!(outcome.unwrap_err().code, Code::Conflict);
                }
                _ => assert_eq!(outcome, Ok((id, false))),
            }
        } else if self.model.queues.len() == QUEUES_MAX {
            assert_eq!(outcome.unwrap_err().code, Code::ResourceExhausted);
        } else {
            let (id, created) = outcome.unwrap();
            assert!(created && id.shard() == 3);
            let mut defaults = self.model.defaults;
            defaults.deliveries_max *= u32::from(!is_letters);
            self.model.add(id, name, options.unwrap_or(defaults));
        }
    }

    pub fn put(&mut self, name: &str, sizes: &[usize]) {
        let mut records = Vec::new();
        let mut room = ringway_protocol::limits::FRAME_BYTES_MAX - 64;
        for size in sizes {
            self.payloads += 1;
            let mut payload = self.payloads.to_le_bytes().repeat(size / 8 + 1);
            payload.truncate(*size);
            let record = record_of(&payload);
            if record.len() <= room {
                room -= record.len();
                records.push(record);
            }
        }
        let bytes = records.concat();
        let (id, count) = (self.queue(name), records.len() as u64);
        let before = self.store.stat(id, at(self.now_ns));
        let batch = Records::parse(&bytes, count as u32).unwrap();
        let outcome = put(&mut self.store, id, batch, at(self.now_ns));
        let Ok(before) = before else {
            assert_eq!(outcome.unwrap_err().code, Code::NoSuchQueue);
            return;
        };
        let after = self.store.stat(id, at(self.now_ns)).unwrap();
        if !self.model.admit(id, count) {
            let options = self.model.queues[&id].options;
            let too_large = count > options.messages_max;
            let code = if too_large { Code::TooLarge } else { Code::QueueFull };
            assert_eq!(outcome.unwrap_err().code, code);
            return;
        }
        self.follow_bytes(id, (&before, &after), bytes.len() as u64, outcome.is_ok());
        match outcome {
            Ok(first) => assert_eq!(first, self.model.put(id, &records)),
            Err(rejection) => {
                assert_eq!(rejection.code, Code::QueueFull);
                self.model.queues.get_mut(&id).unwrap().counts.refused += count;
            }
        }
    }

    /// Follows what the bound on bytes dropped or refused, after checking that it had to.
    fn follow_bytes(
        &mut self,
        id: QueueId,
        (before, after): (&[u64; QUEUE_COLUMNS.len()], &[u64; QUEUE_COLUMNS.len()]),
        bytes: u64,
        accepted: bool,
    ) {
        let bytes_max = self.model.queues[&id].options.bytes_max;
        let already = self.model.queues[&id].counts.dropped;
        let dropped = figure(after, "dropped") - already;
        // What a batch may cost at most: segments that are filled by half, and one more.
        let cost = 2 * bytes + (128 << 10);
        let tight = figure(before, "held_bytes") + cost > bytes_max;
        assert!(dropped == 0 && accepted || tight, "room was made, or refused, without need");
        self.model.drop_oldest(id, dropped);
        if !accepted {
            let drops = self.model.queues[&id].options.full_policy == FullPolicy::DropOldest;
            assert!(
                !drops || self.model.queues[&id].ready.is_empty(),
                "it drops before it refuses"
            );
        }
    }

    pub fn take(&mut self, take: &Take, pin: bool) {
        let outcome = self.store.take(take, at(self.now_ns), &mut self.taken);
        if !self.model.queues.contains_key(&take.queue) {
            assert_eq!(outcome.unwrap_err().code, Code::NoSuchQueue);
            return;
        }
        outcome.unwrap();
        let ready = self.model.queues[&take.queue].ready.len() as u64;
        let spare = ready.saturating_sub(self.model.wanted(take.queue));
        let messages_max = u64::from(take.messages_max).min(spare);
        self.taken_as_expected(take, messages_max, pin);
    }

    /// Compares a delivery with the model, and lets the model deliver the same.
    fn taken_as_expected(&mut self, take: &Take, messages_max: u64, pin: bool) {
        let bytes_max = if take.bytes_max == 0 { 256 << 10 } else { u64::from(take.bytes_max) };
        let expected = self.model.takeable(take.queue, messages_max, bytes_max);
        let taken = &self.taken;
        let count = taken.count as usize;
        assert!(count == expected.len() || count < expected.len() && taken.runs.len() == 64);
        let queue = &self.model.queues[&take.queue];
        let mut sequences = Vec::new();
        for run in &taken.runs {
            let records = records_in(&run.slice);
            assert_eq!(records.len(), run.run.count as usize, "a run counts its records");
            for (index, (_, bytes)) in records.iter().enumerate() {
                let sequence = run.run.first_sequence + index as u64;
                let message = &queue.messages[&sequence];
                assert_eq!(*bytes, message.bytes, "the bytes that were put");
                assert_eq!(run.run.deliveries, message.deliveries + 1);
                sequences.push(sequence);
            }
        }
        assert_eq!(sequences, expected[..count], "oldest first");
        let leased = count > 0 && !take.acknowledged;
        assert_eq!(taken.lease != LeaseId::NONE, leased);
        let own = queue.options.lease_ms;
        let lease_ms = if take.lease_ms == 0 { own } else { take.lease_ms };
        assert_eq!(taken.lease_ms, if leased { lease_ms } else { 0 });
        let deadline_ns = self.now_ns + u64::from(lease_ms) * 1_000_000;
        if leased {
            self.leases.push(taken.lease);
        }
        let deadline_ns = (!take.acknowledged).then_some(deadline_ns);
        if count > 0 {
            self.model.take(take.queue, &sequences, deadline_ns);
        }
        for run in self.taken.runs.drain(..).filter(|_| pin) {
            let bytes = run.slice.to_vec();
            self.pins.push((run.slice, bytes));
        }
    }

    pub fn wait(&mut self, take: Take, asker: u64) {
        self.requests += 1;
        let origin = Origin { shard: 1, peer: asker, stream: 0, request: self.requests - 1 };
        let outcome = self.store.wait(&take, origin, at(self.now_ns));
        let Some(queue) = self.model.queues.get(&take.queue) else {
            self.requests -= 1;
            assert_eq!(outcome.unwrap_err().code, Code::NoSuchQueue);
            return;
        };
        if take.wait_ms > queue.options.wait_max_ms {
            self.requests -= 1;
            assert_eq!(outcome.unwrap_err().code, Code::InvalidOption);
            return;
        }
        outcome.unwrap();
        let wait = Wait { queue: take.queue, asker, messages_max: take.messages_max };
        self.model.wait(wait, self.now_ns + u64::from(take.wait_ms) * 1_000_000);
    }

    pub fn settle(&mut self, back: usize, mut ranges: Vec<(u32, u32)>, whole: bool, nack: bool) {
        let Some(index) = self.leases.len().checked_sub(back + 1) else { return };
        let (id, queue) = (self.leases[index], self.model.leases[index].queue);
        if whole {
            ranges = vec![(0, self.model.leases[index].messages.len() as u32)];
        }
        let request = settle(queue, id, &ranges, &mut self.frame);
        let outcome = if nack {
            self.store.nack(&request, at(self.now_ns), &mut self.verdicts)
        } else {
            self.store.ack(&request, at(self.now_ns), &mut self.verdicts)
        };
        if !self.model.queues.contains_key(&queue) {
            assert_eq!(outcome.unwrap_err().code, Code::NoSuchQueue);
            return;
        }
        let (settlement, verdicts, claimed) = self.model.verdicts(index, &ranges);
        assert_eq!(outcome, Ok(settlement));
        let all = settlement.stale == 0 && settlement.unknown == 0;
        assert_eq!(self.verdicts, if all { Vec::new() } else { verdicts });
        let counts = &mut self.model.queues.get_mut(&queue).unwrap().counts;
        if nack {
            counts.nacks += u64::from(settlement.settled);
            self.model.give_back(index, &claimed, true);
        } else {
            counts.acks += u64::from(settlement.settled);
            for message in claimed {
                let (sequence, settled) = &mut self.model.leases[index].messages[message];
                *settled = true;
                self.model.queues.get_mut(&queue).unwrap().messages.remove(sequence);
            }
        }
        if self.model.leases[index].messages.iter().all(|(_, settled)| *settled) {
            self.model.leases[index].alive = false;
            self.model.disarm(Due::Lease(index));
        }
    }

    pub fn release(&mut self, back: usize) {
        let Some(index) = self.leases.len().checked_sub(back + 1) else { return };
        self.store.release(self.model.leases[index].queue, self.leases[index]);
        if self.model.leases[index].alive {
            self.model.end(index, None, false);
        }
    }

    pub fn pass(&mut self, ms: u64) {
        self.now_ns += ms * 1_000_000 + 123_457;
        self.store.expire(at(self.now_ns));
        self.model.expire(self.now_ns);
    }

    /// Takes every answer. Due ones come in order; served ones are the first of a queue that can
    /// serve.
    pub fn answers(&mut self) {
        self.model.adopt(|name| self.store.open(name).unwrap());
        while let Some(answer) = self.store.next_answer(at(self.now_ns), &mut self.taken) {
            let index = answer.origin.request as usize;
            let wait = &self.model.waits[index];
            assert_eq!((answer.origin.peer, answer.take.queue), (wait.asker, wait.queue));
            if let Some((due, refused)) = self.model.due.pop_front() {
                assert_eq!(due, index, "answers that are due come in order");
                assert_eq!(answer.outcome.is_err_and(|why| why.code == Code::NoSuchQueue), refused);
                assert_eq!(self.taken.count, 0);
                continue;
            }
            answer.outcome.unwrap();
            let messages_max = u64::from(wait.messages_max);
            let queue = self.model.queues.get_mut(&answer.take.queue).unwrap();
            assert_eq!(queue.waits.pop_front(), Some(index), "waiting takes are served in turn");
            self.model.disarm(Due::Wait(index));
            assert!(self.taken.count > 0, "an answer that is not due has messages");
            self.taken_as_expected(&answer.take, messages_max, false);
        }
        assert!(self.model.due.is_empty());
        for queue in self.model.queues.values() {
            assert!(queue.waits.is_empty() || queue.ready.is_empty(), "no wait is passed over");
        }
    }

    pub fn purge(&mut self, name: &str) {
        let id = self.queue(name);
        let outcome = self.store.purge(id);
        let Some(queue) = self.model.queues.get_mut(&id) else {
            assert_eq!(outcome.unwrap_err().code, Code::NoSuchQueue);
            return;
        };
        let purged = queue.ready.len() as u64;
        queue.counts.purged += purged;
        std::mem::take(&mut queue.ready).iter().for_each(|sequence| {
            queue.messages.remove(sequence);
        });
        assert_eq!(outcome, Ok(purged));
    }

    pub fn delete(&mut self, name: &str) {
        let id = self.queue(name);
        let outcome = self.store.delete(id);
        if self.model.queues.contains_key(&id) {
            assert_eq!(outcome, Ok(self.model.delete(id)));
        } else {
            assert_eq!(outcome.unwrap_err().code, Code::NoSuchQueue);
        }
    }

    /// Compares every figure, and what is pinned.
    pub fn compare(&mut self) {
        self.model.adopt(|name| self.store.open(name).unwrap());
        let (mut all_ready, mut all_leased) = (0, 0);
        for (id, queue) in &self.model.queues {
            let row = self.store.stat(*id, at(self.now_ns)).unwrap();
            let (counts, held) = (&queue.counts, figure(&row, "held_bytes"));
            let expected = [
                queue.ready.len() as u64,
                queue.leased(),
                held,
                queue.live_bytes(),
                counts.puts,
                counts.takes,
                counts.acks,
                counts.nacks,
                counts.expired_leases,
                counts.redeliveries,
                counts.dead_lettered,
                counts.dropped,
                counts.refused,
                counts.purged,
                queue.waits.len() as u64,
            ];
            assert_eq!(row[..expected.len()], expected, "{}", queue.name);
            assert!(held <= queue.options.bytes_max && held >= queue.live_bytes());
            all_ready += queue.ready.len() as u64;
            all_leased += queue.leased();
        }
        assert_eq!(self.store.ready_and_leased(), (all_ready, all_leased));
        assert_eq!(self.store.queues(), self.model.queues.len());
        for (slice, bytes) in &self.pins {
            assert_eq!(slice[..], bytes[..], "a pinned slice never changes");
        }
        let next = self.store.next_deadline();
        assert_eq!(next.is_some(), self.model.next_tick().is_some());
        if let (Some(next), Some(tick)) = (next, self.model.next_tick()) {
            assert!(next <= tick * TICK_NS, "the next deadline is never late");
        }
    }
}
