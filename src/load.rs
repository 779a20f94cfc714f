//! `ringway load`: the load generator's command line.

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use ringway_bench::check::{self, CheckSettings};
use ringway_bench::load::settings::{Acknowledge, Operation, Route, WaitMode, cpu_list};
use ringway_bench::load::work::WorkOptions;
use ringway_bench::load::{LoadError, Settings, run as run_load, text};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// What follows the options of `ringway load` in `--help`.
const AFTER_HELP: &str = "\
With --check every message is judged: clients number their puts and repeat them after an unknown \
outcome, give messages back, let leases run out, and break connections in the middle of a frame; \
then the queues are emptied, and the history must show nothing lost, nothing that was never sent, \
no duplicate without a cause, and the promised order. It measures nothing: one thread plays all \
--connections and keeps the whole history, so it is slow, and ends after --messages (about 1 KiB \
of memory each) or --duration. Exit code 1 says that something was violated.

Examples:
  ringway load --op put --duration 10s
  ringway load --check --messages 100000 --connections 20";

/// Drive a server with load and report throughput and latency.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct LoadArguments {
    /// Where the server listens
    #[arg(long, default_value = "127.0.0.1:7311", value_name = "HOST:PORT")]
    address: String,
    /// What to do again and again
    #[arg(long = "op", value_enum, default_value = "put-take")]
    operation: Operation,
    /// Bytes of a payload, like 100 or 64KiB
    #[arg(long, default_value = "100", value_name = "SIZE")]
    size: bytesize::ByteSize,
    /// Messages of a request
    #[arg(long, default_value_t = 1, value_name = "N")]
    batch: u32,
    /// Requests in flight on a connection
    #[arg(long, default_value_t = 64, value_name = "N")]
    pipeline: u32,
    /// Connections in total
    #[arg(long, default_value_t = 50, value_name = "N")]
    connections: usize,
    /// How long to measure
    #[arg(long, default_value = "10s", value_parser = humantime::parse_duration)]
    duration: Duration,
    /// How long to run before measuring
    #[arg(long, default_value = "1s", value_parser = humantime::parse_duration)]
    warmup: Duration,
    /// Open loop: begin so many messages a second in total, and measure from the intended time
    #[arg(long, value_name = "PER_SECOND")]
    rate: Option<f64>,
    /// Connect to the address of each shard, and use the queues that live there
    #[arg(long)]
    shard_aware: bool,
    /// Whose queues a connection uses: of any shard, of its own, of others
    #[arg(long, value_enum, default_value = "any")]
    route: Route,
    /// How many queues; 0 for one a shard
    #[arg(long, default_value_t = 0, value_name = "N")]
    queues: usize,
    /// What the names of the queues start with [default: load-PID/]
    #[arg(long, value_name = "NAME")]
    queue_prefix: Option<String>,
    /// The bound of each queue; puts alone drop the oldest messages, everything else is refused
    #[arg(long, default_value = "256MiB", value_name = "SIZE")]
    queue_bytes: bytesize::ByteSize,
    /// Threads that drive the connections
    #[arg(long, default_value_t = 1, value_name = "N")]
    threads: usize,
    /// Pin the threads to these CPUs, like 0,2-3
    #[arg(long, value_name = "LIST", value_parser = cpus)]
    cpus: Option<Cpus>,
    /// How a thread waits for replies
    #[arg(long, value_enum, default_value = "poll")]
    wait: WaitMode,
    /// How taken messages are acknowledged
    #[arg(long, value_enum, default_value = "lease")]
    acknowledge: Acknowledge,
    #[command(flatten)]
    work: WorkOptions,
    /// Judge every message instead of measuring: see below
    #[arg(long, conflicts_with_all = [
        "operation", "size", "batch", "pipeline", "warmup", "rate", "shard_aware", "route",
        "queues", "queue_bytes", "threads", "cpus", "wait", "acknowledge", "WorkOptions",
    ])]
    check: bool,
    /// With --check: ask for nothing new after so many messages
    #[arg(long, default_value_t = 200_000, value_name = "N", requires = "check")]
    messages: u64,
    /// With --check: what the queues are like and how the clients behave follows from it
    #[arg(long, default_value_t = 1, value_name = "N", requires = "check")]
    seed: u64,
    /// Leave the queues on the server afterwards
    #[arg(long)]
    keep: bool,
    /// The access token of the server
    #[arg(long, env = "RINGWAY_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Print one JSON document on stdout instead of the report
    #[arg(long)]
    json: bool,
}

/// A list of CPUs; a type of its own, because clap would take a `Vec` for a repeated option.
#[derive(Clone, Debug)]
struct Cpus(Vec<usize>);

fn cpus(text: &str) -> Result<Cpus, String> {
    cpu_list(text).map(Cpus)
}

impl LoadArguments {
    fn settings(&self) -> Settings {
        let defaults = Settings::default();
        Settings {
            address: self.address.clone(),
            operation: self.operation,
            size: usize::try_from(self.size.as_u64()).unwrap_or(usize::MAX),
            batch: self.batch,
            pipeline: self.pipeline,
            connections: self.connections,
            duration: self.duration,
            warmup: self.warmup,
            rate: self.rate,
            shard_aware: self.shard_aware,
            route: self.route,
            queues: self.queues,
            queue_prefix: self.queue_prefix.clone().unwrap_or(defaults.queue_prefix),
            queue_bytes: self.queue_bytes.as_u64(),
            threads: self.threads,
            cpus: self.cpus.clone().map_or(Vec::new(), |cpus| cpus.0),
            wait: self.wait,
            acknowledge: self.acknowledge,
            work: self.work.clone(),
            keep: self.keep,
            token: self.token.clone().unwrap_or_default(),
            patience: defaults.patience,
        }
    }

    fn check_settings(&self) -> CheckSettings {
        let Settings { address, token, connections, duration, queue_prefix, keep, .. } =
            self.settings();
        let (messages_max, seed) = (self.messages, self.seed);
        CheckSettings {
            address,
            token,
            clients: connections,
            messages_max,
            duration,
            queue_prefix,
            seed,
            keep,
        }
    }
}

/// Runs the load. 0 if everything asked for was done, 1 if something was refused or failed or
/// violated a promise, 2 if the options make no sense.
pub fn run(arguments: &LoadArguments) -> ExitCode {
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // The second signal ends the program at once; the first ends the run with its report.
        let registered = flag::register_conditional_shutdown(signal, 1, Arc::clone(&interrupted))
            .and_then(|_| flag::register(signal, Arc::clone(&interrupted)));
        if let Err(error) = registered {
            eprintln!("ringway load: signals cannot be caught, Ctrl-C gives no report: {error}");
        }
    }
    let done = match arguments.check {
        true => judge(arguments, &interrupted),
        false => measure(arguments, &interrupted),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("ringway load: {error}");
            ExitCode::from(if matches!(error, LoadError::Usage(_)) { 2 } else { 1 })
        }
    }
}

/// Says whether everything that was asked for was done.
fn measure(arguments: &LoadArguments, interrupted: &AtomicBool) -> Result<bool, LoadError> {
    let report = run_load(&arguments.settings(), interrupted)?;
    let output = match arguments.json {
        true => report.to_json() + "\n",
        false => text::render(&report),
    };
    print(&output, &report.warnings);
    Ok(report.is_clean())
}

/// Says whether the server kept its promises.
fn judge(arguments: &LoadArguments, interrupted: &AtomicBool) -> Result<bool, LoadError> {
    let report = check::run(&arguments.check_settings(), interrupted)?;
    let output = match arguments.json {
        true => report.to_json() + "\n",
        false => report.to_string(),
    };
    print(&output, &report.warnings);
    Ok(report.is_good())
}

fn print(report: &str, warnings: &[String]) {
    // Whoever closed the pipe wants no more of it; the exit code still tells.
    let _ = std::io::stdout().write_all(report.as_bytes());
    for warning in warnings {
        eprintln!("ringway load: warning: {warning}");
    }
}
