//! What the connections of one thread share: the queues with their encoded requests, the books, and
//! what the stage is about.

use std::collections::VecDeque;

use ringway_client::{Outbox, Request, Take, Template};
use ringway_protocol::request::Producer;
use ringway_protocol::{GroupId, QueueId};

use crate::load::books::Account;
use crate::load::control::Task;
use crate::load::nacks::Nacks;
use crate::load::plan::RunQueue;
use crate::load::puts::Puts;
use crate::load::settings::{Acknowledge, Operation, Settings};
use crate::load::tally::{Measured, Tally};

/// A queue as a thread uses it, with its requests already encoded.
pub struct Target {
    /// The queue.
    pub queue: QueueId,
    /// Puts of a whole batch.
    pub puts: Puts,
    /// Its groups, and a take of a whole batch from each.
    pub groups: Vec<(GroupId, Template)>,
    /// When what was put and not pushed yet was sent, and how much.
    pub awaited: VecDeque<(u64, u32)>,
    /// Which of the puts is next.
    turn: usize,
}

impl Target {
    /// Appends the next put.
    #[inline]
    pub fn send_put(&mut self, producer: &mut Producer, outbox: &mut Outbox, number: u32) {
        self.puts.send(self.turn, producer, outbox, number);
        self.turn = if self.turn + 1 < self.puts.turns() { self.turn + 1 } else { 0 };
    }
}

/// What all connections of a thread share.
pub struct Ledger {
    /// The run's operation.
    pub operation: Operation,
    /// What this stage does.
    pub task: Task,
    /// Whether a slot that is done begins again by itself: a closed loop that is not told to stop.
    pub restart: bool,
    /// When the replies at hand were read, in nanoseconds.
    pub now_ns: u64,
    /// Replies that brought something about: any but a take that found nothing.
    pub progress: u64,
    /// Every queue of the run.
    pub targets: Vec<Target>,
    /// The books of each group of each queue: those of a queue lie next to each other.
    pub accounts: Vec<Account>,
    /// What is counted.
    pub tally: Tally,
    /// Messages of a whole take.
    pub batch: u32,
    /// Groups of each queue.
    pub groups: u32,
    /// Whether messages are taken under a lease.
    pub leased: bool,
    /// Which messages are given back, if any.
    pub nacks: Option<Nacks>,
    /// Whether messages are pushed, and how many may be on their way through the queues then.
    pub pushed: Option<Pushed>,
    /// Bytes of a payload.
    pub size: usize,
    /// The echo of one payload.
    pub echo: Template,
    put_batch: u32,
    take_bytes: u32,
    take_wait_ms: u32,
}

/// Messages on their way through the queues of a thread that has them pushed.
#[derive(Clone, Copy, Debug)]
pub struct Pushed {
    /// Put, or about to be, and not acknowledged yet.
    pub under_way: u64,
    /// Most that may be under way.
    pub under_way_max: u64,
}

impl Ledger {
    /// Encodes the requests of a run on these queues, of a plane of so many shards. The thread
    /// drives so many connections.
    pub fn new(
        settings: &Settings,
        queues: &[RunQueue],
        shards: usize,
        connections: usize,
    ) -> Result<Self, ringway_client::Error> {
        let payload = vec![0x5a; settings.size];
        let batch = u64::from(settings.batch);
        let under_way_max = connections as u64 * u64::from(settings.pipeline) * batch;
        let groups = settings.work.groups;
        let mut ledger = Self {
            operation: settings.operation,
            task: Task::Run,
            restart: false,
            now_ns: 0,
            progress: 0,
            targets: Vec::new(),
            accounts: vec![Account::default(); queues.len() * groups as usize],
            tally: Tally { by_shard: vec![0; shards], ..Tally::default() },
            put_batch: settings.put_batch(),
            batch: settings.batch,
            groups,
            leased: settings.acknowledge == Acknowledge::Lease,
            nacks: Nacks::new(settings.work.nack_percent),
            pushed: settings.work.subscribe.then_some(Pushed { under_way: 0, under_way_max }),
            echo: Template::new(&Request::Echo(&payload)),
            take_bytes: (batch * settings.record_bytes()) as u32,
            take_wait_ms: settings.work.take_wait_ms(),
            size: settings.size,
        };
        for RunQueue { id: queue, groups } in queues {
            let take = |group| Request::Take(ledger.take(*queue, group, settings.batch));
            let groups = groups.iter().map(|group| (*group, Template::new(&take(*group))));
            ledger.targets.push(Target {
                queue: *queue,
                groups: groups.collect(),
                puts: Puts::new(settings, *queue)?,
                awaited: VecDeque::new(),
                turn: 0,
            });
        }
        Ok(ledger)
    }

    /// A take of so many messages.
    pub fn take(&self, queue: QueueId, group: GroupId, messages_max: u32) -> Take {
        Take {
            queue,
            messages_max,
            bytes_max: self.take_bytes,
            wait_ms: self.take_wait_ms,
            lease_ms: 0,
            group,
            acknowledged: !self.leased,
        }
    }

    /// Messages that a slot's next round moves.
    pub fn round(&self) -> u32 {
        match self.task {
            Task::Fill(_) => self.put_batch,
            _ => self.batch,
        }
    }

    /// The books of each group of a queue.
    #[inline]
    pub fn accounts_of(&mut self, target: u32) -> &mut [Account] {
        let groups = self.groups as usize;
        &mut self.accounts[target as usize * groups..][..groups]
    }

    /// Whether another round may begin, as far as what is under way goes.
    #[inline]
    pub fn has_room(&self) -> bool {
        let batch = u64::from(self.batch);
        self.pushed.is_none_or(|pushed| pushed.under_way + batch <= pushed.under_way_max)
    }

    /// A put of `count` messages was sent, where they are pushed.
    #[inline]
    pub fn put_sent(&mut self, target: u32, sent_ns: u64, count: u32) {
        if let Some(pushed) = &mut self.pushed {
            pushed.under_way += u64::from(count);
            self.targets[target as usize].awaited.push_back((sent_ns, count));
        }
    }

    /// So many of a queue's messages were pushed: the oldest puts have come through.
    pub fn push_came(&mut self, target: u32, mut count: u32) {
        let Self { targets, tally, now_ns, .. } = self;
        let awaited = &mut targets[target as usize].awaited;
        while let Some((sent_ns, left)) = awaited.front_mut().filter(|_| count > 0) {
            let came = count.min(*left);
            if tally.recording {
                tally.latencies.note(Measured::Push, *sent_ns, *now_ns);
            }
            (*left, count) = (*left - came, count - came);
            if *left == 0 {
                awaited.pop_front();
            }
        }
    }

    /// A put was refused: nothing of it will be pushed.
    #[cold]
    pub fn put_refused(&mut self, target: u32, sent_ns: u64, count: u32) {
        self.came_through(u64::from(count));
        let awaited = &mut self.targets[target as usize].awaited;
        if let Some(at) = awaited.iter().position(|(other_ns, _)| *other_ns == sent_ns) {
            awaited.remove(at);
        }
    }

    /// What is under way was not pushed for too long. Returns how many messages that are.
    #[cold]
    pub fn give_up_pushes(&mut self) -> u64 {
        self.targets.iter_mut().for_each(|target| target.awaited.clear());
        self.pushed.as_mut().map_or(0, |pushed| std::mem::take(&mut pushed.under_way))
    }

    /// So many messages are no longer under way.
    #[inline]
    pub fn came_through(&mut self, count: u64) {
        if let Some(pushed) = &mut self.pushed {
            pushed.under_way = pushed.under_way.saturating_sub(count);
        }
    }

    /// Messages under way in queues whose messages are pushed.
    pub fn under_way(&self) -> u64 {
        self.pushed.map_or(0, |pushed| pushed.under_way)
    }
}
