//! What becomes of leased messages: done, given back, dead.

use super::{Asks, Lease, Model, Result};
use crate::support::clock::Clock;
use crate::support::options::Options;
use crate::support::outcome::Outcome;
use crate::support::spec::Spec;
use crate::support::words::{Words, duration_ms};

/// A message that its dead-letter queue refused is not tried again before this.
const REFUSED_MS: u64 = 1_000;

/// How a message comes back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Back {
    /// At once: its lease ran out, or its subscription ended.
    Now,
    /// Its consumer gave it back: after the queue's back-off, or so many milliseconds.
    ByQueue,
    After(u64),
    /// Its consumer has no use for it.
    Rejected,
    /// As if it had never been delivered.
    Undelivered,
}

/// The counts of a settlement, and the text of its verdicts.
#[derive(Default)]
pub struct Verdicts {
    pub settled: u32,
    pub stale: u32,
    pub unknown: u32,
    ranges: Vec<(u32, u32, &'static str)>,
}

impl Verdicts {
    pub fn add(&mut self, first: u32, verdict: &'static str, new_range: bool) {
        match verdict {
            "settled" => self.settled += 1,
            "stale" => self.stale += 1,
            _ => self.unknown += 1,
        }
        match self.ranges.last_mut() {
            Some((_, count, last)) if *last == verdict && !new_range => *count += 1,
            _ => self.ranges.push((first, 1, verdict)),
        }
    }

    /// As the real store's outcome is written.
    pub fn text(&self) -> String {
        let ranges = self.ranges.iter().copied();
        text((self.settled, self.stale, self.unknown), ranges)
    }
}

/// `1 settled, 1 stale: 0+1 settled, 1+1 stale`; no ranges if all were settled.
pub fn text(
    (settled, stale, unknown): (u32, u32, u32),
    ranges: impl Iterator<Item = (u32, u32, &'static str)>,
) -> String {
    let counts = [(settled, "settled"), (stale, "stale"), (unknown, "unknown")];
    let counts = counts.iter().filter(|(count, _)| *count > 0);
    let counts: Vec<_> = counts.map(|(count, name)| format!("{count} {name}")).collect();
    let ranges: Vec<_> =
        ranges.map(|(first, count, what)| format!("{first}+{count} {what}")).collect();
    if stale + unknown == 0 {
        return counts.join(", ");
    }
    format!("{}: {}", counts.join(", "), ranges.join(", "))
}

impl Model {
    pub(super) fn settle(&mut self, words: &Words<'_>) -> Result<Outcome> {
        let number = self.there(words.word(0))?;
        let lease = self.lease(words.word(1));
        let all = lease.map_or(1, |lease| self.leases[lease].messages.len() as u32);
        let (verdicts, indices) = self.judge(number, lease, &words.ranges(2, all));
        let acks = words.verb == "ack";
        if let Some(lease) = lease.filter(|_| !indices.is_empty()) {
            let group = self.leases[lease].group.clone();
            let column = if acks { "acks" } else { "nacks" };
            self.at_mut(number).group_mut(&group).counts.add(column, indices.len() as u64);
            let back = match words.get("delay") {
                None | Some("0") => Back::ByQueue,
                Some("dead") => Back::Rejected,
                Some(delay) => Back::After(duration_ms(delay)),
            };
            self.conclude(lease, &indices, (!acks).then_some(back));
        }
        Ok(Outcome::said(verdicts.text()))
    }

    /// What a settlement must answer, and the indices that it settles, in ascending order.
    pub(super) fn judge(
        &self,
        number: usize,
        lease: Option<usize>,
        ranges: &[(u32, u32)],
    ) -> (Verdicts, Vec<usize>) {
        let lease = lease.map(|lease| &self.leases[lease]);
        let (mut verdicts, mut claimed) = (Verdicts::default(), Vec::new());
        for (first, count) in ranges {
            for at in *first..first + count {
                let verdict = match lease {
                    None => "unknown",
                    Some(lease) if !lease.alive => "stale",
                    Some(lease) if lease.queue != number => "unknown",
                    Some(lease) => match lease.messages.get(at as usize) {
                        None => "unknown",
                        Some((_, true)) => "stale",
                        Some(_) if claimed.contains(&(at as usize)) => "stale",
                        Some(_) => "settled",
                    },
                };
                if verdict == "settled" {
                    claimed.push(at as usize);
                }
                verdicts.add(at, verdict, at == *first);
            }
        }
        claimed.sort_unstable();
        (verdicts, claimed)
    }

    /// Settles messages of a lease: done without a `back`. The lease ends with its last message.
    pub(super) fn conclude(&mut self, lease: usize, indices: &[usize], back: Option<Back>) {
        let Lease { queue: number, group, subscription, .. } = &self.leases[lease];
        let (number, group, subscription) = (*number, group.clone(), *subscription);
        for index in indices {
            let (sequence, settled) = &mut self.leases[lease].messages[*index];
            let sequence = *sequence;
            assert!(!std::mem::replace(settled, true), "a message is settled once");
            let bytes = self.at(number).messages[&sequence].bytes;
            let asks = subscription.map(|asker| &mut self.askers[asker].asks);
            if let Some(Asks::Subscription(subscription)) = asks {
                subscription.messages -= 1;
                subscription.bytes -= bytes;
            }
            match back {
                None => self.at_mut(number).done(&group, sequence),
                Some(back) => self.come_back(number, &group, sequence, back),
            }
        }
        if self.leases[lease].messages.iter().all(|(_, settled)| *settled) {
            self.leases[lease].alive = false;
            self.leave_activity(number, &group);
        }
    }

    /// Ends a lease; what is not settled comes back, this delivery counted or not. Says how much
    /// came back.
    pub(super) fn end_lease(&mut self, lease: usize, counted: bool) -> usize {
        let messages = self.leases[lease].messages.iter().enumerate();
        let left: Vec<usize> = messages.filter(|(_, (_, s))| !s).map(|(at, _)| at).collect();
        let back = if counted { Back::Now } else { Back::Undelivered };
        self.conclude(lease, &left, Some(back));
        self.leases[lease].alive = false;
        left.len()
    }

    fn come_back(&mut self, number: usize, group: &str, sequence: u64, back: Back) {
        let clock = self.clock;
        let queue = self.at_mut(number);
        // A dead-letter queue has none of its own.
        let back = match back {
            Back::Rejected if queue.name.ends_with(".dead") => Back::ByQueue,
            back => back,
        };
        let (options, expires_ns) = (queue.options, queue.messages[&sequence].expires_ns);
        let share = queue.group_mut(group).shares.get_mut(&sequence).expect("it was leased");
        share.lease = None;
        share.deliveries -= u32::from(back == Back::Undelivered);
        let deliveries = share.deliveries;
        share.diced_ns = None;
        let delay_ms = match back {
            Back::ByQueue => {
                share.diced_ns = dice(&options, deliveries, 0, &clock);
                back_off(&options, deliveries)
            }
            Back::After(ms) => ms,
            _ => 0,
        };
        share.back_ns = (delay_ms > 0).then(|| clock.in_ms(delay_ms));
        let worn_out = options.deliveries_max > 0
            && u64::from(deliveries) >= options.deliveries_max
            && back != Back::Undelivered;
        if back == Back::Rejected {
            self.bury(number, group, sequence, "rejected");
        } else if worn_out {
            self.bury(number, group, sequence, "deliveries");
        } else if expires_ns.is_some_and(|at| at <= clock.ns) {
            self.expire_message(number, group, sequence);
        }
    }

    /// A message is over its time to live, for one group.
    pub(super) fn expire_message(&mut self, number: usize, group: &str, sequence: u64) {
        if self.at(number).options.dead_letter_expired {
            return self.bury(number, group, sequence, "expired");
        }
        let queue = self.at_mut(number);
        queue.group_mut(group).counts.add("expired", 1);
        let bytes = queue.messages[&sequence].bytes;
        queue.overdue.push((group.into(), sequence, bytes));
        queue.done(group, sequence);
        // What has expired is not kept for replay.
        if !queue.is_live(sequence) {
            queue.messages.remove(&sequence);
        }
    }

    /// Makes a message a dead letter of a group. If it is refused, it comes back later.
    fn bury(&mut self, number: usize, group: &str, sequence: u64, reason: &'static str) {
        let letter = self.letter(number, group, sequence, reason);
        let name = format!("{}.dead", self.at(number).name);
        let dead = self.declare_queue(&name, None).map(|(dead, _)| dead);
        let outcome = dead.and_then(|dead| {
            let outcome = self.put_at_once(dead, &[letter], None);
            if matches!(outcome, Err("QueueFull" | "TooLarge")) {
                self.at_mut(dead).counts.add("refused", 1);
            }
            outcome
        });
        let clock = self.clock;
        let queue = self.at_mut(number);
        let options = queue.options;
        let holder = queue.group_mut(group);
        if outcome.is_ok() {
            holder.counts.add("dead_lettered", 1);
            if reason == "expired" {
                holder.counts.add("expired", 1);
            }
            return queue.done(group, sequence);
        }
        let share = holder.shares.get_mut(&sequence).expect("it is still the group's");
        let delay_ms = back_off(&options, share.deliveries).max(REFUSED_MS);
        share.back_ns = Some(clock.in_ms(delay_ms));
        share.diced_ns = dice(&options, share.deliveries, REFUSED_MS, &clock);
        share.dies_again = true;
        queue.counts.add("dead_letters_refused", 1);
    }

    /// The message as its dead-letter queue gets it.
    fn letter(&self, number: usize, group: &str, sequence: u64, reason: &str) -> Spec {
        let queue = self.at(number);
        let (message, share) = (&queue.messages[&sequence], queue.group(group).shares[&sequence]);
        let mut headers: Vec<(String, Vec<u8>)> = Vec::new();
        let mut say = |name: &str, value: String| {
            headers.push((format!("ringway-{name}"), value.into_bytes()));
        };
        say("reason", reason.into());
        say("deliveries", share.deliveries.to_string());
        say("queue", queue.name.clone());
        say("sequence", sequence.to_string());
        say("group", group.into());
        if share.deliveries > 0 {
            // By the wall clock as it is now, like the time of its end.
            let ago_ms = (self.clock.ns - share.first_ns) / 1_000_000;
            say("first-ms", (self.clock.wall_ms - ago_ms).to_string());
        }
        say("last-ms", self.clock.wall_ms.to_string());
        headers.extend(message.spec.headers.iter().cloned());
        // What a producer asked of the first queue is over: no second delay, no second end, no
        // repeat of what went before.
        Spec { headers, ..message.spec.plain() }
    }

    pub(super) fn release(&mut self, words: &Words<'_>) -> Result<Outcome> {
        if let (Ok(number), Some(lease)) = (self.there(words.word(0)), self.lease(words.word(1)))
            && self.leases[lease].alive
            && self.leases[lease].queue == number
        {
            self.end_lease(lease, false);
        }
        Ok(Outcome::ok())
    }

    pub(super) fn extend(&mut self, words: &Words<'_>) -> Result<Outcome> {
        let number = self.there(words.word(0))?;
        let lease_ms = match words.ms("lease", 0) {
            0 => self.at(number).options.lease_ms,
            lease_ms => lease_ms,
        };
        if lease_ms > 12 * 3_600_000 {
            return Err("InvalidOption");
        }
        let ends_ns = self.clock.in_ms(lease_ms);
        self.arms += 1;
        let lease = self.lease(words.word(1)).map(|lease| &mut self.leases[lease]);
        let lease = lease.filter(|lease| lease.alive && lease.queue == number);
        let lease = lease.ok_or("NoSuchLease")?;
        (lease.ends_ns, lease.armed) = (ends_ns, self.arms);
        let unsettled = lease.messages.iter().filter(|(_, settled)| !settled).count();
        Ok(Outcome::said(format!("{lease_ms} ms, {unsettled} unsettled")))
    }
}

/// How long a message stays away that its consumer gave back: without the jitter.
pub fn back_off(options: &Options, deliveries: u32) -> u64 {
    let doublings = deliveries.saturating_sub(1).min(40);
    match (options.backoff_ms, options.backoff_max_ms) {
        (base, 0) => base,
        (base, most) => base.saturating_mul(1 << doublings).min(most),
    }
}

/// Between which moments a message comes back whose back-off doubles: a quarter less or more, and
/// not before `least_ms`.
fn dice(options: &Options, deliveries: u32, least_ms: u64, clock: &Clock) -> Option<(u64, u64)> {
    let delay_ms = back_off(options, deliveries);
    let first_ms = delay_ms - delay_ms / 4;
    let bounds_ms = [first_ms, first_ms + delay_ms / 2].map(|ms| ms.max(least_ms));
    (delay_ms > 0 && options.backoff_max_ms > 0)
        .then(|| (clock.in_ms(bounds_ms[0]), clock.in_ms(bounds_ms[1])))
}
