//! Rows 41 and 42: an acknowledgement that never arrives, and a message that nobody can use.

use crate::peer::{Peer, take_of};
use crate::process;
use ringway_protocol::name::shard_of;
use ringway_protocol::reply::{QUEUE_COLUMNS, Settlement};
use ringway_protocol::request::{BACK_OFF, Range, Take, encode_nack, encode_settle};
use ringway_protocol::{Attribute, Kind, LeaseId, QueueId, QueueOptions, Reply, Request};
use std::time::{Duration, Instant};

/// How long a consumer has whose acknowledgement is lost, in milliseconds.
const LEASE_MS: u32 = 1_000;
const ALL: [Range; 1] = [Range { first: 0, count: 1 }];
/// How often a poison message is delivered.
const DELIVERIES_MAX: u32 = 3;

/// A message as a consumer gets it.
struct Got {
    lease: LeaseId,
    deliveries: u32,
    payload: Vec<u8>,
    headers: Vec<(String, String)>,
}

/// Takes one message as the queue has it; nothing if none came within `wait_ms`.
fn take(peer: &mut Peer, queue: QueueId, wait_ms: u32) -> Option<Got> {
    take_with(peer, take_of(queue, wait_ms, 0))
}

fn take_with(peer: &mut Peer, take: Take) -> Option<Got> {
    let received = peer.ask(Request::Take(take));
    let Reply::Delivery(delivery) = received.reply() else { panic!("{received:?}") };
    let run = delivery.runs().next()?;
    let record = delivery.records.expect("a run has records").iter().next().expect("a record");
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    let headers = record.attributes().filter_map(|attribute| match attribute {
        Attribute::Header { name, value } => Some((name.to_owned(), text(value))),
        _ => None,
    });
    Some(Got {
        lease: delivery.lease,
        deliveries: run.deliveries,
        payload: record.payload.to_vec(),
        headers: headers.collect(),
    })
}

/// Says that the one message of a lease is done, or gives it back.
fn settle(peer: &mut Peer, kind: Kind, place: (QueueId, LeaseId)) -> Settlement {
    let mut bytes = Vec::new();
    match kind {
        Kind::Nack => encode_nack(place, &ALL, BACK_OFF, (0, 7), &mut bytes),
        kind => encode_settle(kind, place, &ALL, (0, 7), &mut bytes),
    }
    peer.say(&bytes);
    let received = peer.next().expect("a reply");
    match received.reply() {
        Reply::Settled(settlement, _) => settlement,
        other => panic!("{other:?}"),
    }
}

/// Declares a queue of this shard, of two; its name and its id.
fn declare(peer: &mut Peer, shard: usize, options: QueueOptions) -> (String, QueueId) {
    let mut names = (0..).map(|number| format!("work-{number}"));
    let name = names.find(|name| shard_of(name, 2) == shard).expect("a hash");
    let options = Some(options);
    match peer.ask(Request::Declare { name: &name, options }).reply() {
        Reply::Declared { queue, .. } => (name.clone(), queue),
        other => panic!("{other:?}"),
    }
}

fn open(peer: &mut Peer, name: &str) -> QueueId {
    match peer.ask(Request::Open { name }).reply() {
        Reply::Opened { queue } => queue,
        other => panic!("{other:?}"),
    }
}

fn figure(peer: &mut Peer, queue: QueueId, column: &str) -> u64 {
    let at = QUEUE_COLUMNS.iter().position(|known| *known == column).expect("a column");
    match peer.ask(Request::Stat { queue: Some(queue) }).reply() {
        Reply::Figures(figures) => figures.rows().next().expect("a row")[at],
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_message_whose_acknowledgement_is_lost_comes_again_and_says_so() {
    let name = "redelivery::a_message_whose_acknowledgement_is_lost_comes_again_and_says_so";
    process::alone(name, &[], || {
        let plane = process::plane(|_| ());
        let mut neighbour = Peer::connect(plane.address());
        for (shard, answers) in [(0, false), (1, false), (0, true), (1, true)] {
            let (_, queue) = declare(&mut neighbour, shard, QueueOptions::default());
            neighbour.put(queue, b"task");
            let mut consumer = Peer::connect(plane.shard_addresses()[0]);
            let short = take_of(queue, 0, LEASE_MS);
            let since = Instant::now();
            let got = take_with(&mut consumer, short).expect("a message");
            assert_eq!(got.deliveries, 1);
            let mut ack = Vec::new();
            encode_settle(Kind::Ack, (queue, got.lease), &ALL, (0, 9), &mut ack);
            if answers {
                // What is on the way is cut off in the middle.
                consumer.say(&ack[..ack.len() - 1]);
            }
            drop(consumer);
            assert!(take(&mut neighbour, queue, 0).is_none(), "the lease lasts");
            let again = take(&mut neighbour, queue, 10_000).expect("it comes again");
            let least = Duration::from_millis(u64::from(LEASE_MS) * 9 / 10);
            assert!(since.elapsed() >= least, "not before the lease is over");
            assert_eq!((again.deliveries, &*again.payload), (2, &b"task"[..]));
            // The acknowledgement that was lost arrives after all: it settles nothing.
            let late = settle(&mut neighbour, Kind::Ack, (queue, got.lease));
            assert_eq!(late, Settlement { stale: 1, ..Settlement::default() });
            let done = settle(&mut neighbour, Kind::Ack, (queue, again.lease));
            assert_eq!(done, Settlement { settled: 1, ..Settlement::default() });
            assert_eq!(figure(&mut neighbour, queue, "messages"), 0);
        }
    });
}

#[test]
fn a_poison_message_becomes_a_dead_letter_and_blocks_nobody() {
    let name = "redelivery::a_poison_message_becomes_a_dead_letter_and_blocks_nobody";
    process::alone(name, &[], || {
        let plane = process::plane(|_| ());
        for shard in [0, 1] {
            let mut peer = Peer::connect(plane.shard_addresses()[0]);
            let (deliveries_max, backoff_ms) = (DELIVERIES_MAX, 50);
            let options = QueueOptions { deliveries_max, backoff_ms, ..QueueOptions::default() };
            let (name, queue) = declare(&mut peer, shard, options);
            peer.put(queue, b"poison");
            (0..20).for_each(|_| peer.put(queue, b"good"));
            let (mut good, mut poison) = (0, 0);
            // While it is away, the others go on; a wait of a second outlasts its back-off.
            while let Some(got) = take(&mut peer, queue, 1_000) {
                let poisoned = got.payload == b"poison";
                let kind = if poisoned { Kind::Nack } else { Kind::Ack };
                assert_eq!(settle(&mut peer, kind, (queue, got.lease)).settled, 1);
                if poisoned {
                    poison += 1;
                    assert_eq!(got.deliveries, poison);
                    assert!(poison == 1 || good > 0, "nothing waits behind it");
                } else {
                    good += 1;
                }
            }
            assert_eq!((good, poison), (20, DELIVERIES_MAX));
            let dead = open(&mut peer, &format!("{name}.dead"));
            let letter = take(&mut peer, dead, 0).expect("a dead letter");
            assert_eq!(letter.payload, b"poison");
            let said = |name: &str| {
                let header = letter.headers.iter().find(|(known, _)| known == name);
                header.map(|(_, value)| value.clone()).unwrap_or_default()
            };
            assert_eq!(said("ringway-reason"), "deliveries");
            assert_eq!(said("ringway-deliveries"), DELIVERIES_MAX.to_string());
            assert_eq!((said("ringway-queue"), said("ringway-group")), (name, "default".into()));
            let time = |name: &str| said(name).parse::<u64>().expect("a time");
            let away_ms = time("ringway-last-ms") - time("ringway-first-ms");
            assert!((100..20_000).contains(&away_ms), "twice 50 ms at least: {away_ms}");
            assert_eq!(figure(&mut peer, queue, "dead_lettered"), 1);
        }
    });
}

#[test]
fn a_poison_message_outlives_a_full_dead_letter_queue() {
    let name = "redelivery::a_poison_message_outlives_a_full_dead_letter_queue";
    process::alone(name, &[], || {
        let plane = process::plane(|_| ());
        let mut peer = Peer::connect(plane.address());
        let once = QueueOptions { deliveries_max: 1, ..QueueOptions::default() };
        let (name, queue) = declare(&mut peer, 1, once);
        let narrow = QueueOptions { messages_max: 1, deliveries_max: 0, ..once };
        let (dead_name, options) = (format!("{name}.dead"), Some(narrow));
        peer.ask(Request::Declare { name: &dead_name, options });
        let dead = open(&mut peer, &dead_name);
        peer.put(dead, b"in the way");
        peer.put(queue, b"poison");
        let got = take(&mut peer, queue, 0).expect("a message");
        let since = Instant::now();
        assert_eq!(settle(&mut peer, Kind::Nack, (queue, got.lease)).settled, 1);
        assert_eq!(figure(&mut peer, queue, "dead_letters_refused"), 1);
        assert_eq!(figure(&mut peer, queue, "delayed"), 1);
        let again = take(&mut peer, queue, 10_000).expect("it is not lost");
        assert!(since.elapsed() >= Duration::from_millis(950), "nor does it spin");
        assert_eq!(again.deliveries, 2);
        assert_eq!(peer.drain(dead, 1), 1);
        assert_eq!(settle(&mut peer, Kind::Nack, (queue, again.lease)).settled, 1);
        let letter = take(&mut peer, dead, 0).expect("there is room now");
        assert_eq!(letter.payload, b"poison");
        assert_eq!(figure(&mut peer, queue, "messages"), 0);
    });
}

#[test]
fn a_consumer_that_needs_longer_says_so_and_loses_nothing() {
    let name = "redelivery::a_consumer_that_needs_longer_says_so_and_loses_nothing";
    process::alone(name, &[], || {
        let plane = process::plane(|_| ());
        for shard in [0, 1] {
            let mut peer = Peer::connect(plane.shard_addresses()[0]);
            let (_, queue) = declare(&mut peer, shard, QueueOptions::default());
            peer.put(queue, b"long task");
            let short = take_of(queue, 0, LEASE_MS);
            let got = take_with(&mut peer, short).expect("a message");
            let (lease, lease_ms) = (got.lease, 20_000);
            let reply = peer.ask(Request::Extend { queue, lease, lease_ms });
            let expected = Reply::Extended { lease_ms, unsettled: 1 };
            assert_eq!(format!("{:?}", reply.reply()), format!("{expected:?}"));
            std::thread::sleep(Duration::from_millis(u64::from(LEASE_MS) * 3 / 2));
            assert_eq!(settle(&mut peer, Kind::Ack, (queue, got.lease)).settled, 1);
            let (lease, lease_ms) = (got.lease, 0);
            let late = peer.ask(Request::Extend { queue, lease, lease_ms });
            assert_eq!(late.code(), ringway_protocol::Code::NoSuchLease);
        }
    });
}
