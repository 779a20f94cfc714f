//! The simple face: one request, wait, one result.

use std::time::Duration;

use ringway_protocol::frame::Kind;
use ringway_protocol::greeting::Welcome;
use ringway_protocol::limits::{FRAME_BYTES_MAX, LIST_ENTRIES_MAX};
use ringway_protocol::reply::{QUEUE_COLUMNS, Receipt, SHARD_COLUMNS, Settlement};
use ringway_protocol::request::{Range, Take};
use ringway_protocol::{
    Code, GroupId, LeaseId, QueueId, QueueName, QueueOptions, Rejection, Reply, Request,
};

use crate::batch::{Batch, Placed, Taken};
use crate::error::Error;
use crate::figures::FigureTable;
use crate::link::{Link, Options};

/// What a take asks for beside its queue. [`Default`] takes one message, does not wait, and leases
/// it for as long as the queue says.
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
            acknowledged: false,
        }
    }
}

/// A queue in a listing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Its id.
    pub queue: QueueId,
    /// Messages ready.
    pub ready: u64,
    /// Messages leased.
    pub leased: u64,
}

/// A blocking connection with one request in flight at a time.
///
/// ```no_run
/// use ringway_client::{Client, Options, TakeOptions};
///
/// let mut client = Client::connect("127.0.0.1:7311", &Options::default())?;
/// let queue = client.declare("orders", None)?;
/// client.put(queue, &["first", "second"])?;
/// let taken = client.take(queue, &TakeOptions { messages_max: 10, ..Default::default() })?;
/// for message in taken.messages() {
///     println!("{}: {:?}", message.sequence, message.record.payload);
/// }
/// client.ack(&taken, &[taken.all()])?;
/// # Ok::<(), ringway_client::Error>(())
/// ```
#[derive(Debug)]
pub struct Client {
    link: Link,
    welcome: Welcome,
    reply_timeout: Duration,
    number: u32,
}

impl Client {
    /// Connects to `host:port` and greets.
    pub fn connect(address: &str, options: &Options) -> Result<Self, Error> {
        let (link, welcome) = Link::connect(address, options)?;
        Ok(Self { link, welcome, reply_timeout: options.reply_timeout, number: 0 })
    }

    /// What the server said about itself: limits, and where its shards listen.
    pub fn welcome(&self) -> &Welcome {
        &self.welcome
    }

    /// Whether the connection can take another request.
    pub fn is_usable(&self) -> bool {
        self.link.usable().is_ok()
    }

    /// Makes a queue, or finds it there with the same options; `None` for the server's defaults.
    pub fn declare(&mut self, name: &str, options: Option<QueueOptions>) -> Result<QueueId, Error> {
        self.declare_new(name, options).map(|(queue, _)| queue)
    }

    /// Like [`Client::declare`]; also tells whether this request made the queue.
    pub fn declare_new(
        &mut self,
        name: &str,
        options: Option<QueueOptions>,
    ) -> Result<(QueueId, bool), Error> {
        check_name(name)?;
        self.call(&Request::Declare { name, options }, |reply| match reply {
            Reply::Declared { queue, created } => Some((queue, created)),
            _ => None,
        })
    }

    /// Turns a name into a queue's id.
    pub fn open(&mut self, name: &str) -> Result<QueueId, Error> {
        check_name(name)?;
        self.call(&Request::Open { name }, |reply| match reply {
            Reply::Opened { queue } => Some(queue),
            _ => None,
        })
    }

    /// Puts messages without attributes: all of them or none.
    pub fn put<P: AsRef<[u8]>>(&mut self, queue: QueueId, payloads: &[P]) -> Result<Placed, Error> {
        self.put_batch(queue, &Batch::of(payloads)?)
    }

    /// Puts a batch: all of it or nothing.
    pub fn put_batch(&mut self, queue: QueueId, batch: &Batch) -> Result<Placed, Error> {
        if batch.is_empty() {
            return Err(invalid(Code::Malformed, "a put has at least one message"));
        }
        self.link.usable()?;
        let number = self.next_number();
        self.link.outbox.put(queue, batch, number);
        self.link.exchange(Kind::Put, number, self.reply_timeout, |reply| match reply {
            Reply::Put(Receipt { first_sequence, count, level, .. }) if count == batch.count() => {
                Some(Placed { first_sequence, count, level })
            }
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
            group: GroupId::DEFAULT,
            acknowledged: options.acknowledged,
        };
        let timeout = self.reply_timeout.saturating_add(options.wait);
        self.call_within(timeout, &Request::Take(take), |reply| match reply {
            Reply::Delivery(delivery) => Some(Taken::new(queue, &delivery)),
            _ => None,
        })
    }

    /// Acknowledges ranges of a delivery. Repeating it is harmless: the messages count as stale.
    pub fn ack(&mut self, taken: &Taken, ranges: &[Range]) -> Result<Settlement, Error> {
        self.settle(Kind::Ack, taken.queue, taken.lease, ranges)
    }

    /// Gives ranges of a delivery back: they become ready at once.
    pub fn nack(&mut self, taken: &Taken, ranges: &[Range]) -> Result<Settlement, Error> {
        self.settle(Kind::Nack, taken.queue, taken.lease, ranges)
    }

    /// Like [`Client::ack`], for a lease that another connection or program took.
    pub fn ack_lease(
        &mut self,
        queue: QueueId,
        lease: LeaseId,
        ranges: &[Range],
    ) -> Result<Settlement, Error> {
        self.settle(Kind::Ack, queue, lease, ranges)
    }

    /// Like [`Client::nack`], for a lease that another connection or program took.
    pub fn nack_lease(
        &mut self,
        queue: QueueId,
        lease: LeaseId,
        ranges: &[Range],
    ) -> Result<Settlement, Error> {
        self.settle(Kind::Nack, queue, lease, ranges)
    }

    fn settle(
        &mut self,
        kind: Kind,
        queue: QueueId,
        lease: LeaseId,
        ranges: &[Range],
    ) -> Result<Settlement, Error> {
        if ranges.is_empty() {
            return Err(invalid(Code::Malformed, "an acknowledgement names at least one range"));
        }
        self.link.usable()?;
        let number = self.next_number();
        match kind {
            Kind::Ack => self.link.outbox.ack(queue, lease, ranges, number),
            _ => self.link.outbox.nack(queue, lease, ranges, number),
        }
        self.link.exchange(kind, number, self.reply_timeout, |reply| match reply {
            Reply::Settled(settlement, _) => Some(settlement),
            _ => None,
        })
    }

    /// The figures of one queue, one row.
    pub fn stat_queue(&mut self, queue: QueueId) -> Result<FigureTable, Error> {
        self.stat(Some(queue), &QUEUE_COLUMNS)
    }

    /// The figures of the plane, one row a shard.
    pub fn stat_plane(&mut self) -> Result<FigureTable, Error> {
        self.stat(None, &SHARD_COLUMNS)
    }

    fn stat(
        &mut self,
        queue: Option<QueueId>,
        columns: &'static [&'static str],
    ) -> Result<FigureTable, Error> {
        self.call(&Request::Stat { queue }, |reply| match reply {
            Reply::Figures(figures) => Some(FigureTable::new(columns, figures.rows().collect())),
            _ => None,
        })
    }

    /// Every queue whose name starts with `prefix`, page by page.
    pub fn list(&mut self, prefix: &str) -> Result<Vec<Listed>, Error> {
        let (mut listed, mut cursor) = (Vec::new(), 0);
        loop {
            let page = Request::List { cursor, limit: LIST_ENTRIES_MAX, prefix };
            let next = self.call(&page, |reply| {
                let Reply::Page { next_cursor, entries } = reply else { return None };
                listed.extend(entries.iter().map(|entry| Listed {
                    name: entry.name.to_owned(),
                    queue: entry.queue,
                    ready: entry.ready,
                    leased: entry.leased,
                }));
                Some(next_cursor)
            })?;
            match next {
                0 => return Ok(listed),
                next if next == cursor => {
                    let stuck = Error::Protocol("the pages of a listing do not end");
                    return self.link.note(Err(stuck));
                }
                next => cursor = next,
            }
        }
    }

    /// Drops every ready message and returns how many there were.
    pub fn purge(&mut self, queue: QueueId) -> Result<u64, Error> {
        self.call(&Request::Purge { queue }, removed)
    }

    /// Removes a queue and returns how many messages went with it.
    pub fn delete(&mut self, queue: QueueId) -> Result<u64, Error> {
        self.call(&Request::Delete { queue }, removed)
    }

    /// Asks whether the server is there.
    pub fn ping(&mut self) -> Result<(), Error> {
        self.call(&Request::Ping, |reply| matches!(reply, Reply::Pong).then_some(()))
    }

    /// Sends bytes and returns what came back: the same bytes.
    pub fn echo(&mut self, body: &[u8]) -> Result<Vec<u8>, Error> {
        if body.len() > FRAME_BYTES_MAX {
            return Err(invalid(Code::TooLarge, "the body does not fit a frame of 1 MiB"));
        }
        self.call(&Request::Echo(body), |reply| match reply {
            Reply::Echo(body) => Some(body.to_vec()),
            _ => None,
        })
    }

    fn call<T>(
        &mut self,
        request: &Request<'_>,
        read: impl FnOnce(Reply<'_>) -> Option<T>,
    ) -> Result<T, Error> {
        self.call_within(self.reply_timeout, request, read)
    }

    fn call_within<T>(
        &mut self,
        timeout: Duration,
        request: &Request<'_>,
        read: impl FnOnce(Reply<'_>) -> Option<T>,
    ) -> Result<T, Error> {
        self.link.usable()?;
        let number = self.next_number();
        self.link.outbox.request(request, number);
        self.link.exchange(request.kind(), number, timeout, read)
    }

    fn next_number(&mut self) -> u32 {
        self.number = self.number.wrapping_add(1);
        self.number
    }
}

fn removed(reply: Reply<'_>) -> Option<u64> {
    if let Reply::Removed(messages) = reply { Some(messages) } else { None }
}

/// Whole milliseconds, rounded up: a short time must not become the 0 that means something else.
fn milliseconds(time: Duration) -> u32 {
    u32::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u32::MAX)
}

fn check_name(name: &str) -> Result<(), Error> {
    QueueName::check(name.as_bytes()).map(|_| ()).map_err(Error::Invalid)
}

#[cold]
fn invalid(code: Code, sentence: &'static str) -> Error {
    Error::Invalid(Rejection::new(code, sentence))
}
