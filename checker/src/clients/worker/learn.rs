//! What a worker learns from replies.

use ringway_protocol::reply::{Delivery, QUEUE_COLUMNS, Receipt};
use ringway_protocol::request::Browse;
use ringway_protocol::{Code, GroupId, QueueId, Reply};

use super::pushing::Subscribed;
use super::{Held, Known, Worker};
use crate::clients::Outside;
use crate::clients::peer::{Arrival, Asked};
use crate::clients::queues::StartPlan;

/// Leases that a client keeps in mind.
const LEASES_MAX: usize = 16;
/// Where the number of its part stands in a sequence.
const PART_SHIFT: u32 = 52;

impl Worker {
    pub(super) fn learn(&mut self, arrival: &Arrival, outside: &mut Outside<'_>) {
        match (&arrival.asked, arrival.reply()) {
            (asked, Reply::Refused { code, .. }) => self.was_refused(asked, code),
            (Asked::Declare(index), Reply::Declared { queue, .. })
            | (Asked::Open(index), Reply::Opened { queue }) => {
                let plan = &self.plans[*index];
                let groups = vec![None; plan.groups.len()];
                let known = Known { queue, groups, bound: false, dead: None };
                if self.queues[*index].as_ref().is_none_or(|other| other.queue != queue) {
                    self.queues[*index] = Some(known);
                }
                outside.queue_found(*index, queue.0, plan.facts());
            }
            (Asked::Group(of, nth, messages), Reply::Group { group, changed }) => {
                self.group_found(*of, (*nth, group), outside);
                if changed {
                    self.group_made(*of, (*nth, group), *messages, outside);
                }
            }
            (Asked::Counted(name), _) => outside.network.count(name),
            (Asked::Browse(browse), Reply::Browsed(page)) => {
                outside.network.count_many("messages browsed", page.count().into());
                let cursor = page.next_cursor;
                self.browsing = (cursor > 0).then_some(Browse { cursor, ..*browse });
            }
            (_, Reply::Removal(removal)) => {
                let removed = removal.removed.into();
                outside.network.count_many("messages removed by their sequences", removed);
            }
            (_, Reply::Published(published)) => {
                outside.network.count_many("queues published to", published.stored.into());
            }
            (Asked::Stat(_), Reply::Figures(figures)) => {
                let column = QUEUE_COLUMNS.iter().position(|column| *column == "held_puts");
                let row = figures.rows().next().unwrap_or_default();
                let held = column.and_then(|column| row.get(column).copied()).unwrap_or(0);
                outside.network.count_many("puts held", held);
            }
            (Asked::OpenDead(index), Reply::Opened { queue: dead }) => {
                if let Some(known) = &mut self.queues[*index] {
                    known.dead = Some(dead);
                }
                outside.dead_found(*index, dead.0);
            }
            (Asked::Subscribe(index, queue), Reply::Subscribed { subscription: id }) => {
                let (index, queue) = (*index, QueueId(queue.0));
                self.subscriptions.push(Subscribed { index, queue, id });
                outside.network.count("subscriptions");
            }
            (_, Reply::Extended { .. }) => outside.network.count("leases extended"),
            (Asked::Put(index, sending), Reply::Put(receipt)) => {
                if receipt.duplicate {
                    outside.network.count("puts known to be repeats");
                }
                self.was_put(*index, &receipt, outside);
                if self.unsure.is_empty() && self.chance.happens(self.conduct.repeats) {
                    self.unsure.push_back((*index, sending.clone()));
                }
            }
            (Asked::Take(index, of) | Asked::Subscribe(index, of), Reply::Delivery(delivery)) => {
                let (queue, connection) = (&of.0, arrival.connection);
                self.was_given((*index, *of), &delivery, connection, outside);
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

    fn group_found(
        &mut self,
        (index, queue): (usize, u64),
        (nth, group): (usize, GroupId),
        outside: &mut Outside<'_>,
    ) {
        let known = self.queues[index].as_mut().filter(|known| known.queue.0 == queue);
        if let Some(known) = known {
            known.groups[nth] = Some(group);
        }
        if self.plans[index].groups[nth].single_active {
            outside.single_active((queue, group));
        }
    }

    fn group_made(
        &mut self,
        (index, queue): (usize, u64),
        (nth, group): (usize, GroupId),
        messages: u64,
        outside: &mut Outside<'_>,
    ) {
        if self.plans[index].options.keep_ms > 0 {
            outside.replay_begins((queue, group), messages);
        }
        match self.plans[index].groups[nth].start {
            StartPlan::Sequence(_) => outside.network.count("groups that start at a sequence"),
            StartPlan::Lately => outside.network.count("groups that start at a time"),
            _ => {}
        }
    }

    fn was_put(&mut self, index: usize, receipt: &Receipt<'_>, outside: &mut Outside<'_>) {
        if self.plans[index].changes.pruned
            && let Some(queue) = self.queues[index].as_ref().map(|known| known.queue)
        {
            receipt.runs().for_each(|run| self.remember(queue, run.first_sequence));
        }
        let mut parts: Vec<u64> =
            receipt.runs().map(|run| run.first_sequence >> PART_SHIFT & 0xff).collect();
        parts.dedup();
        if parts.len() > 1 {
            outside.network.count("puts cut for several parts");
        }
    }

    fn was_given(
        &self,
        (index, of): (usize, (u64, GroupId)),
        delivery: &Delivery<'_>,
        connection: u64,
        outside: &mut Outside<'_>,
    ) {
        let further = delivery.runs().filter(|run| run.first_sequence >> PART_SHIFT & 0xff > 0);
        let further = further.map(|run| u64::from(run.count)).sum();
        outside.network.count_many("messages of further parts", further);
        if self.plans[index].options.keep_ms > 0 {
            outside.replayed(of, delivery);
        }
        if delivery.count() > 0 {
            outside.consumed(of, connection);
        }
    }

    fn was_refused(&mut self, asked: &Asked, code: Code) {
        let index = match asked {
            Asked::Put(index, _)
            | Asked::PutOnce(index)
            | Asked::Take(index, _)
            | Asked::Subscribe(index, _)
            | Asked::Group((index, _), ..)
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
