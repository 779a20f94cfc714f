//! Cutting frames out of a byte stream.
//!
//! ```text
//!  0        4     5      6       8        12        16
//!  | length | kind| flags| code  | stream | request | body ...
//!  | u32    | u8  | u8   | u16   | u32    | u32     | length bytes
//! ```

use crate::code::{Code, Rejection};

/// Every frame starts with this many bytes.
pub const HEADER_BYTES: usize = 16;
/// Set in the kind of a reply.
pub const REPLY: u8 = 0x80;
/// The flag of a frame that is part of a longer message; refused as `Unsupported` until it works.
pub const CHUNK: u8 = 0x01;

/// What a frame asks for; a reply has the same kind with [`REPLY`] set.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u8)]
pub enum Kind {
    /// Agree on a version; always first.
    Greet = 1,
    /// Make a queue, or find that it is there.
    Declare = 2,
    /// Turn a name into a queue's id.
    Open = 3,
    /// Add a batch of messages.
    Put = 4,
    /// Get messages, under a lease or for good.
    Take = 5,
    /// Messages of a lease are done.
    Ack = 6,
    /// Messages of a lease are given back.
    Nack = 7,
    /// Counters of a queue or of the plane.
    Stat = 8,
    /// A page of the queues of a shard.
    List = 9,
    /// Drop every ready message.
    Purge = 10,
    /// Remove a queue with all its messages.
    Delete = 11,
    /// Is anybody there?
    Ping = 12,
    /// The body comes back.
    Echo = 13,
    /// Only as a reply (0x8e) of request 0: the server's last words before it closes.
    Goodbye = 14,
    /// How much a subscription may have unsettled from now on.
    Credit = 15,
    /// Change a queue's options.
    Alter = 16,
    /// Make a lease last longer.
    Extend = 17,
    /// Have messages pushed as they come.
    Subscribe = 18,
    /// End a subscription.
    Unsubscribe = 19,
    /// Make, change or remove a group of consumers.
    Group = 20,
    /// The groups of a queue with their figures.
    Groups = 21,
    /// Look at messages without taking them.
    Browse = 22,
    /// Remove messages by their sequences.
    Remove = 23,
    /// Move messages from one queue to another.
    Move = 24,
    /// Acknowledge messages and put their results in one step.
    Transfer = 26,
    /// Give a queue what is published under names that match a pattern.
    Bind = 27,
    /// Take a pattern back.
    Unbind = 28,
    /// A page of the plane's bindings.
    Bindings = 29,
    /// Put a batch to every queue with a matching binding.
    Publish = 30,
    /// Give a queue another name.
    Rename = 31,
    /// Stop or resume a queue's puts and takes.
    Pause = 32,
    /// The options of a queue, and its name.
    Describe = 33,
}

impl Kind {
    /// Every kind, in the order of its number.
    pub const ALL: [Kind; 32] = [
        Kind::Greet,
        Kind::Declare,
        Kind::Open,
        Kind::Put,
        Kind::Take,
        Kind::Ack,
        Kind::Nack,
        Kind::Stat,
        Kind::List,
        Kind::Purge,
        Kind::Delete,
        Kind::Ping,
        Kind::Echo,
        Kind::Goodbye,
        Kind::Credit,
        Kind::Alter,
        Kind::Extend,
        Kind::Subscribe,
        Kind::Unsubscribe,
        Kind::Group,
        Kind::Groups,
        Kind::Browse,
        Kind::Remove,
        Kind::Move,
        Kind::Transfer,
        Kind::Bind,
        Kind::Unbind,
        Kind::Bindings,
        Kind::Publish,
        Kind::Rename,
        Kind::Pause,
        Kind::Describe,
    ];

    /// The kinds by their number; 0 and 25 are none.
    const BY_NUMBER: [Option<Kind>; 34] = {
        let mut kinds = [None; 34];
        let mut index = 0;
        while index < Kind::ALL.len() {
            kinds[Kind::ALL[index] as usize] = Some(Kind::ALL[index]);
            index += 1;
        }
        kinds
    };

    /// The kind of a number on the wire, without the reply bit.
    #[inline]
    pub fn from_number(number: u8) -> Option<Kind> {
        Self::BY_NUMBER.get(usize::from(number)).copied().flatten()
    }
}

/// The first 16 bytes of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// Bytes of the body that follows.
    pub length: u32,
    /// The number of a [`Kind`], with [`REPLY`] set in replies.
    pub kind: u8,
    /// No flag works yet: 0. [`CHUNK`] has its place.
    pub flags: u8,
    /// 0 in requests; the number of a [`Code`] in replies.
    pub code: u16,
    /// The logical connection within the socket; replies carry the request's.
    pub stream: u32,
    /// Chosen by the client; replies carry the request's.
    pub request: u32,
}

impl Header {
    /// The header of a request.
    #[inline]
    pub fn request(kind: Kind, stream: u32, request: u32) -> Self {
        Self { length: 0, kind: kind as u8, flags: 0, code: 0, stream, request }
    }

    /// The header of a reply.
    #[inline]
    pub fn reply(kind: Kind, code: Code, stream: u32, request: u32) -> Self {
        Self { length: 0, kind: kind as u8 | REPLY, flags: 0, code: code as u16, stream, request }
    }

    /// Reads 16 bytes; any bytes are a header, whether they make sense is checked later.
    #[inline]
    pub fn decode(bytes: &[u8; HEADER_BYTES]) -> Self {
        // One load of 16 bytes; the shifts pick the fields.
        let word = u128::from_le_bytes(*bytes);
        Self {
            length: word as u32,
            kind: (word >> 32) as u8,
            flags: (word >> 40) as u8,
            code: (word >> 48) as u16,
            stream: (word >> 64) as u32,
            request: (word >> 96) as u32,
        }
    }

    /// The 16 bytes of this header.
    #[inline]
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let word = u128::from(self.length)
            | u128::from(self.kind) << 32
            | u128::from(self.flags) << 40
            | u128::from(self.code) << 48
            | u128::from(self.stream) << 64
            | u128::from(self.request) << 96;
        word.to_le_bytes()
    }
}

/// A header and its body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Frame<'a> {
    /// The first 16 bytes.
    pub header: Header,
    /// What follows them; `body.len() == header.length`.
    pub body: &'a [u8],
}

/// What [`split`] found at the front of some bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Split<'a> {
    /// A whole frame; it ends at `HEADER_BYTES + body.len()`.
    Frame(Frame<'a>),
    /// The frame is complete when there are this many bytes in total.
    NeedMore(usize),
}

/// Looks for one frame at the front of `bytes`; a body over `body_bytes_max` is refused from its
/// header.
///
/// A rejection ends the connection: where the next frame starts is not known after it.
#[inline]
pub fn split(bytes: &[u8], body_bytes_max: usize) -> Result<Split<'_>, Rejection> {
    let Some((head, rest)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
        return Ok(Split::NeedMore(HEADER_BYTES));
    };
    let header = Header::decode(head);
    let length = header.length as usize;
    if length > body_bytes_max {
        return Err(Rejection::new(Code::FrameTooLarge, "the frame is longer than allowed"));
    }
    if header.flags & !CHUNK != 0 {
        return Err(Rejection::malformed("a flag is set that has no meaning in this version"));
    }
    match rest.get(..length) {
        Some(body) => Ok(Split::Frame(Frame { header, body })),
        None => Ok(Split::NeedMore(HEADER_BYTES + length)),
    }
}

/// Refuses a flag that has its place but does not work yet; the frame itself can be skipped.
#[inline]
pub(crate) fn check_flags(header: Header) -> Result<(), Rejection> {
    match header.flags {
        0 => Ok(()),
        CHUNK => Err(Rejection::new(Code::Unsupported, "chunks are not supported yet")),
        _ => Err(Rejection::malformed("a flag is set that has no meaning in this version")),
    }
}

/// Appends a frame: reserves the header, lets `body` append, then fills the length in.
#[inline]
pub fn write(out: &mut Vec<u8>, mut header: Header, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; HEADER_BYTES]);
    body(out);
    header.length =
        u32::try_from(out.len() - start - HEADER_BYTES).expect("a frame is below 4 GiB");
    out[start..start + HEADER_BYTES].copy_from_slice(&header.encode());
}
