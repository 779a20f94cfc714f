//! `ringway queue show`: the options of a queue, as `declare` and `alter` take them.

use clap::Args;
use ringway_client::{Described, Paused};
use ringway_protocol::QueueOptions;
use serde_json::json;

use super::table::print_rows;
use super::{Session, failure, print_document};
use crate::failure::Outcome;
use crate::units::{Size, Span};

const SHOW_EXAMPLES: &str = "\
Examples:
  ringway queue show jobs
  ringway queue show jobs --json | jq .options.lease_ms

Names are those of the flags of `ringway queue alter`, in JSON those of the protocol.";

/// The arguments of `ringway queue show`.
#[derive(Args)]
#[command(after_help = SHOW_EXAMPLES)]
pub struct ShowArguments {
    /// Name of the queue
    name: String,
}

pub fn run(session: &mut Session, arguments: &ShowArguments) -> Outcome {
    let queue = session.open(&arguments.name)?;
    let what = session.client.describe(queue).map_err(failure)?;
    let Described { name, options, parts, .. } = &what;
    let paused = match what.paused {
        None => "no",
        Some(Paused::Puts) => "puts",
        Some(Paused::Takes) => "takes",
        Some(Paused::Both) => "both",
    };
    if session.json {
        return print_document(&json!({
            "queue": name,
            "id": queue.0,
            "paused": paused,
            "parts": parts,
            "options": document(options),
        }));
    }
    let own = [("queue", name.clone()), ("paused", paused.into()), ("parts", parts.to_string())];
    let rows = own.into_iter().chain(flags(options));
    print_rows(&[], 2, rows.map(|(name, value)| vec![name.to_owned(), value]))
}

/// The options by the names of their flags; what is off is `0s`, `0` or `no`.
fn flags(options: &QueueOptions) -> impl Iterator<Item = (&'static str, String)> {
    let ms = |ms: u64| Span::of_ms(ms).to_string();
    let QueueOptions { lease_ms, wait_max_ms, backoff_ms, backoff_max_ms, dedup_ms, .. } = *options;
    [
        ("messages-max", options.messages_max.to_string()),
        ("bytes-max", Size(options.bytes_max).to_string()),
        ("lease", ms(lease_ms.into())),
        ("wait-max", ms(wait_max_ms.into())),
        ("deliveries-max", options.deliveries_max.to_string()),
        ("when-full", options.full_policy.as_str().into()),
        ("priorities", options.priority.as_str().into()),
        ("ttl", ms(options.ttl_ms)),
        ("dead-letter-expired", options.dead_letter_expired.to_string()),
        ("backoff", ms(backoff_ms.into())),
        ("backoff-max", ms(backoff_max_ms.into())),
        ("dedup", ms(dedup_ms.into())),
        ("dedup-max", options.dedup_messages().to_string()),
        ("keep", ms(options.keep_ms)),
        ("keep-messages", options.keep_messages.to_string()),
        ("keep-bytes", Size(options.keep_bytes).to_string()),
        ("idle", ms(options.idle_ms)),
        ("spread", options.spread.to_string()),
        ("spread-order", options.spread_order.as_str().into()),
    ]
    .into_iter()
}

/// The options by their names in the protocol.
fn document(options: &QueueOptions) -> serde_json::Value {
    json!({
        "messages_max": options.messages_max,
        "bytes_max": options.bytes_max,
        "lease_ms": options.lease_ms,
        "wait_max_ms": options.wait_max_ms,
        "deliveries_max": options.deliveries_max,
        "full_policy": options.full_policy.as_str(),
        "level": format!("{:?}", options.level).to_lowercase(),
        "priority": options.priority.as_str(),
        "dead_letter_expired": options.dead_letter_expired,
        "ttl_ms": options.ttl_ms,
        "backoff_ms": options.backoff_ms,
        "backoff_max_ms": options.backoff_max_ms,
        "dedup_ms": options.dedup_ms,
        "dedup_max": options.dedup_max,
        "keep_ms": options.keep_ms,
        "keep_messages": options.keep_messages,
        "keep_bytes": options.keep_bytes,
        "idle_ms": options.idle_ms,
        "spread": options.spread,
        "spread_order": options.spread_order.as_str(),
    })
}
