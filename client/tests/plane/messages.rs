//! What a message can ask for: keys, times, priorities, names against repeats, headers.

use std::thread;
use std::time::{Duration, SystemTime};

use ringway_client::{Batch, Code, FullPolicy, NewMessage, PutOutcome, QueueOptions, TakeOptions};

use crate::{connect, refusal, served, take, take_within, texts};

const SOON: Duration = Duration::from_millis(400);
const PATIENCE: Duration = Duration::from_secs(20);

fn batch(messages: &[NewMessage<'_>]) -> Batch {
    let mut batch = Batch::default();
    messages.iter().for_each(|message| batch.add(message).expect("it is small"));
    batch
}

#[test]
fn messages_of_one_key_are_in_flight_one_at_a_time() {
    let (_plane, mut client) = served();
    let queue = client.declare("keyed", None).unwrap();
    let [a1, a2, b] = ["a1", "a2", "b"].map(NewMessage::new);
    client.put_batch(queue, &batch(&[a1.key("a"), a2.key("a"), b.key("b")])).unwrap();
    let first = take(&mut client, queue);
    assert_eq!(texts(&first), ["a1", "b"]);
    assert!(take(&mut client, queue).is_empty());
    client.ack(&first, &[first.message(0).unwrap().range()]).unwrap();
    assert_eq!(texts(&take(&mut client, queue)), ["a2"]);
}

#[test]
fn a_scheduled_message_comes_when_it_is_due_under_another_sequence() {
    let (_plane, mut client) = served();
    let queue = client.declare("later", None).unwrap();
    let at = SystemTime::now() + SOON;
    let messages = [
        NewMessage::new("delayed").delay(SOON),
        NewMessage::new("at").at(at),
        NewMessage::new("now"),
    ];
    let placed = client.put_batch(queue, &batch(&messages)).unwrap();
    let outcomes: Vec<_> = placed.messages().map(|(_, outcome)| outcome).collect();
    let expected = [PutOutcome::Scheduled, PutOutcome::Scheduled, PutOutcome::Stored];
    assert_eq!((outcomes.as_slice(), placed.duplicate), (&expected[..], false));
    assert_eq!(texts(&take(&mut client, queue)), ["now"]);
    let mut due = Vec::new();
    while due.len() < 2 {
        let taken = take_within(&mut client, queue, PATIENCE);
        assert!(!taken.is_empty(), "nothing came");
        due.extend(texts(&taken));
    }
    due.sort();
    assert_eq!(due, ["at", "delayed"]);
}

#[test]
fn the_higher_priority_goes_first_and_the_dead_go_never() {
    let (_plane, mut client) = served();
    let queue = client.declare("ranked", None).unwrap();
    let low = NewMessage::new("low");
    let high = NewMessage::new("high").priority(7);
    let mortal = NewMessage::new("mortal").time_to_live(Duration::from_millis(1));
    client.put_batch(queue, &batch(&[low, high, mortal])).unwrap();
    thread::sleep(SOON);
    assert_eq!(texts(&take(&mut client, queue)), ["high", "low"]);
    assert_eq!(client.stat_queue(queue).unwrap().get(0, "expired"), 1);
}

#[test]
fn a_message_with_a_known_name_is_stored_once() {
    let (_plane, mut client) = served();
    let options = QueueOptions { dedup_ms: 60_000, ..QueueOptions::default() };
    let queue = client.declare("once", Some(options)).unwrap();
    let named = batch(&[NewMessage::new("x").deduplication_id("id-1")]);
    let first = client.put_batch(queue, &named).unwrap();
    let again = client.put_batch(queue, &named).unwrap();
    assert_eq!((first.duplicate, again.duplicate), (false, true));
    assert_eq!(again.first_sequence, first.first_sequence);
    let mixed = [NewMessage::new("y"), NewMessage::new("x").deduplication_id("id-1")];
    let mixed = client.put_batch(queue, &batch(&mixed)).unwrap();
    assert_eq!((mixed.duplicate, mixed.count_of(PutOutcome::Duplicate)), (false, 1));
    assert_eq!(take(&mut client, queue).count(), 2);
}

#[test]
fn a_put_waits_for_room_where_the_queue_holds_it() {
    let (plane, mut client) = served();
    let options = QueueOptions {
        messages_max: 1,
        full_policy: FullPolicy::Hold,
        wait_max_ms: 2_000,
        ..QueueOptions::default()
    };
    let queue = client.declare("held", Some(options)).unwrap();
    client.put(queue, &["first"]).unwrap();
    let mut producer = connect(&plane);
    let held = thread::spawn(move || producer.put(queue, &["second"]).map(|_| producer));
    while client.stat_queue(queue).unwrap().get(0, "held_puts") == 0 {
        assert!(!held.is_finished(), "it found no room, and did not wait");
        thread::sleep(Duration::from_millis(1));
    }
    let taken = take(&mut client, queue);
    client.ack(&taken, &[taken.all()]).unwrap();
    let mut producer = held.join().unwrap().expect("there is room now");
    assert_eq!(refusal(producer.put(queue, &["third"])), Code::QueueFull, "nobody makes room");
    assert_eq!(texts(&take(&mut client, queue)), ["second"]);
}

#[test]
fn headers_arrive_in_their_order() {
    let (_plane, mut client) = served();
    let queue = client.declare("headed", None).unwrap();
    let message = NewMessage::new("x").header("a", "1").header("b", vec![0, 255]).header("a", "2");
    client.put_batch(queue, &batch(&[message])).unwrap();
    let taken = take(&mut client, queue);
    let message = taken.message(0).unwrap();
    let headers: Vec<_> = message.record.headers().collect();
    assert_eq!(headers, [("a", &b"1"[..]), ("b", &[0, 255]), ("a", b"2")]);
    assert_eq!((message.header("a"), message.header("c")), (Some(&b"1"[..]), None));
}

#[test]
fn what_no_server_takes_is_refused_here() {
    let (_plane, mut client) = served();
    let queue = client.declare("strict", None).unwrap();
    let mut batch = Batch::default();
    assert_eq!(refusal(batch.add(&NewMessage::new("x").priority(8))), Code::InvalidOption);
    assert_eq!(refusal(batch.add(&NewMessage::new("x").key(""))), Code::InvalidOption);
    let century = Duration::from_secs(200 * 365 * 86_400);
    assert_eq!(refusal(batch.add(&NewMessage::new("x").delay(century))), Code::InvalidOption);
    assert_eq!(refusal(client.put_batch(queue, &batch)), Code::Malformed);
    assert_eq!(refusal(client.put::<&str>(queue, &[])), Code::Malformed);
    client.ping().expect("the connection lives");
    let none = TakeOptions { messages_max: 0, ..TakeOptions::default() };
    assert_eq!(refusal(client.take(queue, &none)), Code::InvalidOption);
    client.ping().expect("the connection lives");
}
