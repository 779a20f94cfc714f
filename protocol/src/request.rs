//! What a client asks for.

mod decode;
mod encode;

use crate::bytes::Reader;
use crate::code::Rejection;
use crate::frame::Kind;
use crate::greeting::Greet;
use crate::id::{LeaseId, QueueId, SubscriptionId};
use crate::options::QueueOptions;

pub use crate::binding::{Binding, Publish, publish_prefix};
pub use crate::browse::{Browse, MessageState, Sequences, encode_remove};
pub use crate::group::{ChangeGroup, DEFAULT_GROUP_NAME, GroupFlags, GroupOperation, Start};
pub use crate::moving::{HeaderFilter, Move, Transfer, encode_transfer};
pub use crate::push::{Credit, Subscribe};
pub use crate::put::{PUT_PREFIX_BYTES, Producer, Put, put_prefix};
pub use crate::settle::{BACK_OFF, DEAD_LETTER, Range, Ranges, Settle, encode_nack, encode_settle};
pub use crate::take::Take;

/// Every request of version 1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Request<'a> {
    /// Agree on a version; always first.
    Greet(Greet<'a>),
    /// Make a queue, or find that it is there with the same options.
    Declare {
        /// A valid name.
        name: &'a str,
        /// Its options; `None` for the server's defaults.
        options: Option<QueueOptions>,
    },
    /// Turn a name into an id.
    Open {
        /// A valid name.
        name: &'a str,
    },
    /// Add a batch: all of it or nothing.
    Put(Put<'a>),
    /// Get messages.
    Take(Take),
    /// Messages are done.
    Ack(Settle<'a>),
    /// Messages are given back.
    Nack(Settle<'a>),
    /// Counters of a queue, or of the plane's shards.
    Stat {
        /// `None` for the plane.
        queue: Option<QueueId>,
    },
    /// A page of the plane's queues.
    List {
        /// 0 for the first page, then what the last page returned.
        cursor: u64,
        /// Most entries; 1 to 1,024.
        limit: u32,
        /// Only names that start so; empty for all.
        prefix: &'a str,
    },
    /// Drop every ready message.
    Purge {
        /// The queue.
        queue: QueueId,
    },
    /// Remove a queue and all its messages.
    Delete {
        /// The queue.
        queue: QueueId,
    },
    /// Is anybody there?
    Ping,
    /// The body comes back.
    Echo(&'a [u8]),
    /// How much a subscription may have unsettled from now on.
    Credit(Credit),
    /// Change a queue's options.
    Alter {
        /// The queue.
        queue: QueueId,
        /// All of its options from now on.
        options: QueueOptions,
    },
    /// Make a lease last longer.
    Extend {
        /// The queue that the lease belongs to.
        queue: QueueId,
        /// The lease.
        lease: LeaseId,
        /// How long it lasts from now, in milliseconds; 0 for the queue's own. At most 12 h.
        lease_ms: u32,
    },
    /// Have messages pushed as they come.
    Subscribe(Subscribe),
    /// End a subscription.
    Unsubscribe {
        /// The queue.
        queue: QueueId,
        /// The subscription.
        subscription: SubscriptionId,
    },
    /// Make, change or remove a group of consumers.
    Group(ChangeGroup<'a>),
    /// The groups of a queue with their figures.
    Groups {
        /// The queue.
        queue: QueueId,
    },
    /// Look at messages without taking them.
    Browse(Browse),
    /// Remove messages by their sequences.
    Remove {
        /// The queue.
        queue: QueueId,
        /// Which messages; 1 to 1,024.
        sequences: Sequences<'a>,
    },
    /// Move messages from one queue to another.
    Move(Move<'a>),
    /// Acknowledge messages and put their results in one step.
    Transfer(Transfer<'a>),
    /// Give a queue what is published under names that match a pattern.
    Bind(Binding<'a>),
    /// Take a pattern back.
    Unbind(Binding<'a>),
    /// A page of the plane's bindings.
    Bindings {
        /// 0 for the first page, then what the last page returned.
        cursor: u64,
        /// Most entries; 1 to 1,024.
        limit: u32,
    },
    /// Put a batch to every queue with a matching binding.
    Publish(Publish<'a>),
    /// Give a queue another name.
    Rename {
        /// The queue.
        queue: QueueId,
        /// Its name from now on.
        name: &'a str,
    },
    /// Stop or resume a queue's puts and takes.
    Pause {
        /// The queue.
        queue: QueueId,
        /// Whether puts are refused.
        puts: bool,
        /// Whether takes get nothing.
        takes: bool,
    },
    /// The options of a queue, and its name.
    Describe {
        /// The queue.
        queue: QueueId,
    },
}

impl Request<'_> {
    /// The kind of frame that carries this request.
    pub fn kind(&self) -> Kind {
        match self {
            Request::Greet(_) => Kind::Greet,
            Request::Declare { .. } => Kind::Declare,
            Request::Open { .. } => Kind::Open,
            Request::Put(_) => Kind::Put,
            Request::Take(_) => Kind::Take,
            Request::Ack(_) => Kind::Ack,
            Request::Nack(_) => Kind::Nack,
            Request::Stat { .. } => Kind::Stat,
            Request::List { .. } => Kind::List,
            Request::Purge { .. } => Kind::Purge,
            Request::Delete { .. } => Kind::Delete,
            Request::Ping => Kind::Ping,
            Request::Echo(_) => Kind::Echo,
            Request::Credit(_) => Kind::Credit,
            Request::Alter { .. } => Kind::Alter,
            Request::Extend { .. } => Kind::Extend,
            Request::Subscribe(_) => Kind::Subscribe,
            Request::Unsubscribe { .. } => Kind::Unsubscribe,
            Request::Group(_) => Kind::Group,
            Request::Groups { .. } => Kind::Groups,
            Request::Browse(_) => Kind::Browse,
            Request::Remove { .. } => Kind::Remove,
            Request::Move(_) => Kind::Move,
            Request::Transfer(_) => Kind::Transfer,
            Request::Bind(_) => Kind::Bind,
            Request::Unbind(_) => Kind::Unbind,
            Request::Bindings { .. } => Kind::Bindings,
            Request::Publish(_) => Kind::Publish,
            Request::Rename { .. } => Kind::Rename,
            Request::Pause { .. } => Kind::Pause,
            Request::Describe { .. } => Kind::Describe,
        }
    }
}

/// A queue's id, which is never 0.
#[inline]
pub(crate) fn queue_id(reader: &mut Reader<'_>) -> Result<QueueId, Rejection> {
    match reader.u64()? {
        0 => Err(Rejection::malformed("a queue's id is never 0")),
        id => Ok(QueueId(id)),
    }
}
