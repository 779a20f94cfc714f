//! What is written is read back as the same value, and what was read is written as the same bytes.

use proptest::prelude::*;
use ringway_protocol::frame::{self, Header};
use ringway_protocol::reply::{self, RangeVerdict};
use ringway_protocol::request::encode_settle;
use ringway_protocol::{Code, Kind, LeaseId, Level, QueueId, Reply, Request, Tags};

use crate::values::{self, only_frame};

proptest! {
    #[test]
    fn headers(length: u32, kind: u8, flags: u8, code: u16, stream: u32, request: u32) {
        let header = Header { length, kind, flags, code, stream, request };
        prop_assert_eq!(Header::decode(&header.encode()), header);
    }

    #[test]
    fn requests(request in values::requests(), (stream, id) in values::ids()) {
        let mut out = vec![0xaa; 3];
        request.encode(stream, id, &mut out);
        prop_assert_eq!(&out[..3], [0xaa; 3], "what was there before stays");
        let frame = only_frame(&out[3..]);
        prop_assert_eq!(Request::decode(frame), Ok(request));
        prop_assert_eq!((frame.header.stream, frame.header.request), (stream, id));
        prop_assert_eq!(frame.header.kind, request.kind() as u8);
    }

    #[test]
    fn replies(bytes in values::reply_frames()) {
        let frame = only_frame(&bytes);
        let reply = Reply::decode(frame).expect("a written reply is valid");
        let kind = Kind::from_number(frame.header.kind & !frame::REPLY).expect("a known kind");
        let mut again = Vec::new();
        reply.encode(kind, (frame.header.stream, frame.header.request), &mut again);
        prop_assert_eq!(again, bytes);
    }

    #[test]
    fn acknowledgements(
        queue in values::queues(), lease in values::leases(), ranges in values::ranges(),
    ) {
        for kind in [Kind::Ack, Kind::Nack] {
            let mut out = Vec::new();
            encode_settle(kind, (queue, lease), &ranges, (1, 2), &mut out);
            let settle = match Request::decode(only_frame(&out)) {
                Ok(Request::Ack(settle)) if kind == Kind::Ack => settle,
                Ok(Request::Nack(settle)) if kind == Kind::Nack => settle,
                other => panic!("{other:?}"),
            };
            prop_assert_eq!((settle.queue, settle.lease), (queue, lease));
            prop_assert_eq!(settle.ranges.len(), ranges.len());
            prop_assert_eq!(settle.ranges.iter().collect::<Vec<_>>(), ranges.clone());
        }
    }

    #[test]
    fn records((messages, records) in values::batches(values::attributes())) {
        prop_assert_eq!(records.count() as usize, messages.len());
        prop_assert_eq!(records.iter().count(), messages.len());
        let any_attribute = |wanted: fn(&ringway_protocol::Attribute<'_>) -> bool| {
            messages.iter().flat_map(|(attributes, _)| attributes).any(wanted)
        };
        for (record, (attributes, payload)) in records.iter().zip(&messages) {
            prop_assert_eq!(record.payload, payload.as_slice());
            prop_assert_eq!(&record.attributes().collect::<Vec<_>>(), attributes);
        }
        prop_assert_eq!(
            records.tags().meets(Tags::QUEUEING),
            any_attribute(|a| !matches!(a, ringway_protocol::Attribute::Header { .. })),
        );
    }

    #[test]
    fn deliveries((bytes, (lease, lease_ms), runs, messages) in values::deliveries()) {
        let Ok(Reply::Delivery(delivery)) = Reply::decode(only_frame(&bytes)) else {
            panic!("a written delivery is one");
        };
        prop_assert_eq!((delivery.lease, delivery.lease_ms), (lease, lease_ms));
        prop_assert_eq!(delivery.runs().collect::<Vec<_>>(), runs);
        prop_assert_eq!(delivery.count() as usize, messages.len());
        let payloads = delivery.records.iter().flat_map(|records| records.iter());
        for (record, (_, payload)) in payloads.zip(&messages) {
            prop_assert_eq!(record.payload, payload.as_slice());
        }
    }

    #[test]
    fn settlements((counts, verdicts) in values::settlements(), ids in values::ids()) {
        let mut out = Vec::new();
        reply::settled(&mut out, Kind::Nack, ids, counts, &verdicts);
        let Ok(Reply::Settled(read, read_verdicts)) = Reply::decode(only_frame(&out)) else {
            panic!("a written settlement is one");
        };
        prop_assert_eq!(read, counts);
        let read_verdicts: Vec<RangeVerdict> = read_verdicts.iter().collect();
        prop_assert_eq!(read_verdicts, verdicts);
    }

    #[test]
    fn figures((columns, rows) in values::tables()) {
        let mut out = Vec::new();
        frame::write(&mut out, Header::reply(Kind::Stat, Code::Ok, 0, 0), |out| {
            reply::figures(out, columns, rows.clone().into_iter());
        });
        let Ok(Reply::Figures(figures)) = Reply::decode(only_frame(&out)) else {
            panic!("a written table is one");
        };
        prop_assert_eq!(figures.rows().collect::<Vec<_>>(), rows);
    }

    #[test]
    fn identities(incarnation in 1..=u32::MAX, shard: u8, slot in 0..1_u32 << 24) {
        let queue = QueueId::new(incarnation, shard, slot);
        prop_assert_eq!(queue.incarnation(), incarnation);
        prop_assert_eq!((queue.shard(), queue.slot()), (usize::from(shard), slot as usize));
        let lease = LeaseId::new(incarnation, shard, slot);
        prop_assert_eq!((lease.generation(), lease.slot()), (incarnation, slot));
        prop_assert_eq!(lease.shard(), usize::from(shard));
    }
}

/// The writers of the hot replies reserve nothing beyond the frame: what they need is known.
#[test]
fn hot_replies_fit_the_room_that_they_announce() {
    let mut out = Vec::with_capacity(64);
    let start = out.as_ptr();
    reply::put(&mut out, (1, 2), 3, 4, Level::Memory);
    reply::settled(&mut out, Kind::Ack, (1, 2), Default::default(), &[]);
    assert_eq!((out.len(), out.capacity(), out.as_ptr()), (64, 64, start));
}
