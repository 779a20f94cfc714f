//! Work queues: everything under leases, beside the same without, and beside the peers.
//!
//! The figure is messages of one second of server CPU time, where more is better, so that a target
//! reads "so many times". CPU time a message and throughput stand beside it. All of ours is one
//! shard and one queue, put, taken and acknowledged. The server does not spin: where the load is
//! the slower side, waiting for it must not count as work.

use super::{BATCHES, PIPELINED, Row, Scenario, stated};
use crate::suite::figure::Figure;
use crate::suite::load_run::LoadRun;
use crate::suite::peers::{PeerName, PeerRun};
use crate::suite::subject::Subject;
use crate::suite::target::Target;

/// Put, take under a lease, acknowledge: batches of 256.
const LEASED: LoadRun = LoadRun { op: "put-take", serve_flags: PARKS, ..BATCHES };
const PARKS: &[&str] = &["--spin", "0us"];
/// The same, acknowledged as the messages leave the server.
const AT_ONCE: LoadRun = with(&["--acknowledge", "at-once"]);
/// One message a request, under leases.
const LEASED_SINGLY: LoadRun = LoadRun { op: "put-take", serve_flags: PARKS, ..PIPELINED };

/// One message at a time, from its put to its push over the same connection.
const PUSHED: LoadRun = LoadRun {
    op: "put-take",
    latency: "push",
    load_flags: &["--subscribe"],
    ..LoadRun::ROUND_TRIP
};

/// Redis reads and acknowledges in batches of 256 too; it puts one at a time, pipelined.
const STREAMS: PeerRun =
    PeerRun { peer: PeerName::RedisStreams, connections: 8, pipeline: 256, batch: 256 };
/// One message a command.
const STREAMS_SINGLY: PeerRun = PeerRun { connections: 50, pipeline: 64, batch: 1, ..STREAMS };
/// beanstalkd has no batches.
const BEANSTALKD: PeerRun = PeerRun { peer: PeerName::Beanstalkd, batch: 1, ..STREAMS };

/// Leases with flags of `ringway load` beyond them.
const fn with(load_flags: &'static [&'static str]) -> LoadRun {
    LoadRun { load_flags, ..LEASED }
}

/// `ours` beside `reference`, once a round.
const fn beside(
    name: &'static str,
    ours: LoadRun,
    reference: Subject,
    rows: &'static [Row],
) -> Scenario {
    let reference = Some(reference);
    Scenario { name, ours: Subject::Load(ours), reference, rows, is_once: false }
}

/// So many times the reference's messages a second of server CPU.
const fn at_least(what: &'static str, times: f64) -> Row {
    let figure = Figure::MessagesPerServerCpuSecond;
    Row { what, figure, target: Target::TimesAtLeast(times) }
}

const CPU: Row = stated("the same: server CPU a message", Figure::ServerCpuNsPerMessage);
const RATE: Row = stated("the same: throughput", Figure::MessagesPerSecond);

/// What is measured of work queues.
pub(super) const SCENARIOS: &[Scenario] = &[
    beside(
        "leases, at once",
        LEASED,
        Subject::Load(AT_ONCE),
        &[at_least("leases against acknowledged at once, batches of 256", 0.7), CPU, RATE],
    ),
    beside(
        "leases, nacked",
        with(&["--nack-percent", "1"]),
        Subject::Load(LEASED),
        &[at_least("leases with 1 % nacked against none", 0.85), CPU, RATE],
    ),
    beside(
        "leases, keys",
        with(&["--keys", "10000"]),
        Subject::Load(LEASED),
        &[at_least("leases with 10,000 keys in use against none", 0.5), CPU, RATE],
    ),
    beside(
        "leases, dedup by producer",
        with(&["--dedup", "producer"]),
        Subject::Load(LEASED),
        &[at_least("leases with deduplication by producer against none", 0.7), CPU, RATE],
    ),
    beside(
        "leases, dedup by id",
        with(&["--dedup", "id"]),
        Subject::Load(LEASED),
        &[at_least("leases with deduplication by an id a message against none", 0.7), CPU, RATE],
    ),
    beside(
        "leases, groups",
        with(&["--groups", "4"]),
        Subject::Load(LEASED),
        &[
            at_least("leases in 4 groups against 1: a message put, which each group takes", 0.3),
            CPU,
            RATE,
        ],
    ),
    beside(
        "subscribe, batches",
        with(&["--subscribe"]),
        Subject::Load(LEASED),
        &[
            at_least("subscriptions against takes, both under leases, batches of 256", 1.0),
            CPU,
            RATE,
        ],
    ),
    beside(
        "subscribe, latency",
        PUSHED,
        Subject::Load(LoadRun::ROUND_TRIP),
        &[Row {
            what: "a put to its push, polling client, against a put to its reply: p50",
            figure: Figure::P50Ns,
            target: Target::TimesAtMost(1.3),
        }],
    ),
    beside(
        "leases, Redis streams",
        LEASED,
        Subject::Peer(STREAMS),
        &[at_least("leases in batches of 256 against Redis streams with a group", 5.0), CPU, RATE],
    ),
    beside(
        "leases, beanstalkd",
        LEASED,
        Subject::Peer(BEANSTALKD),
        &[at_least("leases in batches of 256 against beanstalkd", 5.0), CPU, RATE],
    ),
    beside(
        "leases, Redis streams, singly",
        LEASED_SINGLY,
        Subject::Peer(STREAMS_SINGLY),
        &[
            stated(
                "leases, one message a request, against Redis streams with a group",
                Figure::MessagesPerServerCpuSecond,
            ),
            CPU,
            RATE,
        ],
    ),
    beside(
        "leases, beanstalkd, singly",
        LEASED_SINGLY,
        Subject::Peer(BEANSTALKD),
        &[
            stated(
                "leases, one message a request, against beanstalkd",
                Figure::MessagesPerServerCpuSecond,
            ),
            CPU,
            RATE,
        ],
    ),
];
