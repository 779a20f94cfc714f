//! `ringway-sim`: runs seeds of the simulator and says what it found.

use std::process::{Command, ExitCode};
use std::time::Instant;

use clap::Parser;
use ringway_simulator::canary::Canary;
use ringway_simulator::run::{Options, STEPS_DEFAULT, run};

/// Runs Ringway's shards in a simulated world; everything follows from the seed.
#[derive(Parser, Debug)]
#[command(name = "ringway-sim", version)]
struct Arguments {
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many seeds to run, one after the other.
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// Steps before the world calms down.
    #[arg(long, default_value_t = STEPS_DEFAULT)]
    steps: u64,
    /// How many shards; otherwise each seed chooses 1 to 4.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=64))]
    shards: Option<u16>,
    /// Plants a bug, which must make the run fail.
    #[arg(long, value_parser = canary)]
    canary: Option<Canary>,
    /// Prints every event on stderr.
    #[arg(long)]
    trace: bool,
}

fn canary(word: &str) -> Result<Canary, String> {
    Canary::from_word(word).ok_or_else(|| {
        let known = Canary::ALL
            .iter()
            .map(|canary| format!("\n  {:16} {}", canary.as_str(), canary.meaning()));
        format!("unknown; the planted bugs are:{}", known.collect::<String>())
    })
}

fn main() -> ExitCode {
    let Arguments { seed, seeds, steps, shards, canary, trace } = Arguments::parse();
    let options = Options { steps, shards: shards.map(usize::from), canary, planted: true, trace };
    // A failed assertion is a verdict here: it is reported below, with its seed.
    std::panic::set_hook(Box::new(|panic| {
        if let Some(location) = panic.location() {
            eprintln!("an assertion failed at {location}");
        }
    }));
    println!("commit {}, {}", output("git", &["rev-parse", "HEAD"]), output("uname", &["-sr"]));
    let started = Instant::now();
    let (mut events, mut messages) = (0, 0);
    for seed in seed..seed.saturating_add(seeds) {
        match run(seed, options) {
            Ok(report) => {
                events += report.events;
                messages += report.messages;
                if seeds == 1 {
                    println!("{report:#?}");
                }
            }
            Err(failure) => {
                println!("{failure}");
                println!("FAILED after {:.1} s", started.elapsed().as_secs_f64());
                return ExitCode::FAILURE;
            }
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "seeds {seed} to {}: passed in {seconds:.1} s, {events} events, {messages} messages",
        seed.saturating_add(seeds - 1)
    );
    ExitCode::SUCCESS
}

/// What a command prints, or that it is not known.
fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().ok();
    let output = output.filter(|output| output.status.success());
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.unwrap_or_else(|| "unknown".to_owned())
}
