//! `ringway queue move`, `redrive` and `rename`: messages in other queues, queues with other names.

use clap::Args;
use ringway_client::{HeaderFilter, MoveOptions, MovedAll};
use serde_json::json;

use super::message::HeaderText;
use super::{Session, counted, failure};
use crate::failure::{Failure, Outcome};

const MOVE_EXAMPLES: &str = "\
Examples:
  ringway queue move jobs jobs-later                   all that is ready
  ringway queue move jobs jobs-later --count 100
  ringway queue move jobs mails --header kind=mail     only those with that header

Messages that arrive during the move stay. Between two shards a message is there twice rather \
than lost if the plane ends in between.";

const REDRIVE_EXAMPLES: &str = "\
Examples:
  ringway queue redrive jobs                           all of jobs.dead, back where they came from
  ringway queue redrive jobs --reason expired          only those that died so
  ringway queue redrive jobs --header kind=mail

Reasons are deliveries, expired and rejected. Code 1 if any had to stay, because its queue is \
full or gone.";

const RENAME_EXAMPLES: &str = "\
Examples:
  ringway queue rename jobs tasks

Its dead letters become those of the new name. A name that belongs to another shard needs the \
queue to be declared there: its options, bindings and messages go along. Where something could \
not go along (groups other than default, messages that are leased, delayed, scheduled or kept, a \
window of deduplication, a spread queue) nothing is done.";

/// The arguments of `ringway queue move`.
#[derive(Args)]
#[command(after_help = MOVE_EXAMPLES)]
pub struct MoveArguments {
    /// Name of the queue that loses the messages
    from: String,

    /// Name of the queue that gets them
    to: String,

    /// Most messages [default: as many as there are]
    #[arg(long, value_name = "N")]
    count: Option<u64>,

    /// Only messages with this header
    #[arg(long, value_name = "NAME=VALUE")]
    header: Option<HeaderText>,

    /// Group of consumers whose messages are moved [default: default]
    #[arg(long, value_name = "GROUP")]
    group: Option<String>,
}

/// The arguments of `ringway queue redrive`.
#[derive(Args)]
#[command(after_help = REDRIVE_EXAMPLES)]
pub struct RedriveArguments {
    /// Name of the queue, or of its dead-letter queue NAME.dead
    name: String,

    /// Only messages with this header
    #[arg(long, value_name = "NAME=VALUE", conflicts_with = "reason")]
    header: Option<HeaderText>,

    /// Only messages that died so: deliveries, expired or rejected
    #[arg(long, value_name = "REASON", value_parser = ["deliveries", "expired", "rejected"])]
    reason: Option<String>,
}

/// The arguments of `ringway queue rename`.
#[derive(Args)]
#[command(after_help = RENAME_EXAMPLES)]
pub struct RenameArguments {
    /// Name of the queue
    name: String,

    /// Its name from now on
    to: String,
}

fn filter(header: Option<&HeaderText>) -> Option<HeaderFilter<'_>> {
    header.map(|header| HeaderFilter { name: &header.name, value: header.value.as_bytes() })
}

pub fn run(session: &mut Session, arguments: &MoveArguments) -> Outcome {
    let [from, to] = [session.open(&arguments.from)?, session.open(&arguments.to)?];
    let group = session.group(from, arguments.group.as_deref())?;
    let options = MoveOptions {
        group,
        messages_max: arguments.count,
        filter: filter(arguments.header.as_ref()),
        redrive: false,
    };
    let moved = session.client.move_messages(from, to, &options).map_err(failure)?;
    report(session, moved, &format!("moved from {} to {}", arguments.from, arguments.to))
}

pub fn redrive(session: &mut Session, arguments: &RedriveArguments) -> Outcome {
    let name = match arguments.name.ends_with(".dead") {
        true => arguments.name.clone(),
        false => format!("{}.dead", arguments.name),
    };
    let dead = session.open(&name)?;
    let reason = arguments
        .reason
        .as_ref()
        .map(|reason| HeaderFilter { name: "ringway-reason", value: reason.as_bytes() });
    let filter = reason.or(filter(arguments.header.as_ref()));
    let moved = session.client.redrive(dead, filter).map_err(failure)?;
    report(session, moved, &format!("brought back from {name}"))
}

/// Says what was moved. What had to stay makes the command fail, after the document.
fn report(session: &Session, moved: MovedAll, how: &str) -> Outcome {
    let document = json!({ "moved": moved.moved, "refused": moved.refused });
    session.answer(&document, &format!("{} {how}", counted(moved.moved)))?;
    if moved.refused > 0 {
        return Err(Failure::failed(
            format!("{} had to stay", counted(moved.refused)),
            "their queue is full, paused or gone: see `ringway queue stat` of it",
        ));
    }
    Ok(())
}

pub fn rename(session: &mut Session, arguments: &RenameArguments) -> Outcome {
    let RenameArguments { name, to } = arguments;
    let queue = session.open(name)?;
    let renamed = session.client.rename_or_move(queue, to).map_err(failure)?;
    let document = json!({
        "queue": to,
        "id": renamed.queue.0.to_string(),
        "moved": renamed.moved,
        "left": renamed.left,
    });
    let sentence = match renamed.moved {
        0 => format!("{name} is {to} now"),
        moved => format!("{name} is {to} now, on another shard; {} moved", counted(moved)),
    };
    session.answer(&document, &sentence)?;
    if renamed.left > 0 {
        return Err(Failure::failed(
            format!("{} stayed in {name}, which is still there", counted(renamed.left)),
            format!("settle them, then: ringway queue move {name} {to}"),
        ));
    }
    Ok(())
}
