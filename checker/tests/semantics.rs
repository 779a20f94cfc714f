//! The checker on what queues promise of single messages beyond delivering them: keys, times,
//! dead letters, bands, repeats. Each verdict with a history that earns it, and one close to it
//! that does not.

mod paragraphs;

use paragraphs::check;

#[test]
fn messages_of_a_key_are_in_flight_one_at_a_time_and_in_order() {
    check(
        "
        key: the second one comes while the first one is out
        0 m7 key 3
        0 m8 key 3
        0 c1#1 put q1: 7 8
        1 c1#1 stored 0 x2
        2 c2#1 take q1 max 1
        3 c2#1 got lease 5 for 50ms: 0/1=7
        4 c3#1 take q1 max 1
        5 c3#1 got lease 6 for 50ms: 1/1=8
        6 c2#2 ack q1 lease 5: 0+1
        7 c2#2 settled
        8 c3#2 ack q1 lease 6: 0+1
        9 c3#2 settled

        good: another key
        0 m7 key 3
        0 m8 key 4
        0 c1#1 put q1: 7 8
        1 c1#1 stored 0 x2
        2 c2#1 take q1 max 1
        3 c2#1 got lease 5 for 50ms: 0/1=7
        4 c3#1 take q1 max 1
        5 c3#1 got lease 6 for 50ms: 1/1=8
        6 c2#2 ack q1 lease 5: 0+1
        7 c2#2 settled
        8 c3#2 ack q1 lease 6: 0+1
        9 c3#2 settled

        good: the first one may have been acknowledged by then
        0 m7 key 3
        0 m8 key 3
        0 c1#1 put q1: 7 8
        1 c1#1 stored 0 x2
        2 c2#1 take q1 max 1
        3 c2#1 got lease 5 for 50ms: 0/1=7
        4 c2#2 ack q1 lease 5: 0+1
        5 c3#1 take-for-good q1 max 1
        6 c3#1 got for good: 1/1=8
        7 c2#2 settled

        key: the later one first
        0 m7 key 3
        0 m8 key 3
        0 c1#1 put q1: 7 8
        1 c1#1 stored 0 x2
        2 c2#1 take-for-good q1 max 1
        3 c2#1 got for good: 1/1=8
        4 c3#1 take-for-good q1 max 1
        5 c3#1 got for good: 0/1=7

        good: the takes ran side by side, and nobody knows which was first
        0 m7 key 3
        0 m8 key 3
        0 c1#1 put q1: 7 8
        1 c1#1 stored 0 x2
        2 c3#1 take-for-good q1 max 1
        2 c2#1 take-for-good q1 max 1
        3 c2#1 got for good: 1/1=8
        5 c3#1 got for good: 0/1=7",
    );
}

#[test]
fn nothing_comes_before_it_is_due() {
    check(
        "
        early: 15 ms of a delay of 20 ms
        0 m7 after 20ms
        0 c1#1 put q1: 7
        1 c1#1 later s0 x1
        2 c2#1 take-for-good q1 max 1
        15 c2#1 got for good: 0/1=7

        good: all of it
        0 m7 after 20ms
        0 c1#1 put q1: 7
        1 c1#1 later s0 x1
        2 c2#1 take-for-good q1 max 1
        20 c2#1 got for good: 0/1=7

        early: the wall clock reads 1015
        0 clock 1000
        0 m7 at 1020
        0 c1#1 put q1: 7
        1 c1#1 later s0 x1
        2 c2#1 take-for-good q1 max 1
        15 c2#1 got for good: 0/1=7

        good: the wall clock was set ahead
        0 clock 1000
        0 m7 at 1020
        0 c1#1 put q1: 7
        1 c1#1 later s0 x1
        2 c2#1 take-for-good q1 max 1
        5 clock 1030
        15 c2#1 got for good: 0/1=7

        early: a delay does not follow the wall clock
        0 clock 1000
        0 m7 after 20ms
        0 c1#1 put q1: 7
        1 c1#1 later s0 x1
        2 c2#1 take-for-good q1 max 1
        5 clock 3601000
        15 c2#1 got for good: 0/1=7

        early: given back for 20 ms
        0 c1#1 put q1: 7
        1 c1#1 stored 0 x1
        2 c2#1 take q1 max 1
        3 c2#1 got lease 5 for 50ms: 0/1=7
        4 c2#2 nack q1 lease 5 after 20ms: 0+1
        5 c2#2 settled
        6 c3#1 take-for-good q1 max 1
        10 c3#1 got for good: 0/2=7

        good: those are over
        0 c1#1 put q1: 7
        1 c1#1 stored 0 x1
        2 c2#1 take q1 max 1
        3 c2#1 got lease 5 for 50ms: 0/1=7
        4 c2#2 nack q1 lease 5 after 20ms: 0+1
        5 c2#2 settled
        6 c3#1 take-for-good q1 max 1
        24 c3#1 got for good: 0/2=7

        early: the queue holds back for 20 ms
        0 q1 is backoff 20ms
        0 c1#1 put q1: 7
        1 c1#1 stored 0 x1
        2 c2#1 take q1 max 1
        3 c2#1 got lease 5 for 50ms: 0/1=7
        4 c2#2 nack q1 lease 5: 0+1
        5 c2#2 settled
        6 c3#1 take-for-good q1 max 1
        10 c3#1 got for good: 0/2=7",
    );
}

#[test]
fn nothing_comes_after_its_time() {
    check(
        "
        expired: asked for after 12 ms of 10, stored within the first and counted in whole ones
        0 m7 ttl 10ms
        0 c1#1 put q1: 7
        1 c1#1 stored 0 x1
        12 c2#1 take-for-good q1 max 1
        13 c2#1 got for good: 0/1=7

        good: asked for in time, and read late
        0 m7 ttl 10ms
        0 c1#1 put q1: 7
        1 c1#1 stored 0 x1
        11 c2#1 take-for-good q1 max 1
        30 c2#1 got for good: 0/1=7

        expired: the queue's time counts where it is shorter
        0 m7 ttl 100ms
        0 q1 is ttl 10ms
        0 c1#1 put q1: 7
        1 c1#1 stored 0 x1
        12 c2#1 take-for-good q1 max 1
        13 c2#1 got for good: 0/1=7

        good: its group says that it has expired
        0 m7 ttl 10ms
        0 c1#1 put q1: 7
        1 c1#1 stored 0 x1
        20 c2#1 take-for-good q1 max 1
        21 c2#1 got for good:
        22 q1 expired 1

        lost: nothing without a time of its own expires
        0 c1#1 put q1: 7
        1 c1#1 stored 0 x1
        20 c2#1 take-for-good q1 max 1
        21 c2#1 got for good:
        22 q1 expired 1",
    );
}

#[test]
fn a_dead_letter_has_the_reason_that_it_states() {
    check(
        "
        letter: nobody rejected it
        0 q1 dead q2
        0 c1#1 put q1: 7
        1 c1#1 stored 0 x1
        2 c2#1 take q1 max 1
        3 c2#1 got lease 5 for 50ms: 0/1=7
        4 c2#2 nack q1 lease 5: 0+1
        5 c2#2 settled
        6 c3#1 take-for-good q2 max 1
        7 c3#1 got for good: 0/1=7:rejected/1@0

        good: somebody did
        0 q1 dead q2
        0 c1#1 put q1: 7
        1 c1#1 stored 0 x1
        2 c2#1 take q1 max 1
        3 c2#1 got lease 5 for 50ms: 0/1=7
        4 c2#2 reject q1 lease 5: 0+1
        5 c2#2 settled
        6 c3#1 take-for-good q2 max 1
        7 c3#1 got for good: 0/1=7:rejected/1@0

        letter: one delivery of two
        0 q1 dead q2
        0 q1 is deliveries 2
        0 c1#1 put q1: 7
        1 c1#1 stored 0 x1
        2 c3#1 take-for-good q2 max 1
        3 c3#1 got for good: 0/1=7:deliveries/1@0

        letter: 7 of 50 ms
        0 m7 ttl 50ms
        0 q1 dead q2
        0 q1 is dead-expired
        0 c1#1 put q1: 7
        1 c1#1 stored 0 x1
        2 c3#1 take-for-good q2 max 1
        7 c3#1 got for good: 0/1=7:expired/0@0

        good: all of them
        0 m7 ttl 50ms
        0 q1 dead q2
        0 q1 is dead-expired
        0 c1#1 put q1: 7
        1 c1#1 stored 0 x1
        2 c3#1 take-for-good q2 max 1
        57 c3#1 got for good: 0/1=7:expired/0@0

        letter: its queue drops what expires
        0 m7 ttl 50ms
        0 q1 dead q2
        0 c1#1 put q1: 7
        1 c1#1 stored 0 x1
        2 c3#1 take-for-good q2 max 1
        57 c3#1 got for good: 0/1=7:expired/0@0",
    );
}

#[test]
fn a_repeat_stores_nothing() {
    check(
        "
        duplicate: the producer had numbered it so
        0 q1 is dedup 50ms
        0 c1#1 put q1 as p5/0: 7
        1 c1 gone
        2 c3#1 put q1 as p5/0: 7
        3 c3#1 stored 1 x1
        4 c2#1 take-for-good q1 max 2
        5 c2#1 got for good: 0/1=7 1/1=7

        good: it was there before
        0 q1 is dedup 50ms
        0 c1#1 put q1 as p5/0: 7
        1 c1 gone
        2 c3#1 put q1 as p5/0: 7
        3 c3#1 before 0 x1
        4 c2#1 take-for-good q1 max 2
        5 c2#1 got for good: 0/1=7

        good: it was forgotten by then
        0 q1 is dedup 50ms
        0 c1#1 put q1 as p5/0: 7
        1 c1 gone
        60 c3#1 put q1 as p5/0: 7
        61 c3#1 stored 1 x1
        62 c2#1 take-for-good q1 max 2
        63 c2#1 got for good: 0/1=7 1/1=7

        duplicate: its id is known
        0 q1 is dedup 50ms
        0 m7 id 9
        0 c1#1 put q1: 7
        1 c1#1 stored 0 x1
        2 c3#1 put q1: 7
        3 c3#1 stored 1 x1
        4 c2#1 take-for-good q1 max 2
        5 c2#1 got for good: 0/1=7 1/1=7

        lost: called a repeat of what was refused
        0 q1 is dedup 50ms
        0 c1#1 put q1 as p5/0: 7
        1 c1#1 refused
        2 c1#2 put q1 as p5/0: 7
        3 c1#2 before 0 x1",
    );
}

#[test]
fn where_bands_are_strict_the_most_urgent_comes_first() {
    check(
        "
        order: the lower band first
        0 q1 is strict
        0 m8 priority 7
        0 c1#1 put q1: 7 8
        1 c1#1 stored 0 x1 stored b7.0 x1
        2 c2#1 take-for-good q1 max 1
        3 c2#1 got for good: 0/1=7
        4 c2#2 take-for-good q1 max 1
        5 c2#2 got for good: b7.0/1=8

        good: the higher one first
        0 q1 is strict
        0 m8 priority 7
        0 c1#1 put q1: 7 8
        1 c1#1 stored 0 x1 stored b7.0 x1
        2 c2#1 take-for-good q1 max 1
        3 c2#1 got for good: b7.0/1=8
        4 c2#2 take-for-good q1 max 1
        5 c2#2 got for good: 0/1=7

        good: a take that went may have held it meanwhile
        0 q1 is strict
        0 m8 priority 7
        0 c1#1 put q1: 7 8
        1 c1#1 stored 0 x1 stored b7.0 x1
        1 c3#1 take q1 max 1
        2 c2#1 take-for-good q1 max 1
        3 c2#1 got for good: 0/1=7
        3 c3 gone
        4 c2#2 take-for-good q1 max 1
        5 c2#2 got for good: b7.0/1=8

        order: a band that is not its own
        0 m7 priority 7
        0 c1#1 put q1: 7
        1 c1#1 stored 0 x1
        2 c2#1 take-for-good q1 max 1
        3 c2#1 got for good: 0/1=7",
    );
}
