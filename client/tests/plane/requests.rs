//! A request and its answer in one call.

use std::thread;
use std::time::Duration;

use ringway_client::{
    CORRELATION, Client, Code, Error, NewMessage, QueueId, REPLY_TO, TakeOptions,
};

use crate::{connect, refusal, served, take};

const PATIENCE: Duration = Duration::from_secs(20);

/// Answers `count` requests with what `answer` makes of them.
fn work(mut client: Client, queue: QueueId, count: usize, and_ack: bool) {
    let wait = TakeOptions { wait: PATIENCE, ..TakeOptions::default() };
    for _ in 0..count {
        let taken = client.take(queue, &wait).unwrap();
        let message = taken.message(0).expect("somebody asks");
        let answer = [b"re: ", message.record.payload].concat();
        if and_ack {
            let transferred = client.reply_and_ack(&taken, &message, answer).unwrap();
            assert_eq!(transferred.settlement.settled, 1);
        } else {
            client.reply(&message, answer).unwrap();
            client.ack(&taken, &[taken.all()]).unwrap();
        }
    }
}

#[test]
fn every_request_gets_its_own_answer() {
    let (plane, mut client) = served();
    let queue = client.declare("questions", None).unwrap();
    for and_ack in [false, true] {
        let worker = connect(&plane);
        let worker = thread::spawn(move || work(worker, queue, 3, and_ack));
        for question in ["a", "b", "c"] {
            let answer = client.request(queue, question, PATIENCE).unwrap();
            assert_eq!(answer.payload(), format!("re: {question}").as_bytes());
        }
        worker.join().unwrap();
    }
    assert_eq!(client.stat_queue(queue).unwrap().get(0, "leased"), 0);
    assert_eq!(client.list("ringway-replies/").unwrap().len(), 1, "one reply queue a connection");
}

#[test]
fn a_late_answer_is_nobodys_and_an_unanswered_request_expires() {
    let (plane, mut client) = served();
    let queue = client.declare("slow", None).unwrap();
    let deadline = Duration::from_millis(50);
    let message = NewMessage::new("late").header("mine", "kept");
    let error = client.request_message(queue, message, deadline).expect_err("nobody works");
    assert!(matches!(error, Error::NoAnswer { .. }), "{error}");
    assert!(error.fate_unknown() && client.is_usable());
    thread::sleep(2 * deadline);
    assert!(take(&mut client, queue).is_empty(), "it expired");

    // Taken in time, answered too late.
    let mut worker = connect(&plane);
    let wait = TakeOptions { wait: PATIENCE, ..TakeOptions::default() };
    let working = thread::spawn(move || {
        let taken = worker.take(queue, &wait).unwrap();
        let message = taken.message(0).unwrap();
        assert!(message.header(REPLY_TO).is_some() && message.header(CORRELATION).is_some());
        thread::sleep(Duration::from_millis(1_600));
        worker.reply_and_ack(&taken, &message, "too late").unwrap();
        work(worker, queue, 1, true);
    });
    let deadline = Duration::from_millis(800);
    client.request(queue, "first", deadline).expect_err("the worker sleeps");
    let answer = client.request(queue, "second", PATIENCE).unwrap();
    assert_eq!(answer.payload(), b"re: second");
    working.join().unwrap();
}

#[test]
fn a_message_that_wants_no_answer_gets_none() {
    let (_plane, mut client) = served();
    let queue = client.declare("plain", None).unwrap();
    client.put(queue, &["x"]).unwrap();
    let taken = take(&mut client, queue);
    let message = taken.message(0).unwrap();
    assert_eq!(refusal(client.reply(&message, "y")), Code::Malformed);
    let mut batch = ringway_client::Batch::default();
    batch.add(&NewMessage::new("x").header(REPLY_TO, "gone")).unwrap();
    client.put_batch(queue, &batch).unwrap();
    let taken = take(&mut client, queue);
    let message = taken.message(0).unwrap();
    assert_eq!(refusal(client.reply(&message, "y")), Code::NoSuchQueue);
}
