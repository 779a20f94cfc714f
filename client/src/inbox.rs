//! Replies on their way in: bytes received, cut into frames where they lie.
//!
//! No sockets here: an [`Inbox`] takes in bytes received, and keeps its memory, so that a
//! connection in its stride allocates nothing.

use std::io::{self, Read};

use ringway_protocol::Rejection;
use ringway_protocol::frame::{self, Frame, HEADER_BYTES, Split};
use ringway_protocol::limits::FRAME_BYTES_MAX;

/// Room for replies at first: some two thousand acknowledgements.
const INBOX_BYTES: usize = 64 << 10;
/// An inbox that is read full grows up to here, so that large frames are rarely cut in two.
const INBOX_BYTES_GROWN: usize = 256 << 10;

/// Bytes received, cut into frames where they lie.
///
/// Invariant: `consumed <= received <= bytes.len()`.
#[derive(Debug)]
pub struct Inbox {
    bytes: Vec<u8>,
    consumed: usize,
    received: usize,
    /// Whether the last read filled the buffer.
    cut_short: bool,
}

impl Default for Inbox {
    fn default() -> Self {
        Self { bytes: vec![0; INBOX_BYTES], consumed: 0, received: 0, cut_short: false }
    }
}

impl Inbox {
    /// Reads once from `source` and returns how many bytes came; 0 is the end of the stream.
    ///
    /// Call it when no whole frame is left. A frame that was cut in two moves to the front: each
    /// byte is moved at most once.
    pub fn fill(&mut self, source: &mut impl Read) -> io::Result<usize> {
        if self.consumed > 0 {
            self.bytes.copy_within(self.consumed..self.received, 0);
            self.received -= self.consumed;
            self.consumed = 0;
        }
        if self.received == self.bytes.len() {
            self.bytes.resize(self.bytes.len() * 2, 0);
        }
        let count = source.read(&mut self.bytes[self.received..])?;
        self.received += count;
        assert!(self.received <= self.bytes.len(), "a read stays within its buffer");
        self.cut_short = self.received == self.bytes.len();
        if self.cut_short && self.bytes.len() < INBOX_BYTES_GROWN {
            self.bytes.resize(self.bytes.len() * 2, 0);
        }
        Ok(count)
    }

    /// Whether the last read took all that there was: it left room in the buffer.
    #[inline]
    pub fn drained(&self) -> bool {
        !self.cut_short
    }

    /// The next whole frame, or `None` if more bytes are needed.
    #[inline]
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, Rejection> {
        match frame::split(&self.bytes[self.consumed..self.received], FRAME_BYTES_MAX)? {
            Split::Frame(frame) => {
                self.consumed += HEADER_BYTES + frame.body.len();
                debug_assert!(self.consumed <= self.received);
                Ok(Some(frame))
            }
            Split::NeedMore(_) => Ok(None),
        }
    }

    /// Whether a whole frame is there.
    pub fn has_frame(&self) -> Result<bool, Rejection> {
        let bytes = &self.bytes[self.consumed..self.received];
        Ok(matches!(frame::split(bytes, FRAME_BYTES_MAX)?, Split::Frame(_)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringway_protocol::frame::{Header, Kind};
    use ringway_protocol::reply;

    /// A source that hands out at most `piece` bytes a read.
    struct Pieces<'a>(&'a [u8], usize);

    impl Read for Pieces<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.1.min(self.0.len()).min(buffer.len());
            buffer[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    #[test]
    fn frames_come_out_whole_whatever_the_size_of_the_reads() {
        let bodies = [0, 1, 31, 4096, 70_000, 300_000, FRAME_BYTES_MAX, 5];
        let mut bytes = Vec::new();
        for (number, length) in bodies.iter().enumerate() {
            let header = Header::reply(Kind::Echo, ringway_protocol::Code::Ok, 0, number as u32);
            frame::write(&mut bytes, header, |out| out.resize(out.len() + length, number as u8));
        }
        for piece in [1usize, 7, 16, 17, 1000, 65_536, usize::MAX] {
            let (mut inbox, mut source) = (Inbox::default(), Pieces(&bytes, piece));
            let mut seen = Vec::new();
            while inbox.fill(&mut source).unwrap() > 0 {
                while let Some(frame) = inbox.next_frame().unwrap() {
                    assert!(frame.body.iter().all(|byte| *byte == seen.len() as u8));
                    assert_eq!(frame.header.request as usize, seen.len());
                    seen.push(frame.body.len());
                }
            }
            assert_eq!(seen, bodies, "in reads of {piece}");
        }
    }

    #[test]
    fn a_frame_over_the_limit_is_refused_from_its_header() {
        let mut inbox = Inbox::default();
        let mut header = Header::reply(Kind::Echo, ringway_protocol::Code::Ok, 0, 1);
        header.length = FRAME_BYTES_MAX as u32 + 1;
        inbox.fill(&mut Pieces(&header.encode(), 16)).unwrap();
        assert_eq!(inbox.next_frame().unwrap_err().code, ringway_protocol::Code::FrameTooLarge);
        assert_eq!(inbox.bytes.len(), INBOX_BYTES, "nothing was allocated for it");
    }

    #[test]
    fn small_replies_in_the_steady_state_keep_the_buffer() {
        let mut inbox = Inbox::default();
        let mut replies = Vec::new();
        for number in 0..64 {
            reply::put(&mut replies, (0, number), 1, 1, ringway_protocol::Level::Memory);
        }
        let mut capacity = None;
        for round in 0..100 {
            inbox.fill(&mut Pieces(&replies, usize::MAX)).unwrap();
            while inbox.next_frame().unwrap().is_some() {}
            let now = inbox.bytes.capacity();
            assert!(round == 0 || capacity == Some(now));
            capacity = Some(now);
        }
    }
}
