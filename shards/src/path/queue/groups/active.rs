//! The single active consumer of a group that has one: the first to ask, until it goes. One that
//! wants nothing any more goes once nothing of the group is leased.
//!
//! Its activity is a wait of its own, in the list of its asker alone, so that the end of the asker
//! ends it. Whoever else waits at the group stands by.

use crate::path::origin::Origin;
use crate::path::queue::Store;
use crate::path::queue::log::segment::NIL;
use crate::path::queue::waits::{Asks, Place};

impl Store {
    /// Whether an asker may get messages of a group with a single active consumer. The first to ask
    /// becomes that one.
    #[cold]
    pub(in crate::path::queue) fn claim(
        &mut self,
        (queue, group): (u32, usize),
        origin: Origin,
    ) -> bool {
        let turns = &mut self.catalog.at_mut(queue).groups.at_mut(group).waits;
        if turns.active == NIL {
            turns.active = self.waits.create(Asks::Activity, (queue, group), origin);
        }
        let active = turns.active;
        let is_active = self.is_active(active, origin);
        if is_active {
            self.catalog.at_mut(queue).groups.at_mut(group).waits.leaving = false;
        }
        is_active
    }

    /// Whether this activity, if there is one, is an asker's.
    pub(in crate::path::queue) fn is_active(&self, activity: u32, origin: Origin) -> bool {
        activity != NIL && self.waits[activity].origin.asker() == origin.asker()
    }

    /// Nobody is active in a group any more.
    pub(in crate::path::queue) fn forget_activity(&mut self, queue: u32, group: usize) {
        let turns = &mut self.catalog.at_mut(queue).groups.at_mut(group).waits;
        turns.leaving = false;
        let active = std::mem::replace(&mut turns.active, NIL);
        if active != NIL {
            self.waits.remove(active);
        }
    }

    /// The active consumer of a group goes: the next of those who stand by takes over.
    pub(in crate::path::queue) fn step_down(&mut self, queue: u32, group: usize) {
        self.forget_activity(queue, group);
        self.appoint(queue, group);
    }

    /// The last lease of a group has ended: if its active consumer only waited for that, it goes.
    #[cold]
    pub(in crate::path::queue) fn leave_activity(&mut self, queue: u32, group: usize) {
        if self.catalog.at(queue).groups.at(group).waits.leaving {
            self.step_down(queue, group);
        }
    }

    /// The next of those who stand by, if there is one, becomes active with all that it asks for.
    pub(in crate::path::queue) fn appoint(&mut self, queue: u32, group: usize) {
        let next = self.catalog.at(queue).groups.at(group).waits.standby.first;
        if next == NIL {
            return;
        }
        let origin = self.waits[next].origin;
        self.claim((queue, group), origin);
        let of_group = |slot: &u32| {
            let wait = &self.waits[*slot];
            wait.place == Place::Standby && (wait.queue, wait.group) == (queue, group as u16)
        };
        let mut slots: Vec<u32> = self.waits.of_asker(origin.asker()).filter(of_group).collect();
        // The oldest first, as they stood in line.
        slots.reverse();
        slots.into_iter().for_each(|slot| self.arrange(slot));
    }

    /// A group has a single active consumer from now on, or none. Visits those who wait there.
    pub(super) fn change_activity(&mut self, queue: u32, group: usize) {
        let holder = self.catalog.at(queue).groups.at(group);
        let (turns, single_active) = (*holder.waits, holder.single_active);
        if !single_active {
            self.forget_activity(queue, group);
        }
        let lists = [turns.turn, turns.idle, turns.standby];
        let slots: Vec<u32> = lists.iter().flat_map(|list| list.slots(&self.waits)).collect();
        if let Some(first) = slots.first().filter(|_| single_active) {
            let origin = self.waits[*first].origin;
            self.claim((queue, group), origin);
        }
        slots.into_iter().for_each(|slot| self.arrange(slot));
    }
}
