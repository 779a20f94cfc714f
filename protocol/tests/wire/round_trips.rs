//! What is written is read back as the same value, and what was read is written as the same bytes.

use proptest::collection::vec;
use proptest::prelude::*;
use ringway_protocol::frame::{self, Header};
use ringway_protocol::reply::{self, PutOutcome, PutRun, RangeVerdict, Receipt};
use ringway_protocol::request::{
    BACK_OFF, encode_nack, encode_remove, encode_settle, encode_transfer,
};
use ringway_protocol::{
    Attribute, Code, GroupId, Kind, LeaseId, Level, QueueId, Reply, Request, Tags, Traits,
};

use crate::values::{self, further, only_frame};

/// What the attributes of a message say about how it is queued, read one by one.
fn traits_of<'a>(attributes: &[Attribute<'a>]) -> Traits<'a> {
    let mut traits = Traits::default();
    for attribute in attributes {
        match *attribute {
            Attribute::Key(key) => traits.key = Some(key),
            Attribute::DelayMs(delay) => traits.delay_ms = delay,
            Attribute::AtMs(time) => traits.at_ms = time,
            Attribute::TimeToLiveMs(time) => traits.ttl_ms = time,
            Attribute::Priority(band) => traits.priority = band,
            Attribute::DeduplicationId(id) => traits.deduplication = Some(id),
            Attribute::Header { .. } => {}
        }
    }
    traits
}

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
            prop_assert_eq!(settle.delay_ms, BACK_OFF);
        }
    }

    #[test]
    fn nacks_with_a_delay(
        lease in (values::queues(), values::leases()), ranges in values::ranges(), delay_ms: u32,
    ) {
        let mut out = Vec::new();
        encode_nack(lease, &ranges, delay_ms, (1, 2), &mut out);
        let Ok(Request::Nack(settle)) = Request::decode(only_frame(&out)) else {
            panic!("a written nack is one");
        };
        prop_assert_eq!((settle.queue, settle.lease), lease);
        prop_assert_eq!(settle.delay_ms, delay_ms);
    }

    #[test]
    fn transfers(
        lease in (values::queues(), values::leases()),
        ranges in values::ranges(),
        put in further::puts(),
    ) {
        let mut out = Vec::new();
        encode_transfer(lease, &ranges, &put, (1, 2), &mut out);
        let Ok(Request::Transfer(transfer)) = Request::decode(only_frame(&out)) else {
            panic!("a written transfer is one");
        };
        prop_assert_eq!((transfer.settle.queue, transfer.settle.lease), lease);
        prop_assert_eq!(transfer.settle.ranges.iter().collect::<Vec<_>>(), ranges);
        prop_assert_eq!(transfer.put, put);
    }

    #[test]
    fn removals(queue in values::queues(), sequences in vec(any::<u64>(), 1..1025)) {
        let mut out = Vec::new();
        encode_remove(queue, &sequences, (1, 2), &mut out);
        let Ok(Request::Remove { queue: read, sequences: named }) =
            Request::decode(only_frame(&out))
        else {
            panic!("a written removal is one");
        };
        prop_assert_eq!(read, queue);
        prop_assert_eq!(named.iter().collect::<Vec<_>>(), sequences);
    }

    #[test]
    fn receipts(runs in further::put_runs(), level in further::levels(), ids in values::ids()) {
        let bytes: Vec<_> = runs.iter().map(|run| run.to_bytes()).collect();
        let mut out = Vec::new();
        reply::receipt(&mut out, ids, &Receipt::of_runs(level, &bytes));
        let Ok(Reply::Put(receipt)) = Reply::decode(only_frame(&out)) else {
            panic!("a written receipt is one");
        };
        prop_assert_eq!(receipt.runs().collect::<Vec<_>>(), runs.clone());
        prop_assert_eq!(receipt.count, runs.iter().map(|run| run.count).sum::<u32>());
        prop_assert_eq!((receipt.level, receipt.first_sequence), (level, runs[0].first_sequence));
        let was_there = |run: &PutRun| run.outcome == PutOutcome::Duplicate;
        prop_assert_eq!(receipt.duplicate, runs.iter().all(was_there));
    }

    #[test]
    fn receipts_of_one_stretch(first: u64, count: u32, level in further::levels()) {
        let (mut short, mut long) = (Vec::new(), Vec::new());
        reply::put(&mut short, (1, 2), first, count, level);
        let receipt = Receipt::plain(first, count, level, false);
        reply::receipt(&mut long, (1, 2), &receipt);
        prop_assert_eq!(&short, &long, "the hot writer writes what the other one does");
        let whole = PutRun { first_sequence: first, count, outcome: PutOutcome::Stored };
        prop_assert_eq!(receipt.runs().collect::<Vec<_>>(), [whole]);
    }

    #[test]
    fn listings_of_groups((bytes, written) in further::listings_of_groups()) {
        let Ok(Reply::Groups(groups)) = Reply::decode(only_frame(&bytes)) else {
            panic!("a written listing is one");
        };
        prop_assert_eq!(groups.count() as usize, written.len());
        let read: Vec<_> = groups
            .iter()
            .map(|entry| (entry.group, entry.flags, entry.name, entry.figures().collect()))
            .collect();
        prop_assert_eq!(read, written);
    }

    #[test]
    fn pages_of_messages((bytes, next_cursor, written) in further::pages_of_messages()) {
        let Ok(Reply::Browsed(page)) = Reply::decode(only_frame(&bytes)) else {
            panic!("a written page is one");
        };
        prop_assert_eq!((page.next_cursor, page.count() as usize), (next_cursor, written.len()));
        let read: Vec<_> = page.iter().map(|entry| (entry.standing, entry)).collect();
        prop_assert_eq!(read, written);
    }

    #[test]
    fn pages_of_bindings((bytes, next_cursor, written) in further::pages_of_bindings()) {
        let Ok(Reply::Bindings(page)) = Reply::decode(only_frame(&bytes)) else {
            panic!("a written page is one");
        };
        prop_assert_eq!((page.next_cursor, page.count() as usize), (next_cursor, written.len()));
        prop_assert_eq!(page.iter().collect::<Vec<_>>(), written);
    }

    #[test]
    fn records((messages, records) in values::batches(values::attributes())) {
        prop_assert_eq!(records.count() as usize, messages.len());
        prop_assert_eq!(records.iter().count(), messages.len());
        let mut tags = Tags::NONE;
        for attribute in messages.iter().flat_map(|(attributes, _)| attributes) {
            tags = tags | Tags::of(attribute);
        }
        prop_assert_eq!(records.tags(), tags, "the one pass over the batch saw every attribute");
        let any_attribute = |wanted: fn(&ringway_protocol::Attribute<'_>) -> bool| {
            messages.iter().flat_map(|(attributes, _)| attributes).any(wanted)
        };
        for (record, (attributes, payload)) in records.iter().zip(&messages) {
            prop_assert_eq!(record.payload, payload.as_slice());
            prop_assert_eq!(&record.attributes().collect::<Vec<_>>(), attributes);
            prop_assert_eq!(record.traits(), traits_of(attributes));
            let headers = attributes.iter().filter_map(|attribute| match attribute {
                Attribute::Header { name, value } => Some((*name, *value)),
                _ => None,
            });
            prop_assert!(record.headers().eq(headers));
        }
        prop_assert_eq!(
            records.tags().meets(Tags::QUEUEING),
            any_attribute(|a| !matches!(a, ringway_protocol::Attribute::Header { .. })),
        );
    }

    #[test]
    fn deliveries((bytes, lease, runs, messages) in values::deliveries()) {
        let Ok(Reply::Delivery(delivery)) = Reply::decode(only_frame(&bytes)) else {
            panic!("a written delivery is one");
        };
        let stated = (delivery.lease, delivery.lease_ms, delivery.dropped);
        prop_assert_eq!(stated, lease);
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
        let (incarnation, index) = (incarnation as u16, slot as u16);
        let group = GroupId::new(incarnation, index);
        prop_assert_eq!((group.incarnation(), group.index()), (incarnation, usize::from(index)));
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
