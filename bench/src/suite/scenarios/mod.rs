//! The table of everything that is measured, against what, with which target.
//!
//! One scenario is measured once a round and may fill several rows. Adding one is adding a value:
//! here for the data plane, in `work` and `semantics` for what work queues do beyond it, over TCP
//! and without sockets.

mod semantics;
mod work;

use super::figure::Figure;
use super::load_run::LoadRun;
use super::redis::RedisRun;
use super::subject::Subject;
use super::target::Target;
use crate::floors::ClientWait::{Blocking, Polling};
use crate::floors::epoll::ServerWait::{Busy, Sleeping};
use crate::queue_figures::Work;

/// Something of ours and what it is held against.
#[derive(Debug)]
pub struct Scenario {
    /// Short name, for `--only` and the live line.
    pub name: &'static str,
    /// What is measured.
    pub ours: Subject,
    /// The floor or the peer, measured right beside it.
    pub reference: Option<Subject>,
    /// The rows that these figures fill.
    pub rows: &'static [Row],
    /// Measured in the first round only, because it takes long and varies little.
    pub is_once: bool,
}

/// One row of the report.
#[derive(Debug)]
pub struct Row {
    /// What the figure is of.
    pub what: &'static str,
    /// The figure, of ours and of the reference.
    pub figure: Figure,
    /// What it has to reach.
    pub target: Target,
}

const MILLION: f64 = 1e6;

/// Batches of 256 on four connections: enough in flight that neither side waits for the other.
const BATCHES: LoadRun = LoadRun { batch: 256, pipeline: 8, connections: 4, ..LoadRun::ROUND_TRIP };
/// One message a request, as `redis-benchmark -c 50 -P 64` sends them.
const PIPELINED: LoadRun = LoadRun { pipeline: 64, connections: 50, ..LoadRun::ROUND_TRIP };
const LPUSH: RedisRun =
    RedisRun { command: "lpush", connections: 50, pipeline: 64, expected_per_second: 1_300_000 };
/// Two shards on the server's one CPU, so that neither spins and CPU time is work alone; the load
/// has the other CPU to itself.
const TWO_SHARDS: LoadRun = LoadRun { shards: 2, ..BATCHES };

/// A row of a figure that is held against nothing.
const fn stated(what: &'static str, figure: Figure) -> Row {
    Row { what, figure, target: Target::Stated }
}

/// Every scenario, in the order of the report.
pub fn scenarios() -> impl Iterator<Item = &'static Scenario> {
    PLANE.iter().chain(work::SCENARIOS).chain(semantics::SCENARIOS)
}

/// What the data plane does.
const PLANE: &[Scenario] = &[
    Scenario {
        name: "queue alone",
        ours: Subject::Queue { batch: 1, work: Work::Plain },
        reference: None,
        rows: &[
            Row {
                what: "queue alone on one thread, put + take + ack, one at a time: p50",
                figure: Figure::P50Ns,
                target: Target::AtMost(60.0),
            },
            stated("the same: p95", Figure::P95Ns),
            Row { what: "the same: p99", figure: Figure::P99Ns, target: Target::AtMost(200.0) },
            stated("the same: a clock read, which is subtracted", Figure::ClockNs),
            stated("the same without clock reads between", Figure::NsPerMessage),
            Row {
                what: "the same: allocations",
                figure: Figure::AllocationsPerOperation,
                target: Target::AtMost(0.0),
            },
            Row {
                what: "the same: allocated",
                figure: Figure::AllocatedBytesPerOperation,
                target: Target::AtMost(0.0),
            },
        ],
        is_once: false,
    },
    Scenario {
        name: "queue alone, batches",
        ours: Subject::Queue { batch: 256, work: Work::Plain },
        reference: None,
        rows: &[Row {
            what: "queue alone, put + take + ack, batches of 256: a message",
            figure: Figure::NsPerMessage,
            target: Target::AtMost(15.0),
        }],
        is_once: false,
    },
    Scenario {
        name: "queue alone, enqueue",
        ours: Subject::QueuePut,
        reference: None,
        rows: &[stated("queue alone, put, one at a time", Figure::NsPerMessage)],
        is_once: false,
    },
    Scenario {
        name: "lane, pipelined",
        ours: Subject::LanePipelined,
        reference: Some(Subject::RtrbChunks),
        rows: &[Row {
            what: "lane, pipelined puts from another core, batches of 256, payload copied",
            figure: Figure::MessagesPerSecond,
            target: Target::AtLeast(50.0 * MILLION),
        }],
        is_once: false,
    },
    Scenario {
        name: "lane, round trip",
        ours: Subject::LaneRoundTrip,
        reference: Some(Subject::RtrbPingPong),
        rows: &[Row {
            what: "lane round trip, one message: p50",
            figure: Figure::P50Ns,
            target: Target::TimesAtMost(1.3),
        }],
        is_once: false,
    },
    Scenario {
        name: "put, batches",
        ours: Subject::Load(BATCHES),
        reference: Some(Subject::EpollSink),
        rows: &[
            Row {
                what: "TCP put, acknowledged, batches of 256",
                figure: Figure::MessagesPerSecond,
                target: Target::AtLeast(20.0 * MILLION),
            },
            Row {
                what: "the same, bytes",
                figure: Figure::BytesPerSecond,
                target: Target::TimesAtLeast(0.7),
            },
        ],
        is_once: false,
    },
    Scenario {
        name: "operations, batches",
        ours: Subject::Load(LoadRun { op: "put-take", ..BATCHES }),
        reference: None,
        rows: &[Row {
            what: "TCP operations (put, take, ack), batches of 256",
            figure: Figure::MessagesPerSecond,
            target: Target::AtLeast(8.0 * MILLION),
        }],
        is_once: false,
    },
    Scenario {
        name: "operations, one a request",
        ours: Subject::Load(LoadRun { op: "put-take", ..PIPELINED }),
        reference: None,
        rows: &[Row {
            what: "TCP operations (put, take, ack), one message a request",
            figure: Figure::MessagesPerSecond,
            target: Target::AtLeast(3.0 * MILLION),
        }],
        is_once: false,
    },
    Scenario {
        name: "put, pipelined",
        ours: Subject::Load(PIPELINED),
        reference: Some(Subject::Redis(LPUSH)),
        rows: &[
            Row {
                what: "TCP put, one message a request, 50 connections, pipeline 64",
                figure: Figure::MessagesPerSecond,
                target: Target::AtLeast(10.0 * MILLION),
            },
            Row {
                what: "the same against Redis",
                figure: Figure::MessagesPerSecond,
                target: Target::TimesAtLeast(6.0),
            },
        ],
        is_once: false,
    },
    Scenario {
        name: "put, 50 connections",
        ours: Subject::Load(LoadRun { connections: 50, ..LoadRun::ROUND_TRIP }),
        reference: Some(Subject::Redis(RedisRun {
            pipeline: 1,
            expected_per_second: 150_000,
            ..LPUSH
        })),
        rows: &[Row {
            what: "TCP put, one message a request, 50 connections, pipeline 1",
            figure: Figure::MessagesPerSecond,
            target: Target::TimesAtLeast(1.5),
        }],
        is_once: false,
    },
    Scenario {
        name: "round trip, polling",
        ours: Subject::Load(LoadRun::ROUND_TRIP),
        reference: Some(Subject::EpollEcho(Busy, Polling)),
        rows: &[Row {
            what: "put round trip p50, polling client",
            figure: Figure::P50Ns,
            target: Target::TimesAtMost(1.2),
        }],
        is_once: false,
    },
    Scenario {
        name: "round trip, blocking",
        ours: Subject::Load(LoadRun { wait: "block", ..LoadRun::ROUND_TRIP }),
        reference: Some(Subject::EpollEcho(Busy, Blocking)),
        rows: &[Row {
            what: "put round trip p50, blocking client",
            figure: Figure::P50Ns,
            target: Target::TimesAtMost(1.15),
        }],
        is_once: false,
    },
    Scenario {
        name: "round trip, parked",
        ours: Subject::Load(LoadRun {
            wait: "block",
            serve_flags: &["--spin", "0us"],
            ..LoadRun::ROUND_TRIP
        }),
        reference: Some(Subject::EpollEcho(Sleeping, Blocking)),
        rows: &[Row {
            what: "put round trip p50, parked server, blocking client",
            figure: Figure::P50Ns,
            target: Target::TimesAtMost(1.15),
        }],
        is_once: false,
    },
    Scenario {
        name: "open loop",
        ours: Subject::OpenLoop {
            run: LoadRun { pipeline: 64, ..LoadRun::ROUND_TRIP },
            share: 0.7,
        },
        reference: None,
        rows: &[
            Row {
                what: "one connection, open loop at 70 % of its highest rate: p99.9 / p50",
                figure: Figure::TailOverMedian,
                target: Target::AtMost(10.0),
            },
            stated("the same: rate", Figure::MessagesPerSecond),
            stated("the same: p50", Figure::P50Ns),
            stated("the same: maximum", Figure::MaxNs),
        ],
        is_once: false,
    },
    Scenario {
        name: "other shard",
        ours: Subject::Extra(
            LoadRun { load_flags: &["--route", "other"], ..TWO_SHARDS },
            LoadRun { load_flags: &["--shard-aware"], ..TWO_SHARDS },
        ),
        reference: None,
        rows: &[Row {
            what: "put to a queue of the other shard, batches of 256: more server CPU a message",
            figure: Figure::ServerCpuNsPerMessage,
            target: Target::AtMost(20.0),
        }],
        is_once: false,
    },
    Scenario {
        name: "idle",
        ours: Subject::Idle(2),
        reference: None,
        rows: &[
            Row {
                what: "idle server, 2 shards: share of a core",
                figure: Figure::CpuPercent,
                target: Target::AtMost(0.5),
            },
            Row {
                what: "idle server, 2 shards: resident",
                figure: Figure::ResidentBytes,
                target: Target::AtMost(30.0 * 1024.0 * 1024.0),
            },
        ],
        is_once: true,
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_apart_and_ratios_have_a_reference() {
        let mut names: Vec<&str> = scenarios().map(|scenario| scenario.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), scenarios().count());
        for scenario in scenarios() {
            assert!(!scenario.rows.is_empty(), "{}", scenario.name);
            for row in scenario.rows {
                let is_ratio =
                    matches!(row.target, Target::TimesAtLeast(_) | Target::TimesAtMost(_));
                assert!(!is_ratio || scenario.reference.is_some(), "{}", row.what);
            }
        }
    }
}
