//! What the queues of a run are like.

use std::rc::Rc;

use ringway_protocol::name::shard_of;
use ringway_protocol::options::{FullPolicy, PriorityOrder};
use ringway_protocol::{QueueName, QueueOptions, SpreadOrder};

use super::{Changes, GROWN, GroupPlan, LONG_MS, QueuePlan, Scene, StartPlan};
use crate::chance::Chance;

/// Topics of a run at most.
const TOPICS: u64 = 2;
/// Names with the same shard out of so many have it out of 1, 2, 3, 4, 6 and 12.
const SHARDS: usize = 12;
/// The highest sequence that a group starts at.
const START_MAX: usize = 300;

/// Draws the queues of a run. Names are hashed to shards, so they lie on all of them.
pub fn draw(scene: Scene, chance: &mut Chance) -> Vec<QueuePlan> {
    let (scene, count) = (Rc::new(scene), chance.between(3, 11));
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
        alias: None,
        options,
        changes: Changes::default(),
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
    plan.shape(index, chance);
    // The first few have one trait for certain and few others: what is wrong with them is easy to
    // see.
    if index > 7 || chance.once_in(3) {
        plan.season(chance);
    }
    plan.reconcile();
    plan
}

impl QueuePlan {
    /// What it is for.
    fn shape(&mut self, index: u64, chance: &mut Chance) {
        match index {
            0 => {
                self.options.messages_max = chance.between(1, 40);
                if chance.once_in(2) {
                    self.options.full_policy = FullPolicy::Hold;
                }
                self.changes.altered = chance.once_in(3);
            }
            1 => {
                self.options.deliveries_max = chance.between(1, 3) as u32;
                self.redriven = chance.once_in(2);
                self.rename(chance);
            }
            2 => {
                self.options.full_policy = FullPolicy::DropOldest;
                self.options.messages_max = chance.between(1, 60);
            }
            3 => self.changes.volatile = true,
            4 => self.empty = true,
            5 => self.spread(chance),
            6 => {
                self.keep_everything();
                self.group(chance);
            }
            7 => {
                self.changes.paused = true;
                self.group(chance);
                self.groups[0].single_active = true;
            }
            _ => {}
        }
    }

    fn group(&mut self, chance: &mut Chance) {
        let groups = chance.between(1, 3);
        let start = |chance: &mut Chance| match chance.below(5) {
            0 => StartPlan::Latest,
            1 => StartPlan::Sequence(chance.magnitude(START_MAX) as u64),
            2 => StartPlan::Lately,
            _ => StartPlan::Earliest,
        };
        self.groups.clear();
        for group in 1..=groups {
            let (start, single_active) = (start(chance), chance.once_in(4));
            self.groups.push(GroupPlan { name: format!("g{group}"), start, single_active });
        }
    }

    fn spread(&mut self, chance: &mut Chance) {
        self.options.spread = chance.between(2, GROWN.into()) as u16;
        match chance.below(3) {
            0 => self.options.spread_order = SpreadOrder::PerKey,
            1 => {
                self.changes.grows = true;
                self.options.spread = chance.between(0, 3) as u16;
            }
            _ => {}
        }
        self.keys = chance.pick(&[0, 1, 3, 20]);
    }

    fn rename(&mut self, chance: &mut Chance) {
        let shard = |name: &str| shard_of(name, SHARDS);
        if !chance.once_in(2) {
            return;
        }
        let names = (0..).map(|number| format!("{}.{number}", self.name));
        let mut names = names.filter(|name| shard(name) == shard(self.name.as_str()));
        let alias = names.next().expect("one name out of twelve has its shard");
        self.alias = Some(QueueName::new(&alias).expect("made of letters, digits and dots"));
    }

    /// Gives it some of everything that queues can do.
    fn season(&mut self, chance: &mut Chance) {
        if chance.once_in(2) && self.groups.is_empty() {
            self.group(chance);
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
            self.options.dedup_ms = if chance.once_in(4) { short_ms } else { LONG_MS };
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
        self.disturb(chance);
    }

    /// More of everything, of what is done to the queue itself.
    fn disturb(&mut self, chance: &mut Chance) {
        if chance.once_in(4) {
            self.spread(chance);
        }
        if chance.once_in(4) {
            self.options.keep_ms = self.scene.ms(chance.pick(&[5, 50, u64::from(LONG_MS)]));
            self.options.keep_messages = chance.pick(&[0, 0, 100]);
            self.changes.replayed = true;
        }
        self.changes.paused |= chance.once_in(4);
        self.changes.pruned |= chance.once_in(4);
        self.changes.altered |= chance.once_in(6);
        if chance.once_in(4) {
            self.rename(chance);
        }
    }

    /// It keeps all that is done, for groups that are made again and again.
    pub fn keep_everything(&mut self) {
        self.options.keep_ms = LONG_MS.into();
        let QueueOptions { messages_max, full_policy, ttl_ms, keep_messages, .. } =
            QueueOptions::default();
        (self.options.messages_max, self.options.full_policy) = (messages_max, full_policy);
        (self.options.ttl_ms, self.options.keep_messages) = (ttl_ms, keep_messages);
        (self.mortal, self.alias) = (false, None);
        self.changes = Changes { replayed: true, ..Changes::default() };
    }

    /// Leaves off what a queue cannot be at once.
    pub fn reconcile(&mut self) {
        let spread = self.options.spread > 1 || self.changes.grows;
        if spread {
            self.groups.iter_mut().for_each(|group| group.single_active = false);
            self.alias = None;
        }
        if self.changes.grows {
            // What new parts would not know, and the order of keys that they would not keep.
            self.options.dedup_ms = 0;
            self.options.spread_order = SpreadOrder::Relaxed;
            self.changes.altered = false;
        }
        if self.options.spread_order == SpreadOrder::PerKey && self.keys > 0 {
            self.numbered = false;
        }
        if self.options.keep_messages > 0 {
            // Nobody can say from outside what that leaves.
            self.options.keep_ms = 0;
        }
    }
}
