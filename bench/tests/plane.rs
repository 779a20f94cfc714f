//! The load generator and the client's two faces against the real plane, over real sockets.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use ringway_bench::load::settings::{Acknowledge, Operation, Route, WaitMode};
use ringway_bench::load::{Report, Settings, run};
use ringway_client::{Options, ShardedClient, TakeOptions};
use ringway_shards::plane::{Plane, PlaneConfig};

fn plane() -> Plane {
    Plane::start(PlaneConfig { shards: 2, ..PlaneConfig::default() }).expect("this host can")
}

fn drive(plane: &Plane, change: impl FnOnce(&mut Settings)) -> Report {
    let mut settings = Settings {
        address: plane.address().to_string(),
        connections: 6,
        pipeline: 16,
        duration: Duration::from_millis(200),
        warmup: Duration::from_millis(20),
        queue_bytes: 16 << 20,
        ..Settings::default()
    };
    change(&mut settings);
    let report = run(&settings, &AtomicBool::new(false)).expect("the plane is there");
    assert!(report.is_clean() && report.messages > 0, "{}", report.to_json());
    report
}

#[test]
fn every_operation_of_one_and_of_many_messages() {
    let plane = plane();
    for operation in [Operation::Put, Operation::Take, Operation::PutTake] {
        for (batch, wait) in [(1, WaitMode::Poll), (256, WaitMode::Block)] {
            let report = drive(&plane, |settings| {
                (settings.operation, settings.batch, settings.wait) = (operation, batch, wait);
            });
            assert_eq!(report.acknowledged, Some("memory"));
            assert!(report.server_cpu_ns_per_message.is_some_and(|ns| ns > 0.0));
            assert!(report.redelivered == 0 && report.by_shard.len() == 2);
        }
    }
    drive(&plane, |settings| (settings.operation, settings.size) = (Operation::Echo, 5000));
    drive(&plane, |settings| settings.acknowledge = Acknowledge::AtOnce);
    let nacked = drive(&plane, |settings| (settings.batch, settings.work.nack_percent) = (64, 5.0));
    assert!(nacked.nacked > 0 && nacked.redelivered == nacked.nacked, "{}", nacked.to_json());
    plane.stop().expect("no shard was lost");
}

#[test]
fn requests_go_to_the_shard_that_they_are_meant_for() {
    let plane = plane();
    let handoffs = |report: &Report| -> u64 { report.by_shard.iter().map(|s| s.handoffs).sum() };
    let own = drive(&plane, |settings| settings.shard_aware = true);
    assert_eq!(handoffs(&own), 0, "{}", own.to_json());
    let other = drive(&plane, |settings| settings.route = Route::Other);
    assert!(handoffs(&other) > 0, "{}", other.to_json());
    plane.stop().expect("no shard was lost");
}

#[test]
fn a_sharded_client_finds_every_queue_where_it_lives() {
    let plane = plane();
    let mut shards =
        ShardedClient::connect(&plane.address().to_string(), Options::default()).unwrap();
    for number in 0..16 {
        let name = format!("queue-{number}");
        let queue = shards.owner_of(&name).unwrap().declare(&name, None).unwrap();
        let owner = shards.owner(queue).unwrap();
        assert_eq!(usize::from(owner.welcome().shard), queue.shard());
        owner.put(queue, &[&name]).unwrap();
        let taken = owner.take(queue, &TakeOptions::default()).unwrap();
        let payloads: Vec<_> = taken.messages().map(|message| message.record.payload).collect();
        assert_eq!(payloads, [name.as_bytes()]);
        // A lease may be settled from any connection.
        let settled = shards.door().unwrap().ack(&taken, &[taken.all()]).unwrap();
        assert_eq!(settled.settled, 1);
    }
    assert_eq!(shards.door().unwrap().list("queue-").unwrap().len(), 16);
    plane.stop().expect("no shard was lost");
}
