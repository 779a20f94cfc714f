//! The real store behind the language of the cases: commands as text, outcomes to compare.

mod administer;
mod ask;
mod change;
mod look;

use ringway_protocol::reply::{PutOutcome, Settlement, Verdict};
use ringway_protocol::request::{Producer, Put, Take};
use ringway_protocol::{GroupId, LeaseId, QueueId, Records, Rejection, SubscriptionId};
use ringway_shards::path::origin::Origin;
use ringway_shards::path::queue::{Admission, Store, StoreConfig, Stored, Taken};
use ringway_shards::world::{Now, PinnedSlice};

use super::clock::Clock;
use super::model::Limits;
use super::options::Options;
use super::outcome::{Delivered, Delivery, Outcome, PutRun, What};
use super::spec::{Spec, record_text};
use super::words::{Words, back, duration_ms, long};
use super::{records_in, settle_with};

/// A queue's id that names nothing.
const NOWHERE: fn() -> QueueId = || QueueId::new(77, 3, 99);

/// A lease that was granted.
#[derive(Clone, Copy)]
struct Granted {
    id: LeaseId,
    messages: u32,
}

/// Who waits for an answer.
struct Asked {
    who: char,
    /// The number of a subscription.
    subscription: Option<usize>,
}

/// The store, with what turns names into ids.
pub struct Real {
    pub store: Store,
    clock: Clock,
    /// What the store's clock says when a case begins.
    start_ns: u64,
    leases: Vec<Granted>,
    /// Every name that a queue had, the newest last.
    queues: Vec<(String, QueueId)>,
    groups: Vec<(QueueId, String, GroupId)>,
    asked: Vec<Asked>,
    /// Every subscription, with its place in `asked`.
    subscriptions: Vec<(SubscriptionId, usize)>,
    numbers: u64,
    taken: Taken,
    stored: Stored,
    /// Slices that a send refers to, and what they must still say.
    pins: Vec<(PinnedSlice, Vec<u8>)>,
}

type Result<T> = std::result::Result<T, Rejection>;

impl Real {
    pub fn new(limits: Limits, start_ns: u64) -> Self {
        let mut real = Self {
            store: Store::new(StoreConfig {
                shard: 3,
                defaults: limits.defaults.on_the_wire(),
                queues_max: limits.queues_max,
                leases_max: limits.leases_max,
                waits_max: limits.waits_max,
                seed: 1,
            }),
            clock: Clock::new(),
            start_ns,
            leases: Vec::new(),
            queues: Vec::new(),
            groups: Vec::new(),
            asked: Vec::new(),
            subscriptions: Vec::new(),
            numbers: 0,
            taken: Taken::new(),
            stored: Stored::new(),
            pins: Vec::new(),
        };
        real.store.expire(real.now());
        real
    }

    /// Carries one command out.
    pub fn run(&mut self, command: &str) -> Outcome {
        let words = Words::of(command);
        if self.clock.run(&words) {
            // As a shard does, turn by turn.
            while self.store.is_due(self.now()) {
                self.store.expire(self.now());
            }
            self.store.expire(self.now());
            return Outcome::ok();
        }
        let outcome = match words.verb {
            "declare" => self.declare(&words),
            "open" => self.store.open(words.word(0)).map(|_| Outcome::ok()),
            "put" => self.put(&words),
            "take" => self.take(&words),
            "ack" | "nack" => self.settle(&words),
            "subscribe" => self.subscribe(&words),
            "credit" => self.credit(&words),
            "unsubscribe" => self.unsubscribe(&words),
            "release" => Ok(self.release(&words)),
            "answers" => Ok(self.answers()),
            "unpin" => {
                self.pins.pop();
                Ok(Outcome::ok())
            }
            "stat" => self.stat(&words),
            "list" => Ok(self.list(words.plain().first().copied().unwrap_or(""))),
            "next" => Ok(self.next()),
            "share" => self.share(&words),
            "browse" => self.browse_words(&words),
            _ => self.change(&words),
        };
        outcome.unwrap_or_else(|why| Outcome::Refused(format!("{:?}", why.code)))
    }

    fn now(&self) -> Now {
        Now { ns: self.start_ns + self.clock.ns, wall_ms: self.clock.wall_ms }
    }

    /// Who asks next.
    fn origin(&self, who: char) -> Origin {
        let request = self.asked.len() as u32;
        Origin { shard: 1, peer: u64::from(u32::from(who)), stream: 0, request }
    }

    /// Who asked something that waits.
    fn origin_of(&self, asker: usize) -> Origin {
        let peer = u64::from(u32::from(self.asked[asker].who));
        Origin { shard: 1, peer, stream: 0, request: asker as u32 }
    }

    /// The id that a name stands for, of a queue that may be gone.
    fn queue(&self, name: &str) -> QueueId {
        let known = || self.queues.iter().rev().find(|(known, _)| known == name);
        self.store.open(name).ok().or_else(|| known().map(|(_, id)| *id)).unwrap_or_else(NOWHERE)
    }

    /// The number that a group's name stands for, of a group that may be gone.
    fn group(&self, queue: QueueId, name: &str) -> GroupId {
        let mut groups = self.groups.iter().rev();
        let known = groups.find(|(of, known, _)| *of == queue && known == name);
        let default = (name == "default").then(GroupId::default);
        known.map(|(.., group)| *group).or(default).unwrap_or(GroupId::new(999, 99))
    }

    fn lease(&self, word: &str) -> Granted {
        let never = Granted { id: LeaseId::new(7, 3, 99), messages: 1 };
        let first = self.leases.first();
        match word {
            "none" => Granted { id: LeaseId::NONE, messages: 1 },
            // The next one in the first lease's slot.
            "later" => first.map_or(never, |lease| Granted {
                id: LeaseId::new(lease.id.generation() + 9, 3, lease.id.slot()),
                messages: 1,
            }),
            word => back(word, self.leases.len()).map_or(never, |index| self.leases[index]),
        }
    }

    fn declare(&mut self, words: &Words<'_>) -> Result<Outcome> {
        let options = words.queue_options(&Options::defaults());
        let name = long(words.word(0));
        let (id, created) =
            self.store.declare(&name, options.map(|options| options.on_the_wire()))?;
        self.queues.push((name, id));
        Ok(Outcome::said(if created { "created" } else { "exists" }))
    }

    fn put(&mut self, words: &Words<'_>) -> Result<Outcome> {
        let specs = words.specs(1, &mut self.numbers, Clock::START_MS);
        let bytes: Vec<u8> = specs.iter().flat_map(Spec::record).collect();
        let put = Put {
            queue: self.queue(words.word(0)),
            producer: words.producer().map(|(id, sequence)| Producer { id, sequence }),
            records: Records::parse(&bytes, specs.len() as u32)?,
        };
        let who = words.asker();
        let (origin, now) = (self.origin(who), self.now());
        match self.store.put(&put, origin, now, &mut self.stored)? {
            Admission::Stored => Ok(Outcome::Put(self.stored_runs())),
            Admission::Held => {
                self.asked.push(Asked { who, subscription: None });
                Ok(Outcome::Held)
            }
        }
    }

    /// What a put came to, in stretches as few as they can be.
    fn stored_runs(&self) -> Vec<PutRun> {
        let mut runs: Vec<PutRun> = Vec::new();
        for run in self.stored.runs() {
            let what = match run.outcome {
                PutOutcome::Stored => What::Stored,
                PutOutcome::Duplicate => What::Duplicate,
                PutOutcome::Scheduled => What::Scheduled,
            };
            let (first, count) = (run.first_sequence, u64::from(run.count));
            match runs.last_mut() {
                Some(last) if last.what == what && last.first + last.count == first => {
                    last.count += count;
                }
                _ => runs.push(PutRun { first, count, what }),
            }
        }
        runs
    }

    fn take(&mut self, words: &Words<'_>) -> Result<Outcome> {
        let queue = self.queue(words.word(0));
        let take = Take {
            queue,
            messages_max: words.word(1).parse().expect("a number of messages"),
            bytes_max: words.number("bytes", 0) as u32,
            wait_ms: words.ms("wait", 0) as u32,
            lease_ms: words.ms("lease", 0) as u32,
            group: self.group(queue, words.group()),
            acknowledged: words.has("acknowledged"),
        };
        let (who, now) = (words.asker(), self.now());
        let origin = self.origin(who);
        self.store.take_for(&take, origin, now, &mut self.taken)?;
        if self.taken.count > 0 || take.wait_ms == 0 {
            return Ok(Outcome::Delivery(self.delivery(words.has("pin"))));
        }
        self.store.wait(&take, origin, now)?;
        self.asked.push(Asked { who, subscription: None });
        Ok(Outcome::said("waits"))
    }

    /// What was taken; numbers its lease.
    fn delivery(&mut self, pin: bool) -> Delivery {
        let mut messages = Vec::new();
        for run in &self.taken.runs {
            let records = records_in(&run.slice);
            assert_eq!(records.len(), run.run.count as usize, "a run counts its records");
            for (index, (record, _)) in records.iter().enumerate() {
                messages.push(Delivered {
                    sequence: run.run.first_sequence + index as u64,
                    deliveries: run.run.deliveries,
                    text: record_text(record, Clock::START_MS),
                    ends_run: index + 1 == records.len(),
                });
            }
        }
        assert_eq!(messages.len(), self.taken.count as usize, "a delivery counts its messages");
        // Unless they are pinned, the answer has been sent: nothing refers to the segments.
        for run in self.taken.runs.drain(..).filter(|_| pin) {
            let bytes = run.slice.to_vec();
            self.pins.push((run.slice, bytes));
        }
        let id = self.taken.lease;
        if id == LeaseId::NONE {
            let dropped = self.taken.dropped.into();
            return Delivery { lease: None, messages, dropped };
        }
        self.leases.push(Granted { id, messages: self.taken.count });
        Delivery { lease: Some(self.leases.len()), messages, dropped: self.taken.dropped.into() }
    }

    fn settle(&mut self, words: &Words<'_>) -> Result<Outcome> {
        let lease = self.lease(words.word(1));
        let ranges = words.ranges(2, lease.messages);
        let (mut room, mut verdicts) = (Vec::new(), Vec::new());
        let delay_ms = match words.get("delay") {
            Some("dead") => u32::MAX,
            Some(delay) => duration_ms(delay) as u32,
            None => 0,
        };
        let place = (self.queue(words.word(0)), lease.id);
        let nacks = words.verb == "nack";
        let request = settle_with(place, &ranges, nacks.then_some(delay_ms), &mut room);
        let now = self.now();
        let Settlement { settled, stale, unknown } = match nacks {
            false => self.store.ack(&request, now, &mut verdicts)?,
            true => self.store.nack(&request, now, &mut verdicts)?,
        };
        let ranges = verdicts.iter().map(|range| {
            let verdict = match range.verdict {
                Verdict::Settled => "settled",
                Verdict::Stale => "stale",
                Verdict::Unknown => "unknown",
            };
            (range.first, range.count, verdict)
        });
        Ok(Outcome::said(super::model::settlement_text((settled, stale, unknown), ranges)))
    }

    fn release(&mut self, words: &Words<'_>) -> Outcome {
        let lease = self.lease(words.word(1)).id;
        self.store.release(self.queue(words.word(0)), lease, self.now());
        Outcome::ok()
    }

    /// Checks that nothing that a send refers to has changed, and that no deadline is forgotten.
    pub fn check(&self) {
        for (slice, bytes) in &self.pins {
            assert_eq!(slice[..], bytes[..], "a pinned slice never changes");
        }
    }
}
