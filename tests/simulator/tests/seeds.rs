//! Whole planes under a hundred seeds: nothing may be wrong, everything must have been tried, and a
//! seed says it all.

use std::collections::BTreeMap;

use ringway_simulator::run::{Options, Report, run};

const SEEDS: u64 = 100;

/// Everything that must have gone wrong, or been used, somewhere in the seeds, or they test less
/// than they say.
const TRIED: [&str; 53] = [
    "accept errors",
    "accepts that ended",
    "batches between shards",
    "bindings taken back",
    "cancels that raced",
    "credits changed",
    "dead letters",
    "doorbells",
    "groups paused",
    "groups resumed",
    "groups that start at a sequence",
    "groups that start at a time",
    "late doorbells",
    "leases extended",
    "messages browsed",
    "messages delivered again",
    "messages dropped, purged or removed",
    "messages expired",
    "messages of further parts",
    "messages pushed",
    "messages removed by their sequences",
    "messages replayed",
    "multishots that ended with data",
    "parks",
    "partial receives",
    "puts cut for several parts",
    "puts held",
    "puts known to be repeats",
    "puts repeated",
    "queues altered",
    "queues paused",
    "queues published to",
    "queues renamed",
    "queues resumed",
    "queues spread further",
    "receives that ended without data",
    "receives without a buffer",
    "redrives",
    "requests refused",
    "resets",
    "sends that failed softly",
    "short reaps",
    "short sends",
    "single active groups that failed over",
    "slow readers held back",
    "slow turns",
    "stalls",
    "starved shards",
    "steps of the wall clock",
    "subscriptions",
    "subscriptions ended",
    "takes from groups",
    "transfers",
];

/// Scripted faults of completions in the seeds together, as FAULTS.md asks of its first tier.
const COMPLETION_FAULTS_MIN: u64 = 10_000;

#[test]
fn a_hundred_seeds_pass_and_try_everything() {
    let mut tally: BTreeMap<&str, u64> = BTreeMap::new();
    let mut shards = [0; 5];
    for seed in 0..SEEDS {
        let report = run(seed, Options::default()).unwrap_or_else(|failure| panic!("{failure}"));
        shards[report.shards] += 1;
        for (name, count) in report.tally {
            *tally.entry(name).or_default() += count;
        }
    }
    println!("{tally:#?}");
    for name in TRIED {
        assert!(tally.get(name).is_some_and(|times| *times > 0), "no seed had {name}: {tally:?}");
    }
    assert!(shards[1..].iter().all(|runs| *runs > 0), "1 to 4 shards: {shards:?}");
    let of_completions = [
        "multishots that ended with data",
        "receives that ended without data",
        "receives without a buffer",
        "short sends",
        "cancels that raced",
    ];
    let faults: u64 = of_completions.iter().map(|name| tally[name]).sum();
    assert!(faults >= COMPLETION_FAULTS_MIN, "only {faults} faults of completions");
}

#[test]
fn a_seed_replays_to_the_last_byte() {
    let report = |seed| -> Report {
        run(seed, Options::default()).unwrap_or_else(|failure| panic!("{failure}"))
    };
    let mut hashes = Vec::new();
    for seed in 1000..1008 {
        let once = report(seed);
        assert_eq!(once, report(seed), "seed {seed} went two ways");
        hashes.push(once.hash);
    }
    hashes.sort_unstable();
    hashes.dedup();
    assert_eq!(hashes.len(), 8, "different seeds are different runs");
}

#[test]
fn many_shards_in_one_thread() {
    let options = Options { shards: Some(12), ..Options::default() };
    for seed in 0..4 {
        let report = run(seed, options).unwrap_or_else(|failure| panic!("{failure}"));
        assert_eq!(report.shards, 12);
    }
}
