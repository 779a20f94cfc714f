//! The checker on what is paused, kept, removed, shown and unbound, and on groups with a single
//! active consumer. Each verdict with a history that earns it, and one close to it that does not.

mod paragraphs;

use paragraphs::check;

#[test]
fn nothing_comes_from_what_is_paused() {
    check(
        "
        paused: asked for after the pause was known
        0 c1#1 put q1: 7
        1 c1#1 stored 0 x1
        2 c1#2 pause q1 takes
        3 c1#2 done
        4 c2#1 take-for-good q1 max 1
        5 c2#1 got for good: 0/1=7

        paused: asked for behind the pause, on its connection
        0 c1#1 put q1: 7
        1 c1#1 stored 0 x1
        2 c1#2 pause q1 takes
        3 c1#3 take-for-good q1 max 1
        4 c1#2 done
        5 c1#3 got for good: 0/1=7

        good: it was under way before the pause
        0 c1#1 put q1: 7
        1 c1#1 stored 0 x1
        2 c2#1 take-for-good q1 max 1
        3 c1#2 pause q1 takes
        4 c1#2 done
        5 c2#1 got for good: 0/1=7

        good: somebody may have let it go on
        0 c1#1 put q1: 7
        1 c1#1 stored 0 x1
        2 c1#2 pause q1 takes
        3 c1#2 done
        4 c2#1 take-for-good q1 max 1
        5 c3#1 pause q1
        6 c2#1 got for good: 0/1=7
        7 c3#1 done

        paused: what was pushed was put after that
        0 c2#1 subscribe q1 max 2
        1 c2#1 subscribed 4
        2 c1#1 pause q1 takes
        3 c1#1 done
        4 c1#2 put q1: 7
        5 c1#2 stored 0 x1
        6 c2#1 got lease 5 for 50ms: 0/1=7
        7 c2#2 ack q1 lease 5: 0+1
        8 c2#2 settled

        paused: stored while puts were paused
        0 c1#1 pause q1 puts
        1 c1#1 done
        2 c1#2 put q1: 7
        3 c1#2 stored 0 x1
        4 c2#1 take-for-good q1 max 1
        5 c2#1 got for good: 0/1=7

        good: refused while puts were paused
        0 c1#1 pause q1 puts
        1 c1#1 done
        2 c1#2 put q1: 7
        3 c1#2 refused

        paused: the group is
        0 c1#1 group q1 named 3
        1 c1#1 group 65537
        1 c1#2 put q1: 7
        2 c1#2 stored 0 x1
        3 c1#3 pause-group q1 named 3
        4 c1#3 group 65537
        5 c2#1 take-for-good q1 g65537 max 1
        6 c2#1 got for good: 0/1=7
        7 c2#2 take-for-good q1 max 1
        8 c2#2 got for good: 0/1=7

        good: another group of that name is
        0 c1#1 group q1 named 3
        1 c1#1 group 65537
        1 c1#2 put q1: 7
        2 c1#2 stored 0 x1
        3 c1#3 pause-group q1 named 3
        4 c1#3 group 131073
        5 c2#1 take-for-good q1 g65537 max 1
        6 c2#1 got for good: 0/1=7
        7 c2#2 take-for-good q1 max 1
        8 c2#2 got for good: 0/1=7",
    );
}

#[test]
fn a_single_active_consumer_is_the_only_one() {
    check(
        "
        active: the first one lives, and has not unsubscribed
        0 c1#1 group q1 named 3 earliest single
        1 c1#1 group 65537
        2 c1#2 put q1: 7 8
        3 c1#2 stored 0 x2
        4 c2#1 take-for-good q1 g65537 max 1
        5 c2#1 got for good: 0/1=7
        6 c3#1 take-for-good q1 g65537 max 1
        7 c3#1 got for good: 1/1=8
        8 c3#2 take-for-good q1 max 2
        9 c3#2 got for good: 0/1=7 1/1=8

        good: the first one has gone
        0 c1#1 group q1 named 3 earliest single
        1 c1#1 group 65537
        2 c1#2 put q1: 7 8
        3 c1#2 stored 0 x2
        4 c2#1 take-for-good q1 g65537 max 1
        5 c2#1 got for good: 0/1=7
        5 c2 gone
        6 c3#1 take-for-good q1 g65537 max 1
        7 c3#1 got for good: 1/1=8
        8 c3#2 take-for-good q1 max 2
        9 c3#2 got for good: 0/1=7 1/1=8

        good: the first one unsubscribed, and holds nothing
        0 c1#1 group q1 named 3 earliest single
        1 c1#1 group 65537
        2 c1#2 put q1: 7 8
        3 c1#2 stored 0 x2
        4 c2#1 subscribe q1 g65537 max 1
        5 c2#1 subscribed 4
        5 c2#1 got lease 5 for 50ms: 0/1=7
        6 c2#2 ack q1 lease 5: 0+1
        7 c2#3 unsubscribe q1 4
        8 c2#2 settled
        8 c2#3 done
        9 c3#1 take-for-good q1 g65537 max 1
        10 c3#1 got for good: 1/1=8
        11 c3#2 take-for-good q1 max 2
        12 c3#2 got for good: 0/1=7 1/1=8

        active: it unsubscribed, and holds what it took
        0 c1#1 group q1 named 3 earliest single
        1 c1#1 group 65537
        2 c1#2 put q1: 7 8
        3 c1#2 stored 0 x2
        4 c2#1 take q1 g65537 max 1
        5 c2#1 got lease 5 for 50ms: 0/1=7
        6 c2#2 unsubscribe q1 4
        7 c2#2 done
        8 c3#1 take-for-good q1 g65537 max 1
        9 c3#1 got for good: 1/1=8
        10 c2#3 ack q1 lease 5: 0+1
        11 c2#3 settled
        12 c3#2 take-for-good q1 max 2
        13 c3#2 got for good: 0/1=7 1/1=8",
    );
}

#[test]
fn a_group_gets_what_it_starts_with() {
    check(
        "
        lost: the queue keeps what is done, and the group misses it
        0 q1 is kept
        0 c1#1 put q1: 7
        1 c1#1 stored 0 x1
        2 c2#1 take-for-good q1 max 1
        3 c2#1 got for good: 0/1=7
        4 c1#2 group q1 named 3 earliest
        5 c1#2 group 65537

        good: it is replayed
        0 q1 is kept
        0 c1#1 put q1: 7
        1 c1#1 stored 0 x1
        2 c2#1 take-for-good q1 max 1
        3 c2#1 got for good: 0/1=7
        4 c1#2 group q1 named 3 earliest
        5 c1#2 group 65537
        6 c2#2 take-for-good q1 g65537 max 1
        7 c2#2 got for good: 0/1=7

        lost: it starts with the second one
        0 q1 is kept
        0 c1#1 put q1: 7 8
        1 c1#1 stored 0 x2
        2 c2#1 take-for-good q1 max 2
        3 c2#1 got for good: 0/1=7 1/1=8
        4 c1#2 group q1 named 3 from 1
        5 c1#2 group 65537

        phantom: it starts with the second one, and got the first one
        0 c1#1 put q1: 7 8
        1 c1#1 stored 0 x2
        2 c1#2 group q1 named 3 from 1
        3 c1#2 group 65537
        4 c2#1 take-for-good q1 max 2
        5 c2#1 got for good: 0/1=7 1/1=8
        6 c2#2 take-for-good q1 g65537 max 2
        7 c2#2 got for good: 0/1=7 1/1=8

        phantom: it starts at 1010, and the first one is of 1001 at the latest
        0 clock 1000
        0 c1#1 put q1: 7
        1 c1#1 stored 0 x1
        20 c1#2 group q1 named 3 since 1010
        21 c1#2 group 65537
        24 c2#1 take-for-good q1 max 2
        25 c2#1 got for good: 0/1=7
        26 c2#2 take-for-good q1 g65537 max 2
        27 c2#2 got for good: 0/1=7

        good: the clock was set ahead, so that 1010 is longer ago
        0 clock 1000
        0 c1#1 put q1: 7
        1 c1#1 stored 0 x1
        19 clock 1030
        20 c1#2 group q1 named 3 since 1010
        21 c1#2 group 65537
        24 c2#1 take-for-good q1 max 2
        25 c2#1 got for good: 0/1=7
        26 c2#2 take-for-good q1 g65537 max 2
        27 c2#2 got for good: 0/1=7

        good: somebody else made it, nobody knows with what start
        0 c1#1 put q1: 7 8
        1 c1#1 stored 0 x2
        2 c1#2 group q1 named 3 from 1
        3 c1#2 found 65537
        4 c2#1 take-for-good q1 max 2
        5 c2#1 got for good: 0/1=7 1/1=8
        6 c2#2 take-for-good q1 g65537 max 2
        7 c2#2 got for good: 0/1=7 1/1=8

        good: the group that misses it may have been removed
        0 c1#1 group q1 named 3 earliest
        1 c1#1 group 65537
        2 c1#2 put q1: 7
        3 c1#2 stored 0 x1
        4 c2#1 take-for-good q1 max 1
        5 c2#1 got for good: 0/1=7
        6 c2#2 end-group q1 named 3
        7 c2 gone

        lost: it was there at the end
        0 c1#1 group q1 named 3 earliest
        1 c1#1 group 65537
        2 c1#2 put q1: 7
        3 c1#2 stored 0 x1
        4 c2#1 take-for-good q1 max 1
        5 c2#1 got for good: 0/1=7
        6 c2#2 end-group q1 named 3
        7 c2 gone
        9 q1 g65537 gone 0",
    );
}

#[test]
fn what_is_removed_is_gone_and_what_is_shown_is_there() {
    check(
        "
        phantom: it came after it was removed
        0 c1#1 put q1: 7 8
        1 c1#1 stored 0 x2
        2 c1#2 remove q1: 0
        3 c1#2 removed 1 missing 0
        4 c2#1 take-for-good q1 max 2
        5 c2#1 got for good: 0/1=7 1/1=8

        good: one of the two was not there, nobody knows which
        0 c1#1 put q1: 7 8
        1 c1#1 stored 0 x2
        2 c1#2 remove q1: 0 9
        3 c1#2 removed 1 missing 1
        4 c2#1 take-for-good q1 max 2
        5 c2#1 got for good: 0/1=7 1/1=8

        phantom: it was called off before it was due
        0 m7 after 20ms
        0 c1#1 put q1: 7
        1 c1#1 later s0 x1
        2 c1#2 remove q1: s0
        3 c1#2 removed 1 missing 0
        30 c2#1 take-for-good q1 max 1
        31 c2#1 got for good: 0/1=7

        good: nobody misses what was called off
        0 m7 after 20ms
        0 c1#1 put q1: 7
        1 c1#1 later s0 x1
        2 c1#2 remove q1: s0
        3 c1#2 removed 1 missing 0

        phantom: a browse shows what was never sent
        0 c1#1 browse q1
        1 c1#1 shows 0/1=9

        phantom: a browse shows another message there
        0 c1#1 put q1: 7 8
        1 c1#1 stored 0 x2
        2 c1#2 browse q1
        3 c1#2 shows 0/0=8
        4 c2#1 take-for-good q1 max 2
        5 c2#1 got for good: 0/1=7 1/1=8

        good: a browse takes nothing
        0 c1#1 put q1: 7 8
        1 c1#1 stored 0 x2
        2 c1#2 browse q1
        3 c1#2 shows 0/0=7 1/0=8
        4 c2#1 take-for-good q1 max 2
        5 c2#1 got for good: 0/1=7 1/1=8",
    );
}

#[test]
fn a_binding_that_was_taken_back_brings_nothing() {
    check(
        "
        phantom: it was known to be taken back
        0 c1#1 bind q1 t1
        1 c1#1 done
        2 c1#2 unbind q1 t1
        3 c1#2 done
        4 c2#1 publish t1: 7
        5 c2#1 reached 1 stored 1

        good: nobody knew yet
        0 c1#1 bind q1 t1
        1 c1#1 done
        2 c1#2 unbind q1 t1
        3 c2#1 publish t1: 7
        4 c1#2 done
        5 c2#1 reached 1 stored 1
        6 c2#2 take-for-good q1 max 1
        7 c2#2 got for good: 0/1=7

        lost: it was bound again
        0 c1#1 bind q1 t1
        1 c1#1 done
        2 c1#2 unbind q1 t1
        3 c1#2 done
        4 c1#3 bind q1 t1
        5 c1#3 done
        6 c2#1 publish t1: 7
        7 c2#1 reached 0 stored 0",
    );
}
