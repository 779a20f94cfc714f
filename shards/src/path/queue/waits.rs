//! Takes that wait for messages: served in turn, or answered when their time is up or their queue
//! is gone.
//!
//! A waiting take is in the list of its group until it is answered; then, unless it was served, in
//! the list of answers that are due. It is also in the list of its asker, so that one that is gone
//! takes nothing. Every list is made of links between slots, so nothing here depends on how many
//! wait.

use std::collections::HashMap;
use std::collections::hash_map::{DefaultHasher, Entry};
use std::hash::BuildHasherDefault;

use ringway_protocol::limits::TAKE_MESSAGES_MAX;
use ringway_protocol::request::Take;
use ringway_protocol::{Code, QueueId, Rejection};

use super::segment::NIL;
use super::take::{check, deadline_ns};
use super::{Answer, Store, Taken, Timer};
use crate::path::origin::Origin;
use crate::world::{Now, TimerId};

/// What a waiting take waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Free,
    Messages,
    /// The answer that nothing came.
    TimedOut,
    /// The answer that the queue or the group was deleted.
    Refused(Rejection),
}

#[derive(Clone, Copy, Debug)]
struct Wait {
    take: Take,
    /// The index of the group that it takes for.
    group: u16,
    origin: Origin,
    state: State,
    timer: Option<TimerId>,
    /// Neighbours in the list of the group or of the answers due; of a free slot, `next` is the
    /// next free one.
    previous: u32,
    next: u32,
    /// Neighbours in the list of the asker.
    asker_previous: u32,
    asker_next: u32,
}

/// Messages that a waiting take can get at most.
fn wanted(take: &Take) -> u64 {
    u64::from(take.messages_max.min(TAKE_MESSAGES_MAX))
}

/// Waiting takes in turn.
#[derive(Clone, Copy, Debug)]
pub(super) struct WaitList {
    first: u32,
    last: u32,
    pub count: u32,
    /// Messages that they ask for at most, together.
    pub wanted: u64,
    /// Whether the group is among those that can serve.
    offered: bool,
}

impl WaitList {
    pub const EMPTY: WaitList =
        WaitList { first: NIL, last: NIL, count: 0, wanted: 0, offered: false };

    fn append(&mut self, slots: &mut [Wait], slot: u32) {
        let last = std::mem::replace(&mut self.last, slot);
        let wait = &mut slots[slot as usize];
        (wait.previous, wait.next) = (last, NIL);
        self.count += 1;
        self.wanted += wanted(&wait.take);
        match last {
            NIL => self.first = slot,
            last => slots[last as usize].next = slot,
        }
    }

    fn unlink(&mut self, slots: &mut [Wait], slot: u32) {
        let Wait { previous, next, take, .. } = slots[slot as usize];
        self.count -= 1;
        self.wanted -= wanted(&take);
        match previous {
            NIL => self.first = next,
            previous => slots[previous as usize].next = next,
        }
        match next {
            NIL => self.last = previous,
            next => slots[next as usize].previous = previous,
        }
    }
}

/// Every waiting take of a shard.
#[derive(Debug)]
pub(super) struct Waits {
    slots: Vec<Wait>,
    free: u32,
    active: usize,
    active_max: usize,
    due: WaitList,
    /// The first waiting take of each asker. Fixed keys: nothing here may differ from run to run.
    askers: HashMap<(u8, u64), u32, BuildHasherDefault<DefaultHasher>>,
}

impl Waits {
    pub fn new(active_max: usize) -> Self {
        let (slots, askers) = Default::default();
        Self { slots, free: NIL, active: 0, active_max, due: WaitList::EMPTY, askers }
    }

    fn create(&mut self, take: Take, group: usize, origin: Origin) -> u32 {
        let asker = self.askers.entry((origin.shard, origin.peer));
        let slot = if self.free == NIL { self.slots.len() as u32 } else { self.free };
        let asker_next = match asker {
            Entry::Occupied(mut first) => first.insert(slot),
            Entry::Vacant(none) => {
                none.insert(slot);
                NIL
            }
        };
        let wait = Wait {
            take,
            group: group as u16,
            origin,
            state: State::Messages,
            timer: None,
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
            self.slots[asker_next as usize].asker_previous = slot;
        }
        self.active += 1;
        slot
    }

    /// Forgets a waiting take that is in no list but its asker's.
    fn remove(&mut self, slot: u32) {
        let Wait { origin, asker_previous, asker_next, .. } = self.slots[slot as usize];
        match (asker_previous, asker_next) {
            (NIL, NIL) => drop(self.askers.remove(&(origin.shard, origin.peer))),
            (NIL, next) => drop(self.askers.insert((origin.shard, origin.peer), next)),
            (previous, next) => self.slots[previous as usize].asker_next = next,
        }
        if asker_next != NIL {
            self.slots[asker_next as usize].asker_previous = asker_previous;
        }
        let wait = &mut self.slots[slot as usize];
        (wait.state, wait.next) = (State::Free, self.free);
        self.free = slot;
        self.active -= 1;
    }
}

impl Store {
    /// Lets a take wait that found nothing, until messages come or `wait_ms` is over.
    pub fn wait(&mut self, take: &Take, origin: Origin, now: Now) -> Result<(), Rejection> {
        let queue = self.catalog.get_mut(take.queue)?;
        let group = check(take, queue)?;
        if self.waits.active == self.waits.active_max {
            let sentence = "the shard has as many waiting takes as it may have";
            return Err(Rejection::new(Code::ResourceExhausted, sentence));
        }
        let slot = self.waits.create(*take, group, origin);
        let timer = self.wheel.arm(deadline_ns(now.ns, take.wait_ms), Timer::Wait(slot));
        self.waits.slots[slot as usize].timer = Some(timer);
        queue.groups.at_mut(group).waits.append(&mut self.waits.slots, slot);
        self.offer(take.queue, group);
        Ok(())
    }

    /// The next waiting take that has its answer: served in turn, timed out, or refused. Asks each
    /// queue that can serve in turn.
    pub fn next_answer(&mut self, now: Now, taken: &mut Taken) -> Option<Answer> {
        if self.waits.active == 0 {
            return None;
        }
        if self.waits.due.first != NIL {
            let slot = self.waits.due.first;
            taken.clear();
            self.waits.due.unlink(&mut self.waits.slots, slot);
            let Wait { take, origin, state, .. } = self.waits.slots[slot as usize];
            self.waits.remove(slot);
            let outcome = match state {
                State::Refused(why) => Err(why),
                _ => Ok(()),
            };
            return Some(Answer { origin, take, outcome });
        }
        while let Some((id, group)) = self.offers.pop_front() {
            let group = usize::from(group);
            let Ok(queue) = self.catalog.get_mut(id) else { continue };
            if queue.groups.get(group).is_none() {
                continue;
            }
            let offered = queue.offered(group);
            let waits = &mut queue.groups.at_mut(group).waits;
            waits.offered = false;
            if waits.count == 0 || offered == 0 {
                continue;
            }
            let slot = waits.first;
            let Wait { take, origin, .. } = self.waits.slots[slot as usize];
            taken.clear();
            let outcome = self.deliver(&take, group, take.messages_max, now, taken);
            if outcome.is_ok() && taken.count == 0 {
                // All that it looked at has a busy key, or has expired: it waits on.
                if self.catalog.get(id).is_ok_and(|queue| queue.offered(group) < offered) {
                    self.offer(id, group);
                }
                continue;
            }
            self.end_wait(slot);
            self.waits.remove(slot);
            self.offer(id, group);
            return Some(Answer { origin, take, outcome });
        }
        None
    }

    /// Drops the waiting takes of an asker that is gone, and the answers that it was due.
    pub fn forget(&mut self, shard: u8, peer: u64) {
        while let Some(slot) = self.waits.askers.get(&(shard, peer)).copied() {
            match self.waits.slots[slot as usize].state {
                State::Messages => self.end_wait(slot),
                _ => self.waits.due.unlink(&mut self.waits.slots, slot),
            }
            self.waits.remove(slot);
        }
    }

    /// Notes that a group of a queue may have something for its waiting takes.
    #[inline]
    pub(super) fn offer(&mut self, id: QueueId, group: usize) {
        if let Ok(queue) = self.catalog.get_mut(id)
            && let waits = &queue.groups.at(group).waits
            && waits.count > 0
            && !waits.offered
            && queue.offered(group) > 0
        {
            queue.groups.at_mut(group).waits.offered = true;
            self.offers.push_back((id, group as u16));
        }
    }

    /// Notes that every group of a queue may have something for its waiting takes.
    #[inline]
    pub(super) fn offer_all(&mut self, id: QueueId) {
        let places = self.catalog.get(id).map_or(0, |queue| queue.groups.places());
        for group in 0..places {
            if self.catalog.get(id).is_ok_and(|queue| queue.groups.get(group).is_some()) {
                self.offer(id, group);
            }
        }
    }

    /// The time of a waiting take is up: its answer is due.
    pub(super) fn time_out(&mut self, slot: u32) {
        self.waits.slots[slot as usize].timer = None;
        self.end_wait(slot);
        self.waits.slots[slot as usize].state = State::TimedOut;
        self.waits.due.append(&mut self.waits.slots, slot);
    }

    /// The group of these waiting takes is deleted: their answers, with the reason, are due.
    pub(super) fn refuse_waits(&mut self, queue: u32, group: usize, why: Rejection) {
        loop {
            let slot = self.catalog.at(queue).groups.at(group).waits.first;
            if slot == NIL {
                return;
            }
            self.end_wait(slot);
            self.waits.slots[slot as usize].state = State::Refused(why);
            self.waits.due.append(&mut self.waits.slots, slot);
        }
    }

    /// Takes a waiting take out of its group's list, and its timer out of the wheel.
    fn end_wait(&mut self, slot: u32) {
        let wait = &mut self.waits.slots[slot as usize];
        let (timer, group) = (wait.timer.take(), usize::from(wait.group));
        let queue = self.catalog.at_mut(wait.take.queue.slot() as u32);
        queue.groups.at_mut(group).waits.unlink(&mut self.waits.slots, slot);
        let id = queue.id;
        if let Some(timer) = timer {
            self.wheel.disarm(timer);
        }
        self.stir(id, self.uses.clock_ns);
    }
}
