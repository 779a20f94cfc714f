//! What a worker puts, publishes and transfers.

use ringway_protocol::request::{Producer, Publish, Put, encode_transfer};
use ringway_protocol::{LeaseId, QueueId, Records, Request};

use super::{Held, Worker};
use crate::clients::Outside;
use crate::clients::peer::{Asked, Peer, Sending};
use crate::{Ask, Batch, Event, Settled, Traits, parcel};

/// Bytes of records that one put carries at most.
const PUT_BYTES_MAX: usize = 200 << 10;
/// Messages that replace others in a transfer at most.
const RESULTS_MAX: u64 = 3;

impl Worker {
    /// New messages, or those of a put whose outcome nobody knows.
    pub(super) fn put(
        &mut self,
        index: usize,
        queue: QueueId,
        peer: &mut Peer,
        outside: &mut Outside<'_>,
    ) {
        let unsure = self.unsure.iter().position(|(of, _)| *of == index);
        let again = unsure.filter(|_| self.chance.once_in(2));
        let again = again.and_then(|at| self.unsure.remove(at));
        let sending = match again {
            Some((_, sending)) => {
                outside.network.count("puts repeated");
                sending
            }
            None => {
                let count = self.chance.magnitude(self.conduct.batch_max) as u64;
                self.new_messages(index, count, outside)
            }
        };
        let records = self.records(&sending);
        let producer = sending.producer.map(|(id, sequence)| Producer { id, sequence });
        let put = Put { queue, producer, records: parse(&records, &sending) };
        let (stream, ask) = (self.stream(), Ask::Put(batch(queue, &sending)));
        peer.ask(Asked::Put(index, sending.clone()), ask, stream, outside, |name, out| {
            Request::Put(put).encode(name.0, name.1, out);
        });
    }

    fn new_messages(&mut self, index: usize, count: u64, outside: &mut Outside<'_>) -> Sending {
        let (first, wall_ms) = (*outside.messages, outside.network.wall_ms());
        let plan = &self.plans[index];
        let (mut messages, mut bytes) = (Vec::new(), 0);
        for message in first..first + count {
            bytes += self.filler(message);
            if bytes > PUT_BYTES_MAX && !messages.is_empty() {
                break;
            }
            let traits = plan.traits(message, wall_ms, &mut self.chance);
            if traits != Traits::default() {
                outside.checker.record(Event::Made { message, traits });
            }
            messages.push((message, traits));
        }
        *outside.messages += messages.len() as u64;
        let numbered = plan.numbered;
        let producer = numbered.then(|| {
            let next = self.numbers.entry(index).or_default();
            let first = std::mem::replace(next, *next + messages.len() as u64);
            (self.producer, first)
        });
        Sending { messages, producer }
    }

    /// A message that is put again has the same bytes: their number follows from its own.
    fn filler(&self, message: u64) -> usize {
        parcel::spread(!message) as usize % self.conduct.filler_bytes_max
    }

    fn records(&self, sending: &Sending) -> Vec<u8> {
        let mut records = Vec::new();
        for (message, traits) in &sending.messages {
            parcel::write(&mut records, *message, traits, self.filler(*message));
        }
        records
    }

    /// New messages for whichever queues are bound.
    pub(super) fn publish(&mut self, peer: &mut Peer, outside: &mut Outside<'_>) {
        let topics: Vec<u64> = self.plans.iter().filter_map(|plan| plan.topic).collect();
        if topics.is_empty() {
            return;
        }
        let topic = self.chance.pick(&topics);
        let count = self.chance.magnitude(self.conduct.batch_max.min(8)) as u64;
        let first = *outside.messages;
        *outside.messages += count;
        let messages = (first..first + count).map(|message| (message, Traits::default()));
        let sending = Sending { messages: messages.collect(), producer: None };
        let records = self.records(&sending);
        let (name, _) = self.plans[0].scene.topic(topic);
        let publish = Publish { name: &name, records: parse(&records, &sending) };
        let messages = sending.messages.iter().map(|(message, _)| *message).collect();
        let (stream, ask) = (self.stream(), Ask::Publish { topic, messages });
        peer.ask(Asked::Other, ask, stream, outside, |name, out| {
            Request::Publish(publish).encode(name.0, name.1, out);
        });
    }

    /// Replaces all or parts of a lease by results in some queue.
    pub(super) fn transfer(
        &mut self,
        index: usize,
        queue: QueueId,
        peer: &mut Peer,
        outside: &mut Outside<'_>,
    ) {
        let at = self.chance.below(self.leases.len());
        let Held { queue: from, lease, count } = self.leases[at];
        let ranges = self.ranges(count);
        let results = self.chance.between(1, RESULTS_MAX);
        let sending = self.new_messages(index, results, outside);
        let records = self.records(&sending);
        let producer = sending.producer.map(|(id, sequence)| Producer { id, sequence });
        let put = Put { queue, producer, records: parse(&records, &sending) };
        let pairs = ranges.iter().map(|range| (range.first, range.count)).collect();
        let settled = Settled { queue: from.0, lease, ranges: pairs };
        let ask = Ask::Transfer(settled, batch(queue, &sending));
        outside.network.count("transfers");
        let stream = self.stream();
        peer.ask(Asked::PutOnce(index), ask, stream, outside, |name, out| {
            encode_transfer((from, LeaseId(lease)), &ranges, &put, name, out);
        });
    }
}

fn parse<'a>(records: &'a [u8], sending: &Sending) -> Records<'a> {
    Records::parse(records, sending.messages.len() as u32).expect("they were just written")
}

fn batch(queue: QueueId, sending: &Sending) -> Batch {
    let messages = sending.messages.iter().map(|(message, _)| *message).collect();
    Batch { queue: queue.0, messages, producer: sending.producer }
}
