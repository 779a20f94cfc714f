//! Pushing: who subscribes gets deliveries without asking again, until it or its peer ends.

use ringway_protocol::request::{Credit, Subscribe, Take};
use ringway_protocol::{Code, QueueId, Rejection, SubscriptionId};

use super::subscriptions::{NO_SUCH_SUBSCRIPTION, TOO_MANY_SUBSCRIPTIONS};
use super::turns::{Turn, Turns};
use crate::limits::SUBSCRIPTIONS_PER_ASKER_MAX;
use crate::path::origin::Origin;
use crate::path::queue::lease::Leases;
use crate::path::queue::lease::settle::End;
use crate::path::queue::log::piece::Piece;
use crate::path::queue::log::segment::NIL;
use crate::path::queue::waits::Asks;
use crate::path::queue::{Store, Taken, Timer};
use crate::world::Now;

impl Store {
    /// Has a group's messages pushed to an asker, as [`Store::next_answer`]s.
    pub fn subscribe(
        &mut self,
        subscribe: &Subscribe,
        origin: Origin,
        now: Now,
    ) -> Result<SubscriptionId, Rejection> {
        let queue = self.catalog.get_mut(subscribe.queue)?;
        let group = queue.groups.find(subscribe.group)?;
        if self.subscriptions.is_full() {
            let sentence = "the shard has as many subscriptions as it may have";
            return Err(Rejection::new(Code::ResourceExhausted, sentence));
        }
        if self.waits.subscriptions(origin.asker()) >= SUBSCRIPTIONS_PER_ASKER_MAX {
            return Err(TOO_MANY_SUBSCRIPTIONS);
        }
        let holder = queue.groups.at_mut(group);
        holder.waits.subscriptions += 1;
        let place = (subscribe.queue.slot() as u32, group);
        if holder.single_active {
            self.claim(place, origin);
        }
        let index = self.subscriptions.open(subscribe, now.ns);
        let wait = self.waits.create(Asks::Subscription(index), place, origin);
        self.subscriptions[index].wait = wait;
        self.arrange(wait);
        Ok(self.subscriptions.id(index))
    }

    /// Ends a subscription of an asker. Says how many messages come back, and how many bytes its
    /// credit was.
    pub fn unsubscribe(
        &mut self,
        queue: QueueId,
        subscription: SubscriptionId,
        origin: Origin,
        now: Now,
    ) -> Result<(u64, u32), Rejection> {
        let index = self.subscription(queue, subscription, origin)?;
        Ok(self.end_subscription(index, now))
    }

    /// How many bytes the credit of an asker's subscription is.
    pub fn credit_bytes(
        &self,
        queue: QueueId,
        subscription: SubscriptionId,
        origin: Origin,
    ) -> Result<u32, Rejection> {
        let index = self.subscription(queue, subscription, origin)?;
        Ok(self.subscriptions[index].bytes_max)
    }

    /// States anew how much an asker's subscription may have unsettled.
    pub fn credit(&mut self, credit: &Credit, origin: Origin) -> Result<(), Rejection> {
        let index = self.subscription(credit.queue, credit.subscription, origin)?;
        self.subscriptions[index].grant(credit);
        self.arrange(self.subscriptions[index].wait);
        Ok(())
    }

    /// Nothing is pushed to an asker until he has read what he is owed, or pushing goes on.
    pub fn set_behind(&mut self, shard: u8, peer: u64, is_behind: bool) {
        let mut next = self.waits.latest_of((shard, peer));
        while let Some(slot) = next {
            next = self.waits.earlier_of_asker(slot);
            if let Asks::Subscription(index) = self.waits[slot].asks {
                self.subscriptions[index].is_behind = is_behind;
                self.arrange(slot);
            }
        }
    }

    /// The slot of a subscription that an asker has at a queue.
    fn subscription(
        &self,
        queue: QueueId,
        id: SubscriptionId,
        origin: Origin,
    ) -> Result<u32, Rejection> {
        self.catalog.get(queue)?;
        let index = self.subscriptions.find(id).filter(|index| {
            let wait = &self.waits[self.subscriptions[*index].wait];
            wait.queue == queue.slot() as u32 && wait.origin.asker() == origin.asker()
        });
        index.ok_or(NO_SUCH_SUBSCRIPTION)
    }

    /// Delivers to the subscription that is first in turn; says whether anything came.
    pub(super) fn push(&mut self, turn: Turn, index: u32, now: Now, taken: &mut Taken) -> bool {
        let subscription = &mut self.subscriptions[index];
        let allowed = subscription.bucket.available(now.ns);
        if allowed == 0 {
            self.rest(turn.slot, index, now);
            self.arrange(turn.slot);
            return false;
        }
        if self.leases.is_full() {
            self.starve(turn);
            return false;
        }
        let take = Take {
            queue: turn.id,
            messages_max: turn.share.min(allowed),
            bytes_max: subscription.bytes_left(),
            wait_ms: 0,
            lease_ms: subscription.lease_ms,
            group: subscription.group,
            acknowledged: false,
        };
        let outcome = self.deliver(&take, turn.group, take.messages_max, now, taken);
        debug_assert!(outcome.is_ok(), "the queue is there, and so is a lease");
        if taken.count == 0 {
            self.look_further(turn);
            return false;
        }
        let bytes = taken.runs.iter().map(|run| run.slice.len() as u64).sum();
        let subscription = &mut self.subscriptions[index];
        subscription.spend(taken.count, bytes);
        self.leases.attach(taken.lease.slot(), index, &mut subscription.leases);
        if subscription.bucket.available(now.ns) == 0 {
            self.rest(turn.slot, index, now);
        }
        self.end_turn(turn);
        true
    }

    /// A subscription is over its rate for now.
    fn rest(&mut self, slot: u32, index: u32, now: Now) {
        let ready_ns = self.subscriptions[index].bucket.ready_at(now.ns);
        self.waits[slot].timer = Some(self.wheel.arm(ready_ns, Timer::Wait(slot)));
    }

    /// Messages of a lease are settled: if they were pushed, their credit comes back.
    pub(in crate::path::queue) fn refund(&mut self, lease: u32, pieces: &[Piece]) {
        let index = self.leases[lease].subscription;
        if index != NIL {
            let subscription = &mut self.subscriptions[index];
            for piece in pieces {
                subscription.refund(piece.count, piece.bytes.into());
            }
            let wait = subscription.wait;
            // One that has ended waits no more.
            if wait != NIL {
                self.arrange(wait);
            }
        }
    }

    /// A lease ends: if it belongs to a subscription, that has one less.
    #[inline]
    pub(in crate::path::queue) fn detach(&mut self, lease: u32) {
        let index = self.leases[lease].subscription;
        if index != NIL {
            self.leases.detach(lease, &mut self.subscriptions[index].leases);
        }
    }
}

impl Store {
    /// What a subscription holds comes back, with this delivery counted; says how many messages.
    fn bring_back(&mut self, index: u32, now: Now) -> u64 {
        let mut messages = 0;
        while self.subscriptions[index].leases != NIL {
            let lease = self.subscriptions[index].leases;
            messages += u64::from(self.leases[lease].unsettled);
            self.end_lease(lease, End::GivenBack(now));
        }
        messages
    }

    /// Everybody who waits at a queue is told why that is over, takes and subscriptions; what was
    /// pushed comes back.
    pub fn dismiss(&mut self, id: QueueId, why: Rejection, now: Now) {
        let slot = id.slot() as u32;
        let places = self.catalog.get(id).map_or(0, |queue| queue.groups.places());
        for group in 0..places {
            if self.catalog.at(slot).groups.get(group).is_some() {
                for index in self.subscriptions_to(slot, group) {
                    self.bring_back(index, now);
                }
                self.refuse_waits(slot, group, why);
            }
        }
    }

    fn subscriptions_to(&self, slot: u32, group: usize) -> Vec<u32> {
        let Turns { turn, standby, idle, .. } = *self.catalog.at(slot).groups.at(group).waits;
        let lists = [turn, standby, idle];
        let waits = lists.iter().flat_map(|list| list.slots(&self.waits));
        let subscription = |slot| match self.waits[slot].asks {
            Asks::Subscription(index) => Some(index),
            _ => None,
        };
        waits.filter_map(subscription).collect()
    }
}

impl Leases {
    /// Puts a lease in front of the list of its subscription.
    fn attach(&mut self, slot: u32, subscription: u32, list: &mut u32) {
        let next = std::mem::replace(list, slot);
        if next != NIL {
            self[next].fellows.0 = slot;
        }
        let lease = &mut self[slot];
        (lease.subscription, lease.fellows) = (subscription, (NIL, next));
    }

    /// Takes a lease out of the list of its subscription.
    fn detach(&mut self, slot: u32, list: &mut u32) {
        let (previous, next) = self[slot].fellows;
        match previous {
            NIL => *list = next,
            previous => self[previous].fellows.1 = next,
        }
        if next != NIL {
            self[next].fellows.0 = previous;
        }
        self[slot].subscription = NIL;
    }
}
