//! The one seam to the outside: network, clock, doorbells. Linux is one world, the simulator
//! another.
//!
//! A world takes operations and hands back completions, as io_uring does: nothing happens at the
//! call, everything is recorded and then seen at `reap`. What the kernel may refer to (a buffer,
//! bytes being sent) belongs to the world until the operation's terminal completion, so no stage
//! can free it too early.

pub use crate::machine::memory::{PinnedSlice, SegmentMemory, prefetch, prefetch_all};
pub use crate::machine::wheel::{TimerId, Wheel};

/// The two clocks of a turn, read once at its start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Now {
    /// Nanoseconds of a clock that never goes back.
    pub ns: u64,
    /// Milliseconds since 1970-01-01 UTC, by the host's clock: may jump either way when it is set.
    pub wall_ms: u64,
}

impl Now {
    /// Milliseconds of the clock that never goes back.
    #[inline]
    pub fn ms(self) -> u64 {
        self.ns / 1_000_000
    }
}

/// Names an operation under way: what for, which slot, and which of the slot's successive owners.
///
/// Layout: 8 bits of purpose, 24 of generation, 32 of slot. A completion whose generation is not
/// its slot's is late.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Token(pub u64);

/// What an operation is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u8)]
pub enum Purpose {
    /// A listener's accept; the slot is the listener.
    Accept = 1,
    /// A connection's receive.
    Receive = 2,
    /// A connection's send.
    Send = 3,
    /// A cancellation; its own completion says only that it was tried.
    Cancel = 4,
    /// A close.
    Close = 5,
    /// The world's own: timeouts, doorbells. Never handed to a shard.
    Internal = 6,
}

impl Token {
    /// Generations wrap within 24 bits.
    pub const GENERATION_MASK: u32 = 0xff_ffff;

    /// Puts a token together.
    #[inline]
    pub fn new(purpose: Purpose, slot: u32, generation: u32) -> Self {
        debug_assert!(generation <= Self::GENERATION_MASK);
        Self((purpose as u64) << 56 | u64::from(generation) << 32 | u64::from(slot))
    }

    /// What the operation is for; `None` for bytes that no stage ever made.
    #[inline]
    pub fn purpose(self) -> Option<Purpose> {
        match (self.0 >> 56) as u8 {
            1 => Some(Purpose::Accept),
            2 => Some(Purpose::Receive),
            3 => Some(Purpose::Send),
            4 => Some(Purpose::Cancel),
            5 => Some(Purpose::Close),
            6 => Some(Purpose::Internal),
            _ => None,
        }
    }

    /// The slot of the connection, or the listener.
    #[inline]
    pub fn slot(self) -> u32 {
        self.0 as u32
    }

    /// Which of the slot's successive owners asked.
    #[inline]
    pub fn generation(self) -> u32 {
        (self.0 >> 32) as u32 & Self::GENERATION_MASK
    }
}

/// The two groups of receive buffers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum BufferSize {
    /// Many, for connections that send little at a time.
    Small,
    /// Few, for streams.
    Large,
}

/// A receive buffer that a completion lent to its stage; it must be given back once.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct BufferId {
    /// Its group.
    pub size: BufferSize,
    /// Its number in the group.
    pub index: u16,
}

/// One completion, recorded where it arrived and acted on by its stage.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Completion {
    /// The operation's name.
    pub token: Token,
    /// As io_uring has it: a count or a descriptor, or a negative errno.
    pub result: i32,
    /// Whether more completions of this operation follow; if not, this is its terminal one.
    pub more: bool,
    /// The buffer that holds `result` received bytes.
    pub buffer: Option<BufferId>,
}

/// What one send sends: bytes of its own, with slices of segments between them.
///
/// Invariant: `sent <= len()`; pins are in the order of `at`, and `at <= bytes.len()`.
#[derive(Debug, Default)]
pub struct Outgoing {
    /// Copied bytes: headers, short runs.
    pub bytes: Vec<u8>,
    /// Slices that are sent from where they lie.
    pub pins: Vec<Pin>,
    /// Bytes of all pins together.
    pub pinned_bytes: usize,
    /// Bytes of `bytes` and `pins` together that earlier sends already sent.
    pub sent: usize,
}

/// A slice of a segment in the middle of an [`Outgoing`].
#[derive(Debug)]
pub struct Pin {
    /// How many of the copied bytes come before this slice.
    pub at: usize,
    /// The slice; it keeps its segment from being reused.
    pub slice: PinnedSlice,
}

impl Outgoing {
    /// All bytes, sent or not.
    #[inline]
    pub fn len(&self) -> usize {
        self.bytes.len() + self.pinned_bytes
    }

    /// Appends a slice that is sent from where it lies.
    pub fn pin(&mut self, slice: PinnedSlice) {
        self.pinned_bytes += slice.len();
        self.pins.push(Pin { at: self.bytes.len(), slice });
    }

    /// Whether there is nothing at all.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.pins.is_empty()
    }

    /// Forgets everything, keeping the memory for the next replies.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.pins.clear();
        self.pinned_bytes = 0;
        self.sent = 0;
    }

    /// The slices that are still to be sent, in order, none of them empty.
    pub fn slices(&self) -> impl Iterator<Item = &[u8]> {
        let copied = |from: usize, to: usize| &self.bytes[from..to];
        let mut from = 0;
        let between = self.pins.iter().flat_map(move |pin| {
            let before = copied(from, pin.at);
            from = pin.at;
            [before, &pin.slice[..]]
        });
        let last = copied(self.pins.last().map_or(0, |pin| pin.at), self.bytes.len());
        let mut skip = self.sent;
        between.chain(std::iter::once(last)).filter_map(move |slice| {
            let skipped = skip.min(slice.len());
            skip -= skipped;
            (skipped < slice.len()).then(|| &slice[skipped..])
        })
    }
}

/// Whether the other side of a connection has said that it ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PeerEnd {
    /// It has not.
    Open,
    /// It sends no more; what it has sent can still be received, and it may still read.
    Half,
    /// It has reset the connection, or closed it whole.
    Whole,
}

/// Network, clock and doorbells of one shard.
pub trait World {
    /// An open socket; closed by [`World::close`], or when dropped without operations under way.
    type Socket: Send + std::fmt::Debug + 'static;

    /// Nanoseconds of a clock that never goes back. Read once a turn.
    fn now_ns(&mut self) -> u64;

    /// Milliseconds since 1970-01-01 UTC by the host's clock, which may jump. Read once a turn.
    fn wall_ms(&mut self) -> u64;

    /// Nanoseconds of CPU time that this shard's thread has used; read now and then for statistics.
    fn cpu_ns(&mut self) -> u64;

    /// Whether [`World::reap`] would find something. Cheap: looked at while spinning.
    fn pending(&self) -> bool;

    /// Appends what has completed, in the order of completion: at most
    /// [`crate::limits::COMPLETIONS_PER_TURN_MAX`], and no more after so many bytes received as
    /// [`crate::limits::RECEIVED_BYTES_PER_TURN_MAX`].
    fn reap(&mut self, completions: &mut Vec<Completion>);

    /// Accepts on a listener until the terminal completion; each completion's result is a new
    /// socket.
    fn accept(&mut self, listener: u32, token: Token);

    /// The socket that an accept's completion named, with its options set.
    fn accepted(&mut self, result: i32) -> Self::Socket;

    /// Receives into buffers of a group until the terminal completion; may complete many times or
    /// once.
    fn receive(&mut self, socket: &Self::Socket, token: Token, size: BufferSize);

    /// The bytes that a receive's completion announced.
    fn received(&self, buffer: BufferId, length: usize) -> &[u8];

    /// Returns a buffer to its group.
    fn give_back(&mut self, buffer: BufferId);

    /// Sends all of `outgoing` past its `sent` mark; completes once. One send a socket at a time.
    fn send(&mut self, socket: &Self::Socket, token: Token, outgoing: Outgoing);

    /// What a send was sending, after its completion. The caller moves the `sent` mark.
    fn take_back(&mut self, token: Token) -> Outgoing;

    /// Asks for the end of one operation; its own completion comes with `token`.
    fn cancel(&mut self, target: Token, token: Token);

    /// Asks for the end of every operation on a socket; its own completion comes with `token`.
    fn cancel_all(&mut self, socket: &Self::Socket, token: Token);

    /// Whether the peer has ended, without receiving: for a connection whose receive is paused.
    fn peer_end(&mut self, socket: &Self::Socket) -> PeerEnd;

    /// Tells the peer that nothing more will be sent; what it still sends can be received. Does not
    /// block.
    fn shutdown(&mut self, socket: &Self::Socket);

    /// Closes a socket that has no operation under way.
    fn close(&mut self, socket: Self::Socket);

    /// Hands everything asked for to the kernel: once, at the end of a turn.
    fn submit(&mut self);

    /// Wakes another shard if it has parked, after something was pushed to its ring.
    fn ring_doorbell(&mut self, shard: usize);
}
