//! The smallest incremental reader over `frame::split`: what every connection does.

use ringway_protocol::frame::{Frame, HEADER_BYTES, Header, Split, split};
use ringway_protocol::{Rejection, limits::FRAME_BYTES_MAX};

/// A frame that outlives the bytes it was cut from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OwnedFrame {
    pub header: Header,
    pub body: Vec<u8>,
}

/// Bytes that came and were not a whole frame yet.
#[derive(Default)]
pub struct Stream {
    held: Vec<u8>,
}

impl Stream {
    /// Takes bytes in, and appends every frame that is whole now.
    pub fn feed(&mut self, bytes: &[u8], frames: &mut Vec<OwnedFrame>) -> Result<(), Rejection> {
        self.held.extend_from_slice(bytes);
        let mut consumed = 0;
        loop {
            match split(&self.held[consumed..], FRAME_BYTES_MAX)? {
                Split::Frame(Frame { header, body }) => {
                    assert_eq!(header.length as usize, body.len());
                    frames.push(OwnedFrame { header, body: body.to_vec() });
                    consumed += HEADER_BYTES + body.len();
                }
                Split::NeedMore(total) => {
                    let left = self.held.len() - consumed;
                    assert!(total > left, "asked for {total} bytes and has {left}");
                    assert!(total <= HEADER_BYTES + FRAME_BYTES_MAX);
                    break;
                }
            }
        }
        self.held.drain(..consumed);
        Ok(())
    }

    /// Bytes of a frame that was begun.
    pub fn held(&self) -> usize {
        self.held.len()
    }
}
