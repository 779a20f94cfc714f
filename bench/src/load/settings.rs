//! What a run is asked to do, and what of it makes no sense.

use std::time::Duration;

use clap::ValueEnum;
use ringway_client::{FullPolicy, QueueOptions};
use ringway_protocol::frame::HEADER_BYTES;
use ringway_protocol::limits::{FRAME_BYTES_MAX, PAYLOAD_BYTES_MAX, TAKE_MESSAGES_MAX};
use ringway_protocol::record::RECORD_HEADER_BYTES;
use ringway_protocol::reply::{DELIVERY_BYTES, RUN_BYTES};
use serde::{Serialize, Serializer};

use crate::load::work::WorkOptions;

/// What is done again and again.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// Put messages; full queues drop their oldest.
    Put,
    /// Take messages from queues that were filled first; filling is not measured.
    Take,
    /// Put a message, take one, acknowledge it: three requests an operation.
    #[default]
    PutTake,
    /// Send bytes and get them back: no queue.
    Echo,
}

/// How a thread waits for replies.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum WaitMode {
    /// Look again and again: the shortest latency, a whole CPU a thread.
    #[default]
    Poll,
    /// Sleep in the kernel, as most programs do.
    Block,
}

/// Whose queues a connection uses.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Route {
    /// Any shard's.
    #[default]
    Any,
    /// Those of the shard that serves the connection.
    Own,
    /// Those of other shards: each request crosses cores on the server.
    Other,
}

/// How taken messages are acknowledged.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Acknowledge {
    /// They are taken under a lease, and a request acknowledges them.
    #[default]
    Lease,
    /// They are acknowledged as they leave the server.
    AtOnce,
}

/// A run of the load generator.
#[derive(Clone, Debug, Serialize)]
pub struct Settings {
    /// Where the server listens, `host:port`.
    pub address: String,
    /// What is done.
    pub operation: Operation,
    /// Bytes of a payload.
    pub size: usize,
    /// Messages of a request.
    pub batch: u32,
    /// Requests in flight on a connection.
    pub pipeline: u32,
    /// Connections in total.
    pub connections: usize,
    /// How long to measure.
    #[serde(rename = "duration_seconds", serialize_with = "seconds")]
    pub duration: Duration,
    /// How long to run before measuring.
    #[serde(rename = "warmup_seconds", serialize_with = "seconds")]
    pub warmup: Duration,
    /// Open loop: messages to begin a second, in total. `None` for a closed loop.
    pub rate: Option<f64>,
    /// Connect to the shards' own addresses in turn, and use the queues that live there.
    pub shard_aware: bool,
    /// Whose queues a connection uses.
    pub route: Route,
    /// How many queues; 0 for one a shard.
    pub queues: usize,
    /// What the queues' names start with.
    pub queue_prefix: String,
    /// The bound of each queue, in bytes.
    pub queue_bytes: u64,
    /// Threads of the generator.
    pub threads: usize,
    /// The CPUs that the threads are pinned to, in turn; empty to leave them alone.
    pub cpus: Vec<usize>,
    /// How a thread waits for replies.
    pub wait: WaitMode,
    /// How taken messages are acknowledged.
    pub acknowledge: Acknowledge,
    /// What is asked of the queues beyond that.
    #[serde(flatten)]
    pub work: WorkOptions,
    /// Leave the queues on the server afterwards.
    pub keep: bool,
    /// So long without any progress, requests in flight count as failed.
    #[serde(rename = "patience_seconds", serialize_with = "seconds")]
    pub patience: Duration,
    /// The access token; empty for none.
    #[serde(skip)]
    pub token: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            address: "127.0.0.1:7311".to_owned(),
            operation: Operation::default(),
            size: 100,
            batch: 1,
            pipeline: 64,
            connections: 50,
            duration: Duration::from_secs(10),
            warmup: Duration::from_secs(1),
            rate: None,
            shard_aware: false,
            route: Route::default(),
            queues: 0,
            queue_prefix: format!("load-{}/", std::process::id()),
            queue_bytes: 256 << 20,
            threads: 1,
            cpus: Vec::new(),
            wait: WaitMode::default(),
            acknowledge: Acknowledge::default(),
            work: WorkOptions::default(),
            keep: false,
            patience: Duration::from_secs(10),
            token: String::new(),
        }
    }
}

/// Most messages that one put or take of the generator carries while it fills queues.
const FILL_BATCH: u32 = 256;
/// Most bytes that the generator puts into all queues together before it takes them.
const FILL_BYTES_MAX: u64 = 1 << 30;

impl Settings {
    /// Says what makes no sense, as a sentence.
    pub fn check(&self) -> Result<(), String> {
        let positive = [
            ("--batch", u64::from(self.batch)),
            ("--pipeline", u64::from(self.pipeline)),
            ("--connections", self.connections as u64),
            ("--threads", self.threads as u64),
        ];
        if let Some((name, _)) = positive.iter().find(|(_, number)| *number == 0) {
            return Err(format!("{name} must be at least 1"));
        }
        if self.threads > self.connections {
            return Err("--threads is above --connections: each thread needs a connection".into());
        }
        if self.duration.is_zero() {
            return Err("--duration must be above zero".into());
        }
        if self.rate.is_some_and(|rate| rate.is_nan() || rate <= 0.0 || rate.is_infinite()) {
            return Err("--rate must be above zero messages a second".into());
        }
        if self.rate.is_some() && self.operation == Operation::Take {
            return Err("--op take has no --rate: it empties queues that were filled".into());
        }
        self.work.check(self)?;
        self.check_sizes()
    }

    fn check_sizes(&self) -> Result<(), String> {
        if self.operation == Operation::Echo {
            return match (self.size, self.batch) {
                (size, _) if size > FRAME_BYTES_MAX => Err("--size does not fit a frame".into()),
                (_, 1) => Ok(()),
                _ => Err("--op echo has no --batch: its body is one message".into()),
            };
        }
        if self.size > PAYLOAD_BYTES_MAX {
            return Err(format!("--size is above {PAYLOAD_BYTES_MAX} bytes, the longest message"));
        }
        if self.batch > TAKE_MESSAGES_MAX {
            return Err(format!("--batch is above {TAKE_MESSAGES_MAX}, the longest take"));
        }
        // A delivery may come in as many runs as it has messages.
        let batch = self.record_bytes() + RUN_BYTES as u64;
        if batch * u64::from(self.batch) > (FRAME_BYTES_MAX - DELIVERY_BYTES - HEADER_BYTES) as u64
        {
            return Err("--batch of that --size does not fit a frame of 1 MiB".into());
        }
        if self.operation == Operation::PutTake && self.rate.is_none() {
            let in_flight = self.connections as u64
                * u64::from(self.pipeline)
                * u64::from(self.batch)
                * self.record_bytes();
            if in_flight > self.queue_bytes / 2 * self.queues.max(1) as u64 {
                return Err("so many messages in flight would fill the queues: lower --pipeline, \
                            --batch or --connections, or raise --queue-bytes or --queues"
                    .into());
            }
        }
        Ok(())
    }

    /// Bytes of one message in wire format.
    pub fn record_bytes(&self) -> u64 {
        (RECORD_HEADER_BYTES + self.work.attributes_bytes() + self.size) as u64
    }

    /// Messages of one put: as asked for, or large batches where puts only fill queues. A multiple
    /// of the batch, so that as many whole takes empty a queue as were put.
    pub fn put_batch(&self) -> u32 {
        if self.operation != Operation::Take {
            return self.batch;
        }
        let fit = (FRAME_BYTES_MAX / 2) as u64 / self.record_bytes();
        (FILL_BATCH.min(fit as u32) / self.batch).max(1) * self.batch
    }

    /// Messages that each user of a queue fills it with, a multiple of the batch of a put.
    pub fn fill_messages(&self, queues: usize, users: usize) -> u64 {
        let bytes = (self.queue_bytes / 2).min(FILL_BYTES_MAX / queues.max(1) as u64);
        let put = u64::from(self.put_batch());
        (bytes / self.record_bytes() / users.max(1) as u64 / put).max(1) * put
    }

    /// The options of the queues: puts alone recycle the oldest, everything else must not lose any.
    pub fn queue_options(&self) -> QueueOptions {
        let options = QueueOptions {
            bytes_max: self.queue_bytes,
            // Never the tighter bound: a record has at least its header.
            messages_max: (self.queue_bytes / RECORD_HEADER_BYTES as u64).max(1),
            full_policy: match self.operation {
                Operation::Put => FullPolicy::DropOldest,
                _ => FullPolicy::Reject,
            },
            ..QueueOptions::default()
        };
        self.work.declared(options)
    }
}

/// Durations in documents.
pub(super) fn seconds<S: Serializer>(
    duration: &Duration,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

/// Reads a list of CPUs as people write it: `0,2-3`.
pub fn cpu_list(text: &str) -> Result<Vec<usize>, String> {
    let number = |part: &str| part.trim().parse::<usize>().ok().filter(|cpu| *cpu < 4096);
    let mut cpus = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        match (number(first), number(last)) {
            (Some(first), Some(last)) if first <= last => cpus.extend(first..=last),
            _ => return Err(format!("'{part}' is no CPU or range of CPUs; write it like 0,2-3")),
        }
    }
    Ok(cpus)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(change: impl FnOnce(&mut Settings)) -> Result<(), String> {
        let mut settings = Settings::default();
        change(&mut settings);
        settings.check()
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_the_option_that_is_wrong() {
        check(|_| ()).unwrap();
        check(|settings| settings.size = 0).unwrap();
        type Change = fn(&mut Settings);
        let wrong: [(&str, Change); 9] = [
            ("--batch", |settings| settings.batch = 0),
            ("--batch", |settings| settings.batch = 5000),
            ("--batch", |settings| (settings.batch, settings.size) = (4096, 1000)),
            ("--size", |settings| settings.size = 70_000),
            ("--threads", |settings| settings.threads = 51),
            ("--rate", |settings| settings.rate = Some(0.0)),
            ("--rate", |settings| {
                (settings.rate, settings.operation) = (Some(1.0), Operation::Take);
            }),
            ("--queue-bytes", |settings| (settings.queue_bytes, settings.size) = (1 << 20, 1000)),
            ("--op echo", |settings| {
                (settings.operation, settings.batch) = (Operation::Echo, 2);
            }),
        ];
        for (names, change) in wrong {
            let sentence = check(change).unwrap_err();
            assert!(sentence.contains(names), "{sentence}");
        }
    }

    #[test]
    fn cpus_are_read_as_people_write_them() {
        assert_eq!(cpu_list("0,2-4, 7"), Ok(vec![0, 2, 3, 4, 7]));
        for wrong in ["", "a", "3-1", "1,,2", "1-", "99999"] {
            assert!(cpu_list(wrong).is_err(), "{wrong}");
        }
    }
}
