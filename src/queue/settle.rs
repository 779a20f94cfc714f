//! `ringway queue ack`, `nack` and `extend`: a lease that an earlier take printed, and which of
//! its messages.

use std::str::FromStr;

use clap::Args;
use ringway_client::{LeaseId, Range, Retry, Settlement};
use ringway_protocol::options::LEASE_MS_MAX;
use serde_json::json;

use super::{Session, counted, failure};
use crate::failure::{Failure, Outcome};
use crate::units::Span;

const ACK_EXAMPLES: &str = "\
Examples:
  ringway queue ack jobs 4294967296 0           the first message of that lease
  ringway queue ack jobs 4294967296 0-9,12      ranges, counted from 0

Code 1 if any of them had been settled before, or its lease has ended.";

const NACK_EXAMPLES: &str = "\
Examples:
  ringway queue nack jobs 4294967296 0-9               as the queue's back-off says, else at once
  ringway queue nack jobs 4294967296 3 --delay 30s
  ringway queue nack jobs 4294967296 3 --reject        to jobs.dead, with the reason 'rejected'";

const EXTEND_EXAMPLES: &str = "\
Examples:
  ringway queue extend jobs 4294967296         for as long as the queue's leases last
  ringway queue extend jobs 4294967296 5m      for five minutes from now";

/// Messages of a lease.
#[derive(Args)]
pub struct LeaseArguments {
    /// Name of the queue
    pub name: String,

    /// The lease, as `take` printed it
    pub lease: u64,

    /// Which of its messages, counted from 0: 0-9 or 0,2,4-7
    pub ranges: RangeList,
}

/// The arguments of `ringway queue ack`.
#[derive(Args)]
#[command(after_help = ACK_EXAMPLES)]
pub struct AckArguments {
    #[command(flatten)]
    messages: LeaseArguments,
}

/// The arguments of `ringway queue nack`.
#[derive(Args)]
#[command(after_help = NACK_EXAMPLES)]
pub struct NackArguments {
    #[command(flatten)]
    messages: LeaseArguments,

    /// How long until they are delivered again [default: the queue's back-off]
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true, conflicts_with = "reject")]
    delay: Option<Span>,

    /// Never deliver them again: they become dead letters
    #[arg(long)]
    reject: bool,
}

/// The arguments of `ringway queue extend`.
#[derive(Args)]
#[command(after_help = EXTEND_EXAMPLES)]
pub struct ExtendArguments {
    /// Name of the queue
    name: String,

    /// The lease, as `take` printed it
    lease: u64,

    /// How long it lasts from now, up to 12 h [default: 0s, what the queue was declared with]
    #[arg(value_name = "DURATION", allow_hyphen_values = true,
        value_parser = Span::within(0, LEASE_MS_MAX.into()))]
    time: Option<Span>,
}

/// Indices of messages in a lease: `0-9`, `0,2,4-7`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RangeList(pub Vec<Range>);

impl FromStr for RangeList {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let range = |part: &str| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (first.parse::<u32>().ok()?, last.parse::<u32>().ok()?);
            let count = last.checked_sub(first)?.checked_add(1)?;
            first.checked_add(count).map(|_| Range { first, count })
        };
        let ranges: Option<Vec<Range>> = text.split(',').map(range).collect();
        ranges.map(Self).ok_or_else(|| format!("'{text}' names no messages: write 0-9 or 0,2,4-7"))
    }
}

pub fn ack(session: &mut Session, arguments: &AckArguments) -> Outcome {
    let LeaseArguments { name, lease, ranges } = &arguments.messages;
    let queue = session.open(name)?;
    let settled = session.client.ack_lease(queue, LeaseId(*lease), &ranges.0);
    report(session, settled.map_err(failure)?, "acknowledged")
}

pub fn nack(session: &mut Session, arguments: &NackArguments) -> Outcome {
    let LeaseArguments { name, lease, ranges } = &arguments.messages;
    let (retry, done) = match (arguments.delay, arguments.reject) {
        (_, true) => (Retry::Never, "given up"),
        (Some(Span(delay)), _) => (Retry::After(delay), "given back for later"),
        (None, false) => (Retry::BackOff, "given back"),
    };
    let queue = session.open(name)?;
    let settled = session.client.nack_lease_with((queue, LeaseId(*lease)), &ranges.0, retry);
    report(session, settled.map_err(failure)?, done)
}

pub fn extend(session: &mut Session, arguments: &ExtendArguments) -> Outcome {
    let queue = session.open(&arguments.name)?;
    let time = arguments.time.map_or(std::time::Duration::ZERO, |time| time.0);
    let extended = session.client.extend_lease(queue, LeaseId(arguments.lease), time);
    let extended = extended.map_err(failure)?;
    let document = json!({ "lease_ms": extended.lease_ms, "unsettled": extended.unsettled });
    let sentence = format!(
        "the lease lasts {} from now, on {} that are not settled",
        Span::of_ms(extended.lease_ms.into()),
        counted(extended.unsettled.into()),
    );
    session.answer(&document, &sentence)
}

/// Says what was settled. What was not makes the command fail, after the document.
fn report(session: &Session, settlement: Settlement, done: &str) -> Outcome {
    let Settlement { settled, stale, unknown } = settlement;
    let document = json!({ "settled": settled, "stale": stale, "unknown": unknown });
    session.answer(&document, &format!("{} {done}", counted(settled.into())))?;
    check(settlement)
}

/// Whether all was settled that was named.
pub fn check(settlement: Settlement) -> Outcome {
    match (settlement.stale, settlement.unknown) {
        (0, 0) => Ok(()),
        (stale, 0) => Err(Failure::failed(
            format!("{} had been settled before, or their lease has ended", counted(stale.into())),
            "take them again: what was not acknowledged in time is delivered again",
        )),
        (_, unknown) => Err(Failure::failed(
            format!("{} never belonged to this lease", counted(unknown.into())),
            "name the lease and the indices that `ringway queue take` printed",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_as_people_write_them() {
        let ranges = |text: &str| {
            let list = text.parse::<RangeList>().map_err(drop)?;
            Ok::<_, ()>(list.0.iter().map(|range| (range.first, range.count)).collect::<Vec<_>>())
        };
        assert_eq!(ranges("0"), Ok(vec![(0, 1)]));
        assert_eq!(ranges("0-9,12"), Ok(vec![(0, 10), (12, 1)]));
        for wrong in ["", "a", "3-1", "0,,1", "-1", "0-4294967295", "4294967295"] {
            assert_eq!(ranges(wrong), Err(()), "{wrong}");
        }
    }
}
