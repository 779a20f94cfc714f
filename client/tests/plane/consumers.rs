//! Groups, and what becomes of messages under a lease.

use std::time::Duration;

use ringway_client::{
    Batch, Code, GroupFlags, GroupId, LeaseId, NewMessage, QueueOptions, Range, Retry, Start,
    TakeOptions,
};

use crate::{name_elsewhere, refusal, served, take, take_within, texts};

const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn every_group_gets_every_message() {
    let (_plane, mut client) = served();
    let queue = client.declare("shared", None).unwrap();
    client.put(queue, &["one", "two"]).unwrap();
    let flags = GroupFlags::default();
    let (audit, made) = client.create_group_new(queue, "audit", Start::Earliest, flags).unwrap();
    assert!(made && audit != GroupId::DEFAULT);
    assert_eq!(client.create_group(queue, "audit", Start::Latest, flags).unwrap(), audit);
    let single = GroupFlags { single_active: true, ..flags };
    let other = client.create_group(queue, "audit", Start::Latest, single);
    assert_eq!(refusal(other), Code::Conflict);
    let first = take(&mut client, queue);
    client.ack(&first, &[first.all()]).unwrap();
    let of_audit = TakeOptions { group: audit, messages_max: 10, ..TakeOptions::default() };
    assert_eq!(texts(&client.take(queue, &of_audit).unwrap()), ["one", "two"]);

    let groups = client.groups(queue).unwrap();
    let names: Vec<_> = groups.iter().map(|group| group.name.as_str()).collect();
    assert_eq!(names, ["default", "audit"]);
    assert_eq!((groups[0].figures.get(0, "acks"), groups[1].figures.get(0, "leased")), (2, 2));
    assert_eq!(client.group(queue, "audit").unwrap(), audit);
    assert_eq!(refusal(client.group(queue, "nobody")), Code::NoSuchGroup);
    client.delete_group(queue, "audit").unwrap();
    assert_eq!(refusal(client.take(queue, &of_audit)), Code::NoSuchGroup);
    assert_eq!(refusal(client.delete_group(queue, "default")), Code::Conflict);
}

#[test]
fn a_paused_group_gets_nothing_until_it_is_resumed() {
    let (_plane, mut client) = served();
    let queue = client.declare("paused", None).unwrap();
    client.put(queue, &["x"]).unwrap();
    let paused = GroupFlags { paused: true, ..GroupFlags::default() };
    assert_eq!(client.alter_group(queue, "default", paused).unwrap(), GroupId::DEFAULT);
    assert!(take(&mut client, queue).is_empty());
    client.alter_group(queue, "default", GroupFlags::default()).unwrap();
    assert_eq!(texts(&take(&mut client, queue)), ["x"]);
}

#[test]
fn a_message_comes_back_when_the_nack_says() {
    let (_plane, mut client) = served();
    let queue = client.declare("retried", None).unwrap();
    client.put(queue, &["later", "never"]).unwrap();
    let taken = take(&mut client, queue);
    let [later, never] = [0, 1].map(|index| taken.message(index).unwrap().range());
    let delay = Duration::from_millis(50);
    assert_eq!(client.nack_with(&taken, &[later], Retry::After(delay)).unwrap().settled, 1);
    assert_eq!(client.nack_with(&taken, &[never], Retry::Never).unwrap().settled, 1);
    let again = take_within(&mut client, queue, PATIENCE);
    assert_eq!((texts(&again), again.message(0).unwrap().deliveries), (vec!["later".into()], 2));
    let dead_queue = client.open("retried.dead").unwrap();
    let dead = take(&mut client, dead_queue);
    let reason = dead.message(0).and_then(|message| message.header("ringway-reason"));
    assert_eq!((texts(&dead), reason), (vec!["never".into()], Some(&b"rejected"[..])));
}

#[test]
fn a_lease_lasts_longer_once_it_is_extended() {
    let (_plane, mut client) = served();
    let queue = client.declare("slow", None).unwrap();
    client.put(queue, &["x", "y"]).unwrap();
    let short = Duration::from_millis(700);
    let options = TakeOptions { messages_max: 2, lease: short, ..TakeOptions::default() };
    let taken = client.take(queue, &options).unwrap();
    client.ack(&taken, &[Range { first: 0, count: 1 }]).unwrap();
    let extended = client.extend(&taken, PATIENCE).unwrap();
    assert_eq!((extended.lease_ms, extended.unsettled), (20_000, 1));
    std::thread::sleep(short + short / 4);
    assert!(take(&mut client, queue).is_empty(), "the lease had ended");
    assert_eq!(client.ack(&taken, &[Range { first: 1, count: 1 }]).unwrap().settled, 1);
    assert_eq!(refusal(client.extend(&taken, PATIENCE)), Code::NoSuchLease);
}

#[test]
fn ranges_that_no_lease_can_have_are_refused_here() {
    let (_plane, mut client) = served();
    let queue = client.declare("ranges", None).unwrap();
    let lease = LeaseId::new(1, 0, 0);
    assert_eq!(refusal(client.ack_lease(queue, lease, &[])), Code::Malformed);
    let many = vec![Range { first: 0, count: 1 }; 2049];
    assert_eq!(refusal(client.nack_lease(queue, lease, &many)), Code::Malformed);
    client.ping().expect("the connection lives");
}

#[test]
fn a_result_and_its_acknowledgement_travel_together() {
    let (_plane, mut client) = served();
    let work = client.declare("work", None).unwrap();
    let full = QueueOptions { messages_max: 1, ..QueueOptions::default() };
    let near = client.declare("work.dead", Some(QueueOptions { deliveries_max: 0, ..full }));
    let far = client.declare(&name_elsewhere(work), Some(full)).unwrap();
    for results in [near.unwrap(), far] {
        client.put(work, &["one", "two"]).unwrap();
        let taken = take(&mut client, work);
        let [one, two] = [0, 1].map(|index| taken.message(index).unwrap().range());
        let batch = Batch::of(&["result"]).unwrap();
        let transferred = client.transfer(&taken, &[one], results, &batch).unwrap();
        assert_eq!((transferred.settlement.settled, transferred.placed.count), (1, 1));
        let refused = client.transfer(&taken, &[two], results, &batch);
        assert_eq!(refusal(refused), Code::QueueFull);
        assert_eq!(client.ack(&taken, &[two]).unwrap().settled, 1, "nothing was acknowledged");
        assert_eq!(texts(&take(&mut client, results)), ["result"]);
    }
}

#[test]
fn what_a_full_queue_dropped_is_said_with_the_next_delivery() {
    let (_plane, mut client) = served();
    let options = QueueOptions {
        messages_max: 2,
        full_policy: ringway_client::FullPolicy::DropOldest,
        ..QueueOptions::default()
    };
    let queue = client.declare("ring", Some(options)).unwrap();
    for text in ["1", "2", "3", "4", "5"] {
        let mut batch = Batch::default();
        batch.add(&NewMessage::new(text)).unwrap();
        client.put_batch(queue, &batch).unwrap();
    }
    let taken = take(&mut client, queue);
    assert_eq!((texts(&taken), taken.dropped), (vec!["4".into(), "5".into()], 3));
}
