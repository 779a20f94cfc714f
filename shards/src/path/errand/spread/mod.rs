//! Queues that are spread over several shards: one logical queue, a part of it on each.
//!
//! A part is a queue like any other, of the same name, on its own shard: the first on the home
//! shard, which the name decides, the others on the shards that follow. The logical queue's id is
//! that of its first part, so a queue that is spread later keeps its id. Every shard knows which
//! ids are those of spread queues and where their parts are; the home shard tells of changes and
//! carries out everything that concerns all parts. Other shards pass that on to it once nothing
//! that their connection has put is still under way to a part (`relay`). No reply shows a part's
//! own id.
//!
//! | request | where it is carried out |
//! |---|---|
//! | put | on one part (`table` says which), or cut for several (`put`) |
//! | take | on the own shard's part, then on the others, then wherever messages come (`take`) |
//! | ack, nack, extend | on the shard that the lease's id names |
//! | stat, purge, pause, groups, remove | on all parts, and the answers are added up (`gather`) |
//! | declare, alter, delete | on all parts, and every shard is told (`make`, `remove`) |
//! | subscribe, credit, unsubscribe | on all parts, each with its share of the credit (`push`) |
//! | browse | on one part after the other (`browse`) |
//! | describe | on the first part |
//! | rename | not at all: it is refused |
//!
//! A put goes to the part of the connection's own shard if there is one, else to each in turn.
//! Messages with a key in a queue in order per key, and those with a deduplication id, go to the
//! part that it hashes to; a producer's numbered batches to the part that its id hashes to. Bounds,
//! windows of deduplication and counts of deliveries are each part's own.

mod browse;
mod gather;
mod make;
mod push;
mod put;
mod remove;
mod table;
mod take;

pub(super) use browse::{BrowsePart, part_of};
pub(super) use gather::Gather;
pub(super) use make::Make;
pub use make::{spread_of, spread_over};
pub(super) use push::SpreadPush;
pub(super) use put::SpreadPut;
pub use put::{Cursor, SplitPut};
pub(super) use remove::Remove;
pub use table::{Placing, Spread, Spreads};
pub(super) use take::SpreadTake;
