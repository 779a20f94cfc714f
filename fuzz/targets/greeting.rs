//! What an unknown peer may say first, and what a client believes of the answer.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ringway_fuzz::{bounded, reply_bytes_max};
use ringway_protocol::greeting::{Greet, Welcome};

fuzz_target!(|input: &[u8]| {
    let mut written = Vec::new();
    if let Ok(greet) = bounded(0, || Greet::decode(input)) {
        assert!(greet.token.len() <= 1024);
        assert_eq!(greet.agree(), Ok(1));
        greet.encode(&mut written);
        assert_eq!(written, input, "{greet:?}");
    }
    written.clear();
    if let Ok(welcome) = bounded(reply_bytes_max(input), || Welcome::decode(input)) {
        assert!(usize::from(welcome.shard) < welcome.shards.len());
        welcome.encode(&mut written);
        assert_eq!(written, input, "{welcome:?}");
    }
});
