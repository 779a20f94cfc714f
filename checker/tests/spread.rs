//! The checker on queues that are spread over several shards. Each verdict with a history that
//! earns it, and one close to it that does not.

mod paragraphs;

use paragraphs::check;

#[test]
fn a_spread_queue_has_an_order_in_each_part() {
    check(
        "
        order: against the order of its part
        0 q1 is spread 2
        0 c1#1 put q1: 7 8
        1 c1#1 stored p1.0 x2
        2 c2#1 take-for-good q1 max 2
        3 c2#1 got for good: p1.1/1=8 p1.0/1=7

        good: two parts have nothing to do with each other
        0 q1 is spread 2
        0 c1#1 put q1: 7 8
        1 c1#1 stored p1.0 x1 stored 0 x1
        2 c2#1 take-for-good q1 max 1
        3 c2#1 got for good: p1.0/1=7
        4 c2#2 take-for-good q1 max 1
        5 c2#2 got for good: 0/1=8

        key: in order per key one part has all of a key
        0 q1 is spread 2 per-key
        0 m7 key 3
        0 m8 key 3
        0 c1#1 put q1: 7 8
        1 c1#1 stored p1.0 x1 stored 0 x1
        2 c2#1 take-for-good q1 max 1
        3 c2#1 got for good: p1.0/1=7
        4 c2#2 take-for-good q1 max 1
        5 c2#2 got for good: 0/1=8

        good: in relaxed order it has not
        0 q1 is spread 2
        0 m7 key 3
        0 m8 key 3
        0 c1#1 put q1: 7 8
        1 c1#1 stored p1.0 x1 stored 0 x1
        2 c2#1 take-for-good q1 max 1
        3 c2#1 got for good: p1.0/1=7
        4 c2#2 take-for-good q1 max 1
        5 c2#2 got for good: 0/1=8

        good: a part has stored its own of a put that another one refused
        0 q1 is spread 2
        0 c1#1 put q1: 7 8
        1 c1#1 refused
        2 c2#1 take-for-good q1 max 2
        3 c2#1 got for good: p1.0/1=8

        good: a transfer from it goes in two steps
        0 q1 is spread 2
        0 c1#1 put q1: 7
        1 c1#1 stored 0 x1
        2 c2#1 take q1 max 1
        3 c2#1 got lease 5 for 50ms: 0/1=7
        4 c2#2 transfer q1 lease 5: 0+1 into q2: 9
        5 c2#2 half 0 x1
        6 c3#1 take-for-good q2 max 1
        7 c3#1 got for good: 0/1=9",
    );
}
