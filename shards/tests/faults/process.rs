//! A process for one test alone, and what can be counted of it from outside.

use ringway_shards::plane::{Plane, PlaneConfig};
use std::process::Command;
use std::time::{Duration, Instant};

const VARIABLE: &str = "RINGWAY_FAULTS_ALONE";

/// Longer than anything here takes on a slow and busy machine.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The command that runs only the test `name`, with `wrapper` before it, for [`is_alone`].
pub fn again(name: &str, wrapper: &[&str]) -> Command {
    // As many descriptors as are allowed: client and server are in one process.
    let line = "ulimit -n $(ulimit -Hn); exec \"$@\"";
    let mut command = Command::new("sh");
    command.args(["-c", line, "sh"]).args(wrapper);
    command.arg(std::env::current_exe().expect("the test binary"));
    command.args([name, "--exact", "--nocapture", "--test-threads=1"]).env(VARIABLE, name);
    command
}

/// Whether this process runs the test `name` only.
pub fn is_alone(name: &str) -> bool {
    std::env::var(VARIABLE).is_ok_and(|wanted| wanted == name)
}

/// Runs `body` in a process that runs nothing else, and fails if it fails there. `name` is the
/// calling test; `wrapper` a command that runs another one under other conditions, or nothing.
pub fn alone(name: &str, wrapper: &[&str], body: impl FnOnce()) {
    if is_alone(name) {
        return body();
    }
    let output = again(name, wrapper).output().expect("it runs a second time");
    let text = String::from_utf8_lossy(&output.stdout);
    let passed = output.status.success() && text.contains("1 passed");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(passed, "{name}, alone in a process:\n{text}\n{errors}");
}

/// A plane of two shards.
pub fn plane(change: impl FnOnce(&mut PlaneConfig)) -> Plane {
    let mut config = PlaneConfig { shards: 2, ..PlaneConfig::default() };
    change(&mut config);
    Plane::start(config).expect("this host can run it")
}

/// Open connections, by the gauge.
pub fn connections(plane: &Plane) -> u64 {
    plane.stats().iter().map(|stats| stats.connections.get()).sum()
}

/// Descriptors of a process, `self` or a number.
pub fn descriptors(process: &str) -> usize {
    std::fs::read_dir(format!("/proc/{process}/fd")).expect("proc is there").count()
}

/// How many descriptors this process may have.
pub fn descriptors_max() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").expect("proc is there");
    let line = limits.lines().find(|line| line.starts_with("Max open files")).expect("a line");
    let soft = line.split_whitespace().nth(3).expect("a column");
    soft.parse().unwrap_or(usize::MAX)
}

/// Resident bytes of this process.
pub fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("proc is there");
    let line = status.lines().find(|line| line.starts_with("VmRSS")).expect("a line");
    let kib = line.split_whitespace().nth(1).and_then(|kib| kib.parse::<usize>().ok());
    kib.expect("a number") << 10
}

/// Waits until `so`, and says how long that took.
pub fn wait_until(what: &str, limit: Duration, mut so: impl FnMut() -> bool) -> Duration {
    let started = Instant::now();
    while !so() {
        assert!(started.elapsed() < limit, "not within {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
    started.elapsed()
}

/// What a plane and its process hold while only the neighbours are connected.
#[derive(Debug)]
pub struct Base {
    connections: u64,
    descriptors: usize,
}

impl Base {
    /// Of now.
    pub fn of(plane: &Plane) -> Self {
        Self { connections: connections(plane), descriptors: descriptors("self") }
    }

    /// Waits until the plane is back where it was.
    pub fn awaited(&self, plane: &Plane, limit: Duration) {
        wait_until(&format!("back at {self:?}"), limit, || {
            connections(plane) == self.connections && descriptors("self") == self.descriptors
        });
    }
}
