//! Random commands with time moving, against a naive model: every outcome, every message, every
//! figure.

mod support;

use proptest::prelude::*;

use self::support::pair::Pair;

/// Words that are there in some commands.
fn maybe(words: impl Strategy<Value = String> + 'static) -> BoxedStrategy<String> {
    prop_oneof![3 => Just(String::new()), 1 => words].boxed()
}

/// Queues: those with groups and keys, one with times to live, one with all three, one that drops
/// its oldest.
fn name() -> impl Strategy<Value = &'static str> {
    let plain = prop_oneof![5 => Just("a"), 2 => Just("b"), 1 => Just("a.dead")];
    prop_oneof![8 => plain, 3 => Just("c"), 1 => Just("d"), 3 => Just("e")]
}

fn group() -> impl Strategy<Value = &'static str> {
    prop_oneof![4 => Just("default"), 2 => Just("g"), 1 => Just("h")]
}

fn asker() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just("x"), Just("y"), Just("z")]
}

/// A lease or a subscription, mostly a young one.
fn back() -> impl Strategy<Value = String> {
    prop_oneof![3 => 0_usize..4, 1 => 0_usize..40].prop_map(|back| format!("last-{back}"))
}

fn options() -> impl Strategy<Value = String> {
    let bounds = (prop_oneof![1_u64..40, Just(10_000)], 1_u32..3_000);
    let dedup = maybe(
        (1_u32..4_000, 0_u32..8).prop_map(|(ms, most)| format!("dedup={ms} dedup_max={most}")),
    );
    // What doubles is diced: it waits long enough to be seen before it is back.
    let doubles = (20_u32..500, 1_u32..12)
        .prop_map(|(ms, times)| format!("backoff={ms} backoff_max={}", ms * times));
    let backoff = (1_u32..3_000).prop_map(|ms| format!("backoff={ms}"));
    let backoff = maybe(prop_oneof![backoff, doubles]);
    let idle = prop_oneof![6 => Just(String::new()), 1 => Just("idle=9000".to_owned())];
    let weighted = prop_oneof![4 => Just(""), 1 => Just("priority=weighted")];
    let comes_back = (0_u32..5, backoff, (idle, weighted));
    (bounds, dedup, comes_back).prop_map(
        |((messages, lease), dedup, (deliveries, backoff, (idle, weighted)))| {
            let bounds = format!("messages={messages} lease={lease} wait=5000 {idle} {weighted}");
            format!("{bounds} deliveries={deliveries} {dedup} {backoff}")
        },
    )
}

fn declare() -> impl Strategy<Value = String> {
    let ttl = maybe((1_u32..4_000).prop_map(|ms| format!("ttl={ms}")));
    let hold = prop_oneof![2 => Just(""), 1 => Just("policy=hold")];
    let expired = prop_oneof![3 => Just(""), 1 => Just("expired=dead")];
    let all = (name(), maybe(options()), ttl, (hold, expired));
    all.prop_map(|(name, options, ttl, (hold, expired))| match (name, &*options) {
        (name, "") => format!("declare {name}"),
        ("c", options) => format!("declare c {options} {ttl} {expired}"),
        ("d", options) => format!("declare d {options} policy=drop-oldest"),
        ("a" | "b", options) => format!("declare {name} {options} {hold}"),
        (name, options) => {
            let plain = options.split(' ').filter(|option| !option.starts_with("deliveries="));
            let ttl = if name == "e" { &ttl } else { "" };
            format!("declare {name} deliveries=0 {} {ttl}", plain.collect::<Vec<_>>().join(" "))
        }
    })
}

/// One value for all messages of a put, or one each.
fn each<T: std::fmt::Display + std::fmt::Debug + 'static>(
    key: &'static str,
    value: impl Strategy<Value = T> + 'static,
) -> BoxedStrategy<String> {
    let value = prop_oneof![4 => value.prop_map(|value| value.to_string()), 1 => Just("-".into())];
    let values = prop::collection::vec(value, 1..8);
    maybe(values.prop_map(move |values| format!("{key}={}", values.join(","))))
}

fn put() -> impl Strategy<Value = String> {
    let size = prop_oneof![6 => 4_usize..300, 2 => 300_usize..9_000, 1 => 9_000_usize..60_000];
    let keys = each("keys", prop_oneof![Just("k"), Just("l"), Just("m")]);
    let priority = each("priority", 0_u8..8);
    let delay = each("delay", 0_u32..3_000);
    let later = prop_oneof![delay, each("at", -1_000_i32..20_000)];
    let ids = each("ids", prop_oneof![Just("one"), Just("two"), Just("three"), Just("four")]);
    let headers = each("headers", prop_oneof![Just("h:one"), Just("h:two")]);
    let producer = maybe((0_u8..2, 0_u8..12).prop_map(|(id, at)| format!("producer={id}:{at}")));
    let sizes = prop::collection::vec(size, 1..14);
    let ttl = each("ttl", 1_u32..3_000);
    (name(), sizes, (keys, priority, later, ttl), (ids, headers, asker()), producer).prop_map(
        |(name, sizes, (keys, priority, later, ttl), (ids, headers, by), producer)| {
            // Elsewhere messages are removed, moved and kept: the model does not follow where those
            // have expired that nobody has noticed yet, nor from band to band.
            let plain = !["c", "d", "e"].contains(&name);
            let [ttl, priority] = [ttl, priority].map(|it| if plain { String::new() } else { it });
            let sizes: Vec<_> = sizes.iter().map(|size| format!("#{size}")).collect();
            let sizes = sizes.join(" ");
            let (keys, ttl) = match name {
                "c" => ("", &*ttl),
                "e" => (&*keys, &*ttl),
                _ => (&*keys, ""),
            };
            let traits = format!("{keys} {priority} {later} {ttl} {ids} {headers} {producer}");
            format!("put {name} {sizes} {traits} by={by}")
        },
    )
}

fn take() -> impl Strategy<Value = String> {
    let bytes = maybe((1_u32..40_000).prop_map(|bytes| format!("bytes={bytes}")));
    let lease = maybe((1_u32..2_000).prop_map(|lease| format!("lease={lease}")));
    let wait = maybe((0_u32..6_000).prop_map(|wait| format!("wait={wait}")));
    let how = prop_oneof![4 => Just(""), 1 => Just("acknowledged"), 2 => Just("pin")];
    (name(), 1_u32..20, bytes, lease, wait, how, (asker(), group())).prop_map(
        |(name, messages, bytes, lease, wait, how, (by, group))| {
            format!("take {name} {messages} {bytes} {lease} {wait} {how} by={by} group={group}")
        },
    )
}

fn change_group() -> impl Strategy<Value = String> {
    let start = prop_oneof![
        2 => Just("earliest".to_owned()),
        1 => Just("latest".to_owned()),
        1 => (0_u32..60).prop_map(|at| format!("sequence:{at}")),
        1 => (0_u32..20_000).prop_map(|ms| format!("time:{ms}")),
    ];
    let paused = prop_oneof![4 => Just(""), 1 => Just("paused"), 2 => Just("single")];
    let name = prop_oneof![Just("a"), Just("b"), Just("d"), Just("e")];
    (0_u8..8, name, group(), start, paused).prop_map(
        |(what, name, group, start, paused)| match what {
            0 => format!("group delete {name} {group}"),
            1 | 2 => format!("group alter {name} {group} {paused}"),
            _ => format!("group create {name} {group} start={start} {paused}"),
        },
    )
}

fn subscribe() -> impl Strategy<Value = String> {
    let bytes = maybe((1_u32..60_000).prop_map(|bytes| format!("bytes={bytes}")));
    let batch = maybe((1_u32..8).prop_map(|batch| format!("batch={batch}")));
    let rate = maybe((1_u32..60).prop_map(|rate| format!("rate={rate}")));
    let lease = maybe((1_u32..2_000).prop_map(|lease| format!("lease={lease}")));
    (name(), 1_u32..20, (bytes, batch), (rate, lease), (asker(), group())).prop_map(
        |(name, credit, (bytes, batch), (rate, lease), (by, group))| {
            let credit = format!("credit={credit} {bytes} {batch}");
            format!("subscribe {name} {credit} {rate} {lease} by={by} group={group}")
        },
    )
}

fn credit() -> impl Strategy<Value = String> {
    let bytes = maybe((1_u32..60_000).prop_map(|bytes| format!("bytes={bytes}")));
    (back(), 0_u32..20, bytes)
        .prop_map(|(back, credit, bytes)| format!("credit - {back} {credit} {bytes}"))
}

fn settle() -> impl Strategy<Value = String> {
    let range = (0_u32..12, 1_u32..8).prop_map(|(first, count)| format!("{first}+{count}"));
    let ranges = prop::collection::vec(range, 1..6).prop_map(|ranges| ranges.join(" "));
    let ranges = prop_oneof![ranges, Just("all".to_owned())];
    let delay = prop_oneof![
        3 => maybe((1_u32..3_000).prop_map(|delay| format!("delay={delay}"))),
        1 => Just("delay=dead".to_owned()),
    ];
    let nack = delay.prop_map(|delay| ("nack", delay));
    let verb = prop_oneof![2 => Just(("ack", String::new())), 1 => nack];
    (verb, back(), ranges)
        .prop_map(|((verb, delay), back, ranges)| format!("{verb} - {back} {ranges} {delay}"))
}

/// A lease lasts longer, or its settlement comes with a put.
fn go_on() -> impl Strategy<Value = String> {
    let lease = maybe((1_u32..2_000).prop_map(|lease| format!("lease={lease}")));
    let to = (name(), 4_usize..300);
    prop_oneof![
        (back(), lease).prop_map(|(back, lease)| format!("extend - {back} {lease}")),
        (back(), to)
            .prop_map(|(back, (to, size))| format!("transfer - {back} all to {to} #{size}")),
    ]
}

fn command() -> impl Strategy<Value = String> {
    prop_oneof![
        2 => declare(),
        10 => put(),
        10 => take(),
        12 => settle(),
        2 => go_on(),
        4 => subscribe(),
        2 => credit(),
        2 => back().prop_map(|back| format!("unsubscribe - {back}")),
        1 => back().prop_map(|back| format!("release - {back}")),
        5 => prop_oneof![0_u64..20, 20_u64..4_000].prop_map(|ms| format!("advance {ms}")),
        5 => Just("answers".to_owned()),
        1 => name().prop_map(|name| format!("purge {name}")),
        1 => name().prop_map(|name| format!("delete {name}")),
        1 => asker().prop_map(|asker| format!("forget {asker}")),
        2 => Just("unpin".to_owned()),
        4 => change_group(),
        6 => administer(),
        // The store does not mind smaller steps.
        1 => (prop_oneof![Just("+"), Just("-")], 20_u32..5_000)
            .prop_map(|(sign, ms)| format!("wall {sign}{ms}ms")),
    ]
}

/// What operators do to queues and messages one by one.
fn administer() -> impl Strategy<Value = String> {
    let sequence = prop_oneof![
        4 => (0_u32..30).prop_map(|count| count.to_string()),
        1 => (0_u32..6).prop_map(|count| format!("7/{count}")),
        2 => (0_u32..8).prop_map(|count| format!("s/{count}")),
    ];
    let sequences = prop::collection::vec(sequence, 1..6).prop_map(|all| all.join(" "));
    let limit = maybe((1_u32..6).prop_map(|limit| format!("limit={limit}")));
    let what =
        prop_oneof![2 => Just("none"), 1 => Just("puts"), 1 => Just("takes"), 1 => Just("both")];
    let keep = prop_oneof![
        (0_u32..40).prop_map(|most| format!("keep_messages={most}")),
        (0_u32..4_000).prop_map(|ms| format!("keep={ms}")),
        (0_u32..60_000).prop_map(|bytes| format!("keep_bytes={bytes}")),
        Just("keep=0 keep_messages=0 keep_bytes=0".to_owned()),
    ];
    let bounds = prop_oneof![
        (1_u32..40).prop_map(|most| format!("messages={most}")),
        (0_u32..5).prop_map(|most| format!("deliveries={most}")),
        (0_u32..4_000).prop_map(|ms| format!("dedup={ms}")),
    ];
    let name = || prop_oneof![3 => Just("a"), 2 => Just("b"), 1 => Just("a.dead")];
    let way = prop_oneof![
        2 => Just("a to a.dead"),
        2 => Just("a.dead to a"),
        1 => Just("b to a"),
        1 => Just("a to origin"),
        2 => Just("a.dead to origin redrive"),
        1 => Just("a.dead to b redrive"),
    ];
    let filter = maybe(Just("filter=h:one".to_owned()));
    let names = prop_oneof![Just("a e"), Just("e a"), Just("e.dead a.dead"), Just("b e")];
    prop_oneof![
        4 => (name(), sequences).prop_map(|(name, all)| format!("remove {name} {all}")),
        3 => (way, filter, limit, group()).prop_map(|(way, filter, limit, group)| {
            format!("move {way} {filter} {limit} group={group}")
        }),
        1 => names.prop_map(|names| format!("rename {names}")),
        2 => keep.prop_map(|keep| format!("alter b {keep}")),
        1 => bounds.prop_map(|bounds| format!("alter a {bounds}")),
        2 => (name(), what).prop_map(|(name, what)| format!("pause {name} {what}")),
    ]
}

/// Prints what was done when a comparison fails: a paragraph for `tests/cases/queue`.
struct Printed(Pair);

impl Drop for Printed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("# In this order:\n{}\n", self.0.script.join("\n"));
        }
    }
}

proptest! {
    #[test]
    fn the_store_agrees_with_the_model(
        start_ns in prop_oneof![Just(0_u64), any::<u32>().prop_map(|hour| u64::from(hour) << 20)],
        commands in prop::collection::vec(command(), 1..160),
    ) {
        let mut pair = Printed(Pair::new(start_ns));
        pair.0.run("declare a");
        pair.0.run("declare e");
        commands.iter().for_each(|command| pair.0.run(command));
        pair.0.run("answers");
        pair.0.finish();
    }
}
