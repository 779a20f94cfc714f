//! Everything that the suite can measure, as one value each.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::crowd;
use super::delayed;
use super::figure::{Failure, Figure, Figures};
use super::idle;
use super::in_process::{self, Allocated};
use super::load_run::LoadRun;
use super::peers::PeerRun;
use super::redis::RedisRun;
use crate::floors::epoll::{self, ServerWait};
use crate::floors::{ClientWait, CpuPair, Latency, Stream, spsc};
use crate::queue_figures::Work;

/// Where and how long things are measured.
#[derive(Clone, Debug)]
pub struct Bench {
    /// The program `ringway`.
    pub program: PathBuf,
    /// The CPU of servers and the CPU of loads.
    pub cpus: CpuPair,
    /// Of one load, floor or peer.
    pub duration: Duration,
    /// Of an open-loop load.
    pub open_loop: Duration,
    /// Of watching an idle server.
    pub idle: Duration,
    /// How large the large things are.
    pub size: Size,
    /// Runs what it is given and says what the calling thread allocated meanwhile. A function of
    /// the binary: counting takes an allocator of its own, which nobody else should have to link.
    pub count_allocations: fn(&mut dyn FnMut()) -> Allocated,
}

/// How large the large things are.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Messages with a delay.
    pub delayed_messages: u64,
    /// Queues of one server.
    pub queues: u32,
    /// Connections to it.
    pub connections: u32,
}

impl Size {
    /// What the rows name.
    pub const FULL: Self =
        Self { delayed_messages: 10_000_000, queues: 100_000, connections: 10_000 };
    /// Just enough that everything runs.
    pub const QUICK: Self = Self { delayed_messages: 20_000, queues: 200, connections: 100 };
}

/// Something of ours, a floor or a peer.
#[derive(Clone, Copy, Debug)]
pub enum Subject {
    /// The queues of a shard alone on one thread: put, take and acknowledgement.
    Queue {
        /// Messages of a batch.
        batch: u32,
        /// What is asked beyond that.
        work: Work,
    },
    /// The same, single puts alone.
    QueuePut,
    /// Delayed messages on one thread.
    Delayed,
    /// So many shards without sockets that drive themselves, with one queue, spread over them.
    SelfDriven(usize),
    /// Batches of 256 through a lane of this process, many under way.
    LanePipelined,
    /// One message through a lane and its answer back.
    LaneRoundTrip,
    /// Our server under our load, closed loop.
    Load(LoadRun),
    /// The same at `share` of the highest rate of a closed loop that is measured first.
    OpenLoop {
        /// The load.
        run: LoadRun,
        /// 0.7 for 70 %.
        share: f64,
    },
    /// Our server with all the queues, connections and delayed messages that it is to bear.
    Crowd,
    /// Two loads of our server; server CPU of the first less that of the second, a message.
    Extra(LoadRun, LoadRun),
    /// Our server with so many shards and nothing to do.
    Idle(u32),
    /// Ping-pong with raw epoll.
    EpollEcho(ServerWait, ClientWait),
    /// A stream into busy-polling raw epoll.
    EpollSink,
    /// Chunks of 256 messages through an `rtrb` ring, from core to core.
    RtrbChunks,
    /// Ping-pong over two `rtrb` rings, from core to core.
    RtrbPingPong,
    /// Redis under its own benchmark.
    Redis(RedisRun),
    /// A peer with acknowledgements, under our load: put, take and acknowledgement.
    Peer(PeerRun),
}

impl Subject {
    /// Measures it once.
    ///
    /// # Errors
    /// When something is not installed or did not work, in a sentence.
    pub fn measure(&self, bench: &Bench) -> Result<Figures, Failure> {
        let (program, cpus) = (&bench.program, (bench.cpus.server, bench.cpus.client));
        let load = |run: &LoadRun| run.measure(program, cpus, bench.duration, None);
        match self {
            Self::Queue { batch, work } => in_process::queue(bench, *batch, *work),
            Self::QueuePut => in_process::queue_put(bench),
            Self::Delayed => delayed::measure(bench),
            Self::SelfDriven(shards) => in_process::self_driven(bench, *shards),
            Self::LanePipelined => in_process::lane_pipelined(bench),
            Self::LaneRoundTrip => in_process::lane_round_trip(bench).map(of_latency),
            Self::Load(run) => load(run),
            Self::OpenLoop { run, share } => {
                let highest = figure(&load(run)?, Figure::MessagesPerSecond)?;
                run.measure(program, cpus, bench.open_loop, Some(highest * share))
            }
            Self::Extra(run, base) => {
                let cost = |run| figure(&load(run)?, Figure::ServerCpuNsPerMessage);
                let extra = cost(run)? - cost(base)?;
                Ok(Figures::from([(Figure::ServerCpuNsPerMessage, extra)]))
            }
            Self::Crowd => crowd::measure(bench),
            Self::Idle(shards) => idle::measure(program, *shards, cpus, bench.idle),
            Self::EpollEcho(server, client) => {
                let bytes = LoadRun::MESSAGE_BYTES as usize;
                let floor = epoll::echo(bench.cpus, *server, *client, bytes, bench.duration)?;
                Ok(of_latency(floor.latency_ns))
            }
            Self::EpollSink => {
                let floor = epoll::sink(bench.cpus, ServerWait::Busy, bench.duration)?;
                Ok(of_stream(&floor))
            }
            Self::RtrbChunks => {
                const BYTES: usize = LoadRun::MESSAGE_BYTES as usize;
                let cost = spsc::chunked::<BYTES>(bench.cpus, bench.duration)?;
                Ok(Figures::from([(Figure::MessagesPerSecond, cost.items_per_second())]))
            }
            Self::RtrbPingPong => Ok(of_latency(spsc::ping_pong(bench.cpus, bench.duration)?)),
            Self::Redis(run) => run.measure(cpus, bench.duration, LoadRun::MESSAGE_BYTES),
            Self::Peer(run) => run.measure(cpus, bench.duration, LoadRun::MESSAGE_BYTES),
        }
    }
}

/// How a person calls it.
impl fmt::Display for Subject {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Queue { batch, work: Work::Plain } => {
                write!(out, "queue alone, batches of {batch}")
            }
            Self::Queue { batch, work } => {
                write!(out, "queue alone, batches of {batch}, {}", work.as_str())
            }
            Self::QueuePut => write!(out, "queue alone, puts"),
            Self::Delayed => write!(out, "queue alone, delayed messages"),
            Self::SelfDriven(1) => write!(out, "one self-driven shard"),
            Self::SelfDriven(shards) => write!(out, "{shards} self-driven shards"),
            Self::LanePipelined => write!(out, "lane, batches of 256"),
            Self::LaneRoundTrip => write!(out, "lane round trip"),
            Self::Load(run) | Self::OpenLoop { run, .. } | Self::Extra(run, _) => {
                write!(out, "ringway {}", run.op)?;
                run.load_flags.iter().try_for_each(|flag| write!(out, " {flag}"))
            }
            Self::Crowd => write!(out, "ringway with a crowd"),
            Self::Idle(shards) => write!(out, "ringway idle, {shards} shards"),
            Self::EpollEcho(server, client) => {
                write!(out, "{server:?} epoll echo, {client:?} client")
            }
            Self::EpollSink => write!(out, "raw sink"),
            Self::RtrbChunks => write!(out, "rtrb, chunks of 256"),
            Self::RtrbPingPong => write!(out, "rtrb ping-pong"),
            Self::Redis(run) => {
                write!(out, "Redis {}, -c {} -P {}", run.command, run.connections, run.pipeline)
            }
            Self::Peer(run) => run.fmt(out),
        }
    }
}

fn figure(figures: &Figures, wanted: Figure) -> Result<f64, Failure> {
    let missing = || Failure::Failed(format!("ringway load told no {wanted:?}"));
    figures.get(wanted).ok_or_else(missing)
}

fn of_latency(latency: Latency) -> Figures {
    Figures::from([
        (Figure::P50Ns, latency.p50 as f64),
        (Figure::P99Ns, latency.p99 as f64),
        (Figure::P999Ns, latency.p999 as f64),
        (Figure::MaxNs, latency.max as f64),
    ])
}

fn of_stream(stream: &Stream) -> Figures {
    let messages_per_second = stream.bytes_per_second / f64::from(LoadRun::MESSAGE_BYTES);
    Figures::from([
        (Figure::BytesPerSecond, stream.bytes_per_second),
        (Figure::MessagesPerSecond, messages_per_second),
    ])
}

#[cfg(test)]
mod tests {
    use super::super::server::tests::Script;
    use super::*;

    /// As the suite's binary does it.
    fn counted(run: &mut dyn FnMut()) -> Allocated {
        let counted = allocation_counter::measure(run);
        Allocated {
            allocations: counted.count_total,
            bytes: counted.bytes_total,
            held_bytes: counted.bytes_current.max(0) as u64,
        }
    }

    #[test]
    fn what_runs_in_process_gives_the_figures_that_rows_ask_for() {
        let bench = bench(&Script::new("in-process", "exit 1"));
        for (subject, wanted) in [
            (Subject::Queue { batch: 1, work: Work::Plain }, Figure::P99Ns),
            (Subject::Queue { batch: 256, work: Work::Plain }, Figure::NsPerMessage),
            (Subject::Queue { batch: 256, work: Work::Keys }, Figure::NsPerMessage),
            (Subject::Queue { batch: 256, work: Work::Producer }, Figure::NsPerMessage),
            (Subject::QueuePut, Figure::NsPerMessage),
            (Subject::Delayed, Figure::BytesBeyondPayload),
            (Subject::SelfDriven(2), Figure::MessagesPerSecond),
            (Subject::LanePipelined, Figure::MessagesPerSecond),
            (Subject::LaneRoundTrip, Figure::P50Ns),
        ] {
            let figures = subject.measure(&bench).expect("it runs");
            assert!(figures.get(wanted) > Some(1.0), "{subject}: {figures:?}");
            if matches!(subject, Subject::Queue { .. }) {
                let allocations = figures.get(Figure::AllocationsPerOperation);
                assert_eq!(allocations, Some(0.0), "{subject} allocates");
            }
        }
        let one = counted(&mut || drop(std::hint::black_box(Box::new([1_u8; 7]))));
        assert_eq!(
            one,
            Allocated { allocations: 1, bytes: 7, held_bytes: 0 },
            "the counter counts"
        );
    }

    fn bench(program: &Script) -> Bench {
        let short = Duration::from_millis(10);
        Bench {
            program: program.path.clone(),
            cpus: CpuPair::choose(None, None).expect("this host tells its CPUs"),
            duration: short,
            open_loop: short,
            idle: short,
            size: Size::QUICK,
            count_allocations: counted,
        }
    }

    #[test]
    fn floors_give_the_figures_that_rows_ask_for() {
        let bench = bench(&Script::new("floors", "exit 1"));
        for (subject, wanted) in [
            (Subject::EpollEcho(ServerWait::Busy, ClientWait::Polling), Figure::P50Ns),
            (Subject::EpollSink, Figure::BytesPerSecond),
            (Subject::RtrbChunks, Figure::MessagesPerSecond),
            (Subject::RtrbPingPong, Figure::P50Ns),
        ] {
            let figures = subject.measure(&bench).expect("the floor runs");
            assert!(figures.get(wanted) > Some(1.0), "{subject}: {figures:?}");
        }
    }

    /// A program whose load repeats its `--rate` as its rate, or 1000, and costs 30 ns a message,
    /// 50 when routed to the other shard.
    const ECHOES_ITS_RATE: &str = r#"
        [ $1 = serve ] && { for last; do :; done; echo 127.0.0.1:4711 > $last; exec sleep 60; }
        rate=1000 cost=30
        while [ $# -gt 0 ]; do
            [ $1 = --rate ] && rate=$2
            [ $1 = --route ] && cost=50
            shift
        done
        echo "{\"messages_per_second\":$rate,\"bytes_per_second\":1,\"refused\":0,\"failed\":0,
            \"latency_ns\":{\"p50\":10,\"p99\":20,\"p999\":40,\"max\":90},
            \"server_cpu_ns_per_message\":$cost}""#;

    #[test]
    fn an_open_loop_runs_at_a_share_of_the_highest_rate() {
        let script = Script::new("open", ECHOES_ITS_RATE);
        let bench = bench(&script);
        let subject = Subject::OpenLoop { run: LoadRun::ROUND_TRIP, share: 0.7 };
        let figures = subject.measure(&bench).expect("both loads run");
        assert_eq!(figures.get(Figure::MessagesPerSecond), Some(700.0));
        assert_eq!(figures.get(Figure::TailOverMedian), Some(4.0));
    }

    #[test]
    fn a_load_is_named_with_what_is_special_about_it() {
        let at_once = LoadRun { load_flags: &["--acknowledge", "at-once"], ..LoadRun::ROUND_TRIP };
        assert_eq!(Subject::Load(at_once).to_string(), "ringway put --acknowledge at-once");
        assert_eq!(Subject::Load(LoadRun::ROUND_TRIP).to_string(), "ringway put");
    }

    #[test]
    fn an_extra_cost_is_a_difference() {
        let script = Script::new("extra", ECHOES_ITS_RATE);
        let bench = bench(&script);
        let other = LoadRun { load_flags: &["--route", "other"], ..LoadRun::ROUND_TRIP };
        let figures = Subject::Extra(other, LoadRun::ROUND_TRIP).measure(&bench);
        let figures = figures.expect("both loads run");
        assert_eq!(figures.get(Figure::ServerCpuNsPerMessage), Some(20.0));
    }
}
