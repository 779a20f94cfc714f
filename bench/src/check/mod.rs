//! `ringway load --check`: load whose every message is judged.
//!
//! The clients are those of the simulator, over real sockets: they number their puts and repeat
//! them after an unknown outcome, give messages back, let leases run out, break connections in the
//! middle of a frame and come back. At the end all queues are emptied and the checker judges the
//! history. One thread does everything, so that the history has one order; that, and the memory of
//! the history, is why a checked load is slow and bounded.

mod report;
mod run;
mod sockets;

use std::time::Duration;

pub use report::CheckReport;
pub use run::run;

/// What a checked run is asked to do.
#[derive(Clone, Debug)]
pub struct CheckSettings {
    /// Where the server listens, `host:port`.
    pub address: String,
    /// The access token; empty for none.
    pub token: String,
    /// Clients; each has one connection at a time.
    pub clients: usize,
    /// Messages after which nothing new is asked for.
    pub messages_max: u64,
    /// Time after which nothing new is asked for.
    pub duration: Duration,
    /// What the queues' names start with.
    pub queue_prefix: String,
    /// What the queues are like and how the clients behave follows from it.
    pub seed: u64,
    /// Leave the queues on the server afterwards.
    pub keep: bool,
}
