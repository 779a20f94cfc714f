//! Ringway's shards under a seed: network, clock and completion order are simulated, so a run can be replayed.
//!
//! [`network`] is everything outside the shards, with the [`faults`] that the seed drew; [`world`] lets a shard see
//! it as its own; [`checker`] judges what clients saw; [`canary`] plants bugs that must be found.

pub mod canary;
pub mod chance;
pub mod checker;
pub mod faults;
pub mod network;
pub mod trace;
pub mod world;
