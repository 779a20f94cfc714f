//! Messages from queue to queue: moved, brought back, published, renamed.

use ringway_client::{
    Batch, Code, Described, GroupFlags, HeaderFilter, MoveOptions, NewMessage, Paused,
    QueueOptions, Start, TakeOptions,
};

use crate::{name_elsewhere, name_here, refusal, served, take, texts};

#[test]
fn a_move_goes_on_until_there_is_no_more() {
    let (_plane, mut client) = served();
    let from = client.declare("from", None).unwrap();
    let to = client.declare(&name_elsewhere(from), None).unwrap();
    let payloads: Vec<String> = (0..2500).map(|number| number.to_string()).collect();
    client.put(from, &payloads).unwrap();
    let some = MoveOptions { messages_max: Some(1500), ..MoveOptions::default() };
    let moved = client.move_messages(from, to, &some).unwrap();
    assert_eq!((moved.moved, moved.refused), (1500, 0));
    assert_eq!(client.stat_queue(from).unwrap().get(0, "ready"), 1000);
    assert_eq!(client.move_messages(from, to, &MoveOptions::default()).unwrap().moved, 1000);
    assert_eq!(client.move_messages(from, to, &MoveOptions::default()).unwrap().moved, 0);
    let taken = take(&mut client, to);
    assert_eq!(texts(&taken), payloads[..100]);
}

#[test]
fn only_messages_with_the_header_are_moved_and_a_full_queue_gets_none() {
    let (_plane, mut client) = served();
    let from = client.declare("mixed", None).unwrap();
    let one = QueueOptions { messages_max: 1, ..QueueOptions::default() };
    let to = client.declare("target", Some(one)).unwrap();
    let mut batch = Batch::default();
    for (text, kind) in [("a", "x"), ("b", "y"), ("c", "x")] {
        batch.add(&NewMessage::new(text).header("kind", kind)).unwrap();
    }
    client.put_batch(from, &batch).unwrap();
    let filter = Some(HeaderFilter { name: "kind", value: b"y" });
    let moved = client.move_messages(from, to, &MoveOptions { filter, ..Default::default() });
    assert_eq!(moved.unwrap().moved, 1);
    let full = client.move_messages(from, to, &MoveOptions::default()).unwrap();
    assert_eq!((full.moved, full.refused), (0, 2));
    assert_eq!(texts(&take(&mut client, from)), ["a", "c"]);
}

#[test]
fn dead_letters_go_home() {
    let (_plane, mut client) = served();
    let once = QueueOptions { deliveries_max: 1, ..QueueOptions::default() };
    let queue = client.declare("mortal", Some(once)).unwrap();
    client.put(queue, &["x", "y"]).unwrap();
    let taken = take(&mut client, queue);
    client.nack(&taken, &[taken.all()]).unwrap();
    let dead = client.open("mortal.dead").unwrap();
    let nothing = HeaderFilter { name: "ringway-reason", value: b"expired" };
    assert_eq!(client.redrive(dead, Some(nothing)).unwrap().moved, 0);
    assert_eq!(client.redrive(dead, None).unwrap().moved, 2);
    let back = take(&mut client, queue);
    assert_eq!(texts(&back), ["x", "y"]);
    let message = back.message(0).unwrap();
    assert_eq!((message.deliveries, message.record.headers().count()), (1, 0));
}

#[test]
fn a_published_name_reaches_every_queue_that_is_bound_to_it() {
    let (_plane, mut client) = served();
    let all = client.declare("all", None).unwrap();
    let paid = client.declare(&name_elsewhere(all), None).unwrap();
    assert!(client.bind(all, "orders.>").unwrap());
    assert!(!client.bind(all, "orders.>").unwrap());
    assert!(client.bind(paid, "orders.*.paid").unwrap());
    let batch = Batch::of(&["order 7"]).unwrap();
    let both = client.publish("orders.eu.paid", &batch).unwrap();
    assert_eq!((both.matched, both.stored, both.refused), (2, 2, 0));
    assert_eq!(client.publish("orders.eu", &batch).unwrap().matched, 1);
    assert_eq!(client.publish("nothing", &batch).unwrap().matched, 0);
    assert_eq!(take(&mut client, all).count(), 2);
    assert_eq!(texts(&take(&mut client, paid)), ["order 7"]);
    let mut patterns: Vec<_> =
        client.bindings().unwrap().into_iter().map(|bound| bound.pattern).collect();
    patterns.sort();
    assert_eq!(patterns, ["orders.*.paid", "orders.>"]);
    assert!(client.unbind(all, "orders.>").unwrap());
    assert!(!client.unbind(all, "orders.>").unwrap());
    assert_eq!(refusal(client.bind(all, "a.>.b")), Code::InvalidName);
}

#[test]
fn a_queue_gets_another_name_on_either_shard() {
    let (_plane, mut client) = served();
    let queue = client.declare("old", None).unwrap();
    client.put(queue, &["x"]).unwrap();
    let far = name_elsewhere(queue);
    assert_eq!(refusal(client.rename(queue, &far)), Code::OtherShard);
    let renamed = client.rename_or_move(queue, &far).unwrap();
    assert_eq!((renamed.moved, renamed.left), (1, 0));
    assert_eq!(refusal(client.open("old")), Code::NoSuchQueue);
    assert_eq!(client.open(&far).unwrap(), renamed.queue);
    let near = name_here(renamed.queue);
    let queue = client.rename(renamed.queue, &near).unwrap();
    assert_eq!(refusal(client.open(&far)), Code::NoSuchQueue);
    assert_eq!(client.open(&near).unwrap(), queue);
    assert_eq!(texts(&take(&mut client, queue)), ["x"]);
}

#[test]
fn a_name_of_another_shard_takes_all_along_or_nothing() {
    let (_plane, mut client) = served();
    let options = QueueOptions { lease_ms: 7_000, deliveries_max: 1, ..QueueOptions::default() };
    let queue = client.declare("whole", Some(options)).unwrap();
    let far = name_elsewhere(queue);
    client.bind(queue, "news.>").unwrap();
    client.put(queue, &["poison", "x"]).unwrap();
    let poison =
        client.take(queue, &TakeOptions { messages_max: 1, ..Default::default() }).unwrap();
    let leased = client.rename_or_move(queue, &far);
    assert_eq!(refusal(leased), Code::OtherShard, "a message is leased");
    client.nack(&poison, &[poison.all()]).unwrap();
    let audit = client.create_group(queue, "audit", Start::Latest, GroupFlags::default()).unwrap();
    client.put(queue, &["y"]).unwrap();
    assert_eq!(refusal(client.rename_or_move(queue, &far)), Code::OtherShard, "another group");
    assert_eq!(client.open("whole").unwrap(), queue, "nothing was done");
    assert_eq!(refusal(client.open(&far)), Code::NoSuchQueue);
    let taken = client.take(queue, &TakeOptions { group: audit, ..Default::default() }).unwrap();
    assert_eq!(texts(&taken), ["y"]);
    client.ack(&taken, &[taken.all()]).unwrap();
    client.delete_group(queue, "audit").unwrap();
    client.pause(queue, Paused::Puts).unwrap();
    let renamed = client.rename_or_move(queue, &far).unwrap();
    assert_eq!((renamed.moved, renamed.left), (2, 0));
    let now = client.describe(renamed.queue).unwrap();
    let expected = Described { name: far.clone(), options, paused: Some(Paused::Puts), parts: 1 };
    assert_eq!(now, expected);
    client.resume(renamed.queue).unwrap();
    let published = client.publish("news.today", &Batch::of(&["z"]).unwrap()).unwrap();
    assert_eq!((published.matched, published.stored), (1, 1));
    assert_eq!(texts(&take(&mut client, renamed.queue)), ["x", "y", "z"]);
    let dead = client.open(&format!("{far}.dead")).unwrap();
    assert_eq!(refusal(client.open("whole.dead")), Code::NoSuchQueue);
    assert_eq!(texts(&take(&mut client, dead)), ["poison"]);
}

#[test]
fn a_spread_queue_keeps_its_name() {
    let (_plane, mut client) = served();
    let options = QueueOptions { spread: 2, ..QueueOptions::default() };
    let queue = client.declare("wide", Some(options)).unwrap();
    client.put(queue, &["x"]).unwrap();
    for name in ["one", "two", "three", "four"] {
        assert_eq!(refusal(client.rename_or_move(queue, name)), Code::OtherShard);
        assert_eq!(refusal(client.open(name)), Code::NoSuchQueue);
    }
    let listed = client.list("wide").unwrap();
    let rows: Vec<_> = listed.iter().map(|row| (&*row.name, row.queue, row.ready)).collect();
    let letters = client.open("wide.dead").unwrap();
    assert_eq!(rows, [("wide", queue, 1), ("wide.dead", letters, 0)], "a row each, with the sum");
}
