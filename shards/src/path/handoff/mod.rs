//! Batches to the owners of queues and back, over one ring for each ordered pair of shards.
//!
//! What travels is a buffer of whole entries, copied once out of the receive buffer, never a
//! reference into another shard's memory. Each request comes back as one reply, unless its asker is
//! gone. A buffer that arrives is kept by the receiver for its own next batch, and what it has too
//! many of goes back, so buffers circulate and none is allocated in the steady state. A ring that
//! is full says so: the connection that caused it stops, nothing is dropped, nothing spins.
//!
//! An entry is 24 bytes and a frame:
//! ```text
//!  0      8       16         20      24
//!  | peer | queue | released | waits | header, body
//!  | u64  | u64   | u32      | u32   | the reply's or the request's own bytes
//! ```
//! `peer` names the connection, or the errand, on the shard that asked. In replies, `queue` is the
//! queue of a lease that must go back if the peer is gone, else 0; `released` is what the peer was
//! promised and is now free of; `waits` has two bits: 1, the promise was to a take that may wait,
//! or to a subscription; 2, it is no request's reply, but what a subscription brings. A request
//! says what its peer was promised for it, and its reply says the same unless a subscription keeps
//! some.

mod arrivals;
mod link;

use crate::limits::{HANDOFF_BATCH_BYTES, HANDOFF_BUFFER_BYTES_MAX, HANDOFF_SLOTS};
use crate::path::journal::Journal;
use crate::path::perform::Performed;
use crate::stats::ShardStats;
use link::{Link, SURPLUS_MAX};
use ringway_protocol::{
    Code, Frame, HEADER_BYTES, Header, Kind, LeaseId, QueueId, Rejection, reply,
};
use rtrb::RingBuffer;

/// What travels from one shard to another.
#[derive(Debug)]
pub enum Handoff<S> {
    /// A connection that the acceptor deals out.
    Connection(S),
    /// Entries that ask.
    Requests(Vec<u8>),
    /// Entries that answer.
    Replies(Vec<u8>),
    /// An empty buffer: more batches came than went.
    Buffer(Vec<u8>),
    /// A peer of the sender is gone: what waits for it must not take anything.
    Gone(u64),
    /// So many requests of a peer of the receiver end without a reply, since it is gone.
    Forgotten(u64, u32),
    /// A peer of the sender has to read before more is pushed to it, or has read.
    Behind(u64, bool),
    /// A delivery whose asker is gone: its messages become ready again.
    Undelivered(QueueId, LeaseId),
}

/// Bytes of replies that a connection is promised.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Promise {
    /// How many.
    pub bytes: usize,
    /// Whether to a take that may wait, or to a subscription.
    pub waits: bool,
}

/// To one who asks about a queue whose id names a shard that is not there.
pub const NO_SUCH_SHARD: Rejection =
    Rejection::new(Code::NoSuchQueue, "no shard of this plane can own that queue");

/// Bytes before the frame of an entry.
pub const ENTRY_BYTES: usize = 24;

/// One entry of a batch.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// The connection on the shard that asked.
    pub peer: u64,
    /// The queue of a delivered lease, in replies.
    pub queue: u64,
    /// Bytes that were promised to the peer for this request, or are settled by this reply.
    pub released: u32,
    /// Whether those bytes were promised to a take that may wait, or to a subscription.
    pub waits: bool,
    /// Whether it answers no request, since a subscription brings it.
    pub pushed: bool,
    /// The request or the reply.
    pub frame: Frame<'a>,
    /// The frame as it goes over the wire.
    pub frame_bytes: &'a [u8],
}

impl Entry<'_> {
    /// The queue and the lease that this reply delivers, if it does.
    pub fn delivered(&self) -> Option<(QueueId, LeaseId)> {
        let lease = self.frame.body.first_chunk().map_or(0, |lease| u64::from_le_bytes(*lease));
        (self.queue != 0).then_some((QueueId(self.queue), LeaseId(lease)))
    }
}

/// Where an entry keeps what was promised, and which kind of promise and of reply it is.
const RELEASED_AT: usize = 16;
const WAITS: u8 = 1;
const PUSHED: u8 = 2;

/// Appends the 24 bytes of an entry; a frame must follow.
#[inline]
pub fn entry_prefix(out: &mut Vec<u8>, peer: u64, queue: u64, released: u32, waits: bool) {
    let mut prefix = [0; ENTRY_BYTES];
    prefix[..8].copy_from_slice(&peer.to_le_bytes());
    prefix[8..16].copy_from_slice(&queue.to_le_bytes());
    prefix[RELEASED_AT..20].copy_from_slice(&released.to_le_bytes());
    prefix[20] = u8::from(waits) * WAITS;
    out.extend_from_slice(&prefix);
}

/// Says of the entry that was begun at `start` that it answers no request.
#[inline]
pub fn mark_pushed(batch: &mut [u8], start: usize) {
    batch[start + 20] |= PUSHED;
}

/// Ends the entry that was begun at `start` and whose frame is written, by what was performed: it
/// names the lease that it delivers; it keeps of the promise what a subscription has for its
/// credit; it goes again if the request waits; it gets the last words if the request broke the
/// protocol, for the asker's own shard to pass on.
pub fn complete_entry(batch: &mut Vec<u8>, start: usize, performed: Performed) {
    match performed {
        Performed::Answered => {}
        Performed::Delivered(queue) => {
            batch[start + 8..start + 16].copy_from_slice(&queue.0.to_le_bytes());
        }
        Performed::Promising(more) => {
            let at = start + RELEASED_AT..start + RELEASED_AT + 4;
            let promised = u32::from_le_bytes(batch[at.clone()].try_into().expect("4 bytes"));
            // Nothing was promised to an errand.
            let released = (i64::from(promised) - more).max(0) as u32;
            batch[at].copy_from_slice(&released.to_le_bytes());
        }
        Performed::Waiting(_) => batch.truncate(start),
        Performed::Broken(why) => reply::refused(batch, Kind::Goodbye, (0, 0), why),
    }
}

/// The entry at the front of a batch made by [`entry_prefix`], and what follows it.
#[inline]
pub fn first_entry(batch: &[u8]) -> Option<(Entry<'_>, &[u8])> {
    let (prefix, rest) = batch.split_first_chunk::<ENTRY_BYTES>()?;
    let word = |at: usize| u64::from_le_bytes(prefix[at..at + 8].try_into().expect("8 bytes"));
    let header = Header::decode(rest.first_chunk::<HEADER_BYTES>().expect("an entry has a frame"));
    let (frame_bytes, rest) = rest.split_at(HEADER_BYTES + header.length as usize);
    let frame = Frame { header, body: &frame_bytes[HEADER_BYTES..] };
    let (peer, queue, released) = (word(0), word(8), word(16) as u32);
    let (waits, pushed) = (prefix[20] & WAITS != 0, prefix[20] & PUSHED != 0);
    Some((Entry { peer, queue, released, waits, pushed, frame, frame_bytes }, rest))
}

/// A buffer for batches, at once as large as they get: its pages cost nothing until they are used,
/// and growing would copy them.
fn new_buffer() -> Vec<u8> {
    Vec::with_capacity(HANDOFF_BATCH_BYTES)
}

/// All rings of one shard.
#[derive(Debug)]
pub struct Handoffs<S> {
    /// By shard; none to the shard itself.
    links: Vec<Option<Link<S>>>,
    /// Buffers that came with batches, for the next ones.
    spare: Vec<Vec<u8>>,
    /// Whether anything waits to be pushed.
    unsent: bool,
}

impl<S> Handoffs<S> {
    /// Makes the rings between `shards` shards and returns each shard's ends.
    pub fn connect(shards: usize) -> Vec<Self> {
        let mut ends: Vec<Vec<Option<Link<S>>>> =
            (0..shards).map(|_| (0..shards).map(|_| None).collect()).collect();
        let pairs = (0..shards).flat_map(|low| (low + 1..shards).map(move |high| (low, high)));
        for (low, high) in pairs {
            let (to_high, from_low) = RingBuffer::new(HANDOFF_SLOTS);
            let (to_low, from_high) = RingBuffer::new(HANDOFF_SLOTS);
            ends[low][high] = Some(Link::new(to_high, from_high));
            ends[high][low] = Some(Link::new(to_low, from_low));
        }
        let with = |links| Self { links, spare: Vec::new(), unsent: false };
        ends.into_iter().map(with).collect()
    }

    /// How many shards the plane has.
    #[inline]
    pub fn shards(&self) -> usize {
        self.links.len()
    }

    fn link(&mut self, shard: usize) -> &mut Link<S> {
        self.links[shard].as_mut().expect("a shard has no ring to itself")
    }

    /// Whether another request to that shard can be taken on now.
    #[inline]
    pub fn has_room(&mut self, shard: usize) -> bool {
        let link = self.link(shard);
        link.requests.len() < HANDOFF_BATCH_BYTES || !link.to.is_full()
    }

    /// Whether replies to that shard still find room; if not, its requests have to wait.
    #[inline]
    fn has_reply_room(&self, shard: usize) -> bool {
        let link = self.links[shard].as_ref();
        link.is_some_and(|link| link.replies.len() < HANDOFF_BATCH_BYTES)
    }

    /// Whether there is a shard to which replies find no room: nobody who waits is answered then,
    /// since the next could be one of that shard.
    pub fn is_crowded(&self) -> bool {
        let mut links = self.links.iter().flatten();
        links.any(|link| link.replies.len() >= HANDOFF_BATCH_BYTES)
    }

    /// Adds a request to the next batch, and what its peer was promised for it; there it is about
    /// `part` of its queue, if that is given. The caller has seen [`Handoffs::has_room`].
    pub fn ask(
        &mut self,
        shard: usize,
        (peer, promise): (u64, Promise),
        (frame, part): (Frame<'_>, Option<QueueId>),
        stats: &ShardStats,
    ) {
        if self.link(shard).requests.len() >= HANDOFF_BATCH_BYTES {
            self.link(shard).push_requests(stats);
        }
        let batch = self.requests(shard);
        entry_prefix(batch, peer, 0, promise.bytes as u32, promise.waits);
        batch.extend_from_slice(&frame.header.encode());
        let start = batch.len();
        batch.extend_from_slice(frame.body);
        if let Some(part) = part {
            batch[start..start + 8].copy_from_slice(&part.0.to_le_bytes());
        }
    }

    /// Adds a request of an errand, which `write` appends as one frame. A step that an errand has
    /// begun may not be left out, so this asks for no room: what gathers in the batch is bounded by
    /// the errands that are under way.
    pub fn ask_for(
        &mut self,
        shard: usize,
        peer: u64,
        stats: &ShardStats,
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        if self.link(shard).requests.len() >= HANDOFF_BATCH_BYTES {
            self.link(shard).push_requests(stats);
        }
        let batch = self.requests(shard);
        entry_prefix(batch, peer, 0, 0, false);
        write(batch);
    }

    fn requests(&mut self, shard: usize) -> &mut Vec<u8> {
        self.unsent = true;
        let link = self.links[shard].as_mut().expect("a shard has no ring to itself");
        if link.requests.capacity() == 0 {
            link.requests = self.spare.pop().unwrap_or_else(new_buffer);
        }
        &mut link.requests
    }

    /// The batch that replies to that shard are appended to, as entries; it goes back to
    /// [`Handoffs::end_replies`].
    pub fn begin_replies(&mut self, shard: usize) -> Vec<u8> {
        let batch = std::mem::take(&mut self.link(shard).replies);
        if batch.capacity() == 0 { self.spare.pop().unwrap_or_else(new_buffer) } else { batch }
    }

    /// The batch with replies added; `position` is what they depend on.
    pub fn end_replies(&mut self, shard: usize, batch: Vec<u8>, position: u64) {
        self.unsent = true;
        let link = self.link(shard);
        (link.replies, link.replies_position) = (batch, position);
    }

    /// Queues something that is no batch.
    pub fn signal(&mut self, shard: usize, signal: Handoff<S>) {
        self.unsent = true;
        self.link(shard).signals.push_back(signal);
    }

    /// Tells every other shard something about a peer.
    pub fn tell_all(&mut self, signal: impl Fn() -> Handoff<S>) {
        for shard in 0..self.links.len() {
            if self.links[shard].is_some() {
                self.signal(shard, signal());
            }
        }
    }

    /// Pushes what is ready to go; what finds no room, or waits for its commit, goes another time.
    ///
    /// Returns whether anything is left. `ring` is called for each shard that got something.
    pub fn flush(&mut self, journal: &Journal, stats: &ShardStats, mut ring: impl FnMut(usize)) {
        if !self.unsent {
            return;
        }
        self.unsent = false;
        for shard in 0..self.links.len() {
            let Some(link) = &mut self.links[shard] else { continue };
            let mut done = link.push_replies(journal.committed(), stats);
            done &= link.push_requests(stats);
            while done && let Some(signal) = link.signals.pop_front() {
                if let Err(signal) = link.push(signal) {
                    link.signals.push_front(signal);
                    done = false;
                }
            }
            link.return_surplus(&mut self.spare);
            if std::mem::take(&mut link.pushed) {
                ring(shard);
            }
            self.unsent |= !done;
        }
    }

    /// Whether something waits for room or for its commit; a shard with such may not sleep.
    #[inline]
    pub fn has_unsent(&self) -> bool {
        self.unsent
    }

    /// Whether another shard has handed something over.
    #[inline]
    pub fn has_arrivals(&self) -> bool {
        self.links.iter().flatten().any(|link| !link.from.is_empty())
    }

    /// The next arrival from a shard, unless it asks for replies that had better go out first.
    ///
    /// Requests are taken all the same while our own ring to that shard is full: if both sides
    /// waited for the other to take theirs, neither ever would. What the replies then grow to is
    /// bounded by what the asking connections may have in flight.
    #[inline]
    pub fn next_arrival(&mut self, shard: usize) -> Option<Handoff<S>> {
        let room = self.has_reply_room(shard);
        let link = self.links[shard].as_mut()?;
        match link.from.peek() {
            Ok(Handoff::Requests(_)) if !room && !link.to.is_full() => None,
            Ok(_) => link.from.pop().ok(),
            Err(_) => None,
        }
    }

    /// Keeps the buffer of a batch from that shard that was served.
    pub fn keep(&mut self, shard: usize, mut batch: Vec<u8>) {
        // As many as the rings both ways can bring, and the batches being filled.
        let kept = self.links.len() * 2 * (HANDOFF_SLOTS + 1);
        if self.spare.len() < kept && batch.capacity() <= HANDOFF_BUFFER_BYTES_MAX {
            batch.clear();
            self.spare.push(batch);
            let link = self.link(shard);
            link.surplus += 1;
            self.unsent |= link.surplus > SURPLUS_MAX;
        }
    }
}

#[cfg(test)]
mod tests;
