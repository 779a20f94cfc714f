//! Where messages come from: arguments, lines of stdin, or all of stdin.

use std::io::{self, BufRead, BufReader, Read};

use clap::Args;

use crate::failure::{Failure, Outcome};

/// Bytes of stdin that are read ahead.
const READ_AHEAD_BYTES: usize = 256 << 10;

/// The messages of a command.
#[derive(Args)]
pub struct InputArguments {
    /// Messages; '-' reads them from stdin, one a line
    #[arg(required = true, value_name = "MESSAGE")]
    messages: Vec<String>,

    /// With '-': all of stdin is one message, whatever bytes it has
    #[arg(long)]
    raw: bool,
}

/// Who gets the messages.
pub trait Sink {
    /// Takes one more.
    fn add(&mut self, payload: &[u8]) -> Outcome;

    /// Nothing more is at hand: what was added need not wait.
    fn pause(&mut self) -> Outcome;
}

impl InputArguments {
    /// Whether there is exactly one message, before any is read.
    pub fn is_one(&self) -> bool {
        match self.reads_stdin() {
            true => self.raw,
            false => self.messages.len() == 1,
        }
    }

    /// Whether bytes are to stay as they are.
    pub fn is_raw(&self) -> bool {
        self.raw
    }

    fn reads_stdin(&self) -> bool {
        self.messages == ["-"]
    }

    /// Gives every message to `sink`.
    pub fn read(&self, sink: &mut impl Sink) -> Outcome {
        match (self.reads_stdin(), self.raw) {
            (true, true) => {
                let mut payload = Vec::new();
                io::stdin().lock().read_to_end(&mut payload).map_err(unreadable)?;
                sink.add(&payload)?;
            }
            (true, false) => lines(io::stdin().lock(), sink)?,
            (false, true) => {
                return Err(Failure::usage("--raw reads stdin", "put '-' for the message"));
            }
            (false, false) => {
                for message in &self.messages {
                    sink.add(message.as_bytes())?;
                }
            }
        }
        sink.pause()
    }
}

/// A message a line. What is at hand travels together, and nothing waits for a slow writer.
fn lines(input: impl Read, sink: &mut impl Sink) -> Outcome {
    let mut reader = BufReader::with_capacity(READ_AHEAD_BYTES, input);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line).map_err(unreadable)? > 0 {
        sink.add(line.strip_suffix(b"\n").unwrap_or(&line))?;
        line.clear();
        if !reader.buffer().contains(&b'\n') {
            sink.pause()?;
        }
    }
    Ok(())
}

fn unreadable(error: io::Error) -> Failure {
    Failure::failed(format!("cannot read stdin: {error}"), "give it a readable pipe or file")
}
