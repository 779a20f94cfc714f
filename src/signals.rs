//! SIGTERM and Ctrl-C: the first asks for a drain, the second ends the process at once.
//!
//! SIGPIPE needs nothing here: Rust programs ignore it, and a closed pipe is an error of its write.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::{flag, low_level};

/// The signals that ask for an end.
const ENDING: [i32; 2] = [SIGTERM, SIGINT];

/// The signals that end the program, caught since this was made.
pub struct Stop {
    signals: Signals,
}

impl Stop {
    /// Catches them from here on. One that comes before [`Stop::wait`] is not lost.
    pub fn catch() -> io::Result<Self> {
        let asked = Arc::new(AtomicBool::new(false));
        for signal in ENDING {
            // In this order: the first signal finds the flag down and raises it, the second ends
            // the process inside the handler, whatever the threads are doing.
            flag::register_conditional_shutdown(signal, 1, Arc::clone(&asked))?;
            flag::register(signal, Arc::clone(&asked))?;
        }
        Ok(Self { signals: Signals::new(ENDING)? })
    }

    /// Waits for the first one and names it.
    pub fn wait(&mut self) -> &'static str {
        let signal = self.signals.forever().next();
        signal.and_then(low_level::signal_name).unwrap_or("a signal")
    }
}
