//! What the connections of one thread share: the queues with their encoded requests, the books, and
//! what the stage is about.

use ringway_client::{Request, Take, Template};
use ringway_protocol::{GroupId, QueueId};

use crate::load::books::Account;
use crate::load::control::Task;
use crate::load::settings::{Acknowledge, Operation, Settings};
use crate::load::tally::Tally;

/// A queue as a thread uses it, with its requests already encoded.
pub struct Target {
    /// The queue.
    pub queue: QueueId,
    /// A put of a whole batch.
    pub put: Template,
    /// A take of a whole batch.
    pub take: Template,
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
    /// Their books, by the same index.
    pub accounts: Vec<Account>,
    /// What is counted.
    pub tally: Tally,
    /// Messages of a whole take.
    pub batch: u32,
    /// Whether messages are taken under a lease.
    pub leased: bool,
    /// Bytes of a payload.
    pub size: usize,
    /// The echo of one payload.
    pub echo: Template,
    put_batch: u32,
    take_bytes: u32,
}

impl Ledger {
    /// Encodes the requests of a run on these queues, of a plane of so many shards.
    pub fn new(
        settings: &Settings,
        queues: &[QueueId],
        shards: usize,
    ) -> Result<Self, ringway_client::Error> {
        let payload = vec![0x5a; settings.size];
        let put_batch = settings.put_batch();
        let mut batch = ringway_client::Batch::default();
        if settings.operation != Operation::Echo {
            (0..put_batch).try_for_each(|_| batch.push(&[], &payload))?;
        }
        let mut ledger = Self {
            operation: settings.operation,
            task: Task::Run,
            restart: false,
            now_ns: 0,
            progress: 0,
            targets: Vec::new(),
            accounts: vec![Account::default(); queues.len()],
            tally: Tally { by_shard: vec![0; shards], ..Tally::default() },
            put_batch,
            batch: settings.batch,
            leased: settings.acknowledge == Acknowledge::Lease,
            echo: Template::new(&Request::Echo(&payload)),
            take_bytes: (u64::from(settings.batch) * settings.record_bytes()) as u32,
            size: settings.size,
        };
        ledger.targets = (queues.iter())
            .map(|queue| Target {
                queue: *queue,
                put: Template::put(*queue, &batch),
                take: Template::new(&Request::Take(ledger.take(*queue, settings.batch))),
            })
            .collect();
        Ok(ledger)
    }

    /// A take of so many messages.
    pub fn take(&self, queue: QueueId, messages_max: u32) -> Take {
        let acknowledged = !self.leased;
        let (bytes_max, group) = (self.take_bytes, GroupId::DEFAULT);
        Take { queue, messages_max, bytes_max, wait_ms: 0, lease_ms: 0, group, acknowledged }
    }

    /// Messages that a slot's next round moves.
    pub fn round(&self) -> u32 {
        match self.task {
            Task::Fill(_) => self.put_batch,
            _ => self.batch,
        }
    }
}
