//! What operators do: purge, delete, pause, rename, remove, move, and a test of fair shares.

use std::collections::BTreeSet;

use super::deliver::Terms;
use super::queue::{SCHEDULED, band_of};
use super::{Asks, Model, Result};
use crate::support::outcome::Outcome;
use crate::support::spec::is_of_letter;
use crate::support::words::{Words, sequence_of};

/// The next request for a move goes on where the last one stopped within this time.
const MOVES_GO_ON_NS: u64 = 10_000_000_000;

/// What makes a message come earlier than others: its band, then its sequence.
fn urgency(sequence: u64) -> (usize, u64) {
    (SCHEDULED - band_of(sequence), sequence)
}

impl Model {
    /// Drops everything that groups have neither under a lease nor given back with a delay.
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
                .filter(|(_, share)| share.lease.is_none() && share.back_ns.is_none())
                .map(|(sequence, _)| *sequence)
                .collect();
            group.counts.add("purged", shares.len() as u64);
            for sequence in shares {
                queue.done(&name, sequence);
                // What is purged is not kept.
                if !queue.is_live(sequence) {
                    queue.messages.remove(&sequence);
                }
            }
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
        let before = self.at(number).name.clone();
        if before == name {
            return Ok(Outcome::ok());
        }
        // Its dead letters go with it.
        let letters = self.find(&format!("{before}.dead"));
        let letters_name = format!("{name}.dead");
        if letters.is_some() && (letters_name.len() > 255 || self.find(&letters_name).is_some()) {
            return Err("Conflict");
        }
        self.give_name(number, &name);
        if let Some(letters) = letters {
            self.give_name(letters, &letters_name);
        }
        Ok(Outcome::ok())
    }

    fn give_name(&mut self, number: usize, name: &str) {
        name.clone_into(&mut self.at_mut(number).name);
        for (known, other) in &mut self.known {
            if *other == number {
                name.clone_into(known);
            }
        }
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
    pub(super) fn move_messages(
        &mut self,
        words: &Words<'_>,
        real: Option<&Outcome>,
    ) -> Result<Outcome> {
        let (number, group) = self.place(words)?;
        let limit = words.number("limit", 1024) as usize;
        if words.word(2) != "origin" {
            self.there(words.word(2))?;
        }
        let key = (group.clone(), words.get("filter").map(String::from));
        let now_ns = self.clock.ns;
        let known = self.at_mut(number).moves.take();
        let known = known.filter(|(of, _, until_ns)| *of == key && now_ns < *until_ns);
        let from = known.map(|(_, at, _)| at);
        let (mut moved, mut refused, mut left_behind) = (0, 0, from.is_some());
        // What comes next of a key when a message of it has moved is moved in another round.
        let mut tried = BTreeSet::new();
        let (mut stopped_at, mut more) = (None, false);
        loop {
            let (before, first_round) = (moved, tried.is_empty());
            let chosen = self.at(number).choose(&group, u64::MAX, u64::MAX, None);
            for sequence in chosen {
                let passed_before = from.is_some_and(|from| urgency(sequence) < urgency(from));
                if first_round && passed_before || tried.contains(&sequence) {
                    tried.insert(sequence);
                    continue;
                }
                if moved + refused == limit {
                    more = true;
                    break;
                }
                tried.insert(sequence);
                if !self.passes(number, sequence, words) {
                    left_behind = true;
                } else if self.move_one(number, &group, sequence, words) {
                    moved += 1;
                } else {
                    refused += 1;
                    left_behind = true;
                }
                if first_round {
                    stopped_at = Some(sequence + 1);
                }
            }
            if moved == before || more {
                break;
            }
        }
        // What its key holds back is more to look at, too, where nobody has looked yet.
        let says_more = real.is_some_and(|real| real.to_string().ends_with(", more"));
        more |= says_more && moved + refused == limit;
        if more && left_behind {
            let until_ns = now_ns + MOVES_GO_ON_NS;
            self.at_mut(number).moves = stopped_at.map(|at| (key, at, until_ns));
        }
        let more = if more { ", more" } else { "" };
        Ok(Outcome::said(format!("{moved} moved, {refused} refused{more}")))
    }

    /// Whether the filter of a move lets a message through.
    fn passes(&self, number: usize, sequence: u64, words: &Words<'_>) -> bool {
        let filter = words.get("filter").map(|f| f.split_once(':').expect("HEADER:VALUE"));
        let headers = &self.at(number).messages[&sequence].spec.headers;
        filter.is_none_or(|(name, value)| {
            headers.iter().any(|(n, v)| n == name && v == value.as_bytes())
        })
    }

    fn move_one(&mut self, number: usize, group: &str, sequence: u64, words: &Words<'_>) -> bool {
        let mut spec = self.at(number).messages[&sequence].spec.clone();
        let said = spec.headers.iter().find(|(name, _)| name == "ringway-queue");
        let origin = said.map(|(_, value)| String::from_utf8_lossy(value).into_owned());
        let target = match words.word(2) {
            // A queue that has another name by now gets what names it by the old one.
            "origin" => origin.and_then(|name| {
                let base = self.at(number).name.strip_suffix(".dead").map(str::to_owned);
                self.find(&name).or_else(|| self.find(&base?))
            }),
            name => self.find(name),
        };
        if words.has("redrive") {
            spec.headers.retain(|(name, _)| !is_of_letter(name));
        }
        let spec = spec.moved();
        let Some(target) = target.filter(|target| *target != number) else { return false };
        if let Err(code) = self.put_at_once(target, &[spec], None) {
            let full = u64::from(["QueueFull", "TooLarge"].contains(&code));
            self.at_mut(target).counts.add("refused", full);
            return false;
        }
        let queue = self.at_mut(number);
        queue.done(group, sequence);
        queue.group_mut(group).counts.add("removed", 1);
        queue.counts.add("moved_out", 1);
        true
    }

    /// `share QUEUE N LETTER LOW HIGH`: takes N messages one by one, acknowledged at once, and says
    /// whether those that begin with the letter were between LOW and HIGH.
    pub(super) fn share(&mut self, words: &Words<'_>) -> Result<Outcome> {
        let (number, group) = self.place(words)?;
        let (mut count, wanted) = (0, words.word(2));
        for _ in 0..words.word(1).parse::<u32>().expect("a number") {
            let terms = Terms {
                messages_max: 1,
                share: 1,
                bytes_max: u64::MAX,
                lease_ms: None,
                subscription: None,
            };
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
