//! Why io_uring was refused: the same errno has several causes, with a remedy each.

use super::host::Host;
use super::limits::needed_memlock_bytes;
use super::{Finding, ProbeOptions, Severity};

/// The finding for what `io_uring_setup` has answered.
pub fn explain(errno: i32, missing_flags: &[&str], options: &ProbeOptions, host: &Host) -> Finding {
    let (found, remedy) = match errno {
        libc::EPERM | libc::EACCES => denied(host),
        libc::ENOSYS => absent(host),
        libc::ENOMEM => no_memory(options, host),
        libc::EMFILE | libc::ENFILE => (
            "no file descriptor left for a ring".to_owned(),
            "raise the limit on open files (ulimit -n)".to_owned(),
        ),
        libc::EINVAL if !missing_flags.is_empty() => (
            format!("the kernel does not know {}", missing_flags.join(", ")),
            "boot a newer kernel".to_owned(),
        ),
        _ => {
            let error = std::io::Error::from_raw_os_error(errno);
            let remedy = "see the kernel's log (dmesg)";
            (format!("io_uring_setup failed: {error}"), remedy.to_owned())
        }
    };
    Finding::good("io_uring", found, "allowed").but(Severity::Fatal, remedy)
}

const ALLOW_IN_CONTAINER: &str = "use a profile that allows io_uring_setup, io_uring_enter and \
     io_uring_register (docker run --security-opt seccomp=PROFILE.json; for systemd drop \
     SystemCallFilter)";

fn denied(host: &Host) -> (String, String) {
    let (found, remedy) = match host.io_uring_disabled {
        2 => (
            "switched off for everybody (sysctl kernel.io_uring_disabled is 2)",
            "run `sysctl -w kernel.io_uring_disabled=0` as root",
        ),
        1 if !host.is_administrator() => (
            "switched off for ordinary users (sysctl kernel.io_uring_disabled is 1)",
            "run `sysctl -w kernel.io_uring_disabled=0` as root, or put this user into the group \
             that kernel.io_uring_group names",
        ),
        _ if host.is_filtered => {
            ("forbidden by a seccomp filter, as in Docker's default profile", ALLOW_IN_CONTAINER)
        }
        _ => (
            "forbidden (EPERM), although neither sysctl nor seccomp say so",
            "look for a rule of SELinux or AppArmor against io_uring (dmesg, ausearch)",
        ),
    };
    (found.to_owned(), remedy.to_owned())
}

fn absent(host: &Host) -> (String, String) {
    let (found, remedy) = if host.is_filtered {
        ("hidden by a seccomp filter (ENOSYS)", ALLOW_IN_CONTAINER)
    } else if host.is_wsl() {
        ("not in this WSL kernel", "update it: `wsl --update`, and use WSL 2")
    } else {
        ("not in this kernel (ENOSYS)", "boot a kernel that is built with CONFIG_IO_URING")
    };
    (found.to_owned(), remedy.to_owned())
}

fn no_memory(options: &ProbeOptions, host: &Host) -> (String, String) {
    let needed = needed_memlock_bytes(options, true);
    match host.memlock_bytes {
        Some(limit) if !host.may_lock() => (
            format!(
                "no memory for a ring: this user may lock {} KiB in all processes together, and {} \
                 shards need {} KiB",
                limit / 1024,
                options.shards,
                needed.div_ceil(1024)
            ),
            format!(
                "raise it (ulimit -l {0}, LimitMEMLOCK={0}K, docker run --ulimit memlock={1}), or \
                 start fewer shards",
                needed.div_ceil(1024),
                needed
            ),
        ),
        _ => (
            "no memory for a ring, and not for the limit on locked memory".to_owned(),
            "free memory, or raise the memory limit of the cgroup".to_owned(),
        ),
    }
}
