//! Requests: decoding allocates nothing, and what is accepted is written as the same bytes.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ringway_fuzz::{bounded, bytes_of, one_frame};
use ringway_protocol::Request;

fuzz_target!(|input: &[u8]| {
    let Some(frame) = one_frame(input) else { return };
    let Ok(request) = bounded(0, || Request::decode(frame)) else { return };
    let mut written = Vec::new();
    request.encode(frame.header.stream, frame.header.request, &mut written);
    assert_eq!(written, bytes_of(frame), "{request:?}");
    if let Request::Ack(settle) | Request::Nack(settle) = request {
        let named: u64 = settle.ranges.iter().map(|range| u64::from(range.count)).sum();
        assert!((1..=4096).contains(&named) && settle.ranges.len() <= 2048);
    }
});
