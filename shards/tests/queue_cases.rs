//! The rules of queues as text: each paragraph of `tests/cases/queue/*.txt` is a case.
//!
//! A paragraph's lines are commands, each with the outcome that it must have after `->`; a line
//! that starts with `#` says what the case is about. `tests/cases/queue/README.md` lists the
//! commands. Every case starts at 0 s with an empty store. The naive model must pass them too, as
//! far as it decides.

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use self::support::model::{Limits, Model};
use self::support::options::Options;
use self::support::outcome::Outcome;
use self::support::real::Real;

/// Few of everything, so that cases can reach the limits.
const LIMITS: fn() -> Limits =
    || Limits { defaults: Options::defaults(), queues_max: 6, leases_max: 4, waits_max: 4 };

#[test]
fn every_case_goes_as_written_for_the_model() {
    check_all(false, &|| {
        let mut model = Model::new(LIMITS());
        Box::new(move |command| model.run(command, None))
    });
}

#[test]
fn every_case_goes_as_written() {
    check_all(true, &|| {
        let mut real = Real::new(LIMITS(), 0);
        Box::new(move |command| real.run(command))
    });
}

/// Carries out one command.
type Side = Box<dyn FnMut(&str) -> Outcome>;

/// Runs every case on a side that is made anew for each.
fn check_all(is_store: bool, side: &dyn Fn() -> Side) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/cases/queue");
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .expect("the cases are in tests/cases/queue")
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    files.sort();
    let (mut cases, mut failures) = (0, Vec::new());
    for file in &files {
        let text = std::fs::read_to_string(file).expect("a case is text");
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let mut line = 1;
        for paragraph in text.split("\n\n") {
            if paragraph.lines().any(|line| !line.trim().is_empty() && !line.starts_with('#')) {
                cases += 1;
                let heading = format!("{name}: {}", paragraph.lines().next().unwrap_or_default());
                let failure = check((side(), is_store), &name, line, paragraph);
                failures.extend(failure.map(|failure| format!("{heading}\n{failure}")));
            }
            line += paragraph.matches('\n').count() + 2;
        }
    }
    assert!(cases >= 300, "only {cases} cases were found");
    assert!(
        failures.is_empty(),
        "{} of {cases} cases fail\n{}",
        failures.len(),
        failures.join("\n")
    );
}

/// Runs one paragraph; the first line that has another outcome is the failure.
fn check(
    (mut side, knows_runs): (Side, bool),
    file: &str,
    first_line: usize,
    paragraph: &str,
) -> Option<String> {
    for (index, line) in paragraph.lines().enumerate() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let (command, expected) = line.split_once("->").unwrap_or((line, "ok"));
        let (command, expected) = (command.trim(), expected.trim());
        let line = first_line + index;
        let outcome = catch_unwind(AssertUnwindSafe(|| side(command)));
        let Ok(outcome) = outcome else {
            return Some(format!("{file}:{line}: {command}\n  panicked: see above"));
        };
        if !outcome.is(expected, knows_runs) {
            return Some(format!("{file}:{line}: {command}\n  {expected}\n  {outcome}"));
        }
    }
    None
}
