//! The queues of a run: every client knows their names and declares them with the same options.

use std::rc::Rc;

use ringway_protocol::options::{FullPolicy, PriorityOrder};
use ringway_protocol::request::Start;
use ringway_protocol::{QueueName, QueueOptions};

use crate::chance::Chance;
use crate::{Due, Facts, Traits};

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
/// A window of deduplication that outlasts every run.
const LONG_WINDOW_MS: u32 = 3_600_000;
/// Topics of a run at most.
const TOPICS: u64 = 2;

/// A queue that clients use.
#[derive(Clone, Debug)]
pub struct QueuePlan {
    /// Its name.
    pub name: QueueName,
    /// Its options.
    pub options: QueueOptions,
    /// Whether clients purge it and delete it, and remove its groups.
    pub volatile: bool,
    /// Whether nothing is ever put into it: a take that waits there waits its time out.
    pub empty: bool,
    /// Its groups beside the first: their names, and where they start.
    pub groups: Vec<(String, Start)>,
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

/// Draws the queues of a run. Names are hashed to shards, so they lie on all of them.
pub fn draw(scene: Scene, chance: &mut Chance) -> Vec<QueuePlan> {
    let (scene, count) = (Rc::new(scene), chance.between(3, 9));
    (0..count).map(|index| plan(index, &scene, chance)).collect()
}

fn plan(index: u64, scene: &Rc<Scene>, chance: &mut Chance) -> QueuePlan {
    let name = format!("{}queue/{index}.{}", scene.prefix, chance.between(0, 99));
    let name = QueueName::new(&name).expect("made of letters, digits, a slash and a dot");
    let options = QueueOptions {
        lease_ms: scene.ms(chance.between(1, 40)) as u32,
        wait_max_ms: scene.ms(chance.between(1, 60)) as u32,
        ..QueueOptions::default()
    };
    let mut plan = QueuePlan {
        name,
        options,
        volatile: false,
        empty: false,
        groups: Vec::new(),
        keys: 0,
        urgent: false,
        delayed: false,
        mortal: false,
        identified: false,
        numbered: false,
        topic: None,
        redriven: false,
        credit_max: chance.pick(&[2, 8, 64]),
        scene: scene.clone(),
    };
    match index {
        0 => {
            plan.options.messages_max = chance.between(1, 40);
            if chance.once_in(2) {
                plan.options.full_policy = FullPolicy::Hold;
            }
        }
        1 => {
            plan.options.deliveries_max = chance.between(1, 3) as u32;
            plan.redriven = chance.once_in(2);
        }
        2 => {
            plan.options.full_policy = FullPolicy::DropOldest;
            plan.options.messages_max = chance.between(1, 60);
        }
        3 => plan.volatile = true,
        4 => plan.empty = true,
        _ => {}
    }
    // The first few have one trait for certain and few others: what is wrong with them is easy to
    // see.
    if index > 4 || chance.once_in(3) {
        plan.season(chance);
    }
    plan
}

impl QueuePlan {
    /// Gives it some of everything that queues can do.
    fn season(&mut self, chance: &mut Chance) {
        if chance.once_in(2) {
            let groups = chance.between(1, 3);
            let start = |chance: &mut Chance| chance.pick(&[Start::Earliest, Start::Latest]);
            self.groups = (1..=groups).map(|group| (format!("g{group}"), start(chance))).collect();
        }
        if chance.once_in(2) {
            self.keys = chance.pick(&[1, 3, 20]);
        }
        if chance.once_in(3) {
            self.urgent = true;
            let weighted = chance.once_in(2);
            self.options.priority =
                if weighted { PriorityOrder::Weighted } else { PriorityOrder::Strict };
        }
        self.delayed = chance.once_in(3);
        self.mortal = chance.once_in(4);
        if chance.once_in(4) {
            self.options.ttl_ms = self.scene.ms(chance.between(1, 60));
        }
        self.options.dead_letter_expired = chance.once_in(2);
        if chance.once_in(2) {
            let short_ms = self.scene.ms(chance.between(1, 30)) as u32;
            self.options.dedup_ms = if chance.once_in(4) { short_ms } else { LONG_WINDOW_MS };
            self.identified = chance.once_in(2);
            self.numbered = !self.identified || chance.once_in(2);
        }
        if chance.once_in(3) {
            self.topic = Some(chance.between(1, TOPICS));
        }
        if chance.once_in(3) {
            self.options.backoff_ms = self.scene.ms(chance.between(1, 15)) as u32;
            let most_ms = self.scene.ms(chance.between(15, 40)) as u32;
            self.options.backoff_max_ms = if chance.once_in(2) { 0 } else { most_ms };
        }
        if self.options.deliveries_max == 16 && chance.once_in(3) {
            self.options.deliveries_max = chance.between(1, 4) as u32;
        }
    }

    /// What the checker may hold the queue to.
    pub fn facts(&self) -> Facts {
        let options = &self.options;
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
        }
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
