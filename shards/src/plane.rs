//! All shards of a process: started, connected, drained, joined.

mod drive;

use crate::lane::{Command, Lane, LaneError};
use crate::limits;
use crate::machine::affinity::{self, Placement};
use crate::machine::doorbell::Doorbell;
use crate::machine::executor::{self, ExecutorError, ExecutorHandle};
use crate::machine::linux::{self, LinuxConfig, LinuxSocket};
use crate::machine::listeners::{Listener, ListenerOptions};
use crate::path::dispatch::Reception;
use crate::path::handoff::Handoffs;
use crate::shard::ShardConfig;
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

/// How a plane is set up. [`Default`] is one shard for each allowed CPU on 127.0.0.1 and free
/// ports.
#[derive(Clone, Debug)]
pub struct PlaneConfig {
    /// The plane's one address; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where the shards' own ports start; port 0 takes free ones, `None` leaves them out.
    pub shard_listen: Option<SocketAddr>,
    /// The host that clients should use instead of the address listened on.
    pub advertise: Option<String>,
    /// How many shards; at least 1, at most 256.
    pub shards: usize,
    /// The CPUs to pin them to, in turn; empty for all allowed ones, one per physical core first.
    pub cpus: Vec<usize>,
    /// The token that clients must present; empty for none.
    pub token: Vec<u8>,
    /// Whether opening a queue that does not exist makes it.
    pub auto_declare: bool,
    /// What the hashes of deduplication ids depend on: random where strangers choose the ids.
    pub seed: u64,
    /// Options of queues that are declared without any.
    pub defaults: QueueOptions,
    /// Nanoseconds that an idle shard spins before it parks. Never spins when CPUs are shared.
    pub spin_ns: u64,
    /// Most connections of the plane.
    pub connections_max: usize,
    /// Milliseconds of silence after which a peer is probed; closed after twice as long.
    pub heartbeat_ms: u64,
    /// Milliseconds within which a greeting must arrive.
    pub greeting_ms: u64,
    /// Milliseconds within which a frame that was begun must end.
    pub frame_ms: u64,
    /// Sizes of rings and buffers, and how to receive.
    pub linux: LinuxConfig,
}

impl Default for PlaneConfig {
    fn default() -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        Self {
            listen: any,
            shard_listen: Some(any),
            advertise: None,
            shards: affinity::allowed_cpus().map_or(1, |cpus| cpus.len()),
            cpus: Vec::new(),
            token: Vec::new(),
            auto_declare: false,
            seed: 0,
            defaults: QueueOptions::default(),
            spin_ns: limits::SPIN_NS_DEFAULT,
            connections_max: limits::CONNECTIONS_MAX,
            heartbeat_ms: limits::HEARTBEAT_MS,
            greeting_ms: limits::GREETING_MS,
            frame_ms: limits::FRAME_MS,
            linux: LinuxConfig::default(),
        }
    }
}

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
            addresses: advertised(&config, &shard_addresses),
            heartbeat_ms: config.heartbeat_ms as u32,
        };
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
                config: shard_config(&config, shard, listeners.len(), reception.clone()),
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

/// The shards' addresses as clients should use them; empty texts where there are none.
fn advertised(config: &PlaneConfig, addresses: &[SocketAddr]) -> Vec<String> {
    let text = |address: &SocketAddr| match &config.advertise {
        Some(host) => format!("{host}:{}", address.port()),
        None => address.to_string(),
    };
    let mut texts: Vec<_> = addresses.iter().map(text).collect();
    texts.resize(config.shards, String::new());
    texts
}

fn shard_config(
    config: &PlaneConfig,
    shard: usize,
    listeners: usize,
    reception: Reception,
) -> ShardConfig {
    ShardConfig {
        shard,
        listeners: (0..listeners as u32).collect(),
        shared_listener: (shard == 0).then(|| listeners as u32 - 1),
        connections_max: config.connections_max.div_ceil(config.shards),
        reception,
        defaults: config.defaults,
        auto_declare: config.auto_declare,
        seed: config.seed,
        greeting_ms: config.greeting_ms,
        frame_ms: config.frame_ms,
    }
}
