//! Pushing and holding where numbers are large or memory matters; the rules themselves are cases in
//! `tests/cases/queue`.

mod support;

use ringway_protocol::request::{Put, Subscribe, Take};
use ringway_protocol::{
    Code, FullPolicy, GroupId, QueueId, QueueOptions, Records, Rejection, SubscriptionId,
};
use ringway_shards::path::origin::Origin;
use ringway_shards::path::queue::{Admission, Answer, Asked, Store, StoreConfig, Stored, Taken};

use self::support::{at, figure, record_of, settle};

/// A store, and room for its answers.
struct Desk {
    store: Store,
    taken: Taken,
    stored: Stored,
}

fn asker(peer: u64) -> Origin {
    Origin { shard: 1, peer, stream: 0, request: 7 }
}

fn subscribe(queue: QueueId, messages: u32) -> Subscribe {
    let group = GroupId::DEFAULT;
    Subscribe { queue, group, messages, bytes: 0, batch_max: 0, lease_ms: 0, rate: 0 }
}

impl Desk {
    fn new() -> Self {
        let store = Store::new(StoreConfig {
            shard: 3,
            defaults: QueueOptions::default(),
            queues_max: 10,
            leases_max: 1_000,
            waits_max: 10,
            seed: 1,
        });
        Self { store, taken: Taken::new(), stored: Stored::new() }
    }

    /// A queue that holds what finds no room.
    fn holding(&mut self, options: QueueOptions) -> QueueId {
        let options = QueueOptions { full_policy: FullPolicy::Hold, ..options };
        self.store.declare("q", Some(options)).expect("valid options").0
    }

    fn put_by(
        &mut self,
        peer: u64,
        queue: QueueId,
        payloads: &[Vec<u8>],
    ) -> Result<Admission, Rejection> {
        let bytes: Vec<u8> = payloads.iter().flat_map(|payload| record_of(payload)).collect();
        let records = Records::parse(&bytes, payloads.len() as u32).expect("valid records");
        self.store.put(&Put::new(queue, records), asker(peer), at(0), &mut self.stored)
    }

    fn answer(&mut self) -> Option<Answer> {
        self.store.next_answer(at(0), &mut self.taken, &mut self.stored)
    }

    fn figure(&self, queue: QueueId, column: &str) -> u64 {
        figure(&self.store.stat(queue, at(0)).expect("the queue is there"), column)
    }
}

#[test]
fn held_puts_are_bounded_for_each_asker_and_for_the_shard() {
    let mut desk = Desk::new();
    let queue = desk.holding(QueueOptions { messages_max: 8, ..QueueOptions::default() });
    let batch = vec![vec![7; 60_000]; 8];
    let bytes = batch.iter().map(|payload| record_of(payload).len() as u64).sum::<u64>();
    assert_eq!(desk.put_by(0, queue, &batch), Ok(Admission::Stored));
    let mut held = 0;
    for peer in 1..30 {
        let mut of_peer = 0;
        while desk.put_by(peer, queue, &batch).is_ok() {
            of_peer += bytes;
        }
        assert!(of_peer <= 4 << 20, "{of_peer} bytes for one");
        assert!(held > 0 || of_peer + bytes > 4 << 20, "it has what it may have");
        held += of_peer;
    }
    assert!(held <= 64 << 20 && held + bytes > 64 << 20, "{held} bytes for all");
    assert_eq!(desk.figure(queue, "held_put_bytes"), held);
    assert_eq!(desk.figure(queue, "held_puts"), held / bytes);
    let refused = desk.put_by(99, queue, &batch).map_err(|why| why.code);
    assert_eq!(refused, Err(Code::QueueFull));
    // One that is gone makes room for others, of both bounds.
    desk.store.forget(1, 1, at(0));
    assert_eq!(desk.put_by(99, queue, &batch), Ok(Admission::Held));
    for peer in 2..100 {
        desk.store.forget(1, peer, at(0));
    }
    assert_eq!((desk.figure(queue, "held_puts"), desk.figure(queue, "held_put_bytes")), (0, 0));
    assert_eq!(desk.figure(queue, "puts"), 8);
    assert!(desk.answer().is_none());
}

#[test]
fn a_put_that_may_not_wait_does_not_overtake_a_line() {
    let mut desk = Desk::new();
    let queue = desk.holding(QueueOptions { messages_max: 2, ..QueueOptions::default() });
    assert_eq!(desk.put_by(1, queue, &[vec![1]]), Ok(Admission::Stored));
    assert_eq!(desk.put_by(1, queue, &[vec![2], vec![3]]), Ok(Admission::Held));
    // It would fit.
    let record = record_of(&[4]);
    let put = Put::new(queue, Records::parse(&record, 1).expect("a valid record"));
    let refused = desk.store.put_at_once(&put, at(0), &mut desk.stored).map_err(|why| why.code);
    assert_eq!(refused, Err(Code::QueueFull));
    assert_eq!(desk.figure(queue, "refused"), 1);
    desk.store.purge(queue).expect("the queue is there");
    let answer = desk.answer().expect("there is room");
    assert!(matches!((answer.asked, answer.outcome), (Asked::Put, Ok(()))), "{answer:?}");
    assert_eq!((desk.stored.first_sequence(), desk.stored.count()), (1, 2));
}

#[test]
fn memory_that_a_send_lets_go_of_is_room_for_what_is_held() {
    let mut desk = Desk::new();
    let queue = desk.holding(QueueOptions { bytes_max: 1 << 20, ..QueueOptions::default() });
    while desk.put_by(1, queue, &[vec![7; 10_000]]) == Ok(Admission::Stored) {}
    // All of it is taken for good, and on its way out.
    let take = Take {
        queue,
        messages_max: 4096,
        bytes_max: 0,
        wait_ms: 0,
        lease_ms: 0,
        group: GroupId::DEFAULT,
        acknowledged: true,
    };
    let mut sending = Vec::new();
    while desk.figure(queue, "ready") > 0 {
        desk.store.take(&take, at(0), &mut desk.taken).expect("the queue is there");
        sending.extend(desk.taken.runs.drain(..).map(|run| run.slice));
    }
    assert_eq!((desk.figure(queue, "messages"), desk.figure(queue, "held_puts")), (0, 1));
    assert!(desk.answer().is_none(), "the memory is still in use");
    drop(sending);
    desk.store.expire(at(1));
    let answer = desk.answer().expect("there is room by now");
    assert!(answer.outcome.is_ok(), "{answer:?}");
}

#[test]
fn nothing_is_pushed_to_one_who_is_behind() {
    let mut desk = Desk::new();
    let queue = desk.store.declare("q", None).expect("a valid name").0;
    for peer in [1, 2] {
        desk.store.subscribe(&subscribe(queue, 4), asker(peer), at(0)).expect("room for it");
    }
    desk.store.set_behind(1, 1, true);
    let messages: Vec<_> = (0..8).map(|number| vec![number]).collect();
    desk.put_by(3, queue, &messages).expect("room for it");
    let pushed = |answer: Option<Answer>| answer.map(|answer| answer.origin.peer);
    assert_eq!(pushed(desk.answer()), Some(2));
    assert_eq!(desk.taken.count, 4, "the other one gets all that it may");
    assert_eq!(pushed(desk.answer()), None);
    // What is settled meanwhile gives no more to it than it may have.
    desk.store.set_behind(1, 1, false);
    assert_eq!(pushed(desk.answer()), Some(1));
    assert_eq!(desk.taken.count, 4);
    assert_eq!(pushed(desk.answer()), None);
    desk.store.set_behind(1, 9, true);
}

#[test]
fn the_id_of_a_subscription_is_its_own() {
    let mut desk = Desk::new();
    let queue = desk.store.declare("q", None).expect("a valid name").0;
    let other = desk.store.declare("r", None).expect("a valid name").0;
    let first = desk.store.subscribe(&subscribe(queue, 4), asker(1), at(0)).expect("room");
    assert_eq!((first.shard(), first.generation()), (3, 1));
    let mut end = |queue, id, peer| {
        let ended = desk.store.unsubscribe(queue, id, asker(peer), at(0));
        ended.map_err(|why| why.code)
    };
    assert_eq!(end(other, first, 1), Err(Code::NoSuchLease));
    assert_eq!(end(queue, first, 2), Err(Code::NoSuchLease));
    assert_eq!(end(queue, SubscriptionId::new(1, 3, 9), 1), Err(Code::NoSuchLease));
    assert_eq!(end(queue, first, 1), Ok((0, 256 << 10)));
    assert_eq!(end(queue, first, 1), Err(Code::NoSuchLease));
    let second = desk.store.subscribe(&subscribe(queue, 4), asker(1), at(0)).expect("room");
    assert_eq!((second.slot(), second.generation()), (first.slot(), 2));
    assert_eq!(desk.figure(queue, "subscriptions"), 1);
}

/// However many share a queue and however much comes at a time, each gets as much as any other, in
/// deliveries as large as that allows.
#[test]
fn what_is_ready_is_shared_evenly_and_in_large_pieces() {
    for (consumers, batch) in [(1, 256), (2, 256), (7, 256), (50, 256), (50, 10)] {
        let mut desk = Desk::new();
        let queue = desk.store.declare("q", None).expect("a valid name").0;
        for peer in 0..consumers {
            let wanted = subscribe(queue, 65_536);
            desk.store.subscribe(&wanted, asker(peer), at(0)).expect("room for it");
        }
        let mut got = vec![0_u64; consumers as usize];
        let (mut deliveries, mut room) = (0, Vec::new());
        for _ in 0..100 {
            desk.put_by(99, queue, &vec![vec![1]; batch]).expect("room for it");
            while let Some(answer) = desk.answer() {
                got[answer.origin.peer as usize] += u64::from(desk.taken.count);
                deliveries += 1;
                let all = [(0, desk.taken.count)];
                let settled = settle(queue, desk.taken.lease, &all, &mut room);
                desk.store.ack(&settled, at(0), &mut Vec::new()).expect("it is leased");
            }
        }
        let (least, most) = (got.iter().min(), got.iter().max());
        let apart = most.zip(least).map_or(0, |(most, least)| most - least);
        let uneven = !(batch as u64).is_multiple_of(consumers);
        assert!(apart <= 100 * u64::from(uneven), "{got:?}");
        let one_each = 100 * consumers.min(batch as u64);
        assert_eq!(deliveries, one_each, "{consumers} consumers, batches of {batch}");
    }
}
