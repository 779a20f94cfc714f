//! Putting: deduplication, the place of a message, puts that wait for room.

use super::admit::Room;
use super::queue::{Due, Mark, Message, SCHEDULED, Share};
use super::{Asker, Asks, Model, Result};
use crate::support::options::Policy;
use crate::support::outcome::{Outcome, PutRun, What};
use crate::support::spec::Spec;
use crate::support::words::Words;

/// Bytes of puts that one connection may let wait.
const HELD_BYTES_MAX: u64 = 4 << 20;
/// Marks that a queue remembers if only a time is set.
const MARKS_MAX: u64 = 1_000_000;

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
        // The bound on bytes is not for the model to judge.
        let tight = self.at(number).options.bytes_max < 1 << 30;
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

    /// A put behind others that wait for room: it waits too, unless it can be answered as it is.
    fn could_wait(
        &self,
        number: usize,
        specs: &[Spec],
        producer: Option<(u64, u64)>,
    ) -> Result<Vec<PutRun>> {
        let plans = self.plan(number, specs, producer)?;
        let new = plans.iter().filter(|plan| matches!(plan, Plan::New)).count() as u64;
        if let Room::Never = self.at(number).room(new) { Err("TooLarge") } else { Err("QueueFull") }
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
        let plans = self.plan(number, specs, producer)?;
        let new = plans.iter().filter(|plan| matches!(plan, Plan::New)).count() as u64;
        if new > 0 {
            match self.at(number).room(new) {
                Room::Never => return Err("TooLarge"),
                Room::Full => return Err("QueueFull"),
                Room::After(dropped) => self.drop_messages(number, &dropped),
            }
        }
        let marks = marks(specs, producer);
        let options = self.at(number).options;
        let remembers = options.dedup_ms > 0 || options.dedup_max > 0;
        let mut sequences: Vec<u64> = Vec::new();
        let mut runs: Vec<PutRun> = Vec::new();
        for (at, plan) in plans.iter().enumerate() {
            let (sequence, what) = match plan {
                Plan::New => self.store(number, &specs[at]),
                Plan::Repeat(sequence) => (*sequence, What::Duplicate),
                Plan::Twin(other) => (sequences[*other], What::Duplicate),
            };
            let queue = self.queues.get_mut(&number).expect("the queue was looked up before");
            match (what, &marks[at]) {
                (What::Duplicate, _) => queue.counts.add("duplicates", 1),
                (_, Some(mark)) if remembers => {
                    queue.marks.push_back((mark.clone(), sequence, self.clock.ns));
                }
                _ => {}
            }
            sequences.push(sequence);
            match runs.last_mut() {
                Some(run) if run.what == what && run.first + run.count == sequence => run.count += 1,
                _ => runs.push(PutRun { first: sequence, count: 1, what }),
            }
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
        let marks = marks(specs, producer);
        if options.dedup_ms == 0 && options.dedup_max == 0 {
            return Ok(marks.iter().map(|_| Plan::New).collect());
        }
        let remembered = self.remembered(number);
        let find = |mark: &Mark| remembered.iter().find(|(known, _)| known == mark);
        let plan = |(at, mark): (usize, &Option<Mark>)| {
            let Some(mark) = mark else { return Ok(Plan::New) };
            if let Some((_, sequence)) = find(mark) {
                return Ok(Plan::Repeat(*sequence));
            }
            if let Some(other) = marks[..at].iter().position(|other| other.as_ref() == Some(mark)) {
                return Ok(Plan::Twin(other));
            }
            let newest = |producer: u64| {
                let of_it = remembered.iter().filter_map(|(known, _)| match known {
                    Mark::Producer(known, sequence) if *known == producer => Some(*sequence),
                    _ => None,
                });
                of_it.max()
            };
            match mark {
                Mark::Producer(id, sequence) if newest(*id).is_some_and(|it| *sequence < it) => {
                    Err("OutOfWindow")
                }
                _ => Ok(Plan::New),
            }
        };
        marks.iter().enumerate().map(plan).collect()
    }

    /// The marks that are within the window of time and count, with their answers.
    fn remembered(&self, number: usize) -> Vec<(Mark, u64)> {
        let queue = self.at(number);
        let (ms, most) = (queue.options.dedup_ms, queue.options.dedup_max);
        let most = if most == 0 { MARKS_MAX } else { most } as usize;
        let newest = queue.marks.len().saturating_sub(most);
        let young = |at: u64| ms == 0 || at.saturating_add(ms * 1_000_000) > self.clock.ns;
        let marks = queue.marks.iter().skip(newest).filter(|(_, _, at)| young(*at));
        marks.map(|(mark, sequence, _)| (mark.clone(), *sequence)).collect()
    }

    /// Gives a message its place: in line, or among those that are scheduled.
    fn store(&mut self, number: usize, spec: &Spec) -> (u64, What) {
        let clock = self.clock;
        let after = spec.delay_ms.filter(|delay| *delay > 0).map(|delay| Due::Ns(clock.in_ms(delay)));
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
            if sequence >= group.start {
                group.shares.insert(sequence, Share::default());
            }
        }
        self.at_mut(number).forget_if_done(sequence);
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
            bytes: spec.record().len() as u64,
            spec: spec.clone(),
            put_ms: clock.wall_ms,
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
        self.askers.push(Asker { who, queue: number, group, asks, over: false });
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

/// What names each message of a put for deduplication.
fn marks(specs: &[Spec], producer: Option<(u64, u64)>) -> Vec<Option<Mark>> {
    let mark = |(at, spec): (usize, &Spec)| match producer {
        Some((id, sequence)) => Some(Mark::Producer(id, sequence + at as u64)),
        None => spec.dedup.clone().map(Mark::Id),
    };
    specs.iter().enumerate().map(mark).collect()
}
