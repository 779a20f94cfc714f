//! `ringway queue bind`, `unbind`, `bindings` and `publish`: one name, many queues.

use std::collections::HashMap;

use clap::Args;
use serde_json::{Value, json};

use super::input::InputArguments;
use super::message::MessageArguments;
use super::table::print_rows;
use super::transfer::Together;
use super::{Session, failure, several};
use crate::failure::{Failure, Outcome};

const BIND_EXAMPLES: &str = "\
Examples:
  ringway queue bind audit 'orders.>'          orders.eu, orders.eu.paid, ...
  ringway queue bind mails 'orders.*.paid'     orders.eu.paid, not orders.eu
  ringway queue unbind audit 'orders.>'
  ringway queue publish orders.eu.paid 'order 7'

Names are cut at '.' and '/'; '*' stands for one piece, a last '>' for one or more. Quote them: \
the shell reads '*' and '>', too.";

const LIST_EXAMPLES: &str = "\
Examples:
  ringway queue bindings                 queue and pattern, a line each
  ringway queue bindings audit           those of one queue
  ringway queue bindings --json";

const PUBLISH_EXAMPLES: &str = "\
Examples:
  ringway queue publish orders.eu.paid 'order 7'
  ringway queue publish orders.eu.paid - < lines --header source=import
  ringway queue publish alerts 'disk full' --priority 7

Code 1 if any queue that is bound to the name refused; the others have the messages.";

/// The arguments of `ringway queue bind` and `unbind`.
#[derive(Args)]
#[command(after_help = BIND_EXAMPLES)]
pub struct BindArguments {
    /// Name of the queue
    name: String,

    /// Pattern of names that are published to
    pattern: String,
}

/// The arguments of `ringway queue bindings`.
#[derive(Args)]
#[command(after_help = LIST_EXAMPLES)]
pub struct BindingsArguments {
    /// Only those of this queue
    name: Option<String>,
}

/// The arguments of `ringway queue publish`.
#[derive(Args)]
#[command(after_help = PUBLISH_EXAMPLES)]
pub struct PublishArguments {
    /// The name; a queue of that name need not exist
    name: String,

    #[command(flatten)]
    input: InputArguments,

    #[command(flatten)]
    message: MessageArguments,
}

pub fn bind(session: &mut Session, arguments: &BindArguments) -> Outcome {
    let BindArguments { name, pattern } = arguments;
    let queue = session.open(name)?;
    let changed = session.client.bind(queue, pattern).map_err(failure)?;
    let document = json!({ "queue": name, "pattern": pattern, "changed": changed });
    let done = if changed { "gets" } else { "got already" };
    session.answer(&document, &format!("{name} {done} what is published to {pattern}"))
}

pub fn unbind(session: &mut Session, arguments: &BindArguments) -> Outcome {
    let BindArguments { name, pattern } = arguments;
    let queue = session.open(name)?;
    let changed = session.client.unbind(queue, pattern).map_err(failure)?;
    let document = json!({ "queue": name, "pattern": pattern, "changed": changed });
    if changed {
        return session.answer(&document, &format!("{name} is not bound to {pattern} any more"));
    }
    let sentence = format!("{name} was not bound to {pattern}");
    Err(Failure::failed(sentence, "see `ringway queue bindings`"))
}

pub fn list(session: &mut Session, arguments: &BindingsArguments) -> Outcome {
    if let Some(name) = &arguments.name {
        session.open(name)?;
    }
    let bound = session.client.bindings().map_err(failure)?;
    let names: HashMap<_, _> = (session.client.list("").map_err(failure)?.into_iter())
        .map(|listed| (listed.queue, listed.name))
        .collect();
    let mut rows: Vec<(String, String)> = (bound.into_iter())
        // One that was removed meanwhile has no name, and soon no bindings.
        .filter_map(|bound| Some((names.get(&bound.queue)?.clone(), bound.pattern)))
        .filter(|(name, _)| arguments.name.as_ref().is_none_or(|wanted| wanted == name))
        .collect();
    rows.sort();
    if session.json {
        let entry = |(name, pattern)| json!({ "queue": name, "pattern": pattern });
        return session.document(&rows.into_iter().map(entry).collect::<Value>());
    }
    let rows = rows.into_iter().map(|(name, pattern)| vec![name, pattern]);
    print_rows(&["queue", "pattern"], 2, rows)
}

pub fn publish(session: &mut Session, arguments: &PublishArguments) -> Outcome {
    let name = &arguments.name;
    let batch = Together::read(&arguments.input, &arguments.message)?;
    let published = session.client.publish(name, &batch).map_err(failure)?;
    let document = json!({
        "name": name,
        "messages": batch.count(),
        "matched": published.matched,
        "stored": published.stored,
        "refused": published.refused,
        "acknowledged": published.level.as_str(),
    });
    let sentence = match published.matched {
        0 => format!("no queue is bound to {name}"),
        matched => {
            format!("published to {} of {}", published.stored, several(matched.into(), "queue"))
        }
    };
    session.answer(&document, &sentence)?;
    if published.refused > 0 {
        return Err(Failure::failed(
            format!("{} refused", several(published.refused.into(), "queue")),
            "full or paused: see `ringway queue stat` of each",
        ));
    }
    Ok(())
}
