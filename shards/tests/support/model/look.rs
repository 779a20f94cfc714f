//! Looking without changing anything: figures, and messages by their state.

use super::queue::{Queue, SCHEDULED, band_of};
use super::{Asks, Model, Result};
use crate::support::clock::Clock;
use crate::support::outcome::Outcome;
use crate::support::words::{Words, cursor_of, sequence_of, sequence_text};

impl Model {
    /// `stat QUEUE [group=NAME] COLUMN...`: figures; `?` where the model does not know.
    pub(super) fn stat(&self, words: &Words<'_>) -> Result<Outcome> {
        if words.word(0) == "all" {
            return Ok(Outcome::Beyond);
        }
        let number = self.there(words.word(0))?;
        let figures = words.plain()[1..].iter().map(|column| match words.get("group") {
            Some(group) => self.group_text(number, group, column),
            None => self.figure(number, column).map_or("?".into(), |figure| figure.to_string()),
        });
        Ok(Outcome::said(figures.collect::<Vec<_>>().join(" ")))
    }

    pub(super) fn group_text(&self, number: usize, group: &str, column: &str) -> String {
        let figure = self.group_figure(number, group, column);
        figure.map_or("?".into(), |figure| figure.to_string())
    }

    /// A figure of a group; none if the model does not know it.
    pub fn group_figure(&self, number: usize, group: &str, column: &str) -> Option<u64> {
        let queue = self.at(number);
        let holder = queue.group(group);
        let in_state = |state: &str| {
            let shares = holder.shares.keys();
            shares.filter(|sequence| queue.state(group, **sequence) == state).count() as u64
        };
        let asking = |subscribed: bool| {
            let is = |asker: &&usize| {
                matches!(self.askers[**asker].asks, Asks::Subscription(_)) == subscribed
            };
            holder.turn.iter().filter(is).count() as u64
        };
        Some(match column {
            "position" => return None,
            "ready" | "leased" | "blocked" | "delayed" => in_state(column),
            "waiting_takes" => asking(false),
            "subscriptions" => asking(true),
            column => holder.counts.get(column),
        })
    }

    /// A figure of a queue; none if the model does not know it.
    pub fn figure(&self, number: usize, column: &str) -> Option<u64> {
        let queue = self.at(number);
        let live = || queue.live();
        Some(match column {
            "held_bytes" | "kept_messages" | "puts_per_second" | "acks_per_second" => return None,
            "held_put_bytes" | "oldest_age_ms" => return None,
            "live_bytes" => live().iter().map(|sequence| queue.messages[sequence].bytes).sum(),
            "messages" => live().len() as u64,
            "scheduled" => {
                live().iter().filter(|sequence| band_of(**sequence) == SCHEDULED).count() as u64
            }
            "groups" => queue.groups.len() as u64,
            "held_puts" => queue.held.len() as u64,
            "paused" => u64::from(queue.pauses_puts) + 2 * u64::from(queue.pauses_takes),
            "puts" | "refused" | "duplicates" | "moved_out" | "dead_letters_refused" => {
                queue.counts.get(column)
            }
            column => {
                let groups = queue.groups.keys();
                let own = groups.map(|group| self.group_figure(number, group, column));
                own.sum::<Option<u64>>()? + queue.counts.get(column)
            }
        })
    }

    /// `browse QUEUE STATE [group=NAME] [from=SEQUENCE] [limit=N]`
    pub(super) fn browse(&self, words: &Words<'_>) -> Result<Outcome> {
        let (number, group) = self.place(words)?;
        let queue = self.at(number);
        let state = words.word(1);
        let from = words.get("from").map(sequence_of);
        let from = from.map_or(0, |sequence| cursor_of(state, sequence));
        let limit = words.number("limit", 1024) as usize;
        let found = queue
            .messages
            .keys()
            .copied()
            .filter(|sequence| queue.state(&group, *sequence) == state)
            .filter(|sequence| cursor_of(state, *sequence) >= from);
        let mut found: Vec<u64> = found.collect();
        found.sort_by_key(|sequence| cursor_of(state, *sequence));
        let entry = |sequence: &u64| {
            let message = &queue.messages[sequence];
            let share = queue.group(&group).shares.get(sequence).copied().unwrap_or_default();
            let lease = share.lease.map(|lease| self.leases[lease].ends_ns);
            let due_ms = match message.due {
                Some(super::queue::Due::WallMs(ms)) => Some(ms),
                Some(super::queue::Due::Ns(ns)) => Some(self.clock.wall_at(ns)),
                None => share.back_ns.or(lease).map(|ns| self.clock.wall_at(ns)),
            };
            let due = due_ms
                .map(|ms| format!("@{}", ms.wrapping_sub(Clock::START_MS) as i64))
                .unwrap_or_default();
            let text = message.spec.text(Clock::START_MS);
            let deliveries = match share.deliveries {
                0 => String::new(),
                count => format!("#{count}"),
            };
            format!("{} {text}{deliveries}{due}", sequence_text(*sequence))
        };
        let entries: Vec<_> = found.iter().take(limit).map(entry).collect();
        let more = if found.len() > limit { ", more" } else { "" };
        let none = if entries.is_empty() { "none" } else { "" };
        Ok(Outcome::said(format!("{}{more}{none}", entries.join(", "))))
    }
}

impl Queue {
    /// The state of a message for a group, by the word that browsing uses.
    pub fn state(&self, group: &str, sequence: u64) -> &'static str {
        let holder = self.group(group);
        if band_of(sequence) == SCHEDULED {
            return "scheduled";
        }
        match holder.shares.get(&sequence) {
            None => "done",
            Some(share) if share.lease.is_some() => "leased",
            Some(share) if share.back_ns.is_some() => "delayed",
            Some(_) if self.is_blocked(holder, sequence, &[]) => "blocked",
            Some(_) => "ready",
        }
    }
}
