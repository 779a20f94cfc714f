//! What a binding costs each shard, whatever its pattern says.

use ringway_protocol::limits::{NAME_BYTES_MAX, PATTERN_TOKENS_MAX};
use ringway_protocol::{Pattern, QueueId};
use ringway_shards::limits::BINDINGS_MAX;
use ringway_shards::path::bindings::Bindings;

const BINDINGS: u32 = 10_000;

/// Bytes on the heap for each binding to a pattern that is made from a number.
fn bytes_each(what: &str, pattern: impl Fn(u32) -> String) -> i64 {
    let mut bindings = Bindings::default();
    let measured = allocation_counter::measure(|| {
        for number in 0..BINDINGS {
            let pattern = pattern(number);
            let pattern = Pattern::new(&pattern).expect("a valid pattern");
            bindings.bind(QueueId::new(1, 0, number), pattern.as_str()).expect("room");
        }
    });
    let bytes = measured.bytes_current / i64::from(BINDINGS);
    println!("{what}: {bytes} bytes a binding");
    assert_eq!(bindings.len(), BINDINGS as usize);
    bytes
}

#[test]
fn no_pattern_costs_much() {
    let usual = bytes_each("usual", |number| format!("orders.region-{}.*.{number}", number % 100));
    assert!(usual <= 400, "{usual} bytes");
    // Nothing is shared: the first token is another one each time.
    let long = bytes_each("as long and deep as they get", |number| {
        let pattern = format!("{number:0>15}.").repeat(PATTERN_TOKENS_MAX - 1);
        let rest = NAME_BYTES_MAX - pattern.len();
        pattern + &"z".repeat(rest)
    });
    assert!(long <= 3_000, "{long} bytes");
    let most = long as u64 * BINDINGS_MAX as u64;
    assert!(most <= 256 << 20, "{most} bytes for as many as there may be");
}
