//! Putting: deduplication, the place of a message, puts that wait for room.

use super::admit::Room;
use super::queue::{Batch, Due, Message, SCHEDULED, Share};
use super::{Asker, Asks, Model, Result};
use crate::support::options::Policy;
use crate::support::outcome::{Outcome, PutRun, What};
use crate::support::spec::Spec;
use crate::support::words::Words;

/// Bytes of puts that one connection may let wait.
const HELD_BYTES_MAX: u64 = 4 << 20;
/// A hundred years: no delay and no life is longer.
const CENTURY_MS: u64 = 3_155_760_000_000;
/// The latest date that a message may ask for.
const IN_2286_MS: u64 = 10_000_000_000_000;
/// Ids that a queue remembers if only a time is set.
const IDS_MAX: u64 = 1_000_000;

/// What is to become of one message of a put.
enum Plan {
    New,
    /// It was there before, under this sequence.
    Repeat(u64),
    /// It is the same as an earlier one of this put.
    Twin(usize),
}

impl Model {
    pub(super) fn put_words(
        &mut self,
        words: &Words<'_>,
        real: Option<&Outcome>,
    ) -> Result<Outcome> {
        let specs = words.specs(1, &mut self.numbers, crate::support::clock::Clock::START_MS);
        let number = self.there(words.word(0))?;
        let (producer, waits) = (words.producer(), !self.at(number).held.is_empty());
        // Neither the bound on bytes is for the model to judge, nor what it holds unnoticed.
        let queue = self.at(number);
        let held = queue.live().len() as u64 + queue.overdue().0 + specs.len() as u64;
        let tight = queue.options.bytes_max < 1 << 30
            || queue.overdue().0 > 0 && held > queue.options.messages_max;
        let full = real.is_some_and(|real| *real == Outcome::refused("QueueFull"));
        if tight && full {
            self.at_mut(number).counts.add("refused", specs.len() as u64);
            return Err("QueueFull");
        }
        let outcome = if waits && !self.at(number).pauses_puts {
            self.could_wait(number, &specs, producer)
        } else {
            self.put(number, &specs, producer)
        };
        let holds = self.at(number).options.policy == Policy::Hold;
        match outcome {
            Err("QueueFull") if holds => {
                let outcome = self.hold(number, words.asker(), specs, producer);
                if outcome.is_err() {
                    self.at_mut(number).counts.add("refused", words.plain().len() as u64 - 1);
                }
                outcome
            }
            Err(code) => {
                if matches!(code, "QueueFull" | "TooLarge") {
                    self.at_mut(number).counts.add("refused", specs.len() as u64);
                }
                Err(code)
            }
            Ok(runs) => Ok(Outcome::Put(runs)),
        }
    }

    /// A put behind others that wait for room: it waits too, unless its producer knows the answer.
    fn could_wait(
        &mut self,
        number: usize,
        specs: &[Spec],
        producer: Option<(u64, u64)>,
    ) -> Result<Vec<PutRun>> {
        let (count, dedup) = (specs.len() as u64, self.at(number).options.dedup_ms > 0);
        if dedup && self.repeat(number, count, producer)?.is_some() {
            return self.put(number, specs, producer);
        }
        let never = !dedup && matches!(self.at(number).room(count), Room::Never);
        if never { Err("TooLarge") } else { Err("QueueFull") }
    }

    /// A put of one who never waits.
    pub(super) fn put_at_once(
        &mut self,
        number: usize,
        specs: &[Spec],
        producer: Option<(u64, u64)>,
    ) -> Result<Vec<PutRun>> {
        let waits = !self.at(number).held.is_empty() && !self.at(number).pauses_puts;
        if waits {
            self.could_wait(number, specs, producer)
        } else {
            self.put(number, specs, producer)
        }
    }

    /// Stores a batch, all of it or nothing.
    pub(super) fn put(
        &mut self,
        number: usize,
        specs: &[Spec],
        producer: Option<(u64, u64)>,
    ) -> Result<Vec<PutRun>> {
        if self.at(number).pauses_puts {
            return Err("Paused");
        }
        let times = specs.iter().flat_map(|spec| [spec.delay_ms, spec.ttl_ms]);
        let dates = specs.iter().filter_map(|spec| spec.at_ms);
        if times.flatten().any(|ms| ms > CENTURY_MS) || dates.into_iter().any(|at| at > IN_2286_MS)
        {
            return Err("InvalidOption");
        }
        let plans = self.plan(number, specs, producer)?;
        let new = plans.iter().filter(|plan| matches!(plan, Plan::New)).count() as u64;
        if new > 0 {
            match self.at(number).room(new) {
                Room::Never => return Err("TooLarge"),
                Room::Full => return Err("QueueFull"),
                Room::After(dropped) => self.drop_messages(number, &dropped),
            }
        }
        let remembers = self.at(number).options.dedup_ms > 0;
        let (mut sequences, mut ids): (Vec<u64>, Vec<(String, u64)>) = Default::default();
        let mut runs: Vec<PutRun> = Vec::new();
        for (spec, plan) in specs.iter().zip(&plans) {
            let (sequence, what) = match plan {
                Plan::New => self.store(number, spec),
                Plan::Repeat(sequence) => (*sequence, What::Duplicate),
                Plan::Twin(other) => (sequences[*other], What::Duplicate),
            };
            match what {
                What::Duplicate => self.at_mut(number).counts.add("duplicates", 1),
                _ => ids.extend(spec.dedup.clone().map(|id| (id, sequence))),
            }
            sequences.push(sequence);
            match runs.last_mut() {
                Some(run) if run.what == what && run.first + run.count == sequence => {
                    run.count += 1
                }
                _ => runs.push(PutRun { first: sequence, count: 1, what }),
            }
        }
        let repeats = self.repeat(number, specs.len() as u64, producer).is_ok_and(|r| r.is_some());
        if remembers && !repeats {
            self.remember(number, ids, producer, sequences);
        }
        Ok(runs)
    }

    /// Which messages of a put are new.
    fn plan(
        &self,
        number: usize,
        specs: &[Spec],
        producer: Option<(u64, u64)>,
    ) -> Result<Vec<Plan>> {
        let options = self.at(number).options;
        if options.dedup_ms == 0 {
            return Ok(specs.iter().map(|_| Plan::New).collect());
        }
        if let Some(answer) = self.repeat(number, specs.len() as u64, producer)? {
            return Ok(answer.into_iter().map(Plan::Repeat).collect());
        }
        let remembered = self.remembered(number);
        let plan = |(at, spec): (usize, &Spec)| {
            let id = spec.dedup.as_ref()?;
            let known = remembered.iter().find(|(known, _)| known == id);
            let twin = || specs[..at].iter().position(|other| other.dedup.as_ref() == Some(id));
            known.map(|(_, sequence)| Plan::Repeat(*sequence)).or_else(|| twin().map(Plan::Twin))
        };
        Ok(specs.iter().enumerate().map(|spec| plan(spec).unwrap_or(Plan::New)).collect())
    }

    /// The answer to a batch that its producer put before.
    fn repeat(
        &self,
        number: usize,
        count: u64,
        producer: Option<(u64, u64)>,
    ) -> Result<Option<Vec<u64>>> {
        let Some((id, first)) = producer else { return Ok(None) };
        let queue = self.at(number);
        let window_ns = queue.options.dedup_ms * 1_000_000;
        let over = |at_ns: u64| at_ns + window_ns <= self.clock.ns;
        let Some(known) = queue.producers.get(&id).filter(|known| !over(known.last_ns)) else {
            return Ok(None);
        };
        // Forgotten are those out of the window that no younger one comes before.
        let forgotten = known.batches.iter().take_while(|batch| over(batch.at_ns)).count();
        if known.batches[..forgotten].iter().any(|batch| first < batch.end()) {
            return Err("OutOfWindow");
        }
        let touches = |batch: &&Batch| first < batch.end() && batch.first < first + count;
        match known.batches.iter().find(touches) {
            None => Ok(None),
            Some(batch) if batch.first == first && batch.answer.len() as u64 == count => {
                Ok(Some(batch.answer.clone()))
            }
            Some(_) => Err("Conflict"),
        }
    }

    /// The ids that are within the window of time and count, with their answers.
    fn remembered(&self, number: usize) -> Vec<(String, u64)> {
        let queue = self.at(number);
        let (ms, most) = (queue.options.dedup_ms, queue.options.dedup_max);
        let most = if most == 0 { IDS_MAX } else { most } as usize;
        let newest = queue.ids.len().saturating_sub(most);
        let young = |at: u64| at.saturating_add(ms * 1_000_000) > self.clock.ns;
        let ids = queue.ids.iter().skip(newest).filter(|(_, _, at)| young(*at));
        ids.map(|(id, sequence, _)| (id.clone(), *sequence)).collect()
    }

    /// Remembers a batch for its repeats.
    fn remember(
        &mut self,
        number: usize,
        ids: Vec<(String, u64)>,
        producer: Option<(u64, u64)>,
        answer: Vec<u64>,
    ) {
        let now_ns = self.clock.ns;
        let queue = self.at_mut(number);
        queue.ids.extend(ids.into_iter().map(|(id, sequence)| (id, sequence, now_ns)));
        if let Some((id, first)) = producer {
            let window_ns = queue.options.dedup_ms * 1_000_000;
            let known = queue.producers.entry(id).or_default();
            if known.last_ns + window_ns <= now_ns {
                known.batches.clear();
            }
            known.last_ns = now_ns;
            known.batches.push(Batch { first, answer, at_ns: now_ns });
            known.batches.sort_by_key(|batch| batch.first);
        }
    }

    /// Gives a message its place: in line, or among those that are scheduled.
    fn store(&mut self, number: usize, spec: &Spec) -> (u64, What) {
        let clock = self.clock;
        let after =
            spec.delay_ms.filter(|delay| *delay > 0).map(|delay| Due::Ns(clock.in_ms(delay)));
        let at = spec.at_ms.filter(|at| *at > clock.wall_ms).map(Due::WallMs);
        let due = at.or(after);
        self.at_mut(number).counts.add("puts", 1);
        match due {
            Some(due) => (self.append(number, spec, SCHEDULED, Some(due)), What::Scheduled),
            None => (self.line_up(number, spec), What::Stored),
        }
    }

    /// The end of the line of its band, for every group.
    pub(super) fn line_up(&mut self, number: usize, spec: &Spec) -> u64 {
        let sequence = self.append(number, spec, spec.priority.unwrap_or(0).into(), None);
        for group in self.at_mut(number).groups.values_mut() {
            group.shares.insert(sequence, Share::default());
        }
        sequence
    }

    fn append(&mut self, number: usize, spec: &Spec, band: usize, due: Option<Due>) -> u64 {
        let clock = self.clock;
        let queue = self.at_mut(number);
        let sequence = (band as u64) << 60 | queue.next[band];
        queue.next[band] += 1;
        let own = [spec.ttl_ms.unwrap_or(0), queue.options.ttl_ms];
        let ttl_ms = own.into_iter().filter(|ttl| *ttl > 0).min();
        let message = Message {
            revived: false,
            bytes: spec.record().len() as u64,
            spec: spec.clone(),
            put_ns: clock.ns,
            // What is scheduled lives from when it is due.
            expires_ns: ttl_ms.filter(|_| due.is_none()).map(|ttl| clock.in_ms(ttl)),
            due,
        };
        queue.messages.insert(sequence, message);
        sequence
    }

    /// Lets a put wait for room.
    fn hold(
        &mut self,
        number: usize,
        who: char,
        specs: Vec<Spec>,
        producer: Option<(u64, u64)>,
    ) -> Result<Outcome> {
        let bytes_of = |specs: &[Spec]| specs.iter().map(|s| s.record().len() as u64).sum::<u64>();
        let held: u64 = self
            .askers
            .iter()
            .filter(|asker| !asker.over && asker.who == who)
            .map(|asker| match &asker.asks {
                Asks::Put { specs, .. } => bytes_of(specs),
                _ => 0,
            })
            .sum();
        let wait_ms = self.at(number).options.wait_max_ms;
        if wait_ms == 0 || held + bytes_of(&specs) > HELD_BYTES_MAX {
            return Err("QueueFull");
        }
        let asks = Asks::Put { specs, producer, ends_ns: self.clock.in_ms(wait_ms) };
        let group = String::new();
        let asker = Asker { who, queue: number, group, asks, in_turn: false, over: false };
        self.askers.push(asker);
        let asker = self.askers.len() - 1;
        self.at_mut(number).held.push_back(asker);
        Ok(Outcome::Held)
    }

    /// Stores what waits for room while there is some.
    pub(super) fn admit_held(&mut self) {
        for number in self.queues.keys().copied().collect::<Vec<_>>() {
            while let Some(asker) = self.at(number).held.front().copied() {
                let Asks::Put { specs, producer, .. } = &self.askers[asker].asks else {
                    panic!("what is held is a put");
                };
                let (specs, producer) = (specs.clone(), *producer);
                let outcome = match self.put(number, &specs, producer) {
                    Err("QueueFull" | "Paused") => break,
                    Ok(runs) => Outcome::Put(runs),
                    Err(code) => Outcome::refused(code),
                };
                self.at_mut(number).held.pop_front();
                self.askers[asker].over = true;
                self.due.push_back((asker, outcome));
            }
        }
    }
}
