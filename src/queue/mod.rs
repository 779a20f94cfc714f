//! `ringway queue`: queues by hand and from scripts, over one connection a command.
//!
//! What a command is asked for goes to stdout: a line a message or a queue, or one JSON document
//! with `--json`. What it has to say about that goes to stderr, one sentence with a remedy when it
//! fails.

mod declare;
mod put;
mod settle;
mod show;
mod take;

use std::io::{self, Write};

use clap::{Args, Subcommand};
use ringway_client::{Client, Error, Options, QueueId};
use serde_json::Value;

use crate::failure::{Failure, Outcome};

const EXAMPLES: &str = "\
Examples:
  ringway queue declare jobs --lease 1m
  ringway queue put jobs first second
  seq 1000 | ringway queue put jobs -
  ringway queue take jobs --count 10 --ack
  ringway queue take jobs --json           shows ids, deliveries and the lease
  ringway queue ack jobs 4294967296 0-9    settles messages 0 to 9 of that lease
  ringway queue take jobs.dead --ack       what was delivered too often";

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
        default_value = "127.0.0.1:7311"
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
        hide_env_values = true
    )]
    token: String,

    /// Print one JSON document
    #[arg(long, global = true)]
    json: bool,

    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Make a queue, or find that it is there with the same options
    Declare(declare::DeclareArguments),
    /// List queues, with how many messages are ready and leased
    Ls(show::ListArguments),
    /// Show the figures of a queue, or of every shard
    Stat(show::StatArguments),
    /// Put messages: arguments, or lines of stdin with '-'
    Put(put::PutArguments),
    /// Take messages under a lease, or acknowledge them once they are printed
    Take(take::TakeArguments),
    /// Acknowledge messages of a lease: they are done
    Ack(settle::SettleArguments),
    /// Give messages of a lease back: they become ready at once
    Nack(settle::SettleArguments),
    /// Drop every ready message
    Purge(show::NameArguments),
    /// Remove a queue and all its messages
    Rm(show::NameArguments),
}

/// A connection and how to answer.
struct Session {
    client: Client,
    json: bool,
}

/// Carries out one verb.
pub fn run(arguments: QueueArguments) -> Outcome {
    let QueueArguments { address, token, json, verb } = arguments;
    let options = Options { token, ..Options::default() };
    let client = Client::connect(&address, &options).map_err(failure)?;
    let mut session = Session { client, json };
    match verb {
        Verb::Declare(arguments) => declare::run(&mut session, &arguments),
        Verb::Ls(arguments) => show::list(&mut session, &arguments),
        Verb::Stat(arguments) => show::stat(&mut session, &arguments),
        Verb::Put(arguments) => put::run(&mut session, &arguments),
        Verb::Take(arguments) => take::run(&mut session, &arguments),
        Verb::Ack(arguments) => settle::ack(&mut session, &arguments),
        Verb::Nack(arguments) => settle::nack(&mut session, &arguments),
        Verb::Purge(arguments) => show::purge(&mut session, &arguments),
        Verb::Rm(arguments) => show::remove(&mut session, &arguments),
    }
}

impl Session {
    fn open(&mut self, name: &str) -> Result<QueueId, Failure> {
        self.client.open(name).map_err(failure)
    }

    /// Says what was done: a document on stdout, or a sentence on stderr.
    fn answer(&self, document: &Value, sentence: &str) -> Outcome {
        if self.json {
            print(format!("{document:#}\n").as_bytes())
        } else {
            eprintln!("{sentence}");
            Ok(())
        }
    }
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
    let remedy = match &error {
        Error::Connect { .. } => "start `ringway serve`, or name its address with --address",
        Error::Refused { sentence, code } | Error::Goodbye { sentence, code } => {
            return Failure::failed(sentence, code.remedy());
        }
        Error::Invalid(rejection) => {
            return Failure::usage(rejection.sentence, rejection.code.remedy());
        }
        Error::Protocol(_) => "name the address of a Ringway plane with --address",
        error if error.fate_unknown() => "look with `ringway queue stat` before trying again",
        _ => "try again",
    };
    Failure::failed(&error, remedy)
}

/// `1 message`, `2 messages`.
fn counted(count: u64) -> String {
    format!("{count} message{}", if count == 1 { "" } else { "s" })
}
