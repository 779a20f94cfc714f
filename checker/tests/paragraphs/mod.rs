//! Histories as paragraphs, with the verdicts that they earn.

use ringway_checker::verdicts;

/// Checks paragraphs: the words of the first line are the verdicts (or `good`), the rest is the
/// history.
pub fn check(paragraphs: &str) {
    for paragraph in paragraphs.split("\n\n").filter(|text| !text.trim().is_empty()) {
        let (expected, history) = paragraph.trim().split_once('\n').expect("verdicts, then events");
        let found: Vec<String> =
            verdicts(history).iter().map(|verdict| format!("{verdict:?}").to_lowercase()).collect();
        let found = if found.is_empty() { "good".to_owned() } else { found.join(" ") };
        let (expected, _why) = expected.split_once(':').unwrap_or((expected, ""));
        assert_eq!(found, expected, "in this history:\n{paragraph}");
    }
}
