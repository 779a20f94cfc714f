//! What the host says about itself in `/proc` and `/sys`.
//!
//! Each check takes the way it reads files, so that a test can be any host.

use std::fs;

use ringway_shards::machine::probe::{Finding, Severity};
use ringway_shards::machine::{affinity, cgroup};

/// Connections that may wait to be accepted before the kernel drops them.
const BACKLOG_WANTED: u64 = 4096;
/// Clocks that are read without entering the kernel.
const FAST_CLOCKS: [&str; 4] =
    ["tsc", "kvm-clock", "hyperv_clocksource_tsc_page", "arch_sys_counter"];

/// The text of a file of the host, trimmed; `None` where it does not exist or may not be read.
pub fn read(path: &str) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

type Read<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Every check of the host, in the order in which they matter.
pub fn findings(read: Read<'_>) -> Vec<Finding> {
    let cpus = affinity::allowed_cpus().unwrap_or_default();
    let mut findings = vec![
        allowed(&cpus),
        quota(cgroup::cpu_quota()),
        clock(read),
        huge_pages(read),
        backlog(read),
    ];
    findings.extend(governor(read, &cpus));
    findings
}

/// A finding whose remedy counts only if it is not good.
fn finding(
    check: &'static str,
    found: impl ToString,
    wanted: &str,
    severity: Severity,
    remedy: &str,
) -> Finding {
    let remedy = if severity == Severity::Good { "" } else { remedy };
    let (found, wanted, remedy) = (found.to_string(), wanted.to_owned(), remedy.to_owned());
    Finding { check, found, wanted, remedy, severity }
}

fn allowed(cpus: &[usize]) -> Finding {
    let severity = if cpus.len() >= 2 { Severity::Good } else { Severity::Advice };
    let found = format!("{} ({})", cpus.len(), affinity::format_cpu_list(cpus));
    let remedy = "give the process more CPUs: taskset, cpuset, or the container's CPU set";
    finding("CPUs allowed", found, "2 or more", severity, remedy)
}

fn quota(cpus: Option<f64>) -> Finding {
    let (found, severity) = match cpus {
        None => ("none".to_owned(), Severity::Good),
        Some(cpus) => (format!("{cpus} CPUs"), Severity::Advice),
    };
    let remedy = "give whole CPUs with a cpuset instead: under a quota no shard spins";
    finding("CPU quota", found, "none", severity, remedy)
}

fn clock(read: Read<'_>) -> Finding {
    let found = read("/sys/devices/system/clocksource/clocksource0/current_clocksource");
    let found = found.unwrap_or_else(|| "not readable".to_owned());
    let fast = FAST_CLOCKS.contains(&found.as_str()) || found == "not readable";
    let severity = if fast { Severity::Good } else { Severity::Advice };
    let remedy = "boot with clocksource=tsc; this clock costs a system call each turn";
    finding("clock source", found, "tsc or the hypervisor's", severity, remedy)
}

fn huge_pages(read: Read<'_>) -> Finding {
    let text = read("/sys/kernel/mm/transparent_hugepage/enabled").unwrap_or_default();
    let chosen = text.split(['[', ']']).nth(1).unwrap_or("not readable").to_owned();
    let severity = if chosen == "never" { Severity::Advice } else { Severity::Good };
    let remedy = "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled";
    finding("huge pages", chosen, "madvise or always", severity, remedy)
}

fn backlog(read: Read<'_>) -> Finding {
    let found = read("/proc/sys/net/core/somaxconn").and_then(|text| text.parse::<u64>().ok());
    let enough = found.is_none_or(|found| found >= BACKLOG_WANTED);
    let severity = if enough { Severity::Good } else { Severity::Advice };
    let found = found.map_or("not readable".to_owned(), |found| found.to_string());
    let wanted = format!("{BACKLOG_WANTED} or more");
    let remedy = format!("sysctl net.core.somaxconn={BACKLOG_WANTED}");
    finding("accept backlog", found, &wanted, severity, &remedy)
}

/// The slowest governor of the allowed CPUs; nothing where the host does not scale them.
fn governor(read: Read<'_>, cpus: &[usize]) -> Option<Finding> {
    let governors: Vec<String> = cpus
        .iter()
        .filter_map(|cpu| {
            read(&format!("/sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_governor"))
        })
        .collect();
    let slow = governors.iter().find(|governor| *governor != "performance");
    let found = slow.or(governors.first())?;
    let severity = if slow.is_some() { Severity::Advice } else { Severity::Good };
    let remedy = "cpupower frequency-set -g performance";
    Some(finding("CPU governor", found, "performance", severity, remedy))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A host whose files are these pairs of path and text.
    fn host<'a>(files: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<String> + 'a {
        |path| files.iter().find(|(name, _)| path == *name).map(|(_, text)| (*text).to_owned())
    }

    #[test]
    fn a_host_that_hides_its_files_is_not_blamed() {
        let nothing = host(&[]);
        for finding in [clock(&nothing), huge_pages(&nothing), backlog(&nothing)] {
            assert_eq!(finding.severity, Severity::Good, "{finding:?}");
        }
        assert_eq!(governor(&nothing, &[0, 1]), None);
    }

    #[test]
    fn what_is_slow_comes_with_its_remedy() {
        let slow = host(&[
            ("/sys/devices/system/clocksource/clocksource0/current_clocksource", "hpet"),
            ("/sys/kernel/mm/transparent_hugepage/enabled", "always madvise [never]"),
            ("/proc/sys/net/core/somaxconn", "128"),
            ("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "performance"),
            ("/sys/devices/system/cpu/cpu1/cpufreq/scaling_governor", "powersave"),
        ]);
        let governor = governor(&slow, &[0, 1]).expect("two governors");
        let findings = [clock(&slow), huge_pages(&slow), backlog(&slow), governor];
        let found: Vec<_> = findings.iter().map(|finding| finding.found.as_str()).collect();
        assert_eq!(found, ["hpet", "never", "128", "powersave"]);
        for finding in findings {
            assert!(
                finding.severity == Severity::Advice && !finding.remedy.is_empty(),
                "{finding:?}"
            );
        }
        assert_eq!(allowed(&[3]).severity, Severity::Advice);
        assert_eq!(quota(Some(1.5)).found, "1.5 CPUs");
    }

    #[test]
    fn what_is_well_has_no_remedy() {
        let well = host(&[
            ("/sys/devices/system/clocksource/clocksource0/current_clocksource", "kvm-clock"),
            ("/sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never"),
            ("/proc/sys/net/core/somaxconn", "4096"),
        ]);
        for finding in [clock(&well), huge_pages(&well), backlog(&well)] {
            assert!(finding.severity == Severity::Good && finding.remedy.is_empty(), "{finding:?}");
        }
    }
}
