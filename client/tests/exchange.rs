//! The client against a stand-in over real sockets: requests, refusals, goodbyes, silence, and
//! replies cut at every byte.

mod support;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use ringway_client::{
    Client, Code, Error, FullPolicy, Options, Pipeline, QueueId, QueueOptions, Reply, Request,
    ShardedClient, TakeOptions,
};
use ringway_protocol::Rejection;
use ringway_protocol::frame::{self, HEADER_BYTES, Header, Kind};
use ringway_protocol::reply;
use support::{Behaviour, Responder, welcome};

fn client(responder: &Responder) -> Client {
    Client::connect(&responder.address, &Options::default()).expect("the stand-in listens")
}

#[test]
fn a_message_goes_in_and_comes_out_once() {
    let responder = Responder::start(Behaviour::default());
    let mut client = client(&responder);
    let queue = client.declare("orders", None).unwrap();
    assert_eq!(client.declare_new("orders", None).unwrap(), (queue, false));
    assert_eq!(client.open("orders").unwrap(), queue);
    let placed = client.put(queue, &["one", "two", "three"]).unwrap();
    assert_eq!((placed.first_sequence, placed.count), (0, 3));
    assert_eq!(client.stat_queue(queue).unwrap().get(0, "ready"), 3);

    let taken = client.take(queue, &TakeOptions { messages_max: 2, ..Default::default() }).unwrap();
    let messages: Vec<_> =
        taken.messages().map(|message| (message.sequence, message.record.payload)).collect();
    assert_eq!(messages, [(0, b"one".as_slice()), (1, b"two")]);
    assert_eq!(client.ack(&taken, &[taken.all()]).unwrap().settled, 2);
    assert_eq!(client.ack(&taken, &[taken.all()]).unwrap().stale, 2, "repeating is harmless");

    assert_eq!(client.purge(queue).unwrap(), 1);
    assert!(client.take(queue, &TakeOptions::default()).unwrap().is_empty());
    assert_eq!(client.delete(queue).unwrap(), 0);
    client.ping().unwrap();
    assert_eq!(client.echo(&[7; 300_000]).unwrap(), [7; 300_000]);
    assert_eq!(client.stat_plane().unwrap().len(), 1);
}

#[test]
fn a_listing_is_read_to_its_last_page() {
    let responder = Responder::start(Behaviour::default());
    let mut client = client(&responder);
    for number in 0..7 {
        client.declare(&format!("q{number}"), None).unwrap();
    }
    let names: Vec<String> = client.list("").unwrap().into_iter().map(|entry| entry.name).collect();
    assert_eq!(names, ["q0", "q1", "q2", "q3", "q4", "q5", "q6"]);
}

#[test]
fn a_refusal_is_an_answer_and_the_connection_lives() {
    let responder = Responder::start(Behaviour::default());
    let mut client = client(&responder);
    let error = client.open("nowhere").unwrap_err();
    assert!(matches!(error, Error::Refused { code: Code::NoSuchQueue, .. }));
    assert!(!error.ends_connection() && !error.fate_unknown());
    assert!(error.to_string().contains("declare the queue"), "it says what to do: {error}");

    let small =
        QueueOptions { messages_max: 1, full_policy: FullPolicy::Reject, ..Default::default() };
    let queue = client.declare("small", Some(small)).unwrap();
    let full = client.put(queue, &["a", "b"]).unwrap_err();
    assert!(matches!(full, Error::Refused { code: Code::QueueFull, .. }));
    let conflict = client.declare("small", None).unwrap_err();
    assert!(matches!(conflict, Error::Refused { code: Code::Conflict, .. }));
    client.ping().unwrap();
}

#[test]
fn what_breaks_a_limit_is_not_sent() {
    let responder = Responder::start(Behaviour::default());
    let mut client = client(&responder);
    let queue = client.declare("q", None).unwrap();
    let errors = [
        client.declare("no spaces", None).unwrap_err(),
        client.open("").unwrap_err(),
        client.put(queue, &[vec![0; 70_000]]).unwrap_err(),
        client.put::<&str>(queue, &[]).unwrap_err(),
        client.echo(&vec![0; 2 << 20]).unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error, Error::Invalid(_)), "{error}");
        assert!(!error.ends_connection() && !error.fate_unknown());
    }
    client.ping().unwrap();
}

#[test]
fn a_wrong_token_says_so_and_ends_the_connection() {
    let responder = Responder::start(Behaviour { token: b"secret".to_vec(), ..Default::default() });
    let error = Client::connect(&responder.address, &Options::default()).unwrap_err();
    assert!(matches!(error, Error::Refused { code: Code::Unauthorized, .. }), "{error}");
    let options = Options { token: "secret".into(), ..Default::default() };
    Client::connect(&responder.address, &options).unwrap().ping().unwrap();
}

#[test]
fn nobody_listening_names_the_address() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let error = Client::connect(&free, &Options::default()).unwrap_err();
    assert!(matches!(&error, Error::Connect { address, .. } if *address == free), "{error}");
}

/// A peer that greets, then answers the first request with what `script` does to the socket.
fn peer(script: impl FnOnce(&mut TcpStream, Header) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_nodelay(true).unwrap();
        let header = next_request(&mut stream);
        let mut out = Vec::new();
        let reply = Header::reply(Kind::Greet, Code::Ok, 0, header.request);
        frame::write(&mut out, reply, |out| welcome(0, &[String::new()]).encode(out));
        stream.write_all(&out).unwrap();
        let header = next_request(&mut stream);
        script(&mut stream, header);
    });
    address
}

fn next_request(stream: &mut TcpStream) -> Header {
    let mut head = [0; HEADER_BYTES];
    stream.read_exact(&mut head).unwrap();
    let header = Header::decode(&head);
    let mut body = vec![0; header.length as usize];
    stream.read_exact(&mut body).unwrap();
    header
}

fn open_reply(header: Header) -> Vec<u8> {
    let mut out = Vec::new();
    reply::number(&mut out, Kind::Open, (0, header.request), 1 << 32);
    out
}

#[test]
fn a_reply_may_arrive_cut_at_any_byte() {
    for cut in 1..24 {
        let address = peer(move |stream, header| {
            let bytes = open_reply(header);
            stream.write_all(&bytes[..cut]).unwrap();
            std::thread::sleep(Duration::from_millis(3));
            stream.write_all(&bytes[cut..]).unwrap();
            let _ = stream.read(&mut [0]);
        });
        let mut client = Client::connect(&address, &Options::default()).unwrap();
        assert_eq!(client.open("q").unwrap(), QueueId::new(1, 0, 0), "cut at {cut}");
    }
}

/// One open on a peer with that script; what it returns, and what the next request returns.
fn open_at(script: impl FnOnce(&mut TcpStream, Header) + Send + 'static) -> (Error, Error) {
    let options = Options { reply_timeout: Duration::from_millis(1_000), ..Default::default() };
    let mut client = Client::connect(&peer(script), &options).unwrap();
    (client.open("q").unwrap_err(), client.ping().unwrap_err())
}

/// A full queue answers a put when there is room, which may be long after the time in which other
/// requests must be answered.
#[test]
fn a_put_may_be_held_longer_than_a_reply_may_take() {
    let late = |stream: &mut TcpStream, header: Header| {
        std::thread::sleep(Duration::from_millis(300));
        let mut out = Vec::new();
        let full = Rejection::new(Code::QueueFull, "the queue is full");
        reply::refused(&mut out, Kind::Put, (header.stream, header.request), full);
        stream.write_all(&out).unwrap();
    };
    let options = Options { reply_timeout: Duration::from_millis(200), ..Default::default() };
    let mut client = Client::connect(&peer(late), &options).unwrap();
    let error = client.put(QueueId::new(1, 0, 0), &["x"]).unwrap_err();
    assert_eq!(error.code(), Some(Code::QueueFull), "{error}");
    let impatient = Options { held_timeout: Duration::ZERO, ..options };
    let mut client = Client::connect(&peer(late), &impatient).unwrap();
    let error = client.put(QueueId::new(1, 0, 0), &["x"]).unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
}

#[test]
fn after_an_error_that_breaks_framing_the_connection_says_why_it_is_unusable() {
    let goodbye = |stream: &mut TcpStream, _: Header| {
        let mut out = Vec::new();
        let why = Rejection::new(Code::TooSlow, "a frame took more than 10 s");
        reply::refused(&mut out, Kind::Goodbye, (0, 0), why);
        stream.write_all(&out).unwrap();
    };
    let (first, then) = open_at(goodbye);
    assert!(matches!(first, Error::Goodbye { code: Code::TooSlow, .. }), "{first}");
    assert!(matches!(&then, Error::Unusable(why) if why.contains("10 s")), "{then}");

    let (first, then) = open_at(|stream, _| stream.shutdown(Shutdown::Both).unwrap());
    assert!(matches!(first, Error::Closed) && first.fate_unknown(), "{first}");
    assert!(matches!(then, Error::Unusable(_)), "{then}");

    let (first, then) = open_at(|stream, header| {
        stream.write_all(&open_reply(header)[..20]).unwrap();
    });
    assert!(matches!(first, Error::Closed), "cut off in a frame: {first}");
    assert!(matches!(then, Error::Unusable(_)), "{then}");

    let (first, _) = open_at(|stream, header| {
        stream.write_all(&open_reply(Header { request: header.request + 1, ..header })).unwrap();
    });
    assert!(matches!(first, Error::Protocol(_)), "another request's reply: {first}");

    let (first, _) = open_at(|stream, _| stream.write_all(&[0xff; 64]).unwrap());
    assert!(matches!(first, Error::Protocol(_)), "no frame at all: {first}");
}

#[test]
fn silence_is_a_timeout_with_an_unknown_fate() {
    let started = Instant::now();
    let (first, then) = open_at(|stream, _| {
        let _ = stream.read(&mut [0]);
    });
    assert!(matches!(first, Error::Timeout { .. }) && first.fate_unknown(), "{first}");
    assert!(matches!(then, Error::Unusable(_)), "a late reply could be taken for another's");
    assert!(started.elapsed() >= Duration::from_millis(200));
}

#[test]
fn a_pipeline_answers_everything_it_was_asked() {
    let responder = Responder::start(Behaviour::default());
    for blocking in [false, true] {
        let mut pipeline = Pipeline::connect(&responder.address, &Options::default()).unwrap();
        let body = vec![9; 20_000];
        // 20 MB in flight: more than the sockets hold, so partial writes must be carried on.
        for number in 0..1000 {
            pipeline.outbox().request(&Request::Echo(&body), number);
        }
        let mut next = 0;
        while next < 1000 {
            pipeline.flush().unwrap();
            let _ =
                if blocking { pipeline.receive_blocking() } else { pipeline.receive() }.unwrap();
            pipeline
                .replies(|frame, _| {
                    assert_eq!(frame.header.request, next);
                    assert_eq!(Reply::decode(frame), Ok(Reply::Echo(&body)));
                    next += 1;
                })
                .unwrap();
        }
    }
}

#[test]
fn each_shard_is_reached_at_its_own_address_and_again_after_it_closed() {
    let own = Behaviour { shards: 3, shard_addresses: true, ..Default::default() };
    let one_door = Behaviour { shards: 3, ..Default::default() };
    for (behaviour, connections) in [(own.clone(), 4), (one_door, 1)] {
        let responder = Responder::start(behaviour);
        let mut shards = ShardedClient::connect(&responder.address, Options::default()).unwrap();
        for number in 0..20 {
            let name = format!("queue-{number}");
            let queue = shards.owner_of(&name).unwrap().declare(&name, None).unwrap();
            shards.owner(queue).unwrap().put(queue, &["x"]).unwrap();
        }
        assert_eq!(shards.door().unwrap().list("").unwrap().len(), 20);
        let accepted = responder.accepted.load(std::sync::atomic::Ordering::Relaxed);
        assert_eq!(accepted, connections);
    }
    let responder = Responder::start(Behaviour { close_after: Some(2), ..own });
    let mut shards = ShardedClient::connect(&responder.address, Options::default()).unwrap();
    let mut closed = 0;
    for _ in 0..6 {
        match shards.owner_of("q").unwrap().ping() {
            Err(error) if error.ends_connection() => closed += 1,
            result => result.unwrap(),
        }
    }
    assert_eq!(closed, 3, "a greeting and one ping fit, then a new connection is made");
}
