//! One run: a seed decides everything, and the checker has the last word.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use crate::canary::Canary;
use crate::faults::Faults;
use crate::network::Network;
use crate::scheduler::Scheduler;
use crate::trace::Trace;
use ringway_checker::Verdict;
use ringway_checker::chance::Chance;
use ringway_checker::clients::ClientSide;
use ringway_checker::clients::queues::{self, Scene};

/// Steps of a run unless it says otherwise.
pub const STEPS_DEFAULT: u64 = 20_000;

/// How a run differs from what its seed alone would make it.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Steps before the world calms down.
    pub steps: u64,
    /// How many shards; `None` lets the seed choose 1 to 4.
    pub shards: Option<usize>,
    /// A planted bug.
    pub canary: Option<Canary>,
    /// Whether it is planted, or only given its occasion: a run that must be clean.
    pub planted: bool,
    /// Whether every event is printed on stderr.
    pub trace: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { steps: STEPS_DEFAULT, shards: None, canary: None, planted: true, trace: false }
    }
}

/// A run in which nothing was wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// Its seed.
    pub seed: u64,
    /// The hash of everything that happened: the same for the same seed and options.
    pub hash: u64,
    /// How many shards it had.
    pub shards: usize,
    /// Simulated nanoseconds.
    pub simulated_ns: u64,
    /// Completions, reads and other events.
    pub events: u64,
    /// Connections that clients opened.
    pub connections: u64,
    /// Messages that clients put.
    pub messages: u64,
    /// How often each fault happened.
    pub tally: BTreeMap<&'static str, u64>,
}

/// A run that found something.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// Its seed.
    pub seed: u64,
    /// What was wrong, a sentence each.
    pub sentences: Vec<String>,
    /// The hash up to there.
    pub hash: u64,
    /// The command that shows it again.
    pub replay: String,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "seed {} failed:", self.seed)?;
        for sentence in self.sentences.iter().take(20) {
            writeln!(f, "  {sentence}")?;
        }
        write!(f, "replay with: {}", self.replay)
    }
}

/// Runs a seed in the world that it draws. A violated rule of the kernel, a panic of a shard and a
/// verdict of the checker are failures alike.
pub fn run(seed: u64, options: Options) -> Result<Report, Failure> {
    run_in(seed, options, |_| ())
}

/// Runs a seed in the world that it draws, changed by `change`.
pub fn run_in(
    seed: u64,
    options: Options,
    change: impl FnOnce(&mut Faults),
) -> Result<Report, Failure> {
    let mut chance = Chance::new(seed);
    let mut faults = Faults::draw(&mut chance);
    change(&mut faults);
    if let Some(canary) = options.canary {
        canary.provoke(&mut faults);
    }
    let drawn = chance.between(1, 4) as usize;
    let shards = options.shards.unwrap_or(drawn);
    let trace = Trace::new(options.trace);
    let mut network = Network::new((shards, shards + 1), faults, chance.fork(), trace);
    if let Some(canary) = options.canary.filter(|_| options.planted) {
        network.plant(canary);
    }
    let network = Rc::new(RefCell::new(network));
    let started_ns = network.borrow().now_ns();
    let mut plans = queues::draw(Scene::simulated(), &mut chance);
    if let Some(canary) = options.canary {
        canary.season(&mut plans);
    }
    let plans: Rc<[_]> = plans.into();
    let mut scheduler = Scheduler::new(network.clone(), shards, plans, chance.fork());
    if options.trace {
        scheduler.checker.print();
    }
    let ran = catch_unwind(AssertUnwindSafe(|| play(scheduler, options.steps)));
    let network = network.borrow();
    let hash = network.trace().hash();
    let sentences = match ran {
        Ok(Ok((connections, messages))) => {
            let (events, tally) = (network.trace().events(), network.tally().clone());
            let simulated_ns = network.now_ns() - started_ns;
            return Ok(Report {
                seed,
                hash,
                shards,
                simulated_ns,
                events,
                connections,
                messages,
                tally,
            });
        }
        Ok(Err(sentences)) => sentences,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| text.to_string()));
            vec![text.unwrap_or_else(|| "a panic without a sentence".to_owned())]
        }
    };
    Err(Failure { seed, sentences, hash, replay: replay(seed, options) })
}

/// The whole story of a run; returns how many connections and messages it had.
fn play(mut scheduler: Scheduler, steps: u64) -> Result<(u64, u64), Vec<String>> {
    scheduler.run(steps);
    scheduler.calm();
    let mut sentences = Vec::new();
    let swept = scheduler.settle_requests().and_then(|()| scheduler.sweep());
    // While queues are not empty, what nobody has seen is not lost.
    let whole = swept.is_ok();
    if let Err(sentence) = swept.and_then(|()| scheduler.end()) {
        sentences.push(sentence);
    }
    scheduler.tally_shards();
    let totals = scheduler.totals();
    let mut violations = std::mem::take(&mut scheduler.checker).finish();
    violations.retain(|violation| whole || violation.verdict != Verdict::Lost);
    sentences.extend(violations.iter().map(ToString::to_string));
    if sentences.is_empty() { Ok(totals) } else { Err(sentences) }
}

fn replay(seed: u64, options: Options) -> String {
    let mut command = format!("cargo run -p ringway-simulator -- --seed {seed}");
    if let Some(shards) = options.shards {
        command += &format!(" --shards {shards}");
    }
    if options.steps != STEPS_DEFAULT {
        command += &format!(" --steps {}", options.steps);
    }
    if let Some(canary) = options.canary {
        command += &format!(" --canary {}", canary.as_str());
    }
    command
}
