//! What a queue costs that nobody uses: a hundred thousand of them on one host stay cheap.

mod support;

use ringway_protocol::request::Take;
use ringway_protocol::{GroupId, QueueId, QueueOptions, Records};
use ringway_shards::path::queue::{Store, StoreConfig, Taken};

use self::support::{at, record_of};

const QUEUES: u32 = 100_000;
/// Bytes that an idle queue may cost, its name and its places in the tables included.
const BYTES_MAX: i64 = 900;

fn store() -> Store {
    let defaults = QueueOptions::default();
    let (queues_max, leases_max, waits_max) = (QUEUES as usize, 10, 10);
    Store::new(StoreConfig { shard: 0, defaults, queues_max, leases_max, waits_max, seed: 1 })
}

/// Bytes on the heap for each of the queues that `work` leaves behind.
fn bytes_each(what: &str, work: impl FnOnce()) -> i64 {
    let bytes = allocation_counter::measure(work).bytes_current / i64::from(QUEUES);
    println!("{what}: {bytes} bytes a queue");
    bytes
}

#[test]
fn an_idle_queue_costs_little() {
    let (mut store, mut queues) = (store(), Vec::with_capacity(QUEUES as usize));
    let declared = bytes_each("declared", || {
        for number in 0..QUEUES {
            let name = format!("tenant-{}/orders-{number:06}", number % 100);
            queues.push(store.declare(&name, None).expect("a valid queue").0);
        }
    });
    assert!(declared <= BYTES_MAX, "{declared} bytes for a queue that was declared");
    let record = record_of(&[7; 100]);
    let records = Records::parse(&record, 1).expect("one record");
    let used = bytes_each("after a message came and went", || {
        let mut taken = Taken::new();
        for queue in &queues {
            support::put(&mut store, *queue, records, at(0)).expect("the queue has room");
            store.take(&take_of(*queue), at(0), &mut taken).expect("a valid take");
            assert_eq!(taken.count, 1);
            taken.clear();
            store.expire(at(0));
        }
    });
    assert!(declared + used <= BYTES_MAX, "{used} bytes more for a queue that was used");
    let deleted = bytes_each("deleted", || {
        queues.iter().for_each(|queue| assert_eq!(store.delete(*queue), Ok(0)));
    });
    assert!(declared + used + deleted <= 64, "what was deleted is given back");
}

fn take_of(queue: QueueId) -> Take {
    Take {
        queue,
        messages_max: 1,
        bytes_max: 0,
        wait_ms: 0,
        lease_ms: 0,
        group: GroupId::DEFAULT,
        acknowledged: true,
    }
}
