//! Random valid requests and replies from credit on: pushes, groups, moves, bindings.

use proptest::collection::vec;
use proptest::prelude::*;
use ringway_protocol::reply::{
    self, BrowseEntry, Description, GROUP_COLUMNS, Moved, Published, PutOutcome, PutRun, Receipt,
    Removal, Settlement, Standing,
};
use ringway_protocol::request::{
    Binding, Browse, ChangeGroup, Credit, GroupFlags, GroupOperation, HeaderFilter, MessageState,
    Move, Producer, Publish, Put, Start, Subscribe, encode_remove, encode_transfer,
};
use ringway_protocol::{
    GroupId, Kind, Level, Pattern, QueueId, Reply, Request, SubscriptionId, limits, options,
};

use super::{attributes, batches, bytes, ids, leases, names, only_frame, queues, ranges};

pub fn groups() -> impl Strategy<Value = GroupId> {
    any::<(u16, u16)>().prop_map(|(incarnation, index)| GroupId::new(incarnation, index))
}

fn subscriptions() -> impl Strategy<Value = SubscriptionId> {
    leases().prop_map(|lease| SubscriptionId(lease.0))
}

pub fn levels() -> impl Strategy<Value = Level> {
    prop::sample::select(Level::ALL.to_vec())
}

pub fn patterns() -> impl Strategy<Value = Pattern<'static>> {
    "([a-zA-Z0-9_-]{0,6}|\\*)([./]([a-zA-Z0-9_-]{0,6}|\\*)){0,8}([./]>)?"
        .prop_filter("a pattern has a byte", |pattern| !pattern.is_empty())
        .prop_map(|pattern| Pattern::new(pattern.leak()).expect("a valid pattern"))
}

pub fn producers() -> impl Strategy<Value = Option<Producer>> {
    let producer =
        (any::<u64>(), 0..u64::MAX - 100).prop_map(|(id, sequence)| Producer { id, sequence });
    prop::option::of(producer)
}

pub fn puts() -> impl Strategy<Value = Put<'static>> {
    let few = prop_oneof![1 => attributes(), 2 => Just(Vec::new())];
    (queues(), producers(), batches(few)).prop_map(|(queue, producer, (_, records))| Put {
        queue,
        producer,
        records,
    })
}

/// The runs of a receipt.
pub fn put_runs() -> impl Strategy<Value = Vec<PutRun>> {
    let outcomes = vec![PutOutcome::Stored, PutOutcome::Duplicate, PutOutcome::Scheduled];
    let run = (0..u64::MAX >> 1, 1..1000_u32, prop::sample::select(outcomes))
        .prop_map(|(first_sequence, count, outcome)| PutRun { first_sequence, count, outcome });
    vec(run, 1..20)
}

pub fn receipts() -> impl Strategy<Value = Receipt<'static>> {
    let plain = (any::<u64>(), any::<u32>(), levels(), any::<bool>()).prop_map(
        |(sequence, count, level, duplicate)| Receipt::plain(sequence, count, level, duplicate),
    );
    let of_runs = (levels(), put_runs()).prop_map(|(level, runs)| {
        let runs: Vec<_> = runs.into_iter().map(PutRun::to_bytes).collect();
        Receipt::of_runs(level, runs.leak())
    });
    prop_oneof![plain, of_runs]
}

fn pushes() -> impl Strategy<Value = Request<'static>> {
    let credit = || (1..=limits::CREDIT_MESSAGES_MAX, 0..=limits::CREDIT_BYTES_MAX);
    let batch_max = 0..=limits::TAKE_MESSAGES_MAX;
    let lease_ms = || 0..=options::LEASE_MS_MAX;
    prop_oneof![
        (queues(), groups(), credit(), batch_max, lease_ms(), any::<u32>()).prop_map(
            |(queue, group, (messages, bytes), batch_max, lease_ms, rate)| {
                let subscribe =
                    Subscribe { queue, group, messages, bytes, batch_max, lease_ms, rate };
                Request::Subscribe(subscribe)
            }
        ),
        (queues(), subscriptions(), credit(), any::<bool>()).prop_map(
            |(queue, subscription, (messages, bytes), stops)| {
                let messages = if stops { 0 } else { messages };
                Request::Credit(Credit { queue, subscription, messages, bytes })
            }
        ),
        (queues(), subscriptions())
            .prop_map(|(queue, subscription)| Request::Unsubscribe { queue, subscription }),
        (queues(), leases(), lease_ms()).prop_map(|(queue, lease, lease_ms)| Request::Extend {
            queue,
            lease,
            lease_ms
        }),
    ]
}

fn flags() -> impl Strategy<Value = GroupFlags> {
    any::<(bool, bool)>().prop_map(|(paused, single_active)| GroupFlags { paused, single_active })
}

fn group_requests() -> impl Strategy<Value = Request<'static>> {
    let start = prop_oneof![
        Just(Start::Earliest),
        Just(Start::Latest),
        any::<u64>().prop_map(Start::Sequence),
        any::<u64>().prop_map(Start::TimeMs),
    ];
    let operation = prop_oneof![
        (start, flags()).prop_map(|(start, flags)| GroupOperation::Create { start, flags }),
        flags().prop_map(|flags| GroupOperation::Alter { flags }),
        Just(GroupOperation::Delete),
    ];
    prop_oneof![
        (queues(), names(), operation).prop_map(|(queue, name, operation)| {
            Request::Group(ChangeGroup { queue, name, operation })
        }),
        queues().prop_map(|queue| Request::Groups { queue }),
    ]
}

fn states() -> impl Strategy<Value = MessageState> {
    prop::sample::select(MessageState::ALL.to_vec())
}

fn messages_by_place() -> impl Strategy<Value = Request<'static>> {
    let limit = 1..=limits::BROWSE_MESSAGES_MAX;
    prop_oneof![
        (queues(), groups(), states(), any::<u64>(), limit, any::<u32>()).prop_map(
            |(queue, group, state, cursor, limit, bytes_max)| {
                Request::Browse(Browse { queue, group, state, cursor, limit, bytes_max })
            }
        ),
        (queues(), vec(any::<u64>(), 1..50), ids()).prop_map(|(queue, sequences, ids)| {
            let mut out = Vec::new();
            encode_remove(queue, &sequences, ids, &mut out);
            Request::decode(only_frame(out.leak())).expect("a written removal is valid")
        }),
    ]
}

fn filters() -> impl Strategy<Value = Option<HeaderFilter<'static>>> {
    let filter = ("\\PC{1,60}", bytes(0..200))
        .prop_map(|(name, value)| HeaderFilter { name: name.leak(), value });
    prop::option::of(filter)
}

fn moves() -> impl Strategy<Value = Request<'static>> {
    let targets = prop::option::of(queues());
    let limit = 1..=limits::MOVE_MESSAGES_MAX;
    let moves = (queues(), targets, groups(), limit, any::<bool>(), filters()).prop_map(
        |(from, to, group, limit, redrive, filter)| {
            let to = to.map(|to| if to == from { QueueId(to.0 ^ 1) } else { to });
            Request::Move(Move { from, to, group, limit, redrive, filter })
        },
    );
    let transfers =
        (queues(), leases(), ranges(), puts()).prop_map(|(queue, lease, ranges, put)| {
            let mut out = Vec::new();
            encode_transfer((queue, lease), &ranges, &put, (0, 0), &mut out);
            Request::decode(only_frame(out.leak())).expect("a written transfer is valid")
        });
    prop_oneof![moves, transfers]
}

fn bindings() -> impl Strategy<Value = Request<'static>> {
    let binding = || (queues(), patterns()).prop_map(|(queue, pattern)| Binding { queue, pattern });
    prop_oneof![
        binding().prop_map(Request::Bind),
        binding().prop_map(Request::Unbind),
        (any::<u64>(), 1..=limits::LIST_ENTRIES_MAX)
            .prop_map(|(cursor, limit)| Request::Bindings { cursor, limit }),
        (names(), batches(attributes()))
            .prop_map(|(name, (_, records))| Request::Publish(Publish { name, records })),
    ]
}

/// Every request from credit on.
pub fn requests() -> impl Strategy<Value = Request<'static>> {
    prop_oneof![
        pushes(),
        group_requests(),
        messages_by_place(),
        moves(),
        bindings(),
        (queues(), super::options()).prop_map(|(queue, options)| Request::Alter { queue, options }),
        (queues(), names()).prop_map(|(queue, name)| Request::Rename { queue, name }),
        (queues(), any::<bool>(), any::<bool>()).prop_map(|(queue, puts, takes)| Request::Pause {
            queue,
            puts,
            takes
        }),
        queues().prop_map(|queue| Request::Describe { queue }),
    ]
}

/// A group's number, flags, name and figures, as a listing states them.
pub type GroupStated = (GroupId, GroupFlags, &'static str, Vec<u64>);

/// The frame of a listing of groups, and what was written into it.
pub fn listings_of_groups() -> impl Strategy<Value = (Vec<u8>, Vec<GroupStated>)> {
    let columns = GROUP_COLUMNS.len();
    let figures = vec(any::<u64>(), columns..=columns);
    (ids(), vec((groups(), flags(), names(), figures), 1..6)).prop_map(move |(ids, entries)| {
        let mut out = Vec::new();
        reply::groups(&mut out, ids, (entries.len(), columns), |out| {
            for (group, flags, name, figures) in &entries {
                reply::group_entry(out, (*group, *flags), name, figures);
            }
        });
        (out, entries)
    })
}

/// The frame of a page of messages, its next cursor, and what was written into it.
pub fn pages_of_messages()
-> impl Strategy<Value = (Vec<u8>, u64, Vec<(Standing, BrowseEntry<'static>)>)> {
    let standing = (any::<(u64, u64, u64, u32)>(), states()).prop_map(
        |((sequence, put_ms, due_ms, deliveries), state)| Standing {
            sequence,
            put_ms,
            due_ms,
            deliveries,
            state,
        },
    );
    let entry = (standing, batches(attributes())).prop_map(|(standing, (_, records))| {
        let record = records.iter().next().expect("a batch has a record");
        (standing, BrowseEntry { standing, record })
    });
    (ids(), any::<u64>(), vec((entry, any::<bool>()), 0..6)).prop_map(|(ids, next, entries)| {
        let entries: Vec<_> = entries.into_iter().map(|(entry, _)| entry).collect();
        let mut out = Vec::new();
        reply::browse_page(&mut out, ids, |out| {
            for (standing, entry) in &entries {
                let attributes: Vec<_> = entry.record.attributes().collect();
                let mut record = Vec::new();
                ringway_protocol::record::write(&mut record, &attributes, entry.record.payload);
                reply::browse_entry(out, standing, &record);
            }
            (next, entries.len() as u32)
        });
        (out, next, entries)
    })
}

/// The frame of a page of bindings, its next cursor, and what was written into it.
pub fn pages_of_bindings() -> impl Strategy<Value = (Vec<u8>, u64, Vec<Binding<'static>>)> {
    let binding = (queues(), patterns()).prop_map(|(queue, pattern)| Binding { queue, pattern });
    (ids(), any::<u64>(), vec(binding, 0..20)).prop_map(|(ids, next, entries)| {
        let mut out = Vec::new();
        reply::bindings(&mut out, ids, next, entries.iter().copied());
        (out, next, entries)
    })
}

fn descriptions() -> impl Strategy<Value = Description<'static>> {
    (super::options(), any::<(bool, bool)>(), 1..=256_u16, names()).prop_map(
        |(options, (puts_paused, takes_paused), parts, name)| Description {
            options,
            puts_paused,
            takes_paused,
            parts,
            name,
        },
    )
}

/// Replies from credit on that can be built without their frame, with the kind of the request.
pub fn plain_replies() -> impl Strategy<Value = (Kind, Reply<'static>)> {
    let settled = any::<(u32, u32, u32)>().prop_map(|(settled, stale, unknown)| Settlement {
        settled,
        stale,
        unknown,
    });
    let published = (any::<(u16, u16)>(), levels()).prop_map(|((stored, refused), level)| {
        let (stored, refused) = (u32::from(stored), u32::from(refused));
        Published { matched: stored + refused, stored, refused, level }
    });
    let empty = vec![Kind::Credit, Kind::Alter, Kind::Pause];
    let both = vec![Kind::Bind, Kind::Unbind];
    prop_oneof![
        prop::sample::select(empty).prop_map(|kind| (kind, Reply::Done)),
        any::<(u32, u32)>().prop_map(|(lease_ms, unsettled)| {
            (Kind::Extend, Reply::Extended { lease_ms, unsettled })
        }),
        subscriptions()
            .prop_map(|subscription| (Kind::Subscribe, Reply::Subscribed { subscription })),
        any::<u64>().prop_map(|messages| (Kind::Unsubscribe, Reply::Unsubscribed(messages))),
        (groups(), any::<bool>())
            .prop_map(|(group, changed)| (Kind::Group, Reply::Group { group, changed })),
        any::<(u32, u32)>().prop_map(|(removed, missing)| {
            (Kind::Remove, Reply::Removal(Removal { removed, missing }))
        }),
        any::<(u32, u32, bool)>().prop_map(|(moved, refused, more)| {
            (Kind::Move, Reply::Moved(Moved { moved, refused, more }))
        }),
        (settled, receipts()).prop_map(|(settlement, receipt)| {
            (Kind::Transfer, Reply::Transferred(settlement, receipt))
        }),
        (prop::sample::select(both), any::<bool>())
            .prop_map(|(kind, changed)| (kind, Reply::Bound { changed })),
        published.prop_map(|published| (Kind::Publish, Reply::Published(published))),
        queues().prop_map(|queue| (Kind::Rename, Reply::Renamed { queue })),
        descriptions().prop_map(|what| (Kind::Describe, Reply::Described(what))),
    ]
}
