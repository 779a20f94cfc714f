//! Quotas of a prefix: what its queues may hold together, whatever becomes of each.

mod support;

use ringway_protocol::request::{Put, Take};
use ringway_protocol::{Code, GroupId, QueueId, QueueOptions, Records};
use ringway_shards::path::origin::Origin;
use ringway_shards::path::queue::{Admission, Quota, Quotas, Store, StoreConfig, Stored, Taken};

use self::support::at;
use self::support::spec::Spec;

fn quota(prefix: &str, messages_max: u64, bytes_max: u64) -> Quota {
    Quota { prefix: prefix.into(), messages_max, bytes_max }
}

fn store(quotas: &[Quota]) -> Store {
    let mut store = Store::new(StoreConfig {
        shard: 0,
        defaults: QueueOptions::default(),
        queues_max: 10,
        leases_max: 10,
        waits_max: 10,
        seed: 1,
    });
    store.set_quotas(Quotas::new(quotas, 1).expect("valid quotas"));
    store
}

fn declare(store: &mut Store, name: &str) -> QueueId {
    store.declare(name, None).expect("room for it").0
}

/// Puts messages of so many bytes, each with its deduplication id if it is not empty.
fn put(store: &mut Store, queue: QueueId, messages: &[(&str, usize)]) -> Result<Stored, Code> {
    let record = |(id, bytes): &(&str, usize)| {
        let dedup = (!id.is_empty()).then(|| (*id).to_owned());
        Spec { payload: vec![7; *bytes], dedup, ..Spec::default() }.record()
    };
    let bytes: Vec<u8> = messages.iter().flat_map(record).collect();
    let records = Records::parse(&bytes, messages.len() as u32).expect("valid records");
    let origin = Origin { shard: 0, peer: 0, stream: 0, request: 0 };
    let mut stored = Stored::new();
    let admission = store.put(&Put::new(queue, records), origin, at(0), &mut stored);
    admission.map_err(|why| why.code).map(|admission| {
        assert_eq!(admission, Admission::Stored);
        stored
    })
}

/// The code that refuses so many small messages, if one does.
fn refusal(store: &mut Store, queue: QueueId, count: usize) -> Option<Code> {
    put(store, queue, &vec![("", 10); count]).err()
}

/// Takes messages, acknowledged at once.
fn consume(store: &mut Store, queue: QueueId, messages_max: u32) -> u32 {
    let take = Take {
        queue,
        messages_max,
        bytes_max: 0,
        wait_ms: 0,
        lease_ms: 0,
        group: GroupId::DEFAULT,
        acknowledged: true,
    };
    let mut taken = Taken::new();
    store.take(&take, at(0), &mut taken).expect("a take");
    taken.count
}

const EXCEEDED: Option<Code> = Some(Code::QuotaExceeded);

#[test]
fn the_queues_of_a_prefix_share_what_they_may_hold() {
    let mut store = store(&[quota("team.", 5, 0)]);
    let (first, second) = (declare(&mut store, "team.a"), declare(&mut store, "team.b"));
    let other = declare(&mut store, "else");
    assert_eq!(refusal(&mut store, first, 3), None);
    assert_eq!(refusal(&mut store, second, 3), EXCEEDED, "all of a batch or nothing");
    assert_eq!(refusal(&mut store, second, 2), None);
    assert_eq!(refusal(&mut store, first, 1), EXCEEDED);
    assert_eq!(refusal(&mut store, other, 100), None);
    // What is done makes room for any of them.
    assert_eq!(consume(&mut store, first, 2), 2);
    assert_eq!(refusal(&mut store, second, 2), None);
    assert_eq!(refusal(&mut store, second, 1), EXCEEDED);
}

#[test]
fn what_a_queue_holds_goes_with_its_name() {
    let mut store = store(&[quota("team.", 5, 0), quota("", 8, 0)]);
    let (first, second) = (declare(&mut store, "team.a"), declare(&mut store, "b"));
    assert_eq!(refusal(&mut store, first, 5), None);
    store.rename(first, "a").expect("a free name");
    assert_eq!(refusal(&mut store, first, 2), None, "it is in the quota of all alone");
    store.rename(second, "team.b").expect("a free name");
    assert_eq!(refusal(&mut store, second, 2), EXCEEDED, "of all");
    assert_eq!(consume(&mut store, first, 7), 7);
    assert_eq!(refusal(&mut store, second, 5), None);
    assert_eq!(refusal(&mut store, second, 1), EXCEEDED);
    store.rename(first, "team.a").expect("a free name");
    assert_eq!(refusal(&mut store, first, 1), EXCEEDED);
}

#[test]
fn a_queue_that_is_deleted_or_purged_makes_room() {
    let mut store = store(&[quota("team.", 5, 0)]);
    let (first, second) = (declare(&mut store, "team.a"), declare(&mut store, "team.b"));
    assert_eq!(refusal(&mut store, first, 5), None);
    assert_eq!(store.purge(first), Ok(5));
    assert_eq!(refusal(&mut store, second, 5), None);
    assert_eq!(store.delete(second), Ok(5));
    assert_eq!(refusal(&mut store, first, 5), None);
    assert_eq!(refusal(&mut store, first, 1), EXCEEDED);
}

#[test]
fn quotas_count_what_was_there_before_them() {
    let mut store = store(&[]);
    let queue = declare(&mut store, "team.a");
    assert_eq!(refusal(&mut store, queue, 7), None);
    store.set_quotas(Quotas::new(&[quota("team.", 5, 0)], 1).expect("valid quotas"));
    assert_eq!(refusal(&mut store, queue, 1), EXCEEDED);
    assert_eq!(consume(&mut store, queue, 3), 3);
    assert_eq!(refusal(&mut store, queue, 1), None);
    assert_eq!(refusal(&mut store, queue, 1), EXCEEDED);
}

#[test]
fn a_repeat_takes_nothing_of_a_quota_of_bytes() {
    let mut store = store(&[quota("team.", 0, 180_000)]);
    let options = QueueOptions { dedup_ms: 60_000, ..QueueOptions::default() };
    let queue = store.declare("team.a", Some(options)).expect("room for it").0;
    let large = ("large", 50_000);
    assert!(put(&mut store, queue, &[large]).is_ok());
    let again = put(&mut store, queue, &[large]).expect("a repeat needs no room");
    assert!(again.is_duplicate());
    // Only what is new counts.
    let mixed = put(&mut store, queue, &[large, ("small", 10)]);
    assert_eq!(mixed.map(|stored| stored.new_messages()), Ok(1));
    let more = put(&mut store, queue, &[("larger", 50_000)]);
    assert_eq!(more.map(|stored| stored.count()), Err(Code::QuotaExceeded));
}
