//! Declaring queues, and what a full one does.

use super::queue::{Queue, SCHEDULED, band_of};
use super::{Model, Result};
use crate::support::options::{Options, Policy};
use crate::support::outcome::Outcome;
use crate::support::words::{Words, long};

/// Whether a queue has room.
#[derive(Debug)]
pub enum Room {
    /// Once these are dropped.
    After(Vec<u64>),
    Full,
    Never,
}

impl Model {
    pub(super) fn declare(&mut self, words: &Words<'_>) -> Result<Outcome> {
        let name = long(words.word(0));
        let options = words.queue_options(&Options::defaults());
        self.declare_queue(&name, options).map(|(_, made)| {
            let said = if made { "created" } else { "exists" };
            Outcome::said(said)
        })
    }

    /// Makes a queue or finds it; the second value says whether it was made.
    pub(super) fn declare_queue(
        &mut self,
        name: &str,
        options: Option<Options>,
    ) -> Result<(usize, bool)> {
        check_name(name)?;
        if let Some(options) = options {
            fit(name, &options)?;
        }
        if let Some(number) = self.find(name) {
            let other = options.is_some_and(|options| options != self.at(number).options);
            return if other { Err("Conflict") } else { Ok((number, false)) };
        }
        let mut defaults = self.limits.defaults;
        if fit(name, &defaults).is_err() {
            defaults.deliveries_max = 0;
        }
        Ok((self.add_queue(name, options.unwrap_or(defaults))?, true))
    }

    pub(super) fn alter(&mut self, words: &Words<'_>) -> Result<Outcome> {
        let number = self.there(words.word(0))?;
        let old = self.at(number).options;
        let options = words.queue_options(&old).unwrap_or(old);
        fit(words.word(0), &options)?;
        let now_ns = self.clock.ns;
        let queue = self.at_mut(number);
        queue.options = options;
        if options.ttl_ms != old.ttl_ms {
            queue.live_by_options();
        }
        if options.idle_ms != old.idle_ms {
            queue.used_ns = now_ns;
        }
        for sequence in queue.messages.keys().copied().collect::<Vec<_>>() {
            queue.forget_if_done(sequence);
        }
        self.expire();
        Ok(Outcome::ok())
    }

    pub(super) fn drop_messages(&mut self, number: usize, sequences: &[u64]) {
        for sequence in sequences {
            let queue = self.at_mut(number);
            for name in queue.remove(*sequence) {
                let group = queue.group_mut(&name);
                group.counts.add("dropped", 1);
                group.untold_drops += 1;
            }
        }
    }
}

impl Queue {
    /// Whether so many more messages fit, by the bound on messages.
    pub fn room(&self, count: u64) -> Room {
        let live = self.live();
        if count > self.options.messages_max {
            return Room::Never;
        }
        // What a replay brought back is in no bound on messages.
        let live: Vec<u64> = live.into_iter().filter(|s| !self.messages[s].revived).collect();
        let over = (live.len() as u64 + count).saturating_sub(self.options.messages_max) as usize;
        if over == 0 {
            return Room::After(Vec::new());
        }
        if self.options.policy != Policy::DropOldest {
            return Room::Full;
        }
        let free = |sequence: &u64| band_of(*sequence) != SCHEDULED && !self.is_leased(*sequence);
        let mut dropped: Vec<u64> = live.into_iter().filter(free).collect();
        if dropped.len() < over {
            return Room::Full;
        }
        dropped.truncate(over);
        Room::After(dropped)
    }
}

pub fn check_name(name: &str) -> Result<()> {
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte);
    let fine = (1..=255).contains(&name.len()) && name.bytes().all(valid);
    if fine { Ok(()) } else { Err("InvalidName") }
}

/// Refuses options that a queue of this name cannot have.
pub fn fit(name: &str, options: &Options) -> Result<()> {
    let hours = 3_600_000;
    if options.messages_max == 0
        || options.bytes_max < 1 << 20
        || !(1..=12 * hours).contains(&options.lease_ms)
        || options.wait_max_ms > hours
    {
        return Err("InvalidOption");
    }
    let dies = options.deliveries_max > 0;
    if dies && name.ends_with(".dead") && name.len() > 5 {
        return Err("InvalidOption");
    }
    if dies && name.len() > 250 { Err("InvalidName") } else { Ok(()) }
}
