//! The same work at every number of shards, and on every way of receiving.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use ringway_client::{Client, TakeOptions};

use crate::command::Server;

const PRODUCERS: usize = 4;
const QUEUES: usize = 24;
const BATCHES: usize = 12;
const BATCH: usize = 10;

#[test]
fn one_shard() {
    work_out(&Server::start(&["--shards", "1"]), 1);
}

#[test]
fn two_shards() {
    work_out(&Server::start(&["--shards", "2"]), 2);
}

#[test]
fn four_shards() {
    work_out(&Server::start(&["--shards", "4"]), 4);
}

#[test]
fn twelve_shards() {
    work_out(&Server::start(&["--shards", "12"]), 12);
}

#[test]
fn single_shot_receives() {
    work_out(&Server::start(&["--shards", "2", "--receive", "single-shot"]), 2);
}

#[test]
fn receives_by_readiness() {
    work_out(&Server::start(&["--shards", "2", "--receive", "readiness"]), 2);
}

/// Queues on every shard, connections that cross shards: nothing is lost, nothing comes twice, and
/// each producer's messages keep their order within a queue.
fn work_out(server: &Server, shards: usize) {
    let names: Vec<String> = (0..QUEUES).map(|number| format!("work/{number}")).collect();
    let mut client = server.client();
    assert_eq!(client.welcome().shards.len(), shards);
    for name in &names {
        client.declare(name, None).expect("declared");
    }
    std::thread::scope(|scope| {
        for producer in 0..PRODUCERS {
            let names = &names;
            scope.spawn(move || produce(server.client(), producer, names));
        }
        for chunk in names.chunks(QUEUES / PRODUCERS) {
            scope.spawn(move || consume(server.client(), chunk));
        }
    });
    let sent = (PRODUCERS * QUEUES * BATCHES * BATCH) as u64;
    let figures = client.stat_plane().expect("figures");
    assert_eq!(figures.len(), shards);
    assert_eq!((figures.sum("puts"), figures.sum("acks")), (sent, sent));
    let idle = (0..shards).filter(|shard| figures.get(*shard, "puts") == 0).count();
    assert!(idle == 0 || shards == 12, "{idle} of {shards} shards own no queue");
    leases_run_out_on_a_parked_plane(&mut client);
}

fn produce(mut client: Client, producer: usize, names: &[String]) {
    let open = |name| client.open(name).expect("declared");
    let queues: Vec<_> = names.iter().map(String::as_str).map(open).collect();
    for batch in 0..BATCHES {
        for queue in &queues {
            let payloads: Vec<String> =
                (0..BATCH).map(|index| format!("{producer}:{}", batch * BATCH + index)).collect();
            let placed = client.put(*queue, &payloads).expect("put");
            assert_eq!(placed.count as usize, BATCH);
        }
    }
}

fn consume(mut client: Client, names: &[String]) {
    let options =
        TakeOptions { messages_max: 64, wait: Duration::from_secs(30), ..Default::default() };
    for name in names {
        let queue = client.open(name).expect("declared");
        let mut next: HashMap<String, usize> = HashMap::new();
        for _ in 0..PRODUCERS * BATCHES * BATCH {
            if next.values().sum::<usize>() == PRODUCERS * BATCHES * BATCH {
                break;
            }
            let taken = client.take(queue, &options).expect("taken");
            assert!(!taken.is_empty(), "{name} dried up after {next:?}");
            for message in taken.messages() {
                let text = std::str::from_utf8(message.record.payload).expect("text");
                let (producer, number) = text.split_once(':').expect("two parts");
                let expected = next.entry(producer.to_owned()).or_default();
                assert_eq!(number.parse(), Ok(*expected), "{name}: {text}");
                assert_eq!(message.deliveries, 1);
                *expected += 1;
            }
            let settlement = client.ack(&taken, &[taken.all()]).expect("settled");
            assert_eq!(settlement.settled, taken.count());
        }
        assert_eq!(next.values().sum::<usize>(), PRODUCERS * BATCHES * BATCH);
    }
}

/// Nothing but the lease's own timer can wake the plane here.
fn leases_run_out_on_a_parked_plane(client: &mut Client) {
    let queue = client.declare("leased", None).expect("declared");
    client.put(queue, &["again"]).expect("put");
    let lease = TakeOptions { lease: Duration::from_millis(300), ..Default::default() };
    let started = Instant::now();
    let first = client.take(queue, &lease).expect("taken");
    assert_eq!(first.count(), 1);
    let wait = TakeOptions { wait: Duration::from_secs(20), ..Default::default() };
    let second = client.take(queue, &wait).expect("taken");
    let message = second.messages().next().expect("the lease ran out");
    assert_eq!((message.record.payload, message.deliveries), (&b"again"[..], 2));
    let waited = started.elapsed();
    assert!(waited > Duration::from_millis(250) && waited < Duration::from_secs(10), "{waited:?}");
    let late = client.ack(&first, &[first.all()]).expect("answered");
    assert_eq!((late.settled, late.stale), (0, 1));
    assert_eq!(client.ack(&second, &[second.all()]).expect("answered").settled, 1);
}
