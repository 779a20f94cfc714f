//! What could grow with use instead of with what is held does not: messages set aside for their
//! keys, tables of keys.

#[allow(dead_code)]
#[path = "queue_leases/stage.rs"]
mod stage;
mod support;

use ringway_protocol::request::Move;
use ringway_protocol::{Attribute, GroupId, QueueId, QueueOptions};

use self::stage::Stage;

/// Messages that a group sets aside at most.
const ASIDE_MAX: u64 = 65_536;
/// What a store may keep for what comes next.
const KEPT_BYTES_MAX: i64 = 1 << 20;

/// Puts so many messages of one key.
fn put_of_one_key(stage: &mut Stage, queue: QueueId, thousands: usize) {
    let batch = [("x", &[Attribute::Key(b"k")][..]); 1_000];
    (0..thousands).for_each(|_| stage.put_with(queue, &batch));
}

fn unlimited() -> QueueOptions {
    QueueOptions { deliveries_max: 0, lease_ms: 1_000, ..QueueOptions::default() }
}

#[test]
fn a_group_goes_on_with_a_key_when_it_has_set_aside_as_many_as_it_may() {
    let mut stage = Stage::new();
    let queue = stage.declare("q", unlimited());
    put_of_one_key(&mut stage, queue, 70);
    let (mut lease, messages) = stage.take(queue, 256);
    assert_eq!(messages.len(), 1);
    let mut before = 0;
    while stage.figure(queue, "blocked") > before {
        before = stage.figure(queue, "blocked");
        assert!(stage.take(queue, 256).1.is_empty());
    }
    assert_eq!(stage.figure(queue, "blocked"), ASIDE_MAX);
    for round in 0..300 {
        match round % 3 {
            0 => assert_eq!(stage.ack(queue, lease, &[(0, 1)]).settled, 1),
            1 => assert_eq!(stage.nack(queue, lease, &[(0, 1)]), 1),
            _ => stage.advance(1_100),
        }
        let (next, messages) = stage.take(queue, 256);
        assert_eq!(messages.len(), 1, "the next one comes, in round {round}");
        assert!(stage.figure(queue, "blocked") <= ASIDE_MAX);
        lease = next;
    }
    assert_eq!(stage.figure(queue, "acks"), 100);
}

#[test]
fn a_move_sets_no_more_aside_and_ends() {
    let mut stage = Stage::new();
    let queue = stage.declare("q", unlimited());
    let to = stage.declare("other", unlimited());
    put_of_one_key(&mut stage, queue, 70);
    let (lease, _) = stage.take(queue, 1);
    let (from, group) = (queue, GroupId::DEFAULT);
    let all = Move { from, to: Some(to), group, limit: 4_096, redrive: false, filter: None };
    let moves = |stage: &mut Stage| {
        (0..200).find(|_| !stage.store.move_messages(&all, stage.now).unwrap().more)
    };
    assert!(moves(&mut stage).is_some(), "a move says when it can do no more");
    assert_eq!(stage.figure(queue, "blocked"), ASIDE_MAX);
    assert_eq!(stage.ack(queue, lease, &[(0, 1)]).settled, 1);
    assert!(moves(&mut stage).is_some());
    assert_eq!(stage.figures(queue, ["messages", "blocked"]), [0, 0]);
    assert_eq!(stage.figure(to, "messages"), 69_999);
}

#[test]
fn an_empty_queue_gives_the_tables_of_its_keys_back() {
    let mut stage = Stage::new();
    let queue = stage.declare("q", QueueOptions::default());
    let names: Vec<String> = (0..200_000).map(|number| format!("{number}")).collect();
    let mut round = |names: &[String], keyed: bool| {
        for names in names.chunks(1_000) {
            let traits = names.iter().map(|name| match (name.as_bytes(), keyed) {
                (key, true) => [Attribute::Key(key)],
                (value, false) => [Attribute::Header { name: "name", value }],
            });
            let traits: Vec<_> = traits.collect();
            let batch: Vec<_> = traits.iter().map(|traits| ("x", &traits[..])).collect();
            stage.put_with(queue, &batch);
        }
        loop {
            let (lease, messages) = stage.take(queue, 1_000);
            if messages.is_empty() {
                return;
            }
            stage.ack(queue, lease, &[(0, messages.len() as u32)]);
        }
    };
    // The pool of segments has what it may have after this.
    round(&names, false);
    round(&names[..2_000], true);
    let grown = allocation_counter::measure(|| round(&names, true)).bytes_current;
    assert!(grown < 4 * KEPT_BYTES_MAX, "{grown} bytes");
    round(&names[..2_000], true);
    assert_eq!(stage.figures(queue, ["messages", "blocked", "leased"]), [0, 0, 0]);
}
