//! `ringway queue group`: the groups of consumers of a queue.

use std::str::FromStr;

use clap::{Args, Subcommand};
use ringway_client::{GroupFlags, ListedGroup, Start};
use serde_json::{Value, json};

use super::moment::Moment;
use super::table::print_rows;
use super::{Session, failure, stat};
use crate::failure::{Failure, Outcome};

const EXAMPLES: &str = "\
Examples:
  ringway queue group create jobs audit                    gets all that is still there
  ringway queue group create jobs live --start latest      gets what is put from now on
  ringway queue group create jobs replay --start 2026-11-20T00:00:00Z
  ringway queue group create jobs leader --single-active yes
  ringway queue take jobs --group audit
  ringway queue group alter jobs audit --paused yes
  ringway queue group ls jobs
  ringway queue group delete jobs audit

Every group gets every message; a message is done when every group is done with it. In a pipe the \
columns of ls have tabs between them and no heading: group, flags, position, ready, leased, \
blocked, delayed, acks.";

/// The arguments of `ringway queue group`.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct GroupArguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Make a group, or find that it is there with the same flags
    Create(CreateArguments),
    /// Pause or resume a group, or let one consumer at a time have its messages
    Alter(AlterArguments),
    /// Remove a group; what only it still needed goes
    #[command(visible_alias = "rm")]
    Delete(NameArguments),
    /// List the groups of a queue with their figures
    Ls(ListArguments),
}

#[derive(Args)]
#[command(after_help = EXAMPLES)]
struct CreateArguments {
    #[command(flatten)]
    names: NameArguments,

    /// Where it starts: earliest, latest, a sequence, or a time like 2026-11-21T10:00:00Z
    #[arg(long, value_name = "START", default_value = "earliest")]
    start: StartText,

    #[command(flatten)]
    flags: FlagArguments,
}

#[derive(Args)]
#[command(after_help = EXAMPLES)]
struct AlterArguments {
    #[command(flatten)]
    names: NameArguments,

    #[command(flatten)]
    flags: FlagArguments,
}

#[derive(Args)]
struct NameArguments {
    /// Name of the queue
    queue: String,

    /// Name of the group
    group: String,
}

#[derive(Args)]
#[command(after_help = EXAMPLES)]
struct ListArguments {
    /// Name of the queue
    queue: String,
}

#[derive(Args)]
struct FlagArguments {
    /// Whether it gets nothing for now
    #[arg(long, value_name = "yes|no", value_parser = clap::builder::BoolishValueParser::new())]
    paused: Option<bool>,

    /// Whether one consumer at a time gets its messages
    #[arg(long, value_name = "yes|no", value_parser = clap::builder::BoolishValueParser::new())]
    single_active: Option<bool>,
}

impl FlagArguments {
    /// These flags, and for those not said what they were.
    fn over(&self, before: GroupFlags) -> GroupFlags {
        GroupFlags {
            paused: self.paused.unwrap_or(before.paused),
            single_active: self.single_active.unwrap_or(before.single_active),
        }
    }
}

/// The start of a group as people write it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct StartText(Start);

impl FromStr for StartText {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let start = match (text, text.parse::<u64>()) {
            ("earliest", _) => Start::Earliest,
            ("latest", _) => Start::Latest,
            (_, Ok(sequence)) => Start::Sequence(sequence),
            _ => Start::TimeMs(text.parse::<Moment>().map(Moment::ms).map_err(|_| {
                format!(
                    "'{text}' is no start: write earliest, latest, a sequence, or a time in UTC"
                )
            })?),
        };
        Ok(Self(start))
    }
}

pub fn run(session: &mut Session, arguments: &GroupArguments) -> Outcome {
    match &arguments.verb {
        Verb::Create(arguments) => create(session, arguments),
        Verb::Alter(arguments) => alter(session, arguments),
        Verb::Delete(arguments) => delete(session, arguments),
        Verb::Ls(arguments) => list(session, arguments),
    }
}

fn create(session: &mut Session, arguments: &CreateArguments) -> Outcome {
    let CreateArguments { names: NameArguments { queue, group }, start, flags } = arguments;
    let id = session.open(queue)?;
    let flags = flags.over(GroupFlags::default());
    let made = session.client.create_group_new(id, group, start.0, flags);
    let (number, created) = made.map_err(failure)?;
    let document =
        json!({ "queue": queue, "group": group, "number": number.0, "created": created });
    let found = if created { "made" } else { "was there already, with these flags" };
    session.answer(&document, &format!("group {group} of {queue} {found}"))
}

fn alter(session: &mut Session, arguments: &AlterArguments) -> Outcome {
    let AlterArguments { names: NameArguments { queue, group }, flags } = arguments;
    if flags.paused.is_none() && flags.single_active.is_none() {
        return Err(Failure::usage("nothing is to be changed", "give --paused or --single-active"));
    }
    let id = session.open(queue)?;
    let groups = session.client.groups(id).map_err(failure)?;
    let before = groups.iter().find(|listed| listed.name == *group);
    let flags = flags.over(before.map_or(GroupFlags::default(), |listed| listed.flags));
    session.client.alter_group(id, group, flags).map_err(failure)?;
    let document = json!({
        "queue": queue,
        "group": group,
        "paused": flags.paused,
        "single_active": flags.single_active,
    });
    let words = words(flags);
    session.answer(&document, &format!("group {group} of {queue} is {words} now"))
}

fn delete(session: &mut Session, arguments: &NameArguments) -> Outcome {
    let NameArguments { queue, group } = arguments;
    let id = session.open(queue)?;
    session.client.delete_group(id, group).map_err(failure)?;
    let document = json!({ "queue": queue, "group": group, "deleted": true });
    session.answer(&document, &format!("group {group} of {queue} removed"))
}

fn list(session: &mut Session, arguments: &ListArguments) -> Outcome {
    let id = session.open(&arguments.queue)?;
    let groups = session.client.groups(id).map_err(failure)?;
    if session.json {
        return session.document(&groups.iter().map(document).collect::<Value>());
    }
    const SHOWN: [&str; 6] = ["position", "ready", "leased", "blocked", "delayed", "acks"];
    let heading = [&["group", "flags"], &SHOWN[..]].concat();
    let rows = groups.iter().map(|group| {
        let figures = SHOWN.iter().map(|name| group.figures.get(0, name).to_string());
        [group.name.clone(), words(group.flags).to_owned()].into_iter().chain(figures).collect()
    });
    print_rows(&heading, 2, rows)
}

fn document(group: &ListedGroup) -> Value {
    let figures = group.figures.rows().next().unwrap_or_default();
    let mut entry = stat::document(figures);
    entry["group"] = group.name.as_str().into();
    entry["number"] = group.group.0.into();
    entry["paused"] = group.flags.paused.into();
    entry["single_active"] = group.flags.single_active.into();
    entry
}

fn words(flags: GroupFlags) -> &'static str {
    match (flags.paused, flags.single_active) {
        (false, false) => "open",
        (true, false) => "paused",
        (false, true) => "single-active",
        (true, true) => "paused, single-active",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_as_people_write_them() {
        let start = |text: &str| text.parse::<StartText>().map(|start| start.0).ok();
        assert_eq!(start("earliest"), Some(Start::Earliest));
        assert_eq!(start("latest"), Some(Start::Latest));
        assert_eq!(start("17"), Some(Start::Sequence(17)));
        assert_eq!(start("1970-01-01T00:00:01Z"), Some(Start::TimeMs(1000)));
        assert_eq!((start("now"), start("-1")), (None, None));
    }
}
