//! What a server costs that nobody uses.

use std::path::Path;
use std::time::{Duration, Instant};

use super::figure::{Failure, Figure, Figures};
use super::process::{cpu_ns, resident_bytes};
use super::server::Server;

/// Start-up is not idling.
const SETTLES: Duration = Duration::from_millis(500);

/// CPU share and resident memory of a server with `shards` shards on `cpus` over `duration`.
pub(super) fn measure(
    program: &Path,
    shards: u32,
    cpus: (usize, usize),
    duration: Duration,
) -> Result<Figures, Failure> {
    let list = if cpus.0 == cpus.1 { cpus.0.to_string() } else { format!("{},{}", cpus.0, cpus.1) };
    let flags = ["--shards".into(), shards.to_string(), "--cpus".into(), list];
    let server = Server::start(program, &flags)?;
    std::thread::sleep(SETTLES);
    let (before_ns, began) = (cpu_ns(server.id())?, Instant::now());
    std::thread::sleep(duration);
    let (after_ns, took) = (cpu_ns(server.id())?, began.elapsed());
    let used_ns = after_ns.saturating_sub(before_ns);
    Ok(Figures::from([
        (Figure::CpuPercent, 100.0 * used_ns as f64 / took.as_nanos() as f64),
        (Figure::ResidentBytes, resident_bytes(server.id())? as f64),
    ]))
}

#[cfg(test)]
mod tests {
    use super::super::server::tests::Script;
    use super::*;

    /// `$9` is the value of `--port-file`: serve --listen A --shards 2 --cpus L --port-file F.
    fn check(name: &str, script: &str, is_idle: bool) {
        let script = Script::new(name, script);
        let figures = measure(&script.path, 2, (0, 1), Duration::from_millis(200)).expect("it ran");
        let share = figures.get(Figure::CpuPercent).expect("a share");
        assert_eq!(share < 2.0, is_idle, "{name} used {share} %");
        assert!(figures.get(Figure::ResidentBytes) > Some(50_000.0), "{figures:?}");
    }

    #[test]
    fn idling_and_spinning_are_told_apart() {
        check("sleeps", "echo 127.0.0.1:1 > $9; exec sleep 60", true);
        check("spins", "echo 127.0.0.1:1 > $9; while :; do :; done", false);
    }
}
