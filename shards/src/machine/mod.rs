//! The machine under a shard: everything that needs `unsafe` or that only Linux knows.
//!
//! This folder is the one place in the crate where `unsafe` is allowed; each block carries its
//! SAFETY sentence. A message's way reaches the machine only through `world.rs`.
#![allow(unsafe_code)]

pub mod affinity;
pub mod buffer_rings;
pub mod cgroup;
pub mod clock;
pub mod doorbell;
pub mod executor;
pub mod linux;
pub mod listeners;
pub mod memory;
mod parked;
pub mod probe;
pub mod ring;
pub mod wheel;

#[cfg(test)]
mod alone;
#[cfg(test)]
mod seccomp;

/// What `parked.rs` is built from; its model puts loom's here.
mod atomics {
    pub use std::sync::atomic::{AtomicBool, Ordering, fence};
}
