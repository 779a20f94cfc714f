//! Slots of keys, and what a group sets aside.

use super::*;

fn piece(sequence: u64) -> Piece {
    Piece { sequence, segment: 0, offset: 0, bytes: 8, count: 1, deliveries: 0, first_ms: 0 }
}

#[test]
fn a_key_is_in_flight_once_and_in_order() {
    let mut states = KeyStates::default();
    assert!(states.claim(3) && !states.claim(3) && states.claim(1));
    for sequence in [5, 6, 7] {
        states.set_aside(3, piece(sequence));
    }
    assert_eq!(states.count, 3);
    assert_eq!(states.release(1).map(|piece| piece.sequence), None);
    assert_eq!(states.release(3).map(|piece| piece.sequence), Some(5));
    assert!(!states.claim(3), "it is busy for the one that comes next");
    states.set_aside(3, piece(8));
    let next: Vec<_> = (0..3).map(|_| states.release(3).unwrap().sequence).collect();
    assert_eq!(next, [6, 7, 8]);
    assert_eq!(states.release(3).map(|piece| piece.sequence), None);
    assert!(states.claim(3));
    assert_eq!(states.count, 0);
}

#[test]
fn what_is_set_aside_can_be_dropped_from_the_middle() {
    let mut states = KeyStates::default();
    for (slot, sequence) in [(3, 5), (1, 6), (3, 7), (3, 8), (1, 9)] {
        states.claim(slot);
        states.set_aside(slot, piece(sequence));
    }
    assert_eq!(states.drop_where(|sequence| [5, 8, 6, 9].contains(&sequence)), 4);
    assert_eq!((states.first_blocked(3), states.first_blocked(1)), (Some(7), None));
    states.set_aside(3, piece(10));
    let next: Vec<_> = (0..2).map(|_| states.release(3).unwrap().sequence).collect();
    assert_eq!(next, [7, 10]);
    assert_eq!((states.release(3), states.release(1)), (None, None));
    assert!(states.claim(1) && states.claim(3) && states.count == 0);
}

#[test]
fn one_message_set_aside_leaves_wherever_it_is() {
    for (gone, rest) in [(5, [6, 7]), (6, [5, 7]), (7, [5, 6])] {
        let mut states = KeyStates::default();
        assert!(states.claim(3));
        [5, 6, 7].into_iter().for_each(|sequence| states.set_aside(3, piece(sequence)));
        assert!(states.remove(3, 4).is_none() && states.remove(9, gone).is_none());
        assert_eq!(states.remove(3, gone).map(|piece| piece.sequence), Some(gone));
        assert!(states.remove(3, gone).is_none());
        states.set_aside(3, piece(8));
        let next: Vec<_> = (0..3).map(|_| states.release(3).unwrap().sequence).collect();
        assert_eq!(next, [rest[0], rest[1], 8]);
        assert_eq!((states.release(3), states.count), (None, 0));
    }
}

#[test]
fn where_a_key_lies_cannot_be_foreseen() {
    let mut seeded = [Keys::new(1), Keys::new(2)];
    let hashes = seeded.each_mut().map(|keys| {
        let slot = keys.hold(b"key");
        keys.slots[slot as usize].hash
    });
    assert_ne!(hashes[0], hashes[1]);
}

#[test]
fn keys_without_messages_give_their_slots_up() {
    let mut keys = Keys::new(1);
    let first = keys.hold(b"a");
    assert_eq!(keys.hold(b"a"), first);
    assert_ne!(keys.hold(b"b"), first);
    keys.let_go(first);
    keys.let_go(first);
    assert_eq!(keys.hold(b"a"), first, "its slot was kept");
    for number in 0..100_000_u32 {
        let slot = keys.hold(&number.to_le_bytes());
        keys.let_go(slot);
    }
    assert!(keys.slots.len() < IDLE_MAX + 16, "{} slots", keys.slots.len());
}
