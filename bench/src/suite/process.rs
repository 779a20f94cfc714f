//! What the kernel says that a process used.

use std::fs;
use std::io;

/// CPU time of all threads of `process`, nanoseconds.
///
/// The scheduler's own count, since the ticks of `/proc/PID/stat` (10 ms) are coarser than the
/// half percent that is asked about.
pub(super) fn cpu_ns(process: u32) -> io::Result<u64> {
    let mut sum = 0;
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        match fs::read_to_string(thread?.path().join("schedstat")) {
            Ok(counts) => sum += first_number(&counts)?,
            // The thread ended between the listing and the reading.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(sum)
}

/// Resident memory of `process`, bytes.
pub(super) fn resident_bytes(process: u32) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    // The kernel says kB and means KiB.
    first_number(line.unwrap_or_default()).map(|kibibytes| kibibytes * 1024)
}

/// Most files and sockets that this process may have open.
pub(super) fn descriptors_max() -> io::Result<u64> {
    let limits = fs::read_to_string("/proc/self/limits")?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    first_number(line.unwrap_or_default())
}

fn first_number(text: &str) -> io::Result<u64> {
    let number = text.split_whitespace().next().and_then(|word| word.parse().ok());
    number.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("{text:?} counts")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_memory_and_more_and_more_time() {
        let own = std::process::id();
        let before_ns = cpu_ns(own).expect("the kernel tells");
        let mut number = 1_u64;
        while cpu_ns(own).expect("the kernel tells") < before_ns + 1_000_000 {
            number = std::hint::black_box(number.wrapping_mul(3));
        }
        assert!(resident_bytes(own).expect("the kernel tells") > 100_000);
        assert!(descriptors_max().expect("the kernel tells") > 16);
        assert!(cpu_ns(u32::MAX).is_err(), "nobody has that id");
    }
}
