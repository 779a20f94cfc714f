//! The simple face: one request, wait, one result.
//!
//! The requests stand by theme in the files below; this one connects, sends and waits.

mod bindings;
mod browsing;
mod groups;
mod moving;
mod queues;
mod renaming;
mod requests;
mod settling;
mod subscribing;
mod traffic;

use std::time::Duration;

use ringway_protocol::greeting::Welcome;
use ringway_protocol::{Code, QueueName, Rejection, Reply, Request};

use crate::error::Error;
use crate::link::{Link, Options};
use requests::{Askers, ReplyQueue};

pub use bindings::Bound;
pub use browsing::{BrowseOptions, Browsed};
pub use groups::ListedGroup;
pub use moving::{MoveOptions, MovedAll};
pub use queues::{Described, Listed, Paused};
pub use renaming::Renamed;
pub use requests::{Answer, CORRELATION, REPLY_TO};
pub use settling::{Extended, Retry, Transferred};
pub use subscribing::{SubscribeOptions, Subscription};
pub use traffic::TakeOptions;

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
    held_timeout: Duration,
    number: u32,
    /// Where answers to this connection's requests arrive, once it asked for one.
    reply_queue: Option<ReplyQueue>,
    /// Where answers go that this connection gave.
    askers: Askers,
}

impl Client {
    /// Connects to `host:port` and greets.
    pub fn connect(address: &str, options: &Options) -> Result<Self, Error> {
        let (link, welcome) = Link::connect(address, options)?;
        Ok(Self {
            link,
            welcome,
            reply_timeout: options.reply_timeout,
            held_timeout: options.held_timeout,
            number: 0,
            reply_queue: None,
            askers: Askers::new(),
        })
    }

    /// What the server said about itself: limits, and where its shards listen.
    pub fn welcome(&self) -> &Welcome {
        &self.welcome
    }

    /// Whether the connection can take another request.
    pub fn is_usable(&self) -> bool {
        self.link.usable().is_ok()
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

    /// Asks for page after page until the cursor that `read` returns is 0.
    fn pages<'r>(
        &mut self,
        request: impl Fn(u64) -> Request<'r>,
        mut read: impl FnMut(Reply<'_>) -> Option<u64>,
    ) -> Result<(), Error> {
        let mut cursor = 0;
        loop {
            match self.call(&request(cursor), &mut read)? {
                0 => return Ok(()),
                next if next == cursor => {
                    let stuck = Error::Protocol("the pages of a listing do not end");
                    return self.link.note(Err(stuck));
                }
                next => cursor = next,
            }
        }
    }

    /// A number that no subscription has.
    fn next_number(&mut self) -> u32 {
        loop {
            self.number = self.number.wrapping_add(1);
            if !self.link.pushes.has(self.number) {
                return self.number;
            }
        }
    }
}

/// Whole milliseconds, rounded up: a short time must not become the 0 that means something else.
fn milliseconds(time: Duration) -> u32 {
    u32::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u32::MAX)
}

fn check_name(name: &str) -> Result<(), Error> {
    QueueName::check(name.as_bytes()).map(|_| ()).map_err(Error::Invalid)
}

/// Ranges that an acknowledgement can carry: at least one, and no more than a lease has use for.
fn check_ranges(ranges: &[ringway_protocol::request::Range]) -> Result<(), Error> {
    if ranges.is_empty() {
        return Err(invalid(Code::Malformed, "an acknowledgement names at least one range"));
    }
    if ranges.len() > ringway_protocol::limits::RANGES_MAX as usize {
        return Err(invalid(Code::Malformed, "an acknowledgement names at most 2,048 ranges"));
    }
    Ok(())
}

#[cold]
fn invalid(code: Code, sentence: &'static str) -> Error {
    Error::Invalid(Rejection::new(code, sentence))
}
