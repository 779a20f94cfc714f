//! `docs/protocol.md` against the real encoder and decoder: no example, code, kind, limit or column
//! of the page can be missing, stale or unchecked.

mod documentation;
#[path = "documentation/further.rs"]
mod further;
#[path = "documentation/written.rs"]
mod written;

use std::collections::BTreeMap;

use documentation::{examples, routes, rows};
use ringway_protocol::frame::{self, Header, REPLY, Split};
use ringway_protocol::options::{self, BYTES_MAX_MIN, LEASE_MS_MAX, WAIT_MS_MAX};
use ringway_protocol::reply::{GROUP_COLUMNS, PutOutcome, QUEUE_COLUMNS, SHARD_COLUMNS, Verdict};
use ringway_protocol::request::{BACK_OFF, DEAD_LETTER, MessageState};
use ringway_protocol::{
    Attribute, Code, Kind, Level, Pattern, QueueOptions, Records, Reply, Request, limits, name,
};

/// What the page must show, by the name of its block, written by the real encoder.
fn expected() -> BTreeMap<&'static str, Vec<u8>> {
    let batch = written::batch();
    let records = Records::parse(&batch, 2).expect("two records");
    let first = [written::requests(records), written::replies(records)];
    first.into_iter().chain([further::requests(), further::replies()]).flatten().collect()
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
    for kind in Kind::ALL {
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
    let tables: [&[&str]; 3] = [&GROUP_COLUMNS, &QUEUE_COLUMNS, &SHARD_COLUMNS];
    let real = tables.into_iter().flat_map(|columns| columns.iter().enumerate());
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
        ("bytes unsettled of a subscription", limits::CREDIT_BYTES_MAX as usize),
    ];
    let counts = [
        ("messages of a take", u64::from(limits::TAKE_MESSAGES_MAX)),
        ("ranges of an ack or nack", u64::from(limits::RANGES_MAX)),
        ("messages named by an ack or nack", u64::from(limits::TAKE_MESSAGES_MAX)),
        ("entries of a page of a listing", u64::from(limits::LIST_ENTRIES_MAX)),
        ("shards of a plane", limits::SHARDS_MAX as u64),
        ("queues of a shard", limits::QUEUES_PER_SHARD_MAX as u64),
        (
            "messages of a batch with delays, times, priorities or deduplication ids",
            u64::from(limits::PUT_STRETCHES_MAX),
        ),
        ("tokens of a pattern", limits::PATTERN_TOKENS_MAX as u64),
        ("messages unsettled of a subscription", u64::from(limits::CREDIT_MESSAGES_MAX)),
        ("groups of a queue", u64::from(limits::GROUPS_PER_QUEUE_MAX)),
        ("messages of a page of a browse", u64::from(limits::BROWSE_MESSAGES_MAX)),
        ("sequences of a remove", u64::from(limits::REMOVE_SEQUENCES_MAX)),
        ("messages of a move", u64::from(limits::MOVE_MESSAGES_MAX)),
        ("messages of a window of deduplication", u64::from(options::DEDUP_MESSAGES_MAX)),
    ];
    let times = [
        ("lease", u64::from(LEASE_MS_MAX)),
        ("wait of a take", u64::from(WAIT_MS_MAX)),
        ("back-off", u64::from(options::BACKOFF_MS_MAX)),
        ("window of deduplication", u64::from(options::DEDUP_MS_MAX)),
        ("delay, time to live", limits::DURATION_MS_MAX),
        ("time of a message", limits::AT_MS_MAX),
    ];
    let bytes = bytes.map(|(what, value)| (what, written_number(value as u64) + " bytes"));
    let counts = counts.map(|(what, value)| (what, written_number(value)));
    let times = times.map(|(what, value)| (what, written_number(value) + " ms"));
    for (what, value) in bytes.into_iter().chain(counts).chain(times) {
        assert!(has_row(&[what, &value]), "the page has no row {what} = {value}");
    }
}

#[test]
fn each_option_stands_where_it_says_with_its_range_and_default() {
    let default = QueueOptions::default();
    let least = format!("at least {}", written_number(BYTES_MAX_MIN));
    let century = format!("0 to {} (100 years)", written_number(limits::DURATION_MS_MAX));
    let day = written_number(u64::from(options::BACKOFF_MS_MAX)) + " (24 h)";
    let (backoff, backoff_max) = (format!("0 to {day}"), format!("0, or `backoff_ms` to {day}"));
    let dedup = format!("0 to {} (7 days)", written_number(u64::from(options::DEDUP_MS_MAX)));
    let dedup_max = format!("0 to {}", written_number(u64::from(options::DEDUP_MESSAGES_MAX)));
    let spread = format!("0 to {}", limits::SHARDS_MAX);
    let rows_of: [(usize, &str, &str, u64); 20] = [
        (0, "messages_max", "at least 1", default.messages_max),
        (8, "bytes_max", &least, default.bytes_max),
        (16, "lease_ms", "1 to 43,200,000 (12 h)", u64::from(default.lease_ms)),
        (20, "wait_max_ms", "0 to 3,600,000 (1 h)", u64::from(default.wait_max_ms)),
        (24, "deliveries_max", "0 for no limit", u64::from(default.deliveries_max)),
        (28, "full_policy", "0 to 2", default.full_policy as u64),
        (29, "level", "0", default.level as u64),
        (30, "priority", "0 or 1", default.priority as u64),
        (31, "dead_letter_expired", "0 or 1", u64::from(default.dead_letter_expired)),
        (32, "ttl_ms", &century, default.ttl_ms),
        (40, "backoff_ms", &backoff, u64::from(default.backoff_ms)),
        (44, "backoff_max_ms", &backoff_max, u64::from(default.backoff_max_ms)),
        (48, "dedup_ms", &dedup, u64::from(default.dedup_ms)),
        (52, "dedup_max", &dedup_max, u64::from(default.dedup_max)),
        (56, "keep_ms", &century, default.keep_ms),
        (64, "keep_messages", "any", default.keep_messages),
        (72, "keep_bytes", "any", default.keep_bytes),
        (80, "idle_ms", &century, default.idle_ms),
        (88, "spread", &spread, u64::from(default.spread)),
        (90, "spread_order", "0 or 1", default.spread_order as u64),
    ];
    let mut block = Vec::new();
    default.encode(&mut block);
    for (index, (at, option, range, default)) in rows_of.iter().copied().enumerate() {
        let cells =
            [at.to_string(), format!("`{option}`"), range.to_owned(), written_number(default)];
        let found = rows().iter().any(|row| {
            row.len() > 5
                && [row[0], row[1], row[3], row[4]] == cells.each_ref().map(String::as_str)
        });
        assert!(found, "the page has no option {option} at {at} with {range} and {default}");
        // The place is the encoder's, too: up to the next option stands this one's default.
        let end = rows_of.get(index + 1).map_or(91, |next| next.0);
        let mut number = [0; 8];
        number[..end - at].copy_from_slice(&block[at..end]);
        assert_eq!(u64::from_le_bytes(number), default, "{option} at {at}");
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
        ("time", Attribute::AtMs(1)),
    ];
    for (name, attribute) in attributes {
        assert!(has_row(&[&attribute.tag().to_string(), name]), "no row for {name}");
    }
    for level in Level::ALL {
        let stated = format!("{} `{}`", level as u8, level.as_str());
        assert!(documentation::PAGE.replace('\n', " ").contains(&stated), "no level {stated}");
    }
    for verdict in [Verdict::Settled, Verdict::Stale, Verdict::Unknown] {
        let stated = format!("{} {}", verdict as u32, format!("{verdict:?}").to_lowercase());
        assert!(has_row(&[&stated]), "no verdict {stated}");
    }
    for state in MessageState::ALL {
        let stated = format!("{} {}", state as u8, state.as_str());
        assert!(has_row(&[&stated]), "no state {stated}");
    }
    for outcome in [PutOutcome::Stored, PutOutcome::Duplicate, PutOutcome::Scheduled] {
        let stated = format!("{} {}", outcome as u32, format!("{outcome:?}").to_lowercase());
        assert!(has_row(&[&stated]), "no outcome {stated}");
    }
    for delay in [BACK_OFF, DEAD_LETTER] {
        let stated = written_number(u64::from(delay));
        assert!(has_row(&[&stated]), "no delay {stated}");
    }
}

/// The table of patterns says what the matcher says.
#[test]
fn each_pattern_matches_what_the_page_says() {
    let names = |cell: &str| -> Vec<String> {
        let quoted = cell.split('`').skip(1).step_by(2);
        quoted.map(str::to_owned).collect()
    };
    let mut checked = 0;
    for row in rows() {
        let [pattern, matching, others] = row[..] else { continue };
        let (pattern, matching) = (names(pattern), names(matching));
        let Some(Ok(pattern)) = pattern.first().map(|pattern| Pattern::new(pattern)) else {
            continue;
        };
        if matching.is_empty() && !others.is_empty() {
            continue;
        }
        matching.iter().for_each(|name| assert!(pattern.matches(name), "{pattern}: {name}"));
        names(others).iter().for_each(|name| assert!(!pattern.matches(name), "{pattern}: {name}"));
        checked += matching.len();
    }
    assert!(checked >= 5, "the page shows patterns");
}
