//! `ringway queue take`: messages to stdout, under a lease or acknowledged once they are printed.

use clap::Args;
use ringway_client::{QueueId, TakeOptions, Taken};
use ringway_protocol::limits::TAKE_MESSAGES_MAX;
use ringway_protocol::record::Attribute;
use serde_json::{Map, Value, json};

use super::{Session, counted, failure, print};
use crate::failure::{Failure, Outcome};
use crate::units::Span;

/// The arguments of `ringway queue take`.
#[derive(Args)]
pub struct TakeArguments {
    /// Name of the queue
    name: String,

    /// Most messages; without --ack at most 4096, all of them under one lease
    #[arg(long, value_name = "N", default_value_t = 1,
        value_parser = clap::value_parser!(u64).range(1..))]
    count: u64,

    /// How long to wait for the first message
    #[arg(long, value_name = "DURATION", default_value = "0s")]
    wait: Span,

    /// How long the lease lasts [default: what the queue was declared with]
    #[arg(long, value_name = "DURATION")]
    lease: Option<Span>,

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
    let taken = if arguments.ack {
        take_and_ack(session, queue, arguments)?
    } else {
        lease(session, queue, arguments)?
    };
    if taken == 0 {
        eprintln!("no message in {} within {}", arguments.name, arguments.wait);
        return Err(Failure::said());
    }
    Ok(())
}

/// One take; its lease is named, so that `ringway queue ack` can settle it.
fn lease(session: &mut Session, queue: QueueId, arguments: &TakeArguments) -> Result<u64, Failure> {
    let taken = take(session, queue, arguments, arguments.count)?;
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
    queue: QueueId,
    arguments: &TakeArguments,
) -> Result<u64, Failure> {
    let mut done = 0;
    while done < arguments.count {
        let taken = take(session, queue, arguments, arguments.count - done)?;
        if taken.is_empty() {
            break;
        }
        print_taken(session, &taken, arguments)?;
        let settlement = session.client.ack(&taken, &[taken.all()]).map_err(failure)?;
        if settlement.settled < taken.count() {
            return Err(Failure::failed(
                format!(
                    "the lease ran out before {} were acknowledged",
                    counted(taken.count().into())
                ),
                "they will be delivered again: give --lease more time",
            ));
        }
        done += u64::from(taken.count());
        if session.json {
            break; // one document
        }
    }
    Ok(done)
}

fn take(
    session: &mut Session,
    queue: QueueId,
    arguments: &TakeArguments,
    most: u64,
) -> Result<Taken, Failure> {
    let options = TakeOptions {
        messages_max: most.min(TAKE_MESSAGES_MAX.into()) as u32,
        wait: arguments.wait.0,
        lease: arguments.lease.map_or(std::time::Duration::ZERO, |lease| lease.0),
        ..TakeOptions::default()
    };
    session.client.take(queue, &options).map_err(failure)
}

fn print_taken(session: &Session, taken: &Taken, arguments: &TakeArguments) -> Outcome {
    if session.json {
        return print(format!("{:#}\n", document(taken, &arguments.name)).as_bytes());
    }
    let mut bytes = Vec::new();
    for message in taken.messages() {
        bytes.extend_from_slice(message.record.payload);
        if !arguments.raw {
            bytes.push(b'\n');
        }
    }
    print(&bytes)
}

/// Text stays text; other bytes become hexadecimal digits under a name of their own.
fn document(taken: &Taken, name: &str) -> Value {
    let messages = taken.messages().map(|message| {
        let mut entry = json!({
            "index": message.index,
            "id": format!("{:x}-{}", taken.queue.0, message.sequence),
            "sequence": message.sequence,
            "deliveries": message.deliveries,
        });
        let (key, value) = bytes_field("payload", message.record.payload);
        entry[key] = value;
        let attributes: Map<_, _> = message.record.attributes().map(attribute).collect();
        if !attributes.is_empty() {
            entry["attributes"] = attributes.into();
        }
        entry
    });
    json!({
        "queue": name,
        "lease": taken.lease.0,
        "lease_ms": taken.lease_ms,
        "messages": messages.collect::<Vec<_>>(),
    })
}

fn attribute(attribute: Attribute<'_>) -> (String, Value) {
    match attribute {
        Attribute::Key(key) => bytes_field("key", key),
        Attribute::DelayMs(delay) => ("delay_ms".to_owned(), delay.into()),
        Attribute::TimeToLiveMs(time) => ("time_to_live_ms".to_owned(), time.into()),
        Attribute::AtMs(time) => ("at_ms".to_owned(), time.into()),
        Attribute::Priority(band) => ("priority".to_owned(), band.into()),
        Attribute::DeduplicationId(id) => bytes_field("deduplication_id", id),
        Attribute::Header { name, value } => bytes_field(&format!("header:{name}"), value),
    }
}

fn bytes_field(name: &str, bytes: &[u8]) -> (String, Value) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (name.to_owned(), text.into()),
        Err(_) => {
            let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            (format!("{name}_hex"), digits.into())
        }
    }
}
