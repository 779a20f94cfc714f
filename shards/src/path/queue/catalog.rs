//! The queues of a shard by name and by id: declare, open, list, rename, delete.
//!
//! An id is a slot and how many queues the slot has held, so an id outlives its queue without ever
//! naming another one.

use std::collections::BTreeMap;

use ringway_protocol::name::DEAD_LETTER_SUFFIX;
use ringway_protocol::reply::{Description, ListEntry};
use ringway_protocol::{Code, QueueId, QueueName, QueueOptions, Rejection};

use super::Store;
pub(super) use super::state::Queue;
use crate::world::prefetch;

/// Slots that one call of a listing looks at, at most.
const LISTED_PER_CALL_MAX: usize = 4096;

pub(super) const NO_SUCH_QUEUE: Rejection =
    Rejection::new(Code::NoSuchQueue, "no queue of this shard has that name or id");

#[derive(Debug, Default)]
struct Slot {
    incarnation: u32,
    queue: Option<Box<Queue>>,
}

/// Every queue of a shard.
#[derive(Debug)]
pub(super) struct Catalog {
    shard: u8,
    defaults: QueueOptions,
    queues_max: usize,
    seed: u64,
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// Ordered, so that names chosen to collide cost nothing.
    names: BTreeMap<QueueName, u32>,
}

impl Catalog {
    pub fn new(shard: u8, defaults: QueueOptions, queues_max: usize, seed: u64) -> Self {
        let (slots, free, names) = Default::default();
        Self { shard, defaults, queues_max, seed, slots, free, names }
    }

    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Every queue.
    pub fn iter(&self) -> impl Iterator<Item = &Queue> {
        self.slots.iter().filter_map(|slot| slot.queue.as_deref())
    }

    /// The shard that this is the catalog of.
    pub fn shard(&self) -> u8 {
        self.shard
    }

    /// Every queue.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Queue> {
        self.slots.iter_mut().filter_map(|slot| slot.queue.as_deref_mut())
    }

    /// Gives a queue another name that it can have and that nobody has.
    pub fn rename(&mut self, slot: u32, name: QueueName) {
        let queue = self.slots[slot as usize].queue.as_deref_mut().expect("a queue is renamed");
        let before = std::mem::replace(&mut queue.name, name.clone());
        self.names.remove(&before);
        self.names.insert(name, slot);
    }

    /// The slot of the queue of a name.
    pub fn named(&self, name: &QueueName) -> Option<u32> {
        self.names.get(name).copied()
    }

    /// Makes a queue, or finds it with the same options. `None` means the defaults, and fits any
    /// queue.
    pub fn declare(
        &mut self,
        name: &str,
        options: Option<QueueOptions>,
        part: u8,
    ) -> Result<(QueueId, bool), Rejection> {
        let name = QueueName::new(name)?;
        let options = options.map(|options| fit(&name, options)).transpose()?;
        if let Some(slot) = self.names.get(&name) {
            let queue = self.at(*slot);
            if options.is_some_and(|options| options != queue.options) {
                let sentence = "the queue exists with other options: declare it with the same \
                    options, or alter it";
                return Err(Rejection::new(Code::Conflict, sentence));
            }
            return Ok((queue.id, false));
        }
        let options = options.unwrap_or_else(|| without_dead_letters(&name, self.defaults));
        Ok((self.create(name, options, part)?, true))
    }

    fn create(
        &mut self,
        name: QueueName,
        options: QueueOptions,
        part: u8,
    ) -> Result<QueueId, Rejection> {
        if self.len() == self.queues_max {
            let sentence = "the shard has as many queues as it may have";
            return Err(Rejection::new(Code::ResourceExhausted, sentence));
        }
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            (self.slots.len() - 1) as u32
        });
        let place = &mut self.slots[slot as usize];
        place.incarnation += 1;
        let id = QueueId::new(place.incarnation, self.shard, slot);
        let queue = Queue::new(id, name.clone(), options, (self.seed, part));
        place.queue = Some(Box::new(queue));
        self.names.insert(name, slot);
        Ok(id)
    }

    pub fn open(&self, name: &str) -> Result<QueueId, Rejection> {
        let name = QueueName::new(name)?;
        self.names.get(&name).map(|slot| self.at(*slot).id).ok_or(NO_SUCH_QUEUE)
    }

    /// Visits queues from a slot on; says which slot comes next, `None` after the last.
    pub fn list(
        &self,
        from_slot: u32,
        limit: u32,
        prefix: &str,
        visit: &mut dyn FnMut(ListEntry<'_>),
    ) -> Option<u32> {
        let mut left = limit;
        let from = from_slot as usize;
        for (looked, slot) in self.slots.iter().skip(from).enumerate() {
            if left == 0 || looked == LISTED_PER_CALL_MAX {
                return Some((from + looked) as u32);
            }
            let Some(queue) = slot.queue.as_ref() else { continue };
            if queue.name.as_str().starts_with(prefix) {
                let (ready, leased) = (queue.ready(), queue.leased());
                visit(ListEntry { queue: queue.id, ready, leased, name: queue.name.as_str() });
                left -= 1;
            }
        }
        None
    }

    /// Takes a queue out. Its slot is used again unless it has used up its incarnations.
    pub fn remove(&mut self, id: QueueId) -> Result<Box<Queue>, Rejection> {
        self.get(id)?;
        let slot = &mut self.slots[id.slot()];
        let queue = slot.queue.take().expect("the id was just found");
        if slot.incarnation < u32::MAX {
            self.free.push(id.slot() as u32);
        }
        self.names.remove(&queue.name);
        Ok(queue)
    }

    #[inline]
    pub fn get(&self, id: QueueId) -> Result<&Queue, Rejection> {
        let queue = self.slots.get(id.slot()).and_then(|slot| slot.queue.as_deref());
        queue.filter(|queue| queue.id == id).ok_or(NO_SUCH_QUEUE)
    }

    #[inline]
    pub fn get_mut(&mut self, id: QueueId) -> Result<&mut Queue, Rejection> {
        let queue = self.slots.get_mut(id.slot()).and_then(|slot| slot.queue.as_deref_mut());
        queue.filter(|queue| queue.id == id).ok_or(NO_SUCH_QUEUE)
    }

    /// The queue in a slot, if there is one.
    pub fn find(&self, slot: u32) -> Option<&Queue> {
        self.slots.get(slot as usize)?.queue.as_deref()
    }

    /// Asks for what says where the queue in a slot is.
    #[inline]
    pub fn prefetch(&self, slot: u32) {
        prefetch(&self.slots[slot as usize]);
    }

    /// The queue in a slot that is known to hold one.
    #[inline]
    pub fn at(&self, slot: u32) -> &Queue {
        self.slots[slot as usize].queue.as_deref().expect("a named slot has a queue")
    }

    #[inline]
    pub fn at_mut(&mut self, slot: u32) -> &mut Queue {
        self.slots[slot as usize].queue.as_deref_mut().expect("a slot in use has a queue")
    }
}

/// Refuses options that a queue of this name cannot keep.
pub(super) fn fit(name: &QueueName, options: QueueOptions) -> Result<QueueOptions, Rejection> {
    options.check()?;
    if options.deliveries_max == 0 {
        return Ok(options);
    }
    if name.is_dead_letter() {
        return Err(Rejection::new(
            Code::InvalidOption,
            "a dead-letter queue has none of its own: deliveries_max must be 0",
        ));
    }
    if name.as_str().len() + DEAD_LETTER_SUFFIX.len() > ringway_protocol::limits::NAME_BYTES_MAX {
        return Err(Rejection::new(
            Code::InvalidName,
            "the name is too long for its dead-letter queue: shorten it or set deliveries_max to 0",
        ));
    }
    Ok(options)
}

/// The defaults, without a limit of deliveries where there can be no dead-letter queue.
fn without_dead_letters(name: &QueueName, defaults: QueueOptions) -> QueueOptions {
    let unlimited = QueueOptions { deliveries_max: 0, ..defaults };
    if fit(name, defaults).is_ok() { defaults } else { unlimited }
}

impl Store {
    /// Makes a queue, or finds it with the same options; the second value says whether it was made.
    /// Without options it gets the defaults, and an existing queue fits whatever its options are.
    pub fn declare(
        &mut self,
        name: &str,
        options: Option<QueueOptions>,
    ) -> Result<(QueueId, bool), Rejection> {
        self.declare_part(name, options, 0)
    }

    /// The same for a part of a spread queue, whose number its sequences carry.
    pub fn declare_part(
        &mut self,
        name: &str,
        options: Option<QueueOptions>,
        part: u8,
    ) -> Result<(QueueId, bool), Rejection> {
        let (id, made) = self.catalog.declare(name, options, part)?;
        if made {
            let queue = self.catalog.get_mut(id)?;
            queue.used_ns = self.uses.clock_ns;
            if let Some(ledger) = &mut self.uses.ledger {
                ledger.place(queue);
            }
            self.watch_use(id.slot() as u32);
        }
        Ok((id, made))
    }

    /// The options of a queue.
    pub fn options(&self, id: QueueId) -> Result<&QueueOptions, Rejection> {
        self.catalog.get(id).map(|queue| &queue.options)
    }

    /// What a queue is that has so many parts.
    pub fn describe(&self, id: QueueId, parts: u16) -> Result<Description<'_>, Rejection> {
        let Queue { options, pause, name, .. } = self.catalog.get(id)?;
        let (puts_paused, takes_paused) = (pause.puts, pause.takes);
        let (mut options, name) = (*options, name.as_str());
        // Dead letters are spread as their queue is, whatever they were declared with.
        options.spread = options.spread.max(if parts > 1 { parts } else { 0 });
        Ok(Description { options, puts_paused, takes_paused, parts, name })
    }

    /// The name of a queue.
    pub fn name(&self, id: QueueId) -> Result<&str, Rejection> {
        self.catalog.get(id).map(|queue| queue.name.as_str())
    }

    /// The id of a queue.
    pub fn open(&self, name: &str) -> Result<QueueId, Rejection> {
        self.catalog.open(name)
    }

    /// Visits up to `limit` queues whose names start with `prefix`, from a slot on. Returns the
    /// slot to go on from, `None` after the last. Looks at a bounded number of slots a call, so a
    /// page may be short.
    pub fn list(
        &self,
        from_slot: u32,
        limit: u32,
        prefix: &str,
        visit: &mut dyn FnMut(ListEntry<'_>),
    ) -> Option<u32> {
        self.catalog.list(from_slot, limit, prefix, visit)
    }
}
