//! The real shards, in the simulated world: the only file that knows how a shard is made and
//! driven.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use ringway_protocol::QueueOptions;
use ringway_shards::limits;
use ringway_shards::path::dispatch::Reception;
use ringway_shards::path::handoff::Handoffs;
use ringway_shards::shard::{Life, Shard, ShardConfig, Turn};
use ringway_shards::stats::{Figure, ShardStats};

use crate::network::Network;
use crate::world::SimWorld;

/// Queues looked at in one go.
const QUEUES_LISTED: u32 = 64;

/// Every shard of a plane, connected by the real rings.
pub struct ShardsUnderTest {
    shards: Vec<Shard<SimWorld>>,
}

impl ShardsUnderTest {
    /// Shards in a network that has one listener for each of them and a shared one after those.
    pub fn new(network: &Rc<RefCell<Network>>, count: usize) -> Self {
        let stats: Arc<[ShardStats]> = (0..count).map(|_| ShardStats::default()).collect();
        let handoffs = Handoffs::connect(count);
        let shard = |(number, handoffs)| {
            let mut listeners = vec![number];
            if number == 0 {
                listeners.push(count);
            }
            let config = config(number, count, listeners.len());
            let world = SimWorld::new(network.clone(), number, listeners);
            Shard::new(config, world, handoffs, stats.clone())
        };
        Self { shards: handoffs.into_iter().enumerate().map(shard).collect() }
    }

    /// Lets a shard do one turn; says whether it did anything.
    pub fn turn(&mut self, shard: usize) -> bool {
        self.shards[shard].turn() == Turn::Worked
    }

    /// Whether a turn would find something.
    pub fn has_work(&self, shard: usize) -> bool {
        self.shards[shard].has_work()
    }

    /// When a shard's next timer runs out.
    pub fn next_deadline(&self, shard: usize) -> Option<u64> {
        self.shards[shard].next_deadline()
    }

    /// Queues that hold messages, with how many are ready and leased.
    pub fn holding(&mut self) -> Vec<String> {
        let mut holding = Vec::new();
        for (number, shard) in self.shards.iter_mut().enumerate() {
            let mut from = Some(0);
            while let Some(slot) = from {
                from = shard.store().list(slot, QUEUES_LISTED, "", &mut |entry| {
                    let (ready, leased, name) = (entry.ready, entry.leased, entry.name);
                    if ready + leased > 0 {
                        holding.push(format!(
                            "{name} on shard {number}: {ready} ready, {leased} leased"
                        ));
                    }
                });
            }
            let messages = shard.messages();
            if holding.is_empty() && messages > 0 {
                holding.push(format!("no queue on shard {number}, which counts {messages}"));
            }
        }
        holding
    }

    /// What shards have counted of things that a test wants to have happened.
    pub fn figures(&self) -> Vec<(&'static str, u64)> {
        let of_all = |figure: fn(&ShardStats) -> &Figure| {
            self.shards.iter().map(|shard| figure(shard.stats()).get()).sum()
        };
        vec![
            ("batches between shards", of_all(|stats| &stats.handoffs_out)),
            ("rings between shards that were full", of_all(|stats| &stats.handoffs_full)),
            ("requests refused", of_all(|stats| &stats.refused)),
        ]
    }

    /// Tells every shard to go down.
    pub fn stop(&mut self) {
        self.shards.iter_mut().for_each(Shard::stop);
    }

    /// Whether every shard has gone down.
    pub fn have_stopped(&self) -> bool {
        self.shards.iter().all(|shard| shard.life() == Life::Stopped)
    }
}

fn config(shard: usize, count: usize, listeners: usize) -> ShardConfig {
    ShardConfig {
        shard,
        listeners: (0..listeners as u32).collect(),
        shared_listener: (shard == 0).then_some(1),
        connections_max: limits::CONNECTIONS_MAX,
        reception: Reception {
            token: Vec::new(),
            addresses: (0..count).map(|shard| format!("shard:{shard}")).collect(),
            heartbeat_ms: limits::HEARTBEAT_MS as u32,
            connection_puts_max: 0,
        },
        quotas: None,
        defaults: QueueOptions::default(),
        auto_declare: false,
        seed: 1,
        greeting_ms: limits::GREETING_MS,
        frame_ms: limits::FRAME_MS,
    }
}
