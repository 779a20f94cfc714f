//! The end of a subscription: what was pushed to it comes back, so many leases a turn.
//!
//! A subscription that still holds some after that is in a list until all have come back; its slot
//! is not used again before. Where it was of the single active consumer, nobody takes over before
//! that either: the next one gets what came back first.

use ringway_protocol::QueueId;

use crate::limits::ENDINGS_PER_CALL_MAX;
use crate::path::origin::Origin;
use crate::path::queue::Store;
use crate::path::queue::lease::settle::End;
use crate::path::queue::log::segment::NIL;
use crate::path::queue::waits::{Asks, Wait};
use crate::world::Now;

/// Messages of a lease that count as much as another lease.
const MESSAGES_PER_ENDING: u32 = 64;
/// The active consumer of a group whose last one is gone, while what it had comes back.
const NOBODY: Origin = Origin { shard: u8::MAX, peer: u64::MAX, stream: 0, request: 0 };

/// A subscription that has ended, and where it was.
#[derive(Clone, Copy, Debug)]
pub(in crate::path::queue) struct Leaving {
    queue: QueueId,
    group: usize,
    index: u32,
}

impl Store {
    /// Ends a subscription: what it holds comes back, with this delivery counted. Says how many
    /// messages that is, and how many bytes its credit was.
    pub(super) fn end_subscription(&mut self, index: u32, now: Now) -> (u64, u32) {
        let wait = self.subscriptions[index].wait;
        let Wait { queue, group, origin, .. } = self.waits[wait];
        let group = usize::from(group);
        self.leave_group(wait);
        self.waits.remove(wait);
        let (messages, promised) = self.subscriptions.leave(index);
        let found = self.catalog.at_mut(queue);
        let (id, turns) = (found.id, *found.groups.at(group).waits);
        let steps_down = self.is_active(turns.active, origin) && turns.is_deserted();
        if steps_down {
            self.catalog.at_mut(queue).groups.at_mut(group).waits.leaving = true;
        }
        let leaving = Leaving { queue: id, group, index };
        if !self.give_pushed_back(leaving, now) {
            self.leaving.push_back(leaving);
        }
        if steps_down && self.catalog.at(queue).groups.at(group).leases == NIL {
            self.leave_activity(queue, group);
        }
        (messages, promised)
    }

    /// Goes on with the subscriptions that have ended. Once a turn.
    pub(in crate::path::queue) fn end_leaving(&mut self, now: Now) {
        self.endings_left = ENDINGS_PER_CALL_MAX;
        while self.endings_left > 0
            && let Some(leaving) = self.leaving.pop_front()
        {
            if !self.give_pushed_back(leaving, now) {
                return self.leaving.push_front(leaving);
            }
            let Leaving { queue, group, .. } = leaving;
            if self.catalog.get(queue).is_ok_and(|found| found.groups.get(group).is_some())
                && !self.comes_back(queue, group)
            {
                self.end_interregnum(queue.slot() as u32, group);
            }
        }
    }

    /// Gives back what an ended subscription holds, as far as this turn goes; says whether that is
    /// all of it.
    fn give_pushed_back(&mut self, leaving: Leaving, now: Now) -> bool {
        let Leaving { queue, group, index } = leaving;
        while self.endings_left > 0
            && let lease = self.subscriptions[index].leases
            && lease != NIL
        {
            let cost = 1 + self.leases[lease].unsettled / MESSAGES_PER_ENDING;
            self.endings_left = self.endings_left.saturating_sub(cost);
            self.end_lease(lease, End::GivenBack(now));
        }
        if let Ok(found) = self.catalog.get(queue)
            && found.groups.get(group).is_some()
        {
            found.check();
            self.stir(queue, now.ns);
            self.offer(queue, group);
        }
        let is_over = self.subscriptions[index].leases == NIL;
        if is_over {
            self.subscriptions.free(index);
        }
        is_over
    }

    /// Whether something of a group that was pushed is still to come back.
    fn comes_back(&self, queue: QueueId, group: usize) -> bool {
        self.leaving.iter().any(|leaving| (leaving.queue, leaving.group) == (queue, group))
    }

    /// The active consumer of a group has gone for good: the next one takes over, once what was
    /// pushed to it is back.
    pub(super) fn succeed(&mut self, (queue, group): (u32, usize)) {
        if self.comes_back(self.catalog.at(queue).id, group) {
            let active = self.waits.create(Asks::Activity, (queue, group), NOBODY);
            self.catalog.at_mut(queue).groups.at_mut(group).waits.active = active;
        } else {
            self.appoint(queue, group);
        }
    }

    /// All is back: if nobody was to take over before that, somebody does now.
    fn end_interregnum(&mut self, queue: u32, group: usize) {
        let active = self.catalog.at(queue).groups.at(group).waits.active;
        if self.is_active(active, NOBODY) {
            self.step_down(queue, group);
        }
    }
}
