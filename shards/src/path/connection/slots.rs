//! The connections of a shard by slot, and the names that operations and other shards have for
//! them.

use super::Connection;
use crate::world::{Purpose, Token};

/// The connections of a shard, by slot; a generation tells successive owners of a slot apart.
#[derive(Debug)]
pub struct Connections<S> {
    slots: Vec<Slot<S>>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Slot<S> {
    generation: u32,
    connection: Option<Connection<S>>,
}

impl<S> Default for Connections<S> {
    fn default() -> Self {
        Self { slots: Vec::new(), free: Vec::new() }
    }
}

impl<S> Connections<S> {
    /// How many are open.
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Whether none is open.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes a connection on and returns its slot.
    pub fn insert(&mut self, connection: Connection<S>) -> u32 {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { generation: 0, connection: None });
            (self.slots.len() - 1) as u32
        });
        let entry = &mut self.slots[slot as usize];
        entry.generation = (entry.generation + 1) & Token::GENERATION_MASK;
        entry.connection = Some(connection);
        slot
    }

    /// Frees a slot; completions that come later for it are late.
    pub fn remove(&mut self, slot: u32) -> Option<Connection<S>> {
        let connection = self.slots.get_mut(slot as usize)?.connection.take();
        if connection.is_some() {
            self.free.push(slot);
        }
        connection
    }

    /// The connection in a slot.
    #[inline]
    pub fn at(&mut self, slot: u32) -> Option<&mut Connection<S>> {
        self.slots.get_mut(slot as usize)?.connection.as_mut()
    }

    /// The connection that a token belongs to, unless the slot has changed its owner.
    #[inline]
    pub fn named(&mut self, slot: u32, generation: u32) -> Option<&mut Connection<S>> {
        let entry = self.slots.get_mut(slot as usize)?;
        if entry.generation != generation {
            return None;
        }
        entry.connection.as_mut()
    }

    /// The token for an operation of the connection in a slot.
    #[inline]
    pub fn token(&self, purpose: Purpose, slot: u32) -> Token {
        Token::new(purpose, slot, self.slots[slot as usize].generation)
    }

    /// How other shards and waiting takes name the connection in a slot.
    #[inline]
    pub fn peer(&self, slot: u32) -> u64 {
        u64::from(self.slots[slot as usize].generation) << 32 | u64::from(slot)
    }

    /// The slot and connection of a name made by [`Connections::peer`], if it is still there.
    #[inline]
    pub fn of_peer(&mut self, peer: u64) -> Option<(u32, &mut Connection<S>)> {
        let slot = peer as u32;
        self.named(slot, (peer >> 32) as u32).map(|connection| (slot, connection))
    }

    /// Every open slot.
    pub fn slots(&self) -> impl Iterator<Item = u32> + '_ {
        let open = |(_, slot): &(usize, &Slot<S>)| slot.connection.is_some();
        self.slots.iter().enumerate().filter(open).map(|(index, _)| index as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_that_changed_its_owner_rejects_late_names() {
        let mut connections = Connections::default();
        let slot = connections.insert(Connection::new(1));
        let (token, peer) = (connections.token(Purpose::Send, slot), connections.peer(slot));
        assert!(connections.named(token.slot(), token.generation()).is_some());
        connections.remove(slot);
        assert_eq!(connections.insert(Connection::new(2)), slot, "the slot is reused");
        assert!(connections.named(token.slot(), token.generation()).is_none());
        assert!(connections.of_peer(peer).is_none());
    }
}
