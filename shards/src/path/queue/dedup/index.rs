//! Finds an id's number by its digest: linear hashing over small tables.
//!
//! One large table has to be copied whole when it grows. Here each table stays near
//! [`TABLE_ENTRIES`], and the index grows by one table at a time: table `n` takes its entries out
//! of one of the tables before it. So the longest call moves some thousand entries.
//!
//! A slot of a table is a tag (31 bits of the digest, and one that says that the slot is used)
//! over the lowest 32 bits of the entry's number. A tag's low bits say where in its table a slot
//! belongs, the others which table that is, so that no entry is looked at to move it.

/// Entries of a table on average, at which the next table is made.
const TABLE_ENTRIES: usize = 512;
/// Slots of the smallest table.
const SLOTS_MIN: usize = 8;
/// Bits of a tag that place an entry within its table: enough for eight times a table's average.
const PLACE_BITS: u32 = 12;

/// Numbers by digest. Several entries may have the same tag.
#[derive(Debug)]
pub struct Index {
    tables: Vec<Table>,
    len: usize,
}

/// A table with open addressing: an entry lies in the first free slot from its place on.
#[derive(Debug)]
struct Table {
    slots: Box<[u64]>,
    used: usize,
}

/// The part of a digest that the index sees.
#[derive(Clone, Copy, Debug)]
pub struct Tag(u32);

impl Tag {
    #[inline]
    pub fn new(digest: u128) -> Self {
        Self(digest as u32 | 1)
    }

    #[inline]
    fn place(self) -> usize {
        (self.0 >> 1) as usize
    }

    /// Which of so many tables.
    #[inline]
    fn table(self, tables: usize) -> usize {
        let round = tables.next_power_of_two();
        let table = (self.0 >> (1 + PLACE_BITS)) as usize & (round - 1);
        if table < tables { table } else { table - round / 2 }
    }
}

#[inline]
fn slot_of(tag: Tag, number: u32) -> u64 {
    u64::from(tag.0) << 32 | u64::from(number)
}

#[inline]
fn tag_of(slot: u64) -> Tag {
    Tag((slot >> 32) as u32)
}

impl Index {
    pub const fn new() -> Self {
        Self { tables: Vec::new(), len: 0 }
    }

    /// Bytes of the tables. Visits each.
    pub fn bytes(&self) -> usize {
        let slots: usize = self.tables.iter().map(|table| table.slots.len()).sum();
        slots * size_of::<u64>() + self.tables.capacity() * size_of::<Table>()
    }

    /// The first entry of this tag that is the one.
    #[inline]
    pub fn find(&self, tag: Tag, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        if self.len == 0 {
            return None;
        }
        let slots = &self.tables[tag.table(self.tables.len())].slots;
        let mut at = tag.place() & (slots.len() - 1);
        loop {
            let slot = slots[at];
            if slot == 0 {
                return None;
            }
            if tag_of(slot).0 == tag.0 && is_it(slot as u32) {
                return Some(slot as u32);
            }
            at = (at + 1) & (slots.len() - 1);
        }
    }

    /// The slot where a tag belongs: to be looked at before it is needed.
    #[inline]
    pub fn peek(&self, tag: Tag) -> u64 {
        if self.tables.is_empty() {
            return 0;
        }
        let slots = &self.tables[tag.table(self.tables.len())].slots;
        slots[tag.place() & (slots.len() - 1)]
    }

    #[inline]
    pub fn insert(&mut self, tag: Tag, number: u32) {
        if self.len >= self.tables.len() * TABLE_ENTRIES {
            self.add_table();
        }
        self.len += 1;
        let table = tag.table(self.tables.len());
        self.tables[table].insert(slot_of(tag, number));
    }

    /// Takes out an entry that was inserted.
    #[inline]
    pub fn remove(&mut self, tag: Tag, number: u32) {
        let table = tag.table(self.tables.len());
        self.tables[table].remove(slot_of(tag, number));
        self.len -= 1;
        if self.len < (self.tables.len() - 1) * (TABLE_ENTRIES / 4) {
            self.remove_table();
        }
    }

    /// Adds a table, and gives it what belongs there of the one table whose entries it shares.
    #[cold]
    fn add_table(&mut self) {
        let added = self.tables.len();
        self.tables.push(Table::new(SLOTS_MIN));
        let tables = self.tables.len();
        if added == 0 {
            return;
        }
        let shared = added - tables.next_power_of_two() / 2;
        let whole = std::mem::replace(&mut self.tables[shared], Table::new(SLOTS_MIN));
        for table in [shared, added] {
            let belongs = whole.entries().filter(|slot| tag_of(*slot).table(tables) == table);
            let mut part = Table::with_room(belongs.clone().count());
            belongs.for_each(|slot| part.insert(slot));
            self.tables[table] = part;
        }
    }

    /// Gives the last table's entries to the table that they came from.
    #[cold]
    fn remove_table(&mut self) {
        let removed = self.tables.pop().expect("it has a table for each of its entries");
        let shared = self.tables.len() - (self.tables.len() + 1).next_power_of_two() / 2;
        removed.entries().for_each(|slot| self.tables[shared].insert(slot));
        if self.tables.capacity() > 4 * self.tables.len() {
            self.tables.shrink_to(2 * self.tables.len());
        }
    }
}

impl Table {
    fn new(slots: usize) -> Self {
        Self { slots: vec![0; slots].into(), used: 0 }
    }

    fn with_room(entries: usize) -> Self {
        Self::new((entries * 3 / 2 + 1).next_power_of_two().max(SLOTS_MIN))
    }

    fn entries(&self) -> impl Iterator<Item = u64> + Clone {
        self.slots.iter().copied().filter(|slot| *slot != 0)
    }

    #[inline]
    fn insert(&mut self, slot: u64) {
        if (self.used + 1) * 4 > self.slots.len() * 3 {
            self.resize(2 * self.slots.len());
        }
        self.place(slot);
        self.used += 1;
    }

    #[cold]
    fn resize(&mut self, slots: usize) {
        let before = std::mem::replace(&mut self.slots, vec![0; slots].into());
        before.iter().filter(|slot| **slot != 0).for_each(|slot| self.place(*slot));
    }

    #[inline]
    fn place(&mut self, slot: u64) {
        let mask = self.slots.len() - 1;
        let mut at = tag_of(slot).place() & mask;
        while self.slots[at] != 0 {
            at = (at + 1) & mask;
        }
        self.slots[at] = slot;
    }

    /// Empties a slot, and moves up what lies after it because it was taken.
    #[inline]
    fn remove(&mut self, slot: u64) {
        let mask = self.slots.len() - 1;
        let mut hole = tag_of(slot).place() & mask;
        while self.slots[hole] != slot {
            assert!(self.slots[hole] != 0, "an entry that is removed was inserted");
            hole = (hole + 1) & mask;
        }
        let mut at = hole;
        loop {
            at = (at + 1) & mask;
            let next = self.slots[at];
            if next == 0 {
                break;
            }
            // It may move up unless its place lies after the hole.
            let place = tag_of(next).place() & mask;
            if at.wrapping_sub(place) & mask >= at.wrapping_sub(hole) & mask {
                self.slots[hole] = next;
                hole = at;
            }
        }
        self.slots[hole] = 0;
        self.used -= 1;
        if self.used * 8 < self.slots.len() && self.slots.len() > SLOTS_MIN {
            self.resize(self.slots.len() / 2);
        }
    }
}
