//! Deliveries that come without being asked for, puts that wait for room, one active consumer: on
//! whole planes of one shard and more, with real threads and real sockets.
//!
//! Every client is connected to the first shard, so that queues of the others are reached through
//! the rings between shards.

mod active;
mod credit;
mod ends;
mod held;
mod peer;
mod promises;
mod streams;
