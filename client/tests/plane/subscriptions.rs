//! Messages that come without being asked for.

use std::time::{Duration, Instant};

use ringway_client::{Batch, Code, Retry, SubscribeOptions};

use crate::{connect, refusal, served, take, texts};

const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn messages_come_as_they_are_put_and_as_credit_allows() {
    let (plane, mut client) = served();
    let queue = client.declare("pushed", None).unwrap();
    client.put(queue, &["1", "2", "3"]).unwrap();
    let mut other = connect(&plane);
    let options = SubscribeOptions { messages: 2, ..SubscribeOptions::default() };
    let mut subscription = client.subscribe(queue, &options).unwrap();
    let first = subscription.next(PATIENCE).unwrap().expect("two are ready");
    assert_eq!(texts(&first), ["1", "2"]);
    assert!(subscription.next(Duration::from_millis(50)).unwrap().is_none(), "no credit");
    assert!(subscription.next(Duration::ZERO).unwrap().is_none());
    assert_eq!(subscription.ack(&first, &[first.all()]).unwrap().settled, 2);
    let second = subscription.next(PATIENCE).unwrap().expect("one is ready");
    assert_eq!(texts(&second), ["3"]);
    other.put(queue, &["4"]).unwrap();
    let third = subscription.next(PATIENCE).unwrap().expect("one was put");
    assert_eq!(texts(&third), ["4"]);
    subscription.nack(&third, &[third.all()], Retry::BackOff).unwrap();
    let again = subscription.next(PATIENCE).unwrap().expect("it comes back");
    assert_eq!((texts(&again), again.message(0).unwrap().deliveries), (vec!["4".into()], 2));
    assert_eq!(subscription.unsubscribe().unwrap(), 2);
    assert_eq!(texts(&take(&mut other, queue)), ["3", "4"], "back at once");
    client.ping().unwrap();
}

#[test]
fn other_requests_pass_deliveries_and_credit_can_change() {
    let (_plane, mut client) = served();
    let queue = client.declare("busy", None).unwrap();
    let results = client.declare("results", None).unwrap();
    let options = SubscribeOptions { messages: 1, ..SubscribeOptions::default() };
    let mut subscription = client.subscribe(queue, &options).unwrap();
    for number in 0..50 {
        // Its delivery and the reply to it come in either order.
        subscription.client().put(queue, &[number.to_string()]).unwrap();
        subscription.client().ping().unwrap();
    }
    for number in 0..50 {
        let taken = subscription.next(PATIENCE).unwrap().expect("they are there");
        assert_eq!(texts(&taken), [number.to_string()]);
        let batch = Batch::of(&["done"]).unwrap();
        subscription.client().transfer(&taken, &[taken.all()], results, &batch).unwrap();
    }
    subscription.credit(0, 0).unwrap();
    subscription.client().put(queue, &["stopped"]).unwrap();
    assert!(subscription.next(Duration::from_millis(50)).unwrap().is_none());
    subscription.credit(1, 0).unwrap();
    assert_eq!(texts(&subscription.next(PATIENCE).unwrap().expect("credit again")), ["stopped"]);
    drop(subscription);
    assert_eq!(texts(&take(&mut client, queue)), ["stopped"], "dropping gives back");
    assert_eq!(client.stat_queue(results).unwrap().get(0, "ready"), 50);
}

#[test]
fn the_end_of_its_queue_is_the_end_of_a_subscription() {
    let (plane, mut client) = served();
    let queue = client.declare("gone", None).unwrap();
    client.put(queue, &["last"]).unwrap();
    let mut other = connect(&plane);
    let mut subscription = client.subscribe(queue, &SubscribeOptions::default()).unwrap();
    subscription.client().ping().unwrap();
    other.delete(queue).unwrap();
    assert_eq!(texts(&subscription.next(PATIENCE).unwrap().expect("it came before")), ["last"]);
    let started = Instant::now();
    assert_eq!(refusal(subscription.next(PATIENCE)), Code::NoSuchQueue);
    assert_eq!(refusal(subscription.next(PATIENCE)), Code::NoSuchQueue, "and stays so");
    assert!(started.elapsed() < PATIENCE);
    assert_eq!(subscription.unsubscribe().unwrap(), 0);
    client.ping().expect("the connection lives");
}

#[test]
fn a_subscription_that_is_refused_leaves_the_connection_as_it_was() {
    let (_plane, mut client) = served();
    let queue = client.declare("picky", None).unwrap();
    let none = SubscribeOptions { messages: 0, ..SubscribeOptions::default() };
    assert_eq!(refusal(client.subscribe(queue, &none)), Code::InvalidOption);
    client.ping().unwrap();
}
