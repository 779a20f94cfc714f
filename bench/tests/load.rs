//! The load generator against the client's stand-in: its books, its counts, its ends.

#[path = "../../client/tests/support/mod.rs"]
mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ringway_bench::load::settings::{Acknowledge, Operation, Route, WaitMode};
use ringway_bench::load::{LoadError, Report, Settings, run, text};
use ringway_client::{Client, Options};
use support::{Behaviour, Responder};

/// Short and small, so that a stand-in keeps up.
fn settings(responder: &Responder) -> Settings {
    Settings {
        address: responder.address.clone(),
        connections: 4,
        pipeline: 8,
        size: 32,
        duration: Duration::from_millis(200),
        warmup: Duration::from_millis(20),
        queue_bytes: 4 << 20,
        ..Settings::default()
    }
}

fn drive(behaviour: Behaviour, change: impl FnOnce(&mut Settings)) -> Report {
    let responder = Responder::start(behaviour);
    let mut settings = settings(&responder);
    change(&mut settings);
    let report = run(&settings, &AtomicBool::new(false)).expect("the stand-in is there");
    let mut client = Client::connect(&responder.address, &Options::default()).unwrap();
    let left = client.list("").unwrap();
    assert_eq!(left.is_empty(), !settings.keep, "queues are removed unless kept: {left:?}");
    if settings.keep && settings.operation == Operation::PutTake {
        let held: u64 = left.iter().map(|queue| queue.ready + queue.leased).sum();
        assert_eq!(held, 0, "put-take leaves no message behind");
    }
    check_document(&report);
    report
}

/// The JSON document has every field that scripts rely on, and the text can be written.
fn check_document(report: &Report) {
    let document: serde_json::Value = serde_json::from_str(&report.to_json()).unwrap();
    let fields = "seconds messages messages_per_second bytes_per_second requests_per_second \
                  latency_ns refused failed acknowledged settings by_shard \
                  server_cpu_ns_per_message load_busy_share offered_per_second";
    for field in fields.split_whitespace() {
        assert!(document.get(field).is_some(), "{field} is missing");
    }
    for field in ["p50", "p90", "p99", "p999", "max"] {
        assert!(document["latency_ns"][field].is_u64(), "latency_ns.{field} is missing");
    }
    assert!(document["settings"].get("token").is_none(), "a token is never shown");
    assert!(text::render(report).contains("p99.9"));
}

fn assert_clean(report: &Report) {
    assert!(report.is_clean() && report.messages > 0, "{}", report.to_json());
    let latency = report.latency_ns;
    assert!(latency.count > 0 && latency.p50 > 0 && latency.p50 <= latency.p999);
    assert!(latency.p999 <= latency.max);
}

#[test]
fn every_operation_works_in_both_ways_of_waiting() {
    for operation in [Operation::Put, Operation::Take, Operation::PutTake, Operation::Echo] {
        for wait in [WaitMode::Poll, WaitMode::Block] {
            let report = drive(Behaviour { shards: 2, ..Default::default() }, |settings| {
                (settings.operation, settings.wait) = (operation, wait);
            });
            assert_clean(&report);
            let kinds: Vec<&str> = report.latency_ns_by_kind.keys().copied().collect();
            let expected: &[&str] = match operation {
                Operation::Put => &["put"],
                Operation::Take => &["ack", "take"],
                Operation::PutTake => &["ack", "operation", "put", "take"],
                Operation::Echo => &["echo"],
            };
            assert_eq!(kinds, expected, "{operation:?}");
            let level = (operation != Operation::Echo).then_some("memory");
            assert_eq!(report.acknowledged, level);
            let by_shard: u64 = report.by_shard.iter().map(|shard| shard.messages).sum();
            // The server counts what is under way when the clock stops; the report does not.
            assert!(by_shard.abs_diff(report.messages) <= report.messages / 4, "{by_shard}");
            assert!(report.by_shard.iter().all(|shard| shard.messages > 0), "both shards work");
        }
    }
}

#[test]
fn put_take_balances_in_batches_threads_queues_and_takes_cut_short() {
    let shapes: [(u32, usize, usize, usize, Option<u32>); 5] = [
        (1, 1, 1, 1, None),
        (7, 4, 2, 3, None),
        (100, 3, 3, 10, None),
        (16, 4, 1, 1, Some(5)),
        (3, 70, 1, 2, Some(1)),
    ];
    for (batch, connections, threads, queues, take_at_most) in shapes {
        let report = drive(Behaviour { take_at_most, ..Default::default() }, |settings| {
            (settings.batch, settings.connections) = (batch, connections);
            (settings.threads, settings.queues) = (threads, queues);
            (settings.keep, settings.queue_bytes) = (true, 64 << 20);
        });
        assert_clean(&report);
        let at_once = drive(Behaviour { take_at_most, ..Default::default() }, |settings| {
            (settings.batch, settings.connections) = (batch, connections);
            settings.acknowledge = Acknowledge::AtOnce;
            settings.queue_bytes = 64 << 20;
        });
        assert_clean(&at_once);
        assert!(!at_once.latency_ns_by_kind.contains_key("ack"));
    }
}

#[test]
fn take_empties_what_it_filled_whatever_the_batch() {
    for (batch, connections, queues) in [(1, 3, 2), (100, 4, 1), (300, 2, 5)] {
        let report = drive(Behaviour::default(), |settings| {
            (settings.operation, settings.batch) = (Operation::Take, batch);
            (settings.connections, settings.queues) = (connections, queues);
        });
        assert_clean(&report);
    }
}

#[test]
fn a_lost_message_is_a_failure() {
    let report = drive(Behaviour { lose_every: Some(1000), ..Default::default() }, |settings| {
        settings.patience = Duration::from_millis(300);
    });
    assert!(report.failed > 0 && !report.is_clean(), "{}", report.to_json());
}

#[test]
fn a_server_that_falls_silent_is_given_up() {
    let report = drive(Behaviour { silent_after: Some(500), ..Default::default() }, |settings| {
        (settings.operation, settings.duration) = (Operation::Put, Duration::from_secs(60));
        settings.patience = Duration::from_millis(200);
    });
    // Each connection had all its requests in flight.
    assert_eq!(report.failed, 4 * 8, "{}", report.to_json());
}

#[test]
fn a_duplicated_message_is_a_failure() {
    let report = drive(Behaviour { duplicate_every: Some(1000), ..Default::default() }, |_| ());
    assert!(report.failed > 0 && report.lost + report.duplicate > 0, "{}", report.to_json());
}

#[test]
fn a_refusal_is_counted_with_its_code_and_is_no_operation() {
    let report = drive(Behaviour { refuse_every: Some(10), ..Default::default() }, |settings| {
        (settings.operation, settings.batch) = (Operation::Put, 2);
    });
    assert!(report.refused > 0 && report.refused.is_multiple_of(2) && report.failed == 0);
    assert_eq!(report.refusals.len(), 1);
    assert_eq!(report.refusals[0].requests * 2, report.refused);
    assert!(report.refusals[0].sentence.contains("the queue is full"));
    assert_eq!(report.requests * 2, report.messages, "what was refused is in neither");
}

#[test]
fn a_run_ends_when_every_connection_is_gone() {
    let responder = Responder::start(Behaviour { close_after: Some(500), ..Default::default() });
    let mut settings = settings(&responder);
    settings.duration = Duration::from_secs(60);
    let started = Instant::now();
    let report = run(&settings, &AtomicBool::new(false)).unwrap();
    assert!(started.elapsed() < Duration::from_secs(5));
    assert!(report.failed >= 4 && !report.errors.is_empty(), "{}", report.to_json());
}

#[test]
fn ctrl_c_ends_a_run_with_its_report() {
    for operation in [Operation::PutTake, Operation::Take] {
        let responder = Responder::start(Behaviour::default());
        let mut settings = settings(&responder);
        (settings.duration, settings.operation) = (Duration::from_secs(60), operation);
        let (started, interrupted) = (Instant::now(), AtomicBool::new(false));
        let report = std::thread::scope(|scope| {
            let run = scope.spawn(|| run(&settings, &interrupted).unwrap());
            std::thread::sleep(Duration::from_millis(300));
            interrupted.store(true, Ordering::Relaxed);
            run.join().unwrap()
        });
        assert!(started.elapsed() < Duration::from_secs(5));
        assert!(report.interrupted && report.is_clean(), "{}", report.to_json());
    }
}

#[test]
fn an_open_loop_keeps_its_rate_and_measures_from_the_intended_time() {
    for wait in [WaitMode::Poll, WaitMode::Block] {
        let report = drive(Behaviour::default(), |settings| {
            (settings.rate, settings.wait) = (Some(2000.0), wait);
            (settings.operation, settings.threads) = (Operation::Put, 2);
            settings.duration = Duration::from_millis(500);
        });
        assert_clean(&report);
        let share = report.messages_per_second / 2000.0;
        assert!((0.7..1.1).contains(&share), "{} a second", report.messages_per_second);
        assert_eq!(report.offered_per_second, Some(2000.0));
    }
    // More than a stand-in can do: latencies must show the wait, and a warning must say so.
    let report = drive(Behaviour::default(), |settings| {
        (settings.rate, settings.operation) = (Some(50e6), Operation::Put);
    });
    assert!(report.latency_ns.max > 100_000_000, "the last ones waited most of the run");
    assert!(report.warnings.iter().any(|warning| warning.contains("offered")));
}

#[test]
fn connections_go_where_they_are_told() {
    let two = Behaviour { shards: 2, shard_addresses: true, ..Default::default() };
    let aware = drive(two.clone(), |settings| settings.shard_aware = true);
    assert_clean(&aware);
    let other = drive(two, |settings| settings.route = Route::Other);
    assert_clean(&other);

    let responder = Responder::start(Behaviour::default());
    type Change = fn(&mut Settings);
    let wrong: [(Change, &str); 3] = [
        (|settings| settings.route = Route::Other, "--route other"),
        (|settings| settings.shard_aware = true, "--shard-aware"),
        (|settings| settings.cpus = vec![4000], "--cpus"),
    ];
    for (change, option) in wrong {
        let mut settings = settings(&responder);
        change(&mut settings);
        let error = run(&settings, &AtomicBool::new(false)).unwrap_err();
        assert!(matches!(&error, LoadError::Usage(why) if why.contains(option)), "{error}");
    }
}

#[test]
fn nobody_there_says_what_to_do() {
    let settings = Settings { address: "127.0.0.1:1".into(), ..Settings::default() };
    let error = run(&settings, &AtomicBool::new(false)).unwrap_err();
    assert_eq!(error.to_string(), "nothing listens on 127.0.0.1:1: start one with: ringway serve");
}
