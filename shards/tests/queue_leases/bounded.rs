//! What ends together ends over several turns: none does more than its share.

use ringway_protocol::{LeaseId, QueueId, QueueOptions};
use ringway_shards::limits::{COMING_BACK_PER_TURN_MAX, TIMERS_PER_TURN_MAX};

use crate::stage::Stage;

/// Messages of the largest lease.
const LEASE: u32 = 4_096;
/// The most that one turn may bring back: what it may, and one lease that it had begun.
const TURN_MAX: u64 = (COMING_BACK_PER_TURN_MAX + LEASE) as u64;

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
    assert!(most <= TIMERS_PER_TURN_MAX as u64, "{most} in one turn");
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
    assert_eq!(stage.figure(dead, "ready"), 3 * u64::from(LEASE) + 17);
}
