//! How connections spread over shards, and how fast they are accepted: the figures of
//! `docs/decisions/0002-accepting.md`, as a table in Markdown.
//!
//!     cargo run --release --package ringway-shards --example accepting

use ringway_shards::machine::listeners::{Listener, ListenerOptions};
use ringway_shards::plane::{Plane, PlaneConfig};
use socket2::SockRef;
use std::error::Error;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

const LISTENERS: [usize; 3] = [2, 4, 12];
const CONNECTIONS: [usize; 2] = [50, 1000];
/// Groups of listeners, each on a port of its own: the kernel's hash knows the port.
const GROUPS: usize = 20;
/// Connections of a storm; each is closed as soon as it stands.
const STORM: u64 = 5000;
const STORMS: usize = 5;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    println!(
        "| listeners | connections | even | SO_REUSEPORT, median group | worst group | dealt |"
    );
    println!("|---|---|---|---|---|---|");
    for listeners in LISTENERS {
        for connections in CONNECTIONS {
            spread(listeners, connections)?;
        }
    }
    println!("\n| shards | connect storm | accepts per second, median of {STORMS} (all) |");
    println!("|---|---|---|");
    for shards in [1, 2, 4] {
        storm(shards, "one address, dealt", |plane| vec![plane.address()])?;
        storm(shards, "shards' own addresses in turn", |plane| plane.shard_addresses().to_vec())?;
    }
    Ok(())
}

fn spread(listeners: usize, connections: usize) -> Outcome<()> {
    let mut groups = (0..GROUPS)
        .map(|_| reuse_port(listeners, connections))
        .collect::<Outcome<Vec<(usize, usize)>>>()?;
    groups.sort_by_key(|(low, high)| high - low);
    let [median, worst] = [groups[GROUPS / 2], groups[GROUPS - 1]];
    let (low, high) = dealt(listeners, connections)?;
    println!(
        "| {listeners} | {connections} | {:.1} | {}..{} | {}..{} | {low}..{high} |",
        connections as f64 / listeners as f64,
        median.0,
        median.1,
        worst.0,
        worst.1,
    );
    Ok(())
}

/// Fewest and most connections of one listener in a group that shares a port.
fn reuse_port(listeners: usize, connections: usize) -> Outcome<(usize, usize)> {
    let options = ListenerOptions { reuse_port: true, ..ListenerOptions::default() };
    let first = Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0)), &options)?;
    let address = first.address();
    let mut group = vec![first];
    while group.len() < listeners {
        group.push(Listener::bind(address, &options)?);
    }
    let _clients =
        (0..connections).map(|_| TcpStream::connect(address)).collect::<Result<Vec<_>, _>>()?;
    // Connected means that a listener has it in its backlog.
    let accept_all = |listener: &Listener| -> Outcome<usize> {
        let socket = SockRef::from(listener);
        socket.set_nonblocking(true)?;
        Ok(std::iter::from_fn(|| socket.accept().ok()).count())
    };
    let counts = group.iter().map(accept_all).collect::<Outcome<Vec<usize>>>()?;
    assert_eq!(counts.iter().sum::<usize>(), connections, "nothing was refused");
    bounds(counts)
}

/// The same of a plane's shards.
fn dealt(shards: usize, connections: usize) -> Outcome<(usize, usize)> {
    let plane = Plane::start(PlaneConfig {
        shards,
        shard_listen: None,
        greeting_ms: 60_000,
        ..PlaneConfig::default()
    })?;
    let _clients = (0..connections)
        .map(|_| TcpStream::connect(plane.address()))
        .collect::<Result<Vec<_>, _>>()?;
    let counts =
        || plane.stats().iter().map(|stats| stats.connections.get() as usize).collect::<Vec<_>>();
    while counts().iter().sum::<usize>() < connections {
        std::thread::sleep(Duration::from_millis(1));
    }
    bounds(counts())
}

fn bounds(counts: Vec<usize>) -> Outcome<(usize, usize)> {
    counts.iter().min().copied().zip(counts.iter().max().copied()).ok_or("no listener".into())
}

/// Connects and closes, from one thread, until the plane has accepted all of them.
fn storm(shards: usize, name: &str, addresses: impl Fn(&Plane) -> Vec<SocketAddr>) -> Outcome<()> {
    let plane = Plane::start(PlaneConfig { shards, ..PlaneConfig::default() })?;
    let addresses = addresses(&plane);
    let accepted =
        || plane.stats().iter().map(|stats| stats.connections_accepted.get()).sum::<u64>();
    let mut rates = Vec::new();
    for _ in 0..STORMS {
        let (before, began) = (accepted(), Instant::now());
        for address in addresses.iter().cycle().take(STORM as usize) {
            TcpStream::connect(address)?;
        }
        while accepted() - before < STORM {
            std::thread::yield_now();
        }
        rates.push((STORM as f64 / began.elapsed().as_secs_f64()) as u64);
    }
    let in_order = rates.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
    rates.sort_unstable();
    println!("| {shards} | {name} | {} ({in_order}) |", rates[STORMS / 2]);
    Ok(())
}
