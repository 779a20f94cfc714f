//! Looking at the real store: figures, messages by their state, listings.

use ringway_protocol::reply::GROUP_COLUMNS;

use super::{Real, Result};
use crate::support::outcome::Outcome;
use crate::support::words::Words;

const NS_PER_MS: u64 = 1_000_000;

impl Real {
    /// `stat QUEUE [group=NAME] COLUMN...`, `stat all`
    pub(super) fn stat(&self, words: &Words<'_>) -> Result<Outcome> {
        let name = words.word(0);
        if name == "all" {
            let (ready, leased) = self.store.ready_and_leased();
            return Ok(Outcome::said(format!("{ready} ready, {leased} leased")));
        }
        self.store.stat(self.queue(name), self.now())?;
        let figures = words.plain()[1..].iter().map(|column| match words.get("group") {
            Some(group) => self.group_figure(name, group, column).to_string(),
            None => self.figure(name, column).to_string(),
        });
        Ok(Outcome::said(figures.collect::<Vec<_>>().join(" ")))
    }

    /// A figure of a queue that is there.
    pub fn figure(&self, name: &str, column: &str) -> u64 {
        let row = self.store.stat(self.queue(name), self.now()).expect("the queue is there");
        crate::support::figure(&row, column)
    }

    pub fn group_columns(&self) -> [&'static str; GROUP_COLUMNS.len()] {
        GROUP_COLUMNS
    }

    /// A figure of a group that is there.
    pub fn group_figure(&self, name: &str, group: &str, column: &str) -> u64 {
        let mut found = None;
        let at = GROUP_COLUMNS.iter().position(|known| *known == column).expect("a column");
        let visit = |_, _, known: &str, figures: &[u64]| {
            if known == group {
                found = figures.get(at).copied();
            }
        };
        self.store.groups(self.queue(name), visit).expect("the queue is there");
        found.unwrap_or_else(|| panic!("{name} has no group {group}"))
    }

    pub(super) fn list(&self, prefix: &str) -> Outcome {
        let mut entries = Vec::new();
        let mut from = Some(0);
        while let Some(slot) = from {
            from = self.store.list(slot, 2, prefix, &mut |entry| {
                entries.push(format!("{} {}/{}", entry.name, entry.ready, entry.leased));
            });
        }
        Outcome::said(if entries.is_empty() { "none".into() } else { entries.join(", ") })
    }

    /// When there is something to do next, since the start of the case.
    pub fn next_deadline(&self) -> Option<u64> {
        self.store.next_deadline().map(|ns| ns.saturating_sub(self.start_ns))
    }

    /// The same as text.
    pub(super) fn next(&self) -> Outcome {
        Outcome::said(match self.next_deadline() {
            Some(ns) => format!("{} ms", ns / NS_PER_MS),
            None => "never".into(),
        })
    }
}
