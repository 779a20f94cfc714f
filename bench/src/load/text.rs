//! What a run found, for people.

use comfy_table::{CellAlignment, Table, presets};

use crate::load::report::{Latency, Report};
use crate::load::settings::{Acknowledge, Operation};

/// The report as text, ending in a line break.
pub fn render(report: &Report) -> String {
    let mut text = headline(report);
    text.push_str(&format!("{}\n", latencies(report)));
    if report.by_shard.len() > 1 {
        text.push_str(&format!("{}\n", shards(report)));
    }
    text.push_str(&closing(report));
    text
}

fn headline(report: &Report) -> String {
    let settings = &report.settings;
    let operation = match settings.operation {
        Operation::Put => "put",
        Operation::Take => "take",
        Operation::PutTake => "put, take and acknowledge",
        Operation::Echo => "echo",
    };
    let mut text = format!(
        "{operation}: {} operations/s of {} B, {} requests/s, {}/s, over {:.1} s\n",
        count(report.messages_per_second),
        settings.size,
        count(report.requests_per_second),
        bytes(report.bytes_per_second),
        report.seconds,
    );
    if let Some(offered) = report.offered_per_second {
        text.push_str(&format!("offered: {}/s\n", count(offered)));
    }
    text
}

fn latencies(report: &Report) -> Table {
    let mut table = table(&["latency", "p50", "p90", "p99", "p99.9", "max", "count"]);
    let mut row = |name: &str, latency: &Latency| {
        let Latency { count: n, p50, p90, p99, p999, max } = *latency;
        let mut cells = vec![name.to_owned()];
        cells.extend([p50, p90, p99, p999, max].map(time));
        cells.push(count(n as f64));
        table.add_row(cells);
    };
    if report.latency_ns_by_kind.len() > 1 {
        report.latency_ns_by_kind.iter().for_each(|(name, latency)| row(name, latency));
    }
    row("request", &report.latency_ns);
    table
}

fn shards(report: &Report) -> Table {
    let names = ["shard", "cpu", "connections", "operations/s", "requests", "handoffs", "busy"];
    let mut table = table(&names);
    for shard in &report.by_shard {
        table.add_row([
            shard.shard.to_string(),
            shard.cpu.to_string(),
            shard.connections.to_string(),
            count(shard.messages_per_second),
            count(shard.requests as f64),
            count(shard.handoffs as f64),
            percent(shard.busy_share),
        ]);
    }
    table
}

fn closing(report: &Report) -> String {
    let mut lines = vec![format!("errors: {} refused, {} failed", report.refused, report.failed)];
    if report.lost + report.duplicate + report.redelivered + report.nacked > 0 {
        lines.push(format!(
            "messages: {} lost, {} duplicated, {} given back, {} redelivered",
            report.lost, report.duplicate, report.nacked, report.redelivered
        ));
    }
    for refusal in &report.refusals {
        lines.push(format!("refused {} times: {}", refusal.requests, refusal.sentence));
    }
    lines.extend(report.errors.iter().map(|error| format!("failed: {error}")));
    if let Some(level) = report.acknowledged {
        let taken = match (report.settings.operation, report.settings.acknowledge) {
            (Operation::Put, _) => "",
            (_, Acknowledge::Lease) => "; taken under a lease, acknowledged by a request",
            (_, Acknowledge::AtOnce) => "; acknowledged as they were taken",
        };
        lines.push(format!("acknowledged: '{level}'{}{taken}", meaning(level)));
    }
    let server = (report.server_cpu_ns_per_message)
        .map_or("unknown".to_owned(), |ns| format!("{ns:.0} ns an operation"));
    lines.push(format!(
        "cpu: server {server}; load {:.0} ns a request, {} busy",
        report.load_cpu_ns_per_request,
        percent(report.load_busy_share),
    ));
    lines.push(String::new());
    lines.join("\n")
}

fn meaning(level: &str) -> &'static str {
    match level {
        "memory" => " (in the memory of its shard)",
        "written" => " (written to the journal)",
        "durable" => " (synced to disk)",
        _ => "",
    }
}

fn table(names: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(names);
    table.column_iter_mut().skip(1).for_each(|column| {
        column.set_cell_alignment(CellAlignment::Right);
    });
    table
}

fn percent(share: f64) -> String {
    format!("{:.0} %", 100.0 * share)
}

/// A number with three digits that count: `12.3 M`.
pub fn count(number: f64) -> String {
    scaled(number, &["", " K", " M", " G"])
}

fn bytes(number: f64) -> String {
    scaled(number, &[" B", " kB", " MB", " GB"])
}

fn time(ns: u64) -> String {
    scaled(ns as f64, &[" ns", " us", " ms", " s"])
}

fn scaled(number: f64, units: &[&str]) -> String {
    let last = units.len() - 1;
    let step = (0..last).find(|step| number < 999.5 * 1000_f64.powi(*step as i32)).unwrap_or(last);
    let number = number / 1000_f64.powi(step as i32);
    let digits = match number {
        _ if step == 0 && number.fract() == 0.0 => 0,
        number if number < 9.995 => 2,
        number if number < 99.95 => 1,
        _ => 0,
    };
    format!("{number:.digits$}{}", units[step])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_three_digits() {
        let cases = [
            (0.0, "0"),
            (7.0, "7"),
            (999.0, "999"),
            (999.7, "1.00 K"),
            (12_345.0, "12.3 K"),
            (99_960.0, "100 K"),
            (9_999_999.0, "10.0 M"),
            (123_456_789_012.0, "123 G"),
        ];
        for (number, text) in cases {
            assert_eq!(count(number), text);
        }
        assert_eq!((time(5_900), bytes(2.5e9)), ("5.90 us".to_owned(), "2.50 GB".to_owned()));
    }
}
