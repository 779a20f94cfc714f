//! Random commands with time moving, against a naive model: every outcome, every byte, every
//! figure.

mod support;

use proptest::prelude::*;
use ringway_protocol::request::Take;
use ringway_protocol::{FullPolicy, GroupId, QueueOptions};

use self::support::pair::Pair;
use self::support::{at, figure};

const NAMES: [&str; 4] = ["a", "b", "a.dead", "c"];

#[derive(Clone, Debug)]
enum Op {
    Declare { name: usize, options: Option<QueueOptions> },
    Put { name: usize, sizes: Vec<usize> },
    Take { name: usize, messages: u32, bytes: u32, lease_ms: u32, acknowledged: bool, pin: bool },
    Wait { name: usize, messages: u32, wait_ms: u32, asker: u64, acknowledged: bool },
    Settle { back: usize, ranges: Vec<(u32, u32)>, whole: bool, nack: bool },
    Release { back: usize },
    Pass { ms: u64 },
    Answers,
    Purge { name: usize },
    Delete { name: usize },
    Forget { asker: u64 },
    Unpin,
}

fn options() -> impl Strategy<Value = QueueOptions> {
    (prop_oneof![1_u64..40, Just(10_000)], 1_u64..4, 1_u32..3_000, 0_u32..4, any::<bool>())
        .prop_map(|(messages_max, mib, lease_ms, deliveries_max, drops)| QueueOptions {
            messages_max,
            bytes_max: mib << 20,
            lease_ms,
            deliveries_max,
            wait_max_ms: 5_000,
            full_policy: if drops { FullPolicy::DropOldest } else { FullPolicy::Reject },
            ..QueueOptions::default()
        })
}

fn op() -> impl Strategy<Value = Op> {
    let size = prop_oneof![6 => 0_usize..300, 2 => 300_usize..9_000, 1 => 9_000_usize..65_000];
    let name = 0..NAMES.len();
    let back = prop_oneof![3 => 0_usize..4, 1 => 0_usize..40];
    let ranges = prop::collection::vec((0_u32..12, 1_u32..8), 1..6);
    let take = (name.clone(), 1_u32..20, 0_u32..40_000, 0_u32..2_000, any::<bool>(), any::<bool>());
    let wait = (name.clone(), 1_u32..6, 0_u32..6_000, 0_u64..3, any::<bool>());
    prop_oneof![
        2 => (name.clone(), prop::option::of(options()))
            .prop_map(|(name, options)| Op::Declare { name, options }),
        10 => (name.clone(), prop::collection::vec(size, 1..24))
            .prop_map(|(name, sizes)| Op::Put { name, sizes }),
        10 => take.prop_map(|(name, messages, bytes, lease_ms, acknowledged, pin)| {
            // A take in four is acknowledged at once, one in two keeps its slices.
            let acknowledged = acknowledged && messages % 2 == 0;
            Op::Take { name, messages, bytes, lease_ms, acknowledged, pin }
        }),
        4 => wait.prop_map(|(name, messages, wait_ms, asker, acknowledged)| {
            Op::Wait { name, messages, wait_ms, asker, acknowledged }
        }),
        12 => (back.clone(), ranges, any::<bool>(), any::<bool>())
            .prop_map(|(back, ranges, whole, nack)| Op::Settle { back, ranges, whole, nack }),
        1 => back.prop_map(|back| Op::Release { back }),
        5 => prop_oneof![0_u64..20, 20_u64..4_000].prop_map(|ms| Op::Pass { ms }),
        5 => Just(Op::Answers),
        1 => name.clone().prop_map(|name| Op::Purge { name }),
        1 => name.prop_map(|name| Op::Delete { name }),
        1 => (0_u64..3).prop_map(|asker| Op::Forget { asker }),
        2 => Just(Op::Unpin),
    ]
}

/// Carries a command out on both sides, then compares everything.
fn run(pair: &mut Pair, op: Op) {
    match op {
        Op::Declare { name, options } => pair.declare(NAMES[name], options),
        Op::Put { name, sizes } => pair.put(NAMES[name], &sizes),
        Op::Take { name, messages, bytes, lease_ms, acknowledged, pin } => {
            let queue = pair.queue(NAMES[name]);
            let (messages_max, bytes_max) = (messages, bytes);
            let (wait_ms, group) = (0, GroupId::DEFAULT);
            let take =
                Take { queue, messages_max, bytes_max, wait_ms, lease_ms, group, acknowledged };
            pair.take(&take, pin);
        }
        Op::Wait { name, messages, wait_ms, asker, acknowledged } => {
            let queue = pair.queue(NAMES[name]);
            let (messages_max, lease_ms, group) = (messages, 50 * messages, GroupId::DEFAULT);
            pair.wait(
                Take { queue, messages_max, bytes_max: 0, wait_ms, lease_ms, group, acknowledged },
                asker,
            );
        }
        Op::Settle { back, ranges, whole, nack } => pair.settle(back, ranges, whole, nack),
        Op::Release { back } => pair.release(back),
        Op::Pass { ms } => pair.pass(ms),
        Op::Answers => pair.answers(),
        Op::Purge { name } => pair.purge(NAMES[name]),
        Op::Delete { name } => pair.delete(NAMES[name]),
        Op::Forget { asker } => {
            pair.store.forget(1, asker);
            pair.model.forget(asker);
        }
        Op::Unpin => drop(pair.pins.pop()),
    }
    pair.compare();
}

proptest! {
    #[test]
    fn the_store_agrees_with_the_model(
        start_ns in prop_oneof![Just(0_u64), any::<u32>().prop_map(|hour| u64::from(hour) << 20)],
        ops in prop::collection::vec(op(), 1..160),
    ) {
        let mut pair = Pair::new(start_ns);
        pair.declare("a", None);
        ops.into_iter().for_each(|op| run(&mut pair, op));
        pair.answers();
    }
}

/// What becomes of a lease in the test below.
#[derive(Clone, Debug)]
enum Fate {
    /// Some of it is acknowledged, the rest runs out.
    Scattered(Vec<(u32, u32)>),
    /// Some of it is given back.
    GivenBack(Vec<(u32, u32)>),
    Whole,
    Forgotten,
}

fn fate() -> impl Strategy<Value = Fate> {
    let ranges = || prop::collection::vec((0_u32..30, 1_u32..12), 1..8);
    prop_oneof![
        5 => ranges().prop_map(Fate::Scattered),
        1 => ranges().prop_map(Fate::GivenBack),
        3 => Just(Fate::Whole),
        1 => Just(Fate::Forgotten),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Enough messages that segments are compacted, and compacted again, under leases that still
    /// refer to them.
    #[test]
    fn compaction_changes_nothing_but_held_bytes(
        batches in prop::collection::vec(prop::collection::vec(1_usize..1_200, 30..60), 40..80),
        takes in prop::collection::vec(
            (
                prop_oneof![4 => 1_u32..32, 1 => 32_u32..400],
                prop_oneof![Just(0_u32), 1_u32..200_000],
            ),
            8..20,
        ),
        fates in prop::collection::vec(fate(), 50..100),
    ) {
        let mut pair = Pair::new(0);
        let options =
            QueueOptions { bytes_max: 7 << 20, deliveries_max: 0, ..QueueOptions::default() };
        pair.declare("a", Some(options));
        batches.iter().for_each(|sizes| pair.put("a", sizes));
        let queue = pair.queue("a");
        let take = |(messages_max, bytes_max)| Take {
            queue,
            group: GroupId::DEFAULT,
            messages_max,
            bytes_max,
            wait_ms: 0,
            lease_ms: 0,
            acknowledged: false,
        };
        for round in 0..4 {
            let first = pair.leases();
            for limits in takes.iter().cycle() {
                if pair.store.ready_and_leased().0 == 0 {
                    break;
                }
                pair.take(&take(*limits), false);
            }
            let leases = pair.leases();
            for (back, fate) in (0..leases - first).zip(fates.iter().cycle().skip(round * 7)) {
                match fate.clone() {
                    Fate::Scattered(ranges) => pair.settle(back, ranges, false, false),
                    Fate::GivenBack(ranges) => pair.settle(back, ranges, false, true),
                    Fate::Whole => pair.settle(back, Vec::new(), true, false),
                    Fate::Forgotten => {}
                }
                if back % 16 == 0 {
                    pair.compare();
                    let row = pair.store.stat(queue, at(0)).unwrap();
                    let (held, live) = (figure(&row, "held_bytes"), figure(&row, "live_bytes"));
                    let segments = 3 * (128 << 10);
                    prop_assert!(2 * held <= 3 * live + 2 * segments, "{held} held for {live}");
                }
            }
            pair.pass(31_000);
            pair.compare();
        }
        while pair.store.ready_and_leased().0 > 0 {
            pair.take(&Take { acknowledged: true, ..take((4_096, 0)) }, false);
        }
        // Dead segments go back a few a turn, once nothing refers to them.
        (0..20).for_each(|_| pair.pass(0));
        let held = figure(&pair.store.stat(queue, at(0)).unwrap(), "held_bytes");
        prop_assert_eq!(held, 0, "an empty queue holds nothing");
    }
}
