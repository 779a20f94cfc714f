//! Rings that are full, commits that are late, and two sides that both have much to say.

use super::*;
use ringway_protocol::Kind;

fn frame(body: &[u8]) -> Frame<'_> {
    let mut header = Header::request(Kind::Echo, 0, 9);
    header.length = body.len() as u32;
    Frame { header, body }
}

#[test]
fn a_full_ring_refuses_and_loses_nothing() {
    let (stats, journal) = (ShardStats::default(), Journal::default());
    let mut ends = Handoffs::<()>::connect(2);
    let (mut other, mut own) = (ends.pop().expect("two"), ends.pop().expect("two"));
    let body = vec![1; HANDOFF_BATCH_BYTES];
    let mut asked = 0;
    while own.has_room(1) {
        own.ask(1, (asked, Promise::default()), (frame(&body), None), &stats);
        own.flush(&journal, &stats, |_| ());
        asked += 1;
    }
    assert_eq!(asked as usize, HANDOFF_SLOTS + 1, "the ring, and the batch being filled");
    assert!(own.has_unsent());
    let mut seen = 0;
    while seen < asked {
        match other.next_arrival(0) {
            Some(Handoff::Requests(batch)) => {
                let (entry, rest) = first_entry(&batch).expect("an entry");
                assert_eq!((entry.peer, entry.frame.body.len()), (seen, body.len()));
                assert!(rest.is_empty());
                other.keep(0, batch);
                seen += 1;
            }
            _ => own.flush(&journal, &stats, |shard| assert_eq!(shard, 1)),
        }
    }
    assert!(!own.has_unsent());
}

#[test]
fn buffers_of_batches_that_are_answered_together_come_back() {
    let (stats, journal) = (ShardStats::default(), Journal::default());
    let mut ends = Handoffs::<()>::connect(2);
    let (mut other, mut own) = (ends.pop().expect("two"), ends.pop().expect("two"));
    let mut allocated = 0;
    for _ in 0..100 {
        for _ in 0..4 {
            allocated += u32::from(own.spare.is_empty());
            own.ask(1, (7, Promise::default()), (frame(b"request"), None), &stats);
            own.flush(&journal, &stats, |_| ());
        }
        while let Some(Handoff::Requests(batch)) = other.next_arrival(0) {
            other.keep(0, batch);
        }
        let mut batch = other.begin_replies(0);
        batch.extend_from_slice(b"all of them");
        other.end_replies(0, batch, 0);
        other.flush(&journal, &stats, |_| ());
        assert!(!other.has_unsent(), "a surplus keeps nobody awake");
        while let Some(Handoff::Replies(buffer) | Handoff::Buffer(buffer)) = own.next_arrival(1) {
            own.keep(1, buffer);
        }
    }
    assert!(allocated < 10, "{allocated} buffers were made");
    assert!(other.spare.len() < 10, "{} buffers gathered", other.spare.len());
}

#[test]
fn replies_wait_for_the_commit() {
    let (stats, mut journal) = (ShardStats::default(), Journal::default());
    let mut ends = Handoffs::<()>::connect(2);
    let (mut other, mut own) = (ends.pop().expect("two"), ends.pop().expect("two"));
    journal.append();
    let mut batch = own.begin_replies(1);
    entry_prefix(&mut batch, 7, 0, 0, false);
    batch.extend_from_slice(&frame(b"").header.encode());
    own.end_replies(1, batch, journal.appended());
    own.flush(&journal, &stats, |_| panic!("nothing may leave yet"));
    assert!(own.has_unsent() && other.next_arrival(0).is_none());
    journal.commit();
    own.flush(&journal, &stats, |_| ());
    assert!(matches!(other.next_arrival(0), Some(Handoff::Replies(_))));
}

/// One side of a busy pair: it asks while it may, answers with `reply`, takes what comes back.
/// Returns how many requests it has open, and whether anything arrived.
fn side(own: &mut Handoffs<()>, other: usize, open: &mut usize, reply: &[u8]) -> bool {
    let (stats, journal) = (ShardStats::default(), Journal::default());
    for _ in 0..12 {
        if *open < 1200 && own.has_room(other) {
            own.ask(other, (7, Promise::default()), (frame(b"take"), None), &stats);
            *open += 1;
        }
    }
    let mut arrived = false;
    while let Some(arrival) = own.next_arrival(other) {
        arrived = true;
        let (Handoff::Requests(batch) | Handoff::Replies(batch) | Handoff::Buffer(batch)) =
            &arrival
        else {
            unreachable!("nothing else was sent")
        };
        let entries = std::iter::successors(first_entry(batch), |(_, rest)| first_entry(rest));
        let count = entries.count();
        match arrival {
            Handoff::Requests(batch) => {
                let mut out = own.begin_replies(other);
                for _ in 0..count {
                    entry_prefix(&mut out, 7, 0, 0, false);
                    out.extend_from_slice(&frame(reply).header.encode());
                    out.extend_from_slice(reply);
                }
                own.end_replies(other, out, 0);
                own.keep(other, batch);
            }
            Handoff::Replies(batch) => {
                *open -= count;
                own.keep(other, batch);
            }
            _ => {}
        }
    }
    own.flush(&journal, &stats, |_| ());
    arrived
}

#[test]
fn large_answers_both_ways_never_block_each_other() {
    let mut ends = Handoffs::<()>::connect(2);
    let (reply, mut open, mut quiet) = (vec![2; 28 << 10], [0, 0], 0);
    let mut random = 1u64;
    for round in 0..2_000 {
        // One side gets many turns in a row while the other's thread is off its CPU.
        random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let side_number = (random >> 40) as usize & 1;
        for _ in 0..1 + (random >> 50) % 24 {
            let own = &mut ends[side_number];
            let arrived = side(own, 1 - side_number, &mut open[side_number], &reply);
            quiet = if arrived { 0 } else { quiet + 1 };
        }
        assert!(quiet < 500, "both sides wait for each other in round {round}: {open:?}");
    }
}
