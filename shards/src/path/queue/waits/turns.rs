//! Who of a group is served next: waiting takes and subscriptions in turn.
//!
//! ```text
//!              no credit, over its rate, behind
//!    turn  <------------------------------------>  idle        (subscriptions only)
//!      ^                                            ^
//!      +------------------ standby -----------------+          (a single active consumer goes)
//! ```
//! The first in turn gets messages; a take is over with that, a subscription goes to the end of the
//! turn. What cannot be served is in another list, so that nobody has to be passed over. Where
//! there is not enough for all, what there is when a round begins is shared evenly in that round.

use ringway_protocol::limits::TAKE_MESSAGES_MAX;
use ringway_protocol::request::Take;
use ringway_protocol::{Code, QueueId, Rejection};

use crate::path::origin::Origin;
use crate::path::queue::log::segment::NIL;
use crate::path::queue::rarely::Nothing;
use crate::path::queue::take::{check, deadline_ns};
use crate::path::queue::waits::{Asks, Place, Wait, WaitList, Waits};
use crate::path::queue::{Store, Timer};
use crate::world::Now;

/// Those who wait at one group.
///
/// Invariant: `count` and `wanted` are those of the waits in `turn`.
#[derive(Clone, Copy, Debug)]
pub(in crate::path::queue) struct Turns {
    pub turn: WaitList,
    pub standby: WaitList,
    pub idle: WaitList,
    /// How many could be served.
    pub count: u32,
    /// How many takes wait, and how many subscriptions there are.
    pub takes: u32,
    pub subscriptions: u32,
    /// What the group's single active consumer has among those who wait.
    pub active: u32,
    /// Whether that one wants nothing any more: it goes with the last lease of the group.
    pub leaving: bool,
    /// Messages that those in turn can get at most, together.
    pub wanted: u64,
    /// How many of those in turn are still to be served in this round.
    round: u32,
    /// Whether the group is among those that can serve.
    offered: bool,
}

impl Nothing for Turns {
    const NOTHING: &'static Self = &Self::EMPTY;

    fn nothing() -> Self {
        Self::EMPTY
    }
}

impl Turns {
    const EMPTY: Turns = Turns {
        turn: WaitList::EMPTY,
        standby: WaitList::EMPTY,
        idle: WaitList::EMPTY,
        count: 0,
        takes: 0,
        subscriptions: 0,
        active: NIL,
        leaving: false,
        wanted: 0,
        round: 0,
        offered: false,
    };

    /// Whether nobody waits whom the group may serve, now or when he has credit again.
    pub fn is_deserted(&self) -> bool {
        self.turn.is_empty() && self.idle.is_empty()
    }

    /// Messages for the first in turn out of so many: all that it wants if there are enough for
    /// everybody, else its part, and what the others do not want.
    #[inline]
    fn share(&mut self, offered: u64, first: &Wait) -> u32 {
        if self.round == 0 || self.round > self.count {
            self.round = self.count;
        }
        if offered >= self.wanted {
            return first.wanted;
        }
        let others = self.wanted - u64::from(first.wanted);
        let part = offered.div_ceil(u64::from(self.round));
        part.max(offered.saturating_sub(others)).min(u64::from(first.wanted)) as u32
    }

    #[inline]
    fn list(&mut self, place: Place) -> &mut WaitList {
        match place {
            Place::Turn => &mut self.turn,
            Place::Standby => &mut self.standby,
            Place::Idle => &mut self.idle,
            _ => unreachable!("a group has three lists"),
        }
    }

    #[inline]
    fn enter(&mut self, waits: &mut Waits, slot: u32, (place, wanted): (Place, u32)) {
        let wait = &mut waits[slot];
        (wait.place, wait.wanted) = (place, wanted);
        self.wanted += u64::from(wanted);
        self.count += u32::from(place == Place::Turn);
        self.list(place).append(waits, slot);
    }

    #[inline]
    fn leave(&mut self, waits: &mut Waits, slot: u32) {
        let Wait { place, wanted, .. } = waits[slot];
        self.wanted -= u64::from(wanted);
        self.count -= u32::from(place == Place::Turn);
        self.list(place).unlink(waits, slot);
        waits[slot].place = Place::Nowhere;
    }
}

/// Who is first in turn, and how much of what is offered is for him.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    pub id: QueueId,
    pub group: usize,
    pub slot: u32,
    pub offered: u64,
    pub share: u32,
}

impl Store {
    /// Lets a take wait that found nothing, until messages come or `wait_ms` is over.
    pub fn wait(&mut self, take: &Take, origin: Origin, now: Now) -> Result<(), Rejection> {
        let queue = self.catalog.get_mut(take.queue)?;
        let group = check(take, queue)?;
        if self.waits.is_full() {
            let sentence = "the shard has as many waiting takes as it may have";
            return Err(Rejection::new(Code::ResourceExhausted, sentence));
        }
        let holder = queue.groups.at_mut(group);
        holder.waits.takes += 1;
        let (place, single_active) = ((take.queue.slot() as u32, group), holder.single_active);
        if single_active {
            self.claim(place, origin);
        }
        let slot = self.waits.create(Asks::Take(*take), place, origin);
        let timer = self.wheel.arm(deadline_ns(now.ns, take.wait_ms), Timer::Wait(slot));
        self.waits[slot].timer = Some(timer);
        self.arrange(slot);
        Ok(())
    }

    /// Puts a wait of a group into the list where it belongs by now, and lets the group serve it.
    #[inline]
    pub(in crate::path::queue) fn arrange(&mut self, slot: u32) {
        let Self { catalog, waits, subscriptions, .. } = self;
        let Wait { asks, place, queue, group, origin, timer, wanted, .. } = waits[slot];
        let (queue, group) = (catalog.at_mut(queue), usize::from(group));
        let (id, holder) = (queue.id, queue.groups.at_mut(group));
        let active = holder.waits.active;
        let belongs = if active != NIL && waits[active].origin.asker() != origin.asker() {
            (Place::Standby, 0)
        } else {
            match asks {
                Asks::Take(take) => (Place::Turn, take.messages_max.min(TAKE_MESSAGES_MAX)),
                Asks::Subscription(index) => match subscriptions[index].wants() {
                    wants if wants > 0 && timer.is_none() => (Place::Turn, wants),
                    _ => (Place::Idle, 0),
                },
                _ => unreachable!("nothing else waits at a group"),
            }
        };
        if belongs.0 != place {
            if place != Place::Nowhere {
                holder.waits.leave(waits, slot);
            }
            holder.waits.enter(waits, slot, belongs);
        } else if belongs.1 != wanted {
            waits[slot].wanted = belongs.1;
            holder.waits.wanted = holder.waits.wanted - u64::from(wanted) + u64::from(belongs.1);
        }
        self.offer(id, group);
    }

    /// The next who is to be served. The groups that can serve take turns, too.
    pub(super) fn next_turn(&mut self) -> Option<Turn> {
        if !self.starved.is_empty() && !self.leases.is_full() {
            self.offers.extend(self.starved.drain(..));
        }
        while let Some((id, group)) = self.offers.pop_front() {
            let group = usize::from(group);
            let Ok(queue) = self.catalog.get_mut(id) else { continue };
            if queue.groups.get(group).is_none() {
                continue;
            }
            let offered = queue.offered(group);
            let turns = &mut queue.groups.at_mut(group).waits;
            turns.offered = false;
            if turns.count == 0 || offered == 0 {
                continue;
            }
            let slot = turns.turn.first;
            let share = turns.share(offered, &self.waits[slot]);
            return Some(Turn { id, group, slot, offered, share });
        }
        None
    }

    /// Lets a group try again that delivered nothing: all that it looked at has a busy key, or has
    /// expired. Who was first stays so.
    pub(super) fn look_further(&mut self, turn: Turn) {
        let queue = self.catalog.at_mut(turn.id.slot() as u32);
        match queue.offered(turn.group) {
            0 => queue.groups.at_mut(turn.group).waits.round = 0,
            offered if offered < turn.offered => self.offer(turn.id, turn.group),
            _ => {}
        }
    }

    /// A group whose turn it is finds no lease for a subscription: it tries again once there is
    /// one.
    #[cold]
    pub(super) fn starve(&mut self, turn: Turn) {
        let queue = self.catalog.at_mut(turn.id.slot() as u32);
        // Nothing that happens meanwhile is worth a look.
        queue.groups.at_mut(turn.group).waits.offered = true;
        self.starved.push((turn.id, turn.group as u16));
    }

    /// The first in turn was served: a take is over, a subscription goes to the end of the turn, or
    /// out of it.
    #[inline]
    pub(super) fn end_turn(&mut self, turn: Turn) {
        let queue = self.catalog.at_mut(turn.id.slot() as u32);
        let exhausted = queue.offered(turn.group) == 0;
        let turns = &mut queue.groups.at_mut(turn.group).waits;
        turns.round = if exhausted { 0 } else { turns.round - 1 };
        if matches!(self.waits[turn.slot].asks, Asks::Take(_)) {
            self.leave_group(turn.slot);
            self.waits.remove(turn.slot);
            return self.offer(turn.id, turn.group);
        }
        if !turns.turn.is_alone(turn.slot) {
            turns.leave(&mut self.waits, turn.slot);
        }
        self.arrange(turn.slot);
    }

    /// Notes that a group of a queue may have something for those who wait.
    #[inline]
    pub(in crate::path::queue) fn offer(&mut self, id: QueueId, group: usize) {
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

    /// Notes that every group of a queue may have something for those who wait.
    #[inline]
    pub(in crate::path::queue) fn offer_all(&mut self, id: QueueId) {
        let places = self.catalog.get(id).map_or(0, |queue| queue.groups.places());
        for group in 0..places {
            if self.catalog.get(id).is_ok_and(|queue| queue.groups.get(group).is_some()) {
                self.offer(id, group);
            }
        }
    }

    /// The time of one who waits is up: a take and a held put have their answer, a subscription has
    /// something left of its rate.
    pub(in crate::path::queue) fn time_out(&mut self, slot: u32) {
        self.waits[slot].timer = None;
        match self.waits[slot].asks {
            Asks::Subscription(_) => self.arrange(slot),
            Asks::Put(_) => self.give_up(slot),
            _ => {
                self.leave_group(slot);
                self.waits.give_answer(slot, Ok(()));
            }
        }
    }

    /// A group, or its queue, is deleted: those who wait there are told why.
    pub(in crate::path::queue) fn refuse_waits(
        &mut self,
        queue: u32,
        group: usize,
        why: Rejection,
    ) {
        self.forget_activity(queue, group);
        loop {
            let Turns { turn, standby, idle, .. } = *self.catalog.at(queue).groups.at(group).waits;
            let lists = [turn, standby, idle];
            let Some(list) = lists.iter().find(|list| !list.is_empty()) else { return };
            let slot = list.first;
            self.leave_group(slot);
            if let Asks::Subscription(index) = self.waits[slot].asks {
                let (_, promised) = self.subscriptions.leave(index);
                self.subscriptions.free(index);
                self.waits[slot].asks = Asks::Ended(promised);
            }
            self.waits.give_answer(slot, Err(why));
        }
    }

    /// Takes one who waits out of his group, and his timer out of the wheel.
    pub(super) fn leave_group(&mut self, slot: u32) {
        let wait = &mut self.waits[slot];
        if let Some(timer) = wait.timer.take() {
            self.wheel.disarm(timer);
        }
        let Wait { asks, queue, group, .. } = *wait;
        let turns = &mut self.catalog.at_mut(queue).groups.at_mut(usize::from(group)).waits;
        turns.takes -= u32::from(matches!(asks, Asks::Take(_)));
        turns.subscriptions -= u32::from(matches!(asks, Asks::Subscription(_)));
        turns.leave(&mut self.waits, slot);
        let id = self.catalog.at(queue).id;
        self.stir(id, self.uses.clock_ns);
    }
}
