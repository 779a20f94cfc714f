//! What queues do beyond put, take and acknowledgement, without sockets.

use super::{MILLION, Row, Scenario, stated};
use crate::queue_figures::Work;
use crate::suite::figure::Figure;
use crate::suite::subject::Subject;
use crate::suite::target::Target;

/// Put, take and acknowledgement of batches of 256 with more asked of the queue.
const fn alone(name: &'static str, work: Work, rows: &'static [Row]) -> Scenario {
    let ours = Subject::Queue { batch: 256, work };
    Scenario { name, ours, reference: None, rows, is_once: false }
}

const NO_ALLOCATIONS: Row = Row {
    what: "the same: allocations of a batch",
    figure: Figure::AllocationsPerOperation,
    target: Target::AtMost(0.0),
};

/// What is measured of them.
pub(super) const SCENARIOS: &[Scenario] = &[
    alone(
        "queue alone, keys",
        Work::Keys,
        &[
            stated(
                "queue alone, batches of 256, 10,000 keys in use: a message",
                Figure::NsPerMessage,
            ),
            NO_ALLOCATIONS,
        ],
    ),
    alone(
        "queue alone, groups",
        Work::Groups,
        &[
            stated(
                "queue alone, batches of 256, taken by 4 groups: a message",
                Figure::NsPerMessage,
            ),
            NO_ALLOCATIONS,
        ],
    ),
    alone(
        "queue alone, dedup by producer",
        Work::Producer,
        &[
            stated(
                "queue alone, batches of 256, numbered by a producer: a message",
                Figure::NsPerMessage,
            ),
            NO_ALLOCATIONS,
        ],
    ),
    alone(
        "queue alone, dedup by id",
        Work::Ids,
        &[
            stated(
                "queue alone, batches of 256, an id a message, 131,072 remembered: a message",
                Figure::NsPerMessage,
            ),
            NO_ALLOCATIONS,
        ],
    ),
    Scenario {
        name: "delayed",
        ours: Subject::Delayed,
        reference: None,
        rows: &[
            Row {
                what: "10 million delayed messages alone: memory of one beyond its payload",
                figure: Figure::BytesBeyondPayload,
                target: Target::AtMost(48.0),
            },
            Row {
                what: "the same: to schedule and deliver one, due at random within 10 min",
                figure: Figure::NsPerMessage,
                target: Target::AtMost(200.0),
            },
            stated("the same: to schedule one, in batches of 256", Figure::ScheduleNs),
            stated("the same: for one to become due", Figure::DueNs),
            stated("the same: to take and acknowledge one that is due", Figure::DeliverNs),
            stated(
                "the same: memory alone, each record written once and copied out at random",
                Figure::MemoryNs,
            ),
            stated("the same: the longest call that makes messages due", Figure::MaxNs),
            stated(
                "the same with 1 million due in one millisecond: the longest call",
                Figure::BurstMaxNs,
            ),
        ],
        is_once: false,
    },
    Scenario {
        name: "spread",
        ours: Subject::SelfDriven(2),
        reference: Some(Subject::SelfDriven(1)),
        rows: &[
            Row {
                what: "a queue spread over 2 self-driven shards against one on one, batches of 256",
                figure: Figure::MessagesPerSecond,
                target: Target::TimesAtLeast(1.5),
            },
            stated("the same: CPU of a shard for a message", Figure::ServerCpuNsPerMessage),
        ],
        is_once: false,
    },
    Scenario {
        name: "crowd",
        ours: Subject::Crowd,
        reference: None,
        rows: &[
            Row {
                what: "100,000 queues, 10,000 connections, 10 million delayed messages: \
                       p99.99 of a turn on its CPU",
                figure: Figure::P9999Ns,
                target: Target::AtMost(MILLION),
            },
            stated("the same with what the host took in between", Figure::WallP9999Ns),
            stated("the same: the longest turn, with that", Figure::MaxNs),
            stated("the same: taken by the host in all", Figure::KeptOffNs),
            stated("the same: connections", Figure::Connections),
            stated("the same: memory of an idle queue", Figure::BytesPerQueue),
            stated("the same: resident", Figure::ResidentBytes),
            stated("the same: put, take and ack on all connections", Figure::MessagesPerSecond),
            stated("the same: p50 of a request", Figure::P50Ns),
            stated("the same: p99.9 of a request", Figure::P999Ns),
        ],
        is_once: true,
    },
];
