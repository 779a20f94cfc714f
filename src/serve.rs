//! `ringway serve`: settings, probe, bind, start, one line, wait for a signal, drain, report.

use std::fs;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use clap::Args;
use ringway_protocol::limits::SHARDS_MAX;
use ringway_shards::machine::linux::LinuxConfig;
use ringway_shards::machine::probe::{self, Probe, ProbeOptions, Severity};
use ringway_shards::machine::{affinity, cgroup};
use ringway_shards::plane::{DrainReport, Plane, PlaneConfig, StartError};

use crate::config::Config;
use crate::failure::{Failure, Outcome};
use crate::flags::Flags;
use crate::settings::Settings;
use crate::signals::Stop;
use crate::units::{CpuList, ShardCount};

/// The arguments of `ringway serve`.
#[derive(Args)]
pub struct ServeArguments {
    #[command(flatten)]
    flags: Flags,

    /// Print the effective configuration as TOML, and serve nothing
    #[arg(long)]
    print_config: bool,

    /// Drain when stdin ends, so that the plane does not outlive the program that started it
    #[arg(long, hide = true)]
    until_stdin_ends: bool,
}

/// Serves until a signal, then drains.
pub fn run(arguments: &ServeArguments) -> Outcome {
    let mut settings = Settings::read(&arguments.flags)?;
    let config = Config::check(&settings)?;
    let cpus = choose_cpus(&config.cpus)?;
    let shards = config.shards.unwrap_or_else(|| one_for_each(&cpus));
    if arguments.print_config {
        settings.shards = ShardCount::Exactly(shards as u64);
        settings.cpus = CpuList(cpus);
        print!("{}", settings.to_toml());
        return Ok(());
    }
    env_logger::Builder::new().filter_level(config.log).init();
    // From here on a signal is a wish for a drain, also while the plane starts.
    let mut stop = Stop::catch()
        .map_err(|error| Failure::failed(format!("cannot catch signals: {error}"), "try again"))?;
    if arguments.until_stdin_ends {
        drain_when_stdin_ends();
    }
    let linux = probe_host(&config, shards)?;
    let plane = Plane::start(plane_config(&config, shards, cpus, linux)).map_err(start_failure)?;
    let announced = announce(&plane, config.port_file.as_deref())?;
    let signal = stop.wait();
    eprintln!("{signal}: draining for at most {}; again to end at once", settings.drain);
    let report = plane.drain(config.drain, || false).map_err(|error| {
        Failure::failed(error, "what the queues held is lost: see the log above")
    })?;
    drop(announced);
    farewell(&report, config.strict_drain)
}

/// The CPUs of the shards, in the order in which shards take them.
fn choose_cpus(asked: &[usize]) -> Result<Vec<usize>, Failure> {
    let allowed = affinity::allowed_cpus().map_err(|error| {
        Failure::unable(format!("cannot ask for the allowed CPUs: {error}"), "mount /proc")
    })?;
    if asked.is_empty() {
        return Ok(affinity::order_for_shards(&allowed));
    }
    let list = affinity::format_cpu_list(asked);
    affinity::choose_cpus(&list, &allowed)
        .map_err(|error| Failure::usage(format!("cpus: {error}"), "give --cpus allowed ones"))
}

/// `--shards auto`: one for each CPU, but no more than a quota pays for.
fn one_for_each(cpus: &[usize]) -> usize {
    let paid = cgroup::cpu_quota().map_or(usize::MAX, |quota| quota as usize);
    cpus.len().min(paid).clamp(1, SHARDS_MAX)
}

/// Tries the host before anything is bound. What cannot work ends here with code 78.
fn probe_host(config: &Config, shards: usize) -> Result<LinuxConfig, Failure> {
    let options = ProbeOptions {
        receive: config.receive,
        accept_known_bad_kernel: config.accept_known_bad_kernel,
        ..ProbeOptions::new(shards, config.connections_max)
    };
    let probe = Probe::run(&options);
    if let Some(finding) = probe.fatal() {
        return Err(Failure::unable(finding, "`ringway doctor` shows every check"));
    }
    for finding in probe.findings.iter().filter(|finding| finding.severity != Severity::Good) {
        log::warn!("{finding}");
    }
    if let Err(error) = probe::raise_descriptor_limit() {
        log::warn!("cannot raise the limit on open files: {error}");
    }
    Ok(LinuxConfig { receive: probe.mode, ..options.world })
}

fn plane_config(
    config: &Config,
    shards: usize,
    cpus: Vec<usize>,
    linux: LinuxConfig,
) -> PlaneConfig {
    PlaneConfig {
        listen: config.listen,
        shard_listen: config.shard_listen,
        advertise: config.advertise.clone(),
        shards,
        cpus,
        token: config.token.clone(),
        auto_declare: config.auto_declare,
        seed: RandomState::new().build_hasher().finish(),
        defaults: config.queue,
        spin_ns: config.spin.ns(),
        connections_max: config.connections_max,
        connection_puts_max: config.connection_puts_max,
        quotas: config.quotas.clone(),
        heartbeat_ms: config.heartbeat.ms().into(),
        greeting_ms: config.greeting_timeout.ms().into(),
        frame_ms: config.frame_timeout.ms().into(),
        linux,
    }
}

fn start_failure(error: StartError) -> Failure {
    match error {
        // The limits of the host, found too late for the probe.
        StartError::World { .. } | StartError::Executor(_) => {
            Failure::unable(error, "`ringway doctor` says what this host allows")
        }
        StartError::Config(_) => Failure::usage(error, "see `ringway serve --help`"),
        StartError::Bind { .. } | StartError::Resources(_) => {
            Failure::failed(error, "nothing was started")
        }
    }
}

/// The one line of a start, and the port file, which goes when this is dropped.
fn announce(plane: &Plane, port_file: Option<&Path>) -> Result<PortFile, Failure> {
    let cpus: Vec<usize> = plane.placement().cpus.iter().flatten().copied().collect();
    let shards = plane.placement().cpus.len();
    let ports: Vec<_> =
        plane.shard_addresses().iter().map(|address| address.port().into()).collect();
    eprintln!(
        "ringway: serving on {}: {shards} shard{} on CPU {}{}",
        plane.address(),
        if shards == 1 { "" } else { "s" },
        CpuList(cpus),
        if ports.is_empty() { String::new() } else { format!(", own port {}", CpuList(ports)) },
    );
    if plane.shares_cpus() {
        log::warn!(
            "{shards} shards share fewer CPUs or a quota: none of them spins; \
             start fewer with --shards, or allow more CPUs"
        );
    }
    let announced = PortFile { path: port_file.map(Path::to_owned) };
    announced.write(&plane.address().to_string()).map_err(|error| {
        Failure::failed(format!("cannot write the port file: {error}"), "name a writable one")
    })?;
    Ok(announced)
}

/// A file that holds the address for as long as it is served.
struct PortFile {
    path: Option<PathBuf>,
}

impl PortFile {
    /// Whoever sees the file sees all of it.
    fn write(&self, address: &str) -> io::Result<()> {
        let Some(path) = &self.path else { return Ok(()) };
        let mut unfinished = path.clone().into_os_string();
        unfinished.push(".new");
        fs::write(&unfinished, format!("{address}\n"))?;
        fs::rename(&unfinished, path)
    }
}

impl Drop for PortFile {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // Another process may have taken it away; there is nothing left to do then.
            let _ = fs::remove_file(path);
        }
    }
}

/// Says what was left over, by queue.
fn farewell(report: &DrainReport, strict: bool) -> Outcome {
    if report.is_clean() {
        eprintln!("ringway: drained, every queue is empty");
        return Ok(());
    }
    for (queue, messages) in &report.left_over {
        eprintln!("ringway: lost with the process: {messages} messages of {queue}");
    }
    let total: u64 = report.left_over.iter().map(|(_, messages)| messages).sum();
    let sentence = format!("the drain left {total} messages behind");
    if strict {
        return Err(Failure::failed(sentence, "take them before, or give --drain more time"));
    }
    eprintln!("ringway: {sentence}");
    Ok(())
}

/// Turns the end of stdin into the signal that asks for a drain.
fn drain_when_stdin_ends() {
    std::thread::spawn(|| {
        let mut unread = [0; 256];
        while matches!(io::stdin().lock().read(&mut unread), Ok(1..)) {}
        // The signals are caught already, so this one cannot fail to arrive.
        let _ = signal_hook::low_level::raise(signal_hook::consts::SIGTERM);
    });
}
