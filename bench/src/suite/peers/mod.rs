//! The peers that have an acknowledgement for each message, under a load of our own.
//!
//! ```text
//! one window of a connection, in one write:
//!   acknowledge what the last window took | put `pipeline` messages | take as many, in batches
//! ```
//! A connection takes only as many messages as it has put before, in the order of one connection:
//! there is always enough for every take. One thread serves the connections in turn; while it reads
//! the replies of one, the others' windows keep the server busy. Every reply is read and compared
//! with what it has to be, every message has to come once ([`once::Once`]), and at the end the
//! server's own counts have to agree.

mod beanstalk;
pub(super) mod host;
mod once;
mod streams;
mod wire;

use std::fmt;
use std::time::{Duration, Instant};

use super::figure::{Failure, Figure, Figures};
use super::in_process::on_cpu;
use super::process::cpu_ns;
use beanstalk::Beanstalk;
use host::{HostServer, Program};
use once::Once;
use streams::Streams;
use wire::{Answers, Wire};

/// How a peer names a message.
type Id = (u64, u64);

/// A peer's language, one value a request and a reply.
trait Peer {
    /// The server.
    const SERVER: Program;

    /// What has to be there before the first put.
    fn prepare(wire: &mut Wire) -> Result<(), Failure>;

    fn put(out: &mut Vec<u8>, payload: &[u8]);
    fn put_reply(answers: &mut Answers) -> Result<(), Failure>;

    /// Takes `count` messages under a lease.
    fn take(out: &mut Vec<u8>, count: u32);
    /// Reads exactly `count` messages; fewer are a failure.
    fn take_reply(
        answers: &mut Answers,
        count: u32,
        on_message: impl FnMut(Id, &[u8]) -> Result<(), Failure>,
    ) -> Result<(), Failure>;

    fn settle(out: &mut Vec<u8>, ids: &[Id]);
    /// Reads that all `count` messages were acknowledged.
    fn settle_reply(answers: &mut Answers, count: u32) -> Result<(), Failure>;

    /// Whether the server too says that `put` messages came and none is left.
    fn check_end(wire: &mut Wire, put: u64) -> Result<(), Failure>;
}

/// Which peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerName {
    /// Redis streams with a consumer group.
    RedisStreams,
    /// beanstalkd.
    Beanstalkd,
}

/// One load of a peer.
#[derive(Clone, Copy, Debug)]
pub struct PeerRun {
    /// Which one.
    pub peer: PeerName,
    /// Connections.
    pub connections: u32,
    /// Messages of a connection's window, a multiple of the batch.
    pub pipeline: u32,
    /// Messages that one command takes and one acknowledges, where the peer can do that.
    pub batch: u32,
}

impl PeerRun {
    /// Starts the peer on `server_cpu`, loads it from `load_cpu`, and stops it.
    pub(super) fn measure(
        &self,
        cpus: (usize, usize),
        duration: Duration,
        payload_bytes: u32,
    ) -> Result<Figures, Failure> {
        match self.peer {
            PeerName::RedisStreams => self.measure_as::<Streams>(cpus, duration, payload_bytes),
            PeerName::Beanstalkd => self.measure_as::<Beanstalk>(cpus, duration, payload_bytes),
        }
    }

    fn measure_as<P: Peer>(
        &self,
        (server_cpu, load_cpu): (usize, usize),
        duration: Duration,
        payload_bytes: u32,
    ) -> Result<Figures, Failure> {
        let server = HostServer::start(&P::SERVER, server_cpu)?;
        on_cpu(load_cpu, || {
            let mut load = Load::<P>::connect(*self, server.port, payload_bytes as usize)?;
            load.run_for(duration / 4)?;
            let before = Mark::now(&server, &load.once)?;
            load.run_for(duration)?;
            let after = Mark::now(&server, &load.once)?;
            load.finish()?;
            Ok(before.figures_to(&after))
        })
    }
}

impl fmt::Display for PeerRun {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { connections, pipeline, batch, .. } = self;
        match self.peer {
            PeerName::RedisStreams => write!(out, "Redis streams, batches of {batch}, ")?,
            PeerName::Beanstalkd => write!(out, "beanstalkd, ")?,
        }
        write!(out, "{connections} connections x {pipeline}")
    }
}

/// What was done and used at one moment.
struct Mark {
    at: Instant,
    cpu_ns: u64,
    settled: u64,
}

impl Mark {
    fn now(server: &HostServer, once: &Once) -> Result<Self, Failure> {
        let settled = once.settled_count();
        Ok(Self { at: Instant::now(), cpu_ns: cpu_ns(server.id())?, settled })
    }

    fn figures_to(&self, after: &Self) -> Figures {
        let wall_ns = (after.at - self.at).as_nanos() as f64;
        let cpu_ns = after.cpu_ns.saturating_sub(self.cpu_ns) as f64;
        let messages = (after.settled - self.settled) as f64;
        Figures::from([
            (Figure::MessagesPerSecond, messages * 1e9 / wall_ns),
            (Figure::CpuPercent, 100.0 * cpu_ns / wall_ns),
        ])
        .with_server_cpu((messages > 0.0).then(|| cpu_ns / messages))
    }
}

/// One connection with its window.
struct Lane {
    wire: Wire,
    /// Messages that the window on the way puts and takes.
    under_way: u32,
    /// Messages that the last window took, acknowledged by the one on the way.
    settling: Vec<Id>,
    /// Messages that came and will be acknowledged by the next window.
    taken: Vec<Id>,
}

/// All connections and the books.
struct Load<P> {
    run: PeerRun,
    lanes: Vec<Lane>,
    once: Once,
    peer: std::marker::PhantomData<P>,
}

impl<P: Peer> Load<P> {
    fn connect(run: PeerRun, port: u16, payload_bytes: usize) -> Result<Self, Failure> {
        assert!(
            run.batch > 0 && run.pipeline.is_multiple_of(run.batch),
            "a window is whole batches"
        );
        P::prepare(&mut Wire::connect(port)?)?;
        let lane = |_| {
            let wire = Wire::connect(port)?;
            Ok(Lane { wire, under_way: 0, settling: Vec::new(), taken: Vec::new() })
        };
        let lanes = (0..run.connections).map(lane).collect::<Result<_, Failure>>()?;
        let once = Once::new(payload_bytes);
        Ok(Self { run, lanes, once, peer: std::marker::PhantomData })
    }

    /// Keeps a window of every connection on its way.
    fn run_for(&mut self, duration: Duration) -> Result<(), Failure> {
        let began = Instant::now();
        let mut is_first = true;
        while is_first || began.elapsed() < duration {
            for index in 0..self.lanes.len() {
                self.read_window(index)?;
                self.write_window(index, self.run.pipeline)?;
            }
            is_first = false;
        }
        Ok(())
    }

    /// Reads and acknowledges what is on its way, and compares all counts.
    fn finish(&mut self) -> Result<(), Failure> {
        for index in 0..self.lanes.len() {
            self.read_window(index)?;
            self.write_window(index, 0)?;
            self.read_window(index)?;
        }
        self.once.balance()?;
        let put = self.once.put_count();
        match self.lanes.first_mut() {
            Some(lane) => P::check_end(&mut lane.wire, put),
            None => Ok(()),
        }
    }

    fn write_window(&mut self, index: usize, messages: u32) -> Result<(), Failure> {
        let Self { run, lanes, once, .. } = self;
        let Lane { wire, under_way, settling, taken } = &mut lanes[index];
        std::mem::swap(settling, taken);
        settling.chunks(run.batch as usize).for_each(|ids| P::settle(&mut wire.outgoing, ids));
        (0..messages).for_each(|_| P::put(&mut wire.outgoing, once.next()));
        (0..messages / run.batch).for_each(|_| P::take(&mut wire.outgoing, run.batch));
        *under_way = messages;
        Ok(wire.send()?)
    }

    fn read_window(&mut self, index: usize) -> Result<(), Failure> {
        let Self { run, lanes, once, .. } = self;
        let Lane { wire, under_way, settling, taken } = &mut lanes[index];
        let answers = &mut wire.answers;
        for ids in settling.chunks(run.batch as usize) {
            P::settle_reply(answers, ids.len() as u32)?;
            once.settled(ids.len() as u64);
        }
        settling.clear();
        (0..*under_way).try_for_each(|_| P::put_reply(answers))?;
        for _ in 0..*under_way / run.batch {
            P::take_reply(answers, run.batch, |id, payload| {
                taken.push(id);
                once.took(payload)
            })?;
        }
        *under_way = 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
