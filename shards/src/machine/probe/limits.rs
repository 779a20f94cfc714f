//! What the shards need of the process's limits: locked memory and file descriptors.

use super::host::{Host, limit};
use super::kernel::{self, Version};
use super::{Finding, ProbeOptions, Severity};
use crate::machine::executor::EXECUTOR_MEMLOCK_BYTES;
use crate::machine::linux::LinuxConfig;
use std::io;

const PAGE_BYTES: u64 = 4096;
/// The first kernel that counts the rings themselves, and not only registered buffers.
const RINGS_COUNT_SINCE: Version = Version(6, 14, 0);
/// glommio has three rings of 128 entries on each executor, twice as many completions.
const EXECUTOR_RINGS_BYTES: u64 = 3 * (128 * 64 + 2 * PAGE_BYTES);
/// glommio starts no executor below this, whatever else is true.
const EXECUTOR_MEMLOCK_MIN_BYTES: u64 = 512 << 10;
/// Descriptors of a shard besides its connections: rings, eventfds, listeners, glommio's own.
const DESCRIPTORS_OF_SHARD: u64 = 16;
/// Descriptors of the program besides its shards: standard streams, admin, files in passing.
const DESCRIPTORS_OF_PROGRAM: u64 = 64;

/// What an ordinary user may lock by default, for all processes together.
const MEMLOCK_DEFAULT_BYTES: u64 = 8 << 20;

const _: () = assert!(
    sum(12, ring_bytes(&LinuxConfig::DEFAULT)) <= MEMLOCK_DEFAULT_BYTES,
    "an ordinary user can start 12 shards without raising a limit"
);

/// Bytes that count against the limit on locked memory.
pub fn needed_memlock_bytes(options: &ProbeOptions, rings_count: bool) -> u64 {
    let shards = options.shards as u64;
    if rings_count {
        sum(shards, ring_bytes(&options.world))
    } else {
        shards * EXECUTOR_MEMLOCK_BYTES as u64
    }
}

/// With a ring of the probe's own, which the kernel may give back only later.
const fn sum(shards: u64, ring_bytes: u64) -> u64 {
    shards * (ring_bytes + EXECUTOR_RINGS_BYTES + EXECUTOR_MEMLOCK_BYTES as u64) + ring_bytes
}

const fn ring_bytes(world: &LinuxConfig) -> u64 {
    const fn pages(bytes: u64) -> u64 {
        bytes.next_multiple_of(PAGE_BYTES)
    }
    let submissions = world.submission_entries as u64;
    // 64 bytes an entry, 16 a completion, 4 for the index array, and a head of some 320.
    pages(submissions * 64)
        + pages(world.completion_entries as u64 * 16 + submissions * 4 + 320)
        + pages(world.small_buffers as u64 * 16)
        + pages(world.large_buffers as u64 * 16)
}

/// The finding about locked memory.
pub fn memlock(options: &ProbeOptions, host: &Host) -> Finding {
    let version = kernel::parse(&host.release);
    let rings_count = version.is_none_or(|version| version >= RINGS_COUNT_SINCE);
    let needed = match needed_memlock_bytes(options, rings_count) {
        _ if host.may_lock() => EXECUTOR_MEMLOCK_MIN_BYTES,
        needed => needed.max(EXECUTOR_MEMLOCK_MIN_BYTES),
    };
    let kib = needed.div_ceil(1024);
    let wanted = format!("{kib} KiB for {} shards", options.shards);
    let Some(limit) = host.memlock_bytes else {
        return Finding::good("locked memory", "no limit", wanted);
    };
    let finding = Finding::good("locked memory", format!("{} KiB", limit / 1024), wanted);
    if limit >= needed {
        return finding;
    }
    let remedy = format!(
        "raise it (ulimit -l {kib}, LimitMEMLOCK={kib}K, docker run --ulimit memlock={needed}), or \
         start fewer shards"
    );
    finding.but(Severity::Fatal, remedy)
}

/// The finding about file descriptors.
pub fn descriptors(options: &ProbeOptions, host: &Host) -> Finding {
    let (limit, limit_max) = host.descriptors;
    let to_start = DESCRIPTORS_OF_PROGRAM + options.shards as u64 * DESCRIPTORS_OF_SHARD;
    let needed = to_start + options.connections as u64;
    let wanted = format!("{needed} for {} connections", options.connections);
    let finding = Finding::good("open files", format!("at most {limit_max}"), wanted);
    let remedy = format!("raise it (ulimit -n {needed}, LimitNOFILE={needed})");
    if limit_max < to_start {
        return finding.but(Severity::Fatal, remedy);
    }
    if limit_max < needed {
        let remedy = format!("connections beyond it are refused; {remedy}");
        return finding.but(Severity::Advice, remedy);
    }
    if limit >= needed {
        return Finding { found: format!("at most {limit}"), ..finding };
    }
    Finding { found: format!("{limit}, which the start raises to {limit_max}"), ..finding }
}

/// Raises the limit on open files to what the process may have, and says how many that is.
///
/// # Errors
/// When the operating system refuses, which it does not for an ordinary process.
pub fn raise_descriptor_limit() -> io::Result<u64> {
    let (_, maximum) = limit(libc::RLIMIT_NOFILE);
    let maximum = maximum.unwrap_or(libc::RLIM_INFINITY);
    let raised = libc::rlimit { rlim_cur: maximum, rlim_max: maximum };
    // SAFETY: the pointer is valid for one rlimit, which the kernel only reads.
    if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const raised) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(maximum)
}
