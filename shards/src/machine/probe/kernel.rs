//! Kernel versions: which are too old, and which hand one buffer to two sockets.

use super::host::Host;
use super::{Finding, ProbeOptions, ReceiveMode, Severity};
use std::fmt;

/// A kernel's version, without what its distributor adds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Version(pub u32, pub u32, pub u32);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// The first with `IORING_SETUP_DEFER_TASKRUN`, without which nothing here works.
const USABLE: Version = Version(6, 1, 0);
/// The oldest that is supported.
const SUPPORTED: Version = Version(6, 6, 104);
/// From here on nothing is known to be wrong or missing.
const RECOMMENDED: Version = Version(6, 12, 46);

/// CVE-2025-38730, a buffer of a shared ring handed out twice: first and last version of each
/// range that has it. Series in between that were given up before it was mended count as having it.
const HANDS_BUFFERS_OUT_TWICE: [(Version, Version); 4] = [
    (Version(6, 4, 0), Version(6, 6, 103)),
    (Version(6, 7, 0), Version(6, 12, 44)),
    (Version(6, 13, 0), Version(6, 15, 11)),
    (Version(6, 16, 0), Version(6, 16, 2)),
];

/// Parses the start of a release such as `6.8.0-51-generic`; a missing third number is 0.
pub fn parse(release: &str) -> Option<Version> {
    let digits = |part: &str| {
        let end = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
        part[..end].parse::<u32>().ok()
    };
    let mut parts = release.splitn(3, '.');
    let (major, minor) = (parts.next()?.parse().ok()?, digits(parts.next()?)?);
    Some(Version(major, minor, parts.next().and_then(digits).unwrap_or(0)))
}

/// Whether shared buffer rings of this kernel are known to be broken.
pub fn hands_buffers_out_twice(version: Version) -> bool {
    HANDS_BUFFERS_OUT_TWICE.iter().any(|(first, last)| (*first..=*last).contains(&version))
}

/// The finding about the version.
pub fn judge(options: &ProbeOptions, host: &Host) -> Finding {
    let finding = |found: String| {
        let wanted = format!("Linux {SUPPORTED} or newer, best {RECOMMENDED} or newer");
        Finding::good("kernel", found, wanted)
    };
    if host.is_gvisor() {
        let remedy =
            "run the container with another runtime than runsc (docker run --runtime runc)";
        return finding("gVisor, which has no io_uring".into()).but(Severity::Fatal, remedy);
    }
    let upgrade = format!("boot Linux {RECOMMENDED} or newer");
    let Some(version) = parse(&host.release) else {
        let found = format!("a version that is not understood ('{}')", host.release);
        return finding(found).but(Severity::Advice, upgrade);
    };
    if version < USABLE {
        let found = format!("Linux {version}, which lacks IORING_SETUP_DEFER_TASKRUN");
        return finding(found).but(Severity::Fatal, upgrade);
    }
    let accepted = options.accept_known_bad_kernel;
    if hands_buffers_out_twice(version) {
        let found = format!(
            "Linux {version}, which can hand one receive buffer to two sockets (CVE-2025-38730)"
        );
        // Plain buffers are not the kernel's to hand out.
        let avoided = options.receive == Some(ReceiveMode::Readiness);
        let severity = if accepted || avoided { Severity::Advice } else { Severity::Fatal };
        let remedy = format!(
            "{upgrade}, or receive without such buffers (--receive readiness), or, if your \
             distributor has mended it, start with --accept-known-bad-kernel"
        );
        return finding(found).but(severity, remedy);
    }
    if version < SUPPORTED {
        let severity = if accepted { Severity::Advice } else { Severity::Fatal };
        let remedy = format!("{upgrade}, or try your luck with --accept-known-bad-kernel");
        let found = format!("Linux {version}, on which this was never tried");
        return finding(found).but(severity, remedy);
    }
    if version < RECOMMENDED {
        return finding(format!("Linux {version}")).but(Severity::Advice, upgrade);
    }
    finding(format!("Linux {version}"))
}
