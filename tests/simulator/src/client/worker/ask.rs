//! What a worker asks next.

use ringway_protocol::frame::{self, Header, Kind};
use ringway_protocol::request::{Range, Take, encode_settle, put_prefix};
use ringway_protocol::{GroupId, LeaseId, QueueId, Request, record};

use super::{Held, Worker};
use crate::checker::Ask;
use crate::client::peer::{Asked, Peer};
use crate::client::{Outside, payload};

/// Bytes of records that one put carries at most.
const PUT_BYTES_MAX: usize = 200 << 10;
/// Streams that a client uses.
const STREAMS: u64 = 3;

impl Worker {
    pub(super) fn ask(&mut self, peer: &mut Peer, outside: &mut Outside<'_>) {
        let index = self.chance.below(self.plans.len());
        let Some(queue) = self.queues[index] else { return self.declare(index, peer, outside) };
        match self.chance.below(16) {
            0 => self.ask_trifle(queue, peer, outside),
            1 if self.plans[index].volatile && self.chance.once_in(4) => {
                self.remove(queue, peer, outside);
            }
            2..=6 if !self.plans[index].empty => self.put(index, queue, peer, outside),
            7..=10 if !self.leases.is_empty() => self.settle(peer, outside),
            _ => self.take(queue, peer, outside),
        }
    }

    fn stream(&mut self) -> u32 {
        self.chance.between(0, STREAMS - 1) as u32
    }

    fn declare(&mut self, index: usize, peer: &mut Peer, outside: &mut Outside<'_>) {
        let plan = &self.plans[index];
        let request = Request::Declare { name: plan.name.as_str(), options: Some(plan.options) };
        peer.ask(Asked::Declare(index), Ask::Other, 0, outside, |name, out| {
            request.encode(name.0, name.1, out);
        });
    }

    /// New messages, or those of a put whose outcome nobody knows.
    fn put(&mut self, index: usize, queue: QueueId, peer: &mut Peer, outside: &mut Outside<'_>) {
        let unsure = self.unsure.iter().position(|(of, _)| *of == index);
        let again = unsure.filter(|_| self.chance.once_in(2));
        let messages = match again.and_then(|at| self.unsure.remove(at)) {
            Some((_, messages)) => messages,
            None => {
                let count = self.chance.magnitude(self.conduct.batch_max) as u64;
                let first = *outside.messages;
                *outside.messages += count;
                (first..first + count).collect()
            }
        };
        // A message that is put again has the same bytes: their number follows from its own.
        let mut records = Vec::new();
        let mut kept = Vec::new();
        for message in messages {
            let filler = crate::chance::spread(!message) as usize % self.conduct.filler_bytes_max;
            if records.len() + filler > PUT_BYTES_MAX {
                break;
            }
            record::write(&mut records, &[], &payload::write(message, filler));
            kept.push(message);
        }
        let stream = self.stream();
        let ask = Ask::Put { queue: queue.0, messages: kept.clone() };
        let count = kept.len() as u32;
        peer.ask(Asked::Put(index, kept), ask, stream, outside, |(stream, request), out| {
            frame::write(out, Header::request(Kind::Put, stream, request), |out| {
                put_prefix(out, queue, count);
                out.extend_from_slice(&records);
            });
        });
    }

    fn take(&mut self, queue: QueueId, peer: &mut Peer, outside: &mut Outside<'_>) {
        let chance = &mut self.chance;
        let messages_max = chance.magnitude(128) as u32;
        let acknowledged = chance.once_in(3);
        let take = Take {
            queue,
            messages_max,
            bytes_max: if chance.once_in(2) { 0 } else { chance.magnitude(100_000) as u32 },
            wait_ms: if chance.once_in(2) { 0 } else { chance.between(1, 40) as u32 },
            lease_ms: if chance.once_in(2) { 0 } else { chance.between(1, 60) as u32 },
            group: GroupId::DEFAULT,
            acknowledged,
        };
        let stream = self.stream();
        let ask = Ask::Take { queue: queue.0, messages_max, for_good: acknowledged };
        peer.ask(Asked::Take(queue.0), ask, stream, outside, |name, out| {
            Request::Take(take).encode(name.0, name.1, out);
        });
    }

    /// Acknowledges or gives back all of a lease or parts of it; sometimes again, sometimes one
    /// that never was.
    fn settle(&mut self, peer: &mut Peer, outside: &mut Outside<'_>) {
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
        let nack = self.chance.once_in(5);
        let kind = if nack { Kind::Nack } else { Kind::Ack };
        let pairs = ranges.iter().map(|range| (range.first, range.count)).collect();
        let ask = Ask::Settle { queue: queue.0, lease, ranges: pairs, nack };
        let stream = self.stream();
        peer.ask(Asked::Other, ask, stream, outside, |name, out| {
            encode_settle(kind, (queue, LeaseId(lease)), &ranges, name, out);
        });
    }

    fn ranges(&mut self, count: u32) -> Vec<Range> {
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

    fn remove(&mut self, queue: QueueId, peer: &mut Peer, outside: &mut Outside<'_>) {
        let delete = self.chance.once_in(2);
        let request = if delete { Request::Delete { queue } } else { Request::Purge { queue } };
        peer.ask(Asked::Other, Ask::Remove { queue: queue.0 }, 0, outside, |name, out| {
            request.encode(name.0, name.1, out);
        });
    }

    fn ask_trifle(&mut self, queue: QueueId, peer: &mut Peer, outside: &mut Outside<'_>) {
        let stream = self.stream();
        let body = payload::write(*outside.messages, self.chance.magnitude(2000));
        let (asked, request) = match self.chance.below(4) {
            0 => (Asked::Other, Request::Ping),
            1 => (Asked::Stat(queue.0), Request::Stat { queue: Some(queue) }),
            2 => (Asked::Other, Request::List { cursor: 0, limit: 10, prefix: "queue/" }),
            _ => (Asked::Echo(body.clone()), Request::Echo(&body)),
        };
        peer.ask(asked, Ask::Other, stream, outside, |name, out| {
            request.encode(name.0, name.1, out);
        });
    }
}
