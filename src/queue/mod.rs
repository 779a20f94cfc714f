//! `ringway queue`: queues by hand and from scripts, over one connection a command.
//!
//! What a command is asked for goes to stdout: a line a message or a queue, or one JSON document
//! with `--json`. What it has to say about that goes to stderr, one sentence with a remedy when it
//! fails. With `--json` there is always exactly one document (`subscribe` prints one a message):
//! where a command fails before it has one, the document is its error.

mod bindings;
mod browse;
mod declare;
mod describe;
mod document;
mod group;
mod input;
mod message;
mod moment;
mod moving;
mod pause;
mod put;
mod request;
mod settle;
mod show;
mod stat;
mod subscribe;
mod table;
mod take;
mod transfer;

use std::cell::Cell;
use std::io::{self, Write};
use std::time::Duration;

use clap::{Args, Subcommand};
use ringway_client::{Client, Code, Error, GroupId, Options, QueueId};
use ringway_protocol::options::WAIT_MS_MAX;
use serde_json::Value;

use crate::failure::{Failure, Outcome};

const EXAMPLES: &str = "\
Examples:
  ringway queue declare jobs --lease 1m --deliveries-max 5
  ringway queue put jobs first second
  seq 1000 | ringway queue put jobs -
  ringway queue take jobs --count 10 --ack
  ringway queue subscribe jobs             prints what comes, until Ctrl-C
  ringway queue take jobs --json           shows ids, deliveries and the lease
  ringway queue ack jobs 4294967296 0-9    settles messages 0 to 9 of that lease
  ringway queue redrive jobs               brings back what was delivered too often
  ringway queue stat jobs

Each command has its own examples: ringway queue put --help
With --json stdout has one document in every case; for a failure it is \
{\"error\": {\"code\": ..., \"sentence\": ...}}. Ids, leases and sequences are texts: \
they pass 2^53.
Exit codes: 0 done; 1 it failed, or not all of it could be done; 2 wrong usage.";

/// Where the help lists the flags of all commands.
const EVERYWHERE: &str = "With every command";

/// The arguments of `ringway queue`.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct QueueArguments {
    /// Where the plane listens
    #[arg(
        long,
        global = true,
        value_name = "HOST:PORT",
        env = "RINGWAY_ADDRESS",
        default_value = "127.0.0.1:7311",
        help_heading = EVERYWHERE
    )]
    address: String,

    /// Token that the plane asks for
    #[arg(
        long,
        global = true,
        value_name = "TOKEN",
        env = "RINGWAY_TOKEN",
        default_value = "",
        hide_default_value = true,
        hide_env_values = true,
        help_heading = EVERYWHERE
    )]
    token: String,

    /// Print one JSON document
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    json: bool,

    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Make a queue, or find that it is there with the same options
    Declare(declare::DeclareArguments),
    /// Change the options of a queue
    Alter(declare::AlterArguments),
    /// Show what a queue is: its options, and what of it is paused
    #[command(visible_alias = "describe")]
    Show(describe::ShowArguments),
    /// List queues by a pattern or prefix, with how many messages are ready and leased
    Ls(show::ListArguments),
    /// Show the figures of a queue, or of every shard
    Stat(stat::StatArguments),
    /// Put messages: arguments, or lines of stdin with '-'
    Put(put::PutArguments),
    /// Take messages under a lease, or acknowledge them once they are printed
    Take(take::TakeArguments),
    /// Print and acknowledge messages as they come, until Ctrl-C
    Subscribe(subscribe::SubscribeArguments),
    /// Acknowledge messages of a lease: they are done
    Ack(settle::AckArguments),
    /// Give messages of a lease back, at once, later, or as dead letters
    Nack(settle::NackArguments),
    /// Make a lease last longer
    Extend(settle::ExtendArguments),
    /// Acknowledge messages of a lease and put their results, together
    Transfer(transfer::TransferArguments),
    /// Make, change, remove and list the groups of consumers of a queue
    Group(group::GroupArguments),
    /// Print the next messages without taking them
    Peek(browse::PeekArguments),
    /// Show messages by where they stand: ready, leased, scheduled, blocked, delayed
    Browse(browse::BrowseArguments),
    /// Remove messages by their sequences; cancels scheduled ones
    #[command(visible_alias = "cancel")]
    Remove(browse::RemoveArguments),
    /// Move ready messages to another queue
    Move(moving::MoveArguments),
    /// Bring dead letters back to the queue that they came from
    Redrive(moving::RedriveArguments),
    /// Give a queue another name
    Rename(moving::RenameArguments),
    /// Give a queue what is published under names that match a pattern
    Bind(bindings::BindArguments),
    /// Take a pattern back
    Unbind(bindings::BindArguments),
    /// List bindings
    Bindings(bindings::BindingsArguments),
    /// Put messages to every queue that is bound to a name
    Publish(bindings::PublishArguments),
    /// Put a request and print its answer
    Request(request::RequestArguments),
    /// Answer requests, with a text or with what a command makes of them
    Reply(request::ReplyArguments),
    /// Stop the puts of a queue, its takes, or both
    Pause(pause::PauseArguments),
    /// Let the puts and takes of a queue go on
    Resume(pause::ResumeArguments),
    /// Drop every ready message
    Purge(show::PurgeArguments),
    /// Remove a queue and all its messages
    #[command(visible_alias = "delete")]
    Rm(show::RemoveArguments),
}

/// A connection and how to answer.
struct Session {
    client: Client,
    json: bool,
    /// Whether the document is on stdout.
    documented: Cell<bool>,
}

/// Carries out one verb.
pub fn run(arguments: QueueArguments) -> Outcome {
    let QueueArguments { address, token, json, verb } = arguments;
    // A put is held for as long as its queue says, which is for the server to end.
    let held_timeout = Duration::from_millis(WAIT_MS_MAX.into());
    let options = Options { token, held_timeout, ..Options::default() };
    let (outcome, documented) = match Client::connect(&address, &options) {
        Err(error) => (Err(failure(error)), false),
        Ok(client) => {
            let mut session = Session { client, json, documented: Cell::new(false) };
            (carry_out(&mut session, verb), session.documented.get())
        }
    };
    if let Err(failure) = &outcome
        && json
        && !documented
    {
        print_document(&failure.document())?;
    }
    outcome
}

fn carry_out(session: &mut Session, verb: Verb) -> Outcome {
    match verb {
        Verb::Declare(arguments) => declare::run(session, &arguments),
        Verb::Alter(arguments) => declare::alter(session, &arguments),
        Verb::Show(arguments) => describe::run(session, &arguments),
        Verb::Ls(arguments) => show::list(session, &arguments),
        Verb::Stat(arguments) => stat::run(session, &arguments),
        Verb::Put(arguments) => put::run(session, &arguments),
        Verb::Take(arguments) => take::run(session, &arguments),
        Verb::Subscribe(arguments) => subscribe::run(session, &arguments),
        Verb::Ack(arguments) => settle::ack(session, &arguments),
        Verb::Nack(arguments) => settle::nack(session, &arguments),
        Verb::Extend(arguments) => settle::extend(session, &arguments),
        Verb::Transfer(arguments) => transfer::run(session, &arguments),
        Verb::Group(arguments) => group::run(session, &arguments),
        Verb::Peek(arguments) => browse::peek(session, &arguments),
        Verb::Browse(arguments) => browse::run(session, &arguments),
        Verb::Remove(arguments) => browse::remove(session, &arguments),
        Verb::Move(arguments) => moving::run(session, &arguments),
        Verb::Redrive(arguments) => moving::redrive(session, &arguments),
        Verb::Rename(arguments) => moving::rename(session, &arguments),
        Verb::Bind(arguments) => bindings::bind(session, &arguments),
        Verb::Unbind(arguments) => bindings::unbind(session, &arguments),
        Verb::Bindings(arguments) => bindings::list(session, &arguments),
        Verb::Publish(arguments) => bindings::publish(session, &arguments),
        Verb::Request(arguments) => request::run(session, &arguments),
        Verb::Reply(arguments) => request::reply(session, &arguments),
        Verb::Pause(arguments) => pause::run(session, &arguments),
        Verb::Resume(arguments) => pause::resume(session, &arguments),
        Verb::Purge(arguments) => show::purge(session, &arguments),
        Verb::Rm(arguments) => show::remove(session, &arguments),
    }
}

impl Session {
    fn open(&mut self, name: &str) -> Result<QueueId, Failure> {
        self.client.open(name).map_err(|error| match error.code() {
            Some(code @ Code::NoSuchQueue) => {
                let sentence = format!("no queue is called {name}");
                Failure::failed(sentence, code.remedy()).named(format!("{code:?}"))
            }
            _ => failure(error),
        })
    }

    /// The number of a group of consumers; that of `default` needs no question.
    fn group(&mut self, queue: QueueId, name: Option<&str>) -> Result<GroupId, Failure> {
        match name {
            None => Ok(GroupId::DEFAULT),
            Some(name) => self.client.group(queue, name).map_err(failure),
        }
    }

    /// Says what was done: a document on stdout, or a sentence on stderr.
    fn answer(&self, document: &Value, sentence: &str) -> Outcome {
        if self.json {
            self.document(document)
        } else {
            eprintln!("{sentence}");
            Ok(())
        }
    }

    /// Prints the one document of the command.
    fn document(&self, document: &Value) -> Outcome {
        self.documented.set(true);
        print_document(document)
    }
}

fn print_document(document: &Value) -> Outcome {
    print(format!("{document:#}\n").as_bytes())
}

/// Writes to stdout, all of it, now.
fn print(bytes: &[u8]) -> Outcome {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes).and_then(|()| stdout.flush()).map_err(|error| match error.kind() {
        // Whoever read has seen enough, as in `ringway queue ls | head -1`: nothing more to say.
        io::ErrorKind::BrokenPipe => Failure::said(),
        _ => Failure::failed(format!("cannot write to stdout: {error}"), "make room and try again"),
    })
}

/// What a person is told about an error of the client.
fn failure(error: Error) -> Failure {
    let name = match (error.code(), &error) {
        (Some(code), _) => format!("{code:?}"),
        (_, Error::Connect { .. }) => "NotConnected".to_owned(),
        (_, error) if error.fate_unknown() => "FateUnknown".to_owned(),
        _ => "Failed".to_owned(),
    };
    let remedy = match &error {
        Error::Connect { .. } => "start `ringway serve`, or name its address with --address",
        Error::Refused { sentence, code } | Error::Goodbye { sentence, code } => {
            return refusal(*code, sentence).named(name);
        }
        Error::Invalid(rejection) => {
            let sentence = as_flags(rejection.sentence);
            return Failure::usage(sentence, rejection.code.remedy()).named(name);
        }
        Error::Protocol(_) => "name the address of a Ringway plane with --address",
        error if error.fate_unknown() => "look with `ringway queue stat` before trying again",
        _ => "try again",
    };
    Failure::failed(&error, remedy).named(name)
}

/// What the server refused: as wrong usage where another value would have done.
fn refusal(code: Code, sentence: &str) -> Failure {
    match code {
        Code::InvalidOption | Code::InvalidName => {
            Failure::usage(as_flags(sentence), code.remedy())
        }
        code => Failure::failed(sentence, code.remedy()),
    }
}

/// Options of the protocol by the flags that set them: `lease_ms` is `--lease`.
fn as_flags(sentence: &str) -> String {
    let word = |word: &str| {
        let end = word.find(|letter: char| !letter.is_ascii_lowercase() && letter != '_');
        let (option, rest) = word.split_at(end.unwrap_or(word.len()));
        if !option.contains('_') {
            return word.to_owned();
        }
        format!("--{}{rest}", option.trim_end_matches("_ms").replace('_', "-"))
    };
    sentence.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

/// `1 message`, `2 messages`.
fn counted(count: u64) -> String {
    several(count, "message")
}

/// `1 queue`, `2 queues`.
fn several(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::as_flags;

    #[test]
    fn options_are_called_as_their_flags() {
        let sentence = "dedup_max needs a dedup_ms, bytes_max (none) does not";
        let flags = "--dedup-max needs a --dedup, --bytes-max (none) does not";
        assert_eq!(as_flags(sentence), flags);
    }
}
