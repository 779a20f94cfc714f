//! Bytes to frames: pure, whatever the pieces in which the bytes arrive.

use crate::limits::LARGE_BUFFER_BYTES;
use ringway_protocol::limits::{FRAME_BYTES_MAX, GREETING_BYTES_MAX};
use ringway_protocol::{Frame, HEADER_BYTES, Rejection, Split, frame};

/// What the stage that got a frame wants next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flow {
    /// The next frame.
    Next,
    /// The next frame, which may now be as long as a greeted peer's.
    Welcomed,
    /// Nothing now: this frame was not consumed and must come again.
    Stall,
    /// Nothing ever: the connection ends.
    Close,
}

/// The bytes of one connection that are not consumed yet: a frame that was begun, or frames that
/// must wait.
#[derive(Debug)]
pub struct Inbox {
    bytes: Vec<u8>,
    /// Longest body allowed: short until the peer is greeted.
    body_bytes_max: usize,
}

impl Default for Inbox {
    fn default() -> Self {
        Self { bytes: Vec::new(), body_bytes_max: GREETING_BYTES_MAX }
    }
}

impl Inbox {
    /// How many bytes are kept.
    #[inline]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing is kept: the last frame ended where the bytes did.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Keeps bytes for later, while the connection is stalled. `spare` lends memory.
    pub fn hold(&mut self, bytes: &[u8], spare: &mut Vec<Vec<u8>>) {
        if self.bytes.capacity() == 0 {
            self.bytes = spare.pop().unwrap_or_default();
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Gives `serve` every whole frame of what was kept and then of `bytes`, and keeps the rest.
    pub fn feed(
        &mut self,
        mut bytes: &[u8],
        spare: &mut Vec<Vec<u8>>,
        mut serve: impl FnMut(Frame<'_>) -> Flow,
    ) -> Result<Flow, Rejection> {
        // A frame begun earlier takes what it lacks and no more; the rest is served where it lies.
        while !self.bytes.is_empty() && !bytes.is_empty() {
            let Split::NeedMore(total) = frame::split(&self.bytes, self.body_bytes_max)? else {
                break;
            };
            let (lacking, rest) = bytes.split_at(bytes.len().min(total - self.bytes.len()));
            self.bytes.extend_from_slice(lacking);
            bytes = rest;
        }
        match self.serve_kept(spare, &mut serve)? {
            Flow::Next => {}
            flow => {
                self.hold(bytes, spare);
                return Ok(flow);
            }
        }
        if bytes.is_empty() {
            return Ok(Flow::Next);
        }
        debug_assert!(self.bytes.is_empty(), "a kept frame was completed before new ones");
        let (consumed, flow) = serve_all(bytes, &mut self.body_bytes_max, &mut serve)?;
        if consumed < bytes.len() {
            self.hold(&bytes[consumed..], spare);
        }
        Ok(flow)
    }

    /// Serves what was kept while the connection was stalled.
    pub fn serve_kept(
        &mut self,
        spare: &mut Vec<Vec<u8>>,
        mut serve: impl FnMut(Frame<'_>) -> Flow,
    ) -> Result<Flow, Rejection> {
        if self.bytes.is_empty() {
            return Ok(Flow::Next);
        }
        let (consumed, flow) = serve_all(&self.bytes, &mut self.body_bytes_max, &mut serve)?;
        if consumed == self.bytes.len() {
            self.forget(spare);
        } else if consumed > 0 {
            self.bytes.drain(..consumed);
        }
        Ok(flow)
    }

    /// Drops what was kept and returns its memory.
    pub fn forget(&mut self, spare: &mut Vec<Vec<u8>>) {
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        if (1..=FRAME_BYTES_MAX + HEADER_BYTES + LARGE_BUFFER_BYTES).contains(&bytes.capacity())
            && spare.len() < SPARE_INBOXES_MAX
        {
            spare.push(bytes);
        }
    }
}

/// Inbox memories that a shard keeps for reuse.
pub const SPARE_INBOXES_MAX: usize = 64;

/// Serves whole frames from the front of `bytes`; returns how many bytes were consumed.
#[inline]
fn serve_all(
    bytes: &[u8],
    body_bytes_max: &mut usize,
    serve: &mut impl FnMut(Frame<'_>) -> Flow,
) -> Result<(usize, Flow), Rejection> {
    let mut consumed = 0;
    while consumed < bytes.len() {
        let Split::Frame(frame) = frame::split(&bytes[consumed..], *body_bytes_max)? else {
            break;
        };
        match serve(frame) {
            Flow::Next => {}
            Flow::Welcomed => *body_bytes_max = FRAME_BYTES_MAX,
            flow => return Ok((consumed, flow)),
        }
        consumed += HEADER_BYTES + frame.body.len();
    }
    Ok((consumed, Flow::Next))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringway_protocol::Request;
    use ringway_protocol::greeting::Greet;

    fn stream() -> Vec<u8> {
        let mut bytes = Vec::new();
        Request::Greet(Greet::new(b"token")).encode(0, 1, &mut bytes);
        Request::Echo(&[7; 5000]).encode(0, 2, &mut bytes);
        Request::Ping.encode(3, 3, &mut bytes);
        Request::Echo(b"").encode(0, 4, &mut bytes);
        bytes
    }

    fn seen(frame: Frame<'_>, into: &mut Vec<(u32, usize)>) -> Flow {
        into.push((frame.header.request, frame.body.len()));
        if frame.header.kind == 1 { Flow::Welcomed } else { Flow::Next }
    }

    const WHOLE: [(u32, usize); 4] = [(1, 17), (2, 5000), (3, 0), (4, 0)];

    #[test]
    fn every_split_point_gives_the_same_frames() {
        let stream = stream();
        for split in 0..=stream.len() {
            let (mut inbox, mut frames, mut spare) = (Inbox::default(), Vec::new(), Vec::new());
            for piece in [&stream[..split], &stream[split..]] {
                let flow = inbox.feed(piece, &mut spare, |frame| seen(frame, &mut frames));
                assert_eq!(flow, Ok(Flow::Next));
            }
            assert_eq!(frames, WHOLE, "split at {split}");
            assert!(inbox.is_empty());
        }
    }

    #[test]
    fn single_bytes_give_the_same_frames() {
        let (mut inbox, mut frames, mut spare) = (Inbox::default(), Vec::new(), Vec::new());
        for byte in stream() {
            let flow = inbox.feed(&[byte], &mut spare, |frame| seen(frame, &mut frames));
            assert_eq!(flow, Ok(Flow::Next));
        }
        assert_eq!(frames, WHOLE);
    }

    #[test]
    fn a_stalled_frame_comes_again_and_keeps_its_place() {
        let (mut inbox, mut frames, mut spare) = (Inbox::default(), Vec::new(), Vec::new());
        let mut stalls = 3;
        let mut serve = |frame: Frame<'_>| {
            if frame.header.request == 2 && stalls > 0 {
                stalls -= 1;
                return Flow::Stall;
            }
            seen(frame, &mut frames)
        };
        let stream = stream();
        assert_eq!(inbox.feed(&stream[..3000], &mut spare, &mut serve), Ok(Flow::Next));
        assert_eq!(inbox.feed(&stream[3000..], &mut spare, &mut serve), Ok(Flow::Stall));
        assert_eq!(inbox.serve_kept(&mut spare, &mut serve), Ok(Flow::Stall));
        assert_eq!(inbox.serve_kept(&mut spare, &mut serve), Ok(Flow::Stall));
        assert_eq!(inbox.serve_kept(&mut spare, &mut serve), Ok(Flow::Next));
        assert_eq!(frames, WHOLE);
    }

    #[test]
    fn before_the_welcome_only_short_frames_pass() {
        let (mut inbox, mut spare) = (Inbox::default(), Vec::new());
        let mut bytes = Vec::new();
        Request::Echo(&[0; GREETING_BYTES_MAX + 1]).encode(0, 1, &mut bytes);
        let refused = inbox.feed(&bytes[..HEADER_BYTES], &mut spare, |_| Flow::Next);
        assert!(refused.is_err(), "refused on the header alone");
    }
}
