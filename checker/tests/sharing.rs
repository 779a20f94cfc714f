//! The checker on what queues promise to those who share them: credit, leases, groups, transfers,
//! topics. Each verdict with a history that earns it, and one close to it that does not.

mod paragraphs;

use paragraphs::check;

#[test]
fn no_more_is_pushed_than_there_is_credit_for() {
    check(
        "
        credit: three of two
        0 c1#1 put q1: 7 8 9
        1 c1#1 stored 0 x3
        2 c2#1 subscribe q1 max 2
        3 c2#1 subscribed 4
        4 c2#1 got lease 5 for 50ms: 0/1=7 1/1=8
        5 c2#1 got lease 6 for 50ms: 2/1=9
        6 c2#2 ack q1 lease 5: 0+2
        7 c2#2 settled
        8 c2#3 ack q1 lease 6: 0+1
        9 c2#3 settled

        good: an acknowledgement on its way may have given it back
        0 c1#1 put q1: 7 8 9
        1 c1#1 stored 0 x3
        2 c2#1 subscribe q1 max 2
        3 c2#1 subscribed 4
        4 c2#1 got lease 5 for 50ms: 0/1=7 1/1=8
        5 c2#2 ack q1 lease 5: 0+2
        6 c2#1 got lease 6 for 50ms: 2/1=9
        7 c2#2 settled
        8 c2#3 ack q1 lease 6: 0+1
        9 c2#3 settled

        good: more credit was asked for
        0 c1#1 put q1: 7 8 9
        1 c1#1 stored 0 x3
        2 c2#1 subscribe q1 max 2
        3 c2#1 subscribed 4
        4 c2#1 got lease 5 for 50ms: 0/1=7 1/1=8
        5 c2#2 credit q1 4 max 3
        6 c2#1 got lease 6 for 50ms: 2/1=9
        7 c2#2 done
        8 c2#3 ack q1 lease 5: 0+2
        9 c2#3 settled
        10 c2#4 ack q1 lease 6: 0+1
        11 c2#4 settled

        credit: less was asked for and agreed to
        0 c1#1 put q1: 7 8 9
        1 c1#1 stored 0 x3
        2 c2#1 subscribe q1 max 3
        3 c2#1 subscribed 4
        4 c2#1 got lease 5 for 50ms: 0/1=7 1/1=8
        5 c2#2 credit q1 4 max 2
        6 c2#2 done
        7 c2#1 got lease 6 for 50ms: 2/1=9
        8 c2#3 ack q1 lease 5: 0+2
        9 c2#3 settled
        10 c2#4 ack q1 lease 6: 0+1
        11 c2#4 settled

        good: what was pushed comes back when the subscription ends
        0 c1#1 put q1: 7
        1 c1#1 stored 0 x1
        2 c2#1 subscribe q1 max 2
        3 c2#1 subscribed 4
        4 c2#1 got lease 5 for 50ms: 0/1=7
        5 c2#2 unsubscribe q1 4
        6 c2#2 done
        7 c3#1 take-for-good q1 max 1
        8 c3#1 got for good: 0/2=7

        good: the connection broke, and its server knew before its client
        0 c1#1 put q1: 7
        1 c1#1 stored 0 x1
        2 c2#1 subscribe q1 max 2
        3 c2#1 subscribed 4
        4 c2#1 got lease 5 for 50ms: 0/1=7
        7 c3#1 take-for-good q1 max 1
        8 c3#1 got for good: 0/2=7
        9 c2 broken

        duplicate: it has not ended
        0 c1#1 put q1: 7
        1 c1#1 stored 0 x1
        2 c2#1 subscribe q1 max 2
        3 c2#1 subscribed 4
        4 c2#1 got lease 5 for 50ms: 0/1=7
        7 c3#1 take-for-good q1 max 1
        8 c3#1 got for good: 0/2=7",
    );
}

#[test]
fn a_lease_that_was_made_longer_lasts_longer() {
    check(
        "
        duplicate: extended until 100 ms
        0 c1#1 put q1: 7
        1 c1#1 stored 0 x1
        2 c2#1 take q1 max 1
        3 c2#1 got lease 5 for 50ms: 0/1=7
        10 c2#2 extend q1 lease 5 for 90ms
        11 c2#2 extended 90ms
        60 c3#1 take-for-good q1 max 1
        61 c3#1 got for good: 0/2=7

        good: the extension was refused
        0 c1#1 put q1: 7
        1 c1#1 stored 0 x1
        2 c2#1 take q1 max 1
        3 c2#1 got lease 5 for 50ms: 0/1=7
        10 c2#2 extend q1 lease 5 for 90ms
        11 c2#2 refused
        60 c3#1 take-for-good q1 max 1
        61 c3#1 got for good: 0/2=7",
    );
}

#[test]
fn each_group_gets_what_is_for_it() {
    check(
        "
        lost: the group was there, and got nothing
        0 c1#1 group q1 named 3
        1 c1#1 group 65537
        2 c1#2 put q1: 7
        3 c1#2 stored 0 x1
        4 c2#1 take-for-good q1 max 1
        5 c2#1 got for good: 0/1=7

        good: both got it
        0 c1#1 group q1 named 3
        1 c1#1 group 65537
        2 c1#2 put q1: 7
        3 c1#2 stored 0 x1
        4 c2#1 take-for-good q1 max 1
        5 c2#1 got for good: 0/1=7
        6 c2#2 take-for-good q1 g65537 max 1
        7 c2#2 got for good: 0/1=7

        good: the group was removed
        0 c1#1 group q1 named 3
        1 c1#1 group 65537
        2 c1#2 put q1: 7
        3 c1#2 stored 0 x1
        4 c2#1 take-for-good q1 max 1
        5 c2#1 got for good: 0/1=7
        6 c1#3 end-group q1 named 3
        7 c1#3 group 65537

        phantom: it began with what came next
        0 c1#1 put q1: 7
        1 c1#1 stored 0 x1
        2 c1#2 group q1 named 3 latest
        3 c1#2 group 65537
        4 c2#1 take-for-good q1 max 1
        5 c2#1 got for good: 0/1=7
        6 c2#2 take-for-good q1 g65537 max 1
        7 c2#2 got for good: 0/1=7",
    );
}

#[test]
fn a_transfer_within_a_shard_does_both_or_nothing() {
    check(
        "
        stale: it put the result and acknowledged only a part
        0 c1#1 put q1: 7
        1 c1#1 stored 0 x1
        2 c2#1 take q1 max 1
        3 c2#1 got lease 5 for 50ms: 0/1=7
        4 c2#2 transfer q1 lease 5: 0+1 into q2: 9
        5 c2#2 half 0 x1
        6 c3#1 take-for-good q2 max 1
        7 c3#1 got for good: 0/1=9

        good: it did both
        0 c1#1 put q1: 7
        1 c1#1 stored 0 x1
        2 c2#1 take q1 max 1
        3 c2#1 got lease 5 for 50ms: 0/1=7
        4 c2#2 transfer q1 lease 5: 0+1 into q2: 9
        5 c2#2 transferred 0 x1
        6 c3#1 take-for-good q2 max 1
        7 c3#1 got for good: 0/1=9

        lost: it did both, and nobody got the result
        0 c1#1 put q1: 7
        1 c1#1 stored 0 x1
        2 c2#1 take q1 max 1
        3 c2#1 got lease 5 for 50ms: 0/1=7
        4 c2#2 transfer q1 lease 5: 0+1 into q2: 9
        5 c2#2 transferred 0 x1

        good: nobody saw the reply, and it did nothing
        0 c1#1 put q1: 7
        1 c1#1 stored 0 x1
        2 c2#1 take q1 max 1
        3 c2#1 got lease 5 for 50ms: 0/1=7
        4 c2#2 transfer q1 lease 5: 0+1 into q2: 9
        5 c2 gone
        60 c3#1 take-for-good q1 max 1
        61 c3#1 got for good: 0/2=7

        duplicate: the result is there, and what it replaces came again
        0 c1#1 put q1: 7
        1 c1#1 stored 0 x1
        2 c2#1 take q1 max 1
        3 c2#1 got lease 5 for 50ms: 0/1=7
        4 c2#2 transfer q1 lease 5: 0+1 into q2: 9
        5 c2 gone
        60 c3#1 take-for-good q1 max 1
        61 c3#1 got for good: 0/2=7
        62 c3#2 take-for-good q2 max 1
        63 c3#2 got for good: 0/1=9

        lost: neither is there
        0 c1#1 put q1: 7
        1 c1#1 stored 0 x1
        2 c2#1 take q1 max 1
        3 c2#1 got lease 5 for 50ms: 0/1=7
        4 c2#2 transfer q1 lease 5: 0+1 into q2: 9
        5 c2 gone",
    );
}

#[test]
fn what_is_published_reaches_all_that_is_bound() {
    check(
        "
        lost: two are bound, and one was reached
        0 c1#1 bind q1 t1
        0 c1#2 bind q2 t1
        1 c1#1 done
        1 c1#2 done
        2 c1#3 publish t1: 7
        3 c1#3 reached 1 stored 1
        4 c2#1 take-for-good q1 max 1
        5 c2#1 got for good: 0/1=7

        phantom: three were reached
        0 c1#1 bind q1 t1
        0 c1#2 bind q2 t1
        1 c1#1 done
        1 c1#2 done
        2 c1#3 publish t1: 7
        3 c1#3 reached 3 stored 3
        4 c2#1 take-for-good q1 max 1
        5 c2#1 got for good: 0/1=7
        6 c2#2 take-for-good q2 max 1
        7 c2#2 got for good: 0/1=7

        lost: the second one says that it has it
        0 c1#1 bind q1 t1
        0 c1#2 bind q2 t1
        1 c1#1 done
        1 c1#2 done
        2 c1#3 publish t1: 7
        3 c1#3 reached 2 stored 2
        4 c2#1 take-for-good q1 max 1
        5 c2#1 got for good: 0/1=7

        good: both got it
        0 c1#1 bind q1 t1
        0 c1#2 bind q2 t1
        1 c1#1 done
        1 c1#2 done
        2 c1#3 publish t1: 7
        3 c1#3 reached 2 stored 2
        4 c2#1 take-for-good q1 max 1
        5 c2#1 got for good: 0/1=7
        6 c2#2 take-for-good q2 max 1
        7 c2#2 got for good: 0/1=7",
    );
}
