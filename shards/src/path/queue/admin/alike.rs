//! What the parts of a spread queue have alike beside their options, so that a part that is added
//! later is like the others: the groups at the same places, with the same numbers, and what is
//! paused.
//!
//! ```text
//!  | last_incarnation u16 | pause u8 | 0 u8 | groups u32 |
//!  then for each: | group u32 | flags u8 | name_length u8 | name ... |
//! ```

use ringway_protocol::bytes::{Reader, text};
use ringway_protocol::request::{GroupFlags, Start};
use ringway_protocol::{GroupId, QueueId, Rejection};

use crate::path::queue::Store;
use crate::path::queue::catalog::Queue;
use crate::world::Now;

impl Store {
    /// Appends what other parts of a queue have to have like this one.
    pub fn write_traits(&self, id: QueueId, out: &mut Vec<u8>) -> Result<(), Rejection> {
        let Queue { groups, pause, .. } = self.catalog.get(id)?;
        out.extend_from_slice(&groups.last_incarnation().to_le_bytes());
        out.extend_from_slice(&[u8::from(pause.puts) | u8::from(pause.takes) << 1, 0]);
        out.extend_from_slice(&(groups.len() as u32).to_le_bytes());
        for (index, group) in groups.iter() {
            let GroupFlags { paused, single_active } = group.flags();
            let flags = u8::from(paused) | u8::from(single_active) << 1;
            out.extend_from_slice(&groups.id(index).0.to_le_bytes());
            out.extend_from_slice(&[flags, group.name().len() as u8]);
            out.extend_from_slice(group.name().as_bytes());
        }
        Ok(())
    }

    /// Makes a new queue like the one that wrote these traits, before anybody uses it: all of its
    /// groups begin at its first message. Groups that were made after the traits were written stay:
    /// several may spread one queue at once, and what one of them says may be old when it comes.
    pub fn take_on_traits(
        &mut self,
        id: QueueId,
        traits: &[u8],
        now: Now,
    ) -> Result<(), Rejection> {
        let mut reader = Reader::new(traits);
        let (last_incarnation, pause) = (reader.u16()?, reader.u8()?);
        reader.reserved(1)?;
        let mut wanted = Vec::new();
        for _ in 0..reader.u32()? {
            let (group, flags) = (GroupId(reader.u32()?), reader.u8()?);
            let length = usize::from(reader.u8()?);
            let flags = GroupFlags { paused: flags & 1 != 0, single_active: flags & 2 != 0 };
            wanted.push((group, flags, text(reader.bytes(length)?)?));
        }
        for (group, flags, name) in &wanted {
            let groups = &mut self.catalog.get_mut(id)?.groups;
            match groups.get(group.index()) {
                Some(newer) if newer.incarnation > last_incarnation => continue,
                Some(_) => groups.relabel(*group, name),
                None => {
                    groups.insert(*group, name);
                    self.join_group(id, group.index(), Start::Earliest, now);
                }
            }
            self.alter_group(id, name, *flags)?;
        }
        let groups = &self.catalog.get(id)?.groups;
        let is_wanted = |index| wanted.iter().any(|(group, ..)| group.index() == index);
        let old = groups.iter().filter(|(_, group)| group.incarnation <= last_incarnation);
        let found = old.map(|(index, _)| index);
        let strange: Vec<usize> = found.filter(|index| !is_wanted(*index)).collect();
        strange.into_iter().for_each(|index| self.remove_group(id, index));
        let queue = self.catalog.get_mut(id)?;
        let last_incarnation = last_incarnation.max(queue.groups.last_incarnation());
        queue.groups.set_last_incarnation(last_incarnation);
        self.pause(id, pause & 1 != 0, pause & 2 != 0)
    }

    /// Whether a group of a queue has a single active consumer.
    pub fn has_single_active(&self, id: QueueId) -> Result<bool, Rejection> {
        let groups = &self.catalog.get(id)?.groups;
        Ok(groups.iter().any(|(_, group)| group.single_active))
    }
}
