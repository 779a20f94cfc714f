//! What a worker asks next.

use ringway_protocol::request::{self, ChangeGroup, GroupFlags, GroupOperation, Take};
use ringway_protocol::{GroupId, QueueId, Request};

use super::{Known, Worker};
use crate::clients::Outside;
use crate::clients::peer::{Asked, Peer};
use crate::clients::queues::{GroupPlan, StartPlan};
use crate::{Ask, Start, parcel};

/// Streams that a client uses.
const STREAMS: u64 = 3;
/// Once in how many times a queue is bound that is not: what is published meanwhile passes it by.
const BINDS: u32 = 6;
/// Requests in flight of a client that administers queues, at most: what becomes of those that are
/// not answered nobody knows, and then nothing is certain of their queue any more.
const KEEPS_UP: usize = 16;

impl Worker {
    pub(super) fn ask(&mut self, peer: &mut Peer, outside: &mut Outside<'_>) {
        let index = self.chance.below(self.plans.len());
        let Some(known) = self.queues[index].clone() else {
            return self.declare(index, peer, outside);
        };
        let plans = self.plans.clone();
        let plan = &plans[index];
        let (empty, volatile, queue) = (plan.empty, plan.changes.volatile, known.queue);
        let keeps_up = peer.outstanding() < KEEPS_UP;
        let unbound = keeps_up && plan.topic.is_some() && !known.bound;
        let unknown = known.groups.iter().position(Option::is_none);
        if let Some(nth) = unknown.filter(|_| self.chance.once_in(2)) {
            return self.make_group((index, nth), queue, peer, outside);
        }
        if unbound && self.chance.once_in(BINDS) && self.keeps(queue, outside) {
            return self.bind(index, queue, true, peer, outside);
        }
        match self.chance.below(20) {
            0 => self.ask_trifle(queue, peer, outside),
            1 if volatile && self.chance.once_in(4) => self.remove(index, queue, peer, outside),
            1 if plan.redriven => self.redrive(index, &known, peer, outside),
            2..=6 if !empty => self.put(index, queue, peer, outside),
            7..=10 if !self.leases.is_empty() => self.settle(peer, outside),
            11 if !empty && !self.leases.is_empty() => self.transfer(index, queue, peer, outside),
            12 => self.publish(peer, outside),
            13 if self.conduct.subscribes => self.push(index, &known, peer, outside),
            15 | 16 if keeps_up && self.administer(index, &known, peer, outside) => {}
            14 if !self.leases.is_empty() => self.extend(peer, outside),
            _ => self.take(index, &known, peer, outside),
        }
    }

    pub(super) fn stream(&mut self) -> u32 {
        self.chance.between(0, STREAMS - 1) as u32
    }

    fn declare(&mut self, index: usize, peer: &mut Peer, outside: &mut Outside<'_>) {
        let plan = &self.plans[index];
        let mut name = plan.name.as_str();
        let options = Some(plan.options);
        let (mut asked, mut request) = (Asked::Declare(index), Request::Declare { name, options });
        if plan.is_found_by_name() && self.chance.once_in(2) {
            let alias = plan.alias.as_ref().filter(|_| self.chance.once_in(2));
            name = alias.map_or(name, |alias| alias.as_str());
            (asked, request) = (Asked::Open(index), Request::Open { name });
        }
        peer.ask(asked, Ask::Other, 0, outside, |name, out| {
            request.encode(name.0, name.1, out);
        });
    }

    fn make_group(
        &mut self,
        (index, nth): (usize, usize),
        queue: QueueId,
        peer: &mut Peer,
        outside: &mut Outside<'_>,
    ) {
        let GroupPlan { ref name, start, single_active } = self.plans[index].groups[nth];
        let (start, judged) = match start {
            StartPlan::Earliest => (request::Start::Earliest, Start::Earliest),
            StartPlan::Latest => (request::Start::Latest, Start::Latest),
            StartPlan::Sequence(at) => (request::Start::Sequence(at), Start::Sequence(at)),
            StartPlan::Lately => {
                let later_ms = self.plans[index].scene.ms(self.chance.between(0, 50));
                let soonest_ms = self.plans[index].scene.ms(40);
                let at_ms = outside.network.wall_ms() + later_ms - soonest_ms;
                (request::Start::TimeMs(at_ms), Start::Time(at_ms))
            }
        };
        let flags = GroupFlags { single_active, paused: false };
        let operation = GroupOperation::Create { start, flags };
        let request = Request::Group(ChangeGroup { queue, name, operation });
        let single = single_active;
        let ask = Ask::Group { queue: queue.0, name: nth as u64, start: judged, single };
        let asked = Asked::Group((index, queue.0), nth, *outside.messages);
        peer.ask(asked, ask, 0, outside, |name, out| {
            request.encode(name.0, name.1, out);
        });
    }

    /// One of a queue's groups that it knows.
    pub(super) fn any_group(&mut self, index: usize, known: &Known) -> GroupId {
        let nth = self.chance.below(known.groups.len() + 1).checked_sub(1);
        let nth = nth.filter(|nth| known.groups[*nth].is_some());
        self.active |= nth.is_some_and(|nth| self.plans[index].groups[nth].single_active);
        nth.and_then(|nth| known.groups[nth]).unwrap_or(GroupId::DEFAULT)
    }

    pub(super) fn take(
        &mut self,
        index: usize,
        known: &Known,
        peer: &mut Peer,
        outside: &mut Outside<'_>,
    ) {
        let (stream, group) = (self.stream(), self.any_group(index, known));
        let chance = &mut self.chance;
        let scene = &self.plans[index].scene;
        let (queue, messages_max) = (known.queue, chance.magnitude(128) as u32);
        // What such a take took is gone with its reply: whoever parts often would leave hardly
        // anything that must not be lost.
        let acknowledged = chance.once_in(if self.conduct.stays() { 3 } else { 100 });
        let take = Take {
            queue,
            messages_max,
            bytes_max: if chance.once_in(2) { 0 } else { chance.magnitude(100_000) as u32 },
            wait_ms: if chance.once_in(2) { 0 } else { scene.ms(chance.between(1, 40)) as u32 },
            lease_ms: if chance.once_in(2) { 0 } else { scene.ms(chance.between(1, 60)) as u32 },
            group,
            acknowledged,
        };
        if group != GroupId::DEFAULT {
            outside.network.count("takes from groups");
        }
        let (queue, of, waits) = (queue.0, (queue.0, group), take.wait_ms > 0);
        let ask = Ask::Take { queue, group: group.0, messages_max, for_good: acknowledged, waits };
        peer.ask(Asked::Take(index, of), ask, stream, outside, |name, out| {
            Request::Take(take).encode(name.0, name.1, out);
        });
    }

    fn ask_trifle(&mut self, queue: QueueId, peer: &mut Peer, outside: &mut Outside<'_>) {
        let stream = self.stream();
        let body = parcel::payload(*outside.messages, self.chance.magnitude(2000));
        let (asked, request) = match self.chance.below(6) {
            0 => (Asked::Other, Request::Ping),
            1 => (Asked::Stat(queue.0), Request::Stat { queue: Some(queue) }),
            2 => (Asked::Other, Request::List { cursor: 0, limit: 10, prefix: "queue/" }),
            3 => (Asked::Groups(queue.0), Request::Groups { queue }),
            4 => (Asked::Other, Request::Bindings { cursor: 0, limit: 10 }),
            _ => (Asked::Echo(body.clone()), Request::Echo(&body)),
        };
        peer.ask(asked, Ask::Other, stream, outside, |name, out| {
            request.encode(name.0, name.1, out);
        });
    }
}
