//! The peer that everybody knows: Redis, run as its own benchmark runs it.
//!
//! Both programs come from the host, if it has them. The server is one of our own on a free
//! loopback port, without persistence, pinned to the CPU that our server uses; the benchmark is
//! pinned to the CPU that our load uses.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::figure::{Failure, Figure, Figures};

/// What is said when Redis is not there.
pub const MISSING: &str = "Redis was not measured: redis-server or redis-benchmark is not \
    installed (apt-get install redis-server).";

const START_MAX: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_millis(5);

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
        if !is_installed("redis-server") || !is_installed("redis-benchmark") {
            return Err(Failure::NotInstalled(MISSING.to_owned()));
        }
        let redis = Redis::start(server_cpu)?;
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

fn is_installed(program: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|at| at.join(program).is_file()))
}

/// `program` on one CPU; taskset becomes it, so the child's id is the program's.
fn pinned(cpu: usize, program: &str) -> Command {
    let mut command = Command::new("taskset");
    command.args(["--cpu-list", &cpu.to_string(), program]);
    command
}

/// A Redis of our own.
struct Redis {
    child: Child,
    port: u16,
}

impl Redis {
    fn start(cpu: usize) -> Result<Self, Failure> {
        // Redis takes no port 0: this one was free a moment ago.
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let child = pinned(cpu, "redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no", "--daemonize", "no"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let mut redis = Self { child, port };
        let began = Instant::now();
        while began.elapsed() < START_MAX {
            if answers(port) {
                return Ok(redis);
            }
            if let Some(status) = redis.child.try_wait()? {
                return Err(Failure::Failed(format!("redis-server ended with {status}")));
            }
            std::thread::sleep(LOOK_AGAIN);
        }
        Err(Failure::Failed(format!("redis-server did not answer within {START_MAX:?}")))
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // Both fail only when the child has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn answers(port: u16) -> bool {
    let ping = || -> io::Result<bool> {
        let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        socket.set_read_timeout(Some(Duration::from_secs(1)))?;
        socket.write_all(b"PING\r\n")?;
        let mut answer = [0; 7];
        match socket.read_exact(&mut answer) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
            other => other.map(|()| &answer == b"+PONG\r\n"),
        }
    };
    ping().unwrap_or(false)
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
