//! `ringway-suite`: measures ours and what bounds it in turn, and prints both side by side.

use std::fs;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};

use ringway_bench::floors::CpuPair;
use ringway_bench::suite::in_process::Allocated;
use ringway_bench::suite::report::Report;
use ringway_bench::suite::rounds;
use ringway_bench::suite::scenarios::{Scenario, scenarios};
use ringway_bench::suite::subject::{Bench, Size};

/// Rounds when nothing else is asked for: enough for a median with a spread.
const ROUNDS: u32 = 5;

/// Runs ours, the floors and the peers in turn and prints ratios with median and spread.
#[derive(Parser)]
#[command(name = "ringway-suite", version)]
struct Arguments {
    /// Rounds [default: 5, with --quick 1]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: Option<u32>,
    /// A fraction of a second each: shows that everything runs, and measures nothing
    #[arg(long)]
    quick: bool,
    /// Only scenarios whose name contains this (may be repeated)
    #[arg(long, value_name = "TEXT")]
    only: Vec<String>,
    /// Lists the scenarios and ends
    #[arg(long)]
    list: bool,
    /// Also writes everything, round by round, to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// The program `ringway` [default: beside this one]
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// CPU of servers [default: the first one allowed]
    #[arg(long, value_name = "CPU")]
    server_cpu: Option<usize>,
    /// CPU of loads [default: another allowed one]
    #[arg(long, value_name = "CPU")]
    client_cpu: Option<usize>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match suite(&arguments) {
        Ok(code) => code,
        Err(told) => {
            eprintln!("ringway-suite: {told}");
            ExitCode::from(2)
        }
    }
}

/// Exit code 1 when a measurement failed; a missed target is a result and no failure.
fn suite(arguments: &Arguments) -> Result<ExitCode, String> {
    let chosen = chosen(&arguments.only)?;
    if arguments.list {
        chosen.iter().for_each(|scenario| println!("{}", scenario.name));
        return Ok(ExitCode::SUCCESS);
    }
    let bench = bench(arguments)?;
    let rounds = arguments.rounds.unwrap_or(if arguments.quick { 1 } else { ROUNDS });
    if let Some(warning) = bench.cpus.warning() {
        eprintln!("ringway-suite: {warning}");
    }
    if cfg!(debug_assertions) {
        eprintln!("ringway-suite: this is a debug build, its figures mean nothing");
    }
    let needed = rounds::time_needed(&chosen, rounds, &bench).as_secs();
    eprintln!(
        "ringway-suite: {} scenarios, {rounds} rounds, about {needed} s; servers on CPU {}, \
         loads on CPU {}",
        chosen.len(),
        bench.cpus.server,
        bench.cpus.client
    );
    let live = live_line(chosen.len() as u64 * u64::from(rounds));
    let measured = rounds::run(&chosen, rounds, &bench, &|round, name| {
        live.set_message(format!("round {} of {rounds}: {name}", round + 1));
        live.inc(1);
    });
    live.finish_and_clear();
    let report = Report::new(&measured);
    if arguments.quick {
        println!("A quick run shows that everything works; its figures mean nothing.\n");
    }
    println!("{}", report.text(std::io::stdout().is_terminal()));
    if let Some(file) = &arguments.json {
        let document = format!("{:#}\n", report.document(&bench, rounds));
        fs::write(file, document).map_err(|error| format!("{}: {error}", file.display()))?;
    }
    Ok(if report.has_failures() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn chosen(only: &[String]) -> Result<Vec<&'static Scenario>, String> {
    let is_wanted = |scenario: &&Scenario| {
        only.is_empty() || only.iter().any(|text| scenario.name.contains(text.as_str()))
    };
    let chosen: Vec<_> = scenarios().filter(is_wanted).collect();
    if chosen.is_empty() {
        return Err(format!("no scenario is called {only:?}; --list names them"));
    }
    Ok(chosen)
}

fn bench(arguments: &Arguments) -> Result<Bench, String> {
    let cpus = CpuPair::choose(arguments.server_cpu, arguments.client_cpu)
        .map_err(|error| error.to_string())?;
    let beside = || {
        let own = std::env::current_exe().map_err(|error| error.to_string())?;
        Ok::<_, String>(own.with_file_name("ringway"))
    };
    let program = arguments.program.clone().map_or_else(beside, Ok)?;
    let [duration, open_loop, idle] = if arguments.quick {
        [Duration::from_millis(200), Duration::from_millis(500), Duration::from_secs(2)]
    } else {
        [Duration::from_secs(2), Duration::from_secs(10), Duration::from_secs(60)]
    };
    let size = if arguments.quick { Size::QUICK } else { Size::FULL };
    Ok(Bench { program, cpus, duration, open_loop, idle, size, count_allocations })
}

/// Counts with the crate that is this binary's allocator because it is called here.
fn count_allocations(run: &mut dyn FnMut()) -> Allocated {
    let counted = allocation_counter::measure(run);
    Allocated {
        allocations: counted.count_total,
        bytes: counted.bytes_total,
        held_bytes: counted.bytes_current.max(0) as u64,
    }
}

/// The live line; indicatif hides it where stderr is no terminal.
fn live_line(steps: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("[{elapsed}] {wide_bar} {msg}")
        // The template is a constant with known keys.
        .expect("a valid template");
    ProgressBar::new(steps).with_style(style)
}
