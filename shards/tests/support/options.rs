//! The options of a queue as a case names them.

use ringway_protocol::options::PriorityOrder;
use ringway_protocol::{FullPolicy, QueueOptions};

use super::words::Words;

/// What a full queue does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Policy {
    Reject,
    DropOldest,
    Hold,
}

/// The options of a queue, in plain values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options {
    pub messages_max: u64,
    pub bytes_max: u64,
    pub lease_ms: u64,
    pub wait_max_ms: u64,
    pub deliveries_max: u64,
    pub policy: Policy,
    pub ttl_ms: u64,
    /// Whether what expires becomes a dead letter.
    pub dead_letter_expired: bool,
    /// Whether priorities are weighted, not strict.
    pub weighted: bool,
    pub backoff_ms: u64,
    pub backoff_max_ms: u64,
    pub dedup_ms: u64,
    pub dedup_max: u64,
    pub keep_ms: u64,
    pub keep_messages: u64,
    pub keep_bytes: u64,
    pub idle_ms: u64,
}

impl Options {
    /// What a queue has that is declared without options.
    pub fn defaults() -> Self {
        let defaults = QueueOptions::default();
        Self {
            messages_max: defaults.messages_max,
            bytes_max: defaults.bytes_max,
            lease_ms: defaults.lease_ms.into(),
            wait_max_ms: defaults.wait_max_ms.into(),
            deliveries_max: defaults.deliveries_max.into(),
            policy: Policy::Reject,
            ttl_ms: 0,
            dead_letter_expired: false,
            weighted: false,
            backoff_ms: 0,
            backoff_max_ms: 0,
            dedup_ms: 0,
            dedup_max: 0,
            keep_ms: 0,
            keep_messages: 0,
            keep_bytes: 0,
            idle_ms: 0,
        }
    }

    /// The options that words name; the defaults where they are silent.
    pub fn read(words: &Words<'_>, defaults: &Options) -> Self {
        let policy = match words.get("policy") {
            None => defaults.policy,
            Some("reject") => Policy::Reject,
            Some("drop-oldest") => Policy::DropOldest,
            Some("hold") => Policy::Hold,
            Some(other) => panic!("no policy is called {other}"),
        };
        Self {
            messages_max: words.number("messages", defaults.messages_max),
            bytes_max: words.number("bytes", defaults.bytes_max),
            lease_ms: words.ms("lease", defaults.lease_ms),
            wait_max_ms: words.ms("wait", defaults.wait_max_ms),
            deliveries_max: words.number("deliveries", defaults.deliveries_max),
            policy,
            ttl_ms: words.ms("ttl", defaults.ttl_ms),
            dead_letter_expired: words.get("expired") == Some("dead"),
            weighted: words.get("priority") == Some("weighted"),
            backoff_ms: words.ms("backoff", defaults.backoff_ms),
            backoff_max_ms: words.ms("backoff_max", defaults.backoff_max_ms),
            dedup_ms: words.ms("dedup", defaults.dedup_ms),
            dedup_max: words.number("dedup_max", defaults.dedup_max),
            keep_ms: words.ms("keep", defaults.keep_ms),
            keep_messages: words.number("keep_messages", defaults.keep_messages),
            keep_bytes: words.number("keep_bytes", defaults.keep_bytes),
            idle_ms: words.ms("idle", defaults.idle_ms),
        }
    }

    /// Whether done messages are kept for replay.
    pub fn keeps(&self) -> bool {
        self.keep_ms + self.keep_messages + self.keep_bytes > 0
    }

    /// As a case names them.
    pub fn off_the_wire(options: &QueueOptions) -> Self {
        Self {
            messages_max: options.messages_max,
            bytes_max: options.bytes_max,
            lease_ms: options.lease_ms.into(),
            wait_max_ms: options.wait_max_ms.into(),
            deliveries_max: options.deliveries_max.into(),
            policy: match options.full_policy {
                FullPolicy::Reject => Policy::Reject,
                FullPolicy::DropOldest => Policy::DropOldest,
                FullPolicy::Hold => Policy::Hold,
            },
            ttl_ms: options.ttl_ms,
            dead_letter_expired: options.dead_letter_expired,
            weighted: options.priority == PriorityOrder::Weighted,
            backoff_ms: options.backoff_ms.into(),
            backoff_max_ms: options.backoff_max_ms.into(),
            dedup_ms: options.dedup_ms.into(),
            dedup_max: options.dedup_max.into(),
            keep_ms: options.keep_ms,
            keep_messages: options.keep_messages,
            keep_bytes: options.keep_bytes,
            idle_ms: options.idle_ms,
        }
    }

    /// As the protocol has them.
    pub fn on_the_wire(&self) -> QueueOptions {
        QueueOptions {
            messages_max: self.messages_max,
            bytes_max: self.bytes_max,
            lease_ms: self.lease_ms as u32,
            wait_max_ms: self.wait_max_ms as u32,
            deliveries_max: self.deliveries_max as u32,
            full_policy: match self.policy {
                Policy::Reject => FullPolicy::Reject,
                Policy::DropOldest => FullPolicy::DropOldest,
                Policy::Hold => FullPolicy::Hold,
            },
            priority: match self.weighted {
                false => PriorityOrder::Strict,
                true => PriorityOrder::Weighted,
            },
            dead_letter_expired: self.dead_letter_expired,
            ttl_ms: self.ttl_ms,
            backoff_ms: self.backoff_ms as u32,
            backoff_max_ms: self.backoff_max_ms as u32,
            dedup_ms: self.dedup_ms as u32,
            dedup_max: self.dedup_max as u32,
            keep_ms: self.keep_ms,
            keep_messages: self.keep_messages,
            keep_bytes: self.keep_bytes,
            idle_ms: self.idle_ms,
            ..QueueOptions::default()
        }
    }
}
