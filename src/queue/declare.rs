//! `ringway queue declare` and `alter`: options as people write them become a queue's options.

use clap::{Args, ValueEnum};
use ringway_protocol::QueueName;
use ringway_protocol::limits::DURATION_MS_MAX;
use ringway_protocol::options::{
    BACKOFF_MS_MAX, DEDUP_MESSAGES_MAX, DEDUP_MS_MAX, FullPolicy, LEASE_MS_MAX, PriorityOrder,
    QueueOptions, SpreadOrder, WAIT_MS_MAX,
};
use serde_json::json;

use super::{Session, failure};
use crate::failure::{Failure, Outcome};
use crate::units::{Size, Span};

const DECLARE_EXAMPLES: &str = "\
Examples:
  ringway queue declare jobs                      the plane's defaults
  ringway queue declare jobs --lease 1m --deliveries-max 5 --backoff 1s --backoff-max 5m
  ringway queue declare mails --ttl 1d --dead-letter-expired
  ringway queue declare payments --dedup 1h       a put that is repeated is stored once
  ringway queue declare events --keep 7d --keep-bytes 512MiB    done messages can be replayed
  ringway queue declare ring --messages-max 1000 --when-full drop-oldest
  ringway queue declare big --spread 4 --spread-order per-key

Declaring it again with the same options is fine, with others is an error: see \
`ringway queue alter`. One option given fixes the others at the protocol's defaults.";

const ALTER_EXAMPLES: &str = "\
Examples:
  ringway queue alter jobs --lease 5m --deliveries-max 20
  ringway queue alter jobs --spread 4
  ringway queue alter mails --dead-letter-expired=false
  ringway queue show jobs                the options that it has

An option that is not given stays as it is.

To spread a queue further is possible while it is in use: groups, messages and leases stay, takes \
and subscriptions that wait are told to ask again. A window of deduplication has to be off then \
(--dedup 0s), and a queue is never spread over fewer shards again.";

/// The arguments of `ringway queue declare`. Without any option the plane's defaults count.
#[derive(Args)]
#[command(after_help = DECLARE_EXAMPLES)]
pub struct DeclareArguments {
    /// Name: 1 to 255 letters, digits, '.', '_', '-' or '/'
    name: String,

    #[command(flatten)]
    options: OptionArguments,
}

/// The arguments of `ringway queue alter`.
#[derive(Args)]
#[command(after_help = ALTER_EXAMPLES)]
pub struct AlterArguments {
    /// Name of the queue
    name: String,

    #[command(flatten)]
    options: OptionArguments,
}

/// The options of a queue as flags.
#[derive(Args, PartialEq, Default)]
pub struct OptionArguments {
    /// Most messages held, ready and leased together
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    messages_max: Option<u64>,

    /// Most bytes of memory held
    #[arg(long, value_name = "SIZE")]
    bytes_max: Option<Size>,

    /// How long a lease lasts unless the take says otherwise
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true,
        value_parser = Span::within(1, LEASE_MS_MAX.into()))]
    lease: Option<Span>,

    /// Longest wait that a take may ask for, and of a put that is held
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true,
        value_parser = Span::within(0, WAIT_MS_MAX.into()))]
    wait_max: Option<Span>,

    /// Deliveries before a message goes to NAME.dead; 0 for no limit
    #[arg(long, value_name = "N")]
    deliveries_max: Option<u32>,

    /// What happens to a put when the queue is full
    #[arg(long, value_name = "POLICY")]
    when_full: Option<WhenFull>,

    /// How the bands of priority share the queue
    #[arg(long, value_name = "ORDER")]
    priorities: Option<Priorities>,

    /// How long a message may wait for its consumers, from when it is due; then it is dropped
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true,
        value_parser = Span::within(0, DURATION_MS_MAX))]
    ttl: Option<Span>,

    /// A message that expires goes to NAME.dead instead
    #[arg(
        long,
        value_name = "YES",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    dead_letter_expired: Option<bool>,

    /// How long a message waits that was given back
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true,
        value_parser = Span::within(0, BACKOFF_MS_MAX.into()))]
    backoff: Option<Span>,

    /// Double that with each delivery, up to this
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true,
        value_parser = Span::within(0, BACKOFF_MS_MAX.into()))]
    backoff_max: Option<Span>,

    /// How long a put is remembered to know its repeat
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true,
        value_parser = Span::within(0, DEDUP_MS_MAX.into()))]
    dedup: Option<Span>,

    /// How many messages are remembered at most [default: 1000000]
    #[arg(long, value_name = "N",
        value_parser = clap::value_parser!(u32).range(0..=i64::from(DEDUP_MESSAGES_MAX)))]
    dedup_max: Option<u32>,

    /// How long messages are kept that are done, to replay them
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true,
        value_parser = Span::within(0, DURATION_MS_MAX))]
    keep: Option<Span>,

    /// How many messages are kept that are done
    #[arg(long, value_name = "N")]
    keep_messages: Option<u64>,

    /// How many bytes of messages are kept that are done
    #[arg(long, value_name = "SIZE")]
    keep_bytes: Option<Size>,

    /// Delete the queue after so long without use
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true,
        value_parser = Span::within(0, DURATION_MS_MAX))]
    idle: Option<Span>,

    /// Over how many shards the queue is spread
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(0..=256))]
    spread: Option<u16>,

    /// What order it keeps then
    #[arg(long, value_name = "ORDER")]
    spread_order: Option<Order>,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum WhenFull {
    /// The put is refused
    Reject,
    /// The oldest ready messages make room
    DropOldest,
    /// The put waits for room, up to --wait-max
    Hold,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Priorities {
    /// A higher band first, always
    Strict,
    /// Band b gets b + 1 shares
    Weighted,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Order {
    /// Within each shard's part only
    Relaxed,
    /// Messages with one key keep their order
    PerKey,
}

impl From<WhenFull> for FullPolicy {
    fn from(word: WhenFull) -> Self {
        match word {
            WhenFull::Reject => FullPolicy::Reject,
            WhenFull::DropOldest => FullPolicy::DropOldest,
            WhenFull::Hold => FullPolicy::Hold,
        }
    }
}

impl From<Priorities> for PriorityOrder {
    fn from(word: Priorities) -> Self {
        match word {
            Priorities::Strict => PriorityOrder::Strict,
            Priorities::Weighted => PriorityOrder::Weighted,
        }
    }
}

impl From<Order> for SpreadOrder {
    fn from(word: Order) -> Self {
        match word {
            Order::Relaxed => SpreadOrder::Relaxed,
            Order::PerKey => SpreadOrder::PerKey,
        }
    }
}

impl OptionArguments {
    /// What was asked for; `None` leaves everything to the plane. One option given fixes the rest
    /// at the protocol's defaults, because a declaration carries all of them or none.
    fn declared(&self) -> Option<QueueOptions> {
        (*self != Self::default()).then(|| self.over(QueueOptions::default()))
    }

    /// What was asked for, and otherwise what there was.
    fn over(&self, base: QueueOptions) -> QueueOptions {
        let ms = |span: Option<Span>, base: u32| span.map_or(base, Span::ms);
        let long_ms =
            |span: Option<Span>, base: u64| span.map_or(base, |span| span.ns() / 1_000_000);
        let mut options = QueueOptions {
            messages_max: self.messages_max.unwrap_or(base.messages_max),
            bytes_max: self.bytes_max.map_or(base.bytes_max, |size| size.0),
            lease_ms: ms(self.lease, base.lease_ms),
            wait_max_ms: ms(self.wait_max, base.wait_max_ms),
            deliveries_max: self.deliveries_max.unwrap_or(base.deliveries_max),
            full_policy: self.when_full.map_or(base.full_policy, FullPolicy::from),
            level: base.level,
            priority: self.priorities.map_or(base.priority, PriorityOrder::from),
            dead_letter_expired: self.dead_letter_expired.unwrap_or(base.dead_letter_expired),
            ttl_ms: long_ms(self.ttl, base.ttl_ms),
            backoff_ms: ms(self.backoff, base.backoff_ms),
            backoff_max_ms: ms(self.backoff_max, base.backoff_max_ms),
            dedup_ms: ms(self.dedup, base.dedup_ms),
            dedup_max: self.dedup_max.unwrap_or(base.dedup_max),
            keep_ms: long_ms(self.keep, base.keep_ms),
            keep_messages: self.keep_messages.unwrap_or(base.keep_messages),
            keep_bytes: self.keep_bytes.map_or(base.keep_bytes, |size| size.0),
            idle_ms: long_ms(self.idle, base.idle_ms),
            spread: self.spread.unwrap_or(base.spread),
            spread_order: self.spread_order.map_or(base.spread_order, SpreadOrder::from),
        };
        // What is switched off takes along what only it has a meaning with.
        if options.dedup_ms == 0 && self.dedup_max.is_none() {
            options.dedup_max = 0;
        }
        if options.backoff_ms == 0 && self.backoff_max.is_none() {
            options.backoff_max_ms = 0;
        }
        options
    }
}

pub fn run(session: &mut Session, arguments: &DeclareArguments) -> Outcome {
    let name = &arguments.name;
    let mut options = arguments.options.declared();
    // Dead letters have no dead letters of their own.
    if let Some(options) = &mut options
        && arguments.options.deliveries_max.is_none()
        && QueueName::new(name).is_ok_and(|name| name.is_dead_letter())
    {
        options.deliveries_max = 0;
    }
    let declared = session.client.declare_new(name, options);
    let (queue, created) = declared.map_err(failure)?;
    let document = json!({ "queue": name, "id": queue.0.to_string(), "created": created });
    let found = match (created, options) {
        (true, _) => "declared",
        (false, Some(_)) => "was there already, with these options",
        (false, None) => "was there already",
    };
    session.answer(&document, &format!("{name} {found}"))
}

pub fn alter(session: &mut Session, arguments: &AlterArguments) -> Outcome {
    let name = &arguments.name;
    if arguments.options == OptionArguments::default() {
        return Err(Failure::usage(
            "an alter needs at least one option",
            "name those that are to be others: ringway queue show says what there is",
        ));
    }
    let queue = session.open(name)?;
    let options = session.client.describe(queue).map_err(failure)?.options;
    session.client.alter(queue, arguments.options.over(options)).map_err(failure)?;
    let document = json!({ "queue": name, "id": queue.0.to_string(), "altered": true });
    session.answer(&document, &format!("{name} has these options now"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_option_is_none_and_one_fixes_the_rest() {
        assert_eq!(OptionArguments::default().declared(), None);
        let hour = Some(Span::of_ms(3_600_000));
        let arguments =
            OptionArguments { ttl: hour, dedup: hour, idle: hour, ..OptionArguments::default() };
        let expected = QueueOptions {
            ttl_ms: 3_600_000,
            dedup_ms: 3_600_000,
            idle_ms: 3_600_000,
            ..QueueOptions::default()
        };
        assert_eq!(arguments.declared(), Some(expected));
    }

    #[test]
    fn what_is_not_given_stays() {
        let base = QueueOptions {
            lease_ms: 7_000,
            dedup_ms: 60_000,
            dedup_max: 9,
            keep_ms: 3_600_000,
            dead_letter_expired: true,
            spread: 2,
            spread_order: SpreadOrder::PerKey,
            ..QueueOptions::default()
        };
        assert_eq!(OptionArguments::default().over(base), base);
        let arguments = OptionArguments { spread: Some(3), ..OptionArguments::default() };
        assert_eq!(arguments.over(base), QueueOptions { spread: 3, ..base });
        let arguments =
            OptionArguments { dedup: Some(Span::of_ms(0)), ..OptionArguments::default() };
        assert_eq!(arguments.over(base), QueueOptions { dedup_ms: 0, dedup_max: 0, ..base });
    }
}
