//! The two CPUs of a measurement: one for the server, one for what drives it.
//!
//! CPUs come from the set this process is allowed, never from absolute numbers, so that a cpuset or
//! an affinity mask is respected. With one allowed CPU everything still runs: both sides share it
//! and give it up to each other instead of spinning.

use serde::Serialize;
use thiserror::Error;

/// Where the server and the client of a measurement run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct CpuPair {
    /// The CPU of the server.
    pub server: usize,
    /// The CPU of the client.
    pub client: usize,
}

/// Why no pair of CPUs could be chosen.
#[derive(Debug, PartialEq, Eq, Error)]
pub enum CpuError {
    /// The kernel did not tell the allowed set.
    #[error("this host does not tell which CPUs the process may use")]
    Unknown,
    /// A CPU was named that the process may not use.
    #[error("CPU {asked} is not allowed here; allowed: {allowed:?}")]
    NotAllowed {
        /// The CPU that was asked for.
        asked: usize,
        /// Those that could be.
        allowed: Vec<usize>,
    },
}

impl CpuPair {
    /// The CPUs asked for, or the first two this thread may use.
    ///
    /// # Errors
    /// When the allowed set is unknown, or a CPU that was asked for is not in it.
    pub fn choose(server: Option<usize>, client: Option<usize>) -> Result<Self, CpuError> {
        let ids = core_affinity::get_core_ids().ok_or(CpuError::Unknown)?;
        let allowed: Vec<usize> = ids.iter().map(|core| core.id).collect();
        Self::from_allowed(&allowed, server, client)
    }

    fn from_allowed(
        allowed: &[usize],
        server: Option<usize>,
        client: Option<usize>,
    ) -> Result<Self, CpuError> {
        for asked in [server, client].into_iter().flatten() {
            if !allowed.contains(&asked) {
                return Err(CpuError::NotAllowed { asked, allowed: allowed.to_vec() });
            }
        }
        let first_but = |taken: Option<usize>| {
            let free = allowed.iter().copied().find(|cpu| Some(*cpu) != taken);
            free.or(allowed.first().copied()).ok_or(CpuError::Unknown)
        };
        let server = server.map_or_else(|| first_but(client), Ok)?;
        let client = client.map_or_else(|| first_but(Some(server)), Ok)?;
        Ok(Self { server, client })
    }

    /// Both sides run on one CPU, so neither may spin.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.server == self.client
    }

    /// One sentence for a person when the figures cannot mean what they should.
    #[must_use]
    pub fn warning(&self) -> Option<String> {
        self.is_shared().then(|| {
            format!(
                "server and client share CPU {}: the figures show a scheduler, not a floor",
                self.server
            )
        })
    }

    /// One round of waiting in a loop that polls.
    #[inline]
    pub(crate) fn pause(&self) {
        if self.is_shared() {
            std::thread::yield_now();
        } else {
            std::hint::spin_loop();
        }
    }
}

/// Pins the calling thread to `cpu`; false when the kernel refused.
pub fn pin_to(cpu: usize) -> bool {
    core_affinity::set_for_current(core_affinity::CoreId { id: cpu })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(allowed: &[usize], server: Option<usize>, client: Option<usize>, wanted: &str) {
        let got = match CpuPair::from_allowed(allowed, server, client) {
            Ok(pair) => format!("{} {}", pair.server, pair.client),
            Err(error) => error.to_string(),
        };
        assert_eq!(got, wanted, "allowed {allowed:?}, asked {server:?} {client:?}");
    }

    #[test]
    fn pairs_come_from_the_allowed_set() {
        check(&[0, 1], None, None, "0 1");
        check(&[4, 9, 11], None, None, "4 9");
        check(&[0, 1], Some(1), None, "1 0");
        check(&[0, 1], None, Some(0), "1 0");
        check(&[0, 1, 2], Some(2), Some(2), "2 2");
        check(&[3], None, None, "3 3");
        check(&[0, 1], Some(7), None, "CPU 7 is not allowed here; allowed: [0, 1]");
        check(&[], None, None, "this host does not tell which CPUs the process may use");
    }

    #[test]
    fn one_cpu_is_said_aloud() {
        assert!(CpuPair { server: 3, client: 3 }.warning().is_some());
        assert!(CpuPair { server: 3, client: 4 }.warning().is_none());
    }
}
