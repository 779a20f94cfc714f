//! Messages that come without being asked for one by one.

use std::time::Duration;

use ringway_protocol::reply::Settlement;
use ringway_protocol::request::{Credit, Range, Subscribe};
use ringway_protocol::{GroupId, QueueId, Reply, Request, SubscriptionId};

use super::queues::done;
use super::{Client, Retry, milliseconds};
use crate::error::Error;
use crate::taken::Taken;

/// What a subscription asks for beside its queue. [`Default`] has up to 1,024 messages and 1 MiB
/// of the group `default` unsettled at a time, leased for as long as the queue says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SubscribeOptions {
    /// The group of consumers that it joins.
    pub group: GroupId,
    /// Most messages that are delivered and not settled; 1 to 65,536.
    pub messages: u32,
    /// Most bytes of records that are delivered and not settled, up to 8 MiB; 0 for 256 KiB.
    pub bytes: u32,
    /// Most messages of one delivery; 0 for 4,096, the most.
    pub batch_max: u32,
    /// How long the lease of a delivery lasts; zero for the queue's own.
    pub lease: Duration,
    /// Most messages a second; 0 for no limit.
    pub rate: u32,
}

impl Default for SubscribeOptions {
    fn default() -> Self {
        Self {
            group: GroupId::DEFAULT,
            messages: 1024,
            bytes: 1 << 20,
            batch_max: 0,
            lease: Duration::ZERO,
            rate: 0,
        }
    }
}

/// Messages of a group as they come, each delivery under a lease of its own.
///
/// The server sends as much as the subscription's credit allows and goes on as deliveries are
/// settled, so a consumer that stops to settle stops to get. It borrows its connection;
/// [`Subscription::client`] lends that for other requests, whose replies may pass deliveries.
///
/// So a [`Client`] has one subscription at a time. For several, connect once for each of them, as a
/// program with a thread for each would, or send [`Request::Subscribe`] and the credits yourself
/// over a [`Pipeline`](crate::Pipeline), which has as many as the server allows on one connection.
///
/// Dropping it unsubscribes: what was delivered and not settled comes back at once, to whoever is
/// next. The same happens when the connection ends.
///
/// ```no_run
/// use std::time::Duration;
/// use ringway_client::{Client, Options, SubscribeOptions};
///
/// let mut client = Client::connect("127.0.0.1:7311", &Options::default())?;
/// let queue = client.open("orders")?;
/// let mut subscription = client.subscribe(queue, &SubscribeOptions::default())?;
/// while let Some(delivery) = subscription.next(Duration::from_secs(60))? {
///     for message in delivery.messages() {
///         println!("{:?}", message.record.payload);
///     }
///     subscription.ack(&delivery, &[delivery.all()])?;
/// }
/// println!("a minute without a message; {} came back", subscription.unsubscribe()?);
/// # Ok::<(), ringway_client::Error>(())
/// ```
#[derive(Debug)]
pub struct Subscription<'c> {
    client: &'c mut Client,
    queue: QueueId,
    subscription: SubscriptionId,
    number: u32,
}

impl Client {
    /// Has a group's messages pushed as they come.
    pub fn subscribe(
        &mut self,
        queue: QueueId,
        options: &SubscribeOptions,
    ) -> Result<Subscription<'_>, Error> {
        let subscribe = Request::Subscribe(Subscribe {
            queue,
            group: options.group,
            messages: options.messages,
            bytes: options.bytes,
            batch_max: options.batch_max,
            lease_ms: milliseconds(options.lease),
            rate: options.rate,
        });
        self.link.usable()?;
        let number = self.next_number();
        self.link.outbox.request(&subscribe, number);
        let subscribed =
            self.link.exchange(subscribe.kind(), number, self.reply_timeout, |reply| {
                if let Reply::Subscribed { subscription } = reply {
                    Some(subscription)
                } else {
                    None
                }
            });
        let subscription = subscribed?;
        // Deliveries follow the reply, so none is read before this.
        self.link.pushes.begin(number, queue);
        Ok(Subscription { client: self, queue, subscription, number })
    }
}

impl Subscription<'_> {
    /// The next delivery, or `None` if none comes during `wait`; zero looks without waiting. When
    /// the server has ended the subscription, because its queue or group is gone, this says so
    /// after the last delivery.
    pub fn next(&mut self, wait: Duration) -> Result<Option<Taken>, Error> {
        if let Some(taken) = self.client.link.pushes.next(self.number)? {
            return Ok(Some(taken));
        }
        self.client.link.usable()?;
        self.client.link.await_push(self.number, wait)?;
        self.client.link.pushes.next(self.number)
    }

    /// The subscription's id.
    pub fn id(&self) -> SubscriptionId {
        self.subscription
    }

    /// The connection, for other requests: a transfer, a put, an extension of a lease.
    pub fn client(&mut self) -> &mut Client {
        self.client
    }

    /// Acknowledges ranges of a delivery, which gives their credit back.
    pub fn ack(&mut self, delivery: &Taken, ranges: &[Range]) -> Result<Settlement, Error> {
        self.client.ack(delivery, ranges)
    }

    /// Gives ranges of a delivery back, which gives their credit back, too.
    pub fn nack(
        &mut self,
        delivery: &Taken,
        ranges: &[Range],
        retry: Retry,
    ) -> Result<Settlement, Error> {
        self.client.nack_with(delivery, ranges, retry)
    }

    /// States anew how much may be delivered and not settled; 0 messages stop it for a while. What
    /// is on its way comes nevertheless.
    pub fn credit(&mut self, messages: u32, bytes: u32) -> Result<(), Error> {
        let (queue, subscription) = (self.queue, self.subscription);
        let credit = Credit { queue, subscription, messages, bytes };
        self.client.call(&Request::Credit(credit), done)
    }

    /// Ends the subscription and returns how many messages came back.
    pub fn unsubscribe(mut self) -> Result<u64, Error> {
        self.end()
    }

    fn end(&mut self) -> Result<u64, Error> {
        if !self.client.link.pushes.is_live(self.number) {
            self.client.link.pushes.end(self.number);
            return Ok(0);
        }
        let (queue, subscription) = (self.queue, self.subscription);
        let ended = self.client.call(&Request::Unsubscribe { queue, subscription }, |reply| {
            if let Reply::Unsubscribed(messages) = reply { Some(messages) } else { None }
        });
        // Nothing of it comes after that reply.
        self.client.link.pushes.end(self.number);
        ended
    }
}

impl Drop for Subscription<'_> {
    fn drop(&mut self) {
        // A connection that cannot say so any more ends the subscription by ending itself.
        if self.client.link.pushes.has(self.number) && self.client.is_usable() {
            let _ = self.end();
        }
    }
}
