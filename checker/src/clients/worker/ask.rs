//! What a worker asks next.

use ringway_protocol::pattern::Pattern;
use ringway_protocol::request::{Binding, ChangeGroup, GroupFlags, GroupOperation, Take};
use ringway_protocol::{GroupId, QueueId, Request};

use super::{Known, Worker};
use crate::clients::Outside;
use crate::clients::peer::{Asked, Peer};
use crate::{Ask, Start, parcel};

/// Streams that a client uses.
const STREAMS: u64 = 3;

impl Worker {
    pub(super) fn ask(&mut self, peer: &mut Peer, outside: &mut Outside<'_>) {
        let index = self.chance.below(self.plans.len());
        let Some(known) = self.queues[index].clone() else {
            return self.declare(index, peer, outside);
        };
        let plan = &self.plans[index];
        let (empty, volatile, queue) = (plan.empty, plan.volatile, known.queue);
        let unknown = known.groups.iter().position(Option::is_none);
        if let Some(nth) = unknown.filter(|_| self.chance.once_in(2)) {
            return self.make_group((index, nth), queue, peer, outside);
        }
        if !known.bound && self.chance.once_in(2) {
            return self.bind(index, queue, peer, outside);
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
            14 if !self.leases.is_empty() => self.extend(peer, outside),
            _ => self.take(index, &known, peer, outside),
        }
    }

    pub(super) fn stream(&mut self) -> u32 {
        self.chance.between(0, STREAMS - 1) as u32
    }

    fn declare(&mut self, index: usize, peer: &mut Peer, outside: &mut Outside<'_>) {
        let plan = &self.plans[index];
        let request = Request::Declare { name: plan.name.as_str(), options: Some(plan.options) };
        peer.ask(Asked::Declare(index), Ask::Other, 0, outside, |name, out| {
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
        let (name, start) = &self.plans[index].groups[nth];
        let operation = GroupOperation::Create { start: *start, flags: GroupFlags::default() };
        let request = Request::Group(ChangeGroup { queue, name, operation });
        let latest = *start == ringway_protocol::request::Start::Latest;
        let start = if latest { Start::Latest } else { Start::Anywhere };
        let ask = Ask::Group { queue: queue.0, name: nth as u64, start };
        peer.ask(Asked::Group(index, nth), ask, 0, outside, |name, out| {
            request.encode(name.0, name.1, out);
        });
    }

    fn bind(&mut self, index: usize, queue: QueueId, peer: &mut Peer, outside: &mut Outside<'_>) {
        let plan = &self.plans[index];
        let topic = plan.topic.expect("only these are not bound");
        let (_, pattern) = plan.scene.topic(topic);
        let pattern = Pattern::new(&pattern).expect("made of names and a star");
        let request = Request::Bind(Binding { queue, pattern });
        let ask = Ask::Bind { queue: queue.0, topic };
        peer.ask(Asked::Bind(index), ask, 0, outside, |name, out| {
            request.encode(name.0, name.1, out);
        });
    }

    /// One of a queue's groups that it knows.
    pub(super) fn any_group(&mut self, known: &Known) -> GroupId {
        let group = self.chance.below(known.groups.len() + 1).checked_sub(1);
        group.and_then(|nth| known.groups[nth]).unwrap_or(GroupId::DEFAULT)
    }

    pub(super) fn take(
        &mut self,
        index: usize,
        known: &Known,
        peer: &mut Peer,
        outside: &mut Outside<'_>,
    ) {
        let (stream, group) = (self.stream(), self.any_group(known));
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
        let (queue, group) = (queue.0, group.0);
        let ask = Ask::Take { queue, group, messages_max, for_good: acknowledged };
        peer.ask(Asked::Take(index, queue), ask, stream, outside, |name, out| {
            Request::Take(take).encode(name.0, name.1, out);
        });
    }

    /// Purges or deletes a queue, or removes one of its groups.
    fn remove(&mut self, index: usize, queue: QueueId, peer: &mut Peer, outside: &mut Outside<'_>) {
        let known = self.queues[index].as_mut().expect("it was found");
        let group = known.groups.iter().position(Option::is_some);
        let (ask, request) = match (self.chance.below(3), group) {
            (0, _) => (Ask::Delete { queue: queue.0 }, Request::Delete { queue }),
            (1, Some(nth)) => {
                known.groups[nth] = None;
                let (name, operation) = (&self.plans[index].groups[nth].0, GroupOperation::Delete);
                let ask = Ask::EndGroup { queue: queue.0, name: nth as u64 };
                (ask, Request::Group(ChangeGroup { queue, name, operation }))
            }
            _ => (Ask::Other, Request::Purge { queue }),
        };
        peer.ask(Asked::Other, ask, 0, outside, |name, out| {
            request.encode(name.0, name.1, out);
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
