//! One message, in order: the alphabetical order of the files is the order of execution.
//!
//! `accept` a connection, keep its `connection` state, `decode` its bytes, `dispatch` each frame to
//! its owner, by a `handoff` where that is another shard and by an `errand` where it is several,
//! note the change in the `journal`,
//! `perform` the request on a `queue`, `reply`.

pub mod accept;
pub mod bindings;
pub mod connection;
pub mod decode;
pub mod dispatch;
pub mod errand;
pub mod handoff;
pub mod journal;
pub mod origin;
pub mod perform;
pub mod queue;
pub mod reply;
