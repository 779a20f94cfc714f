//! Which queues a published name reaches: every binding of the plane, known to each of its shards.
//!
//! A binding is a pattern and a queue. The shard that owns the queue numbers its bindings and tells
//! the other shards, each of which keeps the whole table, so that a publish asks nobody. Changes of
//! one queue's bindings reach every shard in the order in which its owner made them.

mod tree;

use std::collections::BTreeMap;
use std::rc::Rc;

use ringway_protocol::{Code, QueueId, Rejection};

use self::tree::Tree;
use crate::limits::{BINDINGS_MAX, PUBLISH_QUEUES_MAX, PUBLISHED_NAMES_MAX, PUBLISHED_QUEUES_MAX};

/// The table of one shard.
///
/// Invariant: `numbers`, `table` and `tree` hold the same bindings; what is cached is what `tree`
/// finds.
#[derive(Debug, Default)]
pub struct Bindings {
    /// By number: the order of a listing, the same on every shard.
    table: BTreeMap<u64, (QueueId, Box<str>)>,
    /// By queue and pattern.
    numbers: BTreeMap<(QueueId, Box<str>), u64>,
    tree: Tree,
    /// How many numbers this shard has given.
    given: u64,
    /// What names published lately reach. Ordered, so that names chosen to collide cost nothing.
    published: BTreeMap<Box<str>, Rc<[QueueId]>>,
    /// Queues in all of `published` together.
    published_queues: usize,
}

impl Bindings {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there is none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Whether a queue has any.
    pub fn has(&self, queue: QueueId) -> bool {
        !self.table.is_empty() && self.of(queue).next().is_some()
    }

    fn of(&self, queue: QueueId) -> impl Iterator<Item = (&(QueueId, Box<str>), &u64)> {
        let from = (queue, Box::from(""));
        self.numbers.range(from..).take_while(move |((of, _), _)| *of == queue)
    }

    /// Binds a queue of this shard; returns the binding's number for the other shards, and whether
    /// it was made now. What other shards bind at this moment is not counted.
    pub fn bind(&mut self, queue: QueueId, pattern: &str) -> Result<(u64, bool), Rejection> {
        if let Some(number) = self.numbers.get(&(queue, Box::from(pattern))) {
            return Ok((*number, false));
        }
        if self.len() >= BINDINGS_MAX {
            let sentence = "the plane has as many bindings as it may have";
            return Err(Rejection::new(Code::ResourceExhausted, sentence));
        }
        self.given += 1;
        let number = (queue.shard() as u64) << 56 | self.given;
        self.insert(number, queue, pattern);
        Ok((number, true))
    }

    /// Notes a binding that its queue's shard has made; it may have been told before.
    pub fn insert(&mut self, number: u64, queue: QueueId, pattern: &str) {
        if self.numbers.insert((queue, pattern.into()), number).is_some() {
            return;
        }
        self.forget_published();
        self.table.insert(number, (queue, pattern.into()));
        self.tree.insert(pattern, queue);
    }

    /// Removes a binding; says whether it was there.
    pub fn remove(&mut self, queue: QueueId, pattern: &str) -> bool {
        let Some(number) = self.numbers.remove(&(queue, pattern.into())) else { return false };
        self.forget_published();
        self.table.remove(&number);
        self.tree.remove(pattern, queue);
        true
    }

    /// Removes every binding of a queue that is gone.
    pub fn forget(&mut self, queue: QueueId) {
        loop {
            let first = self.of(queue).next().map(|((_, pattern), _)| pattern.clone());
            let Some(pattern) = first else { break };
            self.remove(queue, &pattern);
        }
    }

    fn forget_published(&mut self) {
        self.published.clear();
        self.published_queues = 0;
    }

    /// The queues that a name reaches, each once, shard by shard.
    pub fn reached(&mut self, name: &str) -> Result<Rc<[QueueId]>, Rejection> {
        if let Some(queues) = self.published.get(name) {
            return Ok(queues.clone());
        }
        let mut queues = Vec::new();
        self.tree.visit(name, &mut |found| queues.extend_from_slice(found));
        queues.sort_unstable_by_key(|queue| (queue.shard(), *queue));
        queues.dedup();
        if queues.len() > PUBLISH_QUEUES_MAX {
            let sentence = "the name is bound to more than 1,024 queues";
            return Err(Rejection::new(Code::TooLarge, sentence));
        }
        let full = self.published.len() >= PUBLISHED_NAMES_MAX
            || self.published_queues + queues.len() > PUBLISHED_QUEUES_MAX;
        if full {
            self.forget_published();
        }
        let queues: Rc<[QueueId]> = queues.into();
        self.published_queues += queues.len();
        self.published.insert(name.into(), queues.clone());
        Ok(queues)
    }

    /// At most `limit` bindings from a number on, and the number to go on from, 0 after the last.
    pub fn page(&self, from: u64, limit: u32) -> (Vec<(QueueId, &str)>, u64) {
        let mut rest = self.table.range(from..);
        let entries = rest.by_ref().take(limit as usize);
        let page = entries.map(|(_, (queue, pattern))| (*queue, &**pattern)).collect();
        (page, rest.next().map_or(0, |(number, _)| *number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(slot: u32) -> QueueId {
        QueueId::new(1, 2, slot)
    }

    fn reached(bindings: &mut Bindings, name: &str) -> Vec<usize> {
        let queues = bindings.reached(name).expect("few queues");
        queues.iter().map(|queue| queue.slot()).collect()
    }

    #[test]
    fn a_name_reaches_each_queue_once_until_the_table_changes() {
        let mut bindings = Bindings::default();
        for (slot, pattern) in [(7, "orders.*"), (7, "orders.>"), (3, "*.new"), (9, "stock/>")] {
            assert!(bindings.bind(queue(slot), pattern).expect("room").1);
        }
        let (_, first) = bindings.page(0, 1);
        assert!(first > 0 && bindings.bind(queue(7), "orders.*") == Ok((first - 1, false)));
        assert_eq!(reached(&mut bindings, "orders.new"), [3, 7]);
        assert_eq!(reached(&mut bindings, "orders.new"), [3, 7], "from the cache");
        assert!(bindings.remove(queue(3), "*.new") && !bindings.remove(queue(3), "*.new"));
        assert_eq!(reached(&mut bindings, "orders.new"), [7]);
        bindings.forget(queue(7));
        assert_eq!(reached(&mut bindings, "orders.new"), [0_usize; 0]);
        assert!(bindings.has(queue(9)) && !bindings.has(queue(7)));
        assert_eq!((bindings.len(), bindings.tree.is_empty()), (1, false));
        bindings.forget(queue(9));
        assert!(bindings.is_empty() && bindings.tree.is_empty(), "no branch is left behind");
    }

    #[test]
    fn pages_follow_the_numbers_of_the_bindings() {
        let mut bindings = Bindings::default();
        for slot in 0..5 {
            bindings.insert(10 * u64::from(slot) + 1, queue(slot), "a.>");
        }
        let page = |from, limit| {
            let (page, next) = bindings.page(from, limit);
            assert!(page.iter().all(|(_, pattern)| *pattern == "a.>"));
            (page.iter().map(|(queue, _)| queue.slot()).collect::<Vec<_>>(), next)
        };
        assert_eq!(page(0, 3), (vec![0, 1, 2], 31));
        assert_eq!(page(31, 2), (vec![3, 4], 0), "0 after the last");
        assert_eq!(page(42, 2), (vec![], 0));
    }

    #[test]
    fn what_is_remembered_of_published_names_is_bounded() {
        let mut bindings = Bindings::default();
        bindings.bind(queue(1), ">").expect("room");
        for number in 0..3 * PUBLISHED_NAMES_MAX {
            assert_eq!(reached(&mut bindings, &format!("name.{number}")), [1]);
        }
        assert!(bindings.published.len() <= PUBLISHED_NAMES_MAX);
        for slot in 0..PUBLISH_QUEUES_MAX as u32 {
            bindings.bind(queue(slot), "all").expect("room");
        }
        assert_eq!(reached(&mut bindings, "all").len(), PUBLISH_QUEUES_MAX);
        bindings.bind(queue(1 << 20), "all").expect("room");
        let refused = bindings.reached("all").map_err(|why| why.code);
        assert_eq!(refused, Err(Code::TooLarge));
    }
}
