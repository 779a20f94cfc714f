//! Any split of a valid byte stream decodes to the same frames as the whole.

use proptest::prelude::*;

use crate::stream::{OwnedFrame, Stream};
use crate::values;

/// Decodes `bytes` as they come, cut at each of `cuts`.
fn decode_cut(bytes: &[u8], cuts: &[usize]) -> Vec<OwnedFrame> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    cuts.sort_unstable();
    let (mut stream, mut frames, mut start) = (Stream::default(), Vec::new(), 0);
    for end in cuts.into_iter().chain([bytes.len()]) {
        stream.feed(&bytes[start..end], &mut frames).expect("the stream is valid");
        start = end;
    }
    assert_eq!(stream.held(), 0, "whole frames leave nothing behind");
    frames
}

fn streams() -> impl Strategy<Value = Vec<u8>> {
    let frame = prop_oneof![values::request_frames(), values::reply_frames()];
    prop::collection::vec(frame, 1..6).prop_map(|frames| frames.concat())
}

proptest! {
    #[test]
    fn every_split_point_gives_the_frames_of_the_whole(bytes in streams()) {
        let whole = decode_cut(&bytes, &[]);
        // Every point where the stream is short, every point around a header where it is long.
        let step = bytes.len() / 512 + 1;
        for cut in (0..=bytes.len()).step_by(step).chain(0..bytes.len().min(64)) {
            prop_assert_eq!(&decode_cut(&bytes, &[cut]), &whole, "cut at {}", cut);
        }
    }

    #[test]
    fn any_number_of_cuts_gives_the_frames_of_the_whole(
        bytes in streams(),
        cuts in prop::collection::vec(any::<usize>(), 0..40),
    ) {
        prop_assert_eq!(decode_cut(&bytes, &cuts), decode_cut(&bytes, &[]));
    }

    #[test]
    fn one_byte_at_a_time_gives_the_frames_of_the_whole(bytes in values::request_frames()) {
        let cuts: Vec<usize> = (0..bytes.len()).collect();
        prop_assert_eq!(decode_cut(&bytes, &cuts), decode_cut(&bytes, &[]));
    }
}
