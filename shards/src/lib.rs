//! Ringway's data plane: what the pinned cores run. No Tokio, no configuration files, no lock.
//!
//! Who may call whom: [`plane`] starts [`shard`]s; a shard's `turn()` calls the stages in [`path`]
//! in the order of a message's way; stages reach the outside only through [`world`]; [`machine`]
//! holds all unsafe code. A thread of an embedding program has a [`lane`].

pub mod lane;
pub mod limits;
pub mod machine;
pub mod path;
pub mod plane;
pub mod shard;
pub mod stats;
pub mod world;
