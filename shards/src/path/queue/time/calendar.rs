//! What is due when: timers that are not disarmed one by one, sixteen bytes each, ten million of
//! them.
//!
//! A hierarchical wheel over ticks of about a millisecond, as the timing wheel of leases and waits,
//! but its slots hold chunks of entries instead of links between them, and each level has two
//! blocks of 64 slots: the one that the clock is in and the next.
//!
//! ```text
//! level 1   |  block 7: slots 448 to 511           |  block 8: slots 512 to 575           |
//! level 0                  |  slot 470's ticks  |  slot 471's ticks  |
//!                                     ^ now
//! ```
//!
//! A slot moves down a level, entry by entry, while the slot before it passes: by the time that it
//! is due, it has been moved, however many entries it holds. So no call does more than its budget,
//! and what is due is at most a tick late if [`Calendar::expire`] is called often enough and with
//! budget to spare. Nothing is early. Entries of one tick come in the order of insertion.
//!
//! There is one calendar a shard. It keeps some memory for what comes next: at most 256 KiB of
//! spare chunks, 9 KiB a level, and a chunk a slot in use. Ten million entries have 16.3 bytes
//! each, and cost 40 ns of CPU time each if they are due within 10 s, 75 within an hour, 120 within
//! a day: the farther, the more levels to come down, and the more wakes for a single entry.

mod slot;
#[cfg(test)]
mod tests;

use self::slot::{Chunks, Entry, Slot};

/// A tick is 2^20 nanoseconds, some 1.05 ms: a shift instead of a division.
const TICK_SHIFT: u32 = 20;
/// Nanoseconds of a tick: the most that an entry is late.
const TICK_NS: u64 = 1 << TICK_SHIFT;
/// Slots of a level: two blocks of 64, one bit each in a word of 128.
const SLOTS: usize = 128;
/// Eight levels of six bits span 48 bits of ticks, more than 64 bits of nanoseconds have.
const LEVELS: usize = 8;
/// A tick that never comes.
const NEVER: u64 = u64::MAX;

const _: () = assert!(6 * LEVELS as u32 + TICK_SHIFT > 64, "every time has its level");
const _: () = assert!(SLOTS == u128::BITS as usize, "a level's marks are one word");

type Level = [Slot; SLOTS];

/// How far a look at all entries has come.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Sweep {
    level: usize,
    slot: usize,
    chunk: usize,
}

/// Entries of a time and a place, taken out when they are due.
///
/// Invariant: a slot is marked in `occupied` if and only if it is not empty, its level in `used`
/// if and only if one of its slots is marked. None of those ends before `tick`, and of a level
/// above 0 none begins before it but one that is being moved down late.
#[derive(Debug)]
pub(super) struct Calendar {
    len: usize,
    /// Everything before this tick has been taken out.
    tick: u64,
    /// Whether this tick's own entries are being taken out: nothing above comes before them.
    delivering: bool,
    used: u8,
    occupied: [u128; LEVELS],
    /// The tick at which each level's first slot begins that is marked; [`NEVER`] without one.
    starts: [u64; LEVELS],
    /// Made on first use.
    levels: [Option<Box<Level>>; LEVELS],
    chunks: Chunks,
}

impl Calendar {
    /// An empty calendar whose clock stands at `now_ns`.
    pub fn new(now_ns: u64) -> Self {
        Self {
            len: 0,
            tick: now_ns >> TICK_SHIFT,
            delivering: false,
            used: 0,
            occupied: [0; LEVELS],
            starts: [NEVER; LEVELS],
            levels: [const { None }; LEVELS],
            chunks: Chunks::new(),
        }
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes that the calendar holds, room kept for later included. Visits each slot.
    pub fn bytes(&self) -> usize {
        let slots = self.levels.iter().flatten().flat_map(|level| level.iter());
        let lists: usize = slots.map(|slot| size_of::<Slot>() + slot.list_bytes()).sum();
        size_of::<Self>() + lists + self.chunks.bytes()
    }

    /// Notes that `place` is due at `due_ns`; a time that has passed is due at once.
    #[inline]
    pub fn insert(&mut self, due_ns: u64, place: u64) {
        self.len += 1;
        self.link(Entry { due_ns, place }, LEVELS);
    }

    /// Takes out one entry whose time is at or before `now_ns`, and says when it was due. Each
    /// entry taken out or moved down takes one from `budget`; at 0 nothing is done, and what is due
    /// waits for the next call. A clock that has gone back stands still.
    #[inline]
    pub fn expire(&mut self, now_ns: u64, budget: &mut usize) -> Option<(u64, u64)> {
        let now = now_ns >> TICK_SHIFT;
        if now < self.tick {
            return None;
        }
        loop {
            if *budget == 0 {
                return None;
            }
            if self.delivering {
                *budget -= 1;
                return Some(self.take(0, self.tick));
            }
            let (level, start) = self.first();
            if start > now {
                self.tick = now;
                self.move_ahead(budget);
                return None;
            }
            self.tick = self.tick.max(start);
            if level == 0 {
                self.delivering = true;
            } else {
                self.move_down(level, budget);
            }
        }
    }

    /// Takes out any entry, due or not, as long as `budget` lasts.
    ///
    /// To place entries anew, as after a step of the wall clock, replace the calendar by an empty
    /// one and drain the old one into it; until that is done, both expire.
    pub fn drain(&mut self, budget: &mut usize) -> Option<(u64, u64)> {
        if *budget == 0 || self.used == 0 {
            return None;
        }
        *budget -= 1;
        let level = self.used.trailing_zeros() as usize;
        // The slot's number within the level is all that taking from it needs.
        Some(self.take(level, u64::from(self.occupied[level].trailing_zeros())))
    }

    /// Takes out entries whose places are not to be kept, from where a sweep has come to; says
    /// whether it is over. The others stay in their order. The last chunk may exceed the budget.
    /// Between two calls everything else may happen: what moves meanwhile may be missed.
    pub fn sweep(
        &mut self,
        at: &mut Sweep,
        budget: &mut usize,
        mut keep: impl FnMut(u64) -> bool,
    ) -> bool {
        while at.level < LEVELS {
            if *budget == 0 {
                return false;
            }
            let ahead = self.occupied[at.level].checked_shr(at.slot as u32).unwrap_or(0);
            if ahead == 0 {
                *at = Sweep { level: at.level + 1, ..Sweep::default() };
                continue;
            }
            if ahead & 1 == 0 {
                (at.slot, at.chunk) = (at.slot + ahead.trailing_zeros() as usize, 0);
            }
            let slots = self.levels[at.level].as_mut().expect("a level in use was made");
            let held = &mut slots[at.slot];
            let swept = held.sweep(&mut at.chunk, &mut self.chunks, &mut keep);
            let emptied = held.is_empty();
            if emptied {
                self.clear(at.level, at.slot as u64);
            }
            match swept {
                Some((looked_at, gone)) => {
                    self.len -= gone;
                    *budget = budget.saturating_sub(looked_at);
                }
                None => (at.slot, at.chunk) = (at.slot + 1, 0),
            }
        }
        true
    }

    /// When [`Calendar::expire`] has something to do next: at most one tick after the earliest
    /// time. A time that has passed says that it has something to do already.
    #[inline]
    pub fn next_deadline(&self) -> Option<u64> {
        let mut earliest = None;
        for level in levels_of(self.used) {
            let slot = self.starts[level] >> (6 * level);
            let held = &self.slots(level)[slot as usize % SLOTS];
            // A short slot can move down when it is due, a long one needs the time before that.
            let ahead = if level > 0 && held.is_long() {
                slot.saturating_sub(1) << (6 * level)
            } else {
                held.earliest
            };
            let tick = held.earliest.min(ahead);
            earliest = Some(earliest.map_or(tick, |earliest: u64| earliest.min(tick)));
        }
        earliest.map(|tick| tick.saturating_mul(TICK_NS))
    }

    /// The level whose first slot begins first, and its tick; of levels whose slots begin together
    /// the lowest, because what it holds came down before the others' and is the older.
    #[inline]
    fn first(&self) -> (usize, u64) {
        let mut first = (0, NEVER);
        for (level, start) in self.starts.iter().enumerate() {
            if *start < first.1 {
                first = (level, *start);
            }
        }
        first
    }

    /// Moves down what the next slots of all levels hold, the most urgent first.
    fn move_ahead(&mut self, budget: &mut usize) {
        while *budget > 0
            && let Some(level) = (1..LEVELS).find(|level| {
                let next = (self.tick >> (6 * level)) + 1;
                self.starts[*level] <= next << (6 * level)
            })
        {
            self.move_down(level, budget);
        }
    }

    /// Moves entries of one chunk of a level's first slot to the levels below.
    fn move_down(&mut self, level: usize, budget: &mut usize) {
        let slot = self.starts[level] >> (6 * level);
        let (chunk, read) = self.slots_mut(level)[slot as usize % SLOTS].take_chunk();
        let end = chunk.len().min(read + *budget);
        *budget -= end - read;
        for entry in &chunk[read..end] {
            self.link(*entry, level);
        }
        let held = &mut self.slots_mut(level)[slot as usize % SLOTS];
        if end < chunk.len() {
            return held.put_back(chunk, end);
        }
        let emptied = held.is_empty();
        self.chunks.give_back(chunk);
        if emptied {
            self.clear(level, slot);
        }
    }

    /// Takes an entry out of a slot that is not empty.
    #[inline]
    fn take(&mut self, level: usize, slot: u64) -> (u64, u64) {
        // Not by `slots_mut`, so that the chunks can be borrowed beside it.
        let slots = self.levels[level].as_mut().expect("a level in use was made");
        let held = &mut slots[slot as usize % SLOTS];
        let entry = held.take(&mut self.chunks);
        if held.is_empty() {
            self.clear(level, slot);
        }
        self.len -= 1;
        (entry.due_ns, entry.place)
    }

    /// Appends an entry to the slot of its tick on a level below `ceiling`.
    #[inline]
    fn link(&mut self, entry: Entry, ceiling: usize) {
        let tick = entry.due_ns.div_ceil(TICK_NS).max(self.tick);
        let level = self.level_of(tick, ceiling);
        let slot = tick >> (6 * level);
        let fresh = !self.is_occupied(level, slot);
        if fresh {
            self.occupied[level] |= mark(slot);
            self.used |= 1 << level;
            self.starts[level] = self.starts[level].min(slot << (6 * level));
        }
        let slots = self.levels[level].get_or_insert_with(new_level);
        slots[slot as usize % SLOTS].append(entry, tick, fresh, &mut self.chunks);
    }

    /// The lowest level whose two blocks contain a tick; or a higher one, if that tick's slot there
    /// is not empty: what it holds was inserted before and comes down before.
    #[inline]
    fn level_of(&self, tick: u64, ceiling: usize) -> usize {
        let distance = tick - self.tick;
        let mut level = (63 - (distance | 1).leading_zeros() as usize) / 6;
        if level > 0 && (tick >> (6 * level)) - (self.tick >> (6 * level)) == 1 {
            level -= 1;
        }
        debug_assert!(level < ceiling, "what moves, moves down");
        let between = (1_u16 << ceiling) - (2 << level);
        let above = levels_of(self.used & between as u8);
        above.filter(|above| self.is_occupied(*above, tick >> (6 * above))).last().unwrap_or(level)
    }

    #[inline]
    fn is_occupied(&self, level: usize, slot: u64) -> bool {
        self.occupied[level] & mark(slot) != 0
    }

    /// A slot has been emptied: finds the level's next one.
    #[inline]
    fn clear(&mut self, level: usize, slot: u64) {
        self.delivering &= level > 0;
        self.occupied[level] &= !mark(slot);
        if self.occupied[level] == 0 {
            self.used &= !(1 << level);
            self.starts[level] = NEVER;
            return;
        }
        let current = self.tick >> (6 * level);
        let marks = self.occupied[level].rotate_right(current as u32 % SLOTS as u32);
        self.starts[level] = (current + u64::from(marks.trailing_zeros())) << (6 * level);
    }

    #[inline]
    fn slots(&self, level: usize) -> &Level {
        self.levels[level].as_ref().expect("a level in use was made")
    }

    #[inline]
    fn slots_mut(&mut self, level: usize) -> &mut Level {
        self.levels[level].as_mut().expect("a level in use was made")
    }
}

/// A slot's mark in its level's word.
#[inline]
fn mark(slot: u64) -> u128 {
    1 << (slot as usize % SLOTS)
}

/// The levels whose bits are set, from the lowest on.
#[inline]
fn levels_of(mut bits: u8) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let level = bits.trailing_zeros() as usize;
        bits &= bits.wrapping_sub(1);
        (level < LEVELS).then_some(level)
    })
}

#[cold]
fn new_level() -> Box<Level> {
    Box::new(std::array::from_fn(|_| Slot::new()))
}
