//! What the fuzz targets share: an input seen as one frame, and a bound on what decoding allocates.

use ringway_protocol::frame::{Frame, HEADER_BYTES, Header};

/// An input as one frame: its first 16 bytes are the header, but for the length, which is mended
/// so that the fuzzer spends no time on finding it. The target `frame` is about lengths.
pub fn one_frame(input: &[u8]) -> Option<Frame<'_>> {
    let (head, body) = input.split_first_chunk::<HEADER_BYTES>()?;
    let header = Header { length: u32::try_from(body.len()).ok()?, ..Header::decode(head) };
    Some(Frame { header, body })
}

/// The bytes of a frame whose body was read.
pub fn bytes_of(frame: Frame<'_>) -> Vec<u8> {
    [&frame.header.encode(), frame.body].concat()
}

/// Runs `decode` and panics if it allocated more bytes than allowed.
pub fn bounded<T>(bytes_max: usize, decode: impl FnOnce() -> T) -> T {
    let mut decoded = None;
    let info = allocation_counter::measure(|| decoded = Some(decode()));
    assert!(info.bytes_total <= bytes_max as u64, "allocated {info:?}, allowed {bytes_max}");
    decoded.expect("the closure was run")
}

/// Bytes that decoding a reply may allocate: entries of a listing and addresses of shards are kept
/// as values, which are larger than their bytes; growing them doubles what is kept.
pub fn reply_bytes_max(body: &[u8]) -> usize {
    8 * body.len() + (16 << 10)
}
