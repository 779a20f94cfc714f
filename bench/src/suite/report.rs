//! Rows with verdicts: a table for a person, a document for a program.

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};
use serde::Serialize;
use serde_json::{Value, json};

use super::figure::{Failure, Figure, digits};
use super::rounds::Measured;
use super::scenarios::Row;
use super::spread::Spread;
use super::subject::Bench;
use super::target::Target;

/// A figure of the systems that this replaces, beside ours.
#[derive(Debug)]
struct Replaced {
    what: &'static str,
    /// What they do in process.
    they: &'static str,
    /// What was hoped for there.
    target: &'static str,
    /// Our scenario and its figures that say the same.
    scenario: &'static str,
    figures: &'static [Figure],
}

const REPLACED: &[Replaced] = &[
    Replaced {
        what: "enqueue + dequeue: p50 / p95 / p99 (ours: put + take + ack)",
        they: "376.4 ns / about 750 ns / about 1,500 ns",
        target: "100 ns / 200 ns /",
        scenario: "queue alone",
        figures: &[Figure::P50Ns, Figure::P95Ns, Figure::P99Ns],
    },
    Replaced {
        what: "enqueue",
        they: "195.1 ns",
        target: "",
        scenario: "queue alone, enqueue",
        figures: &[Figure::NsPerMessage],
    },
    Replaced {
        what: "operations a second (ours: one core, over TCP, batches of 256)",
        they: "",
        target: "10 M, on a whole host",
        scenario: "operations, batches",
        figures: &[Figure::MessagesPerSecond],
    },
    Replaced {
        what: "allocated by an operation",
        they: "152 B",
        target: "50 B",
        scenario: "queue alone",
        figures: &[Figure::AllocatedBytesPerOperation],
    },
    Replaced {
        what: "allocations of an operation",
        they: "4",
        target: "1",
        scenario: "queue alone",
        figures: &[Figure::AllocationsPerOperation],
    },
];

impl Replaced {
    /// Ours, as far as it was measured: the medians of the rounds.
    fn ours(&self, measured: &[Measured]) -> String {
        let known = measured.iter().find(|measured| measured.scenario.name == self.scenario);
        let median = |figure: &Figure| {
            let spread = known.and_then(|measured| measured.spreads(*figure)[0]);
            spread.map_or("-".to_owned(), |spread| figure.show(spread.median))
        };
        self.figures.iter().map(median).collect::<Vec<_>>().join(" / ")
    }
}

/// Whether a row reached its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It did.
    Pass,
    /// It did not.
    Miss,
    /// It has no target.
    Stated,
    /// What the target asks about was not measured.
    NotMeasured,
}

/// One line of the report.
#[derive(Debug, Serialize)]
struct Line {
    what: &'static str,
    figure: Figure,
    target: String,
    ours: Option<Spread>,
    reference_name: Option<String>,
    reference: Option<Spread>,
    ratio: Option<Spread>,
    verdict: Verdict,
}

impl Line {
    fn new(row: &Row, measured: &Measured) -> Self {
        let [ours, reference, ratio] = measured.spreads(row.figure);
        let median = |spread: Option<Spread>| spread.map(|spread| spread.median);
        let verdict = match row.target.is_met(median(ours), median(ratio)) {
            Some(true) => Verdict::Pass,
            Some(false) => Verdict::Miss,
            None if ours.is_some() && row.target == Target::Stated => Verdict::Stated,
            None => Verdict::NotMeasured,
        };
        Self {
            what: row.what,
            figure: row.figure,
            target: row.target.show(row.figure),
            ours,
            reference_name: measured.scenario.reference.as_ref().map(ToString::to_string),
            reference,
            ratio,
            verdict,
        }
    }

    fn cells(&self) -> Vec<Cell> {
        let show = |spread: Option<Spread>| shown(spread, |value| self.figure.show(value));
        let against = match (&self.reference_name, self.reference) {
            (None, _) => String::new(),
            (Some(name), None) => format!("{name}: -"),
            (Some(name), reference) => format!("{name}: {}", show(reference)),
        };
        let ratio = self.ratio.map(|ratio| shown(Some(ratio), digits)).unwrap_or_default();
        let verdict = match self.verdict {
            Verdict::Pass => "pass",
            Verdict::Miss => "MISS",
            Verdict::Stated => "",
            Verdict::NotMeasured => "not measured",
        };
        let right = |text: String| Cell::new(text).set_alignment(CellAlignment::Right);
        vec![
            Cell::new(self.what),
            right(self.target.clone()),
            right(show(self.ours)),
            Cell::new(against),
            right(ratio),
            Cell::new(verdict),
        ]
    }
}

/// `median (lowest..highest)`, the median alone when the rounds agree, `-` when there are none.
fn shown(spread: Option<Spread>, show: impl Fn(f64) -> String) -> String {
    let Some(spread) = spread else { return "-".to_owned() };
    let [median, lowest, highest] = [spread.median, spread.lowest, spread.highest].map(show);
    if lowest == highest { median } else { format!("{median} ({lowest}..{highest})") }
}

/// Everything that was measured, ready to be shown.
pub struct Report<'a> {
    measured: &'a [Measured],
    lines: Vec<Line>,
}

impl<'a> Report<'a> {
    /// The rows of all scenarios, judged.
    #[must_use]
    pub fn new(measured: &'a [Measured]) -> Self {
        let rows_of = |m: &'a Measured| m.scenario.rows.iter().map(move |row| Line::new(row, m));
        Self { measured, lines: measured.iter().flat_map(rows_of).collect() }
    }

    /// Whether something failed; a program that is not installed did not fail.
    #[must_use]
    pub fn has_failures(&self) -> bool {
        let failed = |failure: &Failure| matches!(failure, Failure::Failed(_));
        self.measured.iter().any(|measured| measured.failures.iter().any(failed))
    }

    /// Both tables in Markdown and the sentences below them; long cells are broken for a terminal.
    #[must_use]
    pub fn text(&self, fits_terminal: bool) -> String {
        let heads = ["what", "target", "ours", "beside it", "ours / beside it", ""];
        let rows = self.lines.iter().map(Line::cells);
        let replaced = REPLACED.iter().map(|line| {
            let ours = line.ours(self.measured);
            [line.what, line.they, line.target, &ours].map(Cell::new).into()
        });
        let replaced_heads =
            ["in process, the systems that this replaces", "they", "target there", "ours"];
        let mut text = format!(
            "{}\n\n{}",
            table(&heads, rows, fits_terminal),
            table(&replaced_heads, replaced, fits_terminal)
        );
        for sentence in self.sentences() {
            text.push_str("\n\n");
            text.push_str(&sentence);
        }
        text
    }

    /// What a reader must know beside the rows: what went wrong, each once, and where it did.
    fn sentences(&self) -> Vec<String> {
        let mut told: Vec<(&Failure, Vec<&str>)> = Vec::new();
        for measured in self.measured {
            for failure in &measured.failures {
                match told.iter_mut().find(|(known, _)| *known == failure) {
                    Some((_, names)) => names.push(measured.scenario.name),
                    None => told.push((failure, vec![measured.scenario.name])),
                }
            }
        }
        let sentence = |(failure, names): (&Failure, Vec<&str>)| match failure {
            Failure::NotInstalled(told) => told.clone(),
            Failure::Failed(told) => format!("Failed ({}): {told}", names.join("; ")),
        };
        told.into_iter().map(sentence).collect()
    }

    /// The same and the figures of every round.
    #[must_use]
    pub fn document(&self, bench: &Bench, rounds: u32) -> Value {
        let scenarios: Vec<Value> = self
            .measured
            .iter()
            .map(|measured| {
                let rounds: Vec<Value> = measured
                    .rounds
                    .iter()
                    .map(|(ours, reference)| json!({ "ours": ours, "reference": reference }))
                    .collect();
                json!({ "name": measured.scenario.name, "rounds": rounds })
            })
            .collect();
        let replaced: Vec<Value> = REPLACED
            .iter()
            .map(|line| {
                let ours = line.ours(self.measured);
                json!({
                    "what": line.what, "they": line.they, "target": line.target, "ours": ours,
                })
            })
            .collect();
        json!({
            "cpus": bench.cpus,
            "rounds": rounds,
            "seconds_each": bench.duration.as_secs_f64(),
            "rows": self.lines,
            "replaced": replaced,
            "sentences": self.sentences(),
            "scenarios": scenarios,
        })
    }
}

fn table(heads: &[&str], rows: impl Iterator<Item = Vec<Cell>>, fits_terminal: bool) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    if fits_terminal {
        table.set_content_arrangement(ContentArrangement::Dynamic);
    }
    table.set_header(heads.iter().map(Cell::new));
    table.add_rows(rows);
    table
}

#[cfg(test)]
mod tests {
    use super::super::figure::Figures;
    use super::super::scenarios::{Scenario, scenarios};
    use super::super::subject::Size;
    use super::*;
    use crate::floors::CpuPair;
    use std::time::Duration;

    fn scenario(name: &str) -> &'static Scenario {
        scenarios().find(|scenario| scenario.name == name).expect("it is in the table")
    }

    /// A scenario whose rounds gave these values of `figure`.
    fn measured(name: &str, figure: Figure, rounds: &[(f64, Option<f64>)]) -> Measured {
        let one = |value| Figures::from([(figure, value)]);
        let rounds = rounds.iter().map(|(ours, beside)| (Some(one(*ours)), beside.map(one)));
        Measured { scenario: scenario(name), rounds: rounds.collect(), failures: Vec::new() }
    }

    fn verdicts(measured: &[Measured]) -> Vec<Verdict> {
        Report::new(measured).lines.iter().map(|line| line.verdict).collect()
    }

    #[test]
    fn rows_are_judged_by_their_median() {
        let rate = Figure::MessagesPerSecond;
        let rounds = [(9e6, Some(1.3e6)), (12e6, Some(1.3e6)), (11e6, Some(2e6))];
        let pipelined = measured("put, pipelined", rate, &rounds);
        // 11 M/s is enough; of 6.9, 9.2 and 5.5 times Redis the median is too.
        assert_eq!(verdicts(&[pipelined]), [Verdict::Pass, Verdict::Pass]);
        let alone = measured("put, pipelined", rate, &[(9e6, None)]);
        assert_eq!(verdicts(&[alone]), [Verdict::Miss, Verdict::NotMeasured]);
        let tail = measured("open loop", Figure::TailOverMedian, &[(11.0, None)]);
        let unmeasured = Verdict::NotMeasured;
        assert_eq!(verdicts(&[tail]), [Verdict::Miss, unmeasured, unmeasured, unmeasured]);
    }

    #[test]
    fn the_text_shows_spread_ratio_and_what_is_missing() {
        let rounds = [(7000.0, Some(6000.0)), (6600.0, Some(6000.0)), (9000.0, Some(6000.0))];
        let mut polling = measured("round trip, polling", Figure::P50Ns, &rounds);
        polling.failures.push(Failure::NotInstalled("Redis is not installed.".into()));
        let mut broken = measured("idle", Figure::CpuPercent, &[]);
        broken.failures.push(Failure::Failed("ringway serve ended".into()));
        let mut again = measured("open loop", Figure::P50Ns, &[]);
        again.failures.push(Failure::Failed("ringway serve ended".into()));
        let alone = measured("queue alone", Figure::P50Ns, &[(42.0, None)]);
        let both = [polling, broken, again, alone];
        let report = Report::new(&both);
        let text = report.text(false);
        for wanted in [
            "7 us (6.6 us..9 us)",
            "Busy epoll echo, Polling client: 6 us",
            "1.17 (1.1..1.5)",
            "pass",
            "not measured",
            "376.4 ns",
            "42 ns / - / -",
            "Redis is not installed.",
            "Failed (idle; open loop): ringway serve ended",
        ] {
            assert!(text.contains(wanted), "{wanted} is missing in\n{text}");
        }
        assert!(report.has_failures());
        assert!(!Report::new(&both[..1]).has_failures());
    }

    #[test]
    fn the_document_has_rows_and_rounds() {
        let rounds = [(7000.0, Some(6000.0)), (6600.0, None)];
        let all = [measured("round trip, polling", Figure::P50Ns, &rounds)];
        let second = Duration::from_secs(1);
        let bench = Bench {
            program: "ringway".into(),
            cpus: CpuPair { server: 0, client: 1 },
            duration: second,
            open_loop: second,
            idle: second,
            size: Size::QUICK,
            count_allocations: |_| unreachable!("nothing is measured here"),
        };
        let document = Report::new(&all).document(&bench, 2);
        let row = &document["rows"][0];
        assert_eq!(row["verdict"], "pass");
        assert_eq!(row["figure"], "p50_ns");
        assert_eq!(row["ours"]["lowest"], 6600.0);
        assert_eq!(document["scenarios"][0]["rounds"][0]["ours"]["p50_ns"], 7000.0);
        assert_eq!(document["scenarios"][0]["rounds"][1]["reference"], Value::Null);
        assert_eq!(document["replaced"][3]["they"], "152 B");
    }
}
