//! What ends together ends over several turns: none does more than its share.

use ringway_protocol::request::{GroupFlags, Start, Subscribe};
use ringway_protocol::{GroupId, LeaseId, QueueId, QueueOptions};
use ringway_shards::limits::{
    BURIALS_PER_CALL_MAX, COMING_BACK_PER_CALL_MAX, ENDINGS_PER_CALL_MAX, TIMERS_PER_CALL_MAX,
};
use ringway_shards::path::origin::Origin;
use ringway_shards::path::queue::{Stored, Taken};

use crate::stage::Stage;

/// Messages of the largest lease.
const LEASE: u32 = 4_096;
/// The most that one turn may bring back: what it may, and one lease that it had begun.
const TURN_MAX: u64 = (COMING_BACK_PER_CALL_MAX + LEASE) as u64;

/// Takes leases of so many messages each.
fn leased(stage: &mut Stage, options: QueueOptions, sizes: &[u32]) -> (QueueId, Vec<LeaseId>) {
    let queue = stage.declare("q", options);
    let most = *sizes.iter().max().expect("some leases");
    let batch = vec!["x"; most as usize];
    let leases = sizes.iter().map(|size| {
        stage.put(queue, &batch[..*size as usize]);
        let (lease, messages) = stage.take(queue, *size);
        assert_eq!(messages.len(), *size as usize);
        lease
    });
    (queue, leases.collect())
}

/// Runs turns at one moment until `column` is 0; the most that one turn took of it.
fn turns(stage: &mut Stage, queue: QueueId, column: &str) -> (u64, usize) {
    let (mut most, mut turns) = (0, 0);
    loop {
        let before = stage.figure(queue, column);
        if before == 0 {
            return (most, turns);
        }
        let due_ns = stage.store.next_deadline().expect("there is more to do");
        assert!(due_ns <= stage.now.ns, "the shard does not sleep meanwhile");
        stage.store.expire(stage.now);
        most = most.max(before - stage.figure(queue, column));
        turns += 1;
        assert!(turns < 10_000, "it goes on");
    }
}

#[test]
fn leases_that_run_out_together_end_over_several_turns() {
    let mut stage = Stage::new();
    let options = QueueOptions { lease_ms: 1_000, ..QueueOptions::default() };
    let sizes = [LEASE; 40];
    let (queue, _) = leased(&mut stage, options, &sizes);
    stage.now.ns += 2_000_000_000;
    let (most, turns) = turns(&mut stage, queue, "leased");
    assert!(most <= TURN_MAX && turns >= 20, "{most} messages in one of {turns} turns");
    let all = u64::from(LEASE) * 40;
    assert_eq!(stage.figures(queue, ["ready", "expired_leases"]), [all, 40]);
}

#[test]
fn many_small_leases_are_bounded_by_their_number() {
    let mut stage = Stage::new();
    let options = QueueOptions { lease_ms: 1_000, ..QueueOptions::default() };
    let (queue, _) = leased(&mut stage, options, &[1; 5_000]);
    stage.now.ns += 2_000_000_000;
    let (most, _) = turns(&mut stage, queue, "leased");
    assert!(most <= TIMERS_PER_CALL_MAX as u64, "{most} in one turn");
    assert_eq!(stage.figure(queue, "ready"), 5_000);
}

#[test]
fn delays_that_end_together_are_over_in_several_turns() {
    let mut stage = Stage::new();
    let (queue, leases) = leased(&mut stage, QueueOptions::default(), &[LEASE; 20]);
    for lease in leases {
        assert_eq!(stage.nack_for(queue, lease, &[(0, LEASE)], 500), LEASE);
    }
    stage.now.ns += 1_000_000_000;
    let (most, turns) = turns(&mut stage, queue, "delayed");
    assert!(most <= TURN_MAX && turns >= 10, "{most} messages in one of {turns} turns");
    assert_eq!(stage.figure(queue, "ready"), u64::from(LEASE) * 20);
}

#[test]
fn leases_whose_messages_all_die_end_over_several_turns() {
    let mut stage = Stage::new();
    let options = QueueOptions { lease_ms: 1_000, deliveries_max: 1, ..QueueOptions::default() };
    let (queue, _) = leased(&mut stage, options, &[LEASE, 10, LEASE, LEASE, 7]);
    stage.now.ns += 2_000_000_000;
    let (most, turns) = turns(&mut stage, queue, "leased");
    assert!(most <= TURN_MAX && turns >= 2, "{most} messages in one of {turns} turns");
    let dead = stage.store.open("q.dead").expect("it was made");
    while stage.figure(queue, "messages") > 0 {
        let before = stage.figure(dead, "ready");
        stage.now.ns += 2_000_000;
        stage.store.expire(stage.now);
        let made = stage.figure(dead, "ready") - before;
        assert!((1..=u64::from(BURIALS_PER_CALL_MAX)).contains(&made), "{made} in one turn");
    }
    assert_eq!(stage.figure(dead, "ready"), 3 * u64::from(LEASE) + 17);
}

#[test]
fn a_lease_that_dies_is_buried_over_several_turns() {
    let mut stage = Stage::new();
    let options = QueueOptions { deliveries_max: 1, ..QueueOptions::default() };
    let queue = stage.declare("q", options);
    let payloads: Vec<String> = (0..LEASE).map(|number| number.to_string()).collect();
    let batch: Vec<&str> = payloads.iter().map(String::as_str).collect();
    stage.put(queue, &batch);
    let (lease, _) = stage.take(queue, LEASE);
    assert_eq!(stage.nack(queue, lease, &[(0, LEASE)]), LEASE);
    let (mut buried, mut calls) = (0, 0);
    while buried < u64::from(LEASE) {
        let [dead, delayed] = stage.figures(queue, ["dead_lettered", "delayed"]);
        assert!(dead - buried <= u64::from(BURIALS_PER_CALL_MAX), "{dead} after {buried}");
        calls += 1;
        assert!(calls < 100, "{dead} so far");
        assert_eq!(delayed, u64::from(LEASE) - dead, "the others are in no consumer's hands");
        assert!(stage.payloads(queue, 1).is_empty());
        buried = dead;
        stage.now.ns += 2_000_000;
        stage.store.expire(stage.now);
    }
    let dead = stage.store.open("q.dead").expect("it was made");
    assert_eq!(stage.payloads(dead, LEASE), payloads, "in their order");
    assert_eq!(stage.figure(queue, "messages"), 0);
}

#[test]
fn messages_that_a_full_dead_letter_queue_refuses_wait_together() {
    let mut stage = Stage::new();
    let options = QueueOptions { deliveries_max: 1, ..QueueOptions::default() };
    let queue = stage.declare("q", options);
    let narrow = QueueOptions { messages_max: 3, deliveries_max: 0, ..QueueOptions::default() };
    let dead = stage.declare("q.dead", narrow);
    stage.put(queue, &["x"; LEASE as usize]);
    let (lease, _) = stage.take(queue, LEASE);
    assert_eq!(stage.nack(queue, lease, &[(0, LEASE)]), LEASE);
    let refused = u64::from(LEASE) - 3;
    let columns = ["dead_lettered", "delayed", "dead_letters_refused"];
    assert_eq!(stage.figures(queue, columns), [3, refused, refused]);
    assert_eq!(stage.figure(dead, "refused"), refused);
    stage.advance(1_100);
    assert_eq!(stage.figures(queue, ["ready", "delayed"]), [refused, 0]);
}

/// Who asks.
fn asker(peer: u64) -> Origin {
    Origin { shard: 0, peer, stream: 0, request: 0 }
}

/// Has a group's messages pushed to a peer, one in each delivery.
fn subscribe(stage: &mut Stage, (queue, group): (QueueId, GroupId), peer: u64) {
    let wanted =
        Subscribe { queue, group, messages: 65_536, bytes: 0, batch_max: 1, lease_ms: 0, rate: 0 };
    stage.store.subscribe(&wanted, asker(peer), stage.now).expect("room for it");
}

/// Pushes all that can be: how many messages, and to whom the first.
fn push(stage: &mut Stage) -> (u32, Option<u64>) {
    let (mut taken, mut stored, mut count, mut first) = (Taken::new(), Stored::new(), 0, None);
    while let Some(answer) = stage.store.next_answer(stage.now, &mut taken, &mut stored) {
        count += taken.count;
        first = first.or(Some(answer.origin.peer));
    }
    (count, first)
}

#[test]
fn what_was_pushed_to_a_connection_that_ends_comes_back_over_several_turns() {
    let mut stage = Stage::new();
    let queue = stage.declare("q", QueueOptions::default());
    (0..5).for_each(|_| subscribe(&mut stage, (queue, GroupId::DEFAULT), 1));
    stage.put(queue, &["x"; 8_000]);
    assert_eq!(push(&mut stage), (8_000, Some(1)));
    stage.store.forget(0, 1, stage.now);
    assert_eq!(stage.figure(queue, "subscriptions"), 0);
    let back = stage.figure(queue, "ready");
    assert!(back <= u64::from(2 * ENDINGS_PER_CALL_MAX), "{back} at once");
    let (most, turns) = turns(&mut stage, queue, "leased");
    let per_turn = u64::from(ENDINGS_PER_CALL_MAX);
    let enough = (8_000_u64.div_ceil(per_turn)) as usize;
    assert!(most <= per_turn && turns <= enough, "{most} messages in one of {turns} turns");
    assert_eq!(stage.figure(queue, "ready"), 8_000);
    assert!(stage.store.next_deadline().is_none_or(|at_ns| at_ns > stage.now.ns));
}

#[test]
fn nobody_takes_over_before_all_that_was_pushed_is_back() {
    let mut stage = Stage::new();
    let queue = stage.declare("q", QueueOptions::default());
    let flags = GroupFlags { single_active: true, ..GroupFlags::default() };
    let start = Start::Earliest;
    let (group, _) =
        stage.store.create_group(queue, "one", start, flags, stage.now).expect("room for it");
    subscribe(&mut stage, (queue, group), 1);
    subscribe(&mut stage, (queue, group), 2);
    stage.put(queue, &["x"; 3_000]);
    assert_eq!(push(&mut stage), (3_000, Some(1)));
    stage.store.forget(0, 1, stage.now);
    while stage.figure(queue, "leased") > 0 {
        assert_eq!(push(&mut stage), (0, None), "the oldest may not be back yet");
        stage.store.expire(stage.now);
    }
    assert_eq!(push(&mut stage), (3_000, Some(2)));
}
