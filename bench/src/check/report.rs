//! What a checked run found.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

/// Sentences that the text shows of each run at most.
const SHOWN_MAX: usize = 20;

/// A checked run: what was judged, and the verdict.
#[derive(Clone, Debug, Serialize)]
pub struct CheckReport {
    /// What the queues were like and how the clients behaved follows from it.
    pub seed: u64,
    /// How long the load lasted.
    pub seconds: f64,
    /// Messages that were put, all of them judged.
    pub messages: u64,
    /// Connections that clients opened.
    pub connections: u64,
    /// What happened on the way, and how often.
    pub happened: BTreeMap<&'static str, u64>,
    /// `good`, or `violated`.
    pub verdict: &'static str,
    /// What must not have happened and did, a sentence each.
    pub violations: Vec<String>,
    /// What else somebody should know.
    pub warnings: Vec<String>,
}

impl CheckReport {
    /// Whether nothing was wrong.
    pub fn is_good(&self) -> bool {
        self.violations.is_empty()
    }

    /// The one JSON document.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("numbers, texts and lists always serialize")
    }
}

impl fmt::Display for CheckReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, seconds, messages, connections, .. } = self;
        writeln!(
            f,
            "check: {messages} messages over {connections} connections judged, {seconds:.1} s of \
             load, seed {seed}"
        )?;
        for (name, count) in &self.happened {
            writeln!(f, "  {name}: {count}")?;
        }
        if self.is_good() {
            return writeln!(
                f,
                "verdict: good; nothing lost, no phantom, no duplicate without a cause, all in \
                 order"
            );
        }
        writeln!(f, "verdict: violated, {} times", self.violations.len())?;
        for sentence in self.violations.iter().take(SHOWN_MAX) {
            writeln!(f, "  {sentence}")?;
        }
        Ok(())
    }
}
