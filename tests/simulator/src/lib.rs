//! Ringway's shards under a seed: network, clock and completion order are simulated, so a run can
//! be replayed.
//!
//! [`run`] plays one seed from start to verdict. [`network`] is everything outside the shards, with
//! the [`faults`] that the seed drew; [`world`] lets a shard see it as its own; [`scheduler`] gives
//! shards, kernels and clients their turns; [`ringway_checker`] has those clients and judges what
//! they saw; [`canary`] plants bugs that must be found. [`shards_under_test`] is the only place
//! that knows the shards themselves.

pub mod canary;
pub mod faults;
pub mod network;
pub mod run;
pub mod scheduler;
pub mod shards_under_test;
pub mod trace;
pub mod world;
