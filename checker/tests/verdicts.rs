//! The checker on histories written by hand: each verdict with a history that earns it, and one
//! close to it that does not.

mod paragraphs;

use paragraphs::check;
use ringway_checker::Verdict;

#[test]
fn what_was_acknowledged_is_seen_or_there_at_the_end() {
    check(
        "
        lost: stored, and the last take finds nothing
        0 c1#1 put q1: 7 8
        1 c1#1 stored 0 x2
        2 c2#1 take-for-good q1 max 10
        3 c2#1 got for good: 0/1=7

        good: nobody knows whether it was stored
        0 c1#1 put q1: 7
        1 c1 gone

        good: a take whose reply nobody saw took it for good
        0 c1#1 put q1: 7 8
        1 c1#1 stored 0 x2
        2 c2#1 take-for-good q1 max 2
        3 c2 gone

        lost: such a take cannot have taken both
        0 c1#1 put q1: 7 8
        1 c1#1 stored 0 x2
        2 c2#1 take-for-good q1 max 1
        3 c2 gone

        lost: a lease that nobody saw must run out
        0 c1#1 put q1: 7
        1 c1#1 stored 0 x1
        2 c2#1 take q1 max 1
        3 c2 gone

        lost: leased, never acknowledged, never seen again
        0 c1#1 put q1: 7
        1 c1#1 stored 0 x1
        2 c2#1 take q1 max 1
        3 c2#1 got lease 5 for 50ms: 0/1=7

        good: nobody knows whether the acknowledgement arrived
        0 c1#1 put q1: 7
        1 c1#1 stored 0 x1
        2 c2#1 take q1 max 1
        3 c2#1 got lease 5 for 50ms: 0/1=7
        4 c2#2 ack q1 lease 5: 0+1
        5 c2 gone

        good: purged
        0 c1#1 put q1: 7
        1 c1#1 stored 0 x1
        2 q1 gone 1

        good: dropped by a queue that drops its oldest
        0 c1#1 put q1: 7
        1 c1#1 stored 0 x1
        2 q1 gone 1

        good: a dead letter
        0 c1#1 put q1: 7
        1 c1#1 stored 0 x1
        2 q1 dead q2
        2 q1 is deliveries 1
        3 c2#1 take-for-good q2 max 1
        4 c2#1 got for good: 0/1=7:deliveries/1@0",
    );
}

#[test]
fn what_is_delivered_was_sent() {
    check(
        "
        phantom: never sent
        2 c2#1 take-for-good q1 max 10
        3 c2#1 got for good: 0/1=9

        phantom: bytes of no message
        0 c1#1 put q1: 7
        2 c2#1 take-for-good q1 max 10
        3 c2#1 got for good: 0/1=?
        4 c1 gone

        phantom: refused, and delivered all the same
        0 c1#1 put q1: 7
        1 c1#1 refused
        2 c2#1 take-for-good q1 max 10
        3 c2#1 got for good: 0/1=7

        lost phantom: the acknowledged place holds another message
        0 c1#1 put q1: 7 8
        1 c1#1 stored 0 x2
        2 c2#1 take-for-good q1 max 10
        3 c2#1 got for good: 0/1=8

        good: put, outcome unknown, delivered
        0 c1#1 put q1: 7
        1 c1 gone
        2 c2#1 take-for-good q1 max 10
        3 c2#1 got for good: 0/1=7",
    );
}

#[test]
fn what_comes_again_has_a_cause() {
    check(
        "
        duplicate: taken for good twice
        0 c1#1 put q1: 7
        1 c1#1 stored 0 x1
        2 c2#1 take-for-good q1 max 1
        3 c2#1 got for good: 0/1=7
        4 c2#2 take-for-good q1 max 1
        5 c2#2 got for good: 0/2=7

        duplicate: the lease lasts until 52 ms
        0 c1#1 put q1: 7
        1 c1#1 stored 0 x1
        2 c2#1 take q1 max 1
        3 c2#1 got lease 5 for 50ms: 0/1=7
        50 c3#1 take-for-good q1 max 1
        51 c3#1 got for good: 0/2=7

        good: the lease ran out
        0 c1#1 put q1: 7
        1 c1#1 stored 0 x1
        2 c2#1 take q1 max 1
        3 c2#1 got lease 5 for 50ms: 0/1=7
        50 c3#1 take-for-good q1 max 1
        52 c3#1 got for good: 0/2=7

        good: given back, though the answer was not seen
        0 c1#1 put q1: 7
        1 c1#1 stored 0 x1
        2 c2#1 take q1 max 1
        3 c2#1 got lease 5 for 50ms: 0/1=7
        4 c2#2 nack q1 lease 5: 0+1
        5 c3#1 take-for-good q1 max 1
        6 c3#1 got for good: 0/2=7
        7 c2 gone

        duplicate: acknowledged, then delivered again after the lease would have ended
        0 c1#1 put q1: 7
        1 c1#1 stored 0 x1
        2 c2#1 take q1 max 1
        3 c2#1 got lease 5 for 50ms: 0/1=7
        4 c2#2 ack q1 lease 5: 0+1
        5 c2#2 settled
        60 c3#1 take-for-good q1 max 1
        61 c3#1 got for good: 0/2=7

        good: put again because nobody knew the outcome
        0 c1#1 put q1: 7
        1 c1 gone
        2 c3#1 put q1: 7
        3 c3#1 stored 1 x1
        4 c2#1 take-for-good q1 max 2
        5 c2#1 got for good: 0/1=7 1/1=7

        duplicate: put once, stored twice
        0 c1#1 put q1: 7
        1 c1#1 stored 0 x1
        2 c2#1 take-for-good q1 max 2
        3 c2#1 got for good: 0/1=7 1/1=7

        duplicate: a second delivery, and no take that can have had the first
        0 c1#1 put q1: 7
        1 c1#1 stored 0 x1
        2 c2#1 take-for-good q1 max 2
        3 c2#1 got for good: 0/2=7

        good: the reply with the first delivery was lost, its lease ran out
        0 c1#1 put q1: 7
        1 c1#1 stored 0 x1
        2 c2#1 take q1 max 2
        3 c2 gone
        60 c3#1 take-for-good q1 max 2
        61 c3#1 got for good: 0/2=7

        duplicate: acknowledged, and a dead letter
        0 c1#1 put q1: 7
        0 q1 dead q2
        0 q1 is deliveries 1
        1 c1#1 stored 0 x1
        2 c2#1 take q1 max 2
        3 c2#1 got lease 5 for 50ms: 0/1=7
        4 c2#2 ack q1 lease 5: 0+1
        5 c2#2 settled
        6 c2#3 take-for-good q2 max 1
        7 c2#3 got for good: 0/1=7:deliveries/1@0",
    );
}

#[test]
fn order_is_kept_for_each_producer_and_each_consumer() {
    check(
        "
        order: the later put stands in front
        0 c1#1 put q1: 7
        0 c1#2 put q1: 8
        1 c1#2 stored 0 x1
        2 c1#1 stored 1 x1
        3 c2#1 take-for-good q1 max 2
        4 c2#1 got for good: 0/1=8 1/1=7

        order: delivered against the order of the queue
        0 c1#1 put q1: 7 8
        1 c1#1 stored 0 x2
        3 c2#1 take-for-good q1 max 2
        4 c2#1 got for good: 1/1=8 0/1=7

        good: two queues have nothing to do with each other
        0 c1#1 put q1: 7
        0 c1#2 put q2: 8
        1 c1#2 stored 0 x1
        2 c1#1 stored 1 x1
        3 c2#1 take-for-good q1 max 2
        4 c2#1 got for good: 1/1=7
        5 c2#2 take-for-good q2 max 2
        6 c2#2 got for good: 0/1=8

        order: a put of unknown outcome shows by its copy that it overtook
        0 c1#1 put q1: 7
        0 c1#2 put q1: 8
        1 c1#1 stored 5 x1
        2 c1 gone
        3 c2#1 take-for-good q1 max 2
        4 c2#1 got for good: 4/1=8 5/1=7

        good: what could not be brought to its taker is first in line again, and was not counted
        0 c1#1 put q1: 7 8
        1 c1#1 stored 0 x2
        2 c3#1 take q1 max 1
        3 c2#1 take-for-good q1 max 1
        4 c2#1 got for good: 1/1=8
        5 c3 gone
        6 c2#2 take-for-good q1 max 1
        7 c2#2 got for good: 0/1=7

        good: what comes a second time comes first in line
        0 c1#1 put q1: 7 8
        1 c1#1 stored 0 x2
        2 c2#1 take q1 max 1
        3 c2#1 got lease 5 for 10ms: 0/1=7
        30 c2#2 take-for-good q1 max 2
        31 c2#2 got for good: 0/2=7 1/1=8",
    );
}

#[test]
fn a_stale_acknowledgement_settles_nothing() {
    check(
        "
        lost stale: asked after the message was seen again
        0 c1#1 put q1: 7
        1 c1#1 stored 0 x1
        2 c2#1 take q1 max 1
        3 c2#1 got lease 5 for 10ms: 0/1=7
        20 c3#1 take q1 max 1
        21 c3#1 got lease 6 for 10ms: 0/2=7
        22 c2#2 ack q1 lease 5: 0+1
        23 c2#2 settled
        24 c3#2 ack q1 lease 6: 0+1
        25 c3#2 settled: stale 0+1

        good: the same, told the truth
        0 c1#1 put q1: 7
        1 c1#1 stored 0 x1
        2 c2#1 take q1 max 1
        3 c2#1 got lease 5 for 10ms: 0/1=7
        20 c3#1 take q1 max 1
        21 c3#1 got lease 6 for 10ms: 0/2=7
        22 c2#2 ack q1 lease 5: 0+1
        23 c2#2 settled: stale 0+1
        24 c3#2 ack q1 lease 6: 0+1
        25 c3#2 settled

        good: a nack whose answer is read after the message was delivered again and acknowledged
        0 c1#1 put q1: 7
        1 c1#1 stored 0 x1
        2 c2#1 take q1 max 1
        3 c2#1 got lease 5 for 10ms: 0/1=7
        4 c2#2 nack q1 lease 5: 0+1
        5 c3#1 take q1 max 1
        6 c3#1 got lease 6 for 10ms: 0/2=7
        7 c3#2 ack q1 lease 6: 0+1
        8 c3#2 settled
        9 c2#2 settled

        lost stale: given back after it was acknowledged
        0 c1#1 put q1: 7
        1 c1#1 stored 0 x1
        2 c2#1 take q1 max 1
        3 c2#1 got lease 5 for 10ms: 0/1=7
        4 c2#2 ack q1 lease 5: 0+1
        5 c2#2 settled
        6 c2#3 nack q1 lease 5: 0+1
        7 c2#3 settled

        stale: the same delivery settled twice
        0 c1#1 put q1: 7 8
        1 c1#1 stored 0 x2
        2 c2#1 take q1 max 2
        3 c2#1 got lease 5 for 10ms: 0/1=7 1/1=8
        4 c2#2 ack q1 lease 5: 0+2
        5 c2#2 settled
        6 c2#3 ack q1 lease 5: 1+1
        7 c2#3 settled

        good: repeating an acknowledgement is harmless
        0 c1#1 put q1: 7 8
        1 c1#1 stored 0 x2
        2 c2#1 take q1 max 2
        3 c2#1 got lease 5 for 10ms: 0/1=7 1/1=8
        4 c2#2 ack q1 lease 5: 0+2
        5 c2#2 settled
        6 c2#3 ack q1 lease 5: 1+1
        7 c2#3 settled: stale 1+1",
    );
}

#[test]
fn each_request_gets_one_reply() {
    check(
        "
        reply: never asked
        0 c1#1 done

        reply: twice
        0 c1#1 other
        1 c1#1 done
        2 c1#1 done

        reply: of another kind
        0 c1#1 other
        1 c1#1 stored 0 x1

        reply: more messages than asked for
        0 c1#1 put q1: 7 8
        1 c1#1 stored 0 x2
        2 c1#2 take-for-good q1 max 1
        3 c1#2 got for good: 0/1=7 1/1=8

        unanswered: the connection lives
        0 c1#1 other

        good: the connection has gone
        0 c1#1 other
        1 c1 gone

        good: numbers can be used again
        0 c1#1 other
        1 c1#1 done
        2 c1#1 other
        3 c1#1 done",
    );
}

#[test]
fn verdicts_are_in_the_order_of_their_gravity() {
    assert!(Verdict::Lost < Verdict::Phantom && Verdict::Phantom < Verdict::Duplicate);
}
