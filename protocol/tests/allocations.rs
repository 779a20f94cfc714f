//! What decoding allocates is bounded by what was received, and the hot paths allocate nothing.

mod documentation;

use std::hint::black_box;

use allocation_counter::{AllocationInfo, measure};
use proptest::prelude::*;
use ringway_protocol::frame::{self, Frame, Header, REPLY, Split};
use ringway_protocol::greeting::Welcome;
use ringway_protocol::reply::{self, PutOutcome, PutRun, Receipt, Run, Settlement};
use ringway_protocol::request::{GroupFlags, Range, encode_settle, put_prefix};
use ringway_protocol::{
    Attribute, Code, GroupId, Kind, LeaseId, Level, QueueId, Reply, Request, limits, record,
};

/// Bytes that decoding a reply may allocate: entries of a listing and addresses of shards are kept
/// as values, which are larger than their bytes; growing them doubles what is kept.
fn reply_bytes_max(body: usize) -> u64 {
    8 * body as u64 + (16 << 10)
}

fn framed(kind: u8, body: &[u8]) -> Frame<'_> {
    let header = Header { length: body.len() as u32, kind, ..Header::decode(&[0; 16]) };
    Frame { header, body }
}

fn batch(messages: u32) -> Vec<u8> {
    let mut out = Vec::new();
    frame::write(&mut out, Header::request(Kind::Put, 0, 1), |out| {
        put_prefix(out, QueueId::new(1, 0, 0), messages);
        (0..messages).for_each(|_| record::write(out, &[], &[7; 100]));
    });
    out
}

#[test]
fn hot_requests_decode_without_allocating() {
    let ids = (QueueId::new(1, 0, 0), LeaseId::new(1, 0, 0));
    let mut stream = batch(256);
    for kind in [Kind::Ack, Kind::Nack] {
        let ranges = [Range { first: 0, count: 200 }, Range { first: 210, count: 46 }];
        encode_settle(kind, ids, &ranges, (0, 2), &mut stream);
    }
    let mut messages = 0;
    let info = measure(|| {
        let mut rest = stream.as_slice();
        while let Ok(Split::Frame(frame)) = frame::split(rest, limits::FRAME_BYTES_MAX) {
            messages += match Request::decode(frame).expect("a valid request") {
                Request::Put(put) => put.records.iter().count(),
                Request::Ack(settle) | Request::Nack(settle) => {
                    settle.ranges.iter().map(|range| range.count as usize).sum()
                }
                _ => 0,
            };
            rest = &rest[frame::HEADER_BYTES + frame.body.len()..];
        }
    });
    assert_eq!((messages, info), (256 + 246 + 246, AllocationInfo::default()));
}

#[test]
fn hot_replies_are_written_and_read_without_allocating() {
    let run = Run { first_sequence: 9, count: 1, deliveries: 1 };
    let mut out = Vec::with_capacity(4096);
    let info = measure(|| {
        reply::put(&mut out, (0, 1), 5, 256, Level::Memory);
        reply::settled(&mut out, Kind::Ack, (0, 2), Settlement::default(), &[]);
        frame::write(&mut out, Header::reply(Kind::Take, Code::Ok, 0, 3), |out| {
            reply::delivery_prefix(out, (LeaseId::new(1, 0, 1), 5), (1, 0), [run].into_iter());
            record::write(out, &[], b"payload");
        });
        let runs = [PutRun { first_sequence: 7, count: 3, outcome: PutOutcome::Scheduled }];
        let runs = runs.map(PutRun::to_bytes);
        reply::receipt(&mut out, (0, 4), &Receipt::of_runs(Level::Memory, &runs));
        reply::groups(&mut out, (0, 5), (1, 2), |out| {
            let flags = GroupFlags { paused: true, single_active: false };
            reply::group_entry(out, (GroupId::DEFAULT, flags), "default", &[1, 2]);
        });
        let mut rest = out.as_slice();
        while let Ok(Split::Frame(frame)) = frame::split(rest, limits::FRAME_BYTES_MAX) {
            assert!(Reply::decode(frame).is_ok());
            rest = &rest[frame::HEADER_BYTES + frame.body.len()..];
        }
        assert!(rest.is_empty());
    });
    assert_eq!(info, AllocationInfo::default());
}

/// What a keyed, deduplicated, prioritised queue asks of the wire for each message.
#[test]
fn what_decides_how_a_message_is_queued_is_read_without_allocating() {
    let attributes = [
        Attribute::Key(b"customer 17"),
        Attribute::TimeToLiveMs(5_000),
        Attribute::Priority(3),
        Attribute::DeduplicationId(b"order 4711"),
    ];
    let mut out = Vec::new();
    frame::write(&mut out, Header::request(Kind::Put, 0, 1), |out| {
        put_prefix(out, QueueId::new(1, 0, 0), 200);
        (0..100).for_each(|_| record::write(out, &attributes, &[7; 100]));
        (0..100).for_each(|_| record::write(out, &attributes[..1], &[7; 100]));
    });
    let Ok(Split::Frame(frame)) = frame::split(&out, limits::FRAME_BYTES_MAX) else {
        panic!("a whole frame");
    };
    let (mut keyed, mut urgent) = (0, 0);
    let info = measure(|| {
        let Ok(Request::Put(put)) = Request::decode(frame) else { panic!("a put") };
        for traits in put.records.iter().map(|record| record.traits()) {
            keyed += u32::from(traits.key == Some(b"customer 17"));
            urgent += u32::from(traits.priority == 3 && traits.ttl_ms == 5_000);
        }
    });
    assert_eq!((keyed, urgent, info), (200, 100, AllocationInfo::default()));
}

#[test]
fn counts_and_lengths_that_lie_allocate_nothing_for_what_is_not_there() {
    for (name, mut bytes) in documentation::examples() {
        let length = bytes.len() - frame::HEADER_BYTES;
        for at in 0..length.saturating_sub(3) {
            let before = bytes.clone();
            bytes[frame::HEADER_BYTES + at..][..4].copy_from_slice(&u32::MAX.to_le_bytes());
            let Ok(Split::Frame(frame)) = frame::split(&bytes, limits::FRAME_BYTES_MAX) else {
                panic!("{name} is a whole frame");
            };
            let info = measure(|| _ = black_box(Request::decode(frame)));
            assert_eq!(info, AllocationInfo::default(), "{name}, lie at {at}");
            let info = measure(|| _ = black_box(Reply::decode(frame)));
            assert!(info.bytes_total <= reply_bytes_max(length), "{name}, lie at {at}: {info:?}");
            bytes = before;
        }
    }
}

#[test]
fn a_frame_over_its_limit_is_refused_from_its_header_without_allocating() {
    let header = Header { length: u32::MAX, ..Header::request(Kind::Put, 0, 0) };
    let info = measure(|| {
        let bytes = header.encode();
        let refused = frame::split(&bytes, limits::FRAME_BYTES_MAX);
        assert_eq!(refused.map_err(|why| why.code), Err(Code::FrameTooLarge));
    });
    assert_eq!(info, AllocationInfo::default());
}

proptest! {
    #[test]
    fn no_request_allocates(
        kind in 0..36_u8,
        body in prop::collection::vec(prop_oneof![Just(0_u8), 0..9_u8, any::<u8>()], 0..300),
    ) {
        let info = measure(|| _ = black_box(Request::decode(framed(kind, &body))));
        prop_assert_eq!(info, AllocationInfo::default());
    }

    #[test]
    fn replies_allocate_in_proportion_to_what_came(
        kind in 0..36_u8,
        body in prop::collection::vec(prop_oneof![Just(0_u8), 0..9_u8, any::<u8>()], 0..3000),
    ) {
        let info = measure(|| {
            _ = black_box(Reply::decode(framed(kind | REPLY, &body)));
            _ = black_box(Welcome::decode(&body));
        });
        prop_assert!(info.bytes_total <= 2 * reply_bytes_max(body.len()), "{:?}", info);
    }
}
