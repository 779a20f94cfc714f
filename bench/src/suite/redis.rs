//! The peer that everybody knows: Redis, run as its own benchmark runs it.
//!
//! Both programs come from the host, if it has them. The server is one of our own on a free
//! loopback port, without persistence, pinned to the CPU that our server uses; the benchmark is
//! pinned to the CPU that our load uses.

use std::process::Stdio;
use std::time::Duration;

use super::figure::{Failure, Figure, Figures};
use super::peers::host::{HostServer, REDIS, is_installed, pinned};

/// What is said when the benchmark is not there.
const MISSING: &str = "redis-benchmark was not measured: not installed, install with apt-get \
    install redis-tools.";

/// One run of `redis-benchmark`.
#[derive(Clone, Copy, Debug)]
pub struct RedisRun {
    /// The command it tests, in small letters.
    pub command: &'static str,
    /// Connections.
    pub connections: u32,
    /// Requests in flight on one connection.
    pub pipeline: u32,
    /// About how many a second it does: it is told a number of requests, not a time.
    pub expected_per_second: u32,
}

impl RedisRun {
    /// Starts a Redis on `server_cpu`, runs the benchmark on `load_cpu`, and stops Redis.
    pub(super) fn measure(
        &self,
        (server_cpu, load_cpu): (usize, usize),
        duration: Duration,
        payload_bytes: u32,
    ) -> Result<Figures, Failure> {
        if !is_installed("redis-benchmark") {
            return Err(Failure::NotInstalled(MISSING.to_owned()));
        }
        let redis = HostServer::start(&REDIS, server_cpu)?;
        let requests = (f64::from(self.expected_per_second) * duration.as_secs_f64()).max(1000.0);
        let output = pinned(load_cpu, "redis-benchmark")
            .args(["-h", "127.0.0.1", "-p", &redis.port.to_string(), "--csv"])
            .args(["-t", self.command, "-d", &payload_bytes.to_string()])
            .args(["-c", &self.connections.to_string(), "-P", &self.pipeline.to_string()])
            .args(["-n", &format!("{requests:.0}")])
            .stdin(Stdio::null())
            .output()?;
        let told = String::from_utf8_lossy(&output.stdout);
        match requests_per_second(&told, self.command) {
            Some(rate) => Ok(Figures::from([(Figure::MessagesPerSecond, rate)])),
            None => {
                let complaint = String::from_utf8_lossy(&output.stderr);
                let told = format!("redis-benchmark ({}): {}", output.status, complaint.trim());
                Err(Failure::Failed(told))
            }
        }
    }
}

/// The rate of `command` in the CSV of `redis-benchmark`: the second field of its line.
///
/// ```text
/// "test","rps","avg_latency_ms",...
/// "LPUSH","1333333.38","2.150",...
/// ```
fn requests_per_second(csv: &str, command: &str) -> Option<f64> {
    csv.lines().find_map(|line| {
        let mut fields = line.split(',').map(|field| field.trim().trim_matches('"'));
        let test = fields.next()?;
        let rate = fields.next()?.parse().ok()?;
        test.eq_ignore_ascii_case(command).then_some(rate)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CSV: &str = "\"test\",\"rps\",\"avg_latency_ms\",\"min_latency_ms\"\n\
        \"LPUSH\",\"1333333.38\",\"2.150\",\"0.512\"\n\"RPOP\",\"1840000.00\",\"1.7\",\"0.5\"\n";

    #[test]
    fn the_rate_is_found_in_the_csv() {
        assert_eq!(requests_per_second(CSV, "lpush"), Some(1_333_333.38));
        assert_eq!(requests_per_second(CSV, "rpop"), Some(1_840_000.0));
        assert_eq!(requests_per_second(CSV, "xadd"), None);
        assert_eq!(requests_per_second("", "lpush"), None);
        // The older form, without a heading.
        assert_eq!(requests_per_second("\"LPUSH\",\"149253.73\"\n", "lpush"), Some(149_253.73));
    }

    #[test]
    fn it_is_measured_where_it_is_installed_and_named_where_not() {
        let run =
            RedisRun { command: "lpush", connections: 2, pipeline: 4, expected_per_second: 10_000 };
        let cpu = core_affinity::get_core_ids().expect("this host tells its CPUs")[0].id;
        match run.measure((cpu, cpu), Duration::from_millis(100), 100) {
            Ok(figures) => assert!(figures.get(Figure::MessagesPerSecond) > Some(100.0)),
            Err(Failure::NotInstalled(told)) => assert!(told.contains("apt-get install")),
            Err(failure) => panic!("{failure}"),
        }
    }
}
