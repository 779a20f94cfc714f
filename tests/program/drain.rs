//! The end of a plane: SIGTERM with and without load, leftovers, a second signal.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ringway_client::{Client, Code, Error, QueueId, TakeOptions};

use crate::command::Server;

/// Longer than a signal or the start of a load takes on a busy host.
const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn leftovers_are_counted_by_queue_and_the_code_is_0() {
    let server = Server::start(&["--shards", "2", "--drain", "200ms"]);
    let mut client = server.client();
    for (name, count) in [("first", 3), ("second", 2)] {
        let queue = client.declare(name, None).expect("declared");
        client.put(queue, &vec!["x"; count]).expect("put");
    }
    server.signal("TERM");
    let (status, said) = server.ended();
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(
        said.contains("3 messages of first") && said.contains("2 messages of second"),
        "{said}"
    );
    assert!(said.contains("the drain left 5 messages behind"), "{said}");
}

#[test]
fn a_strict_drain_with_leftovers_is_code_1() {
    let server = Server::start(&["--shards", "1", "--drain", "100ms", "--strict-drain"]);
    server.queue(&["declare", "jobs"]).well();
    server.queue(&["put", "jobs", "x"]).well();
    server.signal("TERM");
    let (status, said) = server.ended();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("1 messages of jobs"), "{said}");
}

#[test]
fn a_strict_drain_without_leftovers_is_code_0() {
    let server = Server::start(&["--shards", "2", "--strict-drain"]);
    server.queue(&["declare", "jobs"]).well();
    server.queue(&["put", "jobs", "x"]).well();
    server.queue(&["take", "jobs", "--ack"]).well();
    server.signal("TERM");
    assert_eq!(server.ended().0.code(), Some(0));
}

#[test]
fn a_drain_refuses_puts_and_serves_takes_until_the_queues_are_empty() {
    let server = Server::start(&["--shards", "2", "--drain", "30s", "--strict-drain"]);
    let mut client = server.client();
    let queue = client.declare("jobs", None).expect("declared");
    client.put(queue, &["one", "two", "three"]).expect("put");
    let taken = client.take(queue, &TakeOptions::default()).expect("taken");
    let started = Instant::now();
    server.signal("TERM");
    let accepted = 3 + until_draining(&mut client, queue);
    let newcomer = Client::connect(&server.address, &Default::default());
    assert!(newcomer.is_err(), "a draining plane takes no new connections");
    // What was leased before the drain can be settled, and the rest be taken. The lease is settled
    // last: the plane ends when its queues are empty.
    let all = TakeOptions { messages_max: 4096, ..TakeOptions::default() };
    let mut left = accepted - taken.count();
    while left > 0 {
        let rest = client.take(queue, &all).expect("taken");
        assert!(!rest.is_empty(), "{left} more were put");
        client.ack(&rest, &[rest.all()]).expect("settled");
        left -= rest.count();
    }
    client.ack(&taken, &[taken.all()]).expect("settled");
    let (status, said) = server.ended();
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(started.elapsed() < Duration::from_secs(25), "it did not wait for its time to be over");
}

/// Until the signal has arrived puts are accepted, so many; then each is refused with its own code.
fn until_draining(client: &mut Client, queue: QueueId) -> u32 {
    let until = Instant::now() + PATIENCE;
    for accepted in 0.. {
        assert!(Instant::now() < until, "the signal does not arrive");
        match client.put(queue, &["late"]) {
            Ok(_) => std::thread::sleep(Duration::from_millis(1)),
            Err(Error::Refused { code: Code::Draining, .. }) => return accepted,
            Err(error) => panic!("{error:?}"),
        }
    }
    unreachable!("the time is over before")
}

/// A message is one however many groups have it.
#[test]
fn leftovers_are_counted_once_for_all_groups() {
    let server = Server::start(&["--shards", "1", "--drain", "100ms"]);
    server.queue(&["declare", "jobs"]).well();
    server.queue(&["group", "create", "jobs", "audit", "--start", "earliest"]).well();
    server.queue(&["put", "jobs", "x"]).well();
    server.queue(&["put", "jobs", "y", "--delay", "1h"]).well();
    server.signal("TERM");
    let (_, said) = server.ended();
    assert!(said.contains("2 messages of jobs"), "{said}");
}

#[test]
fn a_second_signal_ends_at_once() {
    let server = Server::start(&["--shards", "1", "--drain", "1h"]);
    server.queue(&["declare", "jobs"]).well();
    server.queue(&["put", "jobs", "x"]).well();
    let mut client = server.client();
    let queue = client.open("jobs").expect("there");
    server.signal("TERM");
    until_draining(&mut client, queue);
    let asked = Instant::now();
    server.signal("TERM");
    let (status, said) = server.ended();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(asked.elapsed() < Duration::from_secs(10));
}

/// FAULTS row 34 under load: every message that was acknowledged is either acknowledged by a
/// consumer or counted as left over, clients see refusals and no protocol error, the code is 0.
#[test]
fn sigterm_under_load_loses_nothing_silently() {
    for _ in 0..5 {
        drain_under_load();
    }
}

fn drain_under_load() {
    let server = Server::start(&["--shards", "2", "--drain", "10s"]);
    let names: Vec<String> = (0..4).map(|number| format!("load/{number}")).collect();
    for name in &names {
        server.client().declare(name, None).expect("declared");
    }
    let (put, settled) = (AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let mut workers = Vec::new();
        for name in &names {
            // A draining plane takes no connections on.
            let (producer, consumer) = (server.client(), server.client());
            let (put, settled) = (&put, &settled);
            workers.push(scope.spawn(move || produce(producer, name, put)));
            workers.push(scope.spawn(move || consume(consumer, name, settled)));
        }
        let until = Instant::now() + PATIENCE;
        while put.load(Ordering::Relaxed) < 10_000 || settled.load(Ordering::Relaxed) == 0 {
            assert!(Instant::now() < until, "the load does not start");
            std::thread::sleep(Duration::from_millis(1));
        }
        server.signal("TERM");
        for worker in workers {
            let error = worker.join().expect("no panic");
            // The end of a connection is expected; nonsense on the wire is not.
            assert!(!matches!(error, Error::Protocol(_) | Error::Timeout { .. }), "{error:?}");
        }
    });
    let (status, said) = server.ended();
    assert_eq!(status.code(), Some(0), "{said}");
    let lost: u64 = said
        .lines()
        .filter_map(|line| line.strip_prefix("ringway: lost with the process: "))
        .filter_map(|line| line.split(' ').next()?.parse::<u64>().ok())
        .sum();
    let (put, settled) = (put.into_inner(), settled.into_inner());
    assert!(put > 0 && settled > 0, "put {put}, settled {settled}");
    // The last acknowledgement of each consumer may have been carried out without its reply.
    assert!(settled + lost <= put, "put {put}, settled {settled}, lost {lost}");
    assert_eq!(put - settled, lost, "put {put}, settled {settled}, lost {lost}: {said}");
}

/// Puts until it is refused, or dismissed before it could be; counts what was acknowledged.
fn produce(mut client: Client, name: &str, put: &AtomicU64) -> Error {
    let queue = client.open(name).expect("declared");
    loop {
        match client.put(queue, &["payload"; 16]) {
            Ok(placed) => put.fetch_add(placed.count.into(), Ordering::Relaxed),
            Err(error) => return error,
        };
    }
}

/// Takes and acknowledges until the connection ends; counts what was settled.
fn consume(mut client: Client, name: &str, settled: &AtomicU64) -> Error {
    let queue = client.open(name).expect("declared");
    let options =
        TakeOptions { messages_max: 64, wait: Duration::from_millis(50), ..Default::default() };
    loop {
        let result = client.take(queue, &options).and_then(|taken| {
            if taken.is_empty() { Ok(0) } else { Ok(client.ack(&taken, &[taken.all()])?.settled) }
        });
        match result {
            Ok(count) => settled.fetch_add(count.into(), Ordering::Relaxed),
            Err(error) => return error,
        };
    }
}
