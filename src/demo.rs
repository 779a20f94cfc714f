//! `ringway demo`: a plane in a process of its own, driven with real load for some seconds.
//!
//! The allowed CPUs are divided between the two, because each needs cores of its own. The plane
//! hangs on a pipe from this process: whatever becomes of this one, the other drains and ends.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use clap::Args;
use ringway_bench::load::{self, LoadError, Report, text};
use ringway_shards::machine::affinity;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::failure::{Failure, Outcome};
use crate::units::{CpuList, Span};

/// The arguments of `ringway demo`.
#[derive(Args)]
pub struct DemoArguments {
    /// How long to measure
    #[arg(long, value_name = "DURATION", default_value = "10s")]
    duration: Span,

    /// Messages of a request
    #[arg(long, value_name = "N", default_value_t = 256)]
    batch: u32,

    /// Bytes of a message
    #[arg(long, value_name = "N", default_value_t = 100)]
    size: usize,
}

/// Connections of each load thread.
const CONNECTIONS_PER_THREAD: usize = 8;
/// Messages in flight on a connection, and the requests that this may mean: enough to keep a shard
/// busy, few enough that a request does not queue for long.
const IN_FLIGHT: u32 = 1024;
const PIPELINE: std::ops::RangeInclusive<u32> = 4..=64;
/// How long the plane may take to start and to end on a slow host.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Serves, drives, reports, and leaves nothing running.
pub fn run(arguments: &DemoArguments) -> Outcome {
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        flag::register_conditional_shutdown(signal, 1, Arc::clone(&interrupted))
            .and_then(|_| flag::register(signal, Arc::clone(&interrupted)))
            .map_err(|error| Failure::failed(format!("cannot catch signals: {error}"), "retry"))?;
    }
    let (shard_cpus, load_cpus) = split_cpus()?;
    println!(
        "{} on CPU {shard_cpus}, {} on CPU {load_cpus}",
        counted(shard_cpus.0.len(), "shard"),
        counted(load_cpus.0.len(), "load thread"),
    );
    let plane = ServedPlane::start(&shard_cpus)?;
    let report = drive(&plane.address, &load_cpus, arguments, &interrupted);
    let ended = plane.stop();
    let report = report?;
    print!("{}", text::render(&report));
    for warning in &report.warnings {
        println!("note: {warning}");
    }
    let status = ended?;
    if !status.success() {
        return Err(Failure::failed(
            format!("the plane ended with {status}"),
            "see its last lines",
        ));
    }
    if report.is_clean() {
        return Ok(());
    }
    Err(Failure::failed("something was refused or failed", "the report says what"))
}

/// One half for the shards, the other for the load; a single CPU has to do for both.
fn split_cpus() -> Result<(CpuList, CpuList), Failure> {
    let allowed = affinity::allowed_cpus()
        .map_err(|error| Failure::unable(format!("cannot ask for CPUs: {error}"), "mount /proc"))?;
    Ok(split(&affinity::order_for_shards(&allowed)))
}

fn split(cpus: &[usize]) -> (CpuList, CpuList) {
    let half = (cpus.len() / 2).max(1);
    let (shards, load) = cpus.split_at(half);
    let load = if load.is_empty() { shards } else { load };
    (CpuList(shards.to_vec()), CpuList(load.to_vec()))
}

fn drive(
    address: &str,
    cpus: &CpuList,
    arguments: &DemoArguments,
    interrupted: &AtomicBool,
) -> Result<Report, Failure> {
    let settings = load::Settings {
        address: address.to_owned(),
        duration: arguments.duration.0,
        batch: arguments.batch,
        size: arguments.size,
        pipeline: (IN_FLIGHT / arguments.batch.max(1)).clamp(*PIPELINE.start(), *PIPELINE.end()),
        connections: CONNECTIONS_PER_THREAD * cpus.0.len(),
        threads: cpus.0.len(),
        cpus: cpus.0.clone(),
        shard_aware: true,
        ..load::Settings::default()
    };
    load::run(&settings, interrupted).map_err(|error| match error {
        LoadError::Usage(sentence) => Failure::usage(sentence, "see `ringway demo --help`"),
        error => Failure::failed(error, "see what the plane said above"),
    })
}

/// `ringway serve` as a child, which drains when the pipe to its stdin closes.
struct ServedPlane {
    child: Child,
    folder: PathBuf,
    address: String,
}

impl ServedPlane {
    fn start(cpus: &CpuList) -> Result<Self, Failure> {
        let folder = std::env::temp_dir().join(format!("ringway-demo-{}", std::process::id()));
        let failed = |error: std::io::Error| {
            Failure::failed(format!("cannot start the plane: {error}"), "see the error")
        };
        DirBuilder::new().mode(0o700).create(&folder).map_err(failed)?;
        let shards = cpus.0.len().to_string();
        let child = std::env::current_exe().and_then(|program| {
            Command::new(program)
                .args(["serve", "--listen", "127.0.0.1:0", "--until-stdin-ends"])
                .args(["--shards", &shards, "--cpus", &cpus.to_string(), "--port-file"])
                .arg(port_file(&folder))
                .stdin(Stdio::piped())
                .spawn()
        });
        let child = child.map_err(|error| {
            let _ = fs::remove_dir_all(&folder);
            failed(error)
        })?;
        let mut plane = Self { child, folder, address: String::new() };
        plane.address = plane.wait_for_address()?;
        Ok(plane)
    }

    fn wait_for_address(&mut self) -> Result<String, Failure> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Ok(text) = fs::read_to_string(port_file(&self.folder)) {
                return Ok(text.trim().to_owned());
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                // It has said why; what it means is its exit code's part.
                return Err(match status.code() {
                    Some(78) => Failure::unable("the plane did not start", "see the line above"),
                    _ => Failure::failed("the plane did not start", "see the line above"),
                });
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Err(Failure::failed("the plane does not start", "look at the host with `ringway doctor`"))
    }

    /// Asks for a drain and waits for the end.
    fn stop(mut self) -> Result<ExitStatus, Failure> {
        drop(self.child.stdin.take());
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Ok(status);
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Err(Failure::failed("the plane does not end, and is killed", "this is a defect: report it"))
    }
}

impl Drop for ServedPlane {
    fn drop(&mut self) {
        // Both do nothing to a child that has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn port_file(folder: &Path) -> PathBuf {
    folder.join("port")
}

fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn cpus_are_divided_and_one_has_to_do_for_both() {
        let shown = |cpus: &[usize]| {
            let (shards, load) = split(cpus);
            format!("{shards} | {load}")
        };
        assert_eq!(shown(&[0]), "0 | 0");
        assert_eq!(shown(&[0, 1]), "0 | 1");
        assert_eq!(shown(&[0, 1, 2]), "0 | 1-2");
        assert_eq!(shown(&[0, 2, 4, 6, 1, 3, 5, 7]), "0,2,4,6 | 1,3,5,7");
    }
}
