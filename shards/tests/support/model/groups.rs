//! Groups: made, altered, deleted, listed.

use super::queue::{Group, SCHEDULED, Share, band_of};
use super::{Model, Result};
use crate::support::clock::Clock;
use crate::support::outcome::Outcome;
use crate::support::words::{Words, long, sequence_of};

impl Model {
    /// `group create|alter|delete QUEUE NAME ...`
    pub(super) fn change_group(&mut self, words: &Words<'_>) -> Result<Outcome> {
        let number = self.there(words.word(1))?;
        let name = long(words.word(2));
        let flags = (words.has("paused"), words.has("single"));
        let known = self.at(number).groups.get(&name);
        let known = known.map(|group| (group.paused, group.single_active));
        match (words.word(0), known) {
            ("create", Some(known)) if known == flags => Ok(Outcome::said("exists")),
            ("create", Some(_)) => Err("Conflict"),
            ("create", None) => {
                super::admit::check_name(&name)?;
                self.create_group(number, &name, words.get("start").unwrap_or("earliest"), flags);
                Ok(Outcome::said("created"))
            }
            (_, None) => Err("NoSuchGroup"),
            ("alter", Some(_)) => {
                let group = self.at_mut(number).group_mut(&name);
                (group.paused, group.single_active) = flags;
                group.active = group.active.filter(|_| flags.1);
                group.leaving &= flags.1;
                self.change_activity(number, &name);
                Ok(Outcome::said("altered"))
            }
            (_, Some(_)) => self.delete_group(number, &name),
        }
    }

    fn create_group(&mut self, number: usize, name: &str, start: &str, flags: (bool, bool)) {
        let clock = self.clock;
        let queue = self.at_mut(number);
        let mut group = Group { paused: flags.0, single_active: flags.1, ..Group::default() };
        let mut revived = Vec::new();
        for (sequence, message) in &queue.messages {
            let after = |(what, value): (&str, &str)| match what {
                "sequence" => *sequence >= sequence_of(value),
                // A time of day means that time as the wall clock goes now.
                _ => {
                    let age_ms = clock.ns / 1_000_000 - message.put_ns / 1_000_000;
                    clock.wall_ms.saturating_sub(age_ms)
                        >= Clock::START_MS + value.parse::<u64>().expect("a time")
                }
            };
            let starts = match start {
                "earliest" => true,
                "latest" => false,
                other => after(other.split_once(':').expect("sequence:N or time:MS")),
            };
            if starts && band_of(*sequence) != SCHEDULED {
                revived.extend((!queue.is_live(*sequence)).then_some(*sequence));
                group.shares.insert(*sequence, Share::default());
            }
        }
        queue.groups.insert(name.into(), group);
        for sequence in revived {
            queue.messages.get_mut(&sequence).expect("it is kept").revived = true;
        }
    }

    fn delete_group(&mut self, number: usize, name: &str) -> Result<Outcome> {
        if self.at(number).groups.len() == 1 {
            return Err("Conflict");
        }
        self.dissolve(number, name, "NoSuchGroup");
        let queue = self.at_mut(number);
        let group = queue.groups.remove(name).expect("the group was looked up before");
        queue.overdue.retain(|(of, ..)| of != name);
        let unnoticed = queue.unnoticed.remove(name).unwrap_or(0);
        queue.counts.join(&group.counts);
        queue.counts.take_away("expired", unnoticed);
        group.shares.keys().for_each(|sequence| queue.forget_if_done(*sequence));
        Ok(Outcome::said("deleted"))
    }

    /// Ends a group's leases for good, and refuses who waits at it.
    pub(super) fn dissolve(&mut self, number: usize, name: &str, code: &'static str) {
        for lease in &mut self.leases {
            if lease.queue == number && lease.group == name {
                lease.alive = false;
            }
        }
        for asker in self.at(number).group(name).turn.clone() {
            self.leave(asker);
            self.due.push_back((asker, Outcome::refused(code)));
        }
    }

    /// `groups QUEUE [COLUMN...]`: the names in order, each with figures.
    pub(super) fn list_groups(&self, words: &Words<'_>) -> Result<Outcome> {
        let number = self.there(words.word(0))?;
        let queue = self.at(number);
        let entry = |name: &String| {
            let columns = words.plain()[1..].iter();
            let figures: Vec<_> =
                columns.map(|column| self.group_text(number, name, column)).collect();
            format!("{name} {}", figures.join(" ")).trim_end().to_owned()
        };
        let entries: Vec<_> = queue.groups.keys().map(entry).collect();
        Ok(Outcome::said(entries.join(", ")))
    }
}
