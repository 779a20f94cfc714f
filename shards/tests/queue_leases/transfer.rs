//! Acknowledging and putting together, or neither; leases that last longer.

use proptest::prelude::*;
use ringway_protocol::{Code, FullPolicy, LeaseId, QueueOptions};

use crate::stage::Stage;

/// What can be seen of a queue.
const SEEN: [&str; 8] =
    ["ready", "leased", "messages", "live_bytes", "puts", "acks", "dropped", "dead_lettered"];

proptest! {
    /// Ranges of any kind, queues of any room: everything happens, or nothing.
    #[test]
    fn a_transfer_is_whole_or_nothing(
        messages in 1_u32..150,
        settled in prop::collection::vec((0_u32..150, 1_u32..9), 0..3),
        ranges in prop::collection::vec((0_u32..160, 1_u32..20), 1..5),
        room in 0_u64..4,
        results in 1_usize..4,
        drops in any::<bool>(),
    ) {
        let mut stage = Stage::new();
        let jobs = stage.declare("jobs", QueueOptions::default());
        let full_policy = if drops { FullPolicy::DropOldest } else { FullPolicy::Reject };
        let options = QueueOptions { messages_max: 3, full_policy, ..QueueOptions::default() };
        let done = stage.declare("done", options);
        stage.put(jobs, &vec!["job"; messages as usize]);
        (room..3).for_each(|_| stage.put(done, &["before"]));
        let (lease, _) = stage.take(jobs, messages);
        let mut left: Vec<bool> = vec![true; messages as usize];
        for (first, count) in settled {
            stage.ack(jobs, lease, &[(first, count)]);
            left.iter_mut().skip(first as usize).take(count as usize).for_each(|at| *at = false);
        }
        let mut live = left.contains(&true);
        for (first, count) in &ranges {
            for at in *first..first + count {
                let here = left.get_mut(at as usize);
                live &= here.is_some_and(|left| std::mem::replace(left, false));
            }
        }
        let before = (stage.figures(jobs, SEEN), stage.figures(done, SEEN));
        let fits = drops || results as u64 <= room;
        let outcome = stage.transfer((jobs, lease, &ranges), done, &vec!["result"; results]);
        let after = (stage.figures(jobs, SEEN), stage.figures(done, SEEN));
        let named: u32 = ranges.iter().map(|(_, count)| count).sum();
        match (live, fits) {
            (false, _) => prop_assert_eq!((outcome, after), (Err(Code::Stale), before)),
            (true, false) => prop_assert_eq!((outcome, after), (Err(Code::QueueFull), before)),
            (true, true) => {
                prop_assert_eq!(outcome, Ok(named));
                let acks = SEEN.iter().position(|column| *column == "acks").unwrap();
                prop_assert_eq!(after.0[acks] - before.0[acks], u64::from(named));
                prop_assert_eq!(stage.figure(done, "puts"), 3 - room + results as u64);
                let again = stage.transfer((jobs, lease, &ranges), done, &["result"]);
                prop_assert_eq!(again, Err(Code::Stale), "once");
            }
        }
    }
}

#[test]
fn a_full_queue_that_holds_refuses_the_put_of_a_transfer() {
    let mut stage = Stage::new();
    let jobs = stage.declare("jobs", QueueOptions::default());
    let full_policy = FullPolicy::Hold;
    let options = QueueOptions { messages_max: 1, full_policy, ..QueueOptions::default() };
    let done = stage.declare("done", options);
    stage.put(jobs, &["job"]);
    stage.put(done, &["before"]);
    let (lease, _) = stage.take(jobs, 1);
    assert_eq!(stage.transfer((jobs, lease, &[(0, 1)]), done, &["x"]), Err(Code::QueueFull));
    assert_eq!(stage.figures(jobs, ["leased", "acks"]), [1, 0]);
}

#[test]
fn an_extended_lease_keeps_its_messages_until_then() {
    let mut stage = Stage::new();
    let queue = stage.declare("q", QueueOptions { lease_ms: 100, ..QueueOptions::default() });
    stage.put(queue, &["a", "b", "c"]);
    let (lease, _) = stage.take(queue, 3);
    stage.advance(90);
    stage.ack(queue, lease, &[(1, 1)]);
    assert_eq!(stage.store.extend(queue, lease, 5_000, stage.now).unwrap(), (5_000, 2));
    stage.advance(4_990);
    assert_eq!(stage.figures(queue, ["leased", "ready"]), [2, 0]);
    assert_eq!(stage.store.extend(queue, lease, 0, stage.now).unwrap(), (100, 2), "the queue's");
    stage.advance(103);
    assert_eq!(stage.figures(queue, ["leased", "ready", "expired_leases"]), [0, 2, 1]);
    for (lease, lease_ms, code) in [
        (lease, 0, Code::NoSuchLease),
        (LeaseId::NONE, 0, Code::NoSuchLease),
        (lease, u32::MAX, Code::InvalidOption),
    ] {
        let refusal = stage.store.extend(queue, lease, lease_ms, stage.now).unwrap_err();
        assert_eq!(refusal.code, code);
    }
    let (lease, _) = stage.take(queue, 2);
    stage.ack(queue, lease, &[(0, 2)]);
    assert!(stage.store.next_deadline().is_some(), "its timer waits for the next lease");
    stage.advance(5_000);
    assert_eq!(stage.store.next_deadline(), None, "no timer stays behind");
}
