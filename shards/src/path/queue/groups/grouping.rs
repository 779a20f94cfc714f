//! Groups are made, changed and removed.

use ringway_protocol::limits::GROUPS_PER_QUEUE_MAX;
use ringway_protocol::request::{GroupFlags, Start};
use ringway_protocol::{Code, GroupId, QueueId, QueueName, Rejection};

use crate::path::queue::Store;
use crate::path::queue::catalog::Queue;
use crate::path::queue::groups::Group;
use crate::path::queue::keys::{Keys, NO_KEY};
use crate::path::queue::log::Log;
use crate::path::queue::log::bands::{SCHEDULED, band_of};
use crate::path::queue::log::segment::Revival;
use crate::path::queue::log::segments::Segments;
use crate::path::queue::time::mortality::lifetime_ms;
use crate::world::Now;

const GROUP_GONE: Rejection = Rejection::new(Code::NoSuchGroup, "the group was deleted meanwhile");

impl Store {
    /// Makes a group that begins at `start`, or finds it with the same flags; the second value says
    /// whether it was made. Visits segments of the queue.
    pub fn create_group(
        &mut self,
        id: QueueId,
        name: &str,
        start: Start,
        flags: GroupFlags,
        now: Now,
    ) -> Result<(GroupId, bool), Rejection> {
        QueueName::check(name.as_bytes())?;
        let queue = self.catalog.get_mut(id)?;
        if let Ok(index) = queue.groups.named(name) {
            if queue.groups.at(index).flags() != flags {
                let sentence = "the group exists with other flags: alter it, or delete it first";
                return Err(Rejection::new(Code::Conflict, sentence));
            }
            return Ok((queue.groups.id(index), false));
        }
        if queue.groups.len() == GROUPS_PER_QUEUE_MAX as usize {
            let sentence = "the queue has as many groups as it may have";
            return Err(Rejection::new(Code::ResourceExhausted, sentence));
        }
        let index = queue.groups.add(name)?;
        queue.groups.at_mut(index).set_flags(flags);
        let group = queue.groups.id(index);
        self.join_group(id, index, start, now);
        Ok((group, true))
    }

    /// A new group gets its lines. Visits segments of the queue.
    pub(in crate::path::queue) fn join_group(
        &mut self,
        id: QueueId,
        index: usize,
        start: Start,
        now: Now,
    ) {
        let queue = self.catalog.at_mut(id.slot() as u32);
        let before = queue.bands.live();
        queue.join(&mut self.segments, index, start, now);
        let revived = queue.bands.live() - before;
        queue.check();
        if revived > 0 {
            self.messages += revived;
            self.watch_lifetimes(id.slot() as u32, now);
            self.stir(id, now.ns);
        }
    }

    /// Visits the groups of a queue: number, flags, name, and figures in the order of
    /// [`GROUP_COLUMNS`](ringway_protocol::reply::GROUP_COLUMNS).
    pub fn groups(
        &self,
        id: QueueId,
        mut visit: impl FnMut(GroupId, GroupFlags, &str, &[u64]),
    ) -> Result<(), Rejection> {
        let queue = self.catalog.get(id)?;
        for (index, group) in queue.groups.iter() {
            let figures = queue.group_figures(index);
            visit(queue.groups.id(index), group.flags(), group.name(), &figures);
        }
        Ok(())
    }

    /// Changes the flags of a group; says which group it is.
    pub fn alter_group(
        &mut self,
        id: QueueId,
        name: &str,
        flags: GroupFlags,
    ) -> Result<GroupId, Rejection> {
        let queue = self.catalog.get_mut(id)?;
        let index = queue.groups.named(name)?;
        queue.groups.at_mut(index).set_flags(flags);
        let group = queue.groups.id(index);
        self.change_activity(id.slot() as u32, index);
        self.offer(id, index);
        Ok(group)
    }

    /// Removes a group: its leases end, its waiting takes are refused, and messages that no other
    /// group needs are gone. The last group stays. Visits the messages that the group needed.
    pub fn delete_group(&mut self, id: QueueId, name: &str) -> Result<GroupId, Rejection> {
        let queue = self.catalog.get_mut(id)?;
        let index = queue.groups.named(name)?;
        if queue.groups.len() == 1 {
            let sentence = "a queue keeps its last group: make another one first";
            return Err(Rejection::new(Code::Conflict, sentence));
        }
        let group = queue.groups.id(index);
        self.remove_group(id, index);
        Ok(group)
    }

    pub(in crate::path::queue) fn remove_group(&mut self, id: QueueId, index: usize) {
        let slot = id.slot() as u32;
        let queue = self.catalog.at_mut(slot);
        let before = queue.bands.live();
        // What it loses by its end is no purge of the queue.
        let counters = queue.groups.at(index).counters;
        queue.rare().gone_groups.add(&counters);
        queue.purge_group(&mut self.segments, index, true);
        self.messages -= before - queue.bands.live();
        self.end_group(slot, index, GROUP_GONE);
        let queue = self.catalog.at_mut(slot);
        queue.bands.part(&mut self.segments, index);
        queue.groups.remove(index);
        queue.linger(&mut self.lingering);
        queue.check();
        self.stir(id, self.uses.clock_ns);
    }
}

impl Group {
    pub fn flags(&self) -> GroupFlags {
        GroupFlags { paused: self.paused, single_active: self.single_active }
    }

    fn set_flags(&mut self, flags: GroupFlags) {
        (self.paused, self.single_active) = (flags.paused, flags.single_active);
    }
}

impl Queue {
    /// Gives a group its lines, and back what is kept of what they lead to.
    fn join(&mut self, segments: &mut Segments, group: usize, start: Start, now: Now) {
        let Self { bands, keys, options, seed, .. } = self;
        for (band, log) in bands.numbered_mut() {
            if band != SCHEDULED {
                let first = position(log, segments, band, start, now);
                log.revive(segments, first, |put_ms, record| {
                    let traits = record.traits();
                    let ttl_ms = lifetime_ms(options.ttl_ms, traits.ttl_ms);
                    if ttl_ms.is_some_and(|ttl_ms| now.ms() >= put_ms + ttl_ms) {
                        return Revival::Erased;
                    }
                    let new = || Box::new(Keys::new(*seed));
                    let hold = |key| keys.get_or_insert_with(new).hold(key);
                    Revival::Back(traits.key.map_or(NO_KEY, hold))
                });
                log.join(segments, group, first);
            }
        }
    }
}

/// Where a group begins in one log. A sequence means its own log; the others begin at their
/// earliest message.
fn position(log: &Log, segments: &Segments, band: usize, start: Start, now: Now) -> u64 {
    match start {
        Start::Latest => log.next_sequence(),
        Start::Sequence(sequence) if band_of(sequence) == band => sequence,
        Start::Earliest | Start::Sequence(_) => log.earliest(segments),
        Start::TimeMs(wall_ms) => {
            let ago_ms = now.wall_ms.saturating_sub(wall_ms);
            match now.ms().checked_sub(ago_ms) {
                _ if wall_ms > now.wall_ms => log.next_sequence(),
                Some(at_ms) => log.first_since(segments, at_ms),
                None => log.earliest(segments),
            }
        }
    }
}
