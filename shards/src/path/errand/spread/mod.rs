//! Queues that are spread over several shards: one logical queue, a part of it on each.
//!
//! A part is a queue like any other, of the same name, on its own shard: the first on the home
//! shard, which the name decides, the others on the shards that follow. The logical queue's id is
//! that of its first part, so a queue that is spread later keeps its id. Every shard knows which
//! ids are those of spread queues and where their parts are; the home shard tells of changes and
//! carries out everything that concerns all parts.
//!
//! | request | where it is carried out |
//! |---|---|
//! | put | on one part: the connection's own shard's if there is one, else in turn; in order per key, each message on the part that its key hashes to (`put`) |
//! | take | on the own shard's part, then on the others in turn while they have nothing; a take that waits waits on all of them (`take`) |
//! | ack, nack, extend | on the shard that the lease's id names |
//! | stat, purge, pause, groups, ... | on all parts, and the answers are added up (`gather`) |
//! | declare, alter, delete | on all parts, and every shard is told (`make`, `remove`) |

mod gather;
mod make;
mod put;
mod remove;
mod table;
mod take;

pub(super) use gather::Gather;
pub(super) use make::Make;
pub use make::{spread_of, spread_over};
pub(super) use put::SpreadPut;
pub use put::{Cursor, SplitPut, some_of};
pub(super) use remove::Remove;
pub use table::{Placing, Spread, Spreads};
pub(super) use take::SpreadTake;
