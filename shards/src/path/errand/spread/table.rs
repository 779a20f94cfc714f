//! Which queues are spread, over which parts, and which part a put goes to.

use ringway_protocol::request::Put;
use ringway_protocol::{Code, LeaseId, QueueId, Record, Rejection, SpreadOrder, Tags};
use std::collections::BTreeMap;
use std::rc::Rc;

/// The spread queues of the plane, as one shard knows them.
#[derive(Debug, Default)]
pub struct Spreads {
    /// By their ids. Ordered, since ids can be chosen to collide.
    queues: BTreeMap<QueueId, Rc<Spread>>,
    /// Counts what goes to the parts in turn.
    turn: usize,
}

/// One queue's parts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Spread {
    /// In the order of the shards; the first has the queue's id.
    pub parts: Vec<QueueId>,
    /// What order it keeps.
    pub order: SpreadOrder,
}

/// Where a put goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Placing {
    /// All of it to this part.
    Whole(QueueId),
    /// Its messages to several; those that nothing binds to a part go to the one of this index.
    Split(usize),
}

impl Spreads {
    /// Whether no queue is spread.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.queues.is_empty()
    }

    /// A queue's parts, if it is spread.
    #[inline]
    pub fn get(&self, queue: QueueId) -> Option<&Rc<Spread>> {
        self.queues.get(&queue)
    }

    /// Whether a queue is spread.
    #[inline]
    pub fn has(&self, queue: QueueId) -> bool {
        !self.is_empty() && self.queues.contains_key(&queue)
    }

    /// Notes a queue's parts.
    pub fn insert(&mut self, spread: Spread) {
        assert!(spread.parts.len() > 1, "a spread queue has several parts");
        self.queues.insert(spread.parts[0], Rc::new(spread));
    }

    /// Forgets a queue that is gone.
    pub fn remove(&mut self, queue: QueueId) {
        self.queues.remove(&queue);
    }

    /// The queue of a lease: the part on the lease's shard, if the queue is spread.
    pub fn leased(&self, queue: QueueId, lease: LeaseId) -> QueueId {
        self.queues.get(&queue).map_or(queue, |spread| {
            let part = spread.on(lease.shard()).unwrap_or(0);
            spread.parts[part]
        })
    }

    /// A queue's parts, or the queue itself if it is not spread.
    pub fn parts(&self, queue: QueueId) -> Vec<QueueId> {
        self.queues.get(&queue).map_or(vec![queue], |spread| spread.parts.clone())
    }

    /// Where a put goes that arrived on this shard, if its queue is spread.
    pub fn place(&mut self, put: &Put<'_>, here: usize) -> Option<Result<Placing, Rejection>> {
        let spread = self.queues.get(&put.queue)?.clone();
        let default = spread.on(here).unwrap_or_else(|| self.turn() % spread.parts.len());
        Some(spread.place(put, default))
    }

    /// A number that is another one each time.
    pub fn turn(&mut self) -> usize {
        self.turn = self.turn.wrapping_add(1);
        self.turn
    }
}

impl Spread {
    /// The index of the part on a shard.
    pub fn on(&self, shard: usize) -> Option<usize> {
        self.parts.iter().position(|part| part.shard() == shard)
    }

    fn place(&self, put: &Put<'_>, default: usize) -> Result<Placing, Rejection> {
        let tags = put.records.tags();
        let per_key = self.order == SpreadOrder::PerKey;
        if let Some(producer) = put.producer {
            if per_key && tags.meets(Tags::KEY) {
                let sentence = "a producer numbers messages of one part: put to a queue spread \
                                in order per key with deduplication ids instead";
                return Err(Rejection::new(Code::Unsupported, sentence));
            }
            // What repeats a batch is sent to the part that knows it.
            let part = self.of_bytes(&producer.id.to_le_bytes());
            return Ok(Placing::Whole(self.parts[part]));
        }
        let binding = if per_key { Tags::KEY | Tags::DEDUPLICATION } else { Tags::DEDUPLICATION };
        if !tags.meets(binding) {
            return Ok(Placing::Whole(self.parts[default]));
        }
        let mut places = put.records.iter().map(|record| self.of(&record, default));
        let first = places.next().expect("a put has messages");
        if places.all(|place| place == first) {
            return Ok(Placing::Whole(self.parts[first]));
        }
        Ok(Placing::Split(default))
    }

    /// The part that a message belongs to; what repeats it belongs to the same.
    pub fn of(&self, record: &Record<'_>, default: usize) -> usize {
        let traits = record.traits();
        let key = traits.key.filter(|_| self.order == SpreadOrder::PerKey);
        key.or(traits.deduplication).map_or(default, |bytes| self.of_bytes(bytes))
    }

    /// FNV-1a, with the high half folded in before the modulo, as names are hashed.
    fn of_bytes(&self, bytes: &[u8]) -> usize {
        let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
        });
        ((hash ^ hash >> 32) % self.parts.len() as u64) as usize
    }
}
