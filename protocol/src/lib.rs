//! Ringway's wire: bytes in, values out.
//!
//! No I/O, no unsafe, no allocation before a length is checked, no panic on any input. What is read
//! is read strictly: what this crate would not write itself, it refuses.
//!
//! A connection carries frames: a 16-byte [`Header`], then a body. [`frame`] cuts frames out of a
//! byte stream, [`request`] and [`reply`] give bodies their meaning, [`record`] is one message,
//! [`code`] names every outcome. `docs/protocol.md` specifies the same bytes for strangers.

pub mod bytes;
pub mod code;
mod figures;
pub mod frame;
pub mod greeting;
pub mod id;
pub mod limits;
mod listing;
pub mod name;
pub mod options;
pub mod record;
pub mod reply;
pub mod request;
mod settle;
mod take;

pub use code::{Code, Level, Rejection};
pub use frame::{Frame, HEADER_BYTES, Header, Kind, Split};
pub use id::{LeaseId, QueueId};
pub use name::QueueName;
pub use options::{FullPolicy, QueueOptions};
pub use record::{Attribute, Record, Records};
pub use reply::Reply;
pub use request::Request;
