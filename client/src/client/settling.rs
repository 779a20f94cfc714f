//! What becomes of messages under a lease: done, given back, kept longer, replaced by results.

use std::time::Duration;

use ringway_protocol::frame::Kind;
use ringway_protocol::limits::FRAME_BYTES_MAX;
use ringway_protocol::reply::Settlement;
use ringway_protocol::request::{BACK_OFF, DEAD_LETTER, Producer, Range};
use ringway_protocol::{Code, LeaseId, QueueId, Reply, Request};

use super::traffic::check_batch;
use super::{Client, check_ranges, invalid, milliseconds};
use crate::batch::Batch;
use crate::error::Error;
use crate::placed::Placed;
use crate::taken::Taken;

/// When messages that are given back are delivered again.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Retry {
    /// As the queue's back-off says; at once where it has none.
    #[default]
    BackOff,
    /// After this time, rounded up to a millisecond.
    After(Duration),
    /// Never: they become dead letters at once, with the reason `rejected`.
    Never,
}

impl Retry {
    fn delay_ms(self) -> u32 {
        match self {
            Retry::BackOff => BACK_OFF,
            // Neither of the two numbers that mean something else.
            Retry::After(time) => milliseconds(time).clamp(BACK_OFF + 1, DEAD_LETTER - 1),
            Retry::Never => DEAD_LETTER,
        }
    }
}

/// A lease after it was extended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Extended {
    /// How long it lasts from now, in milliseconds.
    pub lease_ms: u32,
    /// How many of its messages are not settled.
    pub unsettled: u32,
}

/// What became of an acknowledgement together with a put.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Transferred {
    /// What became of the acknowledgement.
    pub settlement: Settlement,
    /// Where the results went.
    pub placed: Placed,
}

impl Client {
    /// Acknowledges ranges of a delivery. Repeating it is harmless: the messages count as stale.
    pub fn ack(&mut self, taken: &Taken, ranges: &[Range]) -> Result<Settlement, Error> {
        self.ack_lease(taken.queue, taken.lease, ranges)
    }

    /// Gives ranges of a delivery back, to be delivered again as the queue's back-off says.
    pub fn nack(&mut self, taken: &Taken, ranges: &[Range]) -> Result<Settlement, Error> {
        self.nack_with(taken, ranges, Retry::BackOff)
    }

    /// Gives ranges of a delivery back, and says when they are delivered again.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use ringway_client::{Client, Options, Retry, TakeOptions};
    /// # let mut client = Client::connect("127.0.0.1:7311", &Options::default())?;
    /// # let queue = client.open("orders")?;
    /// let taken = client.take(queue, &TakeOptions::default())?;
    /// for message in taken.messages() {
    ///     let retry = match message.record.payload {
    ///         b"" => Retry::Never,
    ///         _ => Retry::After(Duration::from_secs(5)),
    ///     };
    ///     client.nack_with(&taken, &[message.range()], retry)?;
    /// }
    /// # Ok::<(), ringway_client::Error>(())
    /// ```
    pub fn nack_with(
        &mut self,
        taken: &Taken,
        ranges: &[Range],
        retry: Retry,
    ) -> Result<Settlement, Error> {
        self.nack_lease_with((taken.queue, taken.lease), ranges, retry)
    }

    /// Like [`Client::ack`], for a lease that another connection or program took.
    pub fn ack_lease(
        &mut self,
        queue: QueueId,
        lease: LeaseId,
        ranges: &[Range],
    ) -> Result<Settlement, Error> {
        check_ranges(ranges)?;
        self.link.usable()?;
        let number = self.next_number();
        self.link.outbox.ack(queue, lease, ranges, number);
        self.link.exchange(Kind::Ack, number, self.reply_timeout, settled)
    }

    /// Like [`Client::nack`], for a lease that another connection or program took.
    pub fn nack_lease(
        &mut self,
        queue: QueueId,
        lease: LeaseId,
        ranges: &[Range],
    ) -> Result<Settlement, Error> {
        self.nack_lease_with((queue, lease), ranges, Retry::BackOff)
    }

    /// Like [`Client::nack_with`], for a lease that another connection or program took.
    pub fn nack_lease_with(
        &mut self,
        lease: (QueueId, LeaseId),
        ranges: &[Range],
        retry: Retry,
    ) -> Result<Settlement, Error> {
        check_ranges(ranges)?;
        self.link.usable()?;
        let number = self.next_number();
        self.link.outbox.nack_after(lease, ranges, retry.delay_ms(), number);
        self.link.exchange(Kind::Nack, number, self.reply_timeout, settled)
    }

    /// Makes the lease of a delivery last so long from now; zero for the queue's own time.
    /// [`Code::NoSuchLease`] if it has ended.
    pub fn extend(&mut self, taken: &Taken, lease: Duration) -> Result<Extended, Error> {
        self.extend_lease(taken.queue, taken.lease, lease)
    }

    /// Like [`Client::extend`], for a lease that another connection or program took.
    pub fn extend_lease(
        &mut self,
        queue: QueueId,
        lease: LeaseId,
        time: Duration,
    ) -> Result<Extended, Error> {
        let lease_ms = milliseconds(time);
        self.call(&Request::Extend { queue, lease, lease_ms }, |reply| match reply {
            Reply::Extended { lease_ms, unsettled } => Some(Extended { lease_ms, unsettled }),
            _ => None,
        })
    }

    /// Acknowledges ranges of a delivery and puts their results into a queue, in one request.
    ///
    /// Where both queues live on one shard, both happen or neither: if any of the messages is not
    /// under the lease any more the answer is [`Code::Stale`], and a put that is refused
    /// acknowledges nothing. On two shards the put comes first; `settlement` then says how many
    /// acknowledgements came too late, and their results may be there twice.
    ///
    /// ```no_run
    /// # use ringway_client::{Batch, Client, Options, TakeOptions};
    /// # let mut client = Client::connect("127.0.0.1:7311", &Options::default())?;
    /// # let (orders, invoices) = (client.open("orders")?, client.open("invoices")?);
    /// let taken = client.take(orders, &TakeOptions::default())?;
    /// if !taken.is_empty() {
    ///     let results = Batch::of(&["the invoice"])?;
    ///     client.transfer(&taken, &[taken.all()], invoices, &results)?;
    /// }
    /// # Ok::<(), ringway_client::Error>(())
    /// ```
    pub fn transfer(
        &mut self,
        taken: &Taken,
        ranges: &[Range],
        queue: QueueId,
        results: &Batch,
    ) -> Result<Transferred, Error> {
        self.transfer_lease((taken.queue, taken.lease), ranges, (queue, None), results)
    }

    /// Like [`Client::transfer`], for a lease that another connection or program took, and
    /// optionally with a producer who numbers the results, so that a repeat stores none twice.
    pub fn transfer_lease(
        &mut self,
        lease: (QueueId, LeaseId),
        ranges: &[Range],
        to: (QueueId, Option<Producer>),
        results: &Batch,
    ) -> Result<Transferred, Error> {
        check_ranges(ranges)?;
        check_batch(results, to.1)?;
        // The header, both prefixes, a producer, the ranges.
        if results.as_bytes().len() + ranges.len() * 8 + 72 > FRAME_BYTES_MAX {
            return Err(invalid(Code::TooLarge, "the results do not fit a frame of 1 MiB"));
        }
        self.link.usable()?;
        let number = self.next_number();
        self.link.outbox.transfer(lease, ranges, to, results, number);
        self.link.exchange(Kind::Transfer, number, self.reply_timeout, |reply| match reply {
            Reply::Transferred(settlement, receipt) => {
                Some(Transferred { settlement, placed: Placed::new(&receipt) })
            }
            _ => None,
        })
    }
}

fn settled(reply: Reply<'_>) -> Option<Settlement> {
    if let Reply::Settled(settlement, _) = reply { Some(settlement) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_never_becomes_a_number_that_means_something_else() {
        assert_eq!(Retry::After(Duration::ZERO).delay_ms(), 1);
        assert_eq!(Retry::After(Duration::from_micros(1500)).delay_ms(), 2);
        assert_eq!(Retry::After(Duration::MAX).delay_ms(), DEAD_LETTER - 1);
        assert_eq!((Retry::BackOff.delay_ms(), Retry::Never.delay_ms()), (0, u32::MAX));
    }
}
