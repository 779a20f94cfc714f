//! What a worker learns from replies.

use ringway_protocol::{Code, QueueId, Reply};

use super::pushing::Subscribed;
use super::{Held, Known, Worker};
use crate::clients::Outside;
use crate::clients::peer::{Arrival, Asked};

/// Leases that a client keeps in mind.
const LEASES_MAX: usize = 16;

impl Worker {
    pub(super) fn learn(&mut self, arrival: &Arrival, outside: &mut Outside<'_>) {
        match (&arrival.asked, arrival.reply()) {
            (asked, Reply::Refused { code, .. }) => self.was_refused(asked, code),
            (Asked::Declare(index), Reply::Declared { queue, .. }) => {
                let plan = &self.plans[*index];
                let groups = vec![None; plan.groups.len()];
                let known = Known { queue, groups, bound: plan.topic.is_none(), dead: None };
                if self.queues[*index].as_ref().is_none_or(|other| other.queue != queue) {
                    self.queues[*index] = Some(known);
                }
                outside.queue_found(*index, queue.0, plan.facts());
            }
            (Asked::Group(index, nth), Reply::Group { group, .. }) => {
                if let Some(known) = &mut self.queues[*index] {
                    known.groups[*nth] = Some(group);
                }
            }
            (Asked::Bind(index), Reply::Bound { .. }) => {
                if let Some(known) = &mut self.queues[*index] {
                    known.bound = true;
                }
            }
            (Asked::OpenDead(index), Reply::Opened { queue: dead }) => {
                if let Some(known) = &mut self.queues[*index] {
                    known.dead = Some(dead);
                }
                outside.dead_found(*index, dead.0);
            }
            (Asked::Subscribe(index, queue), Reply::Subscribed { subscription: id }) => {
                let (index, queue) = (*index, QueueId(*queue));
                self.subscriptions.push(Subscribed { index, queue, id });
                outside.network.count("subscriptions");
            }
            (_, Reply::Extended { .. }) => outside.network.count("leases extended"),
            (Asked::Put(index, sending), Reply::Put(receipt)) => {
                if receipt.duplicate {
                    outside.network.count("puts known to be repeats");
                }
                if self.unsure.is_empty() && self.chance.happens(self.conduct.repeats) {
                    self.unsure.push_back((*index, sending.clone()));
                }
            }
            (Asked::Take(_, queue) | Asked::Subscribe(_, queue), Reply::Delivery(delivery)) => {
                if matches!(arrival.asked, Asked::Subscribe(..)) {
                    outside.network.count_many("messages pushed", delivery.count().into());
                }
                let again = delivery.runs().filter(|run| run.deliveries > 1);
                let again = again.map(|run| u64::from(run.count)).sum();
                outside.network.count_many("messages delivered again", again);
                if delivery.lease.0 != 0 {
                    let (queue, lease) = (QueueId(*queue), delivery.lease.0);
                    self.leases.push_back(Held { queue, lease, count: delivery.count() });
                }
                if self.leases.len() > LEASES_MAX {
                    self.leases.pop_front();
                }
            }
            _ => {}
        }
    }

    fn was_refused(&mut self, asked: &Asked, code: Code) {
        let index = match asked {
            Asked::Put(index, _)
            | Asked::PutOnce(index)
            | Asked::Take(index, _)
            | Asked::Subscribe(index, _)
            | Asked::Group(index, _)
            | Asked::Bind(index) => *index,
            _ => return,
        };
        match (code, &mut self.queues[index]) {
            (Code::NoSuchQueue, known) => *known = None,
            (Code::NoSuchGroup, Some(known)) => known.groups.fill(None),
            _ => {}
        }
    }
}
