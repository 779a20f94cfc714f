//! Messages on their way in, [`Batch`], and on their way out, [`Taken`].

use ringway_protocol::frame::HEADER_BYTES;
use ringway_protocol::limits::{FRAME_BYTES_MAX, PAYLOAD_BYTES_MAX};
use ringway_protocol::record::{self, Attribute};
use ringway_protocol::reply::{Delivery, Run};
use ringway_protocol::request::Range;
use ringway_protocol::{Code, LeaseId, QueueId, Record, Records, Rejection};

use crate::error::Error;

/// Most bytes of records that one put can carry.
const RECORDS_BYTES_MAX: usize = FRAME_BYTES_MAX - HEADER_BYTES;

/// Messages to put together: all of them or none. Reusable after [`Batch::clear`].
#[derive(Clone, Debug, Default)]
pub struct Batch {
    records: Vec<u8>,
    count: u32,
}

impl Batch {
    /// A batch of these payloads.
    pub fn of<P: AsRef<[u8]>>(payloads: &[P]) -> Result<Self, Error> {
        let mut batch = Self::default();
        payloads.iter().try_for_each(|payload| batch.push(&[], payload.as_ref()))?;
        Ok(batch)
    }

    /// Adds a message. [`Error::Invalid`] if it or the batch would be larger than its limit; the
    /// batch then stays as it was.
    pub fn push(&mut self, attributes: &[Attribute<'_>], payload: &[u8]) -> Result<(), Error> {
        let too_large = |sentence| Err(Error::Invalid(Rejection::new(Code::TooLarge, sentence)));
        if payload.len() > PAYLOAD_BYTES_MAX {
            return too_large("a message is longer than 64 KiB");
        }
        let before = self.records.len();
        record::write(&mut self.records, attributes, payload);
        if let Err(rejection) = Records::parse(&self.records[before..], 1) {
            self.records.truncate(before);
            return Err(Error::Invalid(rejection));
        }
        if self.records.len() > RECORDS_BYTES_MAX {
            self.records.truncate(before);
            return too_large("the batch does not fit a frame of 1 MiB");
        }
        self.count += 1;
        Ok(())
    }

    /// How many messages it has.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Whether it has no message.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The messages in wire format.
    pub fn as_bytes(&self) -> &[u8] {
        &self.records
    }

    /// Drops the messages and keeps the memory.
    pub fn clear(&mut self) {
        self.records.clear();
        self.count = 0;
    }
}

/// Where a batch went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Placed {
    /// The sequence of the batch's first message in its queue; the others follow without a gap.
    pub first_sequence: u64,
    /// How many messages were put.
    pub count: u32,
    /// What the acknowledgement means.
    pub level: ringway_protocol::Level,
}

/// Messages that were taken, with the lease that they are under.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Taken {
    /// The queue that they came from.
    pub queue: QueueId,
    /// The lease; [`LeaseId::NONE`] if nothing came or it was acknowledged at once.
    pub lease: LeaseId,
    /// How long the lease lasts from the time of the reply, in milliseconds.
    pub lease_ms: u32,
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

impl Taken {
    /// Copies a delivery out of the receive buffer.
    pub(crate) fn new(queue: QueueId, delivery: &Delivery<'_>) -> Self {
        Self {
            queue,
            lease: delivery.lease,
            lease_ms: delivery.lease_ms,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_refuses_what_no_server_takes_and_stays_as_it_was() {
        let mut batch = Batch::of(&["one", "two"]).unwrap();
        let before = batch.as_bytes().to_vec();
        assert!(matches!(
            batch.push(&[], &[0; PAYLOAD_BYTES_MAX + 1]),
            Err(Error::Invalid(Rejection { code: Code::TooLarge, .. }))
        ));
        assert!(matches!(batch.push(&[Attribute::Key(b"")], b"x"), Err(Error::Invalid(_))));
        assert_eq!((batch.count(), batch.as_bytes()), (2, before.as_slice()));
        while batch.push(&[], &[0; PAYLOAD_BYTES_MAX]).is_ok() {}
        assert!(batch.count() == 17 && batch.as_bytes().len() <= RECORDS_BYTES_MAX);
    }
}
