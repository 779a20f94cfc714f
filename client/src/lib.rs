//! Ringway's client: blocking connections, pipelines, and routing to the shard that owns a queue.
//!
//! - [`Client`]: one request, wait, one result. Start here.
//! - [`ShardedClient`]: a [`Client`] for each shard, chosen by queue.
//! - [`Pipeline`]: many requests in flight on one connection, for programs that count nanoseconds.
//!
//! It needs `ringway-protocol` and nothing of the server. Every error tells whether the connection
//! lives ([`Error::ends_connection`]) and whether the request may have been carried out
//! ([`Error::fate_unknown`]). Nothing is repeated behind the caller's back: putting again after an
//! unknown fate may put twice, and only the caller knows whether that matters.

mod batch;
mod client;
mod connection;
mod error;
mod figures;
mod link;
mod pipeline;
mod sharded;

pub use batch::{Batch, Message, Placed, Taken};
pub use client::{Client, Listed, TakeOptions};
pub use connection::{Inbox, Outbox, Template};
pub use error::Error;
pub use figures::FigureTable;
pub use link::Options;
pub use pipeline::Pipeline;
pub use ringway_protocol::greeting::Welcome;
pub use ringway_protocol::reply::Settlement;
pub use ringway_protocol::request::{Range, Take};
pub use ringway_protocol::{
    Attribute, Code, FullPolicy, LeaseId, Level, QueueId, QueueOptions, Record, Reply, Request,
};
pub use sharded::ShardedClient;
