//! Requests: decoding allocates nothing, and what is accepted is written as the same bytes.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ringway_fuzz::{bounded, bytes_of, one_frame};
use ringway_protocol::Request;
use ringway_protocol::request::{Put, Settle};

/// What a server may rely on without looking again.
fn within_limits(request: &Request<'_>) {
    let settles = |settle: &Settle<'_>| {
        let named: u64 = settle.ranges.iter().map(|range| u64::from(range.count)).sum();
        assert!((1..=4096).contains(&named) && settle.ranges.len() <= 2048);
    };
    match request {
        Request::Ack(settle) | Request::Nack(settle) => settles(settle),
        Request::Transfer(transfer) => {
            settles(&transfer.settle);
            assert_eq!(transfer.settle.delay_ms, 0);
        }
        Request::Put(Put { producer: Some(producer), records, .. }) => {
            assert!(producer.sequence.checked_add(u64::from(records.count())).is_some());
        }
        Request::Subscribe(subscribe) => {
            assert!((1..=65_536).contains(&subscribe.messages));
            assert!((1..=8 << 20).contains(&subscribe.credit_bytes()));
            assert!((1..=4096).contains(&subscribe.delivery_messages()));
        }
        Request::Credit(credit) => assert!(credit.messages <= 65_536 && credit.subscription.0 > 0),
        Request::Browse(browse) => assert!((1..=1024).contains(&browse.limit)),
        Request::Remove { sequences, .. } => {
            assert!((1..=1024).contains(&sequences.iter().len()));
        }
        Request::Move(wanted) => {
            assert!((1..=1024).contains(&wanted.limit) && wanted.to != Some(wanted.from));
        }
        Request::Bind(binding) | Request::Unbind(binding) => {
            let pattern = binding.pattern;
            assert!(!pattern.is_literal() || pattern.matches(pattern.as_str()));
        }
        Request::Declare { options: Some(options), .. } | Request::Alter { options, .. } => {
            assert_eq!(options.check(), Ok(()));
        }
        _ => {}
    }
}

fuzz_target!(|input: &[u8]| {
    let Some(frame) = one_frame(input) else { return };
    let Ok(request) = bounded(0, || Request::decode(frame)) else { return };
    let mut written = Vec::new();
    request.encode(frame.header.stream, frame.header.request, &mut written);
    assert_eq!(written, bytes_of(frame), "{request:?}");
    bounded(0, || within_limits(&request));
});
