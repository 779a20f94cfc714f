//! `ringway queue ls`, `stat`, `purge` and `rm`: what there is, and getting rid of it.

use std::io::IsTerminal;

use clap::Args;
use comfy_table::{CellAlignment, Table, presets};
use ringway_client::{FigureTable, Listed};
use serde_json::{Map, Value, json};

use super::{Session, counted, failure, print};
use crate::failure::Outcome;

/// The arguments of verbs that name one queue.
#[derive(Args)]
pub struct NameArguments {
    /// Name of the queue
    name: String,
}

/// The arguments of `ringway queue ls`.
#[derive(Args)]
pub struct ListArguments {
    /// Only queues whose name starts so
    #[arg(default_value = "", hide_default_value = true)]
    prefix: String,
}

/// The arguments of `ringway queue stat`.
#[derive(Args)]
pub struct StatArguments {
    /// Name of the queue; without one, a column for each shard
    name: Option<String>,
}

pub fn list(session: &mut Session, arguments: &ListArguments) -> Outcome {
    let mut listed = session.client.list(&arguments.prefix).map_err(failure)?;
    listed.sort_by(|a, b| a.name.cmp(&b.name));
    if session.json {
        let entry = |listed: &Listed| {
            let Listed { name, queue, ready, leased } = listed;
            json!({ "queue": name, "id": queue.0, "ready": ready, "leased": leased })
        };
        let document = Value::from(listed.iter().map(entry).collect::<Vec<_>>());
        return print(format!("{document:#}\n").as_bytes());
    }
    let rows = listed.iter().map(|listed| {
        vec![listed.name.clone(), listed.ready.to_string(), listed.leased.to_string()]
    });
    print_rows(Some(["queue", "ready", "leased"].map(str::to_owned).to_vec()), rows)
}

pub fn stat(session: &mut Session, arguments: &StatArguments) -> Outcome {
    let figures = match &arguments.name {
        Some(name) => {
            let queue = session.open(name)?;
            session.client.stat_queue(queue)
        }
        None => session.client.stat_plane(),
    };
    let figures = figures.map_err(failure)?;
    if session.json {
        let row = |row: Vec<(&str, u64)>| {
            Value::from(Map::from_iter(
                row.into_iter().map(|(name, figure)| (name.to_owned(), Value::from(figure))),
            ))
        };
        let mut rows: Vec<Value> = figures.rows().map(row).collect();
        let document = match arguments.name {
            Some(_) => rows.pop().unwrap_or(Value::Null),
            None => Value::from(rows),
        };
        return print(format!("{document:#}\n").as_bytes());
    }
    print_rows(None, by_figure(&figures))
}

/// A line a figure, with a column for each row of the table: figures are many, shards are few.
fn by_figure(figures: &FigureTable) -> impl Iterator<Item = Vec<String>> + '_ {
    figures.columns().iter().map(|name| {
        let values = (0..figures.len()).map(|row| figures.get(row, name).to_string());
        std::iter::once((*name).to_owned()).chain(values).collect()
    })
}

pub fn purge(session: &mut Session, arguments: &NameArguments) -> Outcome {
    let queue = session.open(&arguments.name)?;
    let removed = session.client.purge(queue).map_err(failure)?;
    report_removed(session, arguments, removed, "purged from")
}

pub fn remove(session: &mut Session, arguments: &NameArguments) -> Outcome {
    let queue = session.open(&arguments.name)?;
    let removed = session.client.delete(queue).map_err(failure)?;
    report_removed(session, arguments, removed, "removed with")
}

fn report_removed(
    session: &Session,
    arguments: &NameArguments,
    removed: u64,
    how: &str,
) -> Outcome {
    let document = json!({ "queue": arguments.name, "messages": removed });
    session.answer(&document, &format!("{} {how} {}", counted(removed), arguments.name))
}

/// Aligned columns with a heading for a person, values between tabs for a pipe.
fn print_rows(heading: Option<Vec<String>>, rows: impl Iterator<Item = Vec<String>>) -> Outcome {
    if !std::io::stdout().is_terminal() {
        let lines: String = rows.map(|row| row.join("\t") + "\n").collect();
        return print(lines.as_bytes());
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    if let Some(heading) = heading {
        table.set_header(heading);
    }
    table.add_rows(rows);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    print(format!("{table}\n").as_bytes())
}
