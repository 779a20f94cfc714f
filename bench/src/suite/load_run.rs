//! `ringway load` as a child process: its flags from a small value, its JSON back.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;

use super::figure::{Failure, Figure, Figures};
use super::server::{Server, ringway};

/// How one load is put on a server. All messages carry [`LoadRun::MESSAGE_BYTES`].
#[derive(Clone, Copy, Debug)]
pub struct LoadRun {
    /// `put`, `take`, `put-take` or `echo`.
    pub op: &'static str,
    /// Messages in one request.
    pub batch: u32,
    /// Requests in flight on one connection.
    pub pipeline: u32,
    /// Connections.
    pub connections: u32,
    /// `poll` or `block`.
    pub wait: &'static str,
    /// Which latency is meant: `request` for any request's, or a kind of `latency_ns_by_kind`.
    pub latency: &'static str,
    /// Flags of `ringway load` beyond these.
    pub load_flags: &'static [&'static str],
    /// Shards of the server.
    pub shards: u32,
    /// Flags of `ringway serve` beyond shards and CPUs.
    pub serve_flags: &'static [&'static str],
}

impl LoadRun {
    /// Payload of every message, bytes.
    pub const MESSAGE_BYTES: u32 = 100;

    /// One message a request on one connection, one at a time, polling: the others are written as
    /// what differs from it.
    pub const ROUND_TRIP: Self = Self {
        op: "put",
        batch: 1,
        pipeline: 1,
        connections: 1,
        wait: "poll",
        latency: "request",
        load_flags: &[],
        shards: 1,
        serve_flags: &[],
    };

    /// Starts a server of its own on `server_cpu`, loads it from `load_cpu`, and stops it.
    pub(super) fn measure(
        &self,
        program: &Path,
        (server_cpu, load_cpu): (usize, usize),
        duration: Duration,
        rate: Option<f64>,
    ) -> Result<Figures, Failure> {
        let server = Server::start(program, &self.serve_arguments(server_cpu))?;
        self.drive(program, server.address(), load_cpu, duration, rate)
    }

    /// Loads a server that runs already.
    pub(super) fn drive(
        &self,
        program: &Path,
        address: &str,
        load_cpu: usize,
        duration: Duration,
        rate: Option<f64>,
    ) -> Result<Figures, Failure> {
        let output = ringway(program)
            .args(self.load_arguments(address, load_cpu, duration, rate))
            .stdin(Stdio::null())
            .output()?;
        read(&output.stdout, self.latency).map_err(|failure| {
            let told = String::from_utf8_lossy(&output.stderr);
            let told = format!("ringway load ({}): {failure} {}", output.status, told.trim());
            Failure::Failed(told.trim_end().to_owned())
        })
    }

    fn serve_arguments(&self, cpu: usize) -> Vec<String> {
        let fixed = ["--shards".into(), self.shards.to_string(), "--cpus".into(), cpu.to_string()];
        fixed.into_iter().chain(self.serve_flags.iter().map(ToString::to_string)).collect()
    }

    fn load_arguments(
        &self,
        address: &str,
        cpu: usize,
        duration: Duration,
        rate: Option<f64>,
    ) -> Vec<String> {
        let mut arguments = vec!["load".to_owned(), "--json".to_owned()];
        let mut flag = |name: &str, value: String| arguments.extend([format!("--{name}"), value]);
        flag("address", address.to_owned());
        flag("op", self.op.to_owned());
        flag("size", Self::MESSAGE_BYTES.to_string());
        flag("batch", self.batch.to_string());
        flag("pipeline", self.pipeline.to_string());
        flag("connections", self.connections.to_string());
        flag("duration", humantime::format_duration(duration).to_string());
        flag("wait", self.wait.to_owned());
        flag("threads", "1".to_owned());
        flag("cpus", cpu.to_string());
        if let Some(rate) = rate {
            flag("rate", format!("{rate:.0}"));
        }
        arguments.extend(self.load_flags.iter().map(ToString::to_string));
        arguments
    }
}

/// The fields of the load's JSON that the suite reads.
#[derive(Deserialize)]
struct LoadReport {
    messages_per_second: f64,
    bytes_per_second: f64,
    latency_ns: LatencyNs,
    #[serde(default)]
    latency_ns_by_kind: BTreeMap<String, LatencyNs>,
    refused: u64,
    failed: u64,
    server_cpu_ns_per_message: Option<f64>,
}

#[derive(Clone, Copy, Deserialize)]
struct LatencyNs {
    p50: f64,
    p99: f64,
    p999: f64,
    max: f64,
}

/// The figures of one load, with the latency of requests or of one kind; a load of which anything
/// was refused or failed has none.
fn read(json: &[u8], latency: &str) -> Result<Figures, Failure> {
    let report: LoadReport = serde_json::from_slice(json)
        .map_err(|error| Failure::Failed(format!("no report that can be read ({error})")))?;
    if report.refused > 0 || report.failed > 0 {
        let told = format!("{} refused, {} failed", report.refused, report.failed);
        return Err(Failure::Failed(told));
    }
    let latency = match latency {
        "request" => report.latency_ns,
        kind => *(report.latency_ns_by_kind.get(kind))
            .ok_or_else(|| Failure::Failed(format!("ringway load told no latency of a {kind}")))?,
    };
    Ok(Figures::from([
        (Figure::MessagesPerSecond, report.messages_per_second),
        (Figure::BytesPerSecond, report.bytes_per_second),
        (Figure::P50Ns, latency.p50),
        (Figure::P99Ns, latency.p99),
        (Figure::P999Ns, latency.p999),
        (Figure::MaxNs, latency.max),
        (Figure::TailOverMedian, latency.p999 / latency.p50),
    ])
    .with_server_cpu(report.server_cpu_ns_per_message))
}

#[cfg(test)]
mod tests {
    use super::super::server::tests::Script;
    use super::*;

    const REPORT: &str = r#"{"seconds":2.0,"messages":4000,"messages_per_second":2000.0,
        "bytes_per_second":200000.0,"requests_per_second":2000.0,
        "latency_ns":{"p50":7000,"p90":8000,"p99":9000,"p999":14000,"max":90000},
        "latency_ns_by_kind":{"push":{"p50":6000,"p90":7000,"p99":8000,"p999":9000,"max":9500}},
        "refused":0,"failed":0,"acknowledged":"memory","settings":{},"by_shard":[],
        "server_cpu_ns_per_message":51.5}"#;

    #[test]
    fn a_report_becomes_figures() {
        let figures = read(REPORT.as_bytes(), "request").expect("it can be read");
        assert_eq!(figures.get(Figure::MessagesPerSecond), Some(2000.0));
        assert_eq!(figures.get(Figure::TailOverMedian), Some(2.0));
        assert_eq!(figures.get(Figure::ServerCpuNsPerMessage), Some(51.5));
        assert_eq!(figures.get(Figure::MessagesPerServerCpuSecond), Some(1e9 / 51.5));
        let unknown = REPORT.replace("51.5", "null");
        let figures = read(unknown.as_bytes(), "request").expect("a host may not tell CPU time");
        assert_eq!(figures.get(Figure::ServerCpuNsPerMessage), None);
    }

    #[test]
    fn the_latency_of_one_kind_can_be_meant() {
        let figures = read(REPORT.as_bytes(), "push").expect("it has that kind");
        assert_eq!(figures.get(Figure::P50Ns), Some(6000.0));
        let failure = read(REPORT.as_bytes(), "take").expect_err("it has no such kind");
        assert_eq!(failure.to_string(), "ringway load told no latency of a take");
    }

    #[test]
    fn a_figure_with_refusals_is_none() {
        for (from, to, wanted) in [
            ("\"refused\":0", "\"refused\":3", "3 refused, 0 failed"),
            ("\"failed\":0", "\"failed\":1", "0 refused, 1 failed"),
            ("\"p50\":7000,", "", "no report that can be read"),
        ] {
            let failure =
                read(REPORT.replace(from, to).as_bytes(), "request").expect_err("it is no figure");
            assert!(failure.to_string().starts_with(wanted), "{failure}");
        }
    }

    #[test]
    fn flags_are_those_of_the_program() {
        let run = LoadRun { load_flags: &["--route", "other"], ..LoadRun::ROUND_TRIP };
        let line = run.load_arguments("127.0.0.1:7", 1, Duration::from_millis(2500), Some(70.4));
        let wanted = "load --json --address 127.0.0.1:7 --op put --size 100 --batch 1 \
            --pipeline 1 --connections 1 --duration 2s 500ms --wait poll --threads 1 --cpus 1 \
            --rate 70 --route other";
        assert_eq!(line.join(" "), wanted);
        let parked = LoadRun { serve_flags: &["--spin", "0us"], ..LoadRun::ROUND_TRIP };
        assert_eq!(parked.serve_arguments(3).join(" "), "--shards 1 --cpus 3 --spin 0us");
    }

    #[test]
    fn both_programs_are_run() {
        // `$9` is the value of `--port-file`: serve --listen A --shards 1 --cpus 0 --port-file F.
        let script = format!(
            "[ $1 = serve ] && {{ echo 127.0.0.1:4711 > $9; exec sleep 60; }}\n\
             [ \"$1 $4\" = 'load 127.0.0.1:4711' ] && cat <<'END'\n{REPORT}\nEND"
        );
        let measure = |name, script: &str| {
            let script = Script::new(name, script);
            LoadRun::ROUND_TRIP.measure(&script.path, (0, 1), Duration::from_secs(1), None)
        };
        let figures = measure("both", &script).expect("both programs ran");
        assert_eq!(figures.get(Figure::P50Ns), Some(7000.0));
        let failure = measure("worse", &script.replace("\"failed\":0", "\"failed\":2"));
        assert!(failure.expect_err("two failed").to_string().contains("2 failed"));
    }
}
