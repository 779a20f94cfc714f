//! Order by key: messages of one key are not in flight twice at a time.
//!
//! A key is known by a 64-bit hash: two keys that share one only wait for each other. While a
//! message with a key is held, the key has a slot, and the segment keeps the slot of each message,
//! so that neither a take nor an acknowledgement looks at the record again. Per group a slot is
//! busy while a message of its key is leased, or was given back and comes next; messages that the
//! cursor meets meanwhile are set aside in the slot's list. When the key is free again, the first
//! of them is put first in line, and the slot stays busy for it.
//!
//! A queue without keys has none of this.
//!
//! | file | what it knows |
//! |---|---|
//! | `keyed` | what a queue with keys does more when messages come and go |

pub(super) mod keyed;

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::log::piece::Piece;
use super::log::segment::NIL;
use super::rarely::Nothing;

/// The slot of messages without a key.
pub(super) const NO_KEY: u32 = 0;
/// Messages that a group sets aside at most; then it waits for keys to be free.
const BLOCKED_MAX: u32 = 65_536;
/// Messages of one key that are looked at for one of them; one further back waits for its turn.
const LOOKED_AT_MAX: usize = 1_024;
/// Keys without messages that keep their slot, so that a key that comes back costs nothing.
const IDLE_MAX: usize = 16_384;
/// Slots that a queue keeps when it runs empty.
const SLOTS_KEPT_MAX: usize = 2 * IDLE_MAX;

/// A hash is its own hash: it is of the key under a seed that is hard to guess.
#[derive(Default)]
struct Same(u64);

impl Hasher for Same {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("only numbers of 64 bits are hashed")
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    hash: u64,
    /// Messages held with this key.
    messages: u32,
    /// Whether it is in the list of keys without messages.
    idle: bool,
}

/// The keys of one queue.
#[derive(Debug)]
pub(super) struct Keys {
    seed: u64,
    by_hash: HashMap<u64, u32, BuildHasherDefault<Same>>,
    slots: Vec<Slot>,
    /// Keys that had no messages when they were put here, oldest first; some have by now.
    idle: std::collections::VecDeque<u32>,
    free: Vec<u32>,
}

impl Keys {
    /// No keys yet. The seed should be hard to guess: keys that are chosen to share a hash would
    /// wait for each other, and those that are chosen to lie together slow the table down.
    pub fn new(seed: u64) -> Self {
        let none = Slot { hash: 0, messages: 0, idle: false };
        Self {
            seed,
            by_hash: HashMap::default(),
            slots: vec![none],
            idle: std::collections::VecDeque::new(),
            free: Vec::new(),
        }
    }

    /// The slot for one more message with this key.
    #[inline]
    pub fn hold(&mut self, key: &[u8]) -> u32 {
        let hash = xxhash_rust::xxh3::xxh3_64_with_seed(key, self.seed);
        let slot = match self.by_hash.get(&hash) {
            Some(slot) => *slot,
            None => self.create(hash),
        };
        self.slots[slot as usize].messages += 1;
        slot
    }

    fn create(&mut self, hash: u64) -> u32 {
        let new = Slot { hash, messages: 0, idle: false };
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = new;
                slot
            }
            None => {
                self.slots.push(new);
                (self.slots.len() - 1) as u32
            }
        };
        self.by_hash.insert(hash, slot);
        slot
    }

    /// One message with this key is gone.
    #[inline]
    pub fn let_go(&mut self, slot: u32) {
        let key = &mut self.slots[slot as usize];
        key.messages -= 1;
        if key.messages == 0 && !key.idle {
            key.idle = true;
            self.idle.push_back(slot);
            if self.idle.len() > IDLE_MAX {
                self.forget_idle();
            }
        }
    }

    /// Whether so many keys were in use that their tables are not worth keeping for a queue that
    /// holds nothing.
    pub fn are_many(&self) -> bool {
        self.slots.len() > SLOTS_KEPT_MAX
    }

    #[cold]
    fn forget_idle(&mut self) {
        // Two a call: the list shrinks even while every message has a new key.
        for _ in 0..2 {
            let Some(slot) = self.idle.pop_front() else { return };
            let key = &mut self.slots[slot as usize];
            key.idle = false;
            if key.messages == 0 {
                self.by_hash.remove(&key.hash);
                self.free.push(slot);
            }
        }
    }
}

/// A key as one group sees it.
#[derive(Clone, Copy, Debug)]
struct State {
    busy: bool,
    /// The messages set aside, oldest first.
    first: u32,
    last: u32,
}

const FREE_STATE: State = State { busy: false, first: NIL, last: NIL };

/// A message set aside; `next` is the next one of its key, or of the free ones.
#[derive(Clone, Copy, Debug)]
struct Blocked {
    piece: Piece,
    next: u32,
}

/// The keys of a queue as one group sees them.
#[derive(Debug, Default)]
pub(super) struct KeyStates {
    states: Vec<State>,
    blocked: Vec<Blocked>,
    free: Option<u32>,
    /// Messages set aside.
    pub count: u32,
}

impl Nothing for KeyStates {
    const NOTHING: &'static Self =
        &Self { states: Vec::new(), blocked: Vec::new(), free: None, count: 0 };

    fn nothing() -> Self {
        Self::default()
    }
}

impl KeyStates {
    /// How many messages more may be set aside.
    #[inline]
    pub fn room(&self) -> u32 {
        BLOCKED_MAX.saturating_sub(self.count)
    }

    #[inline]
    fn state(&mut self, slot: u32) -> &mut State {
        let index = slot as usize;
        if self.states.len() <= index {
            self.states.resize(index + 1, FREE_STATE);
        }
        &mut self.states[index]
    }

    /// Whether a message of this key may be delivered: if so, the key is busy from now on.
    #[inline]
    pub fn claim(&mut self, slot: u32) -> bool {
        !std::mem::replace(&mut self.state(slot).busy, true)
    }

    /// Sets one message aside whose key is busy.
    pub fn set_aside(&mut self, slot: u32, piece: Piece) {
        debug_assert!(piece.count == 1 && self.states[slot as usize].busy);
        let place = match self.free.take() {
            Some(place) => {
                let next = self.blocked[place as usize].next;
                self.free = (next != NIL).then_some(next);
                self.blocked[place as usize] = Blocked { piece, next: NIL };
                place
            }
            None => {
                self.blocked.push(Blocked { piece, next: NIL });
                (self.blocked.len() - 1) as u32
            }
        };
        let state = &mut self.states[slot as usize];
        match std::mem::replace(&mut state.last, place) {
            NIL => state.first = place,
            last => self.blocked[last as usize].next = place,
        }
        self.count += 1;
    }

    /// The message in flight of this key is settled: the first one set aside comes next, and the
    /// key stays busy for it; or the key is free.
    #[inline]
    pub fn release(&mut self, slot: u32) -> Option<Piece> {
        let state = &mut self.states[slot as usize];
        debug_assert!(state.busy, "a message in flight keeps its key busy");
        if state.first == NIL {
            state.busy = false;
            return None;
        }
        let place = state.first;
        let Blocked { piece, next } = self.blocked[place as usize];
        state.first = next;
        if next == NIL {
            state.last = NIL;
        }
        self.blocked[place as usize].next = self.free.replace(place).unwrap_or(NIL);
        self.count -= 1;
        Some(piece)
    }

    /// Forgets the messages set aside that `drops` names; says how many. Visits every key.
    pub fn drop_where(&mut self, drops: impl Fn(u64) -> bool) -> u32 {
        let before = self.count;
        for state in &mut self.states {
            let mut at = state.first;
            (state.first, state.last) = (NIL, NIL);
            while at != NIL {
                let blocked = &mut self.blocked[at as usize];
                let next = std::mem::replace(&mut blocked.next, NIL);
                if drops(blocked.piece.sequence) {
                    blocked.next = self.free.replace(at).unwrap_or(NIL);
                    self.count -= 1;
                } else {
                    match std::mem::replace(&mut state.last, at) {
                        NIL => state.first = at,
                        last => self.blocked[last as usize].next = at,
                    }
                }
                at = next;
            }
        }
        before - self.count
    }

    /// Takes one message out of those set aside for a key, if it is one of the first.
    pub fn remove(&mut self, slot: u32, sequence: u64) -> Option<Piece> {
        let state = self.states.get_mut(slot as usize)?;
        let (mut before, mut at) = (NIL, state.first);
        for _ in 0..LOOKED_AT_MAX {
            let Blocked { piece, next } = *self.blocked.get(at as usize)?;
            if piece.sequence == sequence {
                match before {
                    NIL => state.first = next,
                    before => self.blocked[before as usize].next = next,
                }
                if next == NIL {
                    state.last = before;
                }
                self.blocked[at as usize].next = self.free.replace(at).unwrap_or(NIL);
                self.count -= 1;
                return Some(piece);
            }
            (before, at) = (at, next);
        }
        None
    }

    /// The first message set aside of a key: what comes next.
    pub fn first_blocked(&self, slot: u32) -> Option<u64> {
        let first = self.states.get(slot as usize)?.first;
        (first != NIL).then(|| self.blocked[first as usize].piece.sequence)
    }

    /// Takes every message that is set aside out, in no particular order. Visits every key.
    pub fn drain(&mut self, mut visit: impl FnMut(Piece)) {
        for state in &mut self.states {
            while state.first != NIL {
                let Blocked { piece, next } = self.blocked[state.first as usize];
                state.first = next;
                visit(piece);
            }
            state.last = NIL;
        }
        self.blocked.clear();
        (self.free, self.count) = (None, 0);
    }

    /// The messages set aside, in no particular order.
    pub fn pieces(&self) -> impl Iterator<Item = &Piece> {
        fn some(place: u32) -> Option<u32> {
            (place != NIL).then_some(place)
        }
        let places = |state: &State| {
            std::iter::successors(some(state.first), |place| {
                some(self.blocked[*place as usize].next)
            })
        };
        self.states.iter().flat_map(places).map(|place| &self.blocked[place as usize].piece)
    }
}

#[cfg(test)]
mod tests;
