//! A naive store of queues made of plain collections: what the real one must agree with.
//!
//! It does not know segments, so it takes two things from the real store and checks that they are
//! allowed: how many messages a take with many runs returned, and what a bound on bytes refused or
//! dropped.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use ringway_protocol::reply::{RangeVerdict, Settlement, Verdict};
use ringway_protocol::{Attribute, FullPolicy, QueueId, QueueOptions, Record, record};

/// The wheel's tick: the model's timers fire at the first tick at or after their deadline.
pub const TICK_NS: u64 = 1 << 20;

#[derive(Clone)]
pub struct Message {
    pub bytes: Vec<u8>,
    pub deliveries: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord)]
pub enum Due {
    Lease(usize),
    Wait(usize),
}

pub struct Lease {
    pub queue: QueueId,
    /// Sequence and whether it is settled, in the order of delivery.
    pub messages: Vec<(u64, bool)>,
    pub alive: bool,
}

pub struct Wait {
    pub queue: QueueId,
    pub asker: u64,
    pub messages_max: u32,
}

#[derive(Default, Clone, Copy, Debug, PartialEq)]
pub struct Counts {
    pub puts: u64,
    pub takes: u64,
    pub acks: u64,
    pub nacks: u64,
    pub expired_leases: u64,
    pub redeliveries: u64,
    pub dead_lettered: u64,
    pub dropped: u64,
    pub refused: u64,
    pub purged: u64,
}

pub struct Queue {
    pub name: String,
    pub options: QueueOptions,
    pub next: u64,
    pub messages: BTreeMap<u64, Message>,
    pub ready: BTreeSet<u64>,
    pub waits: VecDeque<usize>,
    pub counts: Counts,
}

impl Queue {
    pub fn live_bytes(&self) -> u64 {
        self.messages.values().map(|message| message.bytes.len() as u64).sum()
    }

    pub fn leased(&self) -> u64 {
        (self.messages.len() - self.ready.len()) as u64
    }
}

pub struct Model {
    pub defaults: QueueOptions,
    pub queues_max: usize,
    pub queues: BTreeMap<QueueId, Queue>,
    /// Every id that ever named a queue.
    ids: BTreeSet<QueueId>,
    pub leases: Vec<Lease>,
    pub waits: Vec<Wait>,
    /// Timers by tick, then by the order in which they were armed.
    timers: BTreeMap<(u64, u64), Due>,
    armed: u64,
    /// Answers that are due: the wait, and whether its queue is gone.
    pub due: VecDeque<(usize, bool)>,
}

impl Model {
    pub fn new(defaults: QueueOptions, queues_max: usize) -> Self {
        Self {
            defaults,
            queues_max,
            queues: BTreeMap::new(),
            ids: BTreeSet::new(),
            leases: Vec::new(),
            waits: Vec::new(),
            timers: BTreeMap::new(),
            armed: 0,
            due: VecDeque::new(),
        }
    }

    pub fn find(&self, name: &str) -> Option<QueueId> {
        self.queues.iter().find(|(_, queue)| queue.name == name).map(|(id, _)| *id)
    }

    pub fn add(&mut self, id: QueueId, name: &str, options: QueueOptions) {
        let queue = Queue {
            name: name.into(),
            options,
            next: 0,
            messages: BTreeMap::new(),
            ready: BTreeSet::new(),
            waits: VecDeque::new(),
            counts: Counts::default(),
        };
        assert!(self.queues.insert(id, queue).is_none());
        assert!(self.ids.insert(id), "an id names one queue ever");
    }

    /// Whether the bound on messages lets a batch in; drops what must make room for it.
    pub fn admit(&mut self, id: QueueId, count: u64) -> bool {
        let queue = self.queues.get_mut(&id).unwrap();
        let over = (queue.messages.len() as u64 + count).saturating_sub(queue.options.messages_max);
        let drops = queue.options.full_policy == FullPolicy::DropOldest;
        if count > queue.options.messages_max
            || over > 0 && (!drops || over > queue.ready.len() as u64)
        {
            queue.counts.refused += count;
            return false;
        }
        self.drop_oldest(id, over);
        true
    }

    pub fn drop_oldest(&mut self, id: QueueId, count: u64) {
        let queue = self.queues.get_mut(&id).unwrap();
        for _ in 0..count {
            let first = queue.ready.pop_first().expect("a dropped message was ready");
            queue.messages.remove(&first);
            queue.counts.dropped += 1;
        }
    }

    pub fn put(&mut self, id: QueueId, records: &[Vec<u8>]) -> u64 {
        let queue = self.queues.get_mut(&id).unwrap();
        let first = queue.next;
        for bytes in records {
            queue.messages.insert(queue.next, Message { bytes: bytes.clone(), deliveries: 0 });
            queue.ready.insert(queue.next);
            queue.next += 1;
            queue.counts.puts += 1;
        }
        first
    }

    /// What a take returns if runs do not limit it: sequences of the oldest ready messages.
    pub fn takeable(&self, id: QueueId, messages_max: u64, bytes_max: u64) -> Vec<u64> {
        let queue = &self.queues[&id];
        let mut bytes = 0;
        let mut sequences = Vec::new();
        for sequence in queue.ready.iter().take(messages_max as usize) {
            bytes += queue.messages[sequence].bytes.len() as u64;
            if bytes > bytes_max && !sequences.is_empty() {
                break;
            }
            sequences.push(*sequence);
        }
        sequences
    }

    pub fn wanted(&self, id: QueueId) -> u64 {
        let wanted = |wait: &usize| u64::from(self.waits[*wait].messages_max);
        self.queues[&id].waits.iter().map(wanted).sum()
    }

    pub fn take(&mut self, id: QueueId, sequences: &[u64], lease: Option<u64>) {
        let queue = self.queues.get_mut(&id).unwrap();
        for sequence in sequences {
            assert!(queue.ready.remove(sequence));
            let message = queue.messages.get_mut(sequence).unwrap();
            message.deliveries += 1;
            queue.counts.redeliveries += u64::from(message.deliveries > 1);
            queue.counts.takes += 1;
            if lease.is_none() {
                queue.counts.acks += 1;
                queue.messages.remove(sequence);
            }
        }
        if let Some(deadline_ns) = lease {
            let messages = sequences.iter().map(|sequence| (*sequence, false)).collect();
            self.leases.push(Lease { queue: id, messages, alive: true });
            self.arm(deadline_ns, Due::Lease(self.leases.len() - 1));
        }
    }

    pub fn wait(&mut self, wait: Wait, deadline_ns: u64) {
        let index = self.waits.len();
        self.queues.get_mut(&wait.queue).unwrap().waits.push_back(index);
        self.waits.push(wait);
        self.arm(deadline_ns, Due::Wait(index));
    }

    fn arm(&mut self, deadline_ns: u64, due: Due) {
        self.armed += 1;
        self.timers.insert((deadline_ns.div_ceil(TICK_NS), self.armed), due);
    }

    pub fn disarm(&mut self, due: Due) {
        self.timers.retain(|_, armed| *armed != due);
    }

    pub fn next_tick(&self) -> Option<u64> {
        self.timers.keys().next().map(|(tick, _)| *tick)
    }

    pub fn expire(&mut self, now_ns: u64) {
        while let Some(entry) = self.timers.first_entry()
            && entry.key().0 <= now_ns / TICK_NS
        {
            match entry.remove() {
                Due::Wait(wait) => {
                    let queue = self.queues.get_mut(&self.waits[wait].queue).unwrap();
                    queue.waits.retain(|waiting| *waiting != wait);
                    self.due.push_back((wait, false));
                }
                Due::Lease(lease) => {
                    self.end(lease, None, true);
                    let queue = self.leases[lease].queue;
                    self.queues.get_mut(&queue).unwrap().counts.expired_leases += 1;
                }
            }
        }
    }

    /// What a settlement must answer, and the indices that it settles in ascending order.
    pub fn verdicts(
        &self,
        index: usize,
        ranges: &[(u32, u32)],
    ) -> (Settlement, Vec<RangeVerdict>, Vec<usize>) {
        let lease = &self.leases[index];
        let (mut settlement, mut verdicts) = (Settlement::default(), Vec::<RangeVerdict>::new());
        let mut claimed = Vec::new();
        for (first, count) in ranges {
            for at in *first..first + count {
                let verdict = match lease.messages.get(at as usize) {
                    _ if !lease.alive => Verdict::Stale,
                    None => Verdict::Unknown,
                    Some((_, true)) => Verdict::Stale,
                    Some(_) if claimed.contains(&(at as usize)) => Verdict::Stale,
                    Some(_) => Verdict::Settled,
                };
                match verdict {
                    Verdict::Settled => {
                        settlement.settled += 1;
                        claimed.push(at as usize);
                    }
                    Verdict::Stale => settlement.stale += 1,
                    Verdict::Unknown => settlement.unknown += 1,
                }
                match verdicts.last_mut() {
                    Some(last) if last.verdict == verdict && at != *first => last.count += 1,
                    _ => verdicts.push(RangeVerdict { first: at, count: 1, verdict }),
                }
            }
        }
        claimed.sort_unstable();
        (settlement, verdicts, claimed)
    }

    /// Settles messages of a lease that are not settled yet: `true` for those done, else they come
    /// back. `raise` says whether this delivery counts.
    pub fn give_back(&mut self, lease: usize, indices: &[usize], raise: bool) {
        let id = self.leases[lease].queue;
        for index in indices {
            let (sequence, settled) = &mut self.leases[lease].messages[*index];
            let sequence = *sequence;
            assert!(!std::mem::replace(settled, true));
            let queue = self.queues.get_mut(&id).unwrap();
            let limit = queue.options.deliveries_max;
            let message = queue.messages.get_mut(&sequence).unwrap();
            if raise && limit > 0 && message.deliveries >= limit {
                self.bury(id, sequence);
                continue;
            }
            message.deliveries -= u32::from(!raise);
            queue.ready.insert(sequence);
        }
    }

    /// Ends a lease; what is not settled comes back, or goes if its queue is being deleted.
    pub fn end(&mut self, lease: usize, deleted: Option<()>, raise: bool) {
        let unsettled: Vec<_> = (0..self.leases[lease].messages.len())
            .filter(|index| !self.leases[lease].messages[*index].1)
            .collect();
        if deleted.is_none() {
            self.give_back(lease, &unsettled, raise);
        }
        self.leases[lease].alive = false;
        self.disarm(Due::Lease(lease));
    }

    fn bury(&mut self, id: QueueId, sequence: u64) {
        let queue = &self.queues[&id];
        let message = queue.messages[&sequence].clone();
        let letter = letter_of(&message, &queue.name, sequence);
        let dead_name = format!("{}.dead", queue.name);
        let dead = self.find(&dead_name).or_else(|| self.invent(&dead_name));
        let Some(dead) = dead else {
            let queue = self.queues.get_mut(&id).unwrap();
            queue.counts.refused += 1;
            queue.ready.insert(sequence);
            return;
        };
        let accepted = self.admit(dead, 1);
        if accepted {
            self.put(dead, &[letter]);
        }
        let queue = self.queues.get_mut(&id).unwrap();
        if accepted {
            queue.messages.remove(&sequence);
            queue.counts.dead_lettered += 1;
        } else {
            queue.ready.insert(sequence);
        }
    }

    /// The store makes a dead-letter queue itself: the model knows it by a made-up id until it is
    /// found.
    fn invent(&mut self, name: &str) -> Option<QueueId> {
        if self.queues.len() >= self.queues_max {
            return None;
        }
        let id = QueueId(u64::MAX - self.queues.len() as u64);
        self.add(id, name, QueueOptions { deliveries_max: 0, ..self.defaults });
        Some(id)
    }

    /// Gives queues that were made up the id that the store gave them.
    pub fn adopt(&mut self, open: impl Fn(&str) -> QueueId) {
        let invented: Vec<_> =
            self.queues.keys().filter(|id| id.0 > u64::MAX / 2).copied().collect();
        for id in invented {
            let queue = self.queues.remove(&id).unwrap();
            let real = open(&queue.name);
            assert!(self.ids.remove(&id) && self.ids.insert(real), "an id names one queue ever");
            self.queues.insert(real, queue);
        }
    }

    pub fn delete(&mut self, id: QueueId) -> u64 {
        for lease in 0..self.leases.len() {
            if self.leases[lease].alive && self.leases[lease].queue == id {
                self.end(lease, Some(()), false);
            }
        }
        let queue = self.queues.remove(&id).unwrap();
        for wait in &queue.waits {
            self.disarm(Due::Wait(*wait));
            self.due.push_back((*wait, true));
        }
        queue.messages.len() as u64
    }

    pub fn forget(&mut self, asker: u64) {
        for wait in 0..self.waits.len() {
            if self.waits[wait].asker == asker {
                self.disarm(Due::Wait(wait));
                self.due.retain(|(due, _)| *due != wait);
                for queue in self.queues.values_mut() {
                    queue.waits.retain(|waiting| *waiting != wait);
                }
            }
        }
    }
}

/// A message as the dead-letter queue holds it.
fn letter_of(message: &Message, queue: &str, sequence: u64) -> Vec<u8> {
    let (record, _): (Record<'_>, _) = record::first(&message.bytes).unwrap();
    let (deliveries, sequence) = (message.deliveries.to_string(), sequence.to_string());
    let header = |name, value| Attribute::Header { name, value };
    let mut attributes = vec![
        header("ringway-reason", &b"deliveries"[..]),
        header("ringway-deliveries", deliveries.as_bytes()),
        header("ringway-queue", queue.as_bytes()),
        header("ringway-sequence", sequence.as_bytes()),
    ];
    attributes.extend(record.attributes());
    let mut letter = Vec::new();
    record::write(&mut letter, &attributes, record.payload);
    letter
}
