//! The rules of queues as text: each paragraph of `tests/cases/queue/*.txt` is a case.
//!
//! A paragraph's lines are commands, each with the outcome that it must have after `->`; a line
//! that starts with `#` says what the case is about. `support/script.rs` lists the commands. Every
//! case starts at 0 s with an empty store.

mod support;

use std::path::Path;

use self::support::script::Script;

#[test]
fn every_case_goes_as_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/cases/queue");
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .expect("the cases are in tests/cases/queue")
        .map(|entry| entry.expect("a readable folder").path())
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
                failures.extend(check(&name, line, paragraph));
            }
            line += paragraph.matches('\n').count() + 2;
        }
    }
    assert!(cases >= 40, "only {cases} cases were found");
    assert!(
        failures.is_empty(),
        "{} of {cases} cases fail\n{}",
        failures.len(),
        failures.join("\n")
    );
}

/// Runs one paragraph; the first line that has another outcome is the failure.
fn check(file: &str, first_line: usize, paragraph: &str) -> Option<String> {
    let mut script = Script::new();
    for (index, line) in paragraph.lines().enumerate() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let (command, expected) = line.split_once("->").unwrap_or((line, "ok"));
        let outcome = script.run(command.trim());
        if outcome != expected.trim() {
            let line = first_line + index;
            let command = command.trim();
            return Some(format!("{file}:{line}: {command}\n  {}\n  {outcome}", expected.trim()));
        }
    }
    None
}
