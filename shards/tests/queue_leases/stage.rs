//! A store, its clock, and requests in few words.

use ringway_protocol::reply::{RangeVerdict, Settlement};
use ringway_protocol::request::{BACK_OFF, Put, Take};
use ringway_protocol::{Attribute, Code, GroupId, LeaseId, QueueId, QueueOptions, Records, record};
use ringway_shards::path::queue::{Store, StoreConfig, Stored, Taken};
use ringway_shards::world::Now;

use crate::support::{at, figure, put, records_in, settle, settle_with};

const MS: u64 = 1_000_000;
/// What the wall clock says at the start.
pub const START_MS: u64 = 1_700_000_000_000;

/// A store and its clock.
pub struct Stage {
    pub store: Store,
    pub now: Now,
}

/// A message that was delivered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    pub payload: String,
    pub deliveries: u32,
    /// Its headers whose names begin with `ringway-`, without that, as `name=value`.
    pub headers: Vec<String>,
}

impl Stage {
    pub fn new() -> Self {
        Self::seeded(1)
    }

    pub fn seeded(seed: u64) -> Self {
        let config = StoreConfig {
            shard: 0,
            defaults: QueueOptions::default(),
            queues_max: 100,
            leases_max: 100_000,
            waits_max: 1_000,
            seed,
        };
        let now = Now { wall_ms: START_MS, ..at(0) };
        let mut stage = Self { store: Store::new(config), now };
        stage.store.expire(now);
        stage
    }

    /// Lets time pass; a turn every millisecond, or at once after a long time.
    pub fn advance(&mut self, ms: u64) {
        self.now.ns += ms * MS;
        self.now.wall_ms += ms;
        (0..4).for_each(|_| self.store.expire(self.now));
    }

    pub fn declare(&mut self, name: &str, options: QueueOptions) -> QueueId {
        self.store.declare(name, Some(options)).expect("a queue").0
    }

    pub fn put(&mut self, queue: QueueId, payloads: &[&str]) {
        let with: Vec<_> = payloads.iter().map(|payload| (*payload, &[][..])).collect();
        self.put_with(queue, &with);
    }

    pub fn put_with(&mut self, queue: QueueId, messages: &[(&str, &[Attribute<'_>])]) {
        let bytes = encoded(messages);
        let records = Records::parse(&bytes, messages.len() as u32).expect("valid records");
        put(&mut self.store, queue, records, self.now).expect("there is room");
    }

    pub fn take(&mut self, queue: QueueId, messages_max: u32) -> (LeaseId, Vec<Message>) {
        self.take_of(queue, GroupId::DEFAULT, messages_max)
    }

    pub fn take_of(
        &mut self,
        queue: QueueId,
        group: GroupId,
        messages_max: u32,
    ) -> (LeaseId, Vec<Message>) {
        let mut taken = Taken::new();
        let take = take_of(queue, group, messages_max);
        self.store.take(&take, self.now, &mut taken).expect("a take");
        let mut messages = Vec::new();
        for run in &taken.runs {
            messages.extend(records_in(&run.slice).into_iter().map(|(record, _)| Message {
                payload: String::from_utf8_lossy(record.payload).into_owned(),
                deliveries: run.run.deliveries,
                headers: record.attributes().filter_map(said).collect(),
            }));
        }
        (taken.lease, messages)
    }

    /// The payloads that a take gets.
    pub fn payloads(&mut self, queue: QueueId, messages_max: u32) -> Vec<String> {
        let (_, messages) = self.take(queue, messages_max);
        messages.into_iter().map(|message| message.payload).collect()
    }

    pub fn ack(&mut self, queue: QueueId, lease: LeaseId, ranges: &[(u32, u32)]) -> Settlement {
        let (mut frame, mut verdicts) = (Vec::new(), Vec::<RangeVerdict>::new());
        let settle = settle(queue, lease, ranges, &mut frame);
        self.store.ack(&settle, self.now, &mut verdicts).expect("an acknowledgement")
    }

    /// Gives messages back as the queue's back-off says.
    pub fn nack(&mut self, queue: QueueId, lease: LeaseId, ranges: &[(u32, u32)]) -> u32 {
        self.nack_for(queue, lease, ranges, BACK_OFF)
    }

    pub fn nack_for(
        &mut self,
        queue: QueueId,
        lease: LeaseId,
        ranges: &[(u32, u32)],
        delay_ms: u32,
    ) -> u32 {
        let (mut frame, mut verdicts) = (Vec::new(), Vec::<RangeVerdict>::new());
        let settle = settle_with((queue, lease), ranges, Some(delay_ms), &mut frame);
        self.store.nack(&settle, self.now, &mut verdicts).expect("a nack").settled
    }

    /// Acknowledges and puts.
    pub fn transfer(
        &mut self,
        (queue, lease, ranges): (QueueId, LeaseId, &[(u32, u32)]),
        to: QueueId,
        payloads: &[&str],
    ) -> Result<u32, Code> {
        let messages: Vec<_> = payloads.iter().map(|payload| (*payload, &[][..])).collect();
        let bytes = encoded(&messages);
        let records = Records::parse(&bytes, messages.len() as u32).expect("valid records");
        let (mut frame, mut verdicts, mut stored) = (Vec::new(), Vec::new(), Stored::new());
        let settle = settle(queue, lease, ranges, &mut frame);
        let put = Put::new(to, records);
        let outcome = self.store.transfer(&settle, &put, self.now, &mut stored, &mut verdicts);
        outcome.map(|settlement| settlement.settled).map_err(|why| why.code)
    }

    pub fn figure(&self, queue: QueueId, column: &str) -> u64 {
        figure(&self.store.stat(queue, self.now).expect("the queue is there"), column)
    }

    /// Several figures at a time.
    pub fn figures<const N: usize>(&self, queue: QueueId, columns: [&str; N]) -> [u64; N] {
        columns.map(|column| self.figure(queue, column))
    }
}

pub fn take_of(queue: QueueId, group: GroupId, messages_max: u32) -> Take {
    let bytes_max = ringway_protocol::limits::FRAME_BYTES_MAX as u32;
    let (wait_ms, lease_ms, acknowledged) = (0, 0, false);
    Take { queue, messages_max, bytes_max, wait_ms, lease_ms, group, acknowledged }
}

fn encoded(messages: &[(&str, &[Attribute<'_>])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (payload, attributes) in messages {
        record::write(&mut bytes, attributes, payload.as_bytes());
    }
    bytes
}

/// What the server said in a header.
fn said(attribute: Attribute<'_>) -> Option<String> {
    let Attribute::Header { name, value } = attribute else { return None };
    let name = name.strip_prefix("ringway-")?;
    Some(format!("{name}={}", String::from_utf8_lossy(value)))
}
