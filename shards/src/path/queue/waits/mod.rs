//! Everything on a shard that waits: takes, subscriptions, puts that are held.
//!
//! Who waits at a group is in one of its lists (see `turns`), a held put in its queue's line (see
//! `hold`), and what has its answer in the list of answers that are due. Each is also in the list
//! of its asker, so that one that is gone gets nothing and holds nothing. Every list is made of
//! links between slots, so nothing here depends on how many wait.
//!
//! | file | what it knows |
//! |---|---|
//! | `turns` | who of a group is served next |
//! | `push`, `subscriptions` | messages are delivered as they come; credit and rates |
//! | `ending` | what was pushed comes back |
//! | `answers` | what those who wait are answered |

pub(super) mod answers;
pub(super) mod ending;
pub(super) mod push;
pub(super) mod subscriptions;
pub(super) mod turns;

use std::collections::HashMap;
use std::collections::hash_map::{DefaultHasher, Entry};
use std::hash::BuildHasherDefault;

use ringway_protocol::Rejection;
use ringway_protocol::request::Take;

use super::log::segment::NIL;
use crate::path::origin::Origin;
use crate::world::TimerId;

/// What somebody asks who waits.
#[derive(Clone, Copy, Debug)]
pub(super) enum Asks {
    Take(Take),
    /// For messages as they come; the slot of the subscription.
    Subscription(u32),
    /// A subscription that has ended, and the bytes of its credit.
    Ended(u32),
    /// For room; the slot of the held put.
    Put(u32),
    /// For nothing: its asker is the single active consumer of the group.
    Activity,
}

/// The list that a wait is in, beside its asker's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    Nowhere,
    /// Those of a group that can be served, in turn.
    Turn,
    /// Those of a group that another asker is the single active consumer of.
    Standby,
    /// Subscriptions of a group that may get nothing now.
    Idle,
    /// The held puts of a queue.
    Line,
    /// Those that have their answer.
    Due,
}

/// One of those who wait, or a free slot (then `next` is the next free one).
#[derive(Clone, Copy, Debug)]
pub(super) struct Wait {
    pub asks: Asks,
    pub place: Place,
    /// The slot of the queue, and the index of the group.
    pub queue: u32,
    pub group: u16,
    pub origin: Origin,
    /// When it has waited long enough; of a subscription, when its rate allows more.
    pub timer: Option<TimerId>,
    /// While it is in the turn of its group: messages that it can get at most.
    pub wanted: u32,
    /// Once it is due.
    pub outcome: Result<(), Rejection>,
    previous: u32,
    next: u32,
    asker_previous: u32,
    asker_next: u32,
}

/// Waits in their order.
#[derive(Clone, Copy, Debug)]
pub(super) struct WaitList {
    pub first: u32,
    last: u32,
}

impl WaitList {
    pub const EMPTY: WaitList = WaitList { first: NIL, last: NIL };

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.first == NIL
    }

    /// Whether it is the only one.
    #[inline]
    pub fn is_alone(&self, slot: u32) -> bool {
        self.first == slot && self.last == slot
    }

    #[inline]
    pub fn append(&mut self, waits: &mut Waits, slot: u32) {
        let last = std::mem::replace(&mut self.last, slot);
        let wait = &mut waits[slot];
        (wait.previous, wait.next) = (last, NIL);
        match last {
            NIL => self.first = slot,
            last => waits[last].next = slot,
        }
    }

    #[inline]
    pub fn unlink(&mut self, waits: &mut Waits, slot: u32) {
        let Wait { previous, next, .. } = waits[slot];
        match previous {
            NIL => self.first = next,
            previous => waits[previous].next = next,
        }
        match next {
            NIL => self.last = previous,
            next => waits[next].previous = previous,
        }
    }

    /// The slots, in order.
    pub fn slots<'a>(&self, waits: &'a Waits) -> impl Iterator<Item = u32> + use<'a> {
        let some = |slot: u32| (slot != NIL).then_some(slot);
        std::iter::successors(some(self.first), move |slot| some(waits[*slot].next))
    }
}

/// Who asks: a shard and a peer of it.
pub(super) type AskerName = (u8, u64);

/// One who asks, while anything of him waits.
#[derive(Clone, Copy, Default, Debug)]
struct Asker {
    first: u32,
    subscriptions: u32,
    /// Bytes of his held puts.
    held_bytes: u64,
}

/// Everything that waits on a shard.
#[derive(Debug)]
pub(super) struct Waits {
    slots: Vec<Wait>,
    free: u32,
    takes: usize,
    takes_max: usize,
    pub due: WaitList,
    /// Fixed keys: nothing here may differ from run to run.
    askers: HashMap<AskerName, Asker, BuildHasherDefault<DefaultHasher>>,
}

impl Waits {
    pub fn new(takes_max: usize) -> Self {
        let (slots, askers) = Default::default();
        Self { slots, free: NIL, takes: 0, takes_max, due: WaitList::EMPTY, askers }
    }

    /// Whether no more takes may wait.
    pub fn is_full(&self) -> bool {
        self.takes == self.takes_max
    }

    /// Lets somebody wait, in no list yet but his own.
    pub fn create(&mut self, asks: Asks, (queue, group): (u32, usize), origin: Origin) -> u32 {
        let slot = if self.free == NIL { self.slots.len() as u32 } else { self.free };
        let asker_next = match self.askers.entry(origin.asker()) {
            Entry::Occupied(mut asker) => std::mem::replace(&mut asker.get_mut().first, slot),
            Entry::Vacant(none) => {
                none.insert(Asker { first: slot, ..Asker::default() });
                NIL
            }
        };
        let wait = Wait {
            asks,
            place: Place::Nowhere,
            queue,
            group: group as u16,
            origin,
            timer: None,
            wanted: 0,
            outcome: Ok(()),
            previous: NIL,
            next: NIL,
            asker_previous: NIL,
            asker_next,
        };
        match self.slots.get_mut(slot as usize) {
            Some(free) => self.free = std::mem::replace(free, wait).next,
            None => self.slots.push(wait),
        }
        if asker_next != NIL {
            self[asker_next].asker_previous = slot;
        }
        self.takes += usize::from(matches!(asks, Asks::Take(_)));
        if let Asks::Subscription(_) = asks {
            self.asker(origin).subscriptions += 1;
        }
        slot
    }

    /// Forgets a wait that is in no list but its asker's.
    pub fn remove(&mut self, slot: u32) {
        let Wait { asks, origin, asker_previous, asker_next, .. } = self[slot];
        if let Asks::Subscription(_) | Asks::Ended(_) = asks {
            self.asker(origin).subscriptions -= 1;
        }
        match (asker_previous, asker_next) {
            (NIL, NIL) => drop(self.askers.remove(&origin.asker())),
            (NIL, next) => self.asker(origin).first = next,
            (previous, next) => self[previous].asker_next = next,
        }
        if asker_next != NIL {
            self[asker_next].asker_previous = asker_previous;
        }
        self.takes -= usize::from(matches!(asks, Asks::Take(_)));
        let free = self.free;
        let wait = &mut self[slot];
        (wait.place, wait.next) = (Place::Nowhere, free);
        self.free = slot;
    }

    fn asker(&mut self, origin: Origin) -> &mut Asker {
        self.askers.get_mut(&origin.asker()).expect("one who waits is known")
    }

    /// Everybody of whom anything waits.
    pub fn askers(&self) -> impl Iterator<Item = AskerName> {
        self.askers.keys().copied()
    }

    /// The latest wait of an asker, if there is any.
    #[inline]
    pub fn latest_of(&self, asker: AskerName) -> Option<u32> {
        self.askers.get(&asker).map(|asker| asker.first)
    }

    /// The wait of the same asker that was made before one.
    pub fn earlier_of_asker(&self, slot: u32) -> Option<u32> {
        let next = self[slot].asker_next;
        (next != NIL).then_some(next)
    }

    /// Every wait of an asker, the latest first.
    pub fn of_asker(&self, asker: AskerName) -> impl Iterator<Item = u32> {
        std::iter::successors(self.latest_of(asker), |slot| self.earlier_of_asker(*slot))
    }

    /// How many subscriptions an asker has, with those of whose end he has not heard yet.
    pub fn subscriptions(&self, asker: AskerName) -> u32 {
        self.askers.get(&asker).map_or(0, |asker| asker.subscriptions)
    }

    /// Bytes of the held puts of an asker.
    pub fn held_bytes(&self, asker: AskerName) -> u64 {
        self.askers.get(&asker).map_or(0, |asker| asker.held_bytes)
    }

    /// More or fewer bytes of puts are held for an asker of whom something waits.
    pub fn hold_bytes(&mut self, origin: Origin, more: i64) {
        let held = &mut self.asker(origin).held_bytes;
        *held = held.checked_add_signed(more).expect("what is let go was held");
    }

    /// A wait that is in no list but its asker's has its answer.
    pub fn give_answer(&mut self, slot: u32, outcome: Result<(), Rejection>) {
        let wait = &mut self[slot];
        debug_assert_eq!(wait.place, Place::Nowhere);
        (wait.place, wait.outcome) = (Place::Due, outcome);
        let mut due = self.due;
        due.append(self, slot);
        self.due = due;
    }

    /// Takes the first answer that is due out, with who waited for it.
    pub fn take_answer(&mut self) -> Option<Wait> {
        let slot = self.due.first;
        if slot == NIL {
            return None;
        }
        self.drop_answer(slot);
        let wait = self[slot];
        self.remove(slot);
        Some(wait)
    }

    /// Takes an answer out of those that are due.
    pub fn drop_answer(&mut self, slot: u32) {
        let mut due = self.due;
        due.unlink(self, slot);
        self.due = due;
    }
}

impl std::ops::Index<u32> for Waits {
    type Output = Wait;

    #[inline]
    fn index(&self, slot: u32) -> &Wait {
        &self.slots[slot as usize]
    }
}

impl std::ops::IndexMut<u32> for Waits {
    #[inline]
    fn index_mut(&mut self, slot: u32) -> &mut Wait {
        &mut self.slots[slot as usize]
    }
}
