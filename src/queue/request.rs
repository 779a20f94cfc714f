//! `ringway queue request` and `reply`: a question and its answer, from scripts.

use std::io::Write;
use std::process::{Command, Stdio};
use std::thread;

use clap::{ArgGroup, Args};
use ringway_client::{Client, Code, Error, REPLY_TO, Retry, TakeOptions, Taken};
use ringway_protocol::options::WAIT_MS_MAX;
use serde_json::json;

use super::input::{InputArguments, Sink};
use super::message::MessageArguments;
use super::take::lines;
use super::{Session, counted, document, failure, print};
use crate::failure::{Failure, Outcome};
use crate::units::Span;

const REQUEST_EXAMPLES: &str = "\
Examples:
  ringway queue request prices 'what is 7 worth?'
  ringway queue request prices 7 --deadline 500ms
  ringway queue request thumbnails - --raw < photo.jpg > small.jpg

Puts a message with the headers ringway-reply-to and ringway-correlation and prints the answer. \
Code 1 if none came before the deadline; a request that nobody took by then has expired.";

const REPLY_EXAMPLES: &str = "\
Examples:
  ringway queue reply prices 12.50                      answers the next request so
  ringway queue reply prices --exec ./price.sh --count 100
  ringway queue reply thumbnails --raw --exec 'convert - -resize 100 -' --wait 1m

With --exec the request is the command's stdin and its stdout is the answer. A command that fails \
answers nothing: its request goes back to be tried again. A message that is no request goes to the \
dead letters, from where `ringway queue redrive` brings it back.";

/// The arguments of `ringway queue request`.
#[derive(Args)]
#[command(after_help = REQUEST_EXAMPLES)]
pub struct RequestArguments {
    /// Name of the queue
    name: String,

    #[command(flatten)]
    input: InputArguments,

    /// How long to wait for the answer
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true, default_value = "5s")]
    deadline: Span,

    #[command(flatten)]
    message: MessageArguments,
}

/// The arguments of `ringway queue reply`.
#[derive(Args)]
#[command(after_help = REPLY_EXAMPLES, group = ArgGroup::new("how").required(true))]
pub struct ReplyArguments {
    /// Name of the queue
    name: String,

    /// The answer
    #[arg(group = "how")]
    answer: Option<String>,

    /// Command of the shell that makes the answer
    #[arg(long, value_name = "COMMAND", group = "how")]
    exec: Option<String>,

    /// With --exec: the answer is all that the command prints, a newline at the end included
    #[arg(long, requires = "exec")]
    raw: bool,

    /// End after so many requests
    #[arg(long, value_name = "N", default_value_t = 1)]
    count: u64,

    /// End when no request came for so long; at most the queue's --wait-max
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true, default_value = "30s",
        value_parser = Span::within(0, WAIT_MS_MAX.into()))]
    wait: Span,
}

/// The one message of a request.
struct Only(Option<Vec<u8>>);

impl Sink for Only {
    fn add(&mut self, payload: &[u8]) -> Outcome {
        match self.0.replace(payload.to_owned()) {
            None => Ok(()),
            Some(_) => Err(Failure::usage("a request is one message", "send another for the next")),
        }
    }

    fn pause(&mut self) -> Outcome {
        Ok(())
    }
}

pub fn run(session: &mut Session, arguments: &RequestArguments) -> Outcome {
    let RequestArguments { name, input, deadline, message } = arguments;
    let mut only = Only(None);
    input.read(&mut only)?;
    let Some(payload) = only.0 else {
        return Err(Failure::usage("there is no message to send", "put a line into stdin"));
    };
    let queue = session.open(name)?;
    let answer = session.client.request_message(queue, message.message(&payload), deadline.0);
    let answer = match answer {
        Err(Error::NoAnswer { .. }) => {
            let sentence = format!("no answer from {name} within {deadline}");
            let remedy = "see that somebody replies, or give --deadline more time";
            return Err(Failure::failed(sentence, remedy).named("NoAnswer"));
        }
        answer => answer.map_err(failure)?,
    };
    if session.json {
        let mut entry = json!({});
        document::record(&mut entry, &answer.message().record);
        return session.document(&entry);
    }
    print(&lines([answer.payload()].into_iter(), input.is_raw()))
}

pub fn reply(session: &mut Session, arguments: &ReplyArguments) -> Outcome {
    let queue = session.open(&arguments.name)?;
    let options = TakeOptions { wait: arguments.wait.0, ..TakeOptions::default() };
    let (mut answered, mut failed) = (0_u64, 0_u64);
    while answered + failed < arguments.count {
        let taken = session.client.take(queue, &options).map_err(failure)?;
        if taken.is_empty() {
            break;
        }
        match answer(&mut session.client, &taken, arguments)? {
            true => answered += 1,
            false => failed += 1,
        }
    }
    let document = json!({ "queue": arguments.name, "answered": answered, "failed": failed });
    session.answer(&document, &format!("{} answered", counted(answered)))?;
    if failed > 0 || answered == 0 {
        return Err(Failure::said());
    }
    Ok(())
}

/// Answers one request and acknowledges it; returns whether there was an answer.
fn answer(client: &mut Client, taken: &Taken, arguments: &ReplyArguments) -> Result<bool, Failure> {
    let Some(message) = taken.message(0) else { return Ok(false) };
    if message.header(REPLY_TO).is_none() {
        let sequence = message.sequence;
        eprintln!(
            "message {sequence} is no request: it has no header {REPLY_TO}; \
             it goes to the dead letters of {}",
            arguments.name
        );
        client.nack_with(taken, &[taken.all()], Retry::Never).map_err(failure)?;
        return Ok(false);
    }
    let made = match (&arguments.answer, &arguments.exec) {
        (Some(text), _) => Ok(text.clone().into_bytes()),
        (None, Some(command)) => make(command, message.record.payload, arguments.raw),
        (None, None) => unreachable!("clap asks for one of them"),
    };
    let answered = match made {
        Ok(answer) => client.reply_and_ack(taken, &message, answer),
        Err(sentence) => {
            eprintln!("{sentence}; the request goes back");
            client.nack_with(taken, &[taken.all()], Retry::BackOff).map_err(failure)?;
            return Ok(false);
        }
    };
    match answered {
        Ok(_) => Ok(true),
        // Whoever asked is gone: the request is done.
        Err(error) if error.code() == Some(Code::NoSuchQueue) => {
            eprintln!("nobody waits for the answer any more: the queue of the asker is gone");
            client.ack(taken, &[taken.all()]).map_err(failure)?;
            Ok(false)
        }
        Err(error) => Err(failure(error)),
    }
}

/// What a command prints when it is given `input`, or why there is nothing.
fn make(command: &str, input: &[u8], raw: bool) -> Result<Vec<u8>, String> {
    let mut shell = Command::new("sh");
    shell.args(["-c", command]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = shell.spawn().map_err(|error| format!("cannot run '{command}': {error}"))?;
    let mut stdin = child.stdin.take().expect("it was piped above");
    let input = input.to_owned();
    // A command that reads nothing closes its stdin, which is no failure.
    let writer = thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().map_err(|error| format!("'{command}': {error}"))?;
    writer.join().expect("writing does not panic");
    if !output.status.success() {
        return Err(format!("'{command}' ended with {}", output.status));
    }
    let mut answer = output.stdout;
    if !raw && answer.last() == Some(&b'\n') {
        answer.pop();
    }
    Ok(answer)
}
