//! Which queues are spread, over which parts, and which part a put goes to.

use crate::limits::MOVES_GO_ON_MS;
use ringway_protocol::request::Put;
use ringway_protocol::{Code, LeaseId, QueueId, Record, Rejection, SpreadOrder, Tags};
use std::collections::BTreeMap;
use std::rc::Rc;

/// The spread queues of the plane, as one shard knows them.
#[derive(Debug, Default)]
pub struct Spreads {
    /// By their ids. Ordered, since ids can be chosen to collide.
    queues: BTreeMap<QueueId, Rc<Spread>>,
    /// The queues of parts that do not have their queue's id.
    wholes: BTreeMap<QueueId, QueueId>,
    /// Where moves of their messages stopped that may go on.
    moves: BTreeMap<QueueId, Stop>,
    /// Counts what goes to the parts in turn.
    turn: usize,
}

/// Where a move of a queue's messages stopped.
#[derive(Clone, Copy, Debug)]
struct Stop {
    part: usize,
    digest: u64,
    until_ms: u64,
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
        let queue = spread.parts[0];
        // Two may have spread it at once, one of them less far.
        if self.queues.get(&queue).is_some_and(|known| known.parts.len() > spread.parts.len()) {
            return;
        }
        self.wholes.extend(spread.parts[1..].iter().map(|part| (*part, queue)));
        self.queues.insert(queue, Rc::new(spread));
    }

    /// The queue that a part belongs to, if the part has another id.
    pub fn whole(&self, part: QueueId) -> Option<QueueId> {
        self.wholes.get(&part).copied()
    }

    /// Forgets a queue that is gone.
    pub fn remove(&mut self, queue: QueueId) {
        self.moves.remove(&queue);
        if let Some(spread) = self.queues.remove(&queue) {
            spread.parts[1..].iter().for_each(|part| {
                self.wholes.remove(part);
            });
        }
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

    /// The part with which a move of some messages of a queue begins: where the last one for the
    /// same stopped, if that is not long ago.
    pub fn move_goes_on_at(&self, queue: QueueId, digest: u64, now_ms: u64) -> usize {
        let stop = self.moves.get(&queue);
        let same = stop.filter(|stop| stop.digest == digest && now_ms < stop.until_ms);
        same.map_or(0, |stop| stop.part)
    }

    /// A move stopped at a part, or has come to the end of the queue.
    pub fn note_move(&mut self, queue: QueueId, stopped: Option<(usize, u64)>, now_ms: u64) {
        match stopped.filter(|_| self.has(queue)) {
            Some((part, digest)) => {
                let until_ms = now_ms + MOVES_GO_ON_MS;
                self.moves.insert(queue, Stop { part, digest, until_ms });
            }
            None => drop(self.moves.remove(&queue)),
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use ringway_protocol::request::Producer;
    use ringway_protocol::{Attribute, Records, record};

    fn part(shard: u8) -> QueueId {
        QueueId::new(1, shard, 7)
    }

    /// Parts on shards 2, 3 and 0.
    fn spreads(order: SpreadOrder) -> Spreads {
        let mut spreads = Spreads::default();
        spreads.insert(Spread { parts: vec![part(2), part(3), part(0)], order });
        spreads
    }

    fn place(
        spreads: &mut Spreads,
        messages: &[&[Attribute<'_>]],
        producer: Option<Producer>,
        here: usize,
    ) -> Result<Placing, Code> {
        let mut bytes = Vec::new();
        messages.iter().for_each(|attributes| record::write(&mut bytes, attributes, b"message"));
        let records = Records::parse(&bytes, messages.len() as u32).expect("valid records");
        let put = Put { queue: part(2), producer, records };
        spreads.place(&put, here).expect("it is spread").map_err(|why| why.code)
    }

    #[test]
    fn plain_messages_stay_on_their_shard_or_go_round() {
        let mut spreads = spreads(SpreadOrder::Relaxed);
        for here in [0, 2, 3] {
            let placing = place(&mut spreads, &[&[], &[]], None, here);
            assert_eq!(placing, Ok(Placing::Whole(part(here as u8))));
        }
        let mut seen = Vec::new();
        for _ in 0..3 {
            let Ok(Placing::Whole(part)) = place(&mut spreads, &[&[]], None, 1) else {
                panic!("one message goes to one part")
            };
            seen.push(part);
        }
        seen.sort();
        assert_eq!(seen, [part(0), part(2), part(3)], "each in turn");
    }

    #[test]
    fn keys_decide_where_order_is_kept_by_key_alone() {
        let (a, b) = (&[Attribute::Key(b"a")][..], &[Attribute::Key(b"c")][..]);
        let mut relaxed = spreads(SpreadOrder::Relaxed);
        assert_eq!(place(&mut relaxed, &[a, b], None, 3), Ok(Placing::Whole(part(3))));
        let mut per_key = spreads(SpreadOrder::PerKey);
        let Ok(Placing::Whole(of_a)) = place(&mut per_key, &[a, a], None, 3) else {
            panic!("one key has one part")
        };
        for here in 0..4 {
            assert_eq!(place(&mut per_key, &[a], None, here), Ok(Placing::Whole(of_a)));
        }
        assert_eq!(place(&mut per_key, &[a, b], None, 2), Ok(Placing::Split(0)));
        assert_eq!(place(&mut per_key, &[&[], &[]], None, 0), Ok(Placing::Whole(part(0))));
    }

    #[test]
    fn repeats_go_where_they_are_known() {
        let mut spreads = spreads(SpreadOrder::PerKey);
        let id = &[Attribute::DeduplicationId(b"once")][..];
        let first = place(&mut spreads, &[id], None, 0);
        assert!((0..4).all(|here| place(&mut spreads, &[id], None, here) == first));
        let producer = Some(Producer { id: 77, sequence: 0 });
        let first = place(&mut spreads, &[&[], &[]], producer, 0);
        assert!(matches!(first, Ok(Placing::Whole(_))));
        assert!((0..4).all(|here| place(&mut spreads, &[&[]], producer, here) == first));
        let keyed = &[Attribute::Key(b"a")][..];
        assert_eq!(place(&mut spreads, &[keyed], producer, 0), Err(Code::Unsupported));
    }

    #[test]
    fn a_lease_names_its_part() {
        let spreads = spreads(SpreadOrder::Relaxed);
        assert_eq!(spreads.leased(part(2), LeaseId::new(1, 0, 5)), part(0));
        assert_eq!(spreads.leased(part(2), LeaseId::new(1, 1, 5)), part(2), "no such part");
        assert_eq!(spreads.leased(part(1), LeaseId::new(1, 0, 5)), part(1), "not spread");
    }
}
