//! Queues that are looked into, changed and deleted, by anybody or by themselves.

use crate::bindings::{bind, publish};
use crate::peer::{Peer, name_on, plane, take};
use crate::spread::{declare, figure, keyed, peers};
use ringway_protocol::name::shard_of;
use ringway_protocol::reply::Removal;
use ringway_protocol::request::{Browse, MessageState, Put, Take, encode_remove};
use ringway_protocol::{
    Code, GroupId, QueueId, QueueOptions, Records, Reply, Request, SpreadOrder,
};
use std::time::{Duration, Instant};

/// The sequences of the messages that are ready, page by page.
fn browse(peer: &mut Peer, queue: QueueId) -> Vec<u64> {
    browse_in(MessageState::Ready, peer, queue)
}

fn browse_in(state: MessageState, peer: &mut Peer, queue: QueueId) -> Vec<u64> {
    let (mut sequences, mut cursor) = (Vec::new(), 0);
    loop {
        let group = GroupId::DEFAULT;
        let browse = Browse { queue, group, state, cursor, limit: 2, bytes_max: 0 };
        let received = peer.ask(Request::Browse(browse));
        let Reply::Browsed(page) = received.reply() else { panic!("{received:?}") };
        sequences.extend(page.iter().map(|entry| entry.standing.sequence));
        cursor = page.next_cursor;
        if cursor == 0 {
            return sequences;
        }
    }
}

fn pause(peer: &mut Peer, queue: QueueId, (puts, takes): (bool, bool)) {
    let received = peer.ask(Request::Pause { queue, puts, takes });
    assert!(matches!(received.reply(), Reply::Done), "{received:?}");
}

#[test]
fn messages_are_shown_and_removed_on_any_shard() {
    let plane = plane(2);
    for peer in &mut peers(&plane) {
        for shard in [0, 1] {
            let queue = peer.declare(&name_on((shard, 2), "shown"));
            let first = peer.put(queue, &[b"one", b"two", b"three", b"four", b"five"]);
            let all: Vec<_> = (first..first + 5).collect();
            assert_eq!(browse(peer, queue), all);
            let (mut request, number) = (Vec::new(), peer.number());
            encode_remove(queue, &[all[1], all[3], 1 << 40], (0, number), &mut request);
            peer.say(&request);
            let removed = peer.next();
            let expected = Removal { removed: 2, missing: 1 };
            assert!(matches!(removed.reply(), Reply::Removal(it) if it == expected), "{removed:?}");
            assert_eq!(browse(peer, queue), [all[0], all[2], all[4]]);
            assert_eq!(peer.drain(queue), [b"one".to_vec(), b"three".to_vec(), b"five".to_vec()]);
            let missing = QueueId::new(9, shard as u8, 99);
            let (group, state) = (GroupId::DEFAULT, MessageState::Ready);
            let browse = Browse { queue: missing, group, state, cursor: 0, limit: 2, bytes_max: 0 };
            assert_eq!(peer.ask(Request::Browse(browse)).code(), Code::NoSuchQueue);
        }
    }
}

#[test]
fn a_queue_is_renamed_within_its_shard() {
    let plane = plane(2);
    for peer in &mut peers(&plane) {
        for shard in [0, 1] {
            let queue = peer.declare(&name_on((shard, 2), "before"));
            let (here, there) = (name_on((shard, 2), "after"), name_on((1 - shard, 2), "after"));
            let refused = peer.ask(Request::Rename { queue, name: &there });
            assert_eq!(refused.code(), Code::OtherShard);
            let renamed = peer.ask(Request::Rename { queue, name: &here });
            assert!(matches!(renamed.reply(), Reply::Renamed { queue: it } if it == queue));
            let opened = peer.ask(Request::Open { name: &here });
            assert!(matches!(opened.reply(), Reply::Opened { queue: it } if it == queue));
            peer.ask(Request::Delete { queue });
        }
    }
}

#[test]
fn a_pause_stops_every_part() {
    let plane = plane(3);
    let mut peers = peers(&plane);
    let queue = declare(&mut peers[0], "paused", 3, SpreadOrder::Relaxed);
    for peer in &mut peers {
        peer.put(queue, &[b"message"]);
    }
    pause(&mut peers[1], queue, (true, true));
    let bytes = crate::peer::batch(&[b"late"]);
    for peer in &mut peers {
        let records = Records::parse(&bytes, 1).expect("a record");
        let put = peer.ask(Request::Put(Put::new(queue, records)));
        assert_eq!(put.code(), Code::Paused);
        assert!(peer.take(queue, 1).payloads.is_empty());
    }
    pause(&mut peers[2], queue, (false, false));
    for peer in &mut peers {
        assert_eq!(peer.take(queue, 1).payloads.len(), 1);
    }
}

#[test]
fn a_queue_is_spread_later_and_further() {
    let plane = plane(4);
    let mut peers = peers(&plane);
    for asker in 0..4 {
        let name = name_on((1, 4), &format!("grown-{asker}"));
        let queue = peers[asker].declare(&name);
        peers[asker].put(queue, &[b"before"]);
        for (spread, parts) in [(2, 2), (3, 3), (9, 4)] {
            let options = QueueOptions { spread, ..QueueOptions::default() };
            let altered = peers[asker].ask(Request::Alter { queue, options });
            assert!(matches!(altered.reply(), Reply::Done), "{altered:?}");
            // Connections on shards with a part put to it, at once.
            for (shard, peer) in peers.iter_mut().enumerate() {
                let before = figure(peer, queue, "ready");
                peer.put(queue, &[&[shard as u8]]);
                assert_eq!(
                    figure(peer, queue, "ready"),
                    before + 1,
                    "asker {asker} spread {spread} shard {shard}"
                );
            }
            assert_eq!(crate::spread::parts(&mut peers[0], &name).len(), parts);
        }
        let options = QueueOptions { spread: 2, ..QueueOptions::default() };
        let smaller = peers[asker].ask(Request::Alter { queue, options });
        assert_eq!(smaller.code(), Code::InvalidOption);
        let mut count = 0;
        loop {
            let taken = Take { acknowledged: true, ..take(queue, 100) };
            let got = peers[count % 4].ask(Request::Take(taken)).delivered().payloads.len();
            count += got;
            if got == 0 {
                break;
            }
        }
        assert_eq!(count, 13);
    }
}

#[test]
fn a_queue_that_goes_by_itself_takes_its_bindings_with_it() {
    let plane = plane(2);
    let mut peers = peers(&plane);
    let options = QueueOptions { idle_ms: 100, ..QueueOptions::default() };
    for shard in [0, 1] {
        let name = name_on((shard, 2), "idle");
        let request = Request::Declare { name: &name, options: Some(options) };
        let Reply::Declared { queue, .. } = peers[1].ask(request).reply() else {
            panic!("declared")
        };
        assert!(bind(&mut peers[0], queue, "idle.*"));
        let started = Instant::now();
        for peer in &mut peers {
            // A publish would use the queue: the list of bindings does not.
            loop {
                let received = peer.ask(Request::Bindings { cursor: 0, limit: 9 });
                let Reply::Bindings(page) = received.reply() else { panic!("{received:?}") };
                if page.count() == 0 {
                    break;
                }
                assert!(started.elapsed() < Duration::from_secs(10), "the queue stays");
                std::thread::sleep(Duration::from_millis(5));
            }
            assert_eq!(publish(peer, "idle.name", b"nowhere"), (0, 0, 0));
        }
        assert_eq!(peers[0].ask(Request::Open { name: &name }).code(), Code::NoSuchQueue);
    }
}

#[test]
fn removed_messages_of_a_spread_queue_go_by_their_sequences() {
    let plane = plane(2);
    let mut peers = peers(&plane);
    let queue = declare(&mut peers[0], "removed", 2, SpreadOrder::PerKey);
    assert_eq!(queue.shard(), shard_of("removed", 2));
    let messages = [("a", 1), ("b", 2), ("c", 3), ("d", 4), ("e", 5), ("f", 6)];
    let bytes = keyed(&messages);
    let records = Records::parse(&bytes, 6).expect("valid records");
    let stored = peers[1].ask(Request::Put(Put::new(queue, records)));
    let Reply::Put(receipt) = stored.reply() else { panic!("{stored:?}") };
    let mut sequences: Vec<u64> = receipt
        .runs()
        .flat_map(|run| run.first_sequence..run.first_sequence + u64::from(run.count))
        .collect();
    assert_eq!(sequences.len(), 6);
    let all: std::collections::BTreeSet<_> = browse(&mut peers[0], queue).into_iter().collect();
    assert_eq!(all, sequences.iter().copied().collect(), "a look shows all parts");
    let kept = sequences.split_off(3);
    let (mut request, number) = (Vec::new(), peers[1].number());
    encode_remove(queue, &sequences, (0, number), &mut request);
    peers[1].say(&request);
    let removed = peers[1].next();
    let expected = Removal { removed: 3, missing: 0 };
    assert!(matches!(removed.reply(), Reply::Removal(it) if it == expected), "{removed:?}");
    assert_eq!(figure(&mut peers[0], queue, "ready"), kept.len() as u64);
    for peer in &mut peers {
        peer.take(queue, 9);
    }
    let leased = browse_in(MessageState::Leased, &mut peers[1], queue);
    assert_eq!(leased.into_iter().collect::<std::collections::BTreeSet<_>>().len(), kept.len());
    assert_eq!(browse(&mut peers[1], queue), [0_u64; 0]);
}
