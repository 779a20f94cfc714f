//! A server with a hundred thousand queues, ten thousand connections and ten million delayed
//! messages: how long its turns are.
//!
//! ```text
//! declare the queues, put the messages | wait until they begin to be due | load | stat
//! ```
//! The delayed messages lie in all queues alike and become due at random within a minute, which
//! begins with the load. The load is an open loop over all connections, so that a turn carries
//! what came during the one before, and not every connection's request at once.

use std::path::Path;
use std::time::{Duration, Instant};

use ringway_client::{Client, Options, Outbox, Pipeline};
use ringway_protocol::{
    Attribute, Code, Frame, QueueId, Records, Reply, Request, record, request::Put,
};

use super::figure::{Failure, Figure, Figures};
use super::load_run::LoadRun;
use super::process::{descriptors_max, resident_bytes};
use super::server::Server;
use super::subject::{Bench, Size};
use crate::delayed_figures::Chance;

/// Within which the delayed messages become due.
const DUE_WITHIN_MS: u64 = 60_000;
/// Requests of the preparation that are under way at once.
const WINDOW: u32 = 64;
/// How long the preparation may need for one delayed message before that is due; a small run has
/// at least [`PREPARATION_MIN`].
const PREPARATION_OF_ONE: Duration = Duration::from_micros(3);
const PREPARATION_MIN: Duration = Duration::from_millis(500);
/// Operations a second of each connection, on average.
const OPERATIONS_A_SECOND: f64 = 2.0;
/// Queues of the load, of all: as its flag below says.
const QUEUES_OF_LOAD: u32 = 100;
/// Descriptors that a process needs beside its connections.
const OTHER_DESCRIPTORS: u64 = 64;
/// How often the connections are counted while the load runs.
const LOOK: Duration = Duration::from_millis(100);

/// One message a request, one request at a time on each connection; the thread sleeps.
const LOAD: LoadRun = LoadRun {
    op: "put-take",
    wait: "block",
    load_flags: &["--queues", "100"],
    ..LoadRun::ROUND_TRIP
};

/// About how long the measurement takes.
pub(super) fn time_needed(bench: &Bench) -> Duration {
    preparation(bench.size) + 2 * bench.open_loop
}

fn preparation(size: Size) -> Duration {
    let messages = u32::try_from(size.delayed_messages).unwrap_or(u32::MAX);
    (PREPARATION_OF_ONE * messages).max(PREPARATION_MIN)
}

/// Fills a server, loads it over all connections, and reads what it says of its turns.
pub(super) fn measure(bench: &Bench) -> Result<Figures, Failure> {
    let (size, cpus) = (bench.size, bench.cpus);
    let flags = ["--shards".to_owned(), "1".into(), "--cpus".into(), cpus.server.to_string()];
    let server = Server::start(&bench.program, &flags)?;
    let due_from = Instant::now() + preparation(size);
    let mut door = Client::connect(server.address(), &Options::default()).map_err(failed)?;
    let mut pipeline = Pipeline::connect(server.address(), &Options::default()).map_err(failed)?;
    let empty = resident_bytes(server.id())?;
    let queues = declare(&mut pipeline, size.queues.saturating_sub(QUEUES_OF_LOAD).max(1))?;
    let (declared, idle) = (queues.len() as f64, resident_bytes(server.id())?);
    fill(&mut pipeline, queues, size.delayed_messages, due_from)?;
    drop(pipeline);
    std::thread::sleep(due_from.saturating_duration_since(Instant::now()));
    // The door and the load's own door are connections too.
    let allowed = descriptors_max()?.saturating_sub(OTHER_DESCRIPTORS);
    let connections = (u64::from(size.connections) - 2).min(allowed) as u32;
    let load = LoadRun { connections, ..LOAD };
    let rate = f64::from(connections) * OPERATIONS_A_SECOND;
    let (figures, counted) = std::thread::scope(|scope| {
        let (program, address): (&Path, _) = (&bench.program, server.address());
        let run = || load.drive(program, address, cpus.client, bench.open_loop, Some(rate));
        let running = scope.spawn(run);
        let mut counted = 0;
        while !running.is_finished() {
            std::thread::sleep(LOOK);
            counted = counted.max(door.stat_plane().map_err(failed)?.sum("connections"));
        }
        match running.join() {
            Ok(figures) => Ok::<_, Failure>((figures?, counted)),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })?;
    let plane = door.stat_plane().map_err(failed)?;
    let of_plane = |column| Some(plane.sum(column) as f64);
    Ok(figures
        .with(Figure::P9999Ns, of_plane("turn_own_p9999_ns"))
        .with(Figure::WallP9999Ns, of_plane("turn_p9999_ns"))
        .with(Figure::KeptOffNs, of_plane("kept_off_ns"))
        .with(Figure::MaxNs, of_plane("longest_turn_ns"))
        .with(Figure::BytesPerQueue, Some(idle.saturating_sub(empty) as f64 / declared))
        .with(Figure::Connections, Some(counted as f64))
        .with(Figure::ResidentBytes, Some(resident_bytes(server.id())? as f64)))
}

/// Declares the queues that the delayed messages lie in.
fn declare(pipeline: &mut Pipeline, count: u32) -> Result<Vec<QueueId>, Failure> {
    let mut queues = Vec::new();
    let declare = |outbox: &mut Outbox, number| {
        let name = format!("crowd/{number}");
        outbox.request(&Request::Declare { name: &name, options: None }, number);
    };
    pump(pipeline, count, declare, |reply| match reply {
        Reply::Declared { queue, .. } => {
            queues.push(*queue);
            true
        }
        _ => false,
    })?;
    Ok(queues)
}

/// Puts so many delayed messages into the queues.
fn fill(
    pipeline: &mut Pipeline,
    queues: Vec<QueueId>,
    messages: u64,
    due_from: Instant,
) -> Result<(), Failure> {
    let count = queues.len() as u32;
    let each = messages.div_ceil(count.into()) as u32;
    let mut delayed =
        DelayedPuts { queues, each, due_from, chance: Chance(1), records: Vec::new() };
    let put = |outbox: &mut Outbox, number| delayed.put(outbox, number);
    pump(pipeline, count, put, |reply| matches!(reply, Reply::Put(_)))
}

/// A batch of delayed messages for each queue.
struct DelayedPuts {
    queues: Vec<QueueId>,
    each: u32,
    due_from: Instant,
    chance: Chance,
    records: Vec<u8>,
}

impl DelayedPuts {
    fn put(&mut self, outbox: &mut Outbox, number: u32) {
        let first_ms = self.due_from.saturating_duration_since(Instant::now()).as_millis() as u64;
        self.records.clear();
        for _ in 0..self.each {
            let delay = Attribute::DelayMs(first_ms + self.chance.below(DUE_WITHIN_MS));
            let payload = [0x5a; LoadRun::MESSAGE_BYTES as usize];
            record::write(&mut self.records, &[delay], &payload);
        }
        let records = Records::parse(&self.records, self.each).expect("valid records");
        let put = Put::new(self.queues[number as usize], records);
        outbox.request(&Request::Put(put), number);
    }
}

/// Sends `count` requests, a bounded number at a time, and reads that each is answered as wanted.
fn pump(
    pipeline: &mut Pipeline,
    count: u32,
    mut send: impl FnMut(&mut Outbox, u32),
    mut is_wanted: impl FnMut(&Reply<'_>) -> bool,
) -> Result<(), Failure> {
    let (mut sent, mut answered, mut refused) = (0, 0, None);
    while answered < count {
        while sent < count && sent - answered < WINDOW {
            send(pipeline.outbox(), sent);
            sent += 1;
        }
        // What does not fit the socket goes as soon as the server has read on.
        if pipeline.flush().map_err(failed)? {
            pipeline.receive_blocking().map_err(failed)?;
        } else {
            pipeline.receive().map_err(failed)?;
        }
        let read = pipeline.replies(|frame: Frame<'_>, _| match Reply::decode(frame) {
            Ok(Reply::Refused { code, sentence }) => refused = Some((code, sentence.to_owned())),
            Ok(reply) if is_wanted(&reply) => {}
            _ => refused = Some((Code::Malformed, "a reply did not fit its request".to_owned())),
        });
        answered += read.map_err(failed)? as u32;
        if let Some((code, sentence)) = refused {
            return Err(Failure::Failed(format!("preparing a crowd: {sentence} ({code:?})")));
        }
    }
    Ok(())
}

fn failed(error: ringway_client::Error) -> Failure {
    Failure::Failed(error.to_string())
}
