//! All shards of a process: started, connected, drained, joined.

mod config;
mod drive;

pub use config::PlaneConfig;

use crate::lane::{Command, Lane, LaneError};
use crate::machine::affinity::{self, Placement};
use crate::machine::doorbell::Doorbell;
use crate::machine::executor::{self, ExecutorError, ExecutorHandle};
use crate::machine::linux::{self, LinuxSocket};
use crate::machine::listeners::{Listener, ListenerOptions};
use crate::path::dispatch::Reception;
use crate::path::handoff::Handoffs;
use crate::path::queue::Quotas;
use crate::stats::ShardStats;
use ringway_protocol::limits::SHARDS_MAX;
use ringway_protocol::name::shard_of;
use ringway_protocol::{QueueName, QueueOptions};
use rtrb::{Producer, RingBuffer};
use std::io;
use std::net::SocketAddr;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Why a plane did not start. Nothing is left running or bound then.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A number is out of its range.
    #[error("{0}")]
    Config(&'static str),
    /// An address cannot be listened on.
    #[error(
        "cannot listen on {address}: {source}; is another server using it? try another --listen"
    )]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// The process cannot have another descriptor, or may not ask for its CPUs.
    #[error("cannot set up the shards: {0}; check the limit on open files (ulimit -n)")]
    Resources(#[from] io::Error),
    /// A shard's thread did not start.
    #[error(transparent)]
    Executor(#[from] ExecutorError),
    /// A shard's ring could not be made.
    #[error("shard {shard} cannot start: {source}; `ringway doctor` says more")]
    World {
        /// The shard.
        shard: usize,
        /// What was refused.
        source: linux::StartError,
    },
}

/// What a drain left behind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DrainReport {
    /// Messages that were still held, by queue; they are lost, since they were only in memory.
    pub left_over: Vec<(String, u64)>,
}

impl DrainReport {
    /// Whether every message was taken and settled.
    pub fn is_clean(&self) -> bool {
        self.left_over.is_empty()
    }
}

/// Running shards. Dropping it stops them.
#[derive(Debug)]
pub struct Plane {
    shards: Vec<ShardHandle>,
    stats: Arc<[ShardStats]>,
    address: SocketAddr,
    shard_addresses: Vec<SocketAddr>,
    placement: Placement,
}

#[derive(Debug)]
struct ShardHandle {
    /// Only threads of the program meet at this lock; the shard has the ring's other end to itself.
    commands: Mutex<Producer<Command>>,
    doorbell: Arc<Doorbell>,
    thread: Option<ExecutorHandle<Vec<(String, u64)>>>,
}

/// Commands under way to a shard: more than the lanes that a program opens at once.
const COMMAND_SLOTS: usize = 64;
/// How often a drain looks whether the queues are empty.
const DRAIN_LOOK: Duration = Duration::from_millis(5);

impl Plane {
    /// Binds, starts a pinned shard after another, and returns when all of them serve.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn start(config: PlaneConfig) -> Result<Self, StartError> {
        if config.shards == 0 || config.shards > SHARDS_MAX {
            return Err(StartError::Config("the number of shards must be 1 to 256"));
        }
        config.defaults.check().map_err(|why| StartError::Config(why.sentence))?;
        let cpus = match &config.cpus[..] {
            [] => affinity::order_for_shards(&affinity::allowed_cpus()?),
            cpus => cpus.to_vec(),
        };
        let placement = affinity::plan(config.shards, &cpus);
        let (shared, own) = bind(&config)?;
        let address = shared.address();
        let shard_addresses: Vec<_> = own.iter().map(Listener::address).collect();
        let reception = Reception {
            token: config.token.clone(),
            addresses: config::advertised(&config, &shard_addresses),
            heartbeat_ms: config.heartbeat_ms as u32,
            connection_puts_max: config.connection_puts_max,
        };
        let quotas = Quotas::new(&config.quotas, config.shards)
            .map_err(|why| StartError::Config(why.sentence))?;
        let stats: Arc<[ShardStats]> = (0..config.shards).map(|_| ShardStats::default()).collect();
        let doorbells: Vec<_> =
            (0..config.shards).map(|_| Doorbell::new().map(Arc::new)).collect::<Result<_, _>>()?;
        let mut plane = Self { shards: Vec::new(), stats, address, shard_addresses, placement };
        let mut listeners: Vec<Vec<Listener>> = (0..config.shards).map(|_| Vec::new()).collect();
        own.into_iter().zip(&mut listeners).for_each(|(own, listeners)| listeners.push(own));
        listeners[0].push(shared);
        let spin_ns = if plane.shares_cpus() { 0 } else { config.spin_ns };
        for (shard, (handoffs, listeners)) in
            Handoffs::connect(config.shards).into_iter().zip(listeners).enumerate()
        {
            let start = drive::ShardStart {
                config: config::shard_config(
                    &config,
                    shard,
                    listeners.len(),
                    (reception.clone(), quotas.clone()),
                ),
                linux: config.linux.clone(),
                handoffs,
                listeners,
                doorbells: doorbells.clone(),
                stats: plane.stats.clone(),
                spin_ns,
            };
            plane.start_shard(shard, start)?;
        }
        Ok(plane)
    }

    fn start_shard(
        &mut self,
        shard: usize,
        start: drive::ShardStart<LinuxSocket>,
    ) -> Result<(), StartError> {
        let cpu = self.placement.cpus[shard];
        self.stats[shard].cpu.set(cpu.map_or(0, |cpu| cpu as u64 + 1));
        let (commands, from_process) = RingBuffer::new(COMMAND_SLOTS);
        let doorbell = start.doorbells[shard].clone();
        let (ready, outcome) = sync_channel(1);
        let name = format!("shard-{shard}");
        let thread = executor::spawn(&name, cpu, move || drive::drive(start, from_process, ready))?;
        match outcome.recv() {
            Ok(Ok(())) => {}
            Ok(Err(source)) => return Err(StartError::World { shard, source }),
            Err(_) => return Err(ExecutorError::Lost { name }.into()),
        }
        let commands = Mutex::new(commands);
        self.shards.push(ShardHandle { commands, doorbell, thread: Some(thread) });
        Ok(())
    }

    /// The plane's one address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The addresses of the shards' own ports, by shard; empty if they have none.
    pub fn shard_addresses(&self) -> &[SocketAddr] {
        &self.shard_addresses
    }

    /// Where the shards are pinned.
    pub fn placement(&self) -> &Placement {
        &self.placement
    }

    /// Whether shards have to share CPUs, so that none of them spins.
    pub fn shares_cpus(&self) -> bool {
        let quota = crate::machine::cgroup::cpu_quota();
        let shards = self.placement.cpus.len();
        self.placement.oversubscribed || quota.is_some_and(|cpus| cpus < shards as f64)
    }

    /// The figures of each shard.
    pub fn stats(&self) -> &[ShardStats] {
        &self.stats
    }

    /// A lane to a queue, which is declared if it is not there. It belongs to the calling thread.
    ///
    /// # Errors
    /// The refusal of the declaration, or [`LaneError::Stopped`].
    pub fn lane(&self, name: &str, options: Option<QueueOptions>) -> Result<Lane, LaneError> {
        QueueName::new(name).map_err(LaneError::Refused)?;
        let shard = &self.shards[shard_of(name, self.shards.len())];
        let (mut lane, end) =
            Lane::new(shard.doorbell.clone()).map_err(|_| LaneError::Descriptors)?;
        if !shard.command(Command::Lane(end)) {
            return Err(LaneError::Stopped);
        }
        lane.declare(name, options)?;
        Ok(lane)
    }

    /// Takes no new connections or puts, serves takes and acknowledgements until the queues are
    /// empty or the time is over, then stops. `stop_early` is asked now and then whether to wait no
    /// longer.
    ///
    /// # Errors
    /// When a shard's thread was lost.
    pub fn drain(
        mut self,
        time: Duration,
        stop_early: impl Fn() -> bool,
    ) -> Result<DrainReport, ExecutorError> {
        let deadline = Instant::now() + time;
        self.shards.iter().for_each(|shard| {
            shard.command(Command::Drain);
        });
        // Only a shard that refuses puts stays empty.
        let empty = |stats: &ShardStats| stats.draining.get() > 0 && stats.messages.get() == 0;
        let mut empty_looks = 0;
        while Instant::now() < deadline && !stop_early() && empty_looks < 2 {
            std::thread::sleep(DRAIN_LOOK);
            empty_looks = if self.stats.iter().all(empty) { empty_looks + 1 } else { 0 };
        }
        self.join()
    }

    /// Stops at once: connections are told and closed, what queues hold is lost.
    ///
    /// # Errors
    /// When a shard's thread was lost.
    pub fn stop(mut self) -> Result<DrainReport, ExecutorError> {
        self.join()
    }

    fn join(&mut self) -> Result<DrainReport, ExecutorError> {
        self.shards.iter().for_each(|shard| {
            shard.command(Command::Stop);
        });
        let mut report = DrainReport::default();
        for thread in self.shards.iter_mut().filter_map(|shard| shard.thread.take()) {
            report.left_over.extend(thread.join()?);
        }
        report.left_over.sort();
        Ok(report)
    }
}

impl Drop for Plane {
    fn drop(&mut self) {
        // A lost thread has ended the process before; there is nobody to tell.
        let _ = self.join();
    }
}

impl ShardHandle {
    /// Gives the shard a command, waiting for room; `false` if it has stopped.
    fn command(&self, mut command: Command) -> bool {
        let mut commands = self.commands.lock().unwrap_or_else(PoisonError::into_inner);
        while !commands.is_abandoned() {
            match commands.push(command) {
                Ok(()) => {
                    self.doorbell.ring_if_parked();
                    return true;
                }
                Err(rtrb::PushError::Full(refused)) => command = refused,
            }
            std::thread::yield_now();
        }
        false
    }
}

fn bind(config: &PlaneConfig) -> Result<(Listener, Vec<Listener>), StartError> {
    let options = ListenerOptions {
        heartbeat: Duration::from_millis(config.heartbeat_ms),
        ..ListenerOptions::default()
    };
    let bind = |address: SocketAddr| {
        Listener::bind(address, &options).map_err(|source| StartError::Bind { address, source })
    };
    let shared = bind(config.listen)?;
    let Some(first) = config.shard_listen else { return Ok((shared, Vec::new())) };
    let own = (0..config.shards).map(|shard| {
        let mut address = first;
        if first.port() != 0 {
            let port = usize::from(first.port()) + shard;
            let port = u16::try_from(port)
                .map_err(|_| StartError::Config("the shards' ports run past 65535"))?;
            address.set_port(port);
        }
        bind(address)
    });
    Ok((shared, own.collect::<Result<_, _>>()?))
}
