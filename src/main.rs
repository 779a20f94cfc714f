//! The program `ringway`: everything it does hangs on its command line.

mod cli;
mod config;
mod demo;
mod doctor;
mod failure;
mod flags;
mod load;
mod queue;
mod serve;
mod settings;
mod signals;
mod units;

fn main() -> std::process::ExitCode {
    cli::run()
}
