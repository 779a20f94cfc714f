//! What the examples of `docs/protocol.md` must show, written by the real encoder: the requests and
//! replies up to echo. The later kinds are in `further`.

use ringway_protocol::frame::{self, Header};
use ringway_protocol::greeting::{Greet, Welcome};
use ringway_protocol::reply::{ListEntry, QUEUE_COLUMNS, RangeVerdict, Run, Settlement, Verdict};
use ringway_protocol::request::{Put, Range, Take, encode_nack, encode_settle};
use ringway_protocol::{
    Attribute, Code, FullPolicy, GroupId, Kind, LeaseId, Level, QueueId, QueueOptions, Records,
    Rejection, Reply, Request, limits, record, reply,
};

/// Examples by the names of their blocks.
pub type Blocks = Vec<(&'static str, Vec<u8>)>;

pub const NAME: &str = "emails";

pub fn queue() -> QueueId {
    QueueId::new(1, 1, 2)
}

pub fn lease() -> LeaseId {
    LeaseId::new(1, 1, 5)
}

pub fn batch() -> Vec<u8> {
    let mut out = Vec::new();
    record::write(&mut out, &[], b"hello");
    record::write(&mut out, &[Attribute::Header { name: "type", value: b"new" }], b"ok");
    out
}

/// What `append` appends.
pub fn written(append: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    append(&mut out);
    out
}

/// The frame of a request.
pub fn request(request: Request<'_>, stream: u32, id: u32) -> Vec<u8> {
    written(|out| request.encode(stream, id, out))
}

pub fn requests(records: Records<'_>) -> Blocks {
    let queue = queue();
    let events = QueueOptions {
        messages_max: 1_000_000,
        bytes_max: 256 << 20,
        deliveries_max: 5,
        full_policy: FullPolicy::DropOldest,
        ..QueueOptions::default()
    };
    let take = Take {
        queue,
        messages_max: 10,
        bytes_max: 0,
        wait_ms: 5000,
        lease_ms: 0,
        group: GroupId::DEFAULT,
        acknowledged: false,
    };
    let settle = |kind, ranges: &[(u32, u32)], id| {
        let range = |(first, count): &(u32, u32)| Range { first: *first, count: *count };
        let ranges: Vec<Range> = ranges.iter().map(range).collect();
        let mut out = Vec::new();
        encode_settle(kind, (queue, lease()), &ranges, (0, id), &mut out);
        out
    };
    let options = Some(events);
    vec![
        ("greet-request", request(Request::Greet(Greet::new(b"secret")), 0, 0)),
        ("declare-request", request(Request::Declare { name: NAME, options: None }, 0, 1)),
        (
            "declare-with-options-request",
            request(Request::Declare { name: "events", options }, 0, 2),
        ),
        ("open-request", request(Request::Open { name: NAME }, 0, 3)),
        ("put-request", request(Request::Put(Put::new(queue, records)), 0, 7)),
        ("take-request", request(Request::Take(take), 0, 8)),
        ("ack-request", settle(Kind::Ack, &[(0, 2)], 10)),
        ("nack-request", settle(Kind::Nack, &[(1, 1), (7, 2)], 11)),
        (
            "nack-later-request",
            written(|out| {
                encode_nack((queue, lease()), &[Range { first: 0, count: 1 }], 5000, (0, 28), out);
            }),
        ),
        ("stat-request", request(Request::Stat { queue: Some(queue) }, 0, 12)),
        ("list-request", request(Request::List { cursor: 0, limit: 100, prefix: "em" }, 0, 13)),
        ("purge-request", request(Request::Purge { queue }, 0, 14)),
        ("delete-request", request(Request::Delete { queue }, 0, 15)),
        ("ping-request", request(Request::Ping, 0, 16)),
        ("echo-request", request(Request::Echo(b"abc"), 3, 17)),
    ]
}

pub fn replies(records: Records<'_>) -> Blocks {
    let queue = queue();
    let welcome = Welcome {
        version: 1,
        shard: 1,
        frame_bytes_max: limits::FRAME_BYTES_MAX as u32,
        payload_bytes_max: limits::PAYLOAD_BYTES_MAX as u32,
        take_messages_max: limits::TAKE_MESSAGES_MAX,
        requests_in_flight_max: 1024,
        wait_bytes_max: 8 << 20,
        heartbeat_ms: 15_000,
        shards: vec!["127.0.0.1:7312".to_owned(), "127.0.0.1:7313".to_owned()],
    };
    let framed = |kind, id, body: &dyn Fn(&mut Vec<u8>)| {
        written(|out| frame::write(out, Header::reply(kind, Code::Ok, 0, id), body))
    };
    let run = Run { first_sequence: 0, count: 2, deliveries: 1 };
    let entry = ListEntry { queue, ready: 0, leased: 2, name: NAME };
    let known = [
        ("leased", 2),
        ("held_bytes", 1 << 14),
        ("live_bytes", 34),
        ("puts", 2),
        ("takes", 2),
        ("groups", 1),
        ("oldest_age_ms", 1500),
        ("puts_per_second", 2),
        ("messages", 2),
    ];
    let figures = QUEUE_COLUMNS
        .map(|column| known.iter().find(|(name, _)| *name == column).map_or(0, |known| known.1));
    let all = Settlement { settled: 2, ..Settlement::default() };
    let none = Settlement { settled: 0, stale: 1, unknown: 2 };
    let verdicts = [
        RangeVerdict { first: 1, count: 1, verdict: Verdict::Stale },
        RangeVerdict { first: 7, count: 2, verdict: Verdict::Unknown },
    ];
    let no_queue = Rejection::new(Code::NoSuchQueue, "no queue of this shard has that name or id");
    let too_large = Rejection::new(Code::FrameTooLarge, "the frame is longer than allowed");
    let delivery = framed(Kind::Take, 8, &|out| {
        reply::delivery_prefix(out, (lease(), 30_000), (2, 0), [run].into_iter());
        out.extend_from_slice(records.as_bytes());
    });
    let nothing = framed(Kind::Take, 9, &|out| {
        reply::delivery_prefix(out, (LeaseId::NONE, 0), (0, 0), [].into_iter());
    });
    vec![
        ("greet-reply", framed(Kind::Greet, 0, &|out| welcome.encode(out))),
        ("declare-reply", written(|out| reply::declared(out, (0, 1), queue, true))),
        ("open-reply", written(|out| reply::number(out, Kind::Open, (0, 3), queue.0))),
        ("put-reply", written(|out| reply::put(out, (0, 7), 0, 2, Level::Memory))),
        ("take-reply", delivery),
        ("take-empty-reply", nothing),
        ("ack-reply", written(|out| reply::settled(out, Kind::Ack, (0, 10), all, &[]))),
        ("nack-reply", written(|out| reply::settled(out, Kind::Nack, (0, 11), none, &verdicts))),
        (
            "stat-reply",
            framed(Kind::Stat, 12, &|out| {
                reply::figures(out, figures.len(), [figures.to_vec()].into_iter());
            }),
        ),
        ("list-reply", written(|out| reply::page(out, (0, 13), 0, [entry].into_iter()))),
        ("purge-reply", written(|out| reply::number(out, Kind::Purge, (0, 14), 3))),
        ("delete-reply", written(|out| reply::number(out, Kind::Delete, (0, 15), 2))),
        ("ping-reply", framed(Kind::Ping, 16, &|_| {})),
        ("echo-reply", written(|out| Reply::Echo(b"abc").encode(Kind::Echo, (3, 17), out))),
        ("refusal-reply", written(|out| reply::refused(out, Kind::Put, (0, 18), no_queue))),
        ("goodbye", written(|out| reply::refused(out, Kind::Goodbye, (0, 0), too_large))),
    ]
}
