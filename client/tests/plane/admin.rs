//! Looking, cancelling, stopping, changing.

use std::time::Duration;

use ringway_client::{Batch, BrowseOptions, Code, MessageState, NewMessage, Paused, QueueOptions};

use crate::{refusal, served, take, texts};

#[test]
fn messages_are_seen_where_they_stand_and_stay_there() {
    let (_plane, mut client) = served();
    let queue = client.declare("seen", None).unwrap();
    let mut batch = Batch::default();
    batch.add(&NewMessage::new("a").header("kind", "first")).unwrap();
    for text in ["b", "c"] {
        batch.push(&[], text.as_bytes()).unwrap();
    }
    batch.add(&NewMessage::new("later").delay(Duration::from_secs(3600))).unwrap();
    client.put_batch(queue, &batch).unwrap();
    let peeked = client.peek(queue, 2).unwrap();
    let payloads: Vec<_> = peeked.iter().map(|browsed| browsed.record().payload).collect();
    assert_eq!(payloads, [b"a", b"b"]);
    assert_eq!(peeked[0].record().headers().next(), Some(("kind", &b"first"[..])));
    let taken = take(&mut client, queue);
    assert_eq!(texts(&taken), ["a", "b", "c"], "looking took nothing");
    let of = |state| BrowseOptions { state, ..BrowseOptions::default() };
    let leased = client.browse(queue, &of(MessageState::Leased)).unwrap();
    assert!(leased.len() == 3 && leased.iter().all(|browsed| browsed.standing.deliveries == 1));
    let scheduled = client.browse(queue, &of(MessageState::Scheduled)).unwrap();
    assert!(scheduled.len() == 1 && scheduled[0].standing.due_ms > scheduled[0].standing.put_ms);
    assert!(client.browse(queue, &of(MessageState::Ready)).unwrap().is_empty());
    assert!(client.peek(queue, 0).unwrap().is_empty());
}

#[test]
fn queues_are_listed_by_prefix_or_pattern() {
    let (_plane, mut client) = served();
    for name in ["orders.eu.paid", "orders.us.paid", "orders.eu", "mail/in"] {
        client.declare(name, None).unwrap();
    }
    let mut list = |pattern: &str| {
        let listed = client.list(pattern).unwrap();
        let mut names: Vec<_> = listed.into_iter().map(|listed| listed.name).collect();
        names.sort();
        names
    };
    assert_eq!(list("orders.*.paid"), ["orders.eu.paid", "orders.us.paid"]);
    assert_eq!(list("orders.eu.>"), ["orders.eu.paid"]);
    assert_eq!(list("*/*"), ["mail/in"]);
    assert_eq!(list("orders.eu"), ["orders.eu", "orders.eu.paid"], "a prefix");
    assert_eq!((list(">").len(), list("").len()), (4, 4));
    assert_eq!(refusal(client.list("m*")), Code::InvalidName);
}

#[test]
fn a_browse_reads_page_after_page() {
    let (_plane, mut client) = served();
    let queue = client.declare("long", None).unwrap();
    let payloads: Vec<String> = (0..3000).map(|number| number.to_string()).collect();
    client.put(queue, &payloads).unwrap();
    let all = client.browse(queue, &BrowseOptions::default()).unwrap();
    assert_eq!(all.len(), 3000);
    let in_order = all.iter().zip(0..).all(|(browsed, number)| browsed.standing.sequence == number);
    assert!(in_order);
    assert_eq!(client.peek(queue, 1500).unwrap().len(), 1500);
    let mut urgent = Batch::default();
    urgent.add(&NewMessage::new("first").priority(7)).unwrap();
    client.put_batch(queue, &urgent).unwrap();
    let all = client.browse(queue, &BrowseOptions::default()).unwrap();
    assert_eq!((all.len(), all[0].record().payload), (3001, &b"first"[..]));
}

#[test]
fn a_scheduled_message_is_cancelled_by_the_sequence_of_its_put() {
    let (_plane, mut client) = served();
    let queue = client.declare("cancelled", None).unwrap();
    let mut batch = Batch::default();
    batch.add(&NewMessage::new("later").delay(Duration::from_secs(3600))).unwrap();
    batch.add(&NewMessage::new("now")).unwrap();
    let placed = client.put_batch(queue, &batch).unwrap();
    let sequences: Vec<u64> = placed.messages().map(|(sequence, _)| sequence).collect();
    let removal = client.remove(queue, &sequences).unwrap();
    assert_eq!((removal.removed, removal.missing), (2, 0));
    let again = client.remove(queue, &sequences).unwrap();
    assert_eq!((again.removed, again.missing), (0, 2));
    assert!(take(&mut client, queue).is_empty());
    let many: Vec<u64> = (0..2000).collect();
    assert_eq!(client.remove(queue, &many).unwrap().missing, 2000);
}

#[test]
fn a_queue_is_paused_and_resumed() {
    let (_plane, mut client) = served();
    let queue = client.declare("stopped", None).unwrap();
    client.put(queue, &["x"]).unwrap();
    client.pause(queue, Paused::Puts).unwrap();
    assert_eq!(refusal(client.put(queue, &["y"])), Code::Paused);
    client.pause(queue, Paused::Takes).unwrap();
    client.put(queue, &["y"]).unwrap();
    assert!(take(&mut client, queue).is_empty());
    client.pause(queue, Paused::Both).unwrap();
    assert_eq!(refusal(client.put(queue, &["z"])), Code::Paused);
    assert!(take(&mut client, queue).is_empty());
    client.resume(queue).unwrap();
    assert_eq!(texts(&take(&mut client, queue)), ["x", "y"]);
}

#[test]
fn options_change_under_a_queue() {
    let (_plane, mut client) = served();
    let queue = client.declare("changed", None).unwrap();
    let small = QueueOptions { messages_max: 1, ..QueueOptions::default() };
    client.alter(queue, small).unwrap();
    client.put(queue, &["x"]).unwrap();
    assert_eq!(refusal(client.put(queue, &["y"])), Code::QueueFull);
    assert_eq!(client.declare("changed", Some(small)).unwrap(), queue);
    let wrong = QueueOptions { messages_max: 0, ..small };
    assert_eq!(refusal(client.alter(queue, wrong)), Code::InvalidOption);
}
