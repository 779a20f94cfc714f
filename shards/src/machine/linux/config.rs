//! What a shard's world is made from, and why it may not be made.

use super::ReceiveMode;
use crate::limits;
use std::io;
use thiserror::Error;

/// Sizes of a shard's ring and buffers, and how it receives.
#[derive(Clone, Debug)]
pub struct LinuxConfig {
    /// Entries of the submission queue; a power of two.
    pub submission_entries: u32,
    /// Entries of the completion queue; a power of two, not below the other.
    pub completion_entries: u32,
    /// Small receive buffers; a power of two.
    pub small_buffers: u16,
    /// Bytes of each.
    pub small_buffer_bytes: usize,
    /// Large receive buffers; a power of two.
    pub large_buffers: u16,
    /// Bytes of each.
    pub large_buffer_bytes: usize,
    /// What the probe has found usable.
    pub receive: ReceiveMode,
}

impl LinuxConfig {
    /// What `limits.rs` says.
    pub const DEFAULT: Self = Self {
        submission_entries: limits::SUBMISSION_ENTRIES,
        completion_entries: limits::COMPLETION_ENTRIES,
        small_buffers: limits::SMALL_BUFFERS,
        small_buffer_bytes: limits::SMALL_BUFFER_BYTES,
        large_buffers: limits::LARGE_BUFFERS,
        large_buffer_bytes: limits::LARGE_BUFFER_BYTES,
        receive: ReceiveMode::Multishot,
    };
}

impl Default for LinuxConfig {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Why a shard's world could not be made. The probe, which ran before, explains most causes.
#[derive(Debug, Error)]
pub enum StartError {
    /// io_uring itself.
    #[error("cannot make a shard's io_uring ring: {0}; see `ringway doctor`")]
    Ring(io::Error),
    /// The doorbell at the ring.
    #[error("cannot register a shard's doorbell with its ring: {0}")]
    Doorbell(io::Error),
    /// Memory for receive buffers, or their registration.
    #[error("cannot make a shard's receive buffers: {0}; see `ringway doctor`")]
    Buffers(io::Error),
}
