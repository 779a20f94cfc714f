//! `ringway queue subscribe`: prints what comes and acknowledges it, until it is told to stop.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use ringway_client::{Range, SubscribeOptions, Subscription, Taken};
use ringway_protocol::options::LEASE_MS_MAX;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use super::take::{check_settled, lines};
use super::{Session, counted, document, failure, print};
use crate::failure::{Failure, Outcome};
use crate::units::{Size, Span};

/// How long a wait for the next delivery may keep a signal waiting.
const LOOK: Duration = Duration::from_millis(100);
/// Credit beyond which nothing gets faster by hand.
const CREDIT: u32 = 1024;

const EXAMPLES: &str = "\
Examples:
  ringway queue subscribe jobs                      prints and acknowledges, until Ctrl-C
  ringway queue subscribe jobs --count 100          ends after a hundred
  ringway queue subscribe jobs --wait 5s            ends when nothing came for five seconds
  ringway queue subscribe jobs --rate 10 | ./work   at most ten a second
  ringway queue subscribe jobs --group audit --json a document a line

What was delivered and not printed comes back at once when it ends. Code 1: --wait was over before \
any message came. With --json it is a document a message, or one error.";

/// The arguments of `ringway queue subscribe`.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct SubscribeArguments {
    /// Name of the queue
    name: String,

    /// End after so many messages
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,

    /// End when no message came for so long
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    wait: Option<Span>,

    /// Group of consumers that it joins [default: default]
    #[arg(long, value_name = "GROUP")]
    group: Option<String>,

    /// Most messages that are on their way or being printed
    #[arg(long, value_name = "N", default_value_t = CREDIT,
        value_parser = clap::value_parser!(u32).range(1..=65_536))]
    credit: u32,

    /// Most bytes of them [default: 256KiB]
    #[arg(long, value_name = "SIZE")]
    credit_bytes: Option<Size>,

    /// Most messages of one delivery
    #[arg(long, value_name = "N", default_value_t = CREDIT,
        value_parser = clap::value_parser!(u32).range(1..=4096))]
    batch: u32,

    /// How long the lease of a delivery lasts [default: what the queue was declared with]
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true,
        value_parser = Span::within(0, LEASE_MS_MAX.into()))]
    lease: Option<Span>,

    /// Most messages a second; 0 for no limit
    #[arg(long, value_name = "N", default_value_t = 0)]
    rate: u32,

    /// Print payloads as they are, without a newline after each
    #[arg(long, conflicts_with = "json")]
    raw: bool,
}

pub fn run(session: &mut Session, arguments: &SubscribeArguments) -> Outcome {
    let queue = session.open(&arguments.name)?;
    let group = session.group(queue, arguments.group.as_deref())?;
    let stop = catch()?;
    // No more is asked for than will be printed, so that nothing is delivered in vain.
    let most = arguments.count.map_or(u32::MAX, |count| u32::try_from(count).unwrap_or(u32::MAX));
    let options = SubscribeOptions {
        group,
        messages: arguments.credit.min(most),
        bytes: arguments.credit_bytes.map_or(0, |size| u32::try_from(size.0).unwrap_or(u32::MAX)),
        batch_max: arguments.batch.min(most),
        lease: arguments.lease.map_or(Duration::ZERO, |lease| lease.0),
        rate: arguments.rate,
    };
    let Session { client, json, documented } = session;
    let json = *json;
    let mut subscription = client.subscribe(queue, &options).map_err(failure)?;
    let printed = print_all(&mut subscription, arguments, json, &stop, documented)?;
    let back = subscription.unsubscribe().map_err(failure)?;
    if !json {
        let back = if back > 0 { format!("; {} came back", counted(back)) } else { String::new() };
        eprintln!("{} from {}{back}", counted(printed), arguments.name);
    }
    match arguments.wait {
        Some(wait) if printed == 0 && !stop.load(Ordering::Relaxed) => {
            let sentence = format!("no message in {} within {wait}", arguments.name);
            let remedy = "put some, or give --wait more time";
            Err(Failure::failed(sentence, remedy).named("NoMessage"))
        }
        _ => Ok(()),
    }
}

/// Prints until there are enough, none come, or a signal does; returns how many were printed.
fn print_all(
    subscription: &mut Subscription<'_>,
    arguments: &SubscribeArguments,
    json: bool,
    stop: &AtomicBool,
    documented: &Cell<bool>,
) -> Result<u64, Failure> {
    let (mut printed, mut last) = (0, Instant::now());
    let most = arguments.count.unwrap_or(u64::MAX);
    while printed < most && !stop.load(Ordering::Relaxed) {
        let wait = arguments.wait.map(|wait| wait.0.saturating_sub(last.elapsed()));
        if wait.is_some_and(|wait| wait.is_zero()) {
            break;
        }
        let Some(taken) =
            subscription.next(wait.map_or(LOOK, |wait| wait.min(LOOK))).map_err(failure)?
        else {
            continue;
        };
        let count = u64::from(taken.count()).min(most - printed) as u32;
        documented.set(true);
        print_some(&taken, count, arguments, json)?;
        let done = Range { first: 0, count };
        let settlement = subscription.ack(&taken, &[done]).map_err(failure)?;
        check_settled(settlement.settled, count)?;
        printed += u64::from(count);
        last = Instant::now();
    }
    Ok(printed)
}

fn print_some(taken: &Taken, count: u32, arguments: &SubscribeArguments, json: bool) -> Outcome {
    let messages = taken.messages().take(count as usize);
    if json {
        let line = |message| format!("{}\n", document::message(taken, &message));
        return print(messages.map(line).collect::<String>().as_bytes());
    }
    if taken.dropped > 0 {
        eprintln!("{} had been dropped before these: the queue was full", taken.dropped);
    }
    print(&lines(messages.map(|message| message.record.payload), arguments.raw))
}

/// The first signal ends the subscription, the second the program.
fn catch() -> Result<Arc<AtomicBool>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        flag::register_conditional_shutdown(signal, 1, Arc::clone(&stop))
            .and_then(|_| flag::register(signal, Arc::clone(&stop)))
            .map_err(|error| {
                Failure::failed(format!("signals cannot be caught: {error}"), "use take --ack")
            })?;
    }
    Ok(stop)
}
