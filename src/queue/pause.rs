//! `ringway queue pause` and `resume`.

use clap::{Args, ValueEnum};
use ringway_client::Paused;
use serde_json::json;

use super::{Session, failure};
use crate::failure::Outcome;

const EXAMPLES: &str = "\
Examples:
  ringway queue pause jobs             puts are refused, takes wait
  ringway queue pause jobs takes       producers go on, even if they were paused before
  ringway queue resume jobs
  ringway queue group alter jobs audit --paused yes     one group of consumers only";

/// The arguments of `ringway queue pause`.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct PauseArguments {
    /// Name of the queue
    name: String,

    /// What is stopped; the rest goes on, also if an earlier pause had stopped it
    #[arg(default_value = "both")]
    what: What,
}

/// The arguments of `ringway queue resume`.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct ResumeArguments {
    /// Name of the queue
    name: String,
}

#[derive(Clone, Copy, ValueEnum)]
enum What {
    /// Puts are refused
    Puts,
    /// Takes wait or come back empty
    Takes,
    /// Both
    Both,
}

pub fn run(session: &mut Session, arguments: &PauseArguments) -> Outcome {
    let name = &arguments.name;
    let (what, word) = match arguments.what {
        What::Puts => (Paused::Puts, "puts"),
        What::Takes => (Paused::Takes, "takes"),
        What::Both => (Paused::Both, "both"),
    };
    let queue = session.open(name)?;
    session.client.pause(queue, what).map_err(failure)?;
    session.answer(&json!({ "queue": name, "paused": word }), &format!("{name} paused: {word}"))
}

pub fn resume(session: &mut Session, arguments: &ResumeArguments) -> Outcome {
    let name = &arguments.name;
    let queue = session.open(name)?;
    session.client.resume(queue).map_err(failure)?;
    session.answer(&json!({ "queue": name, "paused": "none" }), &format!("{name} goes on"))
}
