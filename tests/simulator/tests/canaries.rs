//! Every planted bug must be found: a suite that passes with one of them would pass with the real
//! bug too.

use ringway_simulator::canary::Canary;
use ringway_simulator::run::{Options, run};

/// Seeds that each bug gets; most of them must find it.
const SEEDS: u64 = 12;

/// Steps of each run: three quarters of what a seed gets that should pass.
const STEPS: u64 = 15_000;

fn options(canary: Canary) -> Options {
    let (steps, shards, canary) = (STEPS, Some(3), Some(canary));
    Options { steps, shards, canary, ..Options::default() }
}

/// How many of the seeds fail with this bug, and how.
fn failures(canary: Canary) -> Vec<String> {
    let runs = (0..SEEDS).map(|seed| run(seed, options(canary)));
    runs.filter_map(|run| Some(run.err()?.sentences.join("; "))).collect()
}

#[test]
fn every_planted_bug_is_found() {
    for &canary in Canary::ALL {
        let found = failures(canary);
        println!("{}: found in {} of {SEEDS} seeds", canary.as_str(), found.len());
        assert!(
            found.len() as u64 > SEEDS / 2,
            "{} ({}) was found by {} of {SEEDS} seeds only",
            canary.as_str(),
            canary.meaning(),
            found.len()
        );
    }
}

/// The bugs that only the checker can see, with the word that its verdict must have.
#[test]
fn the_checker_names_what_it_finds() {
    for (canary, verdict) in [
        (Canary::Phantom, "Phantom: "),
        (Canary::ReplyTwice, "Reply: "),
        (Canary::RefusalHidden, "Lost: "),
        (Canary::LeaseCutShort, "Duplicate: "),
        (Canary::StaleSettles, "Stale: "),
        (Canary::BufferTwice, "Reply: "),
        (Canary::Reordered, "Order: "),
        (Canary::KeysMistaken, "Key: "),
        (Canary::DueEarly, "Early: "),
        (Canary::ExpiredKept, "Expired: "),
        (Canary::RepeatStored, "Duplicate: "),
        (Canary::ReasonChanged, "Letter: "),
        (Canary::CreditExceeded, "Credit: "),
        (Canary::PauseIgnored, "Paused: "),
        (Canary::ActiveShared, "Active: "),
        (Canary::ReplayForgotten, "Lost: "),
        (Canary::StartMistaken, "Phantom: "),
        (Canary::UnbindForgotten, "Phantom: "),
        (Canary::RemovalFeigned, "Phantom: "),
        (Canary::BrowseMistaken, "Phantom: "),
        (Canary::PartsForgetKeys, "Key: "),
        (Canary::PartsReordered, "Order: "),
    ] {
        let found = failures(canary);
        let named = found.iter().filter(|sentences| sentences.contains(verdict)).count();
        println!("{}: called {verdict}in {named} of {SEEDS} seeds", canary.as_str());
        assert!(named > 1, "{} is rarely called {verdict}{found:#?}", canary.as_str());
    }
}

/// The same seeds with the same queues and faults: only the bug makes them fail.
#[test]
fn without_the_bug_the_same_runs_are_clean() {
    for &canary in Canary::ALL {
        for seed in 0..SEEDS {
            let options = Options { planted: false, ..options(canary) };
            run(seed, options).unwrap_or_else(|failure| panic!("{}: {failure}", canary.as_str()));
        }
    }
}

#[test]
fn words_and_canaries_belong_together() {
    for &canary in Canary::ALL {
        assert_eq!(Canary::from_word(canary.as_str()), Some(canary));
    }
    assert!(Canary::ALL.len() >= 10, "the first tier has ten planted bugs");
}
