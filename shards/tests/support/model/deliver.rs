//! Taking: which messages a group gets next.

use super::queue::{Group, Queue, SCHEDULED, Share, band_of};
use super::{Asker, Asks, Lease, Model, Result};
use crate::support::clock::Clock;
use crate::support::outcome::{Delivered, Delivery, Outcome};
use crate::support::words::Words;

/// Most messages of one take.
pub const MESSAGES_MAX: u64 = 4096;
/// Bytes of a take that names no limit.
const BYTES_DEFAULT: u64 = 256 << 10;
/// Most runs of one take: something that the model cannot see.
const RUNS_MAX: usize = 64;

/// What a delivery is limited to.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    pub messages_max: u64,
    /// Its part, where there is not enough for everybody.
    pub share: u64,
    pub bytes_max: u64,
    /// How long the lease lasts; `None` acknowledges at once.
    pub lease_ms: Option<u64>,
    pub subscription: Option<usize>,
}

impl Terms {
    pub fn of(asks: &Asks, asker: usize) -> Self {
        match asks {
            Asks::Take { messages_max, bytes_max, lease_ms, acknowledged, .. } => Terms {
                messages_max: *messages_max,
                share: *messages_max,
                bytes_max: *bytes_max,
                lease_ms: (!acknowledged).then_some(*lease_ms),
                subscription: None,
            },
            Asks::Subscription(subscription) => Terms {
                messages_max: subscription.wants(),
                share: subscription.wants(),
                bytes_max: subscription.bytes_max.saturating_sub(subscription.bytes),
                lease_ms: Some(subscription.lease_ms),
                subscription: Some(asker),
            },
            Asks::Put { .. } => panic!("a put gets no messages"),
        }
    }
}

impl Model {
    pub(super) fn take(&mut self, words: &Words<'_>, real: Option<&Outcome>) -> Result<Outcome> {
        let number = self.there(words.word(0))?;
        let options = self.at(number).options;
        let asked: u64 = words.word(1).parse().expect("a number of messages");
        let (lease_ms, wait_ms) = (words.ms("lease", 0), words.ms("wait", 0));
        if lease_ms > 12 * 3_600_000 || wait_ms > options.wait_max_ms || asked == 0 {
            return Err("InvalidOption");
        }
        let (number, group) = self.place(words)?;
        let bytes_max = match words.number("bytes", 0) {
            0 => BYTES_DEFAULT,
            bytes => bytes,
        };
        let acknowledged = words.has("acknowledged");
        let asks = Asks::Take {
            messages_max: asked.min(MESSAGES_MAX),
            bytes_max,
            lease_ms: if lease_ms == 0 { options.lease_ms } else { lease_ms },
            acknowledged,
            ends_ns: self.clock.in_ms(wait_ms),
        };
        let mut terms = Terms::of(&asks, 0);
        let who = words.asker();
        let wanted = self.wanted(number, &group);
        let ready = match wanted {
            0 => u64::MAX,
            _ => self.at(number).choose(&group, u64::MAX, u64::MAX, None).len() as u64,
        };
        let ready = match real {
            // To know how many of those that wait a busy key blocks, the store would have to look.
            Some(Outcome::Delivery(real)) if wanted > 0 => {
                let looked = self.at(number).waiting(&group).saturating_sub(wanted);
                let got = real.messages.len() as u64;
                assert!(got <= looked, "it left those that wait what they need");
                got + wanted
            }
            _ => ready,
        };
        let may = self.may_take(number, &group, who);
        terms.messages_max = terms.messages_max.min(ready.saturating_sub(wanted));
        let nothing = self.at(number).choose(&group, 1, u64::MAX, None).is_empty();
        if !may || terms.messages_max == 0 || nothing {
            terms.messages_max = 0;
        } else if !acknowledged && self.leases_alive() >= self.limits.leases_max {
            return Err("ResourceExhausted");
        }
        let (delivery, _) = self.deliver(number, &group, terms, real);
        if !delivery.messages.is_empty() || wait_ms == 0 {
            return Ok(Outcome::Delivery(delivery));
        }
        let waits = self
            .askers
            .iter()
            .filter(|asker| !asker.over && matches!(asker.asks, Asks::Take { .. }));
        if waits.count() >= self.limits.waits_max {
            return Err("ResourceExhausted");
        }
        let in_turn = false;
        self.askers.push(Asker {
            who,
            queue: number,
            group: group.clone(),
            asks,
            in_turn,
            over: false,
        });
        let asker = self.askers.len() - 1;
        self.at_mut(number).group_mut(&group).turn.push_back(asker);
        Ok(Outcome::said("waits"))
    }

    /// Whether an asker may get messages of a group; in a group with a single active consumer, the
    /// first to ask becomes that one.
    pub(super) fn may_take(&mut self, number: usize, group: &str, who: char) -> bool {
        let queue = self.at_mut(number);
        let paused = queue.pauses_takes;
        let group = queue.group_mut(group);
        if group.single_active && group.active.is_none() {
            group.active = Some(who);
        }
        group.leaving &= group.active != Some(who);
        !paused && !group.paused && (!group.single_active || group.active == Some(who))
    }

    /// Delivers the next messages of a group within limits, and says their sequences. With the real
    /// outcome, follows it after checking that it is allowed.
    pub(super) fn deliver(
        &mut self,
        number: usize,
        group: &str,
        terms: Terms,
        real: Option<&Outcome>,
    ) -> (Delivery, Vec<u64>) {
        let real = match real {
            Some(Outcome::Delivery(delivery)) => Some(delivery),
            _ => None,
        };
        let follow: Option<Vec<u64>> =
            real.map(|real| real.messages.iter().map(|message| message.sequence).collect());
        let queue = self.at(number);
        let mut chosen =
            queue.choose(group, terms.messages_max, terms.bytes_max, follow.as_deref());
        // How much of what waits a busy key blocks the store knows when it has looked: so it may
        // share out more than there is, but no less.
        if let Some(follow) = follow.as_ref().filter(|_| terms.share < terms.messages_max) {
            assert!(follow.len() as u64 >= terms.share.min(chosen.len() as u64), "a fair share");
            chosen.truncate(follow.len());
        } else {
            chosen.truncate(terms.share as usize);
        }
        if let (Some(real), Some(follow)) = (real, &follow) {
            let runs = real.messages.iter().filter(|message| message.ends_run).count();
            let cut = follow.len() < chosen.len() && runs >= RUNS_MAX && chosen.starts_with(follow);
            if cut {
                chosen.truncate(follow.len());
            }
        }
        let delivery = self.hand_out(number, group, &chosen, terms);
        (delivery, chosen)
    }

    fn hand_out(&mut self, number: usize, group: &str, chosen: &[u64], terms: Terms) -> Delivery {
        if chosen.is_empty() {
            return Delivery::default();
        }
        let (clock, lease) = (self.clock, self.leases.len());
        self.servings += 1;
        let servings = self.servings;
        let queue = self.at_mut(number);
        let mut messages = Vec::new();
        for sequence in chosen {
            let text = queue.messages[sequence].spec.text(Clock::START_MS);
            let holder = queue.group_mut(group);
            let share = holder.shares.get_mut(sequence).expect("what is chosen is the group's");
            share.deliveries += 1;
            if share.deliveries == 1 {
                share.first_ns = clock.ns;
            }
            share.lease = terms.lease_ms.map(|_| lease);
            let deliveries = share.deliveries;
            holder.counts.add("redeliveries", u64::from(deliveries > 1));
            holder.counts.add("takes", 1);
            holder.served[band_of(*sequence)] += 1;
            if terms.lease_ms.is_none() {
                holder.counts.add("acks", 1);
                queue.done(group, *sequence);
            }
            messages.push(Delivered { sequence: *sequence, deliveries, text, ends_run: false });
        }
        let holder = queue.group_mut(group);
        holder.served_at = servings;
        let dropped = std::mem::take(&mut holder.untold_drops);
        if let Some(lease_ms) = terms.lease_ms {
            self.arms += 1;
            self.leases.push(Lease {
                armed: self.arms,
                queue: number,
                group: group.into(),
                messages: chosen.iter().map(|sequence| (*sequence, false)).collect(),
                alive: true,
                ends_ns: clock.in_ms(lease_ms),
                subscription: terms.subscription,
            });
        }
        Delivery { lease: terms.lease_ms.map(|_| lease + 1), messages, dropped }
    }
}

impl Queue {
    /// The messages that a group gets next, within both limits, but at least one. In each band the
    /// oldest first; the most urgent band first, or, weighted, as the real outcome has it.
    pub fn choose(
        &self,
        group: &str,
        messages_max: u64,
        bytes_max: u64,
        follow: Option<&[u64]>,
    ) -> Vec<u64> {
        let holder = self.group(group);
        let (mut picked, mut bytes) = (Vec::new(), 0);
        let (mut closed, mut skipped) = ([false; SCHEDULED], Vec::new());
        while (picked.len() as u64) < messages_max {
            let firsts = (0..SCHEDULED).filter(|band| !closed[*band]).filter_map(|band| {
                let shares = holder.shares.range((band as u64) << 60..((band + 1) as u64) << 60);
                shares.map(|(sequence, _)| sequence).find(|s| {
                    self.is_ready(holder, **s, &picked)
                        && !picked.contains(*s)
                        && !skipped.contains(*s)
                })
            });
            let firsts: Vec<u64> = firsts.copied().collect();
            let next = match follow {
                _ if !self.options.weighted => firsts.last().copied(),
                Some(follow) => follow.get(picked.len()).copied().filter(|s| firsts.contains(s)),
                None => self.fairest(group, &firsts, &picked),
            };
            let Some(next) = next else { break };
            let length = self.messages[&next].bytes;
            let left = bytes_max.saturating_sub(bytes);
            let full = length > left && !picked.is_empty();
            let wanted = follow.and_then(|follow| follow.get(picked.len()));
            let passed = follow.is_some() && wanted != Some(&next);
            let steps_over = !full || wanted.is_some_and(|s| band_of(*s) == band_of(next));
            if passed && steps_over && self.could_be_held_back(holder, next, closed) {
                skipped.push(next);
                continue;
            }
            if full || passed && self.could_stop((group, holder), next, &picked, left) {
                closed[band_of(next)] = true;
                continue;
            }
            bytes += length;
            picked.push(next);
        }
        picked
    }

    /// Messages that wait for a group, whether or not their keys are busy.
    fn waiting(&self, group: &str) -> u64 {
        let waits = |share: &&Share| share.lease.is_none() && share.back_ns.is_none();
        let unnoticed = self.unnoticed.get(group).copied().unwrap_or(0);
        self.group(group).shares.values().filter(waits).count() as u64 + unnoticed
    }

    /// Whether another message of its key in another band may come first: one that was delivered
    /// before, one whose band has nothing more that fits, or a less urgent one that was in line
    /// before this one was there.
    fn could_be_held_back(&self, holder: &Group, next: u64, closed: [bool; SCHEDULED]) -> bool {
        let key = &self.messages[&next].spec.key;
        key.is_some()
            && holder.shares.iter().any(|(other, share)| {
                self.messages[other].spec.key == *key
                    && band_of(*other) != band_of(next)
                    && (share.deliveries > 0 || closed[band_of(*other)] || *other < next)
            })
    }

    /// Whether a take may leave a band although this message of it would fit: one before it does
    /// not, which its key holds back, or which has expired unnoticed.
    fn could_stop(
        &self,
        (name, holder): (&str, &Group),
        next: u64,
        picked: &[u64],
        left: u64,
    ) -> bool {
        let before = |sequence: &u64| *sequence < next && band_of(*sequence) == band_of(next);
        let waits = holder.shares.iter().filter(|(sequence, share)| {
            share.lease.is_none()
                && !picked.contains(*sequence)
                && self.is_blocked(holder, **sequence, picked)
        });
        let waits = waits.map(|(sequence, _)| (*sequence, self.messages[sequence].bytes));
        let overdue = self.overdue.iter().filter(|(of, ..)| of == name);
        let mut all = waits.chain(overdue.map(|(_, sequence, bytes)| (*sequence, *bytes)));
        !picked.is_empty() && all.any(|(sequence, bytes)| before(&sequence) && bytes > left)
    }

    /// Of the first messages of some bands the one whose band is furthest behind its share.
    fn fairest(&self, group: &str, firsts: &[u64], picked: &[u64]) -> Option<u64> {
        let behind = |sequence: &u64| {
            let band = band_of(*sequence);
            let now = picked.iter().filter(|other| band_of(**other) == band).count() as u64;
            let served = self.group(group).served[band] + now;
            (served * 1_000 / (band as u64 + 1), SCHEDULED - band)
        };
        firsts.iter().copied().min_by_key(behind)
    }
}
