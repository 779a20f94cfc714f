//! Messages in and out: puts, with and without a producer's numbers, and takes.

use std::time::Duration;

use ringway_protocol::frame::Kind;
use ringway_protocol::limits::FRAME_BYTES_MAX;
use ringway_protocol::request::{PUT_PREFIX_BYTES, Producer, Take};
use ringway_protocol::{Code, GroupId, QueueId, Reply, Request};

use super::{Client, invalid, milliseconds};
use crate::batch::Batch;
use crate::error::Error;
use crate::placed::Placed;
use crate::taken::Taken;

/// What stands before the records of a put with a producer: his number and sequence, too.
const PRODUCER_PUT_BYTES: usize = PUT_PREFIX_BYTES + 16;

/// What a take asks for beside its queue. [`Default`] takes one message for the group `default`,
/// does not wait, and leases it for as long as the queue says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TakeOptions {
    /// Most messages to return; 1 to 4,096.
    pub messages_max: u32,
    /// Most bytes of records to return; 0 for the server's 256 KiB.
    pub bytes_max: u32,
    /// How long to wait for the first message; zero answers at once.
    pub wait: Duration,
    /// How long the lease lasts; zero for the queue's own.
    pub lease: Duration,
    /// The group of consumers that takes.
    pub group: GroupId,
    /// Whether the messages are acknowledged as they leave, without a lease.
    pub acknowledged: bool,
}

impl Default for TakeOptions {
    fn default() -> Self {
        Self {
            messages_max: 1,
            bytes_max: 0,
            wait: Duration::ZERO,
            lease: Duration::ZERO,
            group: GroupId::DEFAULT,
            acknowledged: false,
        }
    }
}

impl Client {
    /// Puts messages without attributes: all of them or none.
    pub fn put<P: AsRef<[u8]>>(&mut self, queue: QueueId, payloads: &[P]) -> Result<Placed, Error> {
        self.put_batch(queue, &Batch::of(payloads)?)
    }

    /// Puts a batch: all of it or nothing.
    ///
    /// Into a full queue that holds its producers back, this waits for room as long as the queue
    /// allows, and as long as [`Options::held_timeout`](crate::Options) allows: the latter must not
    /// be the shorter one.
    ///
    /// ```no_run
    /// use std::time::Duration;
    /// use ringway_client::{Batch, Client, NewMessage, Options};
    ///
    /// let mut client = Client::connect("127.0.0.1:7311", &Options::default())?;
    /// let queue = client.declare("orders", None)?;
    /// let mut batch = Batch::default();
    /// batch.add(&NewMessage::new("now").key("customer-3"))?;
    /// batch.add(&NewMessage::new("in an hour").delay(Duration::from_secs(3600)))?;
    /// let placed = client.put_batch(queue, &batch)?;
    /// for (sequence, outcome) in placed.messages() {
    ///     println!("{sequence} {outcome:?}");
    /// }
    /// # Ok::<(), ringway_client::Error>(())
    /// ```
    pub fn put_batch(&mut self, queue: QueueId, batch: &Batch) -> Result<Placed, Error> {
        self.put_any(queue, None, batch)
    }

    /// Puts a batch whose producer numbers its messages: a repeat within the queue's window of
    /// deduplication stores nothing, and is answered as the first one was. A queue that was
    /// declared without one stores every repeat, and says nothing of it.
    ///
    /// [`IdempotentProducer`](crate::IdempotentProducer) keeps the numbers.
    pub fn put_as(
        &mut self,
        queue: QueueId,
        producer: Producer,
        batch: &Batch,
    ) -> Result<Placed, Error> {
        self.put_any(queue, Some(producer), batch)
    }

    fn put_any(
        &mut self,
        queue: QueueId,
        producer: Option<Producer>,
        batch: &Batch,
    ) -> Result<Placed, Error> {
        check_batch(batch, producer)?;
        self.link.usable()?;
        let number = self.next_number();
        match producer {
            Some(producer) => self.link.outbox.put_as(queue, producer, batch, number),
            None => self.link.outbox.put(queue, batch, number),
        }
        let timeout = self.reply_timeout.saturating_add(self.held_timeout);
        self.link.exchange(Kind::Put, number, timeout, |reply| match reply {
            Reply::Put(receipt) if receipt.count == batch.count() => Some(Placed::new(&receipt)),
            _ => None,
        })
    }

    /// Takes messages. An empty result means that the queue stayed empty during the wait.
    pub fn take(&mut self, queue: QueueId, options: &TakeOptions) -> Result<Taken, Error> {
        let take = Take {
            queue,
            messages_max: options.messages_max,
            bytes_max: options.bytes_max,
            wait_ms: milliseconds(options.wait),
            lease_ms: milliseconds(options.lease),
            group: options.group,
            acknowledged: options.acknowledged,
        };
        let timeout = self.reply_timeout.saturating_add(options.wait);
        self.call_within(timeout, &Request::Take(take), |reply| match reply {
            Reply::Delivery(delivery) => Some(Taken::new(queue, &delivery)),
            _ => None,
        })
    }
}

/// A batch that a put can carry: it has a message, and room for its producer's numbers.
pub(super) fn check_batch(batch: &Batch, producer: Option<Producer>) -> Result<(), Error> {
    if batch.is_empty() {
        return Err(invalid(Code::Malformed, "a put has at least one message"));
    }
    if producer.is_some_and(|it| it.sequence.checked_add(batch.count().into()).is_none()) {
        return Err(invalid(Code::Malformed, "a producer's sequence ends past the last number"));
    }
    if producer.is_some() && batch.as_bytes().len() + PRODUCER_PUT_BYTES > FRAME_BYTES_MAX {
        return Err(invalid(Code::TooLarge, "the batch does not fit a frame with its producer"));
    }
    Ok(())
}
