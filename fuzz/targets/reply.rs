//! Replies: decoding allocates in proportion to what came, and what is accepted is written as the
//! same bytes.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ringway_fuzz::{bounded, bytes_of, one_frame, reply_bytes_max};
use ringway_protocol::frame::REPLY;
use ringway_protocol::{Kind, Reply};

fuzz_target!(|input: &[u8]| {
    let Some(frame) = one_frame(input) else { return };
    let allowed = reply_bytes_max(frame.body);
    let Ok(reply) = bounded(allowed, || Reply::decode(frame)) else { return };
    let kind = Kind::from_number(frame.header.kind & !REPLY).expect("its reply was accepted");
    let mut written = Vec::new();
    reply.encode(kind, (frame.header.stream, frame.header.request), &mut written);
    assert_eq!(written, bytes_of(frame), "{reply:?}");
    match reply {
        Reply::Figures(figures) => {
            assert!(figures.rows().flatten().count() * 8 <= frame.body.len());
        }
        Reply::Put(receipt) | Reply::Transferred(_, receipt) => {
            let counts = receipt.runs().map(|run| u64::from(run.count));
            assert_eq!(counts.sum::<u64>(), u64::from(receipt.count));
        }
        Reply::Groups(groups) => {
            let figures: usize = groups.iter().map(|entry| entry.figures().len()).sum();
            assert!(figures * 8 <= frame.body.len());
            assert_eq!(groups.iter().count(), groups.count() as usize);
        }
        Reply::Browsed(page) => assert_eq!(page.iter().count(), page.count() as usize),
        Reply::Bindings(page) => assert_eq!(page.iter().count(), page.count() as usize),
        _ => {}
    }
});
