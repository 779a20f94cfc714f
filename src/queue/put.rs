//! `ringway queue put`: arguments, lines of stdin, or all of stdin become messages.

use std::str::FromStr;

use clap::Args;
use ringway_client::{Batch, Level, Placed, Producer, PutOutcome, PutRun, QueueId};
use serde_json::{Value, json};

use super::input::{InputArguments, Sink};
use super::message::MessageArguments;
use super::{Session, counted, failure};
use crate::failure::{Failure, Outcome};

/// Messages of one request; a pipe that brings them slowly sends fewer at a time.
const BATCH_MESSAGES_MAX: u32 = 1024;

const EXAMPLES: &str = "\
Examples:
  ringway queue put jobs first second
  seq 1000 | ringway queue put jobs -                    a message a line
  ringway queue put images - --raw < photo.jpg           all of stdin is one message
  ringway queue put jobs 'pay 7' --key customer-3        in order with others of that key
  ringway queue put jobs remind --delay 1h               its sequence can cancel it
  ringway queue put jobs remind --at 2026-12-24T18:00:00Z --ttl 1d
  ringway queue put jobs urgent --priority 7 --header trace=a81f
  ringway queue put jobs 'pay 7' --dedup-id payment-7    twice within the window: stored once
  ringway queue put jobs - --producer 17@0 < lines       run again after a failure: stored once

Only a queue that was declared with --dedup knows repeats; others store them, and nothing says so.";

/// The arguments of `ringway queue put`.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct PutArguments {
    /// Name of the queue
    name: String,

    #[command(flatten)]
    input: InputArguments,

    #[command(flatten)]
    message: MessageArguments,

    /// Number the messages, from 0 or from N on, as this producer's: what the queue has is not
    /// stored again, if it was declared with --dedup
    #[arg(long, value_name = "ID[@N]")]
    producer: Option<ProducerText>,
}

/// A producer and the number of its next message: `17`, `17@1000`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct ProducerText(Producer);

impl FromStr for ProducerText {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (id, sequence) = text.split_once('@').unwrap_or((text, "0"));
        match (id.parse(), sequence.parse()) {
            (Ok(id), Ok(sequence)) => Ok(Self(Producer { id, sequence })),
            _ => Err(format!("'{text}' is not a producer: write two numbers like 17@0, or one")),
        }
    }
}

/// Messages on their way to one queue.
struct Putting<'a> {
    session: &'a mut Session,
    queue: QueueId,
    message: &'a MessageArguments,
    producer: Option<Producer>,
    batch: Batch,
    put: u64,
    level: Level,
    runs: Vec<PutRun>,
}

pub fn run(session: &mut Session, arguments: &PutArguments) -> Outcome {
    if arguments.message.names_one() && !arguments.input.is_one() {
        return Err(Failure::usage(
            "--dedup-id names one message",
            "put one message, or number many with --producer",
        ));
    }
    let queue = session.open(&arguments.name)?;
    let mut putting = Putting {
        session,
        queue,
        message: &arguments.message,
        producer: arguments.producer.map(|producer| producer.0),
        batch: Batch::default(),
        put: 0,
        level: Level::Memory,
        runs: Vec::new(),
    };
    let outcome = arguments.input.read(&mut putting).and_then(|()| putting.flush());
    // What was acknowledged before a failure is put, and said.
    if let Err(failure) = &outcome {
        if putting.put > 0 {
            let put = counted(putting.put);
            eprintln!("{put} had been put to {} before this:", arguments.name);
        }
        if putting.session.json {
            let mut document = putting.document(&arguments.name);
            document["error"] = failure.document()["error"].take();
            putting.session.document(&document)?;
        }
        return outcome;
    }
    putting.report(&arguments.name)
}

impl Sink for Putting<'_> {
    fn add(&mut self, payload: &[u8]) -> Outcome {
        if self.batch.count() == BATCH_MESSAGES_MAX {
            self.flush()?;
        }
        let message = self.message.message(payload);
        if self.batch.add(&message).is_err() {
            // It may be too large for this batch only; alone it shows.
            self.flush()?;
            self.batch.add(&message).map_err(failure)?;
        }
        Ok(())
    }

    fn pause(&mut self) -> Outcome {
        // A producer's batches must be cut in the same places when they are put again.
        if self.producer.is_some() { Ok(()) } else { self.flush() }
    }
}

impl Putting<'_> {
    fn flush(&mut self) -> Outcome {
        if self.batch.is_empty() {
            return Ok(());
        }
        let client = &mut self.session.client;
        let placed = match &mut self.producer {
            Some(producer) => {
                let placed = client.put_as(self.queue, *producer, &self.batch);
                producer.sequence += u64::from(self.batch.count());
                placed
            }
            None => client.put_batch(self.queue, &self.batch),
        };
        let placed = placed.map_err(failure)?;
        self.put += u64::from(placed.count);
        self.level = placed.level;
        add_runs(&mut self.runs, &placed);
        self.batch.clear();
        Ok(())
    }

    fn document(&self, name: &str) -> Value {
        json!({
            "queue": name,
            "messages": self.put,
            "first_sequence": self.runs.first().map(|run| run.first_sequence.to_string()),
            "acknowledged": self.level.as_str(),
            "duplicates": self.count(PutOutcome::Duplicate),
            "scheduled": self.count(PutOutcome::Scheduled),
            "runs": runs_document(&self.runs),
        })
    }

    fn report(&self, name: &str) -> Outcome {
        let level = self.level.as_str();
        let [duplicates, scheduled] =
            [PutOutcome::Duplicate, PutOutcome::Scheduled].map(|outcome| self.count(outcome));
        let mut sentence = format!("put {} to {name}, acknowledged in {level}", counted(self.put));
        if duplicates > 0 {
            sentence += &format!("; {duplicates} had been there already");
        }
        if let Some(run) = self.runs.iter().find(|run| run.outcome == PutOutcome::Scheduled) {
            let sequence = run.first_sequence;
            sentence += &format!(
                "; {scheduled} scheduled, from sequence {sequence} on: \
                 to cancel it: ringway queue remove {name} {sequence}"
            );
        }
        self.session.answer(&self.document(name), &sentence)
    }

    fn count(&self, outcome: PutOutcome) -> u64 {
        let runs = self.runs.iter().filter(|run| run.outcome == outcome);
        runs.map(|run| u64::from(run.count)).sum()
    }
}

/// Adds the stretches of a batch, joined to the last one where they go on from it.
fn add_runs(runs: &mut Vec<PutRun>, placed: &Placed) {
    for run in placed.runs() {
        match runs.last_mut() {
            Some(last)
                if last.outcome == run.outcome
                    && last.first_sequence + u64::from(last.count) == run.first_sequence
                    && last.count.checked_add(run.count).is_some() =>
            {
                last.count += run.count;
            }
            _ => runs.push(*run),
        }
    }
}

/// Stretches of messages as a document.
pub fn runs_document(runs: &[PutRun]) -> Value {
    let run = |run: &PutRun| {
        let outcome = match run.outcome {
            PutOutcome::Stored => "stored",
            PutOutcome::Duplicate => "duplicate",
            PutOutcome::Scheduled => "scheduled",
        };
        let first_sequence = run.first_sequence.to_string();
        json!({ "first_sequence": first_sequence, "count": run.count, "outcome": outcome })
    };
    runs.iter().map(run).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn producers_as_people_write_them() {
        let producer = |text: &str| text.parse::<ProducerText>().map(|it| it.0).ok();
        assert_eq!(producer("17"), Some(Producer { id: 17, sequence: 0 }));
        assert_eq!(producer("17@1000"), Some(Producer { id: 17, sequence: 1000 }));
        assert!(["", "x", "17@", "@5", "1@2@3"].into_iter().all(|text| producer(text).is_none()));
    }
}
