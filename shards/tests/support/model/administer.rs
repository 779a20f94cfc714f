//! What operators do: purge, delete, pause, rename, remove, move, and a test of fair shares.

use super::deliver::Terms;
use super::queue::{SCHEDULED, band_of};
use super::{Asks, Model, Result};
use crate::support::outcome::Outcome;
use crate::support::words::{Words, sequence_of};

impl Model {
    /// Drops everything that no group has under a lease.
    pub(super) fn purge(&mut self, words: &Words<'_>, real: Option<&Outcome>) -> Result<Outcome> {
        let number = self.there(words.word(0))?;
        let queue = self.at_mut(number);
        // What has expired unnoticed is purged with the rest.
        let (overdue, _) = queue.overdue();
        for (name, count) in std::mem::take(&mut queue.unnoticed) {
            let counts = &mut queue.group_mut(&name).counts;
            counts.take_away("expired", count);
            counts.add("purged", count);
        }
        queue.overdue.clear();
        let before = queue.live().len();
        let names: Vec<String> = queue.groups.keys().cloned().collect();
        for name in names {
            let group = queue.group_mut(&name);
            let shares: Vec<u64> = group
                .shares
                .iter()
                .filter(|(_, share)| share.lease.is_none())
                .map(|(sequence, _)| *sequence)
                .collect();
            group.counts.add("purged", shares.len() as u64);
            shares.into_iter().for_each(|sequence| queue.done(&name, sequence));
        }
        let purged = before - queue.live().len();
        Ok(or_more(purged, overdue, real))
    }

    pub(super) fn delete(&mut self, words: &Words<'_>, real: Option<&Outcome>) -> Result<Outcome> {
        let number = self.there(words.word(0))?;
        let (overdue, _) = self.at(number).overdue();
        Ok(or_more(self.delete_queue(number), overdue, real))
    }

    /// Removes a queue and says how many messages went.
    pub(super) fn delete_queue(&mut self, number: usize) -> usize {
        for group in self.at(number).groups.keys().cloned().collect::<Vec<_>>() {
            self.dissolve(number, &group, "NoSuchQueue");
        }
        let queue = self.queues.remove(&number).expect("the queue was looked up before");
        for asker in &queue.held {
            self.askers[*asker].over = true;
            self.due.push_back((*asker, Outcome::refused("NoSuchQueue")));
        }
        queue.live().len()
    }

    /// `pause QUEUE puts|takes|both|none`
    pub(super) fn pause(&mut self, words: &Words<'_>) -> Result<Outcome> {
        let number = self.there(words.word(0))?;
        let what = words.word(1);
        let queue = self.at_mut(number);
        queue.pauses_puts = matches!(what, "puts" | "both");
        queue.pauses_takes = matches!(what, "takes" | "both");
        Ok(Outcome::ok())
    }

    pub(super) fn rename(&mut self, words: &Words<'_>) -> Result<Outcome> {
        let number = self.there(words.word(0))?;
        let name = crate::support::words::long(words.word(1));
        super::admit::check_name(&name)?;
        if self.find(&name).is_some_and(|other| other != number) {
            return Err("Conflict");
        }
        super::admit::fit(&name, &self.at(number).options)?;
        self.at_mut(number).name.clone_from(&name);
        for (known, other) in &mut self.known {
            if *other == number {
                known.clone_from(&name);
            }
        }
        Ok(Outcome::ok())
    }

    /// `remove QUEUE SEQUENCE...`
    pub(super) fn remove(&mut self, words: &Words<'_>) -> Result<Outcome> {
        let number = self.there(words.word(0))?;
        let (mut removed, mut missing) = (0, 0);
        for word in &words.plain()[1..] {
            let sequence = sequence_of(word);
            let queue = self.at_mut(number);
            if !queue.is_live(sequence) || queue.is_leased(sequence) {
                missing += 1;
                continue;
            }
            removed += 1;
            if band_of(sequence) == SCHEDULED {
                queue.counts.add("removed", 1);
            }
            for name in queue.remove(sequence) {
                queue.group_mut(&name).counts.add("removed", 1);
            }
        }
        Ok(Outcome::said(format!("{removed} removed, {missing} missing")))
    }

    /// `move QUEUE to TARGET|origin [limit=N] [group=NAME] [redrive] [filter=HEADER:VALUE]`
    pub(super) fn move_messages(&mut self, words: &Words<'_>) -> Result<Outcome> {
        let (number, group) = self.place(words)?;
        let limit = words.number("limit", 1024) as usize;
        let filter = words.get("filter").map(|f| f.split_once(':').expect("HEADER:VALUE"));
        let (mut moved, mut refused) = (0, 0);
        if words.word(2) != "origin" {
            self.there(words.word(2))?;
        }
        let queue = self.at(number);
        let matching: Vec<u64> = queue
            .choose(&group, u64::MAX, u64::MAX, None)
            .into_iter()
            .filter(|sequence| {
                let headers = &queue.messages[sequence].spec.headers;
                filter.is_none_or(|(name, value)| {
                    headers.iter().any(|(n, v)| n == name && v == value.as_bytes())
                })
            })
            .collect();
        for sequence in matching.iter().take(limit) {
            let mut spec = self.at(number).messages[sequence].spec.clone();
            let said = spec.headers.iter().find(|(name, _)| name == "ringway-queue");
            let origin = said.map(|(_, value)| String::from_utf8_lossy(value).into_owned());
            let target = match words.word(2) {
                "origin" => origin.and_then(|name| self.find(&name)),
                name => self.find(name),
            };
            if words.has("redrive") {
                spec.headers.retain(|(name, _)| !name.starts_with("ringway-"));
            }
            // It was accepted once: neither a repeat of itself nor to be delayed again.
            let spec = spec.plain();
            if target.is_some_and(|target| self.put(target, &[spec], None).is_ok()) {
                moved += 1;
                let queue = self.at_mut(number);
                queue.done(&group, *sequence);
                queue.group_mut(&group).counts.add("removed", 1);
                queue.counts.add("moved_out", 1);
            } else {
                refused += 1;
            }
        }
        let more = if matching.len() > limit { ", more" } else { "" };
        Ok(Outcome::said(format!("{moved} moved, {refused} refused{more}")))
    }

    /// `share QUEUE N LETTER LOW HIGH`: takes N messages one by one, acknowledged at once, and says
    /// whether those that begin with the letter were between LOW and HIGH.
    pub(super) fn share(&mut self, words: &Words<'_>) -> Result<Outcome> {
        let (number, group) = self.place(words)?;
        let (mut count, wanted) = (0, words.word(2));
        for _ in 0..words.word(1).parse::<u32>().expect("a number") {
            let terms =
                Terms { messages_max: 1, bytes_max: u64::MAX, lease_ms: None, subscription: None };
            let (delivery, _) = self.deliver(number, &group, terms, None);
            count += delivery.messages.iter().filter(|m| m.text.starts_with(wanted)).count();
        }
        let [low, high] = [3, 4].map(|at| words.word(at).parse::<usize>().expect("a number"));
        Ok(Outcome::said(if (low..=high).contains(&count) {
            "yes".into()
        } else {
            format!("no, {count}")
        }))
    }

    /// Whether an asker is a subscription.
    pub fn is_subscription(&self, asker: usize) -> bool {
        matches!(self.askers[asker].asks, Asks::Subscription(_))
    }
}

/// A count of messages, to which the real outcome may add some that have expired.
fn or_more(count: usize, overdue: u64, real: Option<&Outcome>) -> Outcome {
    let more = |extra: u64| Outcome::said(count as u64 + extra);
    let really = (0..=overdue).map(more).find(|outcome| Some(outcome) == real);
    really.unwrap_or(more(0))
}
