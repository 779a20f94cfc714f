//! `ringway queue ls`, `purge` and `rm`: what there is, and getting rid of it.

use clap::Args;
use ringway_client::Listed;
use serde_json::{Value, json};

use super::table::print_rows;
use super::{Session, counted, failure};
use crate::failure::Outcome;

const LIST_EXAMPLES: &str = "\
Examples:
  ringway queue ls                   every queue
  ringway queue ls mail/             those whose name starts with mail/
  ringway queue ls 'orders.*.paid'   those that match: '*' is one piece of a name
  ringway queue ls 'orders.>'        a last '>' is one piece or more
  ringway queue ls --json | jq '.[] | select(.ready > 1000) | .queue'

Quote patterns: the shell reads '*' and '>', too. In a pipe the columns have tabs between them and \
no heading: queue, ready, leased.";

const PURGE_EXAMPLES: &str = "\
Examples:
  ringway queue purge jobs           leased messages stay with their leases";

const REMOVE_EXAMPLES: &str = "\
Examples:
  ringway queue rm jobs              with its messages, groups and bindings
  ringway queue remove jobs 17       removes one message instead";

/// The arguments of `ringway queue purge`.
#[derive(Args)]
#[command(after_help = PURGE_EXAMPLES)]
pub struct PurgeArguments {
    /// Name of the queue
    name: String,
}

/// The arguments of `ringway queue rm`.
#[derive(Args)]
#[command(after_help = REMOVE_EXAMPLES)]
pub struct RemoveArguments {
    /// Name of the queue
    name: String,
}

/// The arguments of `ringway queue ls`.
#[derive(Args)]
#[command(after_help = LIST_EXAMPLES)]
pub struct ListArguments {
    /// Only queues whose name starts so, or matches if there is a '*' or '>' in it
    #[arg(default_value = "", hide_default_value = true)]
    pattern: String,
}

pub fn list(session: &mut Session, arguments: &ListArguments) -> Outcome {
    let mut listed = session.client.list(&arguments.pattern).map_err(failure)?;
    listed.sort_by(|a, b| a.name.cmp(&b.name));
    if session.json {
        let entry = |listed: &Listed| {
            let Listed { name, queue, ready, leased } = listed;
            json!({ "queue": name, "id": queue.0.to_string(), "ready": ready, "leased": leased })
        };
        return session.document(&listed.iter().map(entry).collect::<Value>());
    }
    let rows = listed.iter().map(|listed| {
        vec![listed.name.clone(), listed.ready.to_string(), listed.leased.to_string()]
    });
    print_rows(&["queue", "ready", "leased"], 1, rows)
}

pub fn purge(session: &mut Session, arguments: &PurgeArguments) -> Outcome {
    let queue = session.open(&arguments.name)?;
    let removed = session.client.purge(queue).map_err(failure)?;
    report_removed(session, &arguments.name, removed, "purged from")
}

pub fn remove(session: &mut Session, arguments: &RemoveArguments) -> Outcome {
    let queue = session.open(&arguments.name)?;
    let removed = session.client.delete(queue).map_err(failure)?;
    report_removed(session, &arguments.name, removed, "removed with")
}

fn report_removed(session: &Session, name: &str, removed: u64, how: &str) -> Outcome {
    let document = json!({ "queue": name, "messages": removed });
    session.answer(&document, &format!("{} {how} {name}", counted(removed)))
}
