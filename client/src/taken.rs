//! Messages on their way out: what a take or a subscription brings.

use ringway_protocol::record;
use ringway_protocol::reply::{Delivery, Run};
use ringway_protocol::request::Range;
use ringway_protocol::{LeaseId, QueueId, Record};

/// Messages that were taken, with the lease that they are under.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Taken {
    /// The queue that they came from.
    pub queue: QueueId,
    /// The lease; [`LeaseId::NONE`] if nothing came or it was acknowledged at once.
    pub lease: LeaseId,
    /// How long the lease lasts from the time of the reply, in milliseconds.
    pub lease_ms: u32,
    /// Messages of the group that a full queue dropped since the group's last delivery.
    pub dropped: u32,
    runs: Vec<Run>,
    records: Vec<u8>,
    count: u32,
}

/// One message of a delivery.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Message<'a> {
    /// Its place in the lease's batch: what ranges of an acknowledgement count.
    pub index: u32,
    /// Its sequence in the queue; with the queue's id it names the message.
    pub sequence: u64,
    /// How often it has been delivered, this time included.
    pub deliveries: u32,
    /// Its payload and attributes.
    pub record: Record<'a>,
}

impl<'a> Message<'a> {
    /// The range that names this message alone in an acknowledgement.
    pub fn range(&self) -> Range {
        Range { first: self.index, count: 1 }
    }

    /// The value of the first header of that name.
    pub fn header(&self, name: &str) -> Option<&'a [u8]> {
        self.record.headers().find(|(header, _)| *header == name).map(|(_, value)| value)
    }
}

impl Taken {
    /// Copies a delivery out of the receive buffer.
    pub(crate) fn new(queue: QueueId, delivery: &Delivery<'_>) -> Self {
        Self {
            queue,
            lease: delivery.lease,
            lease_ms: delivery.lease_ms,
            dropped: delivery.dropped,
            runs: delivery.runs().collect(),
            records: delivery.records.map_or(Vec::new(), |records| records.as_bytes().to_vec()),
            count: delivery.count(),
        }
    }

    /// How many messages came.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Whether none came: the queue was empty for as long as the take waited.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The range that names all of them in an acknowledgement.
    pub fn all(&self) -> Range {
        Range { first: 0, count: self.count }
    }

    /// The message of an index, counted from 0.
    pub fn message(&self, index: u32) -> Option<Message<'_>> {
        self.messages().nth(index as usize)
    }

    /// The messages in the order of delivery.
    pub fn messages(&self) -> impl Iterator<Item = Message<'_>> {
        let places = self.runs.iter().flat_map(|run| {
            (0..u64::from(run.count)).map(|index| (run.first_sequence + index, run.deliveries))
        });
        let mut rest = self.records.as_slice();
        let records = std::iter::from_fn(move || {
            let (record, after) = record::first(rest)?;
            rest = after;
            Some(record)
        });
        (0..).zip(places.zip(records)).map(|(index, ((sequence, deliveries), record))| Message {
            index,
            sequence,
            deliveries,
            record,
        })
    }
}
