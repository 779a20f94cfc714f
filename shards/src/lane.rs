//! Lanes: how threads of an embedding program reach a queue without a socket. The in-process memory
//! queue.
//!
//! A lane is an SPSC ring to the shard that owns the queue and one back. Messages travel in buffers
//! that belong to the lane and come back with every answer, so a lane in use allocates nothing.
//! Both rings are bounded: a lane with too much under way says so.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use ringway_shards::plane::{Plane, PlaneConfig};
//!
//! let plane = Plane::start(PlaneConfig { shards: 1, ..PlaneConfig::default() })?;
//! let mut lane = plane.lane("orders", None)?;
//!
//! lane.enqueue(b"one")?;
//! lane.enqueue_batch([&b"two"[..], b"three"])?;
//! assert_eq!(lane.dequeue()?, Some(&b"one"[..]));
//! for payload in lane.dequeue_batch(256)? {
//!     println!("{} bytes", payload.len());
//! }
//! plane.stop()?;
//! # Ok(())
//! # }
//! ```

mod shard_end;

pub use shard_end::{Command, LaneEnd, Lanes};

use crate::limits::LANE_SLOTS;
use crate::machine::doorbell::Doorbell;
use ringway_protocol::limits::{FRAME_BYTES_MAX, PAYLOAD_BYTES_MAX};
use ringway_protocol::{QueueId, QueueOptions, Records, Rejection, record};
use rtrb::{Consumer, Producer, RingBuffer};
use std::sync::Arc;

/// Bytes of a record that travels in the ring: a payload of 100 bytes, a request of two cache
/// lines.
pub const SHORT_RECORD_BYTES: usize = 108;
const _: () = assert!(size_of::<LaneRequest>() <= 128, "a request has two cache lines");

/// What a lane asks its shard for. Buffers go along and come back.
#[derive(Debug)]
pub enum LaneRequest {
    /// Make the queue, or find it.
    Declare {
        /// Its name.
        name: String,
        /// Its options; `None` for the plane's defaults.
        options: Option<QueueOptions>,
    },
    /// Add the one short record that travels in the ring itself: no second memory to fetch.
    EnqueueShort {
        /// The queue.
        queue: QueueId,
        /// Bytes of the record.
        length: u8,
        /// The record in wire format, and whatever lies behind it.
        record: [u8; SHORT_RECORD_BYTES],
    },
    /// Add the records in the buffer.
    Enqueue {
        /// The queue.
        queue: QueueId,
        /// How many records.
        count: u32,
        /// The records in wire format.
        buffer: Vec<u8>,
    },
    /// Fill the buffer with messages, taken for good.
    Dequeue {
        /// The queue.
        queue: QueueId,
        /// Most messages.
        messages_max: u32,
        /// Empty memory.
        buffer: Vec<u8>,
    },
    /// The lane is gone.
    Leave,
}

/// What a shard answers to a lane.
#[derive(Debug)]
pub enum LaneReply {
    /// The queue is there.
    Declared(QueueId),
    /// The batch is held.
    Enqueued {
        /// The sequence of its first message.
        first_sequence: u64,
        /// The memory of the request.
        buffer: Vec<u8>,
    },
    /// What was taken.
    Dequeued {
        /// How many records.
        count: u32,
        /// The records in wire format.
        buffer: Vec<u8>,
    },
    /// Nothing was changed.
    Refused {
        /// Why.
        why: Rejection,
        /// The memory of the request.
        buffer: Vec<u8>,
    },
}

/// Why a lane could not do what it was asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LaneError {
    /// The shard refused; nothing was changed.
    #[error("{0}")]
    Refused(Rejection),
    /// A payload is over 64 KiB or the batch over 1 MiB; nothing was sent.
    #[error("a message is over 64 KiB or a batch over 1 MiB: send smaller ones")]
    TooLarge,
    /// So many batches are under way; nothing was sent. Collect acknowledgements, then offer again.
    #[error("{LANE_SLOTS} batches are under way: collect acknowledgements first")]
    Full,
    /// The plane has stopped.
    #[error("the plane has stopped: start it again")]
    Stopped,
}

/// A ring to the shard of one queue, and one back. Bounded; belongs to one thread at a time.
#[derive(Debug)]
pub struct Lane {
    queue: QueueId,
    to: Producer<LaneRequest>,
    from: Consumer<LaneReply>,
    shard_bell: Arc<Doorbell>,
    own_bell: Arc<Doorbell>,
    spare: Vec<Vec<u8>>,
    /// What the last dequeue brought.
    dequeued: Vec<u8>,
    under_way: usize,
}

/// Rounds of looking at the ring before a waiting thread sleeps; a shard that is awake answers
/// sooner.
const SPINS_BEFORE_SLEEP: u32 = 20_000;

impl Lane {
    /// Makes the rings; the other end goes to the shard, then [`Lane::declare`] must be called
    /// once.
    pub(crate) fn new(shard_bell: Arc<Doorbell>) -> std::io::Result<(Self, LaneEnd)> {
        let (to, from_lane) = RingBuffer::new(LANE_SLOTS);
        let (to_lane, from) = RingBuffer::new(LANE_SLOTS);
        let own_bell = Arc::new(Doorbell::new()?);
        let end = LaneEnd::new(from_lane, to_lane, own_bell.clone());
        let lane = Self {
            queue: QueueId(0),
            to,
            from,
            shard_bell,
            own_bell,
            spare: Vec::with_capacity(LANE_SLOTS),
            dequeued: Vec::new(),
            under_way: 0,
        };
        Ok((lane, end))
    }

    pub(crate) fn declare(
        &mut self,
        name: &str,
        options: Option<QueueOptions>,
    ) -> Result<(), LaneError> {
        self.ask(LaneRequest::Declare { name: name.to_owned(), options })?;
        match self.wait()? {
            LaneReply::Declared(queue) => self.queue = queue,
            LaneReply::Refused { why, .. } => return Err(LaneError::Refused(why)),
            other => unreachable!("a declaration is answered with {other:?}"),
        }
        Ok(())
    }

    /// The queue that this lane leads to.
    pub fn queue(&self) -> QueueId {
        self.queue
    }

    /// Adds one message and waits until it is held; returns its sequence.
    ///
    /// # Errors
    /// See [`LaneError`]; with any of them the message was not added, unless the plane stopped
    /// meanwhile.
    pub fn enqueue(&mut self, payload: &[u8]) -> Result<u64, LaneError> {
        let length = record::RECORD_HEADER_BYTES + payload.len();
        if length > SHORT_RECORD_BYTES {
            return self.enqueue_batch([payload]);
        }
        self.settle()?;
        let mut record = [0; SHORT_RECORD_BYTES];
        record[..4].copy_from_slice(&(payload.len() as u32).to_le_bytes());
        record[record::RECORD_HEADER_BYTES..length].copy_from_slice(payload);
        self.ask(LaneRequest::EnqueueShort { queue: self.queue, length: length as u8, record })?;
        self.acknowledged()
    }

    /// Adds a batch, all of it or nothing, and waits until it is held; returns the first sequence.
    ///
    /// # Errors
    /// As [`Lane::enqueue`]. Batches offered before are waited for, and their refusals returned
    /// first.
    pub fn enqueue_batch<'a>(
        &mut self,
        payloads: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<u64, LaneError> {
        self.settle()?;
        self.offer_batch(payloads)?;
        self.acknowledged()
    }

    /// Waits for every batch offered before.
    fn settle(&mut self) -> Result<(), LaneError> {
        while self.under_way > 0 {
            self.acknowledged()?;
        }
        Ok(())
    }

    /// Sends a batch without waiting; [`Lane::acknowledged`] or [`Lane::try_acknowledged`] collects
    /// the answer.
    ///
    /// # Errors
    /// See [`LaneError`]; nothing was sent then.
    pub fn offer_batch<'a>(
        &mut self,
        payloads: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<(), LaneError> {
        if self.under_way == LANE_SLOTS {
            return Err(LaneError::Full);
        }
        let mut buffer = self.spare.pop().unwrap_or_default();
        let mut count = 0;
        for payload in payloads {
            let length = record::RECORD_HEADER_BYTES + payload.len();
            if payload.len() > PAYLOAD_BYTES_MAX || buffer.len() + length > FRAME_BYTES_MAX {
                self.keep(buffer);
                return Err(LaneError::TooLarge);
            }
            record::write(&mut buffer, &[], payload);
            count += 1;
        }
        self.ask(LaneRequest::Enqueue { queue: self.queue, count, buffer })
    }

    /// How many offered batches have not been collected.
    pub fn under_way(&self) -> usize {
        self.under_way
    }

    /// Waits for the next answer to an offered batch, in the order of the offers; its first
    /// sequence.
    ///
    /// # Errors
    /// The batch's refusal, or [`LaneError::Stopped`]. Panics if nothing is under way.
    pub fn acknowledged(&mut self) -> Result<u64, LaneError> {
        assert!(self.under_way > 0, "an acknowledgement of nothing");
        let reply = self.wait()?;
        self.acknowledge(reply)
    }

    /// The next answer to an offered batch, if it is there.
    pub fn try_acknowledged(&mut self) -> Option<Result<u64, LaneError>> {
        let reply = self.from.pop().ok()?;
        Some(self.acknowledge(reply))
    }

    fn acknowledge(&mut self, reply: LaneReply) -> Result<u64, LaneError> {
        self.under_way -= 1;
        match reply {
            LaneReply::Enqueued { first_sequence, buffer } => {
                self.keep(buffer);
                Ok(first_sequence)
            }
            LaneReply::Refused { why, buffer } => {
                self.keep(buffer);
                Err(LaneError::Refused(why))
            }
            other => unreachable!("an enqueue is answered with {other:?}"),
        }
    }

    /// Takes the oldest ready message for good, if there is one.
    ///
    /// # Errors
    /// As [`Lane::dequeue_batch`].
    pub fn dequeue(&mut self) -> Result<Option<&[u8]>, LaneError> {
        Ok(self.dequeue_batch(1)?.next())
    }

    /// Takes up to `messages_max` messages (at most 4,096 and about 256 KiB at once) for good.
    ///
    /// # Errors
    /// [`LaneError::Refused`] if the queue was deleted, [`LaneError::Stopped`]. Batches offered
    /// before are waited for, and their refusals returned first.
    pub fn dequeue_batch(
        &mut self,
        messages_max: u32,
    ) -> Result<impl Iterator<Item = &[u8]>, LaneError> {
        self.settle()?;
        let mut buffer = std::mem::take(&mut self.dequeued);
        buffer.clear();
        self.ask(LaneRequest::Dequeue { queue: self.queue, messages_max, buffer })?;
        self.under_way -= 1;
        let count = match self.wait()? {
            LaneReply::Dequeued { count, buffer } => {
                self.dequeued = buffer;
                count
            }
            LaneReply::Refused { why, buffer } => {
                self.dequeued = buffer;
                return Err(LaneError::Refused(why));
            }
            other => unreachable!("a dequeue is answered with {other:?}"),
        };
        debug_assert!(count == 0 || Records::parse(&self.dequeued, count).is_ok());
        let mut rest = &self.dequeued[..];
        Ok(std::iter::from_fn(move || {
            let (record, after) = record::first(rest)?;
            rest = after;
            Some(record.payload)
        }))
    }

    fn ask(&mut self, request: LaneRequest) -> Result<(), LaneError> {
        if self.to.is_abandoned() {
            return Err(LaneError::Stopped);
        }
        if !matches!(request, LaneRequest::Declare { .. }) {
            self.under_way += 1;
        }
        self.to.push(request).expect("no more requests are under way than the ring has slots");
        self.shard_bell.ring_if_parked();
        Ok(())
    }

    /// The next answer: spins for a while, then sleeps.
    fn wait(&mut self) -> Result<LaneReply, LaneError> {
        for _ in 0..SPINS_BEFORE_SLEEP {
            if let Ok(reply) = self.from.pop() {
                return Ok(reply);
            }
            std::hint::spin_loop();
        }
        loop {
            self.own_bell.prepare_to_park();
            let reply = self.from.pop();
            if reply.is_err() && !self.from.is_abandoned() {
                self.own_bell.wait();
            }
            self.own_bell.unpark();
            match reply.or_else(|_| self.from.pop()) {
                Ok(reply) => return Ok(reply),
                Err(_) if self.from.is_abandoned() => return Err(LaneError::Stopped),
                Err(_) => {}
            }
        }
    }

    fn keep(&mut self, mut buffer: Vec<u8>) {
        // A short record came without a buffer.
        if buffer.capacity() > 0 {
            buffer.clear();
            self.spare.push(buffer);
        }
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        // A full ring empties as the shard goes on; an abandoned one needs no goodbye.
        while !self.to.is_abandoned() {
            if self.to.push(LaneRequest::Leave).is_ok() {
                self.shard_bell.ring_if_parked();
                break;
            }
            std::thread::yield_now();
        }
    }
}
