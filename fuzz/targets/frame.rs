//! Cutting frames: nothing is allocated, no length is believed, and where the bytes were split
//! makes no difference.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ringway_fuzz::bounded;
use ringway_protocol::frame::{HEADER_BYTES, Header, Split, split};
use ringway_protocol::{Code, Rejection};

/// The largest body, small enough for an input to go beyond it.
const BODY_BYTES_MAX: usize = 512;

/// Where each frame ends, and the refusal that ended the stream, fed in two pieces.
fn ends(input: &[u8], cut: usize) -> (Vec<usize>, Option<Rejection>) {
    let (mut ends, mut consumed) = (Vec::new(), 0);
    for seen in [&input[..cut], input] {
        loop {
            let rest = &seen[consumed..];
            match bounded(0, || split(rest, BODY_BYTES_MAX)) {
                Ok(Split::Frame(frame)) => {
                    assert_eq!(frame.header.length as usize, frame.body.len());
                    assert_eq!(Header::decode(&frame.header.encode()), frame.header);
                    consumed += HEADER_BYTES + frame.body.len();
                    ends.push(consumed);
                }
                Ok(Split::NeedMore(total)) => {
                    assert!(total > rest.len() && total <= HEADER_BYTES + BODY_BYTES_MAX);
                    break;
                }
                Err(refused) => {
                    assert!(matches!(refused.code, Code::FrameTooLarge | Code::Malformed));
                    return (ends, Some(refused));
                }
            }
        }
    }
    (ends, None)
}

fuzz_target!(|input: &[u8]| {
    let Some((cut, input)) = input.split_first() else { return };
    let whole = ends(input, input.len());
    let cut = usize::from(*cut) * input.len() / 255;
    assert_eq!(ends(input, cut), whole, "cut at {cut}");
});
