//! The program `ringway`: everything it does hangs on its command line.

mod cli;
mod config;
mod failure;
mod flags;
mod serve;
mod settings;
mod signals;
mod units;

fn main() -> std::process::ExitCode {
    cli::run()
}
