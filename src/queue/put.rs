//! `ringway queue put`: arguments, lines of stdin, or all of stdin become messages.

use std::io::{self, BufRead, BufReader, Read};

use clap::Args;
use ringway_client::{Batch, Level, Placed, QueueId};
use serde_json::json;

use super::{Session, counted, failure};
use crate::failure::{Failure, Outcome};

/// Messages of one request; a pipe that brings them slowly sends fewer at a time.
const BATCH_MESSAGES_MAX: u32 = 1024;
/// Bytes of stdin that are read ahead.
const READ_AHEAD_BYTES: usize = 256 << 10;

/// The arguments of `ringway queue put`.
#[derive(Args)]
pub struct PutArguments {
    /// Name of the queue
    name: String,

    /// Messages; '-' reads them from stdin, one a line
    #[arg(required = true, value_name = "MESSAGE")]
    messages: Vec<String>,

    /// With '-': all of stdin is one message, whatever bytes it has
    #[arg(long)]
    raw: bool,
}

/// Messages on their way to one queue.
struct Putting<'a> {
    session: &'a mut Session,
    queue: QueueId,
    batch: Batch,
    put: u64,
    first: Option<Placed>,
}

pub fn run(session: &mut Session, arguments: &PutArguments) -> Outcome {
    let queue = session.open(&arguments.name)?;
    let mut putting = Putting { session, queue, batch: Batch::default(), put: 0, first: None };
    let outcome = putting.all(arguments);
    // What was acknowledged before a failure is put, and said.
    let (put, name) = (counted(putting.put), &arguments.name);
    match outcome {
        Ok(()) => {
            let first = putting.first.as_ref();
            let level = first.map_or(Level::Memory, |placed| placed.level).as_str();
            let document = json!({
                "queue": name,
                "messages": putting.put,
                "first_sequence": first.map(|placed| placed.first_sequence),
                "acknowledged": level,
            });
            let sentence = format!("put {put} to {name}, acknowledged in {level}");
            putting.session.answer(&document, &sentence)
        }
        Err(failure) => {
            eprintln!("{put} had been put to {name} before this:");
            Err(failure)
        }
    }
}

impl Putting<'_> {
    fn all(&mut self, arguments: &PutArguments) -> Outcome {
        let from_stdin = arguments.messages == ["-"];
        match (from_stdin, arguments.raw) {
            (true, true) => {
                let mut payload = Vec::new();
                io::stdin().lock().read_to_end(&mut payload).map_err(unreadable)?;
                self.add(&payload)?;
            }
            (true, false) => self.lines(io::stdin().lock())?,
            (false, true) => {
                return Err(Failure::usage("--raw reads stdin", "put '-' for the message"));
            }
            (false, false) => {
                for message in &arguments.messages {
                    self.add(message.as_bytes())?;
                }
            }
        }
        self.flush()
    }

    /// A message a line. What is at hand travels together, and nothing waits for a slow writer.
    fn lines(&mut self, input: impl Read) -> Outcome {
        let mut reader = BufReader::with_capacity(READ_AHEAD_BYTES, input);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).map_err(unreadable)? > 0 {
            let payload = line.strip_suffix(b"\n").unwrap_or(&line);
            self.add(payload)?;
            line.clear();
            if !reader.buffer().contains(&b'\n') {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn add(&mut self, payload: &[u8]) -> Outcome {
        if self.batch.count() == BATCH_MESSAGES_MAX {
            self.flush()?;
        }
        if self.batch.push(&[], payload).is_err() {
            // It may be too large for this batch only; alone it shows.
            self.flush()?;
            self.batch.push(&[], payload).map_err(failure)?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Outcome {
        if self.batch.is_empty() {
            return Ok(());
        }
        let placed = self.session.client.put_batch(self.queue, &self.batch).map_err(failure)?;
        self.put += u64::from(placed.count);
        self.first.get_or_insert(placed);
        self.batch.clear();
        Ok(())
    }
}

fn unreadable(error: io::Error) -> Failure {
    Failure::failed(format!("cannot read stdin: {error}"), "give it a readable pipe or file")
}
