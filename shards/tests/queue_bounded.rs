//! What could grow with use instead of with what is held does not: messages set aside for their
//! keys, entries of calendars whose messages are gone, tables of keys.

#[allow(dead_code)]
#[path = "queue_leases/stage.rs"]
mod stage;
mod support;

use ringway_protocol::request::Move;
use ringway_protocol::{Attribute, GroupId, QueueId, QueueOptions};

use self::stage::Stage;

/// Messages that a group sets aside at most.
const ASIDE_MAX: u64 = 65_536;
/// A hundred years.
const CENTURY_MS: u64 = 3_155_760_000_000;
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

/// Runs turns until the store has nothing to do at this moment.
fn settle_down(stage: &mut Stage) {
    let busy = |stage: &Stage| stage.store.next_deadline().is_some_and(|ns| ns <= stage.now.ns);
    for _ in 0..100_000 {
        stage.store.expire(stage.now);
        if !busy(stage) {
            return;
        }
    }
    panic!("it always finds something to do");
}

/// Bytes more that a store holds after so many rounds than after a hundred of them.
fn growth(mut round: impl FnMut(&mut Stage), rounds: usize) -> i64 {
    let mut stage = Stage::new();
    for _ in 0..100 {
        round(&mut stage);
    }
    let counted = allocation_counter::measure(|| {
        for _ in 0..rounds {
            round(&mut stage);
            stage.store.expire(stage.now);
        }
        settle_down(&mut stage);
    });
    counted.bytes_current
}

#[test]
fn a_message_that_was_acknowledged_leaves_no_time_to_live_behind() {
    let grown = growth(
        |stage| {
            let queue = stage.declare("q", QueueOptions::default());
            stage.put_with(queue, &[("x", &[Attribute::TimeToLiveMs(CENTURY_MS)])]);
            let (lease, _) = stage.take(queue, 1);
            stage.ack(queue, lease, &[(0, 1)]);
        },
        50_000,
    );
    assert!(grown < KEPT_BYTES_MAX, "{grown} bytes");
}

#[test]
fn a_message_that_was_removed_or_deleted_leaves_no_delay_behind() {
    for removes in [true, false] {
        let grown = growth(
            |stage| {
                let queue = stage.declare("q", QueueOptions::default());
                stage.put_with(queue, &[("x", &[Attribute::DelayMs(CENTURY_MS)])]);
                let first = 8 << 60 | (stage.figure(queue, "puts") - 1);
                match removes {
                    true => drop(stage.store.remove(queue, [first].into_iter()).unwrap()),
                    false => assert_eq!(stage.store.delete(queue), Ok(1)),
                }
            },
            50_000,
        );
        assert!(grown < KEPT_BYTES_MAX, "{grown} bytes, removed: {removes}");
    }
}

#[test]
fn one_message_held_in_each_segment_keeps_no_times_of_its_neighbours() {
    let mut stage = Stage::new();
    let queue = stage.declare("q", QueueOptions::default());
    let batch = [("x", &[Attribute::TimeToLiveMs(CENTURY_MS)][..]); 1_000];
    let counted = allocation_counter::measure(|| {
        for _ in 0..200 {
            stage.put_with(queue, &batch);
            let (lease, messages) = stage.take(queue, 1_000);
            assert_eq!(messages.len(), 1_000);
            stage.ack(queue, lease, &[(1, 999)]);
            stage.store.expire(stage.now);
        }
        settle_down(&mut stage);
    });
    assert_eq!(stage.figure(queue, "messages"), 200);
    let held = stage.figure(queue, "held_bytes") as i64;
    let beyond = counted.bytes_current - held;
    // What segments keep of their messages beside the records is no more than this.
    assert!(beyond < 2 * KEPT_BYTES_MAX, "{beyond} bytes beyond {held}");
}

#[test]
fn a_deleted_queue_takes_its_times_with_it() {
    let round = |stage: &mut Stage, traits: &[Attribute<'_>]| {
        let queue = stage.declare("q", QueueOptions::default());
        let batch = vec![("x", traits); 1_000];
        (0..300).for_each(|_| stage.put_with(queue, &batch));
        assert_eq!(stage.store.delete(queue), Ok(300_000));
        settle_down(stage);
    };
    let mut stage = Stage::new();
    // The pool of segments has what it may have after this.
    round(&mut stage, &[Attribute::Header { name: "name", value: b"value" }]);
    let counted = allocation_counter::measure(|| {
        round(&mut stage, &[Attribute::DelayMs(CENTURY_MS)]);
        round(&mut stage, &[Attribute::Header { name: "name", value: b"value" }]);
    });
    let grown = counted.bytes_current;
    assert!(grown < KEPT_BYTES_MAX, "{grown} bytes");
}

#[test]
fn times_that_are_still_to_come_outlive_those_that_are_given_up() {
    let mut stage = Stage::new();
    let queue = stage.declare("q", QueueOptions::default());
    let other = stage.declare("other", QueueOptions::default());
    let names: Vec<String> = (0..20_000_u64).map(|number| number.to_string()).collect();
    for (number, name) in names.iter().enumerate() {
        // From 10 s to an hour.
        let delay_ms = 10_000 + (number as u64 * 7_919) % 3_590_000;
        stage.put_with(queue, &[(name, &[Attribute::DelayMs(delay_ms)])]);
        for _ in 0..3 {
            stage.put_with(other, &[("x", &[Attribute::TimeToLiveMs(delay_ms)])]);
        }
        let (lease, _) = stage.take(other, 3);
        stage.ack(other, lease, &[(0, 3)]);
        if number % 50 == 0 {
            stage.store.expire(stage.now);
        }
    }
    settle_down(&mut stage);
    let mut seen = 0;
    for second in 0..=3_601 {
        let due: u64 = (0..20_000)
            .map(|number| 10_000 + (number * 7_919) % 3_590_000)
            .filter(|delay_ms| *delay_ms + 2 <= second * 1_000)
            .count() as u64;
        if second % 100 == 0 {
            stage.now.ns = second * 1_000_000_000;
            settle_down(&mut stage);
            let ready = stage.figure(queue, "ready");
            assert!(ready >= due, "{ready} of {due} are there after {second} s");
            seen = ready;
        }
    }
    assert!(seen > 19_000);
    assert_eq!(stage.figures(queue, ["scheduled", "messages"])[1], 20_000);
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
