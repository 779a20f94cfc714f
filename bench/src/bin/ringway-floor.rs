//! `ringway-floor`: measures one floor of this host, or all of them, and prints it.

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use serde::Serialize;
use serde_json::{Value, json};

use ringway_bench::floors::epoll::{self, ServerWait};
use ringway_bench::floors::spsc::CHUNK_ITEMS;
use ringway_bench::floors::{ClientWait, CpuPair, raw_ring, spsc};

/// Measures what no server on this host beats; the figures go to stdout as JSON.
#[derive(Parser)]
#[command(name = "ringway-floor", version)]
struct Arguments {
    /// CPU of the server side [default: the first one allowed]
    #[arg(long, global = true, value_name = "CPU")]
    server_cpu: Option<usize>,
    /// CPU of the client side [default: another allowed one]
    #[arg(long, global = true, value_name = "CPU")]
    client_cpu: Option<usize>,
    /// Time each measurement takes
    #[arg(long, global = true, value_name = "TIME", default_value = "1s")]
    duration: humantime::Duration,
    #[command(subcommand)]
    floor: Floor,
}

#[derive(Subcommand)]
enum Floor {
    /// Ping-pong with an echo server on raw epoll
    EpollEcho {
        /// How the server waits
        #[arg(long, default_value = "busy")]
        server: ServerWait,
        #[command(flatten)]
        ping: Ping,
    },
    /// A stream of 64 KiB writes into a server on raw epoll
    EpollSink {
        /// How the server waits
        #[arg(long, default_value = "busy")]
        server: ServerWait,
    },
    /// The same two on a raw io_uring
    RawRing {
        /// How long the server spins before it parks [default: for ever]
        #[arg(long, global = true, value_name = "TIME")]
        spin: Option<humantime::Duration>,
        #[command(subcommand)]
        role: RingRole,
    },
    /// A plain rtrb ring: on one thread, across two cores, back and forth
    Rtrb,
    /// Every floor with 100-byte messages
    All,
}

#[derive(Subcommand)]
enum RingRole {
    /// Ping-pong
    Echo(Ping),
    /// A stream of 64 KiB writes
    Sink,
}

#[derive(Args)]
struct Ping {
    /// How the client waits
    #[arg(long, default_value = "polling")]
    client: ClientWait,
    /// Bytes each way
    #[arg(long, value_name = "BYTES", default_value_t = 100)]
    size: usize,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let cpus = match CpuPair::choose(arguments.server_cpu, arguments.client_cpu) {
        Ok(cpus) => cpus,
        Err(error) => {
            eprintln!("ringway-floor: {error}");
            return ExitCode::from(2);
        }
    };
    if let Some(warning) = cpus.warning() {
        eprintln!("ringway-floor: {warning}");
    }
    match measure(&arguments.floor, cpus, arguments.duration.into()) {
        Ok(measured) => {
            println!("{measured:#}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("ringway-floor: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(floor: &Floor, cpus: CpuPair, duration: Duration) -> io::Result<Value> {
    match floor {
        Floor::EpollEcho { server, ping } => {
            document(epoll::echo(cpus, *server, ping.client, ping.size, duration)?)
        }
        Floor::EpollSink { server } => document(epoll::sink(cpus, *server, duration)?),
        Floor::RawRing { spin, role } => {
            let spin = spin.map(Duration::from);
            match role {
                RingRole::Echo(ping) => {
                    document(raw_ring::echo(cpus, spin, ping.client, ping.size, duration)?)
                }
                RingRole::Sink => document(raw_ring::sink(cpus, spin, duration)?),
            }
        }
        Floor::Rtrb => rings(cpus, duration),
        Floor::All => all(cpus, duration),
    }
}

fn rings(cpus: CpuPair, duration: Duration) -> io::Result<Value> {
    Ok(json!({
        "cpus": cpus,
        "chunk_items": CHUNK_ITEMS,
        "same_thread": spsc::same_thread(duration),
        "across_cores_item_by_item": spsc::item_by_item::<16>(cpus, duration)?,
        "across_cores_chunked": spsc::chunked::<16>(cpus, duration)?,
        "across_cores_chunked_payload": spsc::chunked::<100>(cpus, duration)?,
        "ping_pong_ns": spsc::ping_pong(cpus, duration)?,
    }))
}

fn all(cpus: CpuPair, duration: Duration) -> io::Result<Value> {
    let (mut echoes, mut sinks) = (Vec::new(), Vec::new());
    for server in [ServerWait::Busy, ServerWait::Sleeping] {
        for client in [ClientWait::Polling, ClientWait::Blocking] {
            echoes.push(epoll::echo(cpus, server, client, 100, duration)?);
        }
        sinks.push(epoll::sink(cpus, server, duration)?);
    }
    for spin in [None, Some(Duration::from_micros(50)), Some(Duration::ZERO)] {
        for client in [ClientWait::Polling, ClientWait::Blocking] {
            echoes.push(raw_ring::echo(cpus, spin, client, 100, duration)?);
        }
        sinks.push(raw_ring::sink(cpus, spin, duration)?);
    }
    Ok(json!({ "rtrb": rings(cpus, duration)?, "ping_pongs": echoes, "streams": sinks }))
}

fn document(measured: impl Serialize) -> io::Result<Value> {
    serde_json::to_value(measured).map_err(io::Error::other)
}
