//! `ringway doctor`: what this kernel and host allow, what is slow or blocked, and what mends it.

mod host;

use std::io::{self, IsTerminal, Write};

use clap::Args;
use comfy_table::{ContentArrangement, Table, presets};
use ringway_shards::limits::CONNECTIONS_MAX;
use ringway_shards::machine::affinity;
use ringway_shards::machine::probe::{Finding, Probe, ProbeOptions, Severity};
use serde_json::{Value, json};

use crate::failure::{Failure, Outcome};

/// The arguments of `ringway doctor`.
#[derive(Args)]
pub struct DoctorArguments {
    /// Look at what so many shards need [default: one for each allowed CPU]
    #[arg(long, value_name = "N")]
    shards: Option<u16>,

    /// Look at what so many connections need
    #[arg(long, value_name = "N", default_value_t = CONNECTIONS_MAX as u64)]
    connections: u64,

    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// How wide the table is when nobody says how wide the terminal is.
const PIPE_COLUMNS: u16 = 120;

/// Looks at everything, prints it, and fails with 1 if something was found, with 78 if the plane
/// cannot run here.
pub fn run(arguments: &DoctorArguments) -> Outcome {
    let allowed = affinity::allowed_cpus().map(|cpus| cpus.len()).unwrap_or(1);
    let shards = arguments.shards.map_or(allowed, usize::from);
    let connections = usize::try_from(arguments.connections).unwrap_or(usize::MAX);
    let mut findings = Probe::run(&ProbeOptions::new(shards, connections)).findings;
    findings.extend(host::findings(&host::read));
    let text = if arguments.json {
        format!("{:#}", Value::from(findings.iter().map(document).collect::<Vec<_>>()))
    } else {
        table(&findings)
    };
    // A reader that closed the pipe still gets the exit code.
    let _ = writeln!(io::stdout().lock(), "{text}");
    verdict(&findings)
}

fn verdict(findings: &[Finding]) -> Outcome {
    let bad = findings.iter().filter(|finding| finding.severity != Severity::Good).count();
    match findings.iter().map(|finding| finding.severity).max() {
        None | Some(Severity::Good) => Ok(()),
        Some(Severity::Advice) => Err(Failure::failed(
            format!("{bad} of {} checks found something", findings.len()),
            "the plane runs; the table says what would make it better",
        )),
        Some(Severity::Fatal) => {
            Err(Failure::unable("the plane cannot run on this host", "the table says why"))
        }
    }
}

fn document(finding: &Finding) -> Value {
    json!({
        "check": finding.check,
        "found": finding.found,
        "wanted": finding.wanted,
        "remedy": finding.remedy,
        "verdict": match finding.severity {
            Severity::Good => "good",
            Severity::Advice => "advice",
            Severity::Fatal => "fatal",
        },
    })
}

fn table(findings: &[Finding]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    if !io::stdout().is_terminal() {
        table.set_width(PIPE_COLUMNS);
    }
    table.set_header(["", "check", "found", "wanted", "remedy"]);
    for finding in findings {
        let mark = match finding.severity {
            Severity::Good => "ok",
            Severity::Advice => "!",
            Severity::Fatal => "NO",
        };
        table.add_row([mark, finding.check, &finding.found, &finding.wanted, &finding.remedy]);
    }
    table.trim_fmt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_finding_decides() {
        let finding = |severity| Finding {
            check: "a check",
            found: "this".to_owned(),
            wanted: "that".to_owned(),
            remedy: "do it".to_owned(),
            severity,
        };
        let (good, advice) = (finding(Severity::Good), finding(Severity::Advice));
        let fatal = finding(Severity::Fatal);
        assert_eq!(verdict(std::slice::from_ref(&good)), Ok(()));
        let failure = |findings: &[Finding]| format!("{:?}", verdict(findings));
        assert!(failure(&[good.clone(), advice.clone()]).contains("code: 1"));
        assert!(failure(&[fatal, good.clone(), advice.clone()]).contains("code: 78"));
        let table = table(&[good, advice]);
        assert!(table.lines().count() == 3 && table.contains("do it"), "{table}");
    }
}
