//! Ringway's client: blocking connections, pipelines, and routing to the shard that owns a queue.
//!
//! - [`Client`]: one request, wait, one result. Start here.
//! - [`Subscription`]: messages that come as they are ready, over a [`Client`].
//! - [`IdempotentProducer`]: puts that are repeated until they are answered, and stored once.
//! - [`ShardedClient`]: a [`Client`] for each shard, chosen by queue.
//! - [`Pipeline`]: many requests in flight on one connection, for programs that count nanoseconds.
//!
//! It needs `ringway-protocol` and nothing of the server. Every error tells whether the connection
//! lives ([`Error::ends_connection`]) and whether the request may have been carried out
//! ([`Error::fate_unknown`]). Nothing is repeated behind the caller's back, but by
//! [`IdempotentProducer`]: putting again after an unknown fate may put twice, and only the caller
//! knows whether that matters.
//!
//! # What a client does
//!
//! - make, find, change, stop and remove queues: [`Client::declare`], [`open`](Client::open),
//!   [`alter`](Client::alter), [`pause`](Client::pause), [`rename`](Client::rename),
//!   [`purge`](Client::purge), [`delete`](Client::delete);
//! - put messages: [`Client::put`], or [`put_batch`](Client::put_batch) with a [`Batch`] of
//!   [`NewMessage`]s that have keys, delays, times to live, priorities, headers;
//! - get them, under a lease: [`Client::take`], [`Client::subscribe`];
//! - say what became of them: [`Client::ack`], [`nack_with`](Client::nack_with) and when to
//!   [`Retry`], [`extend`](Client::extend), or replace them by their results:
//!   [`transfer`](Client::transfer);
//! - let several kinds of consumers have each message: [`Client::create_group`],
//!   [`groups`](Client::groups);
//! - reach many queues by one name: [`Client::bind`], [`publish`](Client::publish);
//! - ask and wait for the answer: [`Client::request`], [`reply`](Client::reply);
//! - look, cancel, move, bring dead letters back: [`Client::browse`], [`peek`](Client::peek),
//!   [`remove`](Client::remove), [`move_messages`](Client::move_messages),
//!   [`redrive`](Client::redrive);
//! - count: [`Client::list`], [`stat_queue`](Client::stat_queue),
//!   [`stat_plane`](Client::stat_plane).
//!
//! # A worker
//!
//! ```no_run
//! use std::time::Duration;
//! use ringway_client::{Client, Error, Options, Retry, TakeOptions};
//!
//! fn work(payload: &[u8]) -> bool {
//!     !payload.is_empty()
//! }
//!
//! let mut client = Client::connect("127.0.0.1:7311", &Options::default())?;
//! let queue = client.declare("orders", None)?;
//! let some = TakeOptions {
//!     messages_max: 100,
//!     wait: Duration::from_secs(30),
//!     ..TakeOptions::default()
//! };
//! loop {
//!     let taken = client.take(queue, &some)?;
//!     for message in taken.messages() {
//!         if work(message.record.payload) {
//!             client.ack(&taken, &[message.range()])?;
//!         } else {
//!             client.nack_with(&taken, &[message.range()], Retry::BackOff)?;
//!         }
//!     }
//!     # break;
//! }
//! # Ok::<(), Error>(())
//! ```

mod batch;
mod chance;
mod client;
mod error;
mod figures;
mod inbox;
mod link;
mod new_message;
mod outbox;
mod pipeline;
mod placed;
mod producer;
mod pushes;
mod sharded;
mod taken;

pub use batch::Batch;
pub use client::{
    Answer, Bound, BrowseOptions, Browsed, CORRELATION, Client, Described, Extended, Listed,
    ListedGroup, MoveOptions, MovedAll, Paused, REPLY_TO, Renamed, Retry, SubscribeOptions,
    Subscription, TakeOptions, Transferred,
};
pub use error::Error;
pub use figures::FigureTable;
pub use inbox::Inbox;
pub use link::Options;
pub use new_message::{IntoBytes, NewMessage};
pub use outbox::{Outbox, Template};
pub use pipeline::Pipeline;
pub use placed::Placed;
pub use producer::IdempotentProducer;
pub use ringway_protocol::greeting::Welcome;
pub use ringway_protocol::reply::{Published, PutOutcome, PutRun, Removal, Settlement, Standing};
pub use ringway_protocol::request::{
    GroupFlags, HeaderFilter, MessageState, Producer, Range, Start, Take,
};
pub use ringway_protocol::{
    Attribute, Code, FullPolicy, GroupId, LeaseId, Level, PriorityOrder, QueueId, QueueOptions,
    Record, Reply, Request, SpreadOrder, SubscriptionId,
};
pub use sharded::ShardedClient;
pub use taken::{Message, Taken};
