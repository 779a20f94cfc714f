//! The three clocks of a shard: monotonic, wall and CPU time of the calling thread.
//!
//! Leases, delays and time-outs run on the monotonic clock; only "at a time of day" looks at the
//! wall clock. A shard reads the monotonic clock once a turn and hands the value down.

use std::mem::MaybeUninit;

const NANOSECONDS_PER_SECOND: u64 = 1_000_000_000;

/// Nanoseconds of the monotonic clock (`CLOCK_MONOTONIC`): never goes back, not comparable between
/// hosts or boots. Served from the vDSO, without a system call on common hosts.
#[inline]
pub fn monotonic_ns() -> u64 {
    read(libc::CLOCK_MONOTONIC)
}

/// Nanoseconds since 1970-01-01 UTC (`CLOCK_REALTIME`): may jump either way when it is set.
///
/// A 64-bit count lasts until the year 2554; a clock set before 1970 reads as 0.
#[inline]
pub fn wall_ns() -> u64 {
    read(libc::CLOCK_REALTIME)
}

/// Nanoseconds of CPU that the calling thread has used (`CLOCK_THREAD_CPUTIME_ID`).
///
/// A real system call: for figures once in a while, not for every turn.
pub fn thread_cpu_ns() -> u64 {
    read(libc::CLOCK_THREAD_CPUTIME_ID)
}

#[inline]
fn read(clock: libc::clockid_t) -> u64 {
    let mut time = MaybeUninit::<libc::timespec>::uninit();
    // SAFETY: the pointer is valid for one timespec, which the kernel only writes.
    let result = unsafe { libc::clock_gettime(clock, time.as_mut_ptr()) };
    // The three clocks above exist on every Linux, so a failure is a mistake of ours.
    assert_eq!(result, 0, "clock_gettime({clock}) failed");
    // SAFETY: clock_gettime returned 0, so it has written the whole timespec.
    let time = unsafe { time.assume_init() };
    u64::try_from(time.tv_sec).unwrap_or(0) * NANOSECONDS_PER_SECOND + time.tv_nsec as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant, SystemTime};

    #[test]
    fn the_monotonic_clock_keeps_pace_with_instant() {
        let (started, started_ns) = (Instant::now(), monotonic_ns());
        std::thread::sleep(Duration::from_millis(20));
        let inner_ns = monotonic_ns() - started_ns;
        let outer_ns = started.elapsed().as_nanos() as u64;
        assert!(inner_ns >= 20_000_000, "{inner_ns} ns passed in 20 ms");
        assert!(inner_ns <= outer_ns, "{inner_ns} ns measured inside {outer_ns} ns");
    }

    #[test]
    fn the_wall_clock_agrees_with_system_time() {
        let since_1970 = || SystemTime::UNIX_EPOCH.elapsed().map(|d| d.as_nanos() as u64);
        let (before, now, after) = (since_1970(), wall_ns(), since_1970());
        let (before, after) = (before.expect("after 1970"), after.expect("after 1970"));
        assert!((before..=after).contains(&now), "{now} outside {before}..={after}");
    }

    #[test]
    fn thread_cpu_time_counts_work_and_not_sleep() {
        let asleep_from_ns = thread_cpu_ns();
        std::thread::sleep(Duration::from_millis(50));
        let busy_from_ns = thread_cpu_ns();
        assert!(busy_from_ns - asleep_from_ns < 25_000_000, "sleeping was counted as work");

        // Bounded by wall time, so that a busy machine makes the test slow and not red.
        let started = Instant::now();
        while thread_cpu_ns() - busy_from_ns < 5_000_000 {
            assert!(started.elapsed() < Duration::from_secs(20), "5 ms of work was not counted");
        }
    }
}
