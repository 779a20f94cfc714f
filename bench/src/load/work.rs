//! What a load asks of a queue beyond put, take and acknowledge: the options of `ringway load` that
//! turn on one thing each, so that its cost shows beside the same load without it.

use std::time::Duration;

use clap::ValueEnum;
use ringway_protocol::{Attribute, QueueOptions};
use serde::Serialize;

use crate::load::settings::{Acknowledge, Operation, Settings, seconds};

/// Most groups of a queue that a load makes.
const GROUPS_MAX: u32 = 64;
/// Longest delay: what a run can sensibly wait for.
const DELAY_MAX: Duration = Duration::from_secs(1800);
/// How long and for how many messages queues recognise a repeated put, when they are to.
const DEDUP_MS: u32 = 60_000;
const DEDUP_MESSAGES: u32 = 1_000_000;
/// How much longer than the delay a take waits for messages that are about to become due.
const WAIT_BEYOND_DELAY_MS: u32 = 1_000;
/// Most memory for puts that are encoded before the run, of one thread.
const ENCODED_BYTES_MAX: u64 = 256 << 20;

/// How repeated puts would be recognised.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Deduplication {
    /// Each connection is a producer that numbers its puts.
    Producer,
    /// Each message carries an id of its own.
    Id,
}

/// What is turned on.
#[derive(clap::Args, Clone, Debug, PartialEq, Serialize)]
pub struct WorkOptions {
    /// Give back so many percent of the messages at their first delivery
    #[arg(long, default_value_t = 0.0, value_name = "PERCENT")]
    pub nack_percent: f64,
    /// Give messages so many keys in turn; 0 for none
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub keys: u32,
    /// Declare queues that recognise repeated puts, and name each put or each message
    #[arg(long, value_enum, value_name = "BY", num_args = 0..=1,
          default_missing_value = "producer")]
    pub dedup: Option<Deduplication>,
    /// Take each message once in each of so many groups
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub groups: u32,
    /// Have messages pushed to subscriptions instead of taking them
    #[arg(long)]
    pub subscribe: bool,
    /// Have messages become ready so long after they were put, like 500ms
    #[arg(long, default_value = "0s", value_name = "TIME",
          value_parser = humantime::parse_duration)]
    #[serde(rename = "delay_seconds", serialize_with = "seconds")]
    pub delay: Duration,
    /// Declare queues that are spread over so many shards; 0 for not at all
    #[arg(long, default_value_t = 0, value_name = "SHARDS")]
    pub spread: u16,
}

impl Default for WorkOptions {
    fn default() -> Self {
        Self {
            nack_percent: 0.0,
            keys: 0,
            dedup: None,
            groups: 1,
            subscribe: false,
            delay: Duration::ZERO,
            spread: 0,
        }
    }
}

impl WorkOptions {
    /// Says what makes no sense, alone or with the other settings, as a sentence.
    pub fn check(&self, settings: &Settings) -> Result<(), String> {
        let Settings { operation, acknowledge, threads, .. } = *settings;
        let takes = matches!(operation, Operation::Take | Operation::PutTake);
        let leased = takes && acknowledge == Acknowledge::Lease;
        let gives_back = self.nack_percent != 0.0;
        let is_plain = *self == Self::default();
        let rules = [
            ((0.0..=100.0).contains(&self.nack_percent), "--nack-percent is 0 to 100"),
            (
                !gives_back || leased,
                "--nack-percent gives back what was taken under a lease: use \
                                    --op take or put-take with --acknowledge lease",
            ),
            ((1..=GROUPS_MAX).contains(&self.groups), "--groups is 1 to 64"),
            (self.groups == 1 || operation == Operation::PutTake, "--groups wants --op put-take"),
            (!self.subscribe || operation == Operation::PutTake, "--subscribe wants --op put-take"),
            (!self.subscribe || leased, "--subscribe wants --acknowledge lease"),
            (
                !self.subscribe || threads == 1,
                "--subscribe wants --threads 1: what one thread \
                                              puts may be pushed to another",
            ),
            (
                !self.subscribe || (self.groups == 1 && !gives_back),
                "--subscribe goes neither with \
                                                                    --groups nor with \
                                                                    --nack-percent",
            ),
            (self.delay <= DELAY_MAX, "--delay is at most 30 min"),
            (
                self.delay.is_zero() || operation != Operation::Take,
                "--delay does not go with --op \
                                                                   take, which fills queues first",
            ),
            (is_plain || operation != Operation::Echo, "--op echo knows no queues"),
            (
                self.encoded_bytes(settings) <= ENCODED_BYTES_MAX,
                "--keys of that number do not fit: \
                                                                lower --keys, --size or --queues",
            ),
        ];
        match rules.iter().find(|(holds, _)| !holds) {
            Some((_, sentence)) => Err((*sentence).to_owned()),
            None => Ok(()),
        }
    }

    /// `options` and what of it a queue has to be declared with.
    pub fn declared(&self, options: QueueOptions) -> QueueOptions {
        let (dedup_ms, dedup_max) = self.dedup.map_or((0, 0), |_| (DEDUP_MS, DEDUP_MESSAGES));
        let wait_max_ms = options.wait_max_ms.max(self.take_wait_ms());
        QueueOptions { dedup_ms, dedup_max, wait_max_ms, spread: self.spread, ..options }
    }

    /// How long a take waits: not at all, since what it takes was put before, unless that is
    /// delayed.
    pub fn take_wait_ms(&self) -> u32 {
        // Checked: half an hour of milliseconds fits.
        if self.delay.is_zero() { 0 } else { self.delay_ms() as u32 + WAIT_BEYOND_DELAY_MS }
    }

    /// The delay in milliseconds.
    pub fn delay_ms(&self) -> u64 {
        self.delay.as_millis() as u64
    }

    /// Bytes of the attributes of one message.
    pub fn attributes_bytes(&self) -> usize {
        let mut bytes = Vec::new();
        self.with_attributes(0, |attributes| attributes.iter().for_each(|a| a.encode(&mut bytes)));
        bytes.len()
    }

    /// Gives `use_them` the attributes of the load's message `number`; an id is the last.
    pub fn with_attributes<T>(
        &self,
        number: u64,
        use_them: impl FnOnce(&[Attribute<'_>]) -> T,
    ) -> T {
        let key = ((number % u64::from(self.keys.max(1))) as u32).to_le_bytes();
        let id = message_id(0, number);
        let mut attributes = Vec::new();
        if self.keys > 0 {
            attributes.push(Attribute::Key(&key));
        }
        if !self.delay.is_zero() {
            attributes.push(Attribute::DelayMs(self.delay_ms()));
        }
        if self.dedup == Some(Deduplication::Id) {
            attributes.push(Attribute::DeduplicationId(&id));
        }
        use_them(&attributes)
    }

    /// How many puts of a batch it takes until every key was there.
    pub fn puts_for_all_keys(&self, batch: u32) -> usize {
        self.keys.div_ceil(batch.max(1)).max(1) as usize
    }

    fn encoded_bytes(&self, settings: &Settings) -> u64 {
        let batch = settings.put_batch();
        let puts = self.puts_for_all_keys(batch) as u64 * settings.queues.max(1) as u64;
        puts.saturating_mul(u64::from(batch)).saturating_mul(settings.record_bytes())
    }
}

/// Bytes of a deduplication id.
pub const MESSAGE_ID_BYTES: usize = size_of::<u128>();

/// The deduplication id of one message of one producer.
pub fn message_id(producer: u64, number: u64) -> [u8; MESSAGE_ID_BYTES] {
    (u128::from(producer) << 64 | u128::from(number)).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_no_sense_is_refused_with_the_option_that_is_wrong() {
        type Change = fn(&mut Settings);
        let wrong: [(&str, Change); 14] = [
            ("--nack-percent", |s| s.work.nack_percent = 101.0),
            ("--nack-percent", |s| s.work.nack_percent = f64::NAN),
            ("--nack-percent", |s| {
                (s.work.nack_percent, s.acknowledge) = (1.0, Acknowledge::AtOnce);
            }),
            ("--nack-percent", |s| (s.work.nack_percent, s.operation) = (1.0, Operation::Put)),
            ("--groups", |s| s.work.groups = 0),
            ("--groups", |s| s.work.groups = 65),
            ("--groups", |s| (s.work.groups, s.operation) = (2, Operation::Take)),
            ("--subscribe", |s| (s.work.subscribe, s.operation) = (true, Operation::Put)),
            ("--threads", |s| (s.work.subscribe, s.threads) = (true, 2)),
            ("--groups", |s| (s.work.subscribe, s.work.groups) = (true, 2)),
            ("--delay", |s| s.work.delay = Duration::from_secs(7200)),
            ("--delay", |s| {
                (s.work.delay, s.operation) = (Duration::from_secs(1), Operation::Take);
            }),
            ("--op echo", |s| (s.work.keys, s.operation) = (1, Operation::Echo)),
            ("--keys", |s| s.work.keys = u32::MAX),
        ];
        for (names, change) in wrong {
            let mut settings = Settings::default();
            change(&mut settings);
            let sentence = settings.check().expect_err(names);
            assert!(sentence.contains(names), "{sentence}");
        }
    }

    #[test]
    fn what_scenarios_use_makes_sense() {
        let delay = Duration::from_secs(10);
        for work in [
            WorkOptions::default(),
            WorkOptions { nack_percent: 1.0, ..Default::default() },
            WorkOptions { keys: 10_000, dedup: Some(Deduplication::Id), ..Default::default() },
            WorkOptions { groups: 4, ..Default::default() },
            WorkOptions { subscribe: true, keys: 7, ..Default::default() },
            WorkOptions { delay, spread: 2, ..Default::default() },
        ] {
            let settings = Settings { work, batch: 256, pipeline: 8, ..Settings::default() };
            assert_eq!(settings.check(), Ok(()), "{:?}", settings.work);
        }
    }

    #[test]
    fn queues_are_declared_with_what_the_load_needs() {
        let plain = QueueOptions::default();
        assert_eq!(WorkOptions::default().declared(plain), plain);
        let delay = Duration::from_secs(600);
        let dedup = Some(Deduplication::Producer);
        let work = WorkOptions { delay, dedup, spread: 2, ..Default::default() };
        let declared = work.declared(plain);
        assert!(declared.dedup_ms > 0 && declared.dedup_max > 0 && declared.spread == 2);
        assert!(declared.wait_max_ms > 600_000 && work.take_wait_ms() > 600_000);
    }
}
