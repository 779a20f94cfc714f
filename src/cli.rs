//! The command line: which subcommand does what, and the exit codes.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::failure::Failure;
use crate::{demo, doctor, load, queue, serve};

/// What follows the list of commands in `--help`.
const AFTER_HELP: &str = "\
Exit codes: 0 done; 1 the operation failed or a check found something; 2 wrong usage; \
78 this host cannot run it.

Start here:
  ringway serve                        serve queues on 127.0.0.1:7311
  ringway queue declare jobs           make a queue
  echo hello | ringway queue put jobs -
  ringway queue take jobs --ack        print a message and acknowledge it";

/// A message data plane for Linux: lease queues served by one pinned shard per core over io_uring
#[derive(Parser)]
#[command(name = "ringway", version, propagate_version = true, after_help = AFTER_HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve queues until SIGTERM or Ctrl-C, then drain
    Serve(Box<serve::ServeArguments>),
    /// Drive a plane with load, and report throughput and latency
    Load(load::LoadArguments),
    /// Declare queues, put, take and acknowledge messages, by hand and from scripts
    Queue(queue::QueueArguments),
    /// Say what this host allows, what is slow or blocked, and what mends it
    Doctor(doctor::DoctorArguments),
    /// Serve on loopback, drive it with load for some seconds, report, and leave nothing running
    Demo(demo::DemoArguments),
}

/// Reads the command line and does what it says. Wrong usage ends here, with code 2.
pub fn run() -> ExitCode {
    let cli = Cli::try_parse().unwrap_or_else(|error| wrong(&error));
    let outcome = match cli.command {
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Load(arguments) => return load::run(&arguments),
        Command::Queue(arguments) => queue::run(arguments),
        Command::Doctor(arguments) => doctor::run(&arguments),
        Command::Demo(arguments) => demo::run(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

/// Says what is wrong with the command line, or what `--help` asks for, and ends the program. A
/// script that asked for a document gets one.
fn wrong(error: &clap::Error) -> ! {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let is_queue = arguments.first().is_some_and(|verb| verb == "queue");
    if is_queue && error.use_stderr() && arguments.iter().any(|flag| flag == "--json") {
        let text = error.to_string();
        let sentence = text.split("\n\n").next().unwrap_or_default();
        let words: Vec<_> = sentence.trim_start_matches("error: ").split_whitespace().collect();
        let sentence = words.join(" ");
        let failure = Failure::usage(sentence, "see --help");
        println!("{:#}", failure.document());
    }
    error.exit()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Cli;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_on_queues_shows_examples() {
        let cli = Cli::command();
        let queue = cli.find_subcommand("queue").expect("it is there");
        for verb in queue.get_subcommands() {
            let examples = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
            let own = examples.lines().filter(|line| line.contains("ringway queue")).count();
            assert!(own > 0 && examples.starts_with("Examples:"), "{}", verb.get_name());
            let wide = examples.lines().find(|line| line.chars().count() > 100);
            // Sentences are wrapped to the terminal, examples are not.
            let wide = wide.filter(|line| line.starts_with(' '));
            assert_eq!(wide, None, "{}", verb.get_name());
        }
    }
}
