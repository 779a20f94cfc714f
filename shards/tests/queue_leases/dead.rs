//! Dead letters: what they say, and that a message is never lost on its way there.

use std::collections::BTreeSet;

use ringway_protocol::request::{DEAD_LETTER, GroupFlags, Start};
use ringway_protocol::{Attribute, GroupId, QueueOptions};

use crate::stage::{START_MS, Stage};

#[test]
fn a_dead_letter_says_why_how_often_where_and_when() {
    let mut stage = Stage::new();
    let queue = stage.declare("jobs", QueueOptions { deliveries_max: 2, ..Default::default() });
    let (start, flags) = (Start::Earliest, GroupFlags::default());
    let audit = stage.store.create_group(queue, "audit", start, flags, stage.now).unwrap().0;
    stage.put(queue, &["first", "second"]);
    stage.advance(40);
    let (lease, _) = stage.take_of(queue, audit, 2);
    stage.nack(queue, lease, &[(1, 1)]);
    stage.advance(60);
    let (again, _) = stage.take_of(queue, audit, 2);
    stage.advance(100);
    // The host's clock is set meanwhile: both times are told by what it says now.
    stage.now.wall_ms += 3_600_000;
    stage.nack(queue, again, &[(0, 1)]);
    stage.nack_for(queue, lease, &[(0, 1)], DEAD_LETTER);
    let dead = stage.store.open("jobs.dead").expect("it was made");
    let (_, letters) = stage.take(dead, 9);
    let hour_ms = START_MS + 3_600_000;
    let said = |reason, deliveries: u32, sequence: u64| {
        let first = format!("first-ms={}", hour_ms + 40);
        let last = format!("last-ms={}", hour_ms + 200);
        let count = format!("deliveries={deliveries}");
        let sequence = format!("sequence={sequence}");
        let queue = "queue=jobs".to_owned();
        vec![reason, count, queue, sequence, "group=audit".to_owned(), first, last]
    };
    assert_eq!((&*letters[0].payload, &*letters[1].payload), ("second", "first"));
    assert_eq!(letters[0].headers, said("reason=deliveries".to_owned(), 2, 1));
    assert_eq!(letters[1].headers, said("reason=rejected".to_owned(), 1, 0));
    assert_eq!(stage.figures(queue, ["dead_lettered", "messages"]), [2, 2]);
}

#[test]
fn every_message_is_somewhere_while_its_dead_letter_queue_is_full_or_gone() {
    let mut stage = Stage::new();
    let options = QueueOptions {
        deliveries_max: 1,
        ttl_ms: 40_000,
        dead_letter_expired: true,
        ..Default::default()
    };
    let queue = stage.declare("q", options);
    let narrow = QueueOptions { messages_max: 3, deliveries_max: 0, ..Default::default() };
    let payloads: Vec<String> = (0..60).map(|number| number.to_string()).collect();
    let key: &[Attribute<'_>] = &[Attribute::Key(b"k")];
    let with = payloads
        .iter()
        .enumerate()
        .map(|(at, payload)| (payload.as_str(), if at % 3 == 0 { key } else { &[][..] }));
    stage.put_with(queue, &with.collect::<Vec<_>>());
    let mut found: Vec<String> = Vec::new();
    for round in 0..120 {
        if round % 20 == 7 {
            // What the dead-letter queue held is taken out, and then the queue is gone.
            let dead = stage.store.open("q.dead").expect("it was made");
            found.extend(stage.payloads(dead, 100));
            stage.store.delete(dead).expect("it is there");
        }
        if stage.store.open("q.dead").is_err() {
            stage.declare("q.dead", narrow);
        }
        let (lease, messages) = stage.take(queue, 7);
        let count = messages.len() as u32;
        if count > 0 && round % 2 == 0 {
            stage.nack_for(
                queue,
                lease,
                &[(0, count)],
                if round % 4 == 0 { DEAD_LETTER } else { 5 },
            );
        }
        stage.advance(700);
        let dead = stage.store.open("q.dead").expect("it is there");
        let held = stage.figure(queue, "messages") + stage.figure(dead, "messages");
        assert_eq!(held as usize + found.len(), payloads.len(), "round {round}");
        if round % 3 == 0 {
            let (lease, letters) = stage.take(dead, 2);
            found.extend(letters.iter().map(|letter| letter.payload.clone()));
            if !letters.is_empty() {
                stage.ack(dead, lease, &[(0, letters.len() as u32)]);
            }
        }
    }
    for _ in 0..60 {
        stage.advance(1_100);
        let dead = stage.store.open("q.dead").expect("it is there");
        let (lease, letters) = stage.take(dead, 100);
        if !letters.is_empty() {
            stage.ack(dead, lease, &[(0, letters.len() as u32)]);
        }
        found.extend(letters.into_iter().map(|letter| letter.payload));
    }
    assert!(stage.figure(queue, "dead_letters_refused") > 0, "it was full, often");
    assert_eq!(stage.figures(queue, ["messages", "delayed", "leased"]), [0, 0, 0]);
    assert_eq!(found.len(), 60);
    let unlike: BTreeSet<_> = found.into_iter().collect();
    assert_eq!(unlike, payloads.into_iter().collect(), "each once");
}

#[test]
fn a_message_that_nobody_has_seen_dies_for_every_group_or_for_none() {
    let mut stage = Stage::new();
    let options = QueueOptions { dead_letter_expired: true, ..Default::default() };
    let queue = stage.declare("q", options);
    let narrow = QueueOptions { messages_max: 2, deliveries_max: 0, ..Default::default() };
    let dead = stage.declare("q.dead", narrow);
    let (start, flags) = (Start::Earliest, GroupFlags::default());
    stage.store.create_group(queue, "audit", start, flags, stage.now).unwrap();
    stage.put(dead, &["in the way"]);
    stage.put_with(queue, &[("a", &[Attribute::TimeToLiveMs(100)])]);
    stage.advance(110);
    assert_eq!(stage.figures(queue, ["messages", "expired", "dead_letters_refused"]), [1, 0, 2]);
    assert_eq!(stage.figure(dead, "messages"), 1, "room for one of two is no room");
    assert_eq!(stage.take(dead, 1).1[0].payload, "in the way");
    stage.store.delete(dead).expect("it is there");
    stage.advance(500);
    assert_eq!(stage.figure(queue, "messages"), 1, "it is tried again after a second");
    stage.advance(600);
    assert_eq!(stage.figures(queue, ["messages", "expired", "dead_lettered"]), [0, 2, 2]);
    let dead = stage.store.open("q.dead").expect("it was made again");
    let groups: Vec<_> =
        stage.take(dead, 9).1.into_iter().map(|letter| letter.headers[4].clone()).collect();
    assert_eq!(groups, ["group=default", "group=audit"]);
    assert_eq!(stage.store.next_deadline().map(|ns| ns > stage.now.ns), Some(true), "one lease");
}

#[test]
fn what_expires_behind_its_key_comes_after_the_one_in_flight() {
    let mut stage = Stage::new();
    let options = QueueOptions { dead_letter_expired: true, ..Default::default() };
    let queue = stage.declare("q", options);
    let narrow = QueueOptions { messages_max: 1, deliveries_max: 0, ..Default::default() };
    let dead = stage.declare("q.dead", narrow);
    stage.put(dead, &["in the way"]);
    let key = Attribute::Key(b"k");
    stage.put_with(queue, &[("k1", &[key]), ("other", &[])]);
    let (lease, taken) = stage.take(queue, 9);
    assert_eq!(taken.len(), 2);
    // Another take meets it expired, and its dead letter is refused while its key is busy.
    stage.put_with(queue, &[("k2", &[key, Attribute::TimeToLiveMs(50)]), ("k3", &[key])]);
    stage.now.ns += 60_000_000;
    assert_eq!(stage.payloads(queue, 9), [""; 0]);
    assert_eq!(stage.figures(queue, ["dead_letters_refused", "blocked"]), [1, 2]);
    stage.ack(queue, lease, &[(0, 2)]);
    let (lease, taken) = stage.take(queue, 9);
    assert_eq!(taken[0].payload, "k3", "what has expired is never delivered, and holds up nobody");
    stage.ack(queue, lease, &[(0, 1)]);
    assert_eq!(stage.payloads(queue, 9), [""; 0], "it is refused again, and keeps the key");
    stage.put_with(queue, &[("k4", &[key])]);
    assert_eq!(stage.payloads(queue, 9), [""; 0]);
    assert_eq!(stage.figures(queue, ["delayed", "blocked", "ready"]), [1, 1, 0]);
    stage.store.delete(dead).expect("it is there");
    stage.advance(1_010);
    assert_eq!(stage.payloads(queue, 9), ["k4"]);
    assert_eq!(stage.figures(queue, ["dead_lettered", "messages"]), [1, 1]);
}

#[test]
fn a_dead_letter_queue_gives_back_what_is_rejected_there() {
    let mut stage = Stage::new();
    let options = QueueOptions { deliveries_max: 0, backoff_ms: 200, ..Default::default() };
    let dead = stage.declare("q.dead", options);
    stage.put(dead, &["a"]);
    let (lease, _) = stage.take(dead, 1);
    stage.nack_for(dead, lease, &[(0, 1)], DEAD_LETTER);
    assert_eq!(stage.figures(dead, ["delayed", "dead_letters_refused"]), [1, 0]);
    stage.advance(203);
    assert_eq!(stage.take_of(dead, GroupId::DEFAULT, 1).1[0].deliveries, 2);
    assert!(stage.store.open("q.dead.dead").is_err());
}
