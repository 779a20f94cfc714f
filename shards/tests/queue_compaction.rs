//! Settling in any order lets segments be compacted, under leases that still refer to them: nothing
//! changes but the bytes held, which stay within 1.5 times the live ones and three segments.

mod support;

use proptest::prelude::*;

use self::support::pair::Pair;

/// What becomes of a lease.
#[derive(Clone, Debug)]
enum Fate {
    /// Some of it is acknowledged, the rest runs out.
    Scattered(String),
    /// Some of it is given back.
    GivenBack(String),
    Whole,
    Forgotten,
}

fn fate() -> impl Strategy<Value = Fate> {
    let range = (0_u32..30, 1_u32..12).prop_map(|(first, count)| format!("{first}+{count}"));
    let ranges = prop::collection::vec(range, 1..8).prop_map(|ranges| ranges.join(" "));
    prop_oneof![
        5 => ranges.clone().prop_map(Fate::Scattered),
        1 => ranges.prop_map(Fate::GivenBack),
        3 => Just(Fate::Whole),
        1 => Just(Fate::Forgotten),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    /// Enough messages that segments are compacted, and compacted again.
    #[test]
    fn compaction_changes_nothing_but_held_bytes(
        batches in prop::collection::vec(prop::collection::vec(4_usize..1_200, 30..60), 40..80),
        takes in prop::collection::vec(
            (prop_oneof![4 => 1_u32..32, 1 => 32_u32..400], prop_oneof![Just(0), 1_u32..200_000]),
            8..20,
        ),
        fates in prop::collection::vec(fate(), 50..100),
    ) {
        let mut pair = Pair::new(0);
        pair.thorough = false;
        pair.run("declare a bytes=7340032 deliveries=0");
        for sizes in &batches {
            let sizes: Vec<_> = sizes.iter().map(|size| format!("#{size}")).collect();
            pair.run(&format!("put a {}", sizes.join(" ")));
        }
        for round in 0..4 {
            let first = pair.model.leases.len();
            for (messages, bytes) in takes.iter().cycle() {
                if pair.real.figure("a", "ready") == 0 {
                    break;
                }
                pair.run(&format!("take a {messages} bytes={bytes}"));
            }
            let leases = pair.model.leases.len();
            for (back, fate) in (0..leases - first).zip(fates.iter().cycle().skip(round * 7)) {
                match fate {
                    Fate::Scattered(ranges) => pair.run(&format!("ack - last-{back} {ranges}")),
                    Fate::GivenBack(ranges) => pair.run(&format!("nack - last-{back} {ranges}")),
                    Fate::Whole => pair.run(&format!("ack - last-{back} all")),
                    Fate::Forgotten => {}
                }
                if back % 16 == 0 {
                    pair.compare();
                    let held = pair.real.figure("a", "held_bytes");
                    let live = pair.real.figure("a", "live_bytes");
                    let segments = 3 * (128 << 10);
                    prop_assert!(2 * held <= 3 * live + 2 * segments, "{held} held for {live}");
                }
            }
            pair.run("advance 31s");
            pair.compare();
        }
        while pair.real.figure("a", "ready") > 0 {
            pair.run("take a 4096 acknowledged");
        }
        // Dead segments go back a few a turn, once nothing refers to them.
        (0..20).for_each(|_| pair.run("advance 1ms"));
        prop_assert_eq!(pair.real.figure("a", "held_bytes"), 0, "an empty queue holds nothing");
    }
}
