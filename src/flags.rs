//! The flags of `ringway serve`, each with its variable of the environment.
//!
//! A flag that is not given stays `None`, so that the configuration file and then the default
//! decide: see [`crate::settings`]. The names follow one rule, which a test keeps: what is the flag
//! `--connections-max` is `RINGWAY_CONNECTIONS_MAX` in the environment and `connections_max` in the
//! file.

use std::path::PathBuf;

use clap::Args;
use clap::builder::BoolishValueParser;
use serde::Serialize;

use crate::units::{CpuList, QuotaList, ShardCount, ShardPorts, Size, Span};

/// A switch: bare it means true, and `--insecure=no` overrules the configuration file.
fn switch() -> BoolishValueParser {
    BoolishValueParser::new()
}

/// What was said on the command line or in the environment.
#[derive(Args, Serialize, Debug, Default)]
pub struct Flags {
    /// Read settings from this TOML file; flags and variables go before it
    #[arg(long, value_name = "FILE", env = "RINGWAY_CONFIG")]
    #[serde(skip)]
    pub config: Option<PathBuf>,

    /// Address to listen on [default: 127.0.0.1:7311]; port 0 takes any free one
    #[arg(long, value_name = "ADDR:PORT", env = "RINGWAY_LISTEN")]
    listen: Option<String>,

    /// Allow an address that is not loopback: there is no TLS in this version
    #[arg(long, env = "RINGWAY_INSECURE", value_name = "BOOL", value_parser = switch(),
        num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    insecure: Option<bool>,

    /// Number of shards, or auto for one on each allowed physical core [default: auto]
    #[arg(long, value_name = "N|auto", env = "RINGWAY_SHARDS")]
    shards: Option<ShardCount>,

    /// CPUs to pin the shards to, like 0-3,8 [default: every CPU that this process may use]
    #[arg(long, value_name = "LIST", env = "RINGWAY_CPUS")]
    cpus: Option<CpuList>,

    /// First of the shards' own ports: a port, 0 for any, next, or none [default: next]
    #[arg(long, value_name = "PORT", env = "RINGWAY_SHARD_PORTS")]
    shard_ports: Option<ShardPorts>,

    /// Host name or address that clients are told for the shards [default: the one they reached]
    #[arg(long, value_name = "HOST", env = "RINGWAY_ADVERTISE")]
    advertise: Option<String>,

    /// Token that clients must give; --token-file keeps it out of the process list
    #[arg(long, value_name = "TOKEN", env = "RINGWAY_TOKEN", hide_env_values = true)]
    token: Option<String>,

    /// File whose first line is the token
    #[arg(long, value_name = "FILE", env = "RINGWAY_TOKEN_FILE")]
    token_file: Option<PathBuf>,

    /// Declare a queue with the defaults when it is first named in an open
    #[arg(long, env = "RINGWAY_AUTO_DECLARE", value_name = "BOOL", value_parser = switch(),
        num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    auto_declare: Option<bool>,

    /// How long an idle shard spins before it parks; 0s parks at once [default: 50us]
    #[arg(long, value_name = "DURATION", env = "RINGWAY_SPIN")]
    spin: Option<Span>,

    /// How long a drain may take [default: 30s]
    #[arg(long, value_name = "DURATION", env = "RINGWAY_DRAIN")]
    drain: Option<Span>,

    /// Exit with 1 when a drain leaves messages behind
    #[arg(long, env = "RINGWAY_STRICT_DRAIN", value_name = "BOOL", value_parser = switch(),
        num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    strict_drain: Option<bool>,

    /// Most connections of the plane [default: 10000]
    #[arg(long, value_name = "N", env = "RINGWAY_CONNECTIONS_MAX")]
    connections_max: Option<u64>,

    /// Most messages that one connection puts a second; 0 for no limit [default: 0]
    #[arg(long, value_name = "N", env = "RINGWAY_CONNECTION_PUTS_MAX")]
    connection_puts_max: Option<u32>,

    /// What queues whose names start with PREFIX hold together at most, 0 for no limit; may repeat
    #[arg(long, value_name = "PREFIX=MESSAGES,BYTES", env = "RINGWAY_QUOTA")]
    #[serde(serialize_with = "QuotaList::join", skip_serializing_if = "Vec::is_empty")]
    quota: Vec<QuotaList>,

    /// Time within which a new connection must greet [default: 2s]
    #[arg(long, value_name = "DURATION", env = "RINGWAY_GREETING_TIMEOUT")]
    greeting_timeout: Option<Span>,

    /// Time within which a frame that was begun must end [default: 10s]
    #[arg(long, value_name = "DURATION", env = "RINGWAY_FRAME_TIMEOUT")]
    frame_timeout: Option<Span>,

    /// Silence after which a peer is probed; twice as long without an answer closes [default: 15s]
    #[arg(long, value_name = "DURATION", env = "RINGWAY_HEARTBEAT")]
    heartbeat: Option<Span>,

    /// Most messages of a queue declared without options [default: 10000000]
    #[arg(long, value_name = "N", env = "RINGWAY_QUEUE_MESSAGES_MAX")]
    queue_messages_max: Option<u64>,

    /// Most bytes of a queue declared without options [default: 1GiB]
    #[arg(long, value_name = "SIZE", env = "RINGWAY_QUEUE_BYTES_MAX")]
    queue_bytes_max: Option<Size>,

    /// Lease of a queue declared without options [default: 30s]
    #[arg(long, value_name = "DURATION", env = "RINGWAY_QUEUE_LEASE")]
    queue_lease: Option<Span>,

    /// Longest wait of a take from a queue declared without options [default: 1m]
    #[arg(long, value_name = "DURATION", env = "RINGWAY_QUEUE_WAIT_MAX")]
    queue_wait_max: Option<Span>,

    /// Deliveries before a message goes to the dead letters; 0 for no limit [default: 16]
    #[arg(long, value_name = "N", env = "RINGWAY_QUEUE_DELIVERIES_MAX")]
    queue_deliveries_max: Option<u32>,

    /// What a full queue declared without options does: reject, drop-oldest, hold [default: reject]
    #[arg(long, value_name = "POLICY", env = "RINGWAY_QUEUE_WHEN_FULL")]
    queue_when_full: Option<String>,

    /// Once serving, write the bound address as one line to this file; it goes when serving ends
    #[arg(long, value_name = "FILE", env = "RINGWAY_PORT_FILE")]
    port_file: Option<PathBuf>,

    /// Serve on a kernel that is too old, or known to hand one receive buffer to two sockets
    #[arg(long, env = "RINGWAY_ACCEPT_KNOWN_BAD_KERNEL", value_name = "BOOL",
        value_parser = switch(), num_args = 0..=1, require_equals = true,
        default_missing_value = "true")]
    accept_known_bad_kernel: Option<bool>,

    /// How to receive: auto, multishot, single-shot or readiness [default: auto]
    #[arg(long, value_name = "WAY", env = "RINGWAY_RECEIVE")]
    receive: Option<String>,

    /// Log lines on stderr from this level on: off, error, warn, info, debug, trace [default: warn]
    #[arg(long, value_name = "LEVEL", env = "RINGWAY_LOG")]
    log: Option<String>,
}
