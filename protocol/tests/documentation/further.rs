//! What the examples of `docs/protocol.md` must show from credit on, written by the real encoder.

use ringway_protocol::frame::{self, Header};
use ringway_protocol::record;
use ringway_protocol::reply::{
    self, Description, GROUP_COLUMNS, Moved, Published, PutOutcome, PutRun, Receipt, Run,
    Settlement, Standing,
};
use ringway_protocol::request::{
    Binding, Browse, ChangeGroup, Credit, GroupFlags, GroupOperation, HeaderFilter, MessageState,
    Move, Producer, Publish, Put, Range, Start, Subscribe, encode_remove, encode_transfer,
};
use ringway_protocol::{
    Attribute, Code, FullPolicy, GroupId, Kind, Level, Pattern, PriorityOrder, QueueId,
    QueueOptions, Records, Rejection, Request, SpreadOrder, SubscriptionId,
};

use super::written::{Blocks, lease, queue, request, written};

/// Where results and dead letters are.
fn other_queue() -> QueueId {
    QueueId::new(2, 1, 4)
}

fn subscription() -> SubscriptionId {
    SubscriptionId::new(1, 1, 3)
}

/// The record of a message that is mere payload.
fn plain(payload: &[u8]) -> Vec<u8> {
    written(|out| record::write(out, &[], payload))
}

fn one(record: &[u8]) -> Records<'_> {
    Records::parse(record, 1).expect("one record")
}

/// The only binding of the page.
fn binding() -> Binding<'static> {
    let pattern = Pattern::new("orders.*.eu").expect("a valid pattern");
    Binding { queue: queue(), pattern }
}

/// The message that is scheduled in every example.
const SCHEDULED: u64 = 8 << 60;

/// The options that the queue is given.
fn altered() -> QueueOptions {
    QueueOptions {
        deliveries_max: 5,
        full_policy: FullPolicy::Hold,
        priority: PriorityOrder::Weighted,
        dead_letter_expired: true,
        ttl_ms: 86_400_000,
        backoff_ms: 1_000,
        backoff_max_ms: 60_000,
        dedup_ms: 600_000,
        dedup_max: 500_000,
        keep_ms: 3_600_000,
        keep_messages: 100_000,
        keep_bytes: 64 << 20,
        spread: 4,
        spread_order: SpreadOrder::PerKey,
        ..QueueOptions::default()
    }
}

pub fn requests() -> Blocks {
    let (queue, group, options) = (queue(), GroupId::DEFAULT, altered());
    let change = ChangeGroup {
        queue,
        name: "audit",
        operation: GroupOperation::Create {
            start: Start::Earliest,
            flags: GroupFlags { paused: false, single_active: true },
        },
    };
    let credit = Credit { queue, subscription: subscription(), messages: 200, bytes: 1 << 20 };
    let extend = Request::Extend { queue, lease: lease(), lease_ms: 60_000 };
    vec![
        ("alter-request", request(Request::Alter { queue, options }, 0, 19)),
        ("describe-request", request(Request::Describe { queue }, 0, 39)),
        ("rename-request", request(Request::Rename { queue, name: "mail" }, 0, 20)),
        ("pause-request", request(Request::Pause { queue, puts: true, takes: false }, 0, 21)),
        ("put-by-producer-request", put_by_producer()),
        ("subscribe-request", subscribe()),
        ("credit-request", request(Request::Credit(credit), 0, 25)),
        (
            "unsubscribe-request",
            request(Request::Unsubscribe { queue, subscription: subscription() }, 0, 26),
        ),
        ("extend-request", request(extend, 0, 27)),
        ("transfer-request", transfer()),
        ("group-request", request(Request::Group(change), 0, 30)),
        ("groups-request", request(Request::Groups { queue }, 0, 31)),
        (
            "browse-request",
            request(
                Request::Browse(Browse {
                    queue,
                    group,
                    state: MessageState::Ready,
                    cursor: 0,
                    limit: 10,
                    bytes_max: 0,
                }),
                0,
                32,
            ),
        ),
        ("remove-request", written(|out| encode_remove(queue, &[7, SCHEDULED], (0, 33), out))),
        ("move-request", redrive()),
        ("bind-request", request(Request::Bind(binding()), 0, 35)),
        ("unbind-request", request(Request::Unbind(binding()), 0, 36)),
        ("bindings-request", request(Request::Bindings { cursor: 0, limit: 100 }, 0, 37)),
        (
            "publish-request",
            request(
                Request::Publish(Publish { name: "orders.new.eu", records: one(&plain(b"hello")) }),
                0,
                38,
            ),
        ),
    ]
}

fn put_by_producer() -> Vec<u8> {
    let mut batch = written(|out| record::write(out, &[Attribute::Key(b"c-17")], b"hi"));
    record::write(&mut batch, &[Attribute::DelayMs(60_000)], b"later");
    let records = Records::parse(&batch, 2).expect("two records");
    let producer = Some(Producer { id: 0x5eed, sequence: 41 });
    request(Request::Put(Put { queue: queue(), producer, records }), 0, 22)
}

fn subscribe() -> Vec<u8> {
    let subscribe = Subscribe {
        queue: queue(),
        group: GroupId::DEFAULT,
        messages: 100,
        bytes: 1 << 20,
        batch_max: 20,
        lease_ms: 60_000,
        rate: 50,
    };
    request(Request::Subscribe(subscribe), 0, 24)
}

fn transfer() -> Vec<u8> {
    let (record, range) = (plain(b"done"), Range { first: 0, count: 1 });
    let put = Put::new(other_queue(), one(&record));
    written(|out| encode_transfer((queue(), lease()), &[range], &put, (0, 29), out))
}

fn redrive() -> Vec<u8> {
    let filter = HeaderFilter { name: "ringway-reason", value: b"deliveries" };
    let wanted = Move {
        from: other_queue(),
        to: None,
        group: GroupId::DEFAULT,
        limit: 1024,
        redrive: true,
        filter: Some(filter),
    };
    request(Request::Move(wanted), 0, 34)
}

pub fn replies() -> Blocks {
    let gone = Rejection::new(Code::NoSuchQueue, "no queue of this shard has that name or id");
    let done = |kind, id| written(|out| reply::done(out, kind, (0, id)));
    let number = |kind, id, number| written(|out| reply::number(out, kind, (0, id), number));
    let pair = |kind, id, pair| written(|out| reply::pair(out, kind, (0, id), pair));
    let settlement = Settlement { settled: 1, ..Settlement::default() };
    let receipt = Receipt::plain(9, 1, Level::Memory, false);
    let all_moved = Moved { moved: 3, refused: 1, more: false };
    let published = Published { matched: 2, stored: 1, refused: 1, level: Level::Memory };
    let bindings = [binding()].into_iter();
    vec![
        ("alter-reply", done(Kind::Alter, 19)),
        ("describe-reply", described()),
        ("rename-reply", number(Kind::Rename, 20, queue().0)),
        ("pause-reply", done(Kind::Pause, 21)),
        ("put-in-runs-reply", receipts(22, [PutOutcome::Stored, PutOutcome::Scheduled])),
        ("put-again-reply", receipts(23, [PutOutcome::Duplicate; 2])),
        ("subscribe-reply", number(Kind::Subscribe, 24, subscription().0)),
        ("subscribe-delivery-reply", delivery()),
        ("subscribe-end-reply", written(|out| reply::refused(out, Kind::Subscribe, (0, 24), gone))),
        ("credit-reply", done(Kind::Credit, 25)),
        ("unsubscribe-reply", number(Kind::Unsubscribe, 26, 2)),
        ("extend-reply", pair(Kind::Extend, 27, (60_000, 2))),
        ("transfer-reply", written(|out| reply::transferred(out, (0, 29), settlement, &receipt))),
        ("group-reply", written(|out| reply::group(out, (0, 30), GroupId::new(0, 1), true))),
        ("groups-reply", groups()),
        ("browse-reply", browsed()),
        ("remove-reply", pair(Kind::Remove, 33, (1, 1))),
        ("move-reply", written(|out| reply::moved(out, (0, 34), all_moved))),
        ("bind-reply", number(Kind::Bind, 35, 1)),
        ("unbind-reply", number(Kind::Unbind, 36, 1)),
        ("bindings-reply", written(|out| reply::bindings(out, (0, 37), 0, bindings))),
        ("publish-reply", written(|out| reply::published(out, (0, 38), published))),
    ]
}

fn described() -> Vec<u8> {
    let what = Description {
        options: altered(),
        puts_paused: true,
        takes_paused: false,
        parts: 2,
        name: "emails",
    };
    written(|out| reply::described(out, (0, 39), &what))
}

/// The reply to the put of a message for now and one for later.
fn receipts(id: u32, outcomes: [PutOutcome; 2]) -> Vec<u8> {
    let run = |first_sequence, outcome| PutRun { first_sequence, count: 1, outcome }.to_bytes();
    let runs = [run(2, outcomes[0]), run(SCHEDULED, outcomes[1])];
    written(|out| reply::receipt(out, (0, id), &Receipt::of_runs(Level::Memory, &runs)))
}

fn delivery() -> Vec<u8> {
    let run = Run { first_sequence: 0, count: 1, deliveries: 1 };
    let header = Header::reply(Kind::Take, Code::Ok, 0, 24);
    written(|out| {
        frame::write(out, header, |out| {
            reply::delivery_prefix(out, (lease(), 60_000), (1, 7), [run].into_iter());
            out.extend_from_slice(&plain(b"hello"));
        });
    })
}

fn groups() -> Vec<u8> {
    let known = |column: &str| match column {
        "position" | "leased" | "takes" => 2,
        "waiting_takes" => 1,
        _ => 0,
    };
    let figures = GROUP_COLUMNS.map(known);
    written(|out| {
        reply::groups(out, (0, 31), (1, figures.len()), |out| {
            reply::group_entry(out, (GroupId::DEFAULT, GroupFlags::default()), "default", &figures);
        });
    })
}

fn browsed() -> Vec<u8> {
    let standing = Standing {
        sequence: 2,
        put_ms: 1_790_000_000_000,
        due_ms: 0,
        deliveries: 1,
        state: MessageState::Ready,
    };
    written(|out| {
        reply::browse_page(out, (0, 32), |out| {
            reply::browse_entry(out, &standing, &plain(b"hello"));
            (0, 1)
        });
    })
}
