//! How a plane is set up, and what each of its shards is told of that.

use crate::limits;
use crate::machine::affinity;
use crate::machine::linux::LinuxConfig;
use crate::path::dispatch::Reception;
use crate::path::queue::{Quota, Quotas};
use crate::shard::ShardConfig;
use ringway_protocol::QueueOptions;
use std::net::SocketAddr;

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
    /// Messages that one connection may put a second; 0 for any number. One batch may be of more:
    /// the next one waits for it.
    pub connection_puts_max: u32,
    /// What queues whose names start alike may hold together, on all shards; at most 32.
    pub quotas: Vec<Quota>,
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
            connection_puts_max: 0,
            quotas: Vec::new(),
            heartbeat_ms: limits::HEARTBEAT_MS,
            greeting_ms: limits::GREETING_MS,
            frame_ms: limits::FRAME_MS,
            linux: LinuxConfig::default(),
        }
    }
}

/// The shards' addresses as clients should use them; empty texts where there are none.
pub(super) fn advertised(config: &PlaneConfig, addresses: &[SocketAddr]) -> Vec<String> {
    let text = |address: &SocketAddr| match &config.advertise {
        Some(host) => format!("{host}:{}", address.port()),
        None => address.to_string(),
    };
    let mut texts: Vec<_> = addresses.iter().map(text).collect();
    texts.resize(config.shards, String::new());
    texts
}

pub(super) fn shard_config(
    config: &PlaneConfig,
    shard: usize,
    listeners: usize,
    (reception, quotas): (Reception, Quotas),
) -> ShardConfig {
    ShardConfig {
        shard,
        listeners: (0..listeners as u32).collect(),
        shared_listener: (shard == 0).then(|| listeners as u32 - 1),
        connections_max: config.connections_max.div_ceil(config.shards),
        reception,
        quotas: Some(quotas),
        defaults: config.defaults,
        auto_declare: config.auto_declare,
        seed: config.seed,
        greeting_ms: config.greeting_ms,
        frame_ms: config.frame_ms,
    }
}
