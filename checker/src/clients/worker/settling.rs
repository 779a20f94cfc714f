//! What a worker acknowledges, gives back, rejects and brings back from the dead.

use ringway_protocol::frame::Kind;
use ringway_protocol::request::{DEAD_LETTER, Move, Range, encode_nack, encode_settle};
use ringway_protocol::{GroupId, LeaseId, Request};

use super::{Held, Known, Worker};
use crate::clients::Outside;
use crate::clients::peer::{Asked, Peer};
use crate::{Ask, How, Settled};

impl Worker {
    /// Acknowledges or gives back all of a lease or parts of it; sometimes again, sometimes one
    /// that never was.
    pub(super) fn settle(&mut self, peer: &mut Peer, outside: &mut Outside<'_>) {
        let at = self.chance.below(self.leases.len());
        let mut held = self.leases[at];
        if self.chance.once_in(3) {
            self.leases.remove(at);
        }
        if self.chance.once_in(50) {
            held.lease = LeaseId::new(u32::MAX, 0, self.chance.between(0, 9) as u32).0;
        }
        let Held { queue, lease, count } = held;
        let ranges = self.ranges(count);
        let nacks = self.chance.happens(self.conduct.nacks);
        let how = match self.chance.below(6) {
            _ if !nacks => How::Ack,
            0 => How::Reject,
            1 | 2 => How::Nack(self.plans[0].scene.ms(self.chance.between(1, 30)) as u32),
            _ => How::Nack(0),
        };
        let pairs = ranges.iter().map(|range| (range.first, range.count)).collect();
        let ask = Ask::Settle(Settled { queue: queue.0, lease, ranges: pairs }, how);
        let (stream, lease) = (self.stream(), (queue, LeaseId(lease)));
        peer.ask(Asked::Other, ask, stream, outside, |name, out| match how {
            How::Ack => encode_settle(Kind::Ack, lease, &ranges, name, out),
            How::Nack(delay_ms) => encode_nack(lease, &ranges, delay_ms, name, out),
            How::Reject => encode_nack(lease, &ranges, DEAD_LETTER, name, out),
        });
    }

    /// Makes a lease longer, or shorter.
    pub(super) fn extend(&mut self, peer: &mut Peer, outside: &mut Outside<'_>) {
        let Held { queue, lease, .. } = self.leases[self.chance.below(self.leases.len())];
        let (stream, units) = (self.stream(), self.chance.between(0, 60));
        let lease_ms = self.plans[0].scene.ms(units) as u32;
        let ask = Ask::Extend { queue: queue.0, lease, lease_ms };
        let request = Request::Extend { queue, lease: LeaseId(lease), lease_ms };
        peer.ask(Asked::Other, ask, stream, outside, |name, out| {
            request.encode(name.0, name.1, out);
        });
    }

    pub(super) fn ranges(&mut self, count: u32) -> Vec<Range> {
        if self.chance.once_in(2) {
            return vec![Range { first: 0, count }];
        }
        let mut ranges = Vec::new();
        let mut first = 0;
        while first < count {
            let length = self.chance.magnitude((count - first) as usize) as u32;
            if self.chance.once_in(2) {
                ranges.push(Range { first, count: length });
            }
            first += length;
        }
        if ranges.is_empty() {
            ranges.push(Range { first: 0, count: 1 });
        }
        ranges
    }

    /// Brings dead letters back to where they came from.
    pub(super) fn redrive(
        &mut self,
        index: usize,
        known: &Known,
        peer: &mut Peer,
        outside: &mut Outside<'_>,
    ) {
        let Some(dead) = known.dead else {
            let dead = self.plans[index].name.dead_letter().expect("names of a run are short");
            let request = Request::Open { name: dead.as_str() };
            return peer.ask(Asked::OpenDead(index), Ask::Other, 0, outside, |name, out| {
                request.encode(name.0, name.1, out);
            });
        };
        let (group, limit) = (GroupId::DEFAULT, self.chance.between(1, 20) as u32);
        let to = Some(known.queue);
        let request = Move { from: dead, to, group, limit, redrive: true, filter: None };
        let ask = Ask::Move { from: dead.0, group: group.0, to: known.queue.0 };
        outside.network.count("redrives");
        peer.ask(Asked::Other, ask, 0, outside, |name, out| {
            Request::Move(request).encode(name.0, name.1, out);
        });
    }
}
