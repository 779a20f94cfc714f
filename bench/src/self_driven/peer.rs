//! A client without a socket: what it sends is handed to its shard, what the shard sends is read
//! where it lies.
//!
//! ```text
//! a round of a slot:  put a batch, take one | its delivery: acknowledge | acknowledged: next round
//! ```
//! The put and the take go together: in the order of one connection the take finds what was put.

use ringway_client::{Outbox, Template};
use ringway_protocol::frame::{HEADER_BYTES, Header, REPLY};
use ringway_protocol::reply::DELIVERY_BYTES;
use ringway_protocol::request::{Put, Range, Take};
use ringway_protocol::{
    Code, Frame, GroupId, Kind, LeaseId, QueueId, QueueOptions, Records, Reply, Request, record,
};

/// Messages of a batch.
pub const BATCH: u32 = 256;
/// Bytes of a payload.
const PAYLOAD_BYTES: usize = 100;
/// Rounds under way on a connection.
const SLOTS: u32 = 8;
/// Bytes of a reply that are looked at: all but the messages of a delivery, which are in the
/// server's memory and have to stay uncopied.
const LOOKED_AT: usize = HEADER_BYTES + 256;

/// One connection's other end.
#[derive(Debug, Default)]
pub struct Peer {
    /// What it has sent and the shard has not received.
    pub outbox: Outbox,
    requests: Option<Requests>,
    /// The beginning of the reply that is being read.
    head: Vec<u8>,
    /// Bytes of it that are still to come and not looked at.
    skip: usize,
    greeted: bool,
    declared: Option<QueueId>,
    stops: bool,
    under_way: u32,
    /// Messages put, taken and acknowledged.
    messages: u64,
    /// The first thing that was not as it has to be.
    wrong: Option<String>,
}

#[derive(Debug)]
struct Requests {
    queue: QueueId,
    put: Template,
    take: Template,
}

impl Requests {
    fn new(queue: QueueId) -> Self {
        let mut bytes = Vec::new();
        (0..BATCH).for_each(|_| record::write(&mut bytes, &[], &[0x5a; PAYLOAD_BYTES]));
        let records = Records::parse(&bytes, BATCH).expect("valid records");
        let take = Take {
            queue,
            messages_max: BATCH,
            bytes_max: 0,
            wait_ms: 0,
            lease_ms: 0,
            group: GroupId::DEFAULT,
            acknowledged: false,
        };
        let put = Template::new(&Request::Put(Put::new(queue, records)));
        Self { queue, put, take: Template::new(&Request::Take(take)) }
    }
}

impl Peer {
    /// Asks for something once; the answer is noted.
    pub fn ask(&mut self, request: &Request<'_>) {
        self.outbox.request(request, 0);
    }

    /// Makes the queue of the measurement.
    pub fn declare(&mut self, options: QueueOptions) {
        self.ask(&Request::Declare { name: "bench", options: Some(options) });
    }

    /// Whether its greeting was answered.
    pub fn is_greeted(&self) -> bool {
        self.greeted
    }

    /// The queue, once its declaration was answered.
    pub fn declared(&self) -> Option<QueueId> {
        self.declared
    }

    /// Messages put, taken and acknowledged so far.
    pub fn messages(&self) -> u64 {
        self.messages
    }

    /// What was not as it has to be.
    pub fn wrong(&self) -> Option<&str> {
        self.wrong.as_deref()
    }

    /// Begins a round of every slot.
    pub fn begin(&mut self, queue: QueueId) {
        self.requests = Some(Requests::new(queue));
        (0..SLOTS).for_each(|slot| self.begin_round(slot));
    }

    /// Begins no further round.
    pub fn stop(&mut self) {
        self.stops = true;
    }

    /// Whether nothing is under way.
    pub fn is_idle(&self) -> bool {
        self.under_way == 0
    }

    fn begin_round(&mut self, slot: u32) {
        let Self { requests: Some(requests), outbox, .. } = self else {
            return self.fail("a reply came that nothing was asked for");
        };
        outbox.template(&requests.put, slot);
        outbox.template(&requests.take, slot);
        self.under_way += 1;
    }

    /// Reads what the shard sends.
    #[inline]
    pub fn hear(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.skip > 0 {
                let skipped = self.skip.min(bytes.len());
                self.skip -= skipped;
                bytes = &bytes[skipped..];
                continue;
            }
            let wanted = match self.head_length() {
                None => HEADER_BYTES,
                Some(length) => length.min(LOOKED_AT),
            };
            let (more, rest) = bytes.split_at((wanted - self.head.len()).min(bytes.len()));
            self.head.extend_from_slice(more);
            bytes = rest;
            if let Some(length) = self.head_length()
                && self.head.len() == length.min(LOOKED_AT)
            {
                self.skip = length - self.head.len();
                let head = std::mem::take(&mut self.head);
                self.on_reply(&head, length);
                self.head = head;
                self.head.clear();
            }
        }
    }

    /// Bytes of the whole reply, once its header is there.
    fn head_length(&self) -> Option<usize> {
        let header = self.head.first_chunk::<HEADER_BYTES>()?;
        Some(HEADER_BYTES + Header::decode(header).length as usize)
    }

    #[inline]
    fn on_reply(&mut self, head: &[u8], length: usize) {
        let (header, body) = head.split_first_chunk::<HEADER_BYTES>().expect("a whole header");
        let header = Header::decode(header);
        if header.kind == Kind::Take as u8 | REPLY && header.code == Code::Ok as u16 {
            return self.on_delivery(header.request, body);
        }
        if length > LOOKED_AT {
            return self.fail("a reply was longer than any that was asked for");
        }
        match Reply::decode(Frame { header, body }) {
            Ok(Reply::Welcome(_)) => self.greeted = true,
            Ok(Reply::Declared { queue, .. }) => self.declared = Some(queue),
            Ok(Reply::Put(receipt)) if receipt.count == BATCH => {}
            Ok(Reply::Settled(settlement, _)) if settlement.settled == BATCH => {
                self.messages += u64::from(BATCH);
                self.under_way -= 1;
                if !self.stops {
                    self.begin_round(header.request);
                }
            }
            Ok(Reply::Refused { sentence, .. }) => self.fail(sentence),
            _ => self.fail("a reply did not fit its request"),
        }
    }

    #[inline]
    fn on_delivery(&mut self, slot: u32, body: &[u8]) {
        let Some(fields) = body.first_chunk::<DELIVERY_BYTES>() else {
            return self.fail("a delivery was too short");
        };
        // lease u64 | lease_ms u32 | count u32 | ...
        let word = u128::from_le_bytes(*fields.first_chunk().expect("16 of 24 bytes"));
        let (lease, count) = (LeaseId(word as u64), (word >> 96) as u32);
        let Self { requests: Some(requests), outbox, .. } = self else {
            return self.fail("a delivery came that nothing was asked for");
        };
        if count != BATCH {
            return self.fail("a take brought another number of messages than was put");
        }
        outbox.ack(requests.queue, lease, &[Range { first: 0, count }], slot);
    }

    #[cold]
    fn fail(&mut self, sentence: &str) {
        self.wrong.get_or_insert_with(|| sentence.to_owned());
    }
}
