//! A producer whose repeats are stored once, with a plane that is not always there.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread;
use std::time::Duration;

use ringway_client::{Batch, Code, Error, IdempotentProducer, Options, Producer, QueueOptions};

use crate::{refusal, served, take, texts};

/// Lets connections through to `target`, and cuts replies off when `replies` has come down to 0:
/// the request arrives, its answer does not. It lasts for one cut.
fn lossy(target: String, replies: Arc<AtomicI64>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound").to_string();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let server = TcpStream::connect(&target).expect("the plane listens");
            let (back, forth) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            let replies = Arc::clone(&replies);
            thread::spawn(move || pass(client, forth, || true));
            thread::spawn(move || {
                pass(server, back, || replies.fetch_sub(1, Ordering::Relaxed) != 1)
            });
        }
    });
    address
}

fn pass(mut from: TcpStream, mut to: TcpStream, on: impl Fn() -> bool) {
    let mut bytes = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        if !on() || to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}

/// Row 40 of FAULTS: the same producer and number again, and the same acknowledgement.
#[test]
fn a_batch_whose_answer_was_lost_is_stored_once() {
    let (plane, mut client) = served();
    let options = QueueOptions { dedup_ms: 60_000, ..QueueOptions::default() };
    let queue = client.declare("once", Some(options)).unwrap();
    // The greeting, an open and a put are answered; then the answer to the second put is cut.
    let replies = Arc::new(AtomicI64::new(4));
    let address = lossy(plane.address().to_string(), Arc::clone(&replies));
    let mut producer = IdempotentProducer::new(&address, Options::default(), "once");
    let first = producer.put(&Batch::of(&["a", "b"]).unwrap()).unwrap();
    let second = producer.put(&Batch::of(&["c"]).unwrap()).unwrap();
    assert!(replies.load(Ordering::Relaxed) < 0, "the cut happened");
    assert_eq!((first.first_sequence, first.duplicate), (0, false));
    assert_eq!((second.first_sequence, second.duplicate), (2, true), "put before, answered now");
    assert_eq!(producer.position().sequence, 3);
    assert_eq!(texts(&take(&mut client, queue)), ["a", "b", "c"]);
}

#[test]
fn a_producer_goes_on_where_another_stopped() {
    let (plane, mut client) = served();
    let address = plane.address().to_string();
    let options = QueueOptions { dedup_ms: 60_000, ..QueueOptions::default() };
    let queue = client.declare("resumed", Some(options)).unwrap();
    let id = Producer { id: 7, sequence: 0 };
    let resume = |at| IdempotentProducer::resume(&address, Options::default(), "resumed", at);
    let mut producer = resume(id);
    let batch = Batch::of(&["x"]).unwrap();
    assert!(!producer.put(&batch).unwrap().duplicate);
    assert!(resume(id).put(&batch).unwrap().duplicate, "the same number again");
    assert!(!resume(producer.position()).put(&batch).unwrap().duplicate);
    assert_eq!(take(&mut client, queue).count(), 2);
    // Numbers of two batches that overlap are a mistake, and said so.
    let overlapping = client.put_as(queue, id, &Batch::of(&["x", "y"]).unwrap());
    assert_eq!(refusal(overlapping), Code::Conflict);
}

#[test]
fn a_batch_of_unknown_fate_stands_before_the_next() {
    let (plane, mut client) = served();
    client.declare("unsettled", None).unwrap();
    let replies = Arc::new(AtomicI64::new(3));
    let address = lossy(plane.address().to_string(), replies);
    let mut producer = IdempotentProducer::new(&address, Options::default(), "unsettled")
        .give_up_after(Duration::ZERO);
    let error = producer.put(&Batch::of(&["x"]).unwrap()).expect_err("the answer is cut");
    assert!(error.fate_unknown() && producer.is_unsettled(), "{error}");
    let other = producer.put(&Batch::of(&["y"]).unwrap());
    assert_eq!(refusal(other), Code::Conflict);
    producer.abandon();
    assert_eq!(producer.position().sequence, 1);
    producer.put(&Batch::of(&["y"]).unwrap()).unwrap();
}

#[test]
fn a_plane_that_is_not_there_is_tried_for_as_long_as_allowed() {
    let mut producer = IdempotentProducer::new("127.0.0.1:1", Options::default(), "x")
        .give_up_after(Duration::from_millis(120));
    let error = producer.put(&Batch::of(&["x"]).unwrap()).expect_err("nobody listens");
    assert!(matches!(error, Error::Connect { .. }) && !producer.is_unsettled(), "{error}");
}
