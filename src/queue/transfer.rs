//! `ringway queue transfer`: messages of a lease are replaced by their results.

use clap::Args;
use ringway_client::{Batch, LeaseId, QueueId};
use serde_json::json;

use super::input::{InputArguments, Sink};
use super::message::MessageArguments;
use super::put::runs_document;
use super::settle::{self, RangeList};
use super::{Session, counted, failure};
use crate::failure::Outcome;

const EXAMPLES: &str = "\
Examples:
  ringway queue transfer orders 4294967296 0 invoices 'invoice 7'
  ringway queue transfer orders 4294967296 0-9 invoices - < invoices.txt

Acknowledges messages of a lease on 'orders' and puts their results into 'invoices'. Where both \
queues live on one shard both happen or neither; else the put comes first, and code 1 says that \
an acknowledgement came too late: its result may be there twice.";

/// The arguments of `ringway queue transfer`.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct TransferArguments {
    /// Name of the queue that the messages were taken from
    name: String,

    /// The lease, as `take` printed it
    lease: u64,

    /// Which of its messages, counted from 0: 0-9 or 0,2,4-7
    ranges: RangeList,

    /// Name of the queue that gets the results
    to: String,

    #[command(flatten)]
    input: InputArguments,

    #[command(flatten)]
    message: MessageArguments,
}

/// Messages that must go in one request.
pub struct Together<'a> {
    pub message: &'a MessageArguments,
    pub batch: Batch,
}

impl<'a> Together<'a> {
    /// All messages of a command as one batch.
    pub fn read(
        input: &InputArguments,
        message: &'a MessageArguments,
    ) -> Result<Batch, crate::failure::Failure> {
        let mut together = Together { message, batch: Batch::default() };
        input.read(&mut together)?;
        Ok(together.batch)
    }
}

impl Sink for Together<'_> {
    fn add(&mut self, payload: &[u8]) -> Outcome {
        self.batch.add(&self.message.message(payload)).map_err(failure)
    }

    fn pause(&mut self) -> Outcome {
        Ok(())
    }
}

pub fn run(session: &mut Session, arguments: &TransferArguments) -> Outcome {
    let [from, to]: [QueueId; 2] = [session.open(&arguments.name)?, session.open(&arguments.to)?];
    let results = Together::read(&arguments.input, &arguments.message)?;
    let lease = (from, LeaseId(arguments.lease));
    let ranges = &arguments.ranges.0;
    let transferred = session.client.transfer_lease(lease, ranges, (to, None), &results);
    let transferred = transferred.map_err(failure)?;
    let (settlement, placed) = (transferred.settlement, transferred.placed);
    let document = json!({
        "settled": settlement.settled,
        "stale": settlement.stale,
        "unknown": settlement.unknown,
        "messages": placed.count,
        "runs": runs_document(placed.runs()),
    });
    let sentence = format!(
        "acknowledged {} and put {} to {}",
        counted(settlement.settled.into()),
        counted(placed.count.into()),
        arguments.to,
    );
    session.answer(&document, &sentence)?;
    settle::check(settlement)
}
