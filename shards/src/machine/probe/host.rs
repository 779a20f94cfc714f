//! What the host says about itself, read once and judged elsewhere.

use super::{Finding, Severity};
use std::fs;

/// `CAP_IPC_LOCK`: the limit on locked memory does not apply.
const CAP_IPC_LOCK: u32 = 14;
/// `CAP_SYS_ADMIN`: passes `kernel.io_uring_disabled` = 1.
const CAP_SYS_ADMIN: u32 = 21;

/// What the checks look at. Every part that cannot be read is as on an unrestricted host.
#[derive(Clone, Debug, Default)]
pub struct Host {
    /// As `uname -r`.
    pub release: String,
    /// As `/proc/version`.
    pub banner: String,
    /// The sysctl `kernel.io_uring_disabled`; kernels before 6.6 have none.
    pub io_uring_disabled: u32,
    /// Whether a seccomp filter is on this thread.
    pub is_filtered: bool,
    /// The effective capabilities, as bits.
    pub capabilities: u64,
    /// Whether capabilities count for the whole host and not only for a user namespace.
    pub in_initial_namespace: bool,
    /// `RLIMIT_MEMLOCK` in bytes; `None` for no limit.
    pub memlock_bytes: Option<u64>,
    /// `RLIMIT_NOFILE`: what it is now, and what the process may raise it to.
    pub descriptors: (u64, u64),
}

impl Host {
    /// Reads it all for the calling thread.
    pub fn read() -> Self {
        let text = |path: &str| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
        let status = text("/proc/thread-self/status");
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_default().trim().to_owned()
        };
        let (memlock, _) = limit(libc::RLIMIT_MEMLOCK);
        let (descriptors, descriptors_max) = limit(libc::RLIMIT_NOFILE);
        Self {
            release: text("/proc/sys/kernel/osrelease"),
            banner: text("/proc/version"),
            io_uring_disabled: text("/proc/sys/kernel/io_uring_disabled").parse().unwrap_or(0),
            is_filtered: field("Seccomp:") == "2",
            capabilities: u64::from_str_radix(&field("CapEff:"), 16).unwrap_or(0),
            in_initial_namespace: is_identity(&text("/proc/self/uid_map")),
            memlock_bytes: memlock,
            descriptors: (descriptors.unwrap_or(u64::MAX), descriptors_max.unwrap_or(u64::MAX)),
        }
    }

    /// Whether the limit on locked memory does not apply.
    pub fn may_lock(&self) -> bool {
        self.in_initial_namespace && self.capabilities & 1 << CAP_IPC_LOCK != 0
    }

    /// Whether `kernel.io_uring_disabled` = 1 does not apply.
    pub fn is_administrator(&self) -> bool {
        self.in_initial_namespace && self.capabilities & 1 << CAP_SYS_ADMIN != 0
    }

    /// Whether this is gVisor, which plays an old kernel with a fixed date.
    pub fn is_gvisor(&self) -> bool {
        self.release.starts_with("4.4.0") && self.banner.contains("Sun Jan 10 15:06:54 PST 2016")
    }

    /// Whether this is Windows' Linux.
    pub fn is_wsl(&self) -> bool {
        self.release.to_ascii_lowercase().contains("microsoft")
    }

    /// Findings about the kind of host.
    pub fn advice(&self) -> Option<Finding> {
        self.is_wsl().then(|| {
            let found = Finding::good("kind of host", "WSL", "Linux on hardware or in a VM");
            let remedy = "it works for trying out; timers and network are those of a guest of \
                          Windows, and its kernel is updated by `wsl --update`";
            found.but(Severity::Advice, remedy)
        })
    }
}

/// Whether a map of user ids is that of the initial namespace.
fn is_identity(map: &str) -> bool {
    map.is_empty() || map.split_whitespace().eq(["0", "0", "4294967295"])
}

/// A resource limit: soft and hard, `None` for none.
pub fn limit(resource: libc::__rlimit_resource_t) -> (Option<u64>, Option<u64>) {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is valid for one rlimit, which the kernel only writes.
    let result = unsafe { libc::getrlimit(resource, &raw mut limit) };
    assert_eq!(result, 0, "getrlimit fails only for resources that do not exist");
    let bounded = |value| (value != libc::RLIM_INFINITY).then_some(value);
    (bounded(limit.rlim_cur), bounded(limit.rlim_max))
}
