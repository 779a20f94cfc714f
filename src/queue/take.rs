//! `ringway queue take`: messages to stdout, under a lease or acknowledged once they are printed.

use clap::Args;
use ringway_client::{GroupId, QueueId, TakeOptions, Taken};
use ringway_protocol::limits::TAKE_MESSAGES_MAX;
use ringway_protocol::options::{LEASE_MS_MAX, WAIT_MS_MAX};

use super::{Session, counted, document, failure, print};
use crate::failure::{Failure, Outcome};
use crate::units::Span;

const EXAMPLES: &str = "\
Examples:
  ringway queue take jobs                         one message, under a lease that is named
  ringway queue take jobs --count 100 --wait 30s
  ringway queue take jobs --count 1000 --ack      acknowledged once they are printed
  ringway queue take jobs --group audit --json    for another group of consumers
  ringway queue take jobs.dead --json             why a message died, in its headers

Without --ack the lease is on stderr: settle it with `ringway queue ack` or `nack`. Code 1 and \
nothing on stdout: no message came.";

/// The arguments of `ringway queue take`.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct TakeArguments {
    /// Name of the queue
    name: String,

    /// Most messages; without --ack at most 4096, all of them under one lease
    #[arg(long, value_name = "N", default_value_t = 1,
        value_parser = clap::value_parser!(u64).range(1..))]
    count: u64,

    /// How long to wait for the first message; at most the queue's --wait-max
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true, default_value = "0s",
        value_parser = Span::within(0, WAIT_MS_MAX.into()))]
    wait: Span,

    /// How long the lease lasts [default: what the queue was declared with]
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true,
        value_parser = Span::within(0, LEASE_MS_MAX.into()))]
    lease: Option<Span>,

    /// Group of consumers that takes [default: default]
    #[arg(long, value_name = "GROUP")]
    group: Option<String>,

    /// Acknowledge the messages after they are printed
    #[arg(long)]
    ack: bool,

    /// Print payloads as they are, without a newline after each
    #[arg(long, conflicts_with = "json")]
    raw: bool,
}

pub fn run(session: &mut Session, arguments: &TakeArguments) -> Outcome {
    let queue = session.open(&arguments.name)?;
    if arguments.count > TAKE_MESSAGES_MAX.into() && (session.json || !arguments.ack) {
        return Err(Failure::usage(
            format!("one lease, and one document, has at most {TAKE_MESSAGES_MAX} messages"),
            "take fewer, or print them as lines with --ack",
        ));
    }
    let from = (queue, session.group(queue, arguments.group.as_deref())?);
    let taken = if arguments.ack {
        take_and_ack(session, from, arguments)?
    } else {
        lease(session, from, arguments)?
    };
    if taken == 0 {
        eprintln!("no message in {} within {}", arguments.name, arguments.wait);
        return Err(Failure::said());
    }
    Ok(())
}

/// One take; its lease is named, so that `ringway queue ack` can settle it.
fn lease(
    session: &mut Session,
    from: (QueueId, GroupId),
    arguments: &TakeArguments,
) -> Result<u64, Failure> {
    let taken = take(session, from, arguments, arguments.count)?;
    print_taken(session, &taken, arguments)?;
    if !taken.is_empty() && !session.json {
        eprintln!(
            "lease {lease} on {messages} for {time}; \
             when done: ringway queue ack {name} {lease} 0-{last}",
            lease = taken.lease.0,
            messages = counted(taken.count().into()),
            time = Span::of_ms(taken.lease_ms.into()),
            name = arguments.name,
            last = taken.count() - 1,
        );
    }
    Ok(taken.count().into())
}

/// Takes until there are enough or no more come. A message is acknowledged only once stdout has it.
fn take_and_ack(
    session: &mut Session,
    from: (QueueId, GroupId),
    arguments: &TakeArguments,
) -> Result<u64, Failure> {
    let mut done = 0;
    while done < arguments.count {
        let taken = take(session, from, arguments, arguments.count - done)?;
        if taken.is_empty() {
            break;
        }
        print_taken(session, &taken, arguments)?;
        let settlement = session.client.ack(&taken, &[taken.all()]).map_err(failure)?;
        check_settled(settlement.settled, taken.count())?;
        done += u64::from(taken.count());
        if session.json {
            break; // one document
        }
    }
    Ok(done)
}

fn take(
    session: &mut Session,
    (queue, group): (QueueId, GroupId),
    arguments: &TakeArguments,
    most: u64,
) -> Result<Taken, Failure> {
    let options = TakeOptions {
        messages_max: most.min(TAKE_MESSAGES_MAX.into()) as u32,
        wait: arguments.wait.0,
        lease: arguments.lease.map_or(std::time::Duration::ZERO, |lease| lease.0),
        group,
        ..TakeOptions::default()
    };
    session.client.take(queue, &options).map_err(failure)
}

/// Whether a lease lasted until its messages were printed.
pub fn check_settled(settled: u32, printed: u32) -> Outcome {
    if settled < printed {
        return Err(Failure::failed(
            format!("the lease ran out before all of {} was acknowledged", counted(printed.into())),
            "what was not will be delivered again: give --lease more time",
        ));
    }
    Ok(())
}

fn print_taken(session: &Session, taken: &Taken, arguments: &TakeArguments) -> Outcome {
    if taken.dropped > 0 && !session.json {
        eprintln!("{} had been dropped before these: the queue was full", taken.dropped);
    }
    if session.json {
        return session.document(&document::delivery(taken, &arguments.name));
    }
    print(&lines(taken.messages().map(|message| message.record.payload), arguments.raw))
}

/// Payloads with a newline after each, or as they are.
pub fn lines<'a>(payloads: impl Iterator<Item = &'a [u8]>, raw: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    for payload in payloads {
        bytes.extend_from_slice(payload);
        if !raw {
            bytes.push(b'\n');
        }
    }
    bytes
}
