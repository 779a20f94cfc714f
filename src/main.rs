//! The program `ringway`: everything it does hangs on its command line.

mod cli;
mod config;
mod doctor;
mod failure;
mod flags;
mod queue;
mod serve;
mod settings;
mod signals;
mod units;

fn main() -> std::process::ExitCode {
    cli::run()
}
