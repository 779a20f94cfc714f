//! `ringway queue stat`: the figures of a queue by what they are about, or of every shard.

use std::io::IsTerminal;

use clap::Args;
use ringway_client::FigureTable;
use serde_json::{Map, Value};

use super::table::print_rows;
use super::{Session, failure, print};
use crate::failure::Outcome;
use crate::units::{Size, Span};

const EXAMPLES: &str = "\
Examples:
  ringway queue stat jobs              what stands where, and what became of the rest
  ringway queue stat jobs --json | jq .oldest_age_ms
  watch ringway queue stat jobs
  ringway queue stat                   a column for each shard
  ringway queue group ls jobs          the same by group of consumers";

/// The arguments of `ringway queue stat`.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct StatArguments {
    /// Name of the queue; without one, a column for each shard
    name: Option<String>,
}

/// The figures of a queue, by what they are about.
const SECTIONS: [(&str, &[&str]); 6] = [
    (
        "messages that are there",
        &["messages", "ready", "leased", "blocked", "delayed", "scheduled", "kept_messages"],
    ),
    ("memory", &["held_bytes", "live_bytes", "held_puts", "held_put_bytes"]),
    ("now", &["oldest_age_ms", "puts_per_second", "acks_per_second", "paused"]),
    ("consumers", &["groups", "subscriptions", "waiting_takes"]),
    (
        "deliveries so far",
        &["puts", "takes", "acks", "nacks", "expired_leases", "redeliveries", "duplicates"],
    ),
    (
        "what else became of messages",
        &[
            "dead_lettered",
            "dead_letters_refused",
            "expired",
            "dropped",
            "refused",
            "purged",
            "removed",
            "moved_out",
        ],
    ),
];

pub fn run(session: &mut Session, arguments: &StatArguments) -> Outcome {
    let figures = match &arguments.name {
        Some(name) => {
            let queue = session.open(name)?;
            session.client.stat_queue(queue)
        }
        None => session.client.stat_plane(),
    };
    let figures = figures.map_err(failure)?;
    if session.json {
        let mut rows: Vec<Value> = figures.rows().map(document).collect();
        return session.document(&match arguments.name {
            Some(_) => rows.pop().unwrap_or(Value::Null),
            None => Value::from(rows),
        });
    }
    if arguments.name.is_some() && std::io::stdout().is_terminal() {
        return print(by_section(&figures).as_bytes());
    }
    print_rows(&[], 1, by_figure(&figures))
}

/// A row of figures as a document.
pub fn document(row: Vec<(&str, u64)>) -> Value {
    let fields = row.into_iter().map(|(name, figure)| (name.to_owned(), Value::from(figure)));
    Value::from(Map::from_iter(fields))
}

/// A line a figure, with a column for each row of the table: figures are many, shards are few.
fn by_figure(figures: &FigureTable) -> impl Iterator<Item = Vec<String>> + '_ {
    figures.columns().iter().map(|name| {
        let values = (0..figures.len()).map(|row| figures.get(row, name).to_string());
        std::iter::once((*name).to_owned()).chain(values).collect()
    })
}

/// One queue's figures for a person: under headings, with their units.
fn by_section(figures: &FigureTable) -> String {
    let mut text = String::new();
    for (heading, names) in SECTIONS {
        text += heading;
        text.push('\n');
        for name in names {
            let (label, value) = labelled(name, figures.get(0, name));
            text += &format!("  {label:<22}{value:>16}\n");
        }
    }
    text
}

fn labelled(name: &str, figure: u64) -> (String, String) {
    let label = |name: &str| name.replace('_', " ");
    match name {
        "oldest_age_ms" => ("oldest age".to_owned(), Span::of_ms(figure).to_string()),
        "paused" => {
            let words = ["no", "puts", "takes", "puts and takes"];
            let word = usize::try_from(figure).ok().and_then(|figure| words.get(figure));
            (label(name), word.map_or(figure.to_string(), |word| (*word).to_owned()))
        }
        _ if name.ends_with("bytes") => (label(name), Size(figure).to_string()),
        _ => (label(name), figure.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringway_protocol::reply::QUEUE_COLUMNS;

    #[test]
    fn every_figure_stands_under_one_heading() {
        let mut shown: Vec<&str> = SECTIONS.iter().flat_map(|(_, names)| *names).copied().collect();
        let mut all = QUEUE_COLUMNS.to_vec();
        shown.sort_unstable();
        all.sort_unstable();
        assert_eq!(shown, all);
    }

    #[test]
    fn figures_have_their_units() {
        let text = |name, figure| labelled(name, figure).1;
        assert_eq!(text("oldest_age_ms", 61_000), "1m 1s");
        assert_eq!((text("paused", 2), text("paused", 9)), ("takes".into(), "9".into()));
        assert_eq!(
            (text("held_bytes", 1 << 20), text("ready", 1024)),
            ("1MiB".into(), "1024".into())
        );
    }
}
