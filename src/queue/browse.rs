//! `ringway queue peek`, `browse` and `remove`: messages where they stand.

use clap::{Args, ValueEnum};
use ringway_client::{BrowseOptions, Browsed, MessageState};
use serde_json::{Value, json};

use super::moment::Moment;
use super::table::{one_line, print_rows};
use super::take::lines;
use super::{Session, counted, document, failure, print};
use crate::failure::{Failure, Outcome};

const PEEK_EXAMPLES: &str = "\
Examples:
  ringway queue peek jobs                  the message that a take would get; nobody loses it
  ringway queue peek jobs --count 10 --json
  ringway queue peek jobs --group audit";

const BROWSE_EXAMPLES: &str = "\
Examples:
  ringway queue browse jobs                          sequence, deliveries, put, due, payload
  ringway queue browse jobs --state scheduled        what comes later, and when
  ringway queue browse jobs --state leased           who has it until when
  ringway queue browse jobs --state delayed --json   given back, with attributes
  ringway queue browse jobs.dead --count 20 --json

A payload is one line here: what would break it is escaped. Ready messages come as takes get them, \
the most urgent first. In a pipe the columns have tabs between them and no heading: sequence, \
deliveries, put, due, payload.";

const REMOVE_EXAMPLES: &str = "\
Examples:
  ringway queue put jobs remind --delay 1h           names the sequence
  ringway queue remove jobs 9223372036854775808      cancels it
  ringway queue browse jobs --json | jq -r '.[].sequence' | xargs ringway queue remove jobs

Code 1 if any was unknown, gone, or leased by somebody.";

/// The arguments of `ringway queue peek`.
#[derive(Args)]
#[command(after_help = PEEK_EXAMPLES)]
pub struct PeekArguments {
    /// Name of the queue
    name: String,

    /// Most messages
    #[arg(long, value_name = "N", default_value_t = 1)]
    count: usize,

    /// Group of consumers whose next messages they are [default: default]
    #[arg(long, value_name = "GROUP")]
    group: Option<String>,

    /// Print payloads as they are, without a newline after each
    #[arg(long, conflicts_with = "json")]
    raw: bool,
}

/// The arguments of `ringway queue browse`.
#[derive(Args)]
#[command(after_help = BROWSE_EXAMPLES)]
pub struct BrowseArguments {
    /// Name of the queue
    name: String,

    /// Where the messages stand
    #[arg(long, value_name = "STATE", default_value = "ready")]
    state: State,

    /// Most messages; it says when there are more
    #[arg(long, value_name = "N", default_value_t = 1000)]
    count: usize,

    /// Group of consumers [default: default]
    #[arg(long, value_name = "GROUP")]
    group: Option<String>,
}

/// The arguments of `ringway queue remove`.
#[derive(Args)]
#[command(after_help = REMOVE_EXAMPLES)]
pub struct RemoveArguments {
    /// Name of the queue
    name: String,

    /// Sequences, as `browse` shows them, and `put` and `take` with --json
    #[arg(required = true, value_name = "SEQUENCE")]
    sequences: Vec<u64>,
}

#[derive(Clone, Copy, ValueEnum)]
enum State {
    /// A take would get them now
    Ready,
    /// Somebody has them under a lease
    Leased,
    /// Put for later
    Scheduled,
    /// Behind another message of their key
    Blocked,
    /// Given back, and not due again
    Delayed,
}

impl From<State> for MessageState {
    fn from(word: State) -> Self {
        match word {
            State::Ready => MessageState::Ready,
            State::Leased => MessageState::Leased,
            State::Scheduled => MessageState::Scheduled,
            State::Blocked => MessageState::Blocked,
            State::Delayed => MessageState::Delayed,
        }
    }
}

pub fn peek(session: &mut Session, arguments: &PeekArguments) -> Outcome {
    let group = arguments.group.as_deref();
    let found = look(session, &arguments.name, group, (State::Ready, arguments.count))?;
    if session.json {
        session.document(&found.iter().map(document::browsed).collect::<Value>())?;
    } else {
        print(&lines(found.iter().map(|browsed| browsed.record().payload), arguments.raw))?;
    }
    if found.is_empty() {
        eprintln!("no message is ready in {}", arguments.name);
        return Err(Failure::said());
    }
    Ok(())
}

pub fn run(session: &mut Session, arguments: &BrowseArguments) -> Outcome {
    let group = arguments.group.as_deref();
    let count = arguments.count;
    // One more tells whether there are more.
    let asked = (arguments.state, count.saturating_add(1));
    let mut found = look(session, &arguments.name, group, asked)?;
    if found.len() > count {
        found.truncate(count);
        eprintln!("these are the first {count} of more: --count N shows as many as there are");
    }
    if session.json {
        return session.document(&found.iter().map(document::browsed).collect::<Value>());
    }
    let time = |ms: u64| if ms == 0 { "-".to_owned() } else { Moment::of_ms(ms).to_string() };
    let rows = found.iter().map(|browsed| {
        let standing = &browsed.standing;
        vec![
            standing.sequence.to_string(),
            standing.deliveries.to_string(),
            time(standing.put_ms),
            time(standing.due_ms),
            one_line(browsed.record().payload),
        ]
    });
    print_rows(&["sequence", "deliveries", "put", "due", "payload"], 5, rows)
}

fn look(
    session: &mut Session,
    name: &str,
    group: Option<&str>,
    (state, messages_max): (State, usize),
) -> Result<Vec<Browsed>, Failure> {
    let queue = session.open(name)?;
    let group = session.group(queue, group)?;
    let options = BrowseOptions { group, state: state.into(), messages_max };
    session.client.browse(queue, &options).map_err(failure)
}

pub fn remove(session: &mut Session, arguments: &RemoveArguments) -> Outcome {
    let queue = session.open(&arguments.name)?;
    let removal = session.client.remove(queue, &arguments.sequences).map_err(failure)?;
    let document = json!({ "removed": removal.removed, "missing": removal.missing });
    let sentence = format!("{} removed from {}", counted(removal.removed.into()), arguments.name);
    session.answer(&document, &sentence)?;
    if removal.missing > 0 {
        return Err(Failure::failed(
            format!("{} could not be removed", counted(removal.missing.into())),
            "unknown, gone already, or leased: look with `ringway queue browse`",
        ));
    }
    Ok(())
}
