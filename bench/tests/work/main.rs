//! What the load generator turns on beyond put, take and acknowledge, against a stand-in that does
//! all of it: it is asked for as it was told, comes through whole, and what goes wrong shows.

mod group;
mod standin;

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use ringway_bench::load::settings::{Acknowledge, Operation, WaitMode};
use ringway_bench::load::work::{Deduplication, WorkOptions};
use ringway_bench::load::{Report, Settings, run, text};
use ringway_protocol::frame::Kind;
use standin::{Behaviour, Seen, Standin};

fn try_drive(
    behaviour: Behaviour,
    change: impl FnOnce(&mut Settings),
) -> (Result<Report, String>, Seen) {
    let standin = Standin::start(behaviour);
    let mut settings = Settings {
        address: standin.address.clone(),
        connections: 3,
        pipeline: 4,
        batch: 8,
        size: 32,
        duration: Duration::from_millis(150),
        warmup: Duration::from_millis(20),
        queue_bytes: 4 << 20,
        patience: Duration::from_millis(500),
        ..Settings::default()
    };
    change(&mut settings);
    let report = run(&settings, &AtomicBool::new(false)).map_err(|error| error.to_string());
    (report, standin.seen())
}

fn drive(behaviour: Behaviour, change: impl FnOnce(&mut Settings)) -> (Report, Seen) {
    let (report, seen) = try_drive(behaviour, change);
    (report.expect("the stand-in is there"), seen)
}

/// A run that has to come through whole: nothing refused, failed, lost or left.
fn clean(change: impl FnOnce(&mut Settings)) -> (Report, Seen) {
    let (report, seen) = drive(Behaviour::default(), change);
    assert!(report.is_clean() && report.messages > 0, "{}", report.to_json());
    assert_eq!((seen.left, seen.early), (0, 0), "{seen:?}");
    assert!(text::render(&report).contains("p99.9"));
    (report, seen)
}

fn with(work: WorkOptions) -> impl Fn(&mut Settings) {
    move |settings| settings.work = work.clone()
}

#[test]
fn a_share_is_given_back_and_comes_again() {
    for (percent, operation) in
        [(1.0, Operation::PutTake), (30.0, Operation::PutTake), (100.0, Operation::Take)]
    {
        let (report, seen) = clean(|settings| {
            (settings.operation, settings.work.nack_percent) = (operation, percent);
        });
        assert!(report.nacked > 0 && report.nacked == seen.nacked, "{}", report.to_json());
        assert_eq!(report.redelivered, report.nacked, "each comes once more");
        assert!(report.latency_ns_by_kind.contains_key("nack"));
    }
    let (report, _) = clean(|settings| settings.work.nack_percent = 10.0);
    // The report's messages are of the measured time alone; the share is of the whole run.
    assert!(report.nacked * 5 < report.messages * 2, "{}", report.to_json());
    let (report, _) = clean(|settings| {
        (settings.rate, settings.work.nack_percent) = (Some(20_000.0), 10.0);
    });
    assert!(report.nacked > 0);
}

#[test]
fn what_is_given_back_and_forgotten_is_lost() {
    let behaviour = Behaviour { forgets_nacks: true, ..Behaviour::default() };
    let (report, _) = drive(behaviour, |settings| settings.work.nack_percent = 10.0);
    assert!(report.failed > 0, "{}", report.to_json());
}

#[test]
fn each_group_takes_every_message_and_counts_it_once() {
    for acknowledge in [Acknowledge::Lease, Acknowledge::AtOnce] {
        let (report, seen) = clean(|settings| {
            (settings.work.groups, settings.acknowledge) = (4, acknowledge);
        });
        assert_eq!(seen.groups, 4);
        // At least: a take may find its messages taken by another slot and come again.
        assert!(seen.takes >= 4 * seen.puts, "{seen:?}");
        assert!(report.messages <= 8 * seen.puts, "{}", report.to_json());
    }
    clean(with(WorkOptions { groups: 2, nack_percent: 20.0, ..Default::default() }));
}

#[test]
fn what_is_pushed_is_acknowledged_and_needs_no_takes() {
    for wait in [WaitMode::Poll, WaitMode::Block] {
        for (connections, pipeline) in [(1, 1), (3, 4)] {
            let (report, seen) = clean(|settings| {
                (settings.work.subscribe, settings.wait) = (true, wait);
                (settings.connections, settings.pipeline) = (connections, pipeline);
            });
            assert!(seen.takes == 0 && seen.pushes > 0, "{seen:?}");
            let kinds: Vec<&str> = report.latency_ns_by_kind.keys().copied().collect();
            assert_eq!(kinds, ["ack", "push", "put"], "no round has an end of its own");
        }
    }
    let (report, _) = clean(|settings| {
        (settings.rate, settings.work.subscribe) = (Some(10_000.0), true);
    });
    assert!((0.8..1.2).contains(&(report.messages_per_second / 10_000.0)));
}

#[test]
fn what_is_never_pushed_is_lost_and_ends_the_run() {
    let behaviour = Behaviour { loses_push_every: Some(100), ..Behaviour::default() };
    let (report, _) = drive(behaviour, |settings| settings.work.subscribe = true);
    assert!(report.lost > 0, "{}", report.to_json());
    assert!(report.errors.iter().any(|error| error.contains("never pushed")));
}

#[test]
fn keys_delays_and_names_of_messages_are_as_they_were_asked_for() {
    let (_, seen) = clean(with(WorkOptions { keys: 100, ..Default::default() }));
    assert_eq!(seen.keys.len(), 100);
    let (_, seen) = clean(with(WorkOptions { keys: 3, nack_percent: 5.0, ..Default::default() }));
    assert_eq!(seen.keys.len(), 3);

    let dedup = |by| with(WorkOptions { dedup: Some(by), ..Default::default() });
    let (_, seen) = clean(dedup(Deduplication::Producer));
    assert_eq!((seen.producers.len(), seen.ids.len()), (3, 0), "one a connection");
    assert!(seen.options.is_some_and(|options| options.dedup_ms > 0));
    let (_, seen) = clean(dedup(Deduplication::Id));
    assert!(seen.ids.len() as u64 == 8 * seen.puts && seen.producers.is_empty());

    let delay = Duration::from_millis(20);
    let (report, _) = clean(with(WorkOptions { delay, ..Default::default() }));
    let operation = report.latency_ns_by_kind["operation"];
    assert!(operation.p50 >= 20_000_000, "{operation:?}");
}

#[test]
fn a_put_that_is_taken_for_a_repeated_one_is_a_failure() {
    let behaviour = Behaviour { repeats_every: Some(50), ..Behaviour::default() };
    let (report, _) = drive(behaviour, |settings| {
        settings.work.dedup = Some(Deduplication::Producer);
    });
    assert!(report.failed > 0 && report.errors[0].contains("repeated"), "{}", report.to_json());
}

#[test]
fn what_the_server_does_not_do_shows_as_refused() {
    let refuses = |kind| Behaviour { refuses: Some(kind), ..Behaviour::default() };
    let (report, seen) = drive(refuses(Kind::Subscribe), |settings| {
        settings.work.subscribe = true;
    });
    assert_eq!((report.refused, report.failed, seen.puts), (3, 0, 0), "{}", report.to_json());
    assert!(report.refusals[0].sentence.contains("not supported yet"));

    let (report, _) = drive(refuses(Kind::Put), |settings| settings.work.keys = 3);
    assert!(report.refused > 0 && report.failed == 0, "{}", report.to_json());

    let (report, _) = try_drive(refuses(Kind::Group), |settings| settings.work.groups = 2);
    let told = report.expect_err("no group was made");
    assert!(told.contains("groups of consumers") && told.contains("not supported yet"), "{told}");
}
