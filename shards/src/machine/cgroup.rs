//! What the control group grants: CPU time and memory, under cgroup v1 and v2.
//!
//! Under a CPU quota a shard must not spin: the spinning is paid for with time that the next
//! message needs. Limits apply at every level of the hierarchy, so the smallest one on the way up
//! from this process's group counts. A host without cgroups grants everything.

use std::fs;
use std::path::{Path, PathBuf};

/// How many CPUs' worth of time this process may use, such as 1.5; `None` without a quota.
pub fn cpu_quota() -> Option<f64> {
    Groups::of_this_process(read).cpu_quota()
}

/// How many bytes of memory this process may use; `None` without a limit.
pub fn memory_limit() -> Option<u64> {
    Groups::of_this_process(read).memory_limit()
}

fn read(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok()
}

/// v1 says "no limit" with the largest number of pages; anything this large is no limit.
const MEMORY_UNLIMITED: u64 = 1 << 60;

/// A mounted hierarchy as `/proc/self/mountinfo` tells it.
struct Mount<'a> {
    /// Which group of the hierarchy is visible at the mount point: not `/` in most containers.
    root: &'a str,
    point: &'a str,
    /// Controllers of a v1 hierarchy among its options; `None` for v2.
    controllers: Option<&'a str>,
}

/// The groups of one process; `read` stands between it and the file system.
struct Groups<R> {
    cgroup: String,
    mountinfo: String,
    read: R,
}

impl<R: Fn(&Path) -> Option<String>> Groups<R> {
    fn of_this_process(read: R) -> Self {
        let cgroup = read(Path::new("/proc/self/cgroup")).unwrap_or_default();
        let mountinfo = read(Path::new("/proc/self/mountinfo")).unwrap_or_default();
        Self { cgroup, mountinfo, read }
    }

    fn cpu_quota(&self) -> Option<f64> {
        let v2 = self.directories(None).into_iter().filter_map(|directory| {
            let text = (self.read)(&directory.join("cpu.max"))?;
            let mut fields = text.split_whitespace(); // "150000 100000" or "max 100000"
            share(fields.next()?, fields.next()?)
        });
        let v1 = self.directories(Some("cpu")).into_iter().filter_map(|directory| {
            let quota = (self.read)(&directory.join("cpu.cfs_quota_us"))?; // "-1" for none
            share(quota.trim(), (self.read)(&directory.join("cpu.cfs_period_us"))?.trim())
        });
        v2.chain(v1).min_by(f64::total_cmp)
    }

    fn memory_limit(&self) -> Option<u64> {
        let files = [(None, "memory.max"), (Some("memory"), "memory.limit_in_bytes")];
        let limits = files.into_iter().flat_map(|(controller, file)| {
            let directories = self.directories(controller).into_iter();
            directories.filter_map(move |directory| {
                (self.read)(&directory.join(file))?.trim().parse::<u64>().ok() // or "max"
            })
        });
        limits.filter(|limit| *limit < MEMORY_UNLIMITED).min()
    }

    /// This process's group and those above it, as directories, for a v1 controller or for v2.
    fn directories(&self, controller: Option<&str>) -> Vec<PathBuf> {
        let found = self.mount(controller).zip(self.group(controller));
        let Some((mount, group)) = found else { return Vec::new() };
        // A group outside the mount's root (a stale view of the host) leaves the mount itself.
        let below = Path::new(group).strip_prefix(mount.root).unwrap_or(Path::new(""));
        below.ancestors().map(|group| Path::new(mount.point).join(group)).collect()
    }

    /// The path in a line of `/proc/self/cgroup`: `4:cpu,cpuacct:/path`, for v2 `0::/path`.
    fn group(&self, controller: Option<&str>) -> Option<&str> {
        self.cgroup.lines().find_map(|line| {
            let mut fields = line.splitn(3, ':');
            let (_, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
            let matches = match controller {
                None => controllers.is_empty(),
                Some(name) => controllers.split(',').any(|one| one == name),
            };
            matches.then_some(path)
        })
    }

    fn mount(&self, controller: Option<&str>) -> Option<Mount<'_>> {
        self.mountinfo.lines().filter_map(parse_mount).find(|mount| {
            match (controller, mount.controllers) {
                (None, None) => true,
                (Some(name), Some(options)) => options.split(',').any(|one| one == name),
                _ => false,
            }
        })
    }
}

/// `30 23 0:26 /docker/1f /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu`: fields 4 and 5 are root
/// and mount point; after the dash come type, source and options.
fn parse_mount(line: &str) -> Option<Mount<'_>> {
    let (before, after) = line.split_once(" - ")?;
    let mut before = before.split(' ').skip(3);
    let (root, point) = (before.next()?, before.next()?);
    let mut after = after.split(' ');
    let controllers = match after.next()? {
        "cgroup2" => None,
        "cgroup" => Some(after.nth(1)?),
        _ => return None,
    };
    Some(Mount { root, point, controllers })
}

fn share(quota: &str, period: &str) -> Option<f64> {
    let (quota, period) = (quota.parse::<f64>().ok()?, period.parse::<f64>().ok()?);
    (quota > 0.0 && period > 0.0).then(|| quota / period)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines `path = contents`; a path given several times is a file of several lines.
    fn groups(files: &str) -> Groups<impl Fn(&Path) -> Option<String>> {
        let files = files.to_owned();
        Groups::of_this_process(move |path: &Path| {
            let lines = files.lines().filter_map(|line| line.trim().split_once(" = "));
            let contents = lines.filter(|(name, _)| Path::new(name) == path);
            contents.map(|(_, line)| format!("{line}\n")).reduce(|all, line| all + &line)
        })
    }

    fn check(files: &str, cpus: Option<f64>, bytes: Option<u64>) {
        let groups = groups(files);
        assert_eq!((groups.cpu_quota(), groups.memory_limit()), (cpus, bytes), "for{files}");
    }

    #[test]
    fn version_2_takes_the_tightest_level() {
        check(
            "
            /proc/self/cgroup = 0::/a/b
            /proc/self/mountinfo = 30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw
            /sys/fs/cgroup/a/b/cpu.max = max 100000
            /sys/fs/cgroup/a/cpu.max = 150000 100000
            /sys/fs/cgroup/a/b/memory.max = max
            /sys/fs/cgroup/a/memory.max = 1073741824
            ",
            Some(1.5),
            Some(1 << 30),
        );
    }

    #[test]
    fn version_2_without_limits() {
        check(
            "
            /proc/self/cgroup = 0::/a
            /proc/self/mountinfo = 30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw
            /sys/fs/cgroup/a/cpu.max = max 100000
            /sys/fs/cgroup/a/memory.max = max
            ",
            None,
            None,
        );
    }

    #[test]
    fn version_1_beside_an_empty_version_2() {
        check(
            "
            /proc/self/cgroup = 5:memory:/job
            /proc/self/cgroup = 4:cpu,cpuacct:/job
            /proc/self/cgroup = 0::/
            /proc/self/mountinfo = 24 1 0:5 / /dev rw - devtmpfs dev rw,cpu
            /proc/self/mountinfo = 29 23 0:25 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
            /proc/self/mountinfo = 30 23 0:26 / /c/cpuset rw - cgroup cgroup rw,cpuset
            /proc/self/mountinfo = 31 23 0:27 / /c/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
            /proc/self/mountinfo = 32 23 0:28 / /c/memory rw - cgroup cgroup rw,memory
            /c/cpu,cpuacct/job/cpu.cfs_quota_us = 50000
            /c/cpu,cpuacct/job/cpu.cfs_period_us = 100000
            /c/cpu,cpuacct/cpu.cfs_quota_us = -1
            /c/cpu,cpuacct/cpu.cfs_period_us = 100000
            /c/memory/job/memory.limit_in_bytes = 268435456
            /c/memory/memory.limit_in_bytes = 9223372036854771712
            ",
            Some(0.5),
            Some(256 << 20),
        );
    }

    #[test]
    fn a_container_sees_its_group_as_the_root() {
        check(
            "
            /proc/self/cgroup = 4:cpu:/docker/1f
            /proc/self/mountinfo = 31 23 0:27 /docker/1f /c/cpu ro - cgroup cgroup rw,cpu
            /c/cpu/cpu.cfs_quota_us = 200000
            /c/cpu/cpu.cfs_period_us = 100000
            ",
            Some(2.0),
            None,
        );
    }

    #[test]
    fn nonsense_and_absence_are_no_limit() {
        check("", None, None);
        check(
            "
            /proc/self/cgroup = 0::/a
            /proc/self/mountinfo = nonsense
            /proc/self/mountinfo = 30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw
            /sys/fs/cgroup/a/cpu.max = 0 0
            /sys/fs/cgroup/cpu.max = many
            /sys/fs/cgroup/a/memory.max = -5
            ",
            None,
            None,
        );
    }

    #[test]
    fn this_host_answers_sensibly() {
        assert!(cpu_quota().is_none_or(|cpus| cpus > 0.0));
        assert!(memory_limit().is_none_or(|bytes| bytes > 0));
    }
}
