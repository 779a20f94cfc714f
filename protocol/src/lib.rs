//! Ringway's wire: bytes in, values out.
//!
//! No I/O, no unsafe, no allocation before a length is checked, no panic on any input. What is read
//! is read strictly: what this crate would not write itself, it refuses.
//!
//! A connection carries frames: a 16-byte [`Header`], then a body. [`frame`] cuts frames out of a
//! byte stream, [`request`] and [`reply`] give bodies their meaning, [`record`] is one message,
//! [`code`] names every outcome. `docs/protocol.md` specifies the same bytes for strangers.

mod attribute;
mod binding;
mod browse;
pub mod bytes;
pub mod code;
mod description;
mod figures;
pub mod frame;
pub mod greeting;
mod group;
pub mod id;
pub mod limits;
mod listing;
mod moving;
pub mod name;
pub mod options;
pub mod pattern;
mod push;
mod put;
pub mod record;
pub mod reply;
pub mod request;
mod settle;
mod take;

pub use code::{Code, Level, Rejection};
pub use frame::{Frame, HEADER_BYTES, Header, Kind, Split};
pub use id::{GroupId, LeaseId, QueueId, SubscriptionId};
pub use name::QueueName;
pub use options::{FullPolicy, PriorityOrder, QueueOptions, SpreadOrder};
pub use pattern::Pattern;
pub use record::{Attribute, Record, Records, Tags, Traits};
pub use reply::Reply;
pub use request::Request;
