//! A request is carried out on this shard's queues, and its outcome becomes a reply.

mod administer;
mod answers;
mod unsupported;

use crate::limits::TAKE_BYTES_DEFAULT;
use crate::path::journal::Journal;
use crate::path::origin::Origin;
use crate::path::queue::{Store, Taken};
use crate::path::reply as write;
use crate::stats::ShardStats;
use crate::world::Outgoing;
use ringway_protocol::limits::FRAME_BYTES_MAX;
use ringway_protocol::reply::{self, RangeVerdict};
use ringway_protocol::request::{Put, Settle, Take};
use ringway_protocol::{Code, Frame, Kind, Level, QueueId, Records, Rejection, Request};
use std::sync::Arc;

/// What one shard needs to carry out requests: its queues, their journal, its figures.
pub struct Performer {
    /// The shard.
    pub shard: usize,
    /// The queues that live here.
    pub store: Store,
    /// What replies wait for.
    pub journal: Journal,
    /// The figures of every shard; this one writes its own.
    pub stats: Arc<[ShardStats]>,
    /// The clock, read once a turn.
    pub now_ns: u64,
    /// Whether opening a queue that does not exist makes it.
    pub auto_declare: bool,
    /// Whether puts are refused because the plane is going down.
    pub draining: bool,
    taken: Taken,
    verdicts: Vec<RangeVerdict>,
}

/// What became of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Performed {
    /// Its reply was written.
    Answered,
    /// Its reply was written and delivers a lease of this queue.
    Delivered(QueueId),
    /// It waits; so many bytes of replies are promised to its asker.
    Waiting(usize),
    /// It broke the protocol: the connection ends with these words.
    Broken(Rejection),
}

/// Who asks, and what they may still be promised.
#[derive(Clone, Copy, Debug)]
pub struct Asker {
    /// Where the reply goes.
    pub origin: Origin,
    /// Bytes of replies that waiting takes may still promise.
    pub wait_bytes: usize,
    /// Whether long runs may be sent from their segments.
    pub may_pin: bool,
}

impl Asker {
    #[inline]
    fn ids(&self) -> (u32, u32) {
        (self.origin.stream, self.origin.request)
    }
}

/// What a take promises its connection: the most bytes that its reply can have.
#[inline]
pub fn promised_bytes(take: &Take) -> usize {
    match take.bytes_max as usize {
        0 => TAKE_BYTES_DEFAULT,
        bytes => bytes.min(FRAME_BYTES_MAX),
    }
}

impl Performer {
    /// A performer over empty queues.
    pub fn new(shard: usize, store: Store, stats: Arc<[ShardStats]>, auto_declare: bool) -> Self {
        Self {
            shard,
            store,
            journal: Journal::default(),
            stats,
            now_ns: 0,
            auto_declare,
            draining: false,
            taken: Taken::default(),
            verdicts: Vec::new(),
        }
    }

    /// This shard's own figures.
    #[inline]
    pub fn stats(&self) -> &ShardStats {
        &self.stats[self.shard]
    }

    /// Carries a request out and writes its reply, unless it has to wait.
    #[inline]
    pub fn perform(&mut self, asker: Asker, frame: Frame<'_>, out: &mut Outgoing) -> Performed {
        self.stats().requests.add(1);
        let performed = match Request::decode(frame) {
            Ok(Request::Put(put)) => self.put(asker, &put, out),
            Ok(Request::Take(take)) => self.take(asker, &take, out),
            Ok(Request::Ack(settle)) => self.settle(asker, Kind::Ack, &settle, out),
            Ok(Request::Nack(settle)) => self.settle(asker, Kind::Nack, &settle, out),
            Ok(request) => self.administer(asker, request, out),
            Err(rejection) => Err(rejection),
        };
        performed.unwrap_or_else(|why| {
            self.refuse(asker, Kind::from_number(frame.header.kind), why, out)
        })
    }

    /// Writes a refusal, or ends the connection where the code says so.
    #[cold]
    pub fn refuse(
        &mut self,
        asker: Asker,
        kind: Option<Kind>,
        why: Rejection,
        out: &mut Outgoing,
    ) -> Performed {
        self.stats().refused.add(1);
        match kind {
            Some(kind) if !why.code.closes() => {
                reply::refused(&mut out.bytes, kind, asker.ids(), why);
                Performed::Answered
            }
            _ => Performed::Broken(why),
        }
    }

    #[inline]
    fn put(
        &mut self,
        asker: Asker,
        put: &Put<'_>,
        out: &mut Outgoing,
    ) -> Result<Performed, Rejection> {
        unsupported::producer(put.producer)?;
        let first_sequence = self.enqueue(put.queue, put.records)?;
        let count = put.records.count();
        reply::put(&mut out.bytes, asker.ids(), first_sequence, count, Level::Memory);
        Ok(Performed::Answered)
    }

    /// Adds a batch to a queue of this shard; returns the sequence of its first message.
    #[inline]
    pub fn enqueue(&mut self, queue: QueueId, records: Records<'_>) -> Result<u64, Rejection> {
        if self.draining {
            return Err(Rejection::new(Code::Draining, "the server is going down"));
        }
        unsupported::attributes(&records)?;
        let first_sequence = self.store.put(queue, records)?;
        self.journal.append();
        self.stats().puts.add(u64::from(records.count()));
        Ok(first_sequence)
    }

    #[inline]
    fn take(
        &mut self,
        asker: Asker,
        take: &Take,
        out: &mut Outgoing,
    ) -> Result<Performed, Rejection> {
        unsupported::group(take.group)?;
        self.store.take(take, self.now_ns, &mut self.taken)?;
        if self.taken.count == 0 && take.wait_ms > 0 {
            let promised = promised_bytes(take);
            if promised > asker.wait_bytes {
                return Err(Rejection::new(
                    Code::TooManyWaits,
                    "the waiting takes of this connection ask for more than 8 MiB together",
                ));
            }
            self.store.wait(take, asker.origin, self.now_ns)?;
            return Ok(Performed::Waiting(promised));
        }
        Ok(self.deliver(asker, take.queue, out))
    }

    /// Writes what was taken; runs with a lease are named so that they can be given back.
    fn deliver(&mut self, asker: Asker, queue: QueueId, out: &mut Outgoing) -> Performed {
        if self.taken.count > 0 {
            self.journal.append();
            self.stats().takes.add(u64::from(self.taken.count));
        }
        let leased = self.taken.lease.0 != 0;
        write::delivery(out, asker.ids(), &mut self.taken, asker.may_pin);
        if leased { Performed::Delivered(queue) } else { Performed::Answered }
    }

    /// Takes for good, for lanes; the runs are in `taken` until it is cleared.
    pub fn dequeue(&mut self, take: &Take) -> Result<&mut Taken, Rejection> {
        self.store.take(take, self.now_ns, &mut self.taken)?;
        if self.taken.count > 0 {
            self.journal.append();
            self.stats().takes.add(u64::from(self.taken.count));
        }
        Ok(&mut self.taken)
    }

    #[inline]
    fn settle(
        &mut self,
        asker: Asker,
        kind: Kind,
        settle: &Settle<'_>,
        out: &mut Outgoing,
    ) -> Result<Performed, Rejection> {
        unsupported::delay(settle)?;
        self.verdicts.clear();
        let settlement = if kind == Kind::Ack {
            self.store.ack(settle, &mut self.verdicts)?
        } else {
            self.store.nack(settle, &mut self.verdicts)?
        };
        if settlement.settled > 0 {
            self.journal.append();
            if kind == Kind::Ack {
                self.stats().acks.add(u64::from(settlement.settled));
            }
        }
        reply::settled(&mut out.bytes, kind, asker.ids(), settlement, &self.verdicts);
        Ok(Performed::Answered)
    }
}
