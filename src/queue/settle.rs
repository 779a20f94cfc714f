//! `ringway queue ack` and `nack`: a lease that an earlier take printed, and which of its messages.

use std::str::FromStr;

use clap::Args;
use ringway_client::{LeaseId, Range, Settlement};
use serde_json::json;

use super::{Session, counted, failure};
use crate::failure::{Failure, Outcome};

/// The arguments of `ringway queue ack` and `nack`.
#[derive(Args)]
pub struct SettleArguments {
    /// Name of the queue
    name: String,

    /// The lease, as `take` printed it
    lease: u64,

    /// Which of its messages, counted from 0: 0-9 or 0,2,4-7
    ranges: RangeList,
}

/// Indices of messages in a lease: `0-9`, `0,2,4-7`.
#[derive(Clone, PartialEq, Eq, Debug)]
struct RangeList(Vec<Range>);

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

pub fn ack(session: &mut Session, arguments: &SettleArguments) -> Outcome {
    let queue = session.open(&arguments.name)?;
    let lease = LeaseId(arguments.lease);
    let settled = session.client.ack_lease(queue, lease, &arguments.ranges.0);
    report(session, settled.map_err(failure)?, "acknowledged")
}

pub fn nack(session: &mut Session, arguments: &SettleArguments) -> Outcome {
    let queue = session.open(&arguments.name)?;
    let lease = LeaseId(arguments.lease);
    let settled = session.client.nack_lease(queue, lease, &arguments.ranges.0);
    report(session, settled.map_err(failure)?, "given back")
}

/// Says what was settled. What was not makes the command fail, after the document.
fn report(session: &Session, settlement: Settlement, done: &str) -> Outcome {
    let Settlement { settled, stale, unknown } = settlement;
    let document = json!({ "settled": settled, "stale": stale, "unknown": unknown });
    session.answer(&document, &format!("{} {done}", counted(settled.into())))?;
    match (stale, unknown) {
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
