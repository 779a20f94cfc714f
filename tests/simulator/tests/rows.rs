//! Rows of FAULTS.md about completions, each alone and at a high rate: the shards must not notice.

use ringway_checker::chance::Rate;
use ringway_simulator::faults::Faults;
use ringway_simulator::run::{Options, run_in};

/// Seeds for each row.
const SEEDS: u64 = 6;

/// Runs seeds in a world with these faults alone; each fault of `tried` must happen.
fn check(row: &str, faults: Faults, tried: &[&str]) {
    let mut seen = vec![0; tried.len()];
    for seed in 0..SEEDS {
        let report = run_in(seed, Options::default(), |drawn| *drawn = faults.clone());
        let report = report.unwrap_or_else(|failure| panic!("{row}: {failure}"));
        for (seen, name) in seen.iter_mut().zip(tried) {
            *seen += report.tally.get(name).copied().unwrap_or_default();
        }
    }
    assert!(seen.iter().all(|seen| *seen > 0), "{row}: {tried:?} happened {seen:?} times");
}

fn percent(percent: u32) -> Rate {
    Rate(percent * 10_000)
}

#[test]
fn nothing_goes_wrong() {
    check("no fault at all", Faults::none(), &["parks"]);
}

#[test]
fn row_11_a_slow_reader_is_held_back_and_gets_everything_in_the_end() {
    let faults = Faults { pipe_bytes: 256 << 10, ..Faults::none() };
    check("row 11", faults, &["slow readers held back"]);
}

#[test]
fn row_14_resets_in_the_middle_of_frames() {
    check("row 14", Faults { reset: Rate(2_000), ..Faults::none() }, &["resets"]);
}

#[test]
fn row_18_every_split_of_the_stream() {
    let faults = Faults { partial_receive: percent(100), ..Faults::none() };
    check("row 18", faults, &["partial receives"]);
}

#[test]
fn row_20_and_21_accepts_that_fail() {
    let faults = Faults { accept_error: percent(50), accept_ends: percent(50), ..Faults::none() };
    check("rows 20 and 21", faults, &["accept errors", "accepts that ended"]);
}

#[test]
fn row_23_no_buffers() {
    let faults = Faults { buffers: [(1, 64), (1, 256)], ..Faults::none() };
    check("row 23", faults, &["receives without a buffer"]);
}

#[test]
fn row_24_an_overflowing_completion_queue_ends_what_it_cannot_hold() {
    let faults = Faults { multishot_ends: percent(60), short_reap: percent(90), ..Faults::none() };
    check("row 24", faults, &["multishots that ended with data", "short reaps"]);
}

#[test]
fn row_26_receives_end_early_with_and_without_data() {
    let faults =
        Faults { multishot_ends: percent(90), soft_receive_error: percent(30), ..Faults::none() };
    let tried = ["multishots that ended with data", "receives that ended without data"];
    check("row 26", faults, &tried);
}

#[test]
fn row_26_a_kernel_without_multishot() {
    check("single shots", Faults { single_shot: true, ..Faults::none() }, &["parks"]);
}

#[test]
fn row_27_every_cancel_races() {
    let faults = Faults { cancel_race: percent(100), pipe_bytes: 700, ..Faults::none() };
    check("row 27", faults, &["cancels that raced"]);
}

#[test]
fn row_28_short_sends_and_sends_that_fail_softly() {
    let faults = Faults {
        short_send: percent(100),
        soft_send_error: percent(20),
        pipe_bytes: 700,
        ..Faults::none()
    };
    check("row 28", faults, &["short sends", "sends that failed softly"]);
}

#[test]
fn doorbells_that_come_late_and_wakes_for_nothing() {
    let faults = Faults {
        late_doorbell: percent(100),
        doorbell_ns_max: 1_000_000,
        spurious_wake: percent(10),
        ..Faults::none()
    };
    check("late doorbells", faults, &["late doorbells", "parks"]);
}
