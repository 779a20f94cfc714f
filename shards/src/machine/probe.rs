//! What this host allows, found out before anything is bound.
//!
//! Each check becomes a [`Finding`]; `ringway doctor` prints them all, and a start stops at the
//! first fatal one, whose `Display` is one sentence with cause and remedy. `kernel.rs` knows
//! versions, `trial.rs` tries a ring the way a shard uses one, `refusal.rs` explains why there was
//! none, `limits.rs` adds up what the shards need, `host.rs` reads what the others judge.

mod host;
mod kernel;
mod limits;
mod refusal;
mod trial;

use super::linux::{LinuxConfig, ReceiveMode};
use host::Host;
use std::fmt;
use trial::Trial;

pub use limits::raise_descriptor_limit;

/// How much a finding matters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Severity {
    /// As wanted.
    Good,
    /// It works, but slower or less safely than it could.
    Advice,
    /// This host cannot run the plane like that.
    Fatal,
}

/// The outcome of one check.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// What was looked at.
    pub check: &'static str,
    /// What was seen.
    pub found: String,
    /// What would be good.
    pub wanted: String,
    /// What to do about it; empty if nothing.
    pub remedy: String,
    /// How much it matters.
    pub severity: Severity,
}

impl Finding {
    fn good(check: &'static str, found: impl Into<String>, wanted: impl Into<String>) -> Self {
        let (found, wanted) = (found.into(), wanted.into());
        Self { check, found, wanted, remedy: String::new(), severity: Severity::Good }
    }

    fn but(self, severity: Severity, remedy: impl Into<String>) -> Self {
        Self { severity, remedy: remedy.into(), ..self }
    }
}

/// One sentence: what, why, and what to do.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} (wanted: {})", self.check, self.found, self.wanted)?;
        if !self.remedy.is_empty() {
            write!(f, "; {}", self.remedy)?;
        }
        Ok(())
    }
}

/// What the plane is going to need.
#[derive(Clone, Debug)]
pub struct ProbeOptions {
    /// How many shards.
    pub shards: usize,
    /// How many connections in all.
    pub connections: usize,
    /// The sizes of each shard's rings and buffers; its `receive` is not looked at.
    pub world: LinuxConfig,
    /// A way of receiving to be used, instead of the best that works.
    pub receive: Option<ReceiveMode>,
    /// Whether a kernel with known defects is taken all the same, because its distributor has
    /// mended them without changing the version.
    pub accept_known_bad_kernel: bool,
}

impl ProbeOptions {
    /// For so many shards and connections, with everything else as by default.
    pub fn new(shards: usize, connections: usize) -> Self {
        let world = LinuxConfig::default();
        Self { shards, connections, world, receive: None, accept_known_bad_kernel: false }
    }
}

/// What was found, in the order in which it matters.
#[derive(Clone, Debug)]
pub struct Probe {
    /// One for each check.
    pub findings: Vec<Finding>,
    /// The way of receiving to use, if nothing is fatal.
    pub mode: ReceiveMode,
}

impl Probe {
    /// Tries this host, on the calling thread.
    pub fn run(options: &ProbeOptions) -> Self {
        let host = Host::read();
        let trial = trial::run(&options.world);
        Self::judge(options, &host, &trial)
    }

    /// The first reason why this host cannot run the plane: print it and exit with 78.
    pub fn fatal(&self) -> Option<&Finding> {
        self.findings.iter().find(|finding| finding.severity == Severity::Fatal)
    }

    fn judge(options: &ProbeOptions, host: &Host, trial: &Trial) -> Self {
        let mut findings = vec![kernel::judge(options, host)];
        findings.extend(host.advice());
        let mode = match trial {
            Trial::Refused { errno, missing_flags } => {
                findings.push(refusal::explain(*errno, missing_flags, options, host));
                options.receive.unwrap_or_default()
            }
            Trial::Made { missing_operations, delivery } => {
                findings.push(Finding::good("io_uring", "allowed", "allowed"));
                findings.push(operations(missing_operations));
                let (mode, finding) = receiving(options, *delivery);
                findings.push(finding);
                mode
            }
        };
        findings.push(limits::memlock(options, host));
        findings.push(limits::descriptors(options, host));
        Self { findings, mode }
    }
}

fn operations(missing: &[&str]) -> Finding {
    const CHECK: &str = "operations of io_uring";
    const WANTED: &str = "all that a shard uses";
    if missing.is_empty() {
        return Finding::good(CHECK, "all there", WANTED);
    }
    let found = format!("{} missing", missing.join(", "));
    let remedy = "they came with Linux 5.6 at the latest: something between the program and the \
                  kernel hides them; run it outside the sandbox";
    Finding::good(CHECK, found, WANTED).but(Severity::Fatal, remedy)
}

/// The way of receiving: as told, else the best that delivers.
fn receiving(options: &ProbeOptions, delivery: trial::Delivery) -> (ReceiveMode, Finding) {
    const CHECK: &str = "receiving";
    const WANTED: &str = "multishot into provided buffers";
    let best = delivery.best();
    let Some(mode) = options.receive else {
        let found = Finding::good(CHECK, describe(best), WANTED);
        let remedy = "it works, with more system calls for each message";
        return match best {
            ReceiveMode::Multishot => (best, found),
            _ => (best, found.but(Severity::Advice, remedy)),
        };
    };
    let works = match mode {
        ReceiveMode::Multishot => delivery.multishot,
        ReceiveMode::SingleShot => delivery.single_shot,
        ReceiveMode::Readiness => true,
    };
    let found = if works {
        let found = format!("{}, as told", describe(mode));
        Finding::good(CHECK, found, describe(mode))
    } else {
        let found = format!("{} does not deliver on this host", describe(mode));
        let remedy = format!("leave the choice to the program, which takes {}", describe(best));
        Finding::good(CHECK, found, describe(mode)).but(Severity::Fatal, remedy)
    };
    (mode, found)
}

fn describe(mode: ReceiveMode) -> &'static str {
    match mode {
        ReceiveMode::Multishot => "multishot into provided buffers",
        ReceiveMode::SingleShot => "single-shot into provided buffers",
        ReceiveMode::Readiness => "readiness, then a read into a plain buffer",
    }
}

#[cfg(test)]
mod tests;
