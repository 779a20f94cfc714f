//! The leases of a shard: who holds which messages until when.
//!
//! A lease's id is its slot and the slot's generation, so a lease that ended and one that never was
//! are told apart without remembering either. A generation is used once: a slot that has used all
//! of them is retired, so that an old id never names a new lease.
//!
//! | file | what it knows |
//! |---|---|
//! | `deadline`, `extend` | when a lease ends; it lasts longer |
//! | `settle` | ack, nack, release |
//! | `returned`, `delayed` | what comes back, at once or later |
//! | `backoff` | how long a message waits that was given back |
//! | `dead_letters` | messages that nobody could use |

pub(super) mod backoff;
pub(super) mod dead_letters;
mod deadline;
pub(super) mod delayed;
pub(super) mod extend;
pub(super) mod returned;
pub(super) mod settle;

use ringway_protocol::LeaseId;
use ringway_protocol::request::Settle;

use super::log::piece::Piece;
use super::log::segment::NIL;
use crate::world::TimerId;

/// Vectors of pieces, and of bits, that ended leases leave to later ones.
const SPARES_MAX: usize = 4096;

/// One lease, or a free slot (then `queue` is `NIL` and `next` the next free slot).
///
/// Invariant: unsettled = messages whose bit is not set, and it is above 0 while the lease lives.
#[derive(Debug)]
pub(super) struct Lease {
    generation: u32,
    /// The slot of its queue, and the index of its group.
    pub queue: u32,
    pub group: u16,
    /// The slot of its subscription, or `NIL`.
    pub subscription: u32,
    /// When it ends.
    pub ends_ns: u64,
    /// What wakes the slot when its lease ends. It stays armed for the next lease of the slot,
    /// which moves it.
    timer: Option<TimerId>,
    pub messages: u32,
    pub unsettled: u32,
    first: Piece,
    more: Vec<Piece>,
    /// A bit for each message, set when it is settled: the first 64, or all of them if there are
    /// more.
    settled: u64,
    settled_many: Vec<u64>,
    /// Neighbours in the list of the group's leases.
    previous: u32,
    next: u32,
    /// Neighbours in the list of its subscription, if it has one.
    pub fellows: (u32, u32),
}

impl Lease {
    /// The pieces in the order of delivery.
    #[inline]
    pub fn pieces(&self) -> impl Iterator<Item = &Piece> {
        std::iter::once(&self.first).chain(&self.more)
    }

    #[inline]
    pub fn pieces_len(&self) -> usize {
        1 + self.more.len()
    }

    #[inline]
    pub fn piece(&self, index: usize) -> Piece {
        if index == 0 { self.first } else { self.more[index - 1] }
    }

    /// Its group and its piece, if it has only one and no subscription has it.
    #[inline]
    pub fn only_piece(&self) -> Option<(usize, Piece)> {
        let only = self.more.is_empty() && self.subscription == NIL;
        only.then_some((usize::from(self.group), self.first))
    }

    fn bits(&mut self) -> &mut [u64] {
        if self.messages <= 64 {
            std::slice::from_mut(&mut self.settled)
        } else {
            &mut self.settled_many
        }
    }

    /// Whether a message is settled.
    pub fn is_settled(&self, index: u32) -> bool {
        let bits = match self.messages <= 64 {
            true => std::slice::from_ref(&self.settled),
            false => &self.settled_many,
        };
        bits[index as usize / 64] >> (index % 64) & 1 == 1
    }

    /// Whether it has all of these messages, and none is settled.
    pub fn has_unsettled(&self, first: u32, count: u32) -> bool {
        first.checked_add(count).is_some_and(|end| end <= self.messages)
            && (first..first + count).all(|index| !self.is_settled(index))
    }

    /// Visits a range's stretches of settled and unsettled messages in order, then marks all of it
    /// settled.
    pub fn claim(&mut self, first: u32, count: u32, mut visit: impl FnMut(u32, u32, bool)) {
        debug_assert!(count > 0 && first + count <= self.messages);
        let (mut at, end) = (first, first + count);
        let mut newly = 0;
        let bits = self.bits();
        let mut stretch = (first, false);
        while at < end {
            let word = bits[at as usize / 64] >> (at % 64);
            let was_settled = word & 1 == 1;
            let alike = if was_settled { word.trailing_ones() } else { word.trailing_zeros() };
            let length = alike.min(64 - at % 64).min(end - at);
            if was_settled != stretch.1 {
                if at > stretch.0 {
                    visit(stretch.0, at - stretch.0, stretch.1);
                }
                stretch = (at, was_settled);
            }
            if !was_settled {
                let mask = if length == 64 { u64::MAX } else { ((1 << length) - 1) << (at % 64) };
                bits[at as usize / 64] |= mask;
                newly += length;
            }
            at += length;
        }
        visit(stretch.0, end - stretch.0, stretch.1);
        self.unsettled -= newly;
    }
}

/// What a lease's id names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Found {
    /// A lease of this queue, in this slot.
    Live(u32),
    /// A lease that has ended.
    Stale,
    /// No lease that ever was, or another queue's.
    Unknown,
}

/// Every lease of a shard.
#[derive(Debug)]
pub(super) struct Leases {
    shard: u8,
    slots: Vec<Lease>,
    free: u32,
    active: usize,
    active_max: usize,
    spare_pieces: Vec<Vec<Piece>>,
    spare_bits: Vec<Vec<u64>>,
}

impl Leases {
    pub fn new(shard: u8, active_max: usize) -> Self {
        let (spare_pieces, spare_bits) = Default::default();
        let slots = Vec::new();
        Self { shard, slots, free: NIL, active: 0, active_max, spare_pieces, spare_bits }
    }

    #[inline]
    pub fn is_full(&self) -> bool {
        self.active == self.active_max
    }

    /// Makes a lease of at least one piece and puts it in front of its group's list.
    #[inline(always)]
    pub fn grant(
        &mut self,
        (queue, group): (u32, usize),
        list: &mut u32,
        pieces: &[Piece],
        messages: u32,
    ) -> LeaseId {
        let slot = if self.free == NIL { self.create(pieces[0]) } else { self.free };
        let next = *list;
        if next != NIL {
            self[next].previous = slot;
        }
        *list = slot;
        let lease = &mut self.slots[slot as usize];
        self.free = lease.next;
        self.active += 1;
        lease.generation += 1;
        (lease.queue, lease.group) = (queue, group as u16);
        (lease.messages, lease.unsettled) = (messages, messages);
        (lease.previous, lease.next) = (NIL, next);
        lease.first = pieces[0];
        (lease.settled, lease.subscription) = (0, NIL);
        if pieces.len() > 1 {
            lease.more = self.spare_pieces.pop().unwrap_or_default();
            lease.more.extend_from_slice(&pieces[1..]);
        }
        if messages > 64 {
            lease.settled_many = self.spare_bits.pop().unwrap_or_default();
            lease.settled_many.resize((messages as usize).div_ceil(64), 0);
        }
        LeaseId::new(lease.generation, self.shard, slot)
    }

    #[cold]
    fn create(&mut self, piece: Piece) -> u32 {
        self.slots.push(Lease {
            generation: 0,
            queue: NIL,
            group: 0,
            subscription: NIL,
            ends_ns: 0,
            timer: None,
            messages: 0,
            unsettled: 0,
            first: piece,
            more: Vec::new(),
            settled: 0,
            settled_many: Vec::new(),
            previous: NIL,
            next: NIL,
            fellows: (NIL, NIL),
        });
        (self.slots.len() - 1) as u32
    }

    /// The leases that live, from a slot on, and the free slots between them.
    pub fn iter_from(&self, slot: u32) -> impl Iterator<Item = (u32, &Lease)> {
        (slot..).zip(self.slots.iter().skip(slot as usize))
    }

    /// What an id names for a queue.
    #[inline]
    pub fn find(&self, queue: u32, id: LeaseId) -> Found {
        let Some(lease) = self.slots.get(id.slot() as usize) else {
            return Found::Unknown;
        };
        if id.generation() == lease.generation && lease.queue == queue {
            return Found::Live(id.slot());
        }
        let ended = lease.queue == NIL || id.generation() < lease.generation;
        match id.generation() {
            0 => Found::Unknown,
            generation if ended && generation <= lease.generation => Found::Stale,
            _ => Found::Unknown,
        }
    }

    /// The slot of a lease all of which is named and unsettled: the usual acknowledgement.
    #[inline]
    pub fn whole(&self, settle: &Settle<'_>) -> Option<u32> {
        let Found::Live(slot) = self.find(settle.queue.slot() as u32, settle.lease) else {
            return None;
        };
        let lease = &self[slot];
        let named = settle.ranges.len() == 1
            && settle.ranges.iter().all(|range| (range.first, range.count) == (0, lease.messages));
        (named && lease.unsettled == lease.messages).then_some(slot)
    }

    /// Ends a lease: its id is stale from now on.
    #[inline]
    pub fn end(&mut self, slot: u32, list: &mut u32) {
        let Lease { previous, next, .. } = self[slot];
        match previous {
            NIL => *list = next,
            previous => self[previous].next = next,
        }
        if next != NIL {
            self[next].previous = previous;
        }
        let lease = &mut self.slots[slot as usize];
        lease.queue = NIL;
        if !lease.more.is_empty() {
            keep(&mut self.spare_pieces, std::mem::take(&mut lease.more));
        }
        if !lease.settled_many.is_empty() {
            keep(&mut self.spare_bits, std::mem::take(&mut lease.settled_many));
        }
        self.active -= 1;
        if lease.generation < u32::MAX {
            lease.next = self.free;
            self.free = slot;
        }
    }
}

/// Keeps an emptied vector's memory for a later lease, up to a limit.
fn keep<T>(spares: &mut Vec<Vec<T>>, mut spare: Vec<T>) {
    if spares.len() < SPARES_MAX {
        spare.clear();
        spares.push(spare);
    }
}

impl std::ops::Index<u32> for Leases {
    type Output = Lease;

    #[inline]
    fn index(&self, slot: u32) -> &Lease {
        &self.slots[slot as usize]
    }
}

impl std::ops::IndexMut<u32> for Leases {
    #[inline]
    fn index_mut(&mut self, slot: u32) -> &mut Lease {
        &mut self.slots[slot as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIECE: Piece = Piece {
        sequence: 0,
        segment: 0,
        offset: 0,
        bytes: 8,
        count: 1,
        deliveries: 1,
        first_ms: 0,
    };

    #[test]
    fn a_generation_is_used_once_even_after_the_last() {
        let (mut leases, mut list) = (Leases::new(0, 10), NIL);
        let first = leases.grant((0, 0), &mut list, &[PIECE], 1);
        leases.end(first.slot(), &mut list);
        leases.slots[0].generation = u32::MAX - 1;
        let last = leases.grant((0, 0), &mut list, &[PIECE], 1);
        assert_eq!((last.slot(), last.generation()), (0, u32::MAX));
        leases.end(0, &mut list);
        let next = leases.grant((0, 0), &mut list, &[PIECE], 1);
        assert_eq!((next.slot(), next.generation()), (1, 1), "the slot is retired");
        assert_eq!(leases.find(0, first), Found::Stale);
        assert_eq!(leases.find(0, last), Found::Stale);
        assert_eq!(leases.find(0, next), Found::Live(1));
    }

    #[test]
    fn an_id_is_live_stale_or_unknown() {
        let (mut leases, mut list) = (Leases::new(0, 10), NIL);
        assert_eq!(leases.find(0, LeaseId::NONE), Found::Unknown);
        let first = leases.grant((5, 0), &mut list, &[PIECE], 1);
        assert_eq!(leases.find(5, first), Found::Live(0));
        assert_eq!(leases.find(6, first), Found::Unknown, "another queue's");
        assert_eq!(leases.find(5, LeaseId::NONE), Found::Unknown);
        assert_eq!(leases.find(5, LeaseId::new(2, 0, 0)), Found::Unknown, "a later one");
        leases.end(0, &mut list);
        assert_eq!(leases.find(5, first), Found::Stale);
        assert_eq!(leases.find(5, LeaseId::new(2, 0, 0)), Found::Unknown);
        let second = leases.grant((6, 0), &mut list, &[PIECE], 1);
        assert_eq!((leases.find(5, first), leases.find(6, second)), (Found::Stale, Found::Live(0)));
    }

    #[test]
    fn claims_are_settled_once_across_words() {
        let (mut leases, mut list) = (Leases::new(0, 10), NIL);
        let slot = leases.grant((0, 0), &mut list, &[Piece { count: 200, ..PIECE }], 200).slot();
        let mut claim = |first, count| {
            let mut seen = Vec::new();
            leases[slot].claim(first, count, |first, count, was| seen.push((first, count, was)));
            (seen, leases[slot].unsettled)
        };
        assert_eq!(claim(60, 10), (vec![(60, 10, false)], 190));
        assert_eq!(claim(64, 64), (vec![(64, 6, true), (70, 58, false)], 132));
        let all = vec![(0, 60, false), (60, 68, true), (128, 72, false)];
        assert_eq!(claim(0, 200), (all, 0));
        assert_eq!(claim(199, 1), (vec![(199, 1, true)], 0));
    }
}
