//! Row 21: a plane that has no descriptor left keeps serving, does not spin, and accepts again
//! when it has one.

use crate::peer::{Peer, greeting};
use crate::process;
use ringway_protocol::reply::SHARD_COLUMNS;
use ringway_protocol::{Reply, Request};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const NAME: &str = "descriptors::without_descriptors_the_plane_serves_waits_and_goes_on";
/// Descriptors that the plane is left for connections, and how many peers want one.
const ROOM: usize = 20;
const PEERS: usize = 60;
/// How long the plane is watched while it has none.
const WATCHED: Duration = Duration::from_secs(2);
/// An accept that failed is tried again after 50 ms: on two addresses of this plane at most.
const TRIES_PER_SECOND_MAX: u32 = 2 * 1000 / 50;
/// CPU time in that while, for two shards that sleep but for a ping now and then.
const CPU_MAX: Duration = Duration::from_millis(700);
const ADDRESS: &str = "the plane listens on ";

/// The plane's process, killed when dropped.
struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    fn start() -> Self {
        let mut command = process::again(NAME, &[]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("it runs a second time");
        let mut lines = BufReader::new(child.stdout.as_mut().expect("stdout is piped")).lines();
        let address = lines
            .find_map(|line| line.expect("text").strip_prefix(ADDRESS)?.parse().ok())
            .expect("the plane starts");
        Self { child, address }
    }

    fn pid(&self) -> String {
        self.child.id().to_string()
    }

    fn cpu(&self) -> Duration {
        let path = format!("/proc/{}/stat", self.pid());
        let stat = std::fs::read_to_string(path).expect("it runs");
        let fields: Vec<&str> =
            stat.rsplit(')').next().expect("a line").split_whitespace().collect();
        // utime and stime, fields 14 and 15 of proc(5), in ticks of 10 ms.
        let ticks = |field: usize| fields[field].parse::<u64>().expect("a number");
        Duration::from_millis(10 * (ticks(11) + ticks(12)))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A plane with room for so many connections and no more, until the test that started it ends.
fn serve_with_few_descriptors() {
    // The kernel reads the limit when an accept is armed, so it must be set before the plane
    // starts; how many descriptors a plane itself has shows one that is started for that.
    let start = || process::plane(|config| config.greeting_ms = 60_000);
    let rehearsal = start();
    let limit = process::descriptors("self") + ROOM;
    drop(rehearsal);
    let pid = std::process::id().to_string();
    let limited = Command::new("prlimit")
        .args(["--pid", &pid, &format!("--nofile={limit}:{limit}")])
        .status();
    assert!(limited.is_ok_and(|status| status.success()), "a limit may be lowered");
    let plane = start();
    println!("\n{ADDRESS}{}", plane.address());
    let _ = std::io::stdin().read(&mut [0]);
}

fn accept_errors(peer: &mut Peer) -> u64 {
    let column = SHARD_COLUMNS.iter().position(|name| *name == "accept_errors").expect("it is one");
    match peer.ask(Request::Stat { queue: None }).reply() {
        Reply::Figures(figures) => figures.rows().map(|row| row[column]).sum(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn without_descriptors_the_plane_serves_waits_and_goes_on() {
    if process::is_alone(NAME) {
        return serve_with_few_descriptors();
    }
    if Command::new("prlimit").arg("--version").output().is_err() {
        return println!("skipped: there is no prlimit to take descriptors away with");
    }
    let server = Server::start();
    let mut neighbour = Peer::connect(server.address);
    let mut peers: Vec<_> = (0..PEERS)
        .map(|_| {
            let mut peer = Peer::silent(server.address);
            peer.socket.write_all(&greeting()).expect("the backlog has room");
            peer
        })
        .collect();
    process::wait_until("accepting fails", process::PATIENCE, || accept_errors(&mut neighbour) > 0);
    watch(&server, &mut neighbour);
    // The first ones were taken on; the others follow as those leave.
    for (number, peer) in peers.iter_mut().enumerate().take(ROOM / 2) {
        let welcome = peer.next().unwrap_or_else(|| panic!("peer {number} was turned away"));
        assert!(matches!(welcome.reply(), Reply::Welcome(_)));
        peer.is_served();
    }
    for mut peer in peers.drain(..).skip(ROOM / 2) {
        let welcome = peer.next().expect("it waited and is welcome");
        assert!(matches!(welcome.reply(), Reply::Welcome(_)));
    }
    neighbour.is_served();
    Peer::connect(server.address).is_served();
}

/// While there is no descriptor, the neighbour is served and next to nothing else happens.
fn watch(server: &Server, neighbour: &mut Peer) {
    let (started, cpu, errors) = (Instant::now(), server.cpu(), accept_errors(neighbour));
    while started.elapsed() < WATCHED {
        neighbour.is_served();
        std::thread::sleep(Duration::from_millis(20));
    }
    let (cpu, errors) = (server.cpu() - cpu, accept_errors(neighbour) - errors);
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "without descriptors for {seconds:.1} s: {errors} failed accepts, {cpu:?} of CPU time"
    );
    assert!(errors > 0, "it tries again");
    let most = f64::from(TRIES_PER_SECOND_MAX) * (seconds + 1.0);
    assert!((errors as f64) < most, "{errors} failed accepts in {seconds} s: it spins");
    assert!(cpu < CPU_MAX, "{cpu:?} of CPU time in {seconds} s: it spins");
}
