//! Quotas: what all queues whose names start alike may hold together, over all shards of a plane.
//!
//! Each shard publishes what its own queues hold, in figures that only it writes; a put adds up
//! those of all shards. So a quota is exact on one shard, and over several it may be overrun by
//! what they admit within one turn. What is counted is what a queue needs: its messages that are
//! not done, and the memory held for it. A put that opens a segment may overrun the bound on bytes
//! by the rest of that segment.

use std::sync::Arc;

use ringway_protocol::{Code, QueueId, QueueName, Rejection};

use super::Store;
use super::catalog::Queue;
use crate::limits::QUOTAS_MAX;
use crate::stats::Figure;

const EXCEEDED: Rejection =
    Rejection::new(Code::QuotaExceeded, "the queues of this prefix hold as much as they may");

/// What the queues whose names start with a prefix may hold together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Quota {
    /// How their names start.
    pub prefix: String,
    /// Most messages; 0 for any number.
    pub messages_max: u64,
    /// Most bytes of memory; 0 for any number.
    pub bytes_max: u64,
}

/// What one shard's queues under one quota hold. Its shard alone writes it, so it has a cache line
/// of its own.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Usage {
    messages: Figure,
    bytes: Figure,
}

/// The quotas of a plane, and what each of its shards holds under them.
#[derive(Clone, Debug)]
pub struct Quotas {
    rules: Arc<[Quota]>,
    /// By shard, then by quota.
    usage: Arc<[Box<[Usage]>]>,
}

impl Quotas {
    /// Quotas for a plane of so many shards.
    ///
    /// # Errors
    /// More than [`QUOTAS_MAX`], or a prefix that no name starts with.
    pub fn new(rules: &[Quota], shards: usize) -> Result<Self, Rejection> {
        if rules.len() > QUOTAS_MAX {
            return Err(Rejection::new(Code::InvalidOption, "a plane has at most 32 quotas"));
        }
        for rule in rules.iter().filter(|rule| !rule.prefix.is_empty()) {
            QueueName::check(rule.prefix.as_bytes())?;
        }
        let usage = (0..shards).map(|_| rules.iter().map(|_| Usage::default()).collect());
        Ok(Self { rules: rules.into(), usage: usage.collect() })
    }

    /// A bit for each quota that a name comes under.
    fn of(&self, name: &QueueName) -> u32 {
        let rules = self.rules.iter().enumerate();
        let under = rules.filter(|(_, rule)| name.as_str().starts_with(&rule.prefix));
        under.fold(0, |bits, (index, _)| bits | 1 << index)
    }

    /// What all shards hold under a quota.
    fn held(&self, index: usize) -> (u64, u64) {
        self.usage.iter().fold((0, 0), |(messages, bytes), shard| {
            let usage = &shard[index];
            (messages + usage.messages.get(), bytes + usage.bytes.get())
        })
    }
}

/// One shard's part in the quotas.
#[derive(Debug)]
pub(super) struct Ledger {
    quotas: Quotas,
    shard: usize,
    /// Queues that may hold more or less than was published.
    stirred: Vec<QueueId>,
}

impl Ledger {
    /// A queue may hold more or less than was published.
    pub fn note(&mut self, queue: &mut Queue) {
        let id = queue.id;
        let rare = queue.rare();
        if !std::mem::replace(&mut rare.stirred, true) {
            self.stirred.push(id);
        }
    }

    /// Which quotas a queue comes under, now that it has this name.
    pub fn place(&mut self, queue: &mut Queue) {
        self.publish(queue, (0, 0));
        queue.quotas = self.quotas.of(&queue.name);
        queue.note_specialities();
        self.note(queue);
    }

    /// A queue is being deleted: it holds nothing any more.
    pub fn forget(&self, queue: &mut Queue) {
        if queue.quotas != 0 {
            self.publish(queue, (0, 0));
            queue.quotas = 0;
        }
    }

    /// Publishes what a queue holds in place of what was published of it.
    fn publish(&self, queue: &mut Queue, held: (u64, u64)) {
        let bits = queue.quotas;
        let before = std::mem::replace(&mut queue.rare().published, held);
        for index in (0..QUOTAS_MAX).filter(|index| bits >> index & 1 == 1) {
            let usage = &self.quotas.usage[self.shard][index];
            usage.messages.set(usage.messages.get() + held.0 - before.0);
            usage.bytes.set(usage.bytes.get() + held.1 - before.1);
        }
    }
}

impl Store {
    /// Puts the queues that are there, and those to come, under a plane's quotas.
    pub fn set_quotas(&mut self, quotas: Quotas) {
        if quotas.rules.is_empty() {
            return;
        }
        let shard = usize::from(self.catalog.shard());
        let mut ledger = Box::new(Ledger { quotas, shard, stirred: Vec::new() });
        self.catalog.iter_mut().for_each(|queue| ledger.place(queue));
        self.uses.ledger = Some(ledger);
    }

    /// Publishes what the queues under quotas hold by now. Once a turn.
    #[inline]
    pub fn publish_usage(&mut self) {
        if let Some(ledger) = &self.uses.ledger
            && !ledger.stirred.is_empty()
        {
            self.publish_stirred();
        }
    }

    fn publish_stirred(&mut self) {
        let Some(ledger) = &mut self.uses.ledger else { return };
        let mut stirred = std::mem::take(&mut ledger.stirred);
        for id in stirred.drain(..) {
            let Ok(queue) = self.catalog.get_mut(id) else { continue };
            queue.rare().stirred = false;
            let held = (queue.bands.live(), queue.bands.held_bytes());
            ledger.publish(queue, held);
        }
        ledger.stirred = stirred;
    }

    /// Refuses a put that a quota of its queue has no room for.
    #[cold]
    pub(super) fn check_quotas(
        &mut self,
        id: QueueId,
        messages: u64,
        bytes: u64,
    ) -> Result<(), Rejection> {
        self.publish_usage();
        let bits = self.catalog.get(id)?.quotas;
        let Some(ledger) = &self.uses.ledger else { return Ok(()) };
        let rules = ledger.quotas.rules.iter().enumerate();
        for (index, rule) in rules.filter(|(index, _)| bits >> index & 1 == 1) {
            let held = ledger.quotas.held(index);
            let over = |held: u64, more: u64, most: u64| most > 0 && held + more > most;
            if over(held.0, messages, rule.messages_max) || over(held.1, bytes, rule.bytes_max) {
                return Err(EXCEEDED);
            }
        }
        Ok(())
    }
}
