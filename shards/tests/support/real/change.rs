//! What operators do to the real store: groups, queues, messages one by one.

use ringway_protocol::Records;
use ringway_protocol::request::{GroupFlags, Producer, Put, Start};

use super::{Real, Result};
use crate::support::clock::Clock;
use crate::support::outcome::Outcome;
use crate::support::settle;
use crate::support::spec::Spec;
use crate::support::words::{Words, long, sequence_of};

impl Real {
    pub(super) fn change(&mut self, words: &Words<'_>) -> Result<Outcome> {
        match words.verb {
            "group" => self.change_group(words),
            "groups" => self.list_groups(words),
            "extend" => self.extend(words),
            "transfer" => self.transfer(words),
            "purge" => self.store.purge(self.queue(words.word(0))).map(Outcome::said),
            "delete" => self.store.delete(self.queue(words.word(0))).map(Outcome::said),
            "alter" => self.alter(words),
            "pause" => self.pause(words),
            "rename" => self.rename(words),
            "remove" => self.remove(words),
            "move" => self.move_messages(words),
            "forget" => {
                let who = words.word(0).chars().next().expect("an asker is a letter");
                self.store.forget(1, u64::from(u32::from(who)), self.now());
                Ok(Outcome::ok())
            }
            other => Ok(Outcome::said(format!("no command is called {other}"))),
        }
    }

    /// `extend QUEUE LEASE [lease=MS]`
    fn extend(&mut self, words: &Words<'_>) -> Result<Outcome> {
        let (queue, lease) = (self.queue(words.word(0)), self.lease(words.word(1)).id);
        let lease_ms = words.ms("lease", 0) as u32;
        let (lease_ms, unsettled) = self.store.extend(queue, lease, lease_ms, self.now())?;
        Ok(Outcome::said(format!("{lease_ms} ms, {unsettled} unsettled")))
    }

    /// `transfer QUEUE LEASE RANGE... to TARGET PAYLOAD...`
    fn transfer(&mut self, words: &Words<'_>) -> Result<Outcome> {
        let to = words.plain().iter().position(|word| *word == "to").expect("to");
        let specs = words.specs(to + 2, &mut self.numbers, Clock::START_MS);
        let bytes: Vec<u8> = specs.iter().flat_map(Spec::record).collect();
        let put = Put {
            queue: self.queue(words.word(to + 1)),
            producer: words.producer().map(|(id, sequence)| Producer { id, sequence }),
            records: Records::parse(&bytes, specs.len() as u32)?,
        };
        let lease = self.lease(words.word(1));
        let (ranges, mut room) = (words.ranges(2, lease.messages), Vec::new());
        let settle = settle(self.queue(words.word(0)), lease.id, &ranges, &mut room);
        let (now, mut verdicts) = (self.now(), Vec::new());
        let settlement =
            self.store.transfer(&settle, &put, now, &mut self.stored, &mut verdicts)?;
        let stored = Outcome::Put(self.stored_runs());
        Ok(Outcome::said(format!("{} settled, {stored}", settlement.settled)))
    }

    /// `group create|alter|delete QUEUE NAME ...`
    fn change_group(&mut self, words: &Words<'_>) -> Result<Outcome> {
        let queue = self.queue(words.word(1));
        let name = long(words.word(2));
        let flags = GroupFlags { paused: words.has("paused"), single_active: words.has("single") };
        let start = match words.get("start").unwrap_or("earliest") {
            "earliest" => Start::Earliest,
            "latest" => Start::Latest,
            other => match other.split_once(':').expect("sequence:N or time:MS") {
                ("sequence", sequence) => Start::Sequence(sequence_of(sequence)),
                (_, ms) => Start::TimeMs(Clock::START_MS + ms.parse::<u64>().expect("a time")),
            },
        };
        let now = self.now();
        Ok(Outcome::said(match words.word(0) {
            "create" => {
                let (group, made) = self.store.create_group(queue, &name, start, flags, now)?;
                self.groups.push((queue, name, group));
                if made { "created" } else { "exists" }
            }
            "alter" => {
                self.store.alter_group(queue, &name, flags)?;
                "altered"
            }
            _ => {
                self.store.delete_group(queue, &name)?;
                "deleted"
            }
        }))
    }

    /// `share QUEUE N LETTER LOW HIGH`: takes N messages one by one, acknowledged at once, and says
    /// whether those that begin with the letter were between LOW and HIGH.
    pub(super) fn share(&mut self, words: &Words<'_>) -> Result<Outcome> {
        let mut count = 0;
        for _ in 0..words.word(1).parse::<u32>().expect("a number") {
            let outcome = self.run(&format!("take {} 1 acknowledged", words.word(0)));
            count += usize::from(outcome.to_string().starts_with(words.word(2)));
        }
        let [low, high] = [3, 4].map(|at| words.word(at).parse::<usize>().expect("a number"));
        Ok(Outcome::said(match (low..=high).contains(&count) {
            true => "yes".into(),
            false => format!("no, {count}"),
        }))
    }

    /// `groups QUEUE [COLUMN...]`: the names in order, each with figures.
    fn list_groups(&self, words: &Words<'_>) -> Result<Outcome> {
        let mut names = Vec::new();
        self.store
            .groups(self.queue(words.word(0)), |_, _, name, _| names.push(name.to_owned()))?;
        names.sort();
        let entry = |name: &String| {
            let columns = words.plain()[1..].iter();
            let figures: Vec<_> = columns
                .map(|column| self.group_figure(words.word(0), name, column).to_string())
                .collect();
            format!("{name} {}", figures.join(" ")).trim_end().to_owned()
        };
        let entries: Vec<_> = names.iter().map(entry).collect();
        Ok(Outcome::said(entries.join(", ")))
    }
}
