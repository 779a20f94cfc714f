//! A request is carried out on this shard's queues, and its outcome becomes a reply.

mod administer;
mod answers;
mod give;
mod look;
mod push;
mod transfer;

pub use answers::Closure;
pub use push::TOO_MUCH;

use crate::limits::TAKE_BYTES_DEFAULT;
use crate::path::bindings::Bindings;
use crate::path::errand::is_errand;
use crate::path::errand::spread::Spreads;
use crate::path::journal::Journal;
use crate::path::origin::Origin;
use crate::path::queue::{Admission, Store, Stored, Taken};
use crate::path::reply as write;
use crate::stats::ShardStats;
use crate::world::{Now, Outgoing};
use ringway_protocol::limits::FRAME_BYTES_MAX;
use ringway_protocol::reply::{self, RangeVerdict};
use ringway_protocol::request::{Put, Settle, Take};
use ringway_protocol::{Code, Frame, Header, Kind, Level, QueueId, Records, Rejection, Request};
use std::sync::Arc;

/// What one shard needs to carry out requests: its queues, their journal, its figures.
pub struct Performer {
    /// The shard.
    pub shard: usize,
    /// The queues that live here.
    pub store: Store,
    /// Which queues published names reach, of the whole plane.
    pub bindings: Bindings,
    /// Which queues are spread, of the whole plane.
    pub spreads: Spreads,
    /// What replies wait for.
    pub journal: Journal,
    /// The figures of every shard; this one writes its own.
    pub stats: Arc<[ShardStats]>,
    /// The clocks, read once a turn.
    pub now: Now,
    /// Whether opening a queue that does not exist makes it.
    pub auto_declare: bool,
    /// Whether puts are refused because the plane is going down.
    pub draining: bool,
    taken: Taken,
    stored: Stored,
    verdicts: Vec<RangeVerdict>,
}

/// To puts while the shard goes down.
pub const DRAINING: Rejection = Rejection::new(Code::Draining, "the server is going down");

/// What became of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Performed {
    /// Its reply was written.
    Answered,
    /// Its reply was written and delivers a lease of this queue.
    Delivered(QueueId),
    /// It waits; so many bytes of replies are promised to its asker.
    Waiting(usize),
    /// Its reply was written, and its asker is promised so many more bytes of replies, or fewer.
    Promising(i64),
    /// It broke the protocol: the connection ends with these words.
    Broken(Rejection),
}

/// What may be promised to those whose promises are counted elsewhere: more than anybody asks for.
pub const UNLIMITED: usize = isize::MAX as usize;

/// Who asks, and what they may still be promised.
#[derive(Clone, Copy, Debug)]
pub struct Asker {
    /// Where the reply goes.
    pub origin: Origin,
    /// Bytes of replies that its asker may still be promised.
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
            bindings: Bindings::default(),
            spreads: Spreads::default(),
            journal: Journal::default(),
            stats,
            now: Now::default(),
            auto_declare,
            draining: false,
            taken: Taken::default(),
            stored: Stored::new(),
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
        self.carry_out(asker, frame.header.kind, Request::decode(frame), out)
    }

    /// Carries a request out about a part of the queue that it names, which is spread.
    pub fn perform_on(
        &mut self,
        part: QueueId,
        asker: Asker,
        frame: Frame<'_>,
        out: &mut Outgoing,
    ) -> Performed {
        let mut request = Request::decode(frame);
        match &mut request {
            Ok(Request::Put(put)) => put.queue = part,
            Ok(Request::Ack(settle) | Request::Nack(settle)) => settle.queue = part,
            Ok(Request::Extend { queue, .. }) => *queue = part,
            Ok(_) => unreachable!("other requests are not about one part"),
            Err(_) => {}
        }
        self.carry_out(asker, frame.header.kind, request, out)
    }

    #[inline]
    fn carry_out(
        &mut self,
        asker: Asker,
        kind: u8,
        request: Result<Request<'_>, Rejection>,
        out: &mut Outgoing,
    ) -> Performed {
        self.stats().requests.add(1);
        // By reference: a request is large, and would be read before it is written to the end.
        let performed = match &request {
            Ok(Request::Put(put)) => self.put(asker, put, out),
            Ok(Request::Take(take)) => self.take(asker, take, out),
            Ok(Request::Ack(settle)) => self.settle(asker, Kind::Ack, settle, out),
            Ok(Request::Nack(settle)) => self.settle(asker, Kind::Nack, settle, out),
            Ok(Request::Transfer(transfer)) => self.transfer(asker, transfer, out),
            _ => request.and_then(|request| self.administer(asker, request, out)),
        };
        performed.unwrap_or_else(|why| self.refuse(asker, Kind::from_number(kind), why, out))
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
        if self.draining {
            return Err(DRAINING);
        }
        if self.store.put(put, asker.origin, self.now, &mut self.stored)? == Admission::Held {
            return Ok(Performed::Waiting(0));
        }
        self.count_put();
        self.write_receipt(asker, out);
        Ok(Performed::Answered)
    }

    /// Puts a batch for an errand: a full queue refuses it, whatever its policy.
    pub fn put_now(&mut self, asker: Asker, frame: Frame<'_>, out: &mut Outgoing) -> Performed {
        self.stats().requests.add(1);
        let header = Header { kind: Kind::Put as u8, ..frame.header };
        let put = match Request::decode(Frame { header, ..frame }) {
            Ok(Request::Put(put)) => self.admit(&put),
            Ok(_) => unreachable!("the kind says what is decoded"),
            Err(why) => Err(why),
        };
        match put {
            Ok(()) => {
                self.write_receipt(asker, out);
                Performed::Answered
            }
            Err(why) => self.refuse(asker, Some(Kind::Put), why, out),
        }
    }

    /// Notes that a batch was stored.
    #[inline]
    fn count_put(&mut self) {
        self.journal.append();
        self.stats().puts.add(self.stored.new_messages());
    }

    /// Writes where a batch was stored.
    #[inline]
    fn write_receipt(&mut self, asker: Asker, out: &mut Outgoing) {
        let (ids, level) = (asker.ids(), Level::Memory);
        if self.stored.is_plain() {
            let (first_sequence, count) = (self.stored.first_sequence(), self.stored.count());
            reply::put(&mut out.bytes, ids, first_sequence, count, level);
        } else {
            reply::receipt(&mut out.bytes, ids, &self.stored.receipt(level));
        }
    }

    /// Puts a batch into a queue of this shard without ever waiting for room; `stored` says where
    /// it went.
    #[inline]
    fn admit(&mut self, put: &Put<'_>) -> Result<(), Rejection> {
        if self.draining {
            return Err(DRAINING);
        }
        self.store.put_at_once(put, self.now, &mut self.stored)?;
        self.count_put();
        Ok(())
    }

    /// Adds a batch to a queue of this shard; returns the sequence of its first message.
    #[inline]
    pub fn enqueue(&mut self, queue: QueueId, records: Records<'_>) -> Result<u64, Rejection> {
        self.admit(&Put::new(queue, records))?;
        Ok(self.stored.first_sequence())
    }

    #[inline]
    fn take(
        &mut self,
        asker: Asker,
        take: &Take,
        out: &mut Outgoing,
    ) -> Result<Performed, Rejection> {
        if is_errand(asker.origin.peer) {
            // It takes for others, and nobody would say when it is gone.
            self.store.take(take, self.now, &mut self.taken)?;
        } else {
            self.store.take_for(take, asker.origin, self.now, &mut self.taken)?;
        }
        if self.taken.count == 0 && take.wait_ms > 0 {
            let promised = promised_bytes(take);
            if promised > asker.wait_bytes {
                return Err(TOO_MUCH);
            }
            self.store.wait(take, asker.origin, self.now)?;
            return Ok(Performed::Waiting(promised));
        }
        Ok(self.deliver(asker, take.queue, out))
    }

    /// Takes what is ready, if anything is; a take that finds nothing writes nothing.
    pub fn take_ready(
        &mut self,
        asker: Asker,
        take: &Take,
        out: &mut Outgoing,
    ) -> Result<Option<Performed>, Rejection> {
        self.store.take_for(take, asker.origin, self.now, &mut self.taken)?;
        if self.taken.count == 0 {
            return Ok(None);
        }
        self.stats().requests.add(1);
        Ok(Some(self.deliver(asker, take.queue, out)))
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
    pub fn dequeue(&mut self, take: &Take, lane: Origin) -> Result<&mut Taken, Rejection> {
        self.store.take_for(take, lane, self.now, &mut self.taken)?;
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
        self.verdicts.clear();
        let settlement = if kind == Kind::Ack {
            self.store.ack(settle, self.now, &mut self.verdicts)?
        } else {
            self.store.nack(settle, self.now, &mut self.verdicts)?
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
