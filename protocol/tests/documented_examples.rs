//! `docs/protocol.md` against the real encoder and decoder: no example, code, kind, limit or column
//! of the page can be missing, stale or unchecked.

mod documentation;

use std::collections::BTreeMap;

use documentation::{examples, routes, rows};
use ringway_protocol::frame::{self, Header, REPLY, Split};
use ringway_protocol::greeting::{Greet, Welcome};
use ringway_protocol::options::{BYTES_MAX_MIN, LEASE_MS_MAX, WAIT_MS_MAX};
use ringway_protocol::reply::{
    ListEntry, QUEUE_COLUMNS, RangeVerdict, Run, SHARD_COLUMNS, Settlement, Verdict,
};
use ringway_protocol::request::{Put, Range, Take, encode_settle};
use ringway_protocol::{
    Attribute, Code, FullPolicy, GroupId, Kind, LeaseId, Level, QueueId, QueueOptions, Records,
    Rejection, Reply, Request, limits, name, record, reply,
};

const NAME: &str = "emails";

fn queue() -> QueueId {
    QueueId::new(1, 1, 2)
}

fn lease() -> LeaseId {
    LeaseId::new(1, 0, 5)
}

fn batch() -> Vec<u8> {
    let mut out = Vec::new();
    record::write(&mut out, &[], b"hello");
    record::write(&mut out, &[Attribute::Header { name: "type", value: b"new" }], b"ok");
    out
}

/// What the page must show, by the name of its block, written by the real encoder.
fn expected() -> BTreeMap<&'static str, Vec<u8>> {
    let batch = batch();
    let records = Records::parse(&batch, 2).expect("two records");
    let mut blocks = requests(records);
    blocks.extend(replies(records));
    blocks.into_iter().collect()
}

fn requests(records: Records<'_>) -> Vec<(&'static str, Vec<u8>)> {
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
    let request = |request: Request<'_>, stream, id| {
        let mut out = Vec::new();
        request.encode(stream, id, &mut out);
        out
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
        ("stat-request", request(Request::Stat { queue: Some(queue) }, 0, 12)),
        ("list-request", request(Request::List { cursor: 0, limit: 100, prefix: "em" }, 0, 13)),
        ("purge-request", request(Request::Purge { queue }, 0, 14)),
        ("delete-request", request(Request::Delete { queue }, 0, 15)),
        ("ping-request", request(Request::Ping, 0, 16)),
        ("echo-request", request(Request::Echo(b"abc"), 3, 17)),
    ]
}

fn replies(records: Records<'_>) -> Vec<(&'static str, Vec<u8>)> {
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
    let written = |append: &dyn Fn(&mut Vec<u8>)| {
        let mut out = Vec::new();
        append(&mut out);
        out
    };
    let framed = |kind, id, body: &dyn Fn(&mut Vec<u8>)| {
        written(&|out| frame::write(out, Header::reply(kind, Code::Ok, 0, id), body))
    };
    let run = Run { first_sequence: 0, count: 2, deliveries: 1 };
    let entry = ListEntry { queue, ready: 0, leased: 2, name: NAME };
    let figures = [0, 2, 1 << 14, 34, 2, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0];
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
        ("declare-reply", written(&|out| reply::declared(out, (0, 1), queue, true))),
        ("open-reply", written(&|out| reply::number(out, Kind::Open, (0, 3), queue.0))),
        ("put-reply", written(&|out| reply::put(out, (0, 7), 0, 2, Level::Memory))),
        ("take-reply", delivery),
        ("take-empty-reply", nothing),
        ("ack-reply", written(&|out| reply::settled(out, Kind::Ack, (0, 10), all, &[]))),
        ("nack-reply", written(&|out| reply::settled(out, Kind::Nack, (0, 11), none, &verdicts))),
        (
            "stat-reply",
            framed(Kind::Stat, 12, &|out| {
                reply::figures(out, figures.len(), [figures.to_vec()].into_iter());
            }),
        ),
        ("list-reply", written(&|out| reply::page(out, (0, 13), 0, [entry].into_iter()))),
        ("purge-reply", written(&|out| reply::number(out, Kind::Purge, (0, 14), 3))),
        ("delete-reply", written(&|out| reply::number(out, Kind::Delete, (0, 15), 2))),
        ("ping-reply", framed(Kind::Ping, 16, &|_| {})),
        ("echo-reply", written(&|out| Reply::Echo(b"abc").encode(Kind::Echo, (3, 17), out))),
        ("refusal-reply", written(&|out| reply::refused(out, Kind::Put, (0, 18), no_queue))),
        ("goodbye", written(&|out| reply::refused(out, Kind::Goodbye, (0, 0), too_large))),
    ]
}

#[test]
fn each_example_is_what_the_encoder_writes() {
    let expected = expected();
    let documented = examples();
    for (name, bytes) in &documented {
        let real = expected.get(name).unwrap_or_else(|| panic!("{name} is not checked"));
        assert_eq!(bytes, real, "the example {name} is stale");
    }
    let names: Vec<_> = documented.iter().map(|(name, _)| *name).collect();
    for name in expected.keys() {
        let times = names.iter().filter(|other| *other == name).count();
        assert_eq!(times, 1, "{name} must be documented once");
    }
}

#[test]
fn each_example_is_what_the_decoder_reads() {
    for (name, bytes) in examples() {
        let Ok(Split::Frame(frame)) = frame::split(&bytes, limits::FRAME_BYTES_MAX) else {
            panic!("{name} is not a whole frame");
        };
        let Header { kind, stream, request: id, .. } = frame.header;
        let mut again = Vec::new();
        if name.ends_with("-request") {
            Request::decode(frame).expect(name).encode(stream, id, &mut again);
        } else {
            let kind = Kind::from_number(kind & !REPLY).expect(name);
            Reply::decode(frame).expect(name).encode(kind, (stream, id), &mut again);
        }
        assert_eq!(again, bytes, "{name}");
    }
}

/// Whether a table of the page has a row that starts with these cells.
fn has_row(cells: &[&str]) -> bool {
    rows().iter().any(|row| row.starts_with(cells))
}

#[test]
fn each_kind_has_its_row_and_its_examples() {
    let names: Vec<&str> = examples().into_iter().map(|(name, _)| name).collect();
    for kind in Kind::ALL.into_iter().take(14) {
        let (number, name) = (kind as u8, format!("{kind:?}"));
        let hexadecimal = format!("{number:#04x}");
        let request = if kind == Kind::Goodbye { "never" } else { &hexadecimal };
        assert!(has_row(&[&number.to_string(), &name, request]), "no row for {name}");
        let lower = name.to_lowercase();
        let wanted = match kind {
            Kind::Goodbye => vec![lower],
            _ => vec![format!("{lower}-request"), format!("{lower}-reply")],
        };
        for example in wanted {
            assert!(names.contains(&example.as_str()), "no example {example}");
        }
    }
}

#[test]
fn the_codes_are_those_of_the_page() {
    let numbered = |row: &Vec<&str>| row[0].parse::<u16>().is_ok();
    let documented = rows()
        .into_iter()
        .filter(|row| numbered(row) && row.len() == 4 && ["yes", "no"].contains(&row[2]));
    let real = Code::ALL.iter().map(|code| {
        let ends = if code.closes() { "yes" } else { "no" };
        let cells = [(*code as u16).to_string(), format!("{code:?}"), ends.to_owned()];
        [cells.as_slice(), &[code.remedy().to_owned()]].concat()
    });
    assert_eq!(documented.collect::<Vec<_>>(), real.collect::<Vec<_>>());
}

#[test]
fn the_columns_are_those_of_the_page() {
    let column = |row: &Vec<&str>| {
        let is_column = row[0].parse::<u16>().is_ok() && row.len() == 3 && row[1].starts_with('`');
        is_column.then(|| (row[0].to_owned(), row[1].trim_matches('`').to_owned()))
    };
    let documented: Vec<_> = rows().iter().filter_map(column).collect();
    let numbered = |(index, column): (usize, &&str)| (index.to_string(), (*column).to_owned());
    let real = QUEUE_COLUMNS.iter().enumerate().chain(SHARD_COLUMNS.iter().enumerate());
    assert_eq!(documented, real.map(numbered).collect::<Vec<_>>());
}

/// A number with commas, as the page writes it.
fn written_number(number: u64) -> String {
    let digits = number.to_string();
    let groups = digits.as_bytes().rchunks(3).rev();
    groups.map(|group| std::str::from_utf8(group).expect("digits")).collect::<Vec<_>>().join(",")
}

#[test]
fn each_limit_and_default_is_the_real_one() {
    let bytes = [
        ("body of a frame", limits::FRAME_BYTES_MAX),
        ("body of a frame before the greeting", limits::GREETING_BYTES_MAX),
        ("token", limits::TOKEN_BYTES_MAX),
        ("payload of a message", limits::PAYLOAD_BYTES_MAX),
        ("attributes of a message", limits::ATTRIBUTES_BYTES_MAX),
        ("value of one attribute", limits::ATTRIBUTE_VALUE_BYTES_MAX),
        ("name of a queue", limits::NAME_BYTES_MAX),
    ];
    let counts = [
        ("messages of a take", u64::from(limits::TAKE_MESSAGES_MAX)),
        ("ranges of an ack or nack", u64::from(limits::RANGES_MAX)),
        ("messages named by an ack or nack", u64::from(limits::TAKE_MESSAGES_MAX)),
        ("entries of a page of a listing", u64::from(limits::LIST_ENTRIES_MAX)),
        ("shards of a plane", limits::SHARDS_MAX as u64),
        ("queues of a shard", limits::QUEUES_PER_SHARD_MAX as u64),
    ];
    let times = [("lease", LEASE_MS_MAX), ("wait of a take", WAIT_MS_MAX)];
    let bytes = bytes.map(|(what, value)| (what, written_number(value as u64) + " bytes"));
    let counts = counts.map(|(what, value)| (what, written_number(value)));
    let times = times.map(|(what, value)| (what, written_number(u64::from(value)) + " ms"));
    for (what, value) in bytes.into_iter().chain(counts).chain(times) {
        assert!(has_row(&[what, &value]), "the page has no row {what} = {value}");
    }
    let default = QueueOptions::default();
    let least = format!("at least {}", written_number(BYTES_MAX_MIN));
    let options: [(&str, &str, u64); 5] = [
        ("messages_max", "at least 1", default.messages_max),
        ("bytes_max", &least, default.bytes_max),
        ("lease_ms", "1 to 43,200,000 (12 h)", u64::from(default.lease_ms)),
        ("wait_max_ms", "0 to 3,600,000 (1 h)", u64::from(default.wait_max_ms)),
        ("deliveries_max", "0 for no limit", u64::from(default.deliveries_max)),
    ];
    for (option, range, default) in options {
        let (option, default) = (format!("`{option}`"), written_number(default));
        let found = rows()
            .iter()
            .any(|row| row.len() > 4 && row[1] == option && row[3..5] == [range, &default]);
        assert!(found, "the page has no option {option} with {range} and {default}");
    }
}

#[test]
fn each_route_is_the_real_one() {
    let routes = routes();
    assert!(routes.len() >= 5, "examples with and without a dead-letter suffix");
    for words in routes {
        let [queue, hash, folded, shards @ ..] = words.as_slice() else {
            panic!("a name, two hashes and shards: {words:?}");
        };
        let number = |digits| u64::from_str_radix(digits, 16).expect("a hash");
        let (hash, folded) = (number(hash), number(folded));
        assert_eq!(hash ^ hash >> 32, folded, "{queue}");
        for example in shards {
            let (count, shard) = example.split_once(':').expect("shards:shard");
            let (count, shard): (usize, usize) = (count.parse().unwrap(), shard.parse().unwrap());
            assert_eq!(name::shard_of(queue, count), shard, "{queue} of {count}");
            assert_eq!((folded % count as u64) as usize, shard, "{queue} of {count}");
        }
    }
}

#[test]
fn each_attribute_level_and_verdict_is_documented() {
    let attributes = [
        ("key", Attribute::Key(b"k")),
        ("delay", Attribute::DelayMs(1)),
        ("time to live", Attribute::TimeToLiveMs(1)),
        ("priority", Attribute::Priority(1)),
        ("deduplication id", Attribute::DeduplicationId(b"d")),
        ("header", Attribute::Header { name: "n", value: b"v" }),
    ];
    for (name, attribute) in attributes {
        assert!(has_row(&[&attribute.tag().to_string(), name]), "no row for {name}");
        let mut batch = Vec::new();
        record::write(&mut batch, &[attribute], b"");
        let records = Records::parse(&batch, 1).expect("one record");
        let request = Request::Put(Put::new(queue(), records));
        let mut out = Vec::new();
        request.encode(0, 0, &mut out);
        let Ok(Split::Frame(frame)) = frame::split(&out, limits::FRAME_BYTES_MAX) else {
            panic!("a whole frame");
        };
        let works = Request::decode(frame).is_ok();
        let row = rows().into_iter().find(|row| row.get(1) == Some(&name)).expect("was found");
        assert_eq!(row[3], if works { "carried" } else { "`Unsupported`" }, "{name}");
    }
    for level in Level::ALL {
        let stated = format!("{} `{}`", level as u8, level.as_str());
        assert!(documentation::PAGE.replace('\n', " ").contains(&stated), "no level {stated}");
    }
    for verdict in [Verdict::Settled, Verdict::Stale, Verdict::Unknown] {
        let stated = format!("{} {}", verdict as u32, format!("{verdict:?}").to_lowercase());
        assert!(has_row(&[&stated]), "no verdict {stated}");
    }
}
