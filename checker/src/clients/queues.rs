//! The queues of a run: every client knows their names and declares them with the same options.

mod draw;

use std::rc::Rc;

use ringway_protocol::options::{FullPolicy, PriorityOrder};
use ringway_protocol::{QueueName, QueueOptions, SpreadOrder};

use crate::chance::Chance;
use crate::{Due, Facts, Traits};

pub use draw::draw;

/// Where the queues of a run are, and how time passes there.
#[derive(Clone, Debug)]
pub struct Scene {
    /// What the names of queues and topics start with.
    pub prefix: String,
    /// The unit of all short times (leases, waits, delays), in milliseconds: 1 where nothing but
    /// the seed takes time, more where programs have to wait for a CPU.
    pub unit_ms: u64,
    /// Whether the wall clock is set by an hour now and then.
    pub hours_pass: bool,
}

/// An hour: what the wall clock is set by, and a time of delivery that only such a step reaches.
pub const HOUR_MS: u64 = 3_600_000;
/// A window of deduplication, or a time to keep messages, that outlasts every run.
const LONG_MS: u32 = 3_600_000;
/// Messages and bytes that no queue of a simulated run comes near.
const PLENTY: u64 = 1_000_000;
const PLENTY_BYTES: u64 = 1 << 30;
/// Over how many shards a queue is spread at most.
const GROWN: u16 = 4;

/// A queue that clients use.
#[derive(Clone, Debug)]
pub struct QueuePlan {
    /// Its name.
    pub name: QueueName,
    /// Another name of the same shard, if clients rename it.
    pub alias: Option<QueueName>,
    /// Its options.
    pub options: QueueOptions,
    /// What clients do to the queue itself.
    pub changes: Changes,
    /// Whether nothing is ever put into it: a take that waits there waits its time out.
    pub empty: bool,
    /// Its groups beside the first.
    pub groups: Vec<GroupPlan>,
    /// Different keys of its messages; 0 for none.
    pub keys: u64,
    /// Whether its messages have priorities, delays, times to live, deduplication ids.
    pub urgent: bool,
    /// See `urgent`.
    pub delayed: bool,
    /// See `urgent`.
    pub mortal: bool,
    /// See `urgent`.
    pub identified: bool,
    /// Whether producers number what they put into it.
    pub numbered: bool,
    /// The topic whose messages it gets.
    pub topic: Option<u64>,
    /// Whether poison is brought back from its dead letters.
    pub redriven: bool,
    /// Most messages that a subscription to it may have unsettled.
    pub credit_max: usize,
    /// Where it is.
    pub scene: Rc<Scene>,
}

/// What clients do to a queue beside putting and taking.
#[derive(Clone, Copy, Debug, Default)]
pub struct Changes {
    /// They purge it and delete it, and remove its groups.
    pub volatile: bool,
    /// They remove its groups and make them again.
    pub replayed: bool,
    /// They pause it and its groups.
    pub paused: bool,
    /// They remove messages by their sequences.
    pub pruned: bool,
    /// They give it other options now and then.
    pub altered: bool,
    /// They spread it over more shards.
    pub grows: bool,
}

/// A group that clients make.
#[derive(Clone, Debug)]
pub struct GroupPlan {
    /// Its name.
    pub name: String,
    /// Where it starts.
    pub start: StartPlan,
    /// Whether one consumer at a time gets its messages.
    pub single_active: bool,
}

/// Where a group starts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StartPlan {
    /// With what is held and kept.
    Earliest,
    /// With what comes next.
    Latest,
    /// At this sequence.
    Sequence(u64),
    /// At a time of the last moments, or the next ones.
    Lately,
}

impl QueuePlan {
    /// What the checker may hold the queue to.
    pub fn facts(&self) -> Facts {
        let (options, changes) = (&self.options, &self.changes);
        let gone = changes.volatile || changes.pruned || changes.altered || self.mortal;
        let grown = if changes.grows { GROWN } else { 0 };
        Facts {
            dedup_ms: options.dedup_ms.into(),
            ttl_ms: options.ttl_ms,
            dead_letter_expired: options.dead_letter_expired,
            deliveries_max: options.deliveries_max,
            strict: options.priority == PriorityOrder::Strict,
            backoff_least_ms: match (options.backoff_ms, options.backoff_max_ms) {
                (base_ms, 0) => base_ms.into(),
                (base_ms, _) => (base_ms - base_ms / 4).into(),
            },
            spread: options.spread.max(grown),
            per_key: options.spread_order == SpreadOrder::PerKey,
            keeps: options.keep_ms >= LONG_MS.into()
                && !gone
                && options.ttl_ms == 0
                && options.full_policy == FullPolicy::Reject
                && options.messages_max >= PLENTY
                && options.bytes_max >= PLENTY_BYTES,
        }
    }

    /// Other options than those that it is declared with, if it is to get others.
    pub fn altered(&self, chance: &mut Chance) -> QueueOptions {
        let mut options = self.options;
        if self.changes.grows {
            options.spread = chance.between(2, GROWN.into()) as u16;
            return options;
        }
        if chance.once_in(2) {
            let policies = [FullPolicy::Reject, FullPolicy::Hold, FullPolicy::DropOldest];
            options.full_policy = chance.pick(&policies);
            options.messages_max = chance.between(1, 60);
            options.lease_ms = self.scene.ms(chance.between(1, 40)) as u32;
        }
        options
    }

    /// Whether clients may find it with other options than it was declared with, or elsewhere.
    pub fn is_found_by_name(&self) -> bool {
        self.changes.altered || self.changes.grows || self.alias.is_some()
    }

    /// The attributes of a new message for this queue.
    pub fn traits(&self, message: u64, wall_ms: u64, chance: &mut Chance) -> Traits {
        let mut traits = Traits::default();
        if self.keys > 0 && !chance.once_in(4) {
            traits.key = Some(chance.between(1, self.keys));
        }
        if self.urgent {
            traits.priority = chance.between(0, 7) as u8;
        }
        if self.delayed && chance.once_in(2) {
            traits.due = match chance.below(4) {
                0 => Due::At(wall_ms + self.scene.ms(chance.between(0, 20))),
                1 if self.scene.hours_pass => Due::At(wall_ms + HOUR_MS / 2),
                _ => Due::After(self.scene.ms(chance.between(1, 40))),
            };
        }
        if self.mortal && chance.once_in(2) {
            traits.ttl_ms = self.scene.ms(chance.between(1, 40));
        }
        if self.identified {
            traits.deduplication = Some(message);
        }
        traits
    }
}

impl Scene {
    /// The scene of a simulated run.
    pub fn simulated() -> Self {
        Self { prefix: String::new(), unit_ms: 1, hours_pass: true }
    }

    /// So many units, in milliseconds.
    pub fn ms(&self, units: u64) -> u64 {
        units * self.unit_ms
    }

    /// The name that a topic's messages are published under, and the pattern that binds to it.
    pub fn topic(&self, topic: u64) -> (String, String) {
        let prefix = &self.prefix;
        (format!("{prefix}topic/{topic}.news"), format!("{prefix}topic/{topic}.*"))
    }
}
