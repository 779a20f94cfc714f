//! An errand step by step: what it asks when, and what becomes of answers that nobody waits for.

use super::among::PUT_NOW;
use super::*;
use crate::limits::{IDLE_ERRANDS_MAX, SCATTER_BYTES_MAX};
use crate::path::handoff::{Entry, Handoff, Handoffs, entry_prefix, first_entry};
use crate::path::perform::Performer;
use crate::path::queue::{Store, StoreConfig};
use crate::stats::ShardStats;
use ringway_protocol::reply::Settlement;
use ringway_protocol::request::{self, Put, Range, Take, encode_transfer};
use ringway_protocol::{
    GroupId, HEADER_BYTES, Header, LeaseId, QueueId, QueueOptions, Records, Reply, Request, record,
    reply,
};

const ORIGIN: Origin = Origin { shard: 0, peer: 77, stream: 5, request: 6 };

/// Shard 0 of two, and the other one's ends of the rings.
struct Pair {
    errands: Errands,
    performer: Performer,
    own: Handoffs<()>,
    other: Handoffs<()>,
}

impl Pair {
    fn new() -> Self {
        let config = StoreConfig {
            shard: 0,
            defaults: QueueOptions::default(),
            queues_max: 9,
            leases_max: 9,
            waits_max: 9,
            seed: 1,
        };
        let stats = [ShardStats::default(), ShardStats::default()].into();
        let performer = Performer::new(0, Store::new(config), stats, false);
        let mut ends = Handoffs::connect(2);
        let (other, own) = (ends.pop().expect("two"), ends.pop().expect("two"));
        Self { errands: Errands::default(), performer, own, other }
    }

    fn runner(&mut self) -> Runner<'_, ()> {
        let Self { errands, performer, own, .. } = self;
        Runner { errands, performer, handoffs: own }
    }

    /// What has been asked of the other shard: the peer, the kind, the part.
    fn asked(&mut self) -> Vec<(u64, u8, u32)> {
        self.own.flush(&self.performer.journal, self.performer.stats(), |_| ());
        let mut asked = Vec::new();
        while let Some(Handoff::Requests(batch)) = self.other.next_arrival(0) {
            let mut rest = &batch[..];
            while let Some((Entry { peer, frame, .. }, after)) = first_entry(rest) {
                asked.push((peer, frame.header.kind, frame.header.request));
                rest = after;
            }
        }
        asked
    }

    /// The other shard answers.
    fn answer(&mut self, peer: u64, queue: u64, frame: &[u8]) {
        let mut entry = Vec::new();
        entry_prefix(&mut entry, peer, queue, 0, false);
        entry.extend_from_slice(frame);
        let (entry, _) = first_entry(&entry).expect("one entry");
        self.runner().arrived(1, &entry);
    }

    /// The one reply that goes home.
    fn reply(&mut self) -> Vec<u8> {
        let home = std::mem::take(&mut self.errands.home);
        let (entry, rest) = first_entry(&home).expect("a reply");
        assert!(entry.peer == ORIGIN.peer && rest.is_empty());
        let Header { stream, request, .. } = entry.frame.header;
        assert_eq!((stream, request), (ORIGIN.stream, ORIGIN.request));
        entry.frame_bytes.to_vec()
    }
}

fn frame(bytes: &[u8]) -> Frame<'_> {
    let header = Header::decode(bytes.first_chunk().expect("a header"));
    Frame { header, body: &bytes[HEADER_BYTES..] }
}

fn transfer(from: QueueId, to: QueueId) -> Vec<u8> {
    let (mut bytes, mut records) = (Vec::new(), Vec::new());
    record::write(&mut records, &[], b"result");
    let put = Put::new(to, Records::parse(&records, 1).expect("a record"));
    let range = [Range { first: 0, count: 1 }];
    encode_transfer((from, LeaseId::new(1, 1, 0)), &range, &put, (5, 6), &mut bytes);
    bytes
}

#[test]
fn an_acknowledgement_waits_for_the_commit_of_the_put_on_its_own_shard() {
    let mut pair = Pair::new();
    let (results, _) = pair.performer.store.declare("results", None).expect("room");
    let jobs = QueueId::new(1, 1, 0);
    let begun = pair.runner().begin(ORIGIN, frame(&transfer(jobs, results)));
    let Ok(Begun::UnderWay(errand, Some(_))) = begun else { panic!("{begun:?}") };
    assert!(is_errand(errand) && !is_errand(ORIGIN.peer));
    assert_eq!(pair.performer.store.ready_and_leased(), (1, 0), "the put is done");
    assert_eq!(pair.asked(), [], "but not committed");
    let committed = pair.performer.journal.committed();
    assert!(!pair.errands.have_work(committed) && pair.runner().go_on() == 0);

    pair.performer.journal.commit();
    let committed = pair.performer.journal.committed();
    assert!(pair.errands.have_work(committed) && pair.runner().go_on() == 1);
    assert_eq!(pair.asked(), [(errand, Kind::Ack as u8, u32::MAX)]);
    assert_eq!(pair.errands.let_go, [(ORIGIN.peer, errand)], "later requests may follow it");
    let mut settled = Vec::new();
    let counts = Settlement { settled: 1, ..Settlement::default() };
    reply::settled(&mut settled, Kind::Ack, (0, u32::MAX), counts, &[]);
    pair.answer(errand, 0, &settled);
    assert!(pair.errands.is_empty());
    let reply = pair.reply();
    let Ok(Reply::Transferred(counts, receipt)) = Reply::decode(frame(&reply)) else {
        panic!("{reply:?}");
    };
    assert_eq!((counts.settled, receipt.count), (1, 1));
}

#[test]
fn a_put_elsewhere_was_committed_there() {
    let mut pair = Pair::new();
    let (jobs, _) = pair.performer.store.declare("jobs", None).expect("room");
    let results = QueueId::new(1, 1, 0);
    pair.performer.journal.append();
    let begun = pair.runner().begin(ORIGIN, frame(&transfer(jobs, results)));
    let Ok(Begun::UnderWay(errand, _)) = begun else { panic!("{begun:?}") };
    assert_eq!(pair.asked(), [(errand, PUT_NOW, 0)]);
    let mut stored = Vec::new();
    reply::put(&mut stored, (0, 0), 7, 1, ringway_protocol::Level::Memory);
    pair.answer(errand, 0, &stored);
    let reply = pair.reply();
    let Ok(Reply::Transferred(counts, receipt)) = Reply::decode(frame(&reply)) else {
        panic!("{reply:?}");
    };
    // The lease never was; the queue is here and says so at once.
    assert_eq!((counts.unknown, receipt.first_sequence), (1, 7));
}

fn publish(name: &str, payload: &[u8]) -> Vec<u8> {
    let (mut bytes, mut records) = (Vec::new(), Vec::new());
    record::write(&mut records, &[], payload);
    let records = Records::parse(&records, 1).expect("a record");
    Request::Publish(request::Publish { name, records }).encode(5, 6, &mut bytes);
    bytes
}

/// What is stored here counts until the turn is over, what goes to others until they have answered.
#[test]
fn a_turn_stores_a_bounded_number_of_bytes_for_publishes() {
    let mut pair = Pair::new();
    for number in 0..8 {
        let name = format!("here-{number}");
        let (here, _) = pair.performer.store.declare(&name, None).expect("room");
        pair.performer.bindings.insert(1 + number, here, "here");
        pair.performer.bindings.insert(100 + number, QueueId::new(1, 1, number as u32), "there");
    }
    let payload = [0; 60_000];
    let begin_all = |pair: &mut Pair, name: &str| {
        let bytes = publish(name, &payload);
        let mut begun = Vec::new();
        for _ in 0..99 {
            match pair.runner().begin(ORIGIN, frame(&bytes)).expect("room for it") {
                Begun::UnderWay(errand, _) => begun.push(errand),
                Begun::Later => return begun,
                Begun::Full(shard) => panic!("{shard} has room"),
            }
        }
        panic!("more than a turn may store");
    };
    let (each, bound) = (8 * payload.len(), SCATTER_BYTES_MAX);
    for _ in 0..2 {
        let begun = begin_all(&mut pair, "here").len();
        assert!(begun * each > bound - each && (begun - 1) * each < bound, "{begun}");
        assert!(begin_all(&mut pair, "there").is_empty(), "they have no room left");
        pair.errands.end_turn();
        assert!(!pair.errands.has_spent());
    }
    let begun = begin_all(&mut pair, "there");
    assert!(begun.len() > 1);
    pair.errands.end_turn();
    assert!(begin_all(&mut pair, "here").is_empty(), "the other shard has not answered");
    let mut scattered = Vec::new();
    let header = Header::decode(publish("there", b"").first_chunk().expect("a header"));
    let header =
        Header { kind: among::SCATTER | ringway_protocol::frame::REPLY, request: 0, ..header };
    ringway_protocol::frame::write(&mut scattered, header, |out| {
        [8_u32, 0, 0, 0].iter().for_each(|count| out.extend_from_slice(&count.to_le_bytes()));
    });
    for errand in begun {
        pair.answer(errand, 0, &scattered);
    }
    assert!(pair.errands.is_empty() && pair.errands.has_spent());
    pair.errands.end_turn();
    assert!(!begin_all(&mut pair, "here").is_empty());
}

#[test]
fn those_who_only_wait_leave_room_for_others() {
    let mut errands = Errands::default();
    let mut waiting: Vec<Call> = Vec::new();
    while !errands.is_full(true) {
        let mut call = errands.open(ORIGIN, Kind::Take);
        errands.let_idle(&mut call);
        waiting.push(call);
    }
    assert_eq!(waiting.len(), IDLE_ERRANDS_MAX);
    assert!(!errands.is_full(false), "a transfer has room");
    waiting.drain(..1).for_each(|call| errands.close(call));
    assert!(!errands.is_full(true));
}

#[test]
fn what_is_delivered_to_an_errand_that_has_ended_goes_back() {
    let mut pair = Pair::new();
    let (queue, _) = pair.performer.store.declare("queue", None).expect("room");
    let mut records = Vec::new();
    record::write(&mut records, &[], b"message");
    let records = Records::parse(&records, 1).expect("a record");
    pair.performer.enqueue(queue, records).expect("room");
    let take = Take {
        queue,
        messages_max: 1,
        bytes_max: 0,
        wait_ms: 0,
        lease_ms: 0,
        group: GroupId::DEFAULT,
        acknowledged: false,
    };
    let ended = pair.errands.open(ORIGIN, Kind::Take);
    let (name, slot) = (ended.peer, ended.peer as u32);
    pair.errands.close(ended);
    let next = pair.errands.open(ORIGIN, Kind::Take);
    assert!(next.peer as u32 == slot && next.peer != name, "the slot is used again");
    let lease = pair.performer.dequeue(&take, ORIGIN).expect("a message").lease;
    assert_eq!(pair.performer.store.ready_and_leased(), (0, 1));
    let mut delivery = vec![0; HEADER_BYTES];
    delivery.extend_from_slice(&lease.0.to_le_bytes());
    let header = Header { length: 8, ..Header::request(Kind::Take, 0, 0) };
    delivery[..HEADER_BYTES].copy_from_slice(&header.encode());
    pair.answer(name, queue.0, &delivery);
    assert_eq!(pair.performer.store.ready_and_leased(), (1, 0));
    // A queue of another shard is told there.
    pair.answer(name, QueueId::new(1, 1, 3).0, &delivery);
    pair.own.flush(&pair.performer.journal, pair.performer.stats(), |_| ());
    let told = pair.other.next_arrival(0);
    let expected = QueueId::new(1, 1, 3);
    assert!(matches!(told, Some(Handoff::Undelivered(queue, _)) if queue == expected), "{told:?}");
}
