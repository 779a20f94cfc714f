//! One queue: all that it consists of. What few queues have is in boxes, so that one that is idle
//! costs little.

use ringway_protocol::{QueueId, QueueName, QueueOptions};

use super::admin::moving::Progress;
use super::groups::{Counters as GroupCounters, Groups};
use super::keys::Keys;
use super::log::bands::Bands;
use super::put::dedup::{Producers, ProducersConfig, Window};
use super::put::hold::Line;
use super::rarely::Rarely;
use super::rate::Meter;
use super::stat::Counters;
use crate::limits::{PRODUCER_BATCHES_MAX, PRODUCERS_MAX};
use crate::world::TimerId;

/// One queue. Invariant: see [`Queue::check`].
#[derive(Debug)]
pub(super) struct Queue {
    pub id: QueueId,
    pub name: QueueName,
    pub options: QueueOptions,
    pub bands: Bands,
    pub groups: Groups,
    /// Its keys, once a message had one.
    pub keys: Option<Box<Keys>>,
    /// What it remembers of earlier puts, once it had to.
    memory: Option<Box<Memory>>,
    /// What hashes of keys and of deduplication ids depend on.
    pub seed: u64,
    /// Whether a message with a time to live of its own was put since the queue was empty.
    pub mortal: bool,
    /// Whether a put has to look at more than the bounds: see [`Queue::is_careful`].
    special: bool,
    pub pause: Pause,
    /// A bit for each of the plane's quotas that the queue's name comes under.
    pub quotas: u32,
    /// When somebody did something with it last, or it held something last.
    pub used_ns: u64,
    /// Armed while the queue has a time to live and holds something.
    pub lifetimes: Option<TimerId>,
    rare: Option<Box<Rare>>,
    /// Messages put, a second.
    pub puts: Meter,
    /// Messages acknowledged, a second.
    pub acks: Meter,
    pub counters: Counters,
    /// Its dead-letter queue, once one was needed; it may have been deleted since.
    pub dead_letters: Option<QueueId>,
    /// Whether it is among the queues that wait for sends to end.
    pub lingering: bool,
    /// Puts that wait for room.
    pub line: Rarely<Line>,
}

/// What of a queue is paused.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(super) struct Pause {
    pub puts: bool,
    pub takes: bool,
}

/// What a queue remembers of earlier puts.
#[derive(Debug)]
pub(super) struct Memory {
    pub window: Window,
    pub producers: Producers,
}

/// What few queues need.
#[derive(Debug, Default)]
pub(super) struct Rare {
    /// Armed while the queue has an age up to which it keeps what is done, and holds something.
    pub kept: Option<TimerId>,
    /// Armed while the queue goes by itself when nobody uses it.
    pub idle: Option<TimerId>,
    /// Armed while the queue remembers earlier puts.
    pub memory: Option<TimerId>,
    /// Where the last move of some of its messages stopped, if there was more to look at.
    pub moves: Option<Progress>,
    /// What groups have counted that are gone.
    pub gone_groups: GroupCounters,
    /// What its shard has published that it holds: messages and bytes.
    pub published: (u64, u64),
    /// Whether that is to be published anew.
    pub stirred: bool,
}

impl Queue {
    /// An empty queue.
    pub fn new(
        id: QueueId,
        name: QueueName,
        options: QueueOptions,
        (seed, part): (u64, u8),
    ) -> Self {
        let mut queue = Self {
            id,
            name,
            options,
            bands: Bands::new(options.keeps(), part),
            groups: Groups::new(),
            keys: None,
            memory: None,
            seed,
            mortal: false,
            special: false,
            pause: Pause::default(),
            quotas: 0,
            used_ns: 0,
            lifetimes: None,
            rare: None,
            puts: Meter::new(),
            acks: Meter::new(),
            counters: Counters::default(),
            dead_letters: None,
            lingering: false,
            line: Rarely::new(),
        };
        queue.note_specialities();
        queue
    }

    /// What few queues need, made if it is not there yet.
    #[cold]
    pub fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    /// What few queues need, if it is there.
    #[inline]
    pub fn known_rare(&self) -> Option<&Rare> {
        self.rare.as_deref()
    }

    /// Its options are others, or its pause or its quotas.
    pub fn note_specialities(&mut self) {
        let timed = self.options.ttl_ms > 0 || self.options.keep_ms > 0;
        self.special = timed || self.pause.puts || self.quotas != 0;
    }

    /// Its keys, made if there are none yet.
    pub fn keys(&mut self) -> &mut Keys {
        self.keys.get_or_insert_with(|| Box::new(Keys::new(self.seed)))
    }

    /// What it remembers of earlier puts, if it had to remember any.
    pub fn known_memory(&mut self) -> &mut Option<Box<Memory>> {
        &mut self.memory
    }

    /// What it remembers of earlier puts.
    pub fn memory(&mut self) -> &mut Memory {
        let Self { options, seed, .. } = self;
        self.memory.get_or_insert_with(|| {
            let window_ms = u64::from(options.dedup_ms);
            Box::new(Memory {
                window: Window::new(*seed, window_ms, options.dedup_messages()),
                producers: Producers::new(ProducersConfig {
                    window_ms,
                    batches_max: PRODUCER_BATCHES_MAX,
                    silence_ms: window_ms,
                    producers_max: PRODUCERS_MAX,
                }),
            })
        })
    }

    /// Whether a put needs more than the short way although its messages are plain.
    #[inline]
    pub fn is_careful(&self) -> bool {
        self.line.puts > 0 || self.special && self.has_to_look()
    }

    fn has_to_look(&self) -> bool {
        self.pause.puts
            || self.quotas != 0
            || self.options.ttl_ms > 0 && self.lifetimes.is_none()
            || self.keeps_unwatched()
    }
}
