//! The small language of the cases: one command a line, its outcome as text.
//!
//! ```text
//! declare NAME [messages=N] [bytes=N] [lease=MS] [wait=MS] [deliveries=N] [policy=drop-oldest]
//!   -> created | exists
//! open NAME                                            -> ok
//! put NAME PAYLOAD... -> the first sequence; x*100 is a payload of 100 bytes of x
//! take NAME N [bytes=N] [lease=MS] [wait=MS] [acknowledged] [by=ASKER]
//!   -> lease 1: a b | c#2 (| ends a run, # counts)
//! ack NAME LEASE FIRST+COUNT... -> 2 settled | 1 settled, 1 stale: 0+1 settled, 1+1 stale
//! nack, release                                        the same; a release has no outcome
//! at MS                                                moves the time and lets expire
//! answers                                              -> ASKER: a b; ASKER: nothing
//! forget ASKER, purge NAME, delete NAME, list [PREFIX], stat NAME COLUMN..., next
//! ```
//! Without options, `wait` is answered `waits`. A refusal's outcome is the name of its code. Leases
//! are numbered from 1 as they are granted; `none` and `never` name no lease.

use ringway_protocol::reply::{Settlement, Verdict};
use ringway_protocol::request::Take;
use ringway_protocol::{
    Attribute, FullPolicy, GroupId, LeaseId, QueueId, QueueOptions, Records, Rejection,
};
use ringway_shards::path::origin::Origin;
use ringway_shards::path::queue::{Store, StoreConfig, Taken};
use ringway_shards::world::Now;

use super::{at, figure, put, record_of, records_in, settle};

const NS_PER_MS: u64 = 1_000_000;

pub struct Script {
    store: Store,
    now_ns: u64,
    leases: Vec<LeaseId>,
    /// Ids of queues by name, kept after they are deleted.
    queues: Vec<(String, QueueId)>,
    taken: Taken,
}

/// The words of a command after its verb: plain ones, and `key=value` ones.
struct Words<'a> {
    plain: Vec<&'a str>,
    options: Vec<(&'a str, &'a str)>,
}

impl<'a> Words<'a> {
    fn number(&self, key: &str, default: u64) -> u64 {
        let found = self.options.iter().find(|(name, _)| *name == key);
        found.map_or(default, |(_, value)| value.parse().expect("a number"))
    }

    fn has(&self, word: &str) -> bool {
        self.plain.contains(&word)
    }
}

impl Script {
    /// Few of everything, so that cases can reach the limits: 6 queues, 4 leases, 4 waiting takes.
    pub fn new() -> Self {
        Self {
            store: Store::new(StoreConfig {
                shard: 0,
                defaults: QueueOptions::default(),
                queues_max: 6,
                leases_max: 4,
                waits_max: 4,
                seed: 1,
            }),
            now_ns: 0,
            leases: Vec::new(),
            queues: Vec::new(),
            taken: Taken::new(),
        }
    }

    /// Carries one command out and says its outcome.
    pub fn run(&mut self, command: &str) -> String {
        let mut words = command.split_whitespace();
        let verb = words.next().expect("a command");
        let (options, plain): (Vec<_>, Vec<_>) = words.partition(|word| word.contains('='));
        let options = options.iter().filter_map(|word| word.split_once('=')).collect();
        let words = Words { plain, options };
        let outcome = match verb {
            "declare" => self.declare(&words),
            "open" => self.store.open(words.plain[0]).map(|_| "ok".into()),
            "put" => self.put(&words),
            "take" => self.take(&words),
            "ack" | "nack" => self.settle(verb, &words),
            "release" => self.release(&words),
            "answers" => Ok(self.answers()),
            "stat" => self.stat(&words),
            "list" => Ok(self.list(words.plain.first().copied().unwrap_or(""))),
            "purge" => self.store.purge(self.queue(words.plain[0])).map(|count| count.to_string()),
            "delete" => {
                self.store.delete(self.queue(words.plain[0])).map(|count| count.to_string())
            }
            "forget" => {
                self.store.forget(0, peer(words.plain[0]));
                Ok("ok".into())
            }
            "at" => {
                self.now_ns = words.plain[0].parse::<u64>().expect("milliseconds") * NS_PER_MS;
                self.store.expire(self.now());
                Ok("ok".into())
            }
            "next" => Ok(match self.store.next_deadline() {
                Some(deadline_ns) => format!("{} ms", deadline_ns / NS_PER_MS),
                None => "never".into(),
            }),
            other => panic!("no command is called {other}"),
        };
        outcome.unwrap_or_else(|rejection: Rejection| format!("{:?}", rejection.code))
    }

    /// The id of the newest queue of a name, or one that names nothing.
    fn now(&self) -> Now {
        at(self.now_ns)
    }

    fn queue(&self, name: &str) -> QueueId {
        let known = self.queues.iter().rev().find(|(known, _)| known == name).map(|(_, id)| *id);
        known.or(self.store.open(name).ok()).unwrap_or(QueueId::new(9, 0, 9))
    }

    fn declare(&mut self, words: &Words<'_>) -> Result<String, Rejection> {
        let defaults = QueueOptions::default();
        let drops = words.options.contains(&("policy", "drop-oldest"));
        let options = QueueOptions {
            messages_max: words.number("messages", defaults.messages_max),
            bytes_max: words.number("bytes", defaults.bytes_max),
            lease_ms: words.number("lease", defaults.lease_ms.into()) as u32,
            wait_max_ms: words.number("wait", defaults.wait_max_ms.into()) as u32,
            deliveries_max: words.number("deliveries", defaults.deliveries_max.into()) as u32,
            full_policy: if drops { FullPolicy::DropOldest } else { FullPolicy::Reject },
            ..defaults
        };
        let options = (!words.options.is_empty()).then_some(options);
        let name = long(words.plain[0]);
        let (id, created) = self.store.declare(&name, options)?;
        self.queues.push((name, id));
        Ok(if created { "created" } else { "exists" }.into())
    }

    fn put(&mut self, words: &Words<'_>) -> Result<String, Rejection> {
        let records: Vec<_> =
            words.plain[1..].iter().map(|word| record_of(long(word).as_bytes())).collect();
        let bytes = records.concat();
        let records = Records::parse(&bytes, records.len() as u32)?;
        let (queue, now) = (self.queue(words.plain[0]), self.now());
        put(&mut self.store, queue, records, now).map(|first| first.to_string())
    }

    fn take(&mut self, words: &Words<'_>) -> Result<String, Rejection> {
        let take = Take {
            queue: self.queue(words.plain[0]),
            messages_max: words.plain[1].parse().expect("a number of messages"),
            bytes_max: words.number("bytes", 0) as u32,
            wait_ms: words.number("wait", 0) as u32,
            lease_ms: words.number("lease", 0) as u32,
            group: GroupId::DEFAULT,
            acknowledged: words.has("acknowledged"),
        };
        self.store.take(&take, self.now(), &mut self.taken)?;
        if self.taken.count > 0 || take.wait_ms == 0 {
            return Ok(self.delivery());
        }
        let asker = words.options.iter().find(|(key, _)| *key == "by").map_or("x", |(_, by)| by);
        let origin = Origin { shard: 0, peer: peer(asker), stream: 0, request: 0 };
        self.store.wait(&take, origin, self.now())?;
        Ok("waits".into())
    }

    /// What was taken, as text; numbers its lease.
    fn delivery(&mut self) -> String {
        if self.taken.count == 0 {
            return "nothing".into();
        }
        let run = |run: &ringway_shards::path::queue::TakenRun| {
            let deliveries = run.run.deliveries;
            let count = if deliveries == 1 { String::new() } else { format!("#{deliveries}") };
            let records = records_in(&run.slice);
            let texts: Vec<_> = records.iter().map(|(record, _)| text(record) + &count).collect();
            texts.join(" ")
        };
        let runs: Vec<_> = self.taken.runs.iter().map(run).collect();
        let runs = runs.join(" | ");
        // The answer has been sent: nothing refers to the segments any more.
        self.taken.runs.clear();
        if self.taken.lease == LeaseId::NONE {
            return runs;
        }
        self.leases.push(self.taken.lease);
        format!("lease {}: {runs}", self.leases.len())
    }

    fn lease(&self, word: &str) -> LeaseId {
        match word {
            "none" => LeaseId::NONE,
            "never" => LeaseId::new(7, 0, 99),
            "later" => LeaseId::new(self.leases[0].generation() + 9, 0, self.leases[0].slot()),
            number => self.leases[number.parse::<usize>().expect("a lease's number") - 1],
        }
    }

    fn settle(&mut self, verb: &str, words: &Words<'_>) -> Result<String, Rejection> {
        let range = |word: &&str| {
            let (first, count) = word.split_once('+').expect("FIRST+COUNT");
            (first.parse().expect("an index"), count.parse().expect("a count"))
        };
        let ranges: Vec<_> = words.plain[2..].iter().map(range).collect();
        let (queue, lease) = (self.queue(words.plain[0]), self.lease(words.plain[1]));
        let (mut room, mut verdicts) = (Vec::new(), Vec::new());
        let request = settle(queue, lease, &ranges, &mut room);
        let Settlement { settled, stale, unknown } = match verb {
            "ack" => self.store.ack(&request, self.now(), &mut verdicts)?,
            _ => self.store.nack(&request, self.now(), &mut verdicts)?,
        };
        let counts = [(settled, "settled"), (stale, "stale"), (unknown, "unknown")];
        let counts = counts.iter().filter(|(count, _)| *count > 0);
        let counts: Vec<_> = counts.map(|(count, name)| format!("{count} {name}")).collect();
        let verdicts: Vec<_> = verdicts
            .iter()
            .map(|range| {
                let verdict = match range.verdict {
                    Verdict::Settled => "settled",
                    Verdict::Stale => "stale",
                    Verdict::Unknown => "unknown",
                };
                format!("{}+{} {verdict}", range.first, range.count)
            })
            .collect();
        let colon = if verdicts.is_empty() { "" } else { ": " };
        Ok(format!("{}{colon}{}", counts.join(", "), verdicts.join(", ")))
    }

    fn release(&mut self, words: &Words<'_>) -> Result<String, Rejection> {
        self.store.release(self.queue(words.plain[0]), self.lease(words.plain[1]));
        Ok("ok".into())
    }

    fn answers(&mut self) -> String {
        let mut answers = Vec::new();
        while let Some(answer) = self.store.next_answer(self.now(), &mut self.taken) {
            let asker = char::from(answer.origin.peer as u8);
            let outcome = match answer.outcome {
                Ok(()) => self.delivery(),
                Err(rejection) => format!("{:?}", rejection.code),
            };
            answers.push(format!("{asker}: {outcome}"));
        }
        if answers.is_empty() { "none".into() } else { answers.join("; ") }
    }

    fn stat(&self, words: &Words<'_>) -> Result<String, Rejection> {
        if words.plain[0] == "all" {
            let (ready, leased) = self.store.ready_and_leased();
            return Ok(format!("{ready} ready, {leased} leased"));
        }
        let row = self.store.stat(self.queue(words.plain[0]), self.now())?;
        let figures: Vec<_> =
            words.plain[1..].iter().map(|column| figure(&row, column).to_string()).collect();
        Ok(figures.join(" "))
    }

    fn list(&self, prefix: &str) -> String {
        let mut entries = Vec::new();
        let mut from = Some(0);
        while let Some(slot) = from {
            from = self.store.list(slot, 2, prefix, &mut |entry| {
                entries.push(format!("{} {}/{}", entry.name, entry.ready, entry.leased));
            });
        }
        if entries.is_empty() { "none".into() } else { entries.join(", ") }
    }
}

/// An asker is one letter.
fn peer(asker: &str) -> u64 {
    u64::from(asker.as_bytes()[0])
}

/// `x*100` is a hundred times x; other words are themselves.
fn long(word: &str) -> String {
    match word.split_once('*') {
        Some((text, times)) => text.repeat(times.parse().expect("how many times")),
        None => word.into(),
    }
}

/// A payload as text, long ones shortened, after the headers that a dead letter has.
fn text(record: &ringway_protocol::Record<'_>) -> String {
    let payload = String::from_utf8_lossy(record.payload);
    let mut text = String::new();
    for attribute in record.attributes() {
        if let Attribute::Header { name, value } = attribute {
            let name = name.strip_prefix("ringway-").unwrap_or(name);
            text += &format!("{name}={} ", String::from_utf8_lossy(value));
        }
    }
    match payload.len() {
        0..20 => text + &payload,
        length => text + &payload[..1] + "*" + &length.to_string(),
    }
}
