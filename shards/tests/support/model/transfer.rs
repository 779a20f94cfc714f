//! Acknowledging and putting together, or neither.

use super::{Model, Result};
use crate::support::clock::Clock;
use crate::support::outcome::Outcome;
use crate::support::words::Words;

impl Model {
    /// `transfer QUEUE LEASE RANGE... to TARGET PAYLOAD...`
    pub(super) fn transfer(&mut self, words: &Words<'_>) -> Result<Outcome> {
        let to = words.plain().iter().position(|word| *word == "to").expect("to");
        let specs = words.specs(to + 2, &mut self.numbers, Clock::START_MS);
        let number = self.there(words.word(0))?;
        let lease = self.lease(words.word(1));
        let all = lease.map_or(1, |lease| self.leases[lease].messages.len() as u32);
        let (verdicts, indices) = self.judge(number, lease, &words.ranges(2, all));
        let target = self.there(words.word(to + 1))?;
        let Some(lease) = lease.filter(|_| verdicts.stale + verdicts.unknown == 0) else {
            return Err("Stale");
        };
        let runs = self.put_at_once(target, &specs, words.producer()).inspect_err(|code| {
            let full = ["QueueFull", "TooLarge"].contains(code);
            self.at_mut(target).counts.add("refused", if full { specs.len() as u64 } else { 0 });
        })?;
        let group = self.leases[lease].group.clone();
        self.at_mut(number).group_mut(&group).counts.add("acks", indices.len() as u64);
        self.conclude(lease, &indices, None);
        Ok(Outcome::said(format!("{} settled, {}", indices.len(), Outcome::Put(runs))))
    }
}
