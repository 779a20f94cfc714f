//! Random valid values. What they borrow is leaked: a test's process is short.

pub mod further;

use proptest::collection::vec;
use proptest::prelude::*;
use ringway_protocol::frame::{self, Frame, HEADER_BYTES, Header, Split};
use ringway_protocol::greeting::{Greet, Welcome};
use ringway_protocol::reply::{self, ListEntry, RangeVerdict, Run, Settlement, Verdict};
use ringway_protocol::request::{Range, Take, encode_nack, encode_settle};
use ringway_protocol::{
    Attribute, Code, FullPolicy, Kind, LeaseId, PriorityOrder, QueueId, QueueOptions, Records,
    Reply, Request, SpreadOrder, limits, record,
};

/// A stream and a request, as replies carry them back.
pub fn ids() -> impl Strategy<Value = (u32, u32)> {
    any::<(u32, u32)>()
}

pub fn queues() -> impl Strategy<Value = QueueId> {
    (1..=u32::MAX, any::<u8>(), 0..1_u32 << 24)
        .prop_map(|(incarnation, shard, slot)| QueueId::new(incarnation, shard, slot))
}

pub fn leases() -> impl Strategy<Value = LeaseId> {
    (1..=u32::MAX, any::<u8>(), 0..1_u32 << 24)
        .prop_map(|(generation, shard, slot)| LeaseId::new(generation, shard, slot))
}

pub fn names() -> impl Strategy<Value = &'static str> {
    "[a-zA-Z0-9._/-]{1,255}".prop_map(|name| &*name.leak())
}

fn bytes(length: std::ops::Range<usize>) -> impl Strategy<Value = &'static [u8]> {
    vec(any::<u8>(), length).prop_map(|bytes| &*bytes.leak())
}

pub fn headers() -> impl Strategy<Value = Attribute<'static>> {
    ("\\PC{1,60}", bytes(0..200))
        .prop_map(|(name, value)| Attribute::Header { name: name.leak(), value })
}

/// Attributes of a message: each at most once, headers as often as they like.
pub fn attributes() -> impl Strategy<Value = Vec<Attribute<'static>>> {
    let later = prop_oneof![
        (0..=limits::DURATION_MS_MAX).prop_map(Attribute::DelayMs),
        (0..=limits::AT_MS_MAX).prop_map(Attribute::AtMs),
    ];
    let alone = (
        prop::option::of(bytes(1..1025).prop_map(Attribute::Key)),
        prop::option::of(later),
        prop::option::of((0..=limits::DURATION_MS_MAX).prop_map(Attribute::TimeToLiveMs)),
        prop::option::of((0..8_u8).prop_map(Attribute::Priority)),
        prop::option::of(bytes(1..1025).prop_map(Attribute::DeduplicationId)),
    );
    (alone, vec(headers(), 0..4)).prop_map(|((key, delay, time, priority, id), headers)| {
        [key, delay, time, priority, id].into_iter().flatten().chain(headers).collect()
    })
}

/// A lease, its milliseconds, and the messages dropped, as a delivery states them.
pub type LeaseStated = (LeaseId, u32, u32);
/// Attributes and payload of a message.
pub type Message = (Vec<Attribute<'static>>, Vec<u8>);

/// Batches as they are written and as they are read.
pub fn batches(
    attributes: impl Strategy<Value = Vec<Attribute<'static>>>,
) -> impl Strategy<Value = (Vec<Message>, Records<'static>)> {
    vec((attributes, vec(any::<u8>(), 0..300)), 1..20).prop_map(|messages| {
        let mut out = Vec::new();
        for (attributes, payload) in &messages {
            record::write(&mut out, attributes, payload);
        }
        let count = messages.len() as u32;
        let records = Records::parse(out.leak(), count).expect("a written batch is valid");
        (messages, records)
    })
}

/// What else a queue can be told beside its bounds.
fn further_options() -> impl Strategy<Value = QueueOptions> {
    use ringway_protocol::options::{BACKOFF_MS_MAX, DEDUP_MESSAGES_MAX, DEDUP_MS_MAX};
    let order = prop_oneof![Just(PriorityOrder::Strict), Just(PriorityOrder::Weighted)];
    let spread_order = prop_oneof![Just(SpreadOrder::Relaxed), Just(SpreadOrder::PerKey)];
    let time = || prop_oneof![Just(0), 0..=limits::DURATION_MS_MAX];
    let backoff = (0..=BACKOFF_MS_MAX, 0..=BACKOFF_MS_MAX, any::<bool>()).prop_map(
        |(least, most, doubles)| {
            if doubles && least > 0 { (least, most.max(least)) } else { (least, 0) }
        },
    );
    let dedup = (0..=DEDUP_MS_MAX, 0..=DEDUP_MESSAGES_MAX)
        .prop_map(|(ms, most)| (ms, if ms == 0 { 0 } else { most }));
    let keep = (time(), any::<u64>(), any::<u64>());
    (order, any::<bool>(), (time(), time()), backoff, dedup, keep, (0..=256_u16, spread_order))
        .prop_map(|(priority, expired, (ttl_ms, idle_ms), backoff, dedup, keep, spread)| {
            QueueOptions {
                priority,
                dead_letter_expired: expired,
                ttl_ms,
                backoff_ms: backoff.0,
                backoff_max_ms: backoff.1,
                dedup_ms: dedup.0,
                dedup_max: dedup.1,
                keep_ms: keep.0,
                keep_messages: keep.1,
                keep_bytes: keep.2,
                idle_ms,
                spread: spread.0,
                spread_order: spread.1,
                ..QueueOptions::default()
            }
        })
}

pub fn options() -> impl Strategy<Value = QueueOptions> {
    let policies = vec![FullPolicy::Reject, FullPolicy::DropOldest, FullPolicy::Hold];
    let bounds = (
        1..=u64::MAX,
        1_u64 << 20..=u64::MAX,
        1..=ringway_protocol::options::LEASE_MS_MAX,
        0..=ringway_protocol::options::WAIT_MS_MAX,
        any::<u32>(),
        prop::sample::select(policies),
    );
    (bounds, further_options()).prop_map(
        |((messages_max, bytes_max, lease_ms, wait_max_ms, deliveries_max, full_policy), rest)| {
            QueueOptions {
                messages_max,
                bytes_max,
                lease_ms,
                wait_max_ms,
                deliveries_max,
                full_policy,
                ..rest
            }
        },
    )
}

pub fn takes() -> impl Strategy<Value = Take> {
    (
        queues(),
        1..=limits::TAKE_MESSAGES_MAX,
        any::<u32>(),
        0..=ringway_protocol::options::WAIT_MS_MAX,
        0..=ringway_protocol::options::LEASE_MS_MAX,
        (further::groups(), any::<bool>()),
    )
        .prop_map(
            |(queue, messages_max, bytes_max, wait_ms, lease_ms, (group, acknowledged))| Take {
                queue,
                messages_max,
                bytes_max,
                wait_ms,
                lease_ms,
                group,
                acknowledged,
            },
        )
}

/// Ranges that name no more messages than a lease has.
pub fn ranges() -> impl Strategy<Value = Vec<Range>> {
    vec((0..100_000_u32, 1..40_u32).prop_map(|(first, count)| Range { first, count }), 1..100)
}

/// The frame at the front of bytes that a writer just wrote, and nothing after it.
pub fn only_frame(bytes: &[u8]) -> Frame<'_> {
    match frame::split(bytes, limits::FRAME_BYTES_MAX).expect("a written frame is valid") {
        Split::Frame(frame) => {
            assert_eq!(HEADER_BYTES + frame.body.len(), bytes.len(), "one frame was written");
            frame
        }
        Split::NeedMore(bytes) => panic!("the frame needs {bytes} bytes"),
    }
}

fn settles(kind: Kind) -> impl Strategy<Value = Request<'static>> {
    (queues(), leases(), ranges(), any::<u32>()).prop_map(move |(queue, lease, ranges, delay)| {
        let mut out = Vec::new();
        match kind {
            Kind::Nack => encode_nack((queue, lease), &ranges, delay, (0, 0), &mut out),
            _ => encode_settle(kind, (queue, lease), &ranges, (0, 0), &mut out),
        }
        Request::decode(only_frame(out.leak())).expect("a written acknowledgement is valid")
    })
}

pub fn requests() -> impl Strategy<Value = Request<'static>> {
    let greets = bytes(0..limits::TOKEN_BYTES_MAX + 1)
        .prop_flat_map(|token| (0..=1_u16, 1..=u16::MAX, Just(token)))
        .prop_map(|(version_min, version_max, token)| Greet { version_min, version_max, token });
    let prefixes = prop_oneof![Just(""), names()];
    let first = prop_oneof![
        greets.prop_map(Request::Greet),
        (names(), prop::option::of(options()))
            .prop_map(|(name, options)| Request::Declare { name, options }),
        names().prop_map(|name| Request::Open { name }),
        further::puts().prop_map(Request::Put),
        takes().prop_map(Request::Take),
        settles(Kind::Ack),
        settles(Kind::Nack),
        prop::option::of(queues()).prop_map(|queue| Request::Stat { queue }),
        (any::<u64>(), 1..=limits::LIST_ENTRIES_MAX, prefixes)
            .prop_map(|(cursor, limit, prefix)| Request::List { cursor, limit, prefix }),
        queues().prop_map(|queue| Request::Purge { queue }),
        queues().prop_map(|queue| Request::Delete { queue }),
        Just(Request::Ping),
        bytes(0..2000).prop_map(Request::Echo),
    ];
    prop_oneof![first, further::requests()]
}

fn welcomes() -> impl Strategy<Value = Welcome> {
    let shards = vec("[a-z0-9.:]{0,40}", 1..=limits::SHARDS_MAX);
    (any::<(u16, u16)>(), any::<[u32; 6]>(), shards).prop_map(|((version, shard), l, shards)| {
        Welcome {
            version,
            shard: shard % shards.len() as u16,
            frame_bytes_max: l[0],
            payload_bytes_max: l[1],
            take_messages_max: l[2],
            requests_in_flight_max: l[3],
            wait_bytes_max: l[4],
            heartbeat_ms: l[5],
            shards,
        }
    })
}

/// Runs that add up to `count` messages, cut at random.
pub fn runs_of(count: u32, seeds: &[(u64, u32)]) -> Vec<Run> {
    let mut runs = Vec::new();
    let mut left = count;
    for (sequence, number) in seeds.iter().copied().chain([(0, u32::MAX)]) {
        let count = (number % 5 + 1).min(left);
        let count = if number == u32::MAX { left } else { count };
        if count > 0 {
            let deliveries = number.max(1);
            runs.push(Run { first_sequence: sequence >> 1, count, deliveries });
        }
        left -= count;
    }
    runs
}

/// The frame of a delivery, and what was written into it.
pub fn deliveries() -> impl Strategy<Value = (Vec<u8>, LeaseStated, Vec<Run>, Vec<Message>)> {
    let seeds = vec(any::<(u64, u32)>(), 0..10);
    let batch = prop_oneof![3 => batches(attributes()).prop_map(Some), 1 => Just(None)];
    (ids(), leases(), any::<(u32, u32)>(), seeds, batch).prop_map(
        |(ids, lease, (lease_ms, dropped), seeds, batch)| {
            let count = batch.as_ref().map_or(0, |(_, records)| records.count());
            let lease = if count == 0 { LeaseId::NONE } else { lease };
            let runs = runs_of(count, &seeds);
            let mut out = Vec::new();
            frame::write(&mut out, Header::reply(Kind::Take, Code::Ok, ids.0, ids.1), |out| {
                reply::delivery_prefix(
                    out,
                    (lease, lease_ms),
                    (count, dropped),
                    runs.iter().copied(),
                );
                if let Some((_, records)) = &batch {
                    out.extend_from_slice(records.as_bytes());
                }
            });
            (
                out,
                (lease, lease_ms, dropped),
                runs,
                batch.map_or_else(Vec::new, |(messages, _)| messages),
            )
        },
    )
}

/// Verdicts, and the counts that they add up to.
pub fn settlements() -> impl Strategy<Value = (Settlement, Vec<RangeVerdict>)> {
    let verdict = prop_oneof![Just(Verdict::Settled), Just(Verdict::Stale), Just(Verdict::Unknown)];
    let range = (0..10_000_u32, 1..50_u32, verdict)
        .prop_map(|(first, count, verdict)| RangeVerdict { first, count, verdict });
    vec(range, 0..80).prop_map(|verdicts| {
        let total = |wanted: Verdict| {
            let of_it = verdicts.iter().filter(|range| range.verdict == wanted);
            of_it.map(|range| range.count).sum()
        };
        let (settled, stale, unknown) =
            (total(Verdict::Settled), total(Verdict::Stale), total(Verdict::Unknown));
        (Settlement { settled, stale, unknown }, verdicts)
    })
}

pub fn entries() -> impl Strategy<Value = Vec<ListEntry<'static>>> {
    let entry = (queues(), any::<u64>(), any::<u64>(), names())
        .prop_map(|(queue, ready, leased, name)| ListEntry { queue, ready, leased, name });
    vec(entry, 0..20)
}

/// A table of figures: columns, then rows of as many numbers.
pub fn tables() -> impl Strategy<Value = (usize, Vec<Vec<u64>>)> {
    (1..24_usize)
        .prop_flat_map(|columns| (Just(columns), vec(vec(any::<u64>(), columns..=columns), 0..10)))
}

fn codes() -> impl Strategy<Value = Code> {
    (1..Code::ALL.len()).prop_map(|index| Code::ALL[index])
}

/// Replies that can be built without their frame, with the kind of the request.
fn plain_replies() -> impl Strategy<Value = (Kind, Reply<'static>)> {
    let first = prop_oneof![
        welcomes().prop_map(|welcome| (Kind::Greet, Reply::Welcome(welcome))),
        (queues(), any::<bool>())
            .prop_map(|(queue, created)| (Kind::Declare, Reply::Declared { queue, created })),
        queues().prop_map(|queue| (Kind::Open, Reply::Opened { queue })),
        further::receipts().prop_map(|receipt| (Kind::Put, Reply::Put(receipt))),
        (any::<u64>(), entries())
            .prop_map(|(next_cursor, entries)| (Kind::List, Reply::Page { next_cursor, entries })),
        any::<u64>().prop_map(|messages| (Kind::Purge, Reply::Removed(messages))),
        any::<u64>().prop_map(|messages| (Kind::Delete, Reply::Removed(messages))),
        Just((Kind::Ping, Reply::Pong)),
        bytes(0..2000).prop_map(|body| (Kind::Echo, Reply::Echo(body))),
        (0..Kind::ALL.len(), codes(), "\\PC{0,80}").prop_map(|(kind, code, sentence)| {
            (Kind::ALL[kind], Reply::Refused { code, sentence: sentence.leak() })
        }),
    ];
    prop_oneof![first, further::plain_replies()]
}

pub fn request_frames() -> impl Strategy<Value = Vec<u8>> {
    (requests(), ids()).prop_map(|(request, (stream, id))| {
        let mut out = Vec::new();
        request.encode(stream, id, &mut out);
        out
    })
}

pub fn reply_frames() -> impl Strategy<Value = Vec<u8>> {
    let plain = (plain_replies(), ids()).prop_map(|((kind, reply), ids)| {
        let mut out = Vec::new();
        reply.encode(kind, ids, &mut out);
        out
    });
    let settled =
        (settlements(), ids(), any::<bool>()).prop_map(|((counts, verdicts), ids, ack)| {
            let mut out = Vec::new();
            let kind = if ack { Kind::Ack } else { Kind::Nack };
            reply::settled(&mut out, kind, ids, counts, &verdicts);
            out
        });
    let figures = (tables(), ids()).prop_map(|((columns, rows), ids)| {
        let mut out = Vec::new();
        frame::write(&mut out, Header::reply(Kind::Stat, Code::Ok, ids.0, ids.1), |out| {
            reply::figures(out, columns, rows.into_iter());
        });
        out
    });
    let delivery = deliveries().prop_map(|(frame, ..)| frame);
    let groups = further::listings_of_groups().prop_map(|(frame, _)| frame);
    let messages = further::pages_of_messages().prop_map(|(frame, ..)| frame);
    let bindings = further::pages_of_bindings().prop_map(|(frame, ..)| frame);
    let pages = prop_oneof![groups, messages, bindings];
    prop_oneof![7 => plain, 1 => settled, 1 => figures, 1 => delivery, 3 => pages]
}
