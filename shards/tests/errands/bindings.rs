//! Names that reach every queue bound to a pattern: bound on one shard, published on any.

use crate::peer::{Peer, batch, name_on, plane};
use ringway_protocol::pattern::Pattern;
use ringway_protocol::request::{Binding, Publish};
use ringway_protocol::{Code, QueueId, Records, Reply, Request, record};
use std::time::Duration;

pub fn bind(peer: &mut Peer, queue: QueueId, pattern: &str) -> bool {
    let pattern = Pattern::new(pattern).expect("a valid pattern");
    match peer.ask(Request::Bind(Binding { queue, pattern })).reply() {
        Reply::Bound { changed } => changed,
        other => panic!("{other:?}"),
    }
}

fn unbind(peer: &mut Peer, queue: QueueId, pattern: &str) -> bool {
    let pattern = Pattern::new(pattern).expect("a valid pattern");
    match peer.ask(Request::Unbind(Binding { queue, pattern })).reply() {
        Reply::Bound { changed } => changed,
        other => panic!("{other:?}"),
    }
}

/// Queues matched, stored, refused.
fn outcome(reply: &Reply<'_>) -> (u32, u32, u32) {
    match reply {
        Reply::Published(published) => (published.matched, published.stored, published.refused),
        other => panic!("{other:?}"),
    }
}

pub fn publish(peer: &mut Peer, name: &str, payload: &[u8]) -> (u32, u32, u32) {
    let bytes = batch(&[payload]);
    let records = Records::parse(&bytes, 1).expect("a record");
    outcome(&peer.ask(Request::Publish(Publish { name, records })).reply())
}

#[test]
fn what_is_published_on_any_shard_lands_in_every_queue_that_is_bound() {
    for shards in [1, 2, 4] {
        let plane = plane(shards);
        let mut peers: Vec<_> =
            plane.shard_addresses().iter().map(|at| Peer::connect(*at)).collect();
        let queues: Vec<_> =
            (0..shards).map(|shard| peers[0].declare(&name_on((shard, shards), "bound"))).collect();
        for (number, queue) in queues.iter().enumerate() {
            assert_eq!(
                publish(&mut peers[0], "orders.new", b"x"),
                (number as u32, number as u32, 0)
            );
            let asker = &mut peers[number % shards];
            assert!(bind(asker, *queue, "orders.*"));
            assert!(!bind(asker, *queue, "orders.*"), "it is there");
            // A publish that is sent after the reply sees the binding, on every connection.
            for peer in &mut peers {
                let count = number as u32 + 1;
                assert_eq!(publish(peer, "orders.new", b"y"), (count, count, 0));
                assert_eq!(publish(peer, "orders", b"z"), (0, 0, 0));
            }
        }
        for queue in &queues {
            let got = peers[0].drain(*queue);
            assert!(got.iter().all(|payload| payload != b"z") && got.len() >= shards);
        }
        for (number, queue) in queues.iter().enumerate() {
            assert!(unbind(&mut peers[0], *queue, "orders.*"));
            assert!(!unbind(&mut peers[0], *queue, "orders.*"));
            let left = (shards - number - 1) as u32;
            assert_eq!(publish(&mut peers[shards - 1], "orders.new", b""), (left, left, 0));
        }
    }
}

/// Everything is sent at once: the binding must hold for what follows it.
#[test]
fn a_publish_sees_the_bindings_that_its_connection_asked_for_before() {
    let plane = plane(2);
    let bytes = batch(&[b"message"]);
    let records = Records::parse(&bytes, 1).expect("a record");
    let pattern = Pattern::new("pipelined.>").expect("a valid pattern");
    let publish = Request::Publish(Publish { name: "pipelined.name", records });
    for address in plane.shard_addresses() {
        let mut peer = Peer::connect(*address);
        for shard in [0, 1] {
            let queue = peer.declare(&name_on((shard, 2), "pipelined"));
            for _ in 0..50 {
                peer.send(Request::Bind(Binding { queue, pattern }));
                peer.send(publish);
                peer.send(Request::Unbind(Binding { queue, pattern }));
                peer.send(publish);
                let all = peer.all(4);
                assert_eq!(outcome(&all[1].reply()), (1, 1, 0));
                assert_eq!(outcome(&all[3].reply()), (0, 0, 0));
            }
            assert_eq!(peer.drain(queue).len(), 50);
        }
    }
}

#[test]
fn a_queue_that_is_deleted_takes_its_bindings_with_it() {
    let plane = plane(2);
    let mut peers: Vec<_> = plane.shard_addresses().iter().map(|at| Peer::connect(*at)).collect();
    for shard in [0, 1] {
        for asker in [0, 1] {
            let queue = peers[asker].declare(&name_on((shard, 2), "short-lived"));
            assert!(bind(&mut peers[asker], queue, ">") && bind(&mut peers[asker], queue, "a.*"));
            assert_eq!(publish(&mut peers[1 - asker], "a.b", b"once"), (1, 1, 0));
            let removed = peers[asker].ask(Request::Delete { queue });
            assert!(matches!(removed.reply(), Reply::Removed(1)), "{removed:?}");
            for peer in &mut peers {
                assert_eq!(publish(peer, "a.b", b"never"), (0, 0, 0));
                let received = peer.ask(Request::Bindings { cursor: 0, limit: 9 });
                let Reply::Bindings(page) = received.reply() else { panic!("{received:?}") };
                assert_eq!((page.count(), page.next_cursor), (0, 0));
            }
            let pattern = Pattern::new("a.*").expect("a valid pattern");
            let late = peers[asker].ask(Request::Bind(Binding { queue, pattern }));
            assert_eq!(late.code(), Code::NoSuchQueue);
        }
    }
}

#[test]
fn a_queue_that_refuses_does_not_stop_the_others() {
    let plane = plane(2);
    let mut peer = Peer::connect(plane.address());
    let open = peer.declare(&name_on((0, 2), "open"));
    let options = ringway_protocol::QueueOptions { messages_max: 1, ..Default::default() };
    for shard in [0, 1] {
        let name = name_on((shard, 2), "full");
        let Reply::Declared { queue, .. } =
            peer.ask(Request::Declare { name: &name, options: Some(options) }).reply()
        else {
            panic!("declared");
        };
        assert!(bind(&mut peer, queue, "news"));
    }
    assert!(bind(&mut peer, open, "news"));
    assert_eq!(publish(&mut peer, "news", b"first"), (3, 3, 0));
    assert_eq!(publish(&mut peer, "news", b"second"), (3, 1, 2));
    assert_eq!(peer.drain(open).len(), 2);
}

#[test]
fn bindings_are_listed_page_by_page_on_every_shard_alike() {
    let plane = plane(2);
    let mut peers: Vec<_> = plane.shard_addresses().iter().map(|at| Peer::connect(*at)).collect();
    let queues = [0, 1].map(|shard| peers[0].declare(&name_on((shard, 2), "listed")));
    for number in 0..10 {
        assert!(bind(&mut peers[number % 2], queues[number / 5], &format!("token.{number}.>")));
    }
    let mut listings = Vec::new();
    for peer in &mut peers {
        let (mut cursor, mut listed) = (0, Vec::new());
        loop {
            let received = peer.ask(Request::Bindings { cursor, limit: 3 });
            let Reply::Bindings(page) = received.reply() else { panic!("{received:?}") };
            assert!(page.count() <= 3);
            let entry = |binding: Binding<'_>| (binding.queue, binding.pattern.to_string());
            listed.extend(page.iter().map(entry));
            cursor = page.next_cursor;
            if cursor == 0 {
                break;
            }
        }
        assert_eq!(listed.len(), 10);
        listings.push(listed);
    }
    assert_eq!(listings[0], listings[1]);
}

#[test]
fn a_plane_that_drains_takes_nothing_that_is_published() {
    let plane = plane(2);
    let mut peer = Peer::connect(plane.address());
    let queue = peer.declare("drained");
    bind(&mut peer, queue, "drained");
    publish(&mut peer, "drained", b"kept");
    let draining = std::thread::spawn(move || plane.drain(Duration::from_secs(10), || false));
    let bytes = batch(&[b"late"]);
    let records = Records::parse(&bytes, 1).expect("a record");
    let late = loop {
        let late = peer.ask(Request::Publish(Publish { name: "drained", records }));
        // Between the two shards' commands the queue's shard may be the one that refuses.
        if late.code() != Code::Ok || outcome(&late.reply()).2 == 1 {
            break late.code();
        }
    };
    assert!([Code::Draining, Code::Ok].contains(&late), "{late:?}");
    peer.drain(queue);
    let report = draining.join().expect("no panic").expect("shards end");
    assert!(report.is_clean(), "{report:?}");
}

/// More than a turn stores: the publishes behind wait, and what follows them waits too.
#[test]
fn publishes_that_wait_for_their_turn_keep_their_order() {
    const QUEUES: usize = 64;
    const PUBLISHES: u32 = 30;
    let plane = plane(2);
    let mut peer = Peer::connect(plane.shard_addresses()[0]);
    let queues: Vec<_> = (0..QUEUES).map(|it| peer.declare(&format!("wide-{it}"))).collect();
    for queue in &queues {
        assert!(bind(&mut peer, *queue, "wide"));
    }
    let payload = vec![0; 20_000];
    let mut bytes = Vec::new();
    for number in 0..PUBLISHES {
        let mut record = Vec::new();
        record::write(&mut record, &[], &[&number.to_le_bytes()[..], &payload].concat());
        let records = Records::parse(&record, 1).expect("a record");
        Request::Publish(Publish { name: "wide", records }).encode(0, number, &mut bytes);
    }
    Request::Stat { queue: Some(queues[0]) }.encode(0, PUBLISHES, &mut bytes);
    peer.say(&bytes);
    let all = peer.all(PUBLISHES as usize + 1);
    for received in &all[..PUBLISHES as usize] {
        let Reply::Published(published) = received.reply() else { panic!("{received:?}") };
        assert_eq!(published.stored, QUEUES as u32);
    }
    let Reply::Figures(figures) = all[PUBLISHES as usize].reply() else { panic!("figures") };
    assert_eq!(figures.rows().next().expect("a row")[0], PUBLISHES.into());
    for queue in queues {
        let mut numbers = Vec::new();
        while numbers.len() < PUBLISHES as usize {
            let got = peer.drain(queue);
            assert!(!got.is_empty());
            numbers.extend(got.iter().map(|it| u32::from_le_bytes(*it.first_chunk().expect("4"))));
        }
        assert!(numbers.iter().copied().eq(0..PUBLISHES), "{numbers:?}");
    }
}
