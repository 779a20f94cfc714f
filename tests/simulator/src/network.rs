//! The whole simulated machine outside the shards: clock, connections, listeners, and one kernel
//! for each shard.
//!
//! One thread owns all of it. Shards reach it through [`crate::world::SimWorld`], clients by the
//! methods below.

mod buffers;
mod cancel;
mod complete;
mod errno;
mod kernel;
mod pipe;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::canary::{Canary, Heard};
use crate::faults::Faults;
use crate::trace::Trace;
use kernel::Kernel;
use pipe::Pipe;
use ringway_checker::chance::{Chance, Rate};
use ringway_checker::clients::{ClientSide, Read};
use ringway_shards::world::PeerEnd;

pub(crate) use kernel::{Posted, Work};

/// Connections that wait at a listener until somebody accepts them.
const BACKLOG_MAX: usize = 16;

/// Bytes that a pipe holds once the world has calmed down.
const CALM_PIPE_BYTES: usize = 1 << 20;

/// What the wall clock reads when the monotonic one reads 0, in milliseconds since 1970, until it
/// is set.
const WALL_BEGAN_MS: u64 = 1_700_000_000_000;

/// Everything outside the shards.
pub struct Network {
    clock_ns: u64,
    /// What the wall clock has been set ahead by.
    wall_ahead_ms: i64,
    chance: Chance,
    faults: Faults,
    canary: Option<Canary>,
    connections: Vec<Connection>,
    listeners: Vec<VecDeque<usize>>,
    kernels: Vec<Kernel>,
    trace: Trace,
    tally: BTreeMap<&'static str, u64>,
}

/// A connection between a client and the plane, as the network sees it.
struct Connection {
    to_server: Pipe,
    to_client: Pipe,
    server: ServerEnd,
    client_open: bool,
    /// Neither side can use it any more; bytes that had arrived can still be read.
    reset: bool,
    /// A shard was told of the reset: from now on a send meets EPIPE.
    reset_told: bool,
    /// Something happened after which the server may close this connection.
    excused: bool,
    /// What a shard that mishears has heard of it.
    heard: Heard,
}

enum ServerEnd {
    /// In a listener's backlog.
    Waiting,
    /// An accept's completion named it; nobody has asked for the socket yet.
    Named,
    /// Some shard owns the socket. The other half of the count is in the socket.
    Open(Arc<()>),
    /// A shard has asked for its close.
    Closing,
    Closed,
}

impl Network {
    /// A network for so many shards and listeners.
    pub fn new(
        (shards, listeners): (usize, usize),
        faults: Faults,
        mut chance: Chance,
        trace: Trace,
    ) -> Self {
        let kernels = (0..shards).map(|_| Kernel::new(&faults)).collect();
        Self {
            // A monotonic clock starts anywhere; near zero hides subtractions that underflow.
            clock_ns: chance.between(1, 1 << 40),
            wall_ahead_ms: 0,
            chance,
            faults,
            canary: None,
            connections: Vec::new(),
            listeners: vec![VecDeque::new(); listeners],
            kernels,
            trace,
            tally: BTreeMap::new(),
        }
    }

    /// Plants a bug.
    pub fn plant(&mut self, canary: Canary) {
        self.canary = Some(canary);
        canary.provoke(&mut self.faults);
    }

    /// The planted bug, if there is one.
    pub fn canary(&self) -> Option<Canary> {
        self.canary
    }

    /// Lets nothing go wrong from now on, and widens every pipe: what is owed is to arrive soon.
    pub fn calm(&mut self) {
        for connection in &mut self.connections {
            connection.to_server.widen(CALM_PIPE_BYTES);
            connection.to_client.widen(CALM_PIPE_BYTES);
        }
        self.faults = self.faults.calm();
        if let Some(canary) = self.canary {
            canary.provoke(&mut self.faults);
        }
    }

    /// The rates in force.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Sets the wall clock to so many milliseconds ahead of what it would read if nobody had ever
    /// set it.
    pub fn set_wall(&mut self, ahead_ms: i64) {
        self.wall_ahead_ms = ahead_ms;
        self.note("wall clock set", 0);
    }

    /// How often each fault happened.
    pub fn tally(&self) -> &BTreeMap<&'static str, u64> {
        &self.tally
    }

    /// The trace so far.
    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    /// Lets time pass, and everything arrive that is due by then.
    pub fn advance(&mut self, by_ns: u64) {
        self.clock_ns += by_ns;
        for connection in &mut self.connections {
            connection.to_server.arrive(self.clock_ns);
            connection.to_client.arrive(self.clock_ns);
        }
        self.notice_drops();
    }

    /// Whether this happens now; if so it is counted under `name`.
    fn strikes(&mut self, rate: Rate, name: &'static str) -> bool {
        let happens = self.chance.happens(rate);
        if happens {
            self.count(name);
        }
        happens
    }

    /// Notes something in the trace.
    pub fn note(&mut self, what: &str, who: usize) {
        self.trace.note(self.clock_ns, what, who);
    }

    fn due_ns(&mut self) -> u64 {
        self.clock_ns + self.chance.between(0, self.faults.delay_ns_max)
    }

    /// When the next bytes or doorbells arrive, if any are on their way.
    pub fn next_due_ns(&self) -> Option<u64> {
        let pipes = self.connections.iter().flat_map(|connection| {
            [connection.to_server.next_due_ns(), connection.to_client.next_due_ns()]
        });
        let bells = self.kernels.iter().map(|kernel| kernel.doorbell_due_ns);
        pipes.chain(bells).flatten().min()
    }

    /// A socket that was dropped instead of closed is closed, as a file descriptor is.
    fn notice_drops(&mut self) {
        for number in 0..self.connections.len() {
            if let ServerEnd::Open(held) = &self.connections[number].server
                && Arc::strong_count(held) == 1
            {
                self.close_server_end(number);
            }
        }
    }

    /// The server's end is closed: what it sent still arrives, unless it left bytes unread.
    fn close_server_end(&mut self, number: usize) {
        self.assert_unused(number);
        let unread = self.connections[number].to_server.arrived() > 0 && self.chance.once_in(2);
        let due_ns = self.due_ns();
        let connection = &mut self.connections[number];
        connection.server = ServerEnd::Closed;
        if unread {
            connection.reset = true;
            connection.to_client.lose();
        } else {
            connection.to_client.end(due_ns);
        }
        self.note("server closes connection", number);
    }

    fn assert_unused(&self, number: usize) {
        for (shard, kernel) in self.kernels.iter().enumerate() {
            if let Some(token) = kernel.uses(number) {
                panic!(
                    "shard {shard} closed connection {number} while {token:?} was under way: \
                     cancel first and wait for the terminal completion"
                );
            }
        }
    }
}

impl ClientSide for Network {
    fn now_ns(&self) -> u64 {
        self.clock_ns
    }

    fn wall_ms(&self) -> u64 {
        (WALL_BEGAN_MS + self.clock_ns / 1_000_000).saturating_add_signed(self.wall_ahead_ms)
    }

    /// `None` if its backlog is full.
    fn connect(&mut self, listener: usize) -> Option<usize> {
        if self.listeners[listener].len() >= BACKLOG_MAX {
            return None;
        }
        let number = self.connections.len();
        self.connections.push(Connection {
            to_server: Pipe::new(self.faults.pipe_bytes),
            to_client: Pipe::new(self.faults.pipe_bytes),
            server: ServerEnd::Waiting,
            client_open: true,
            reset: false,
            reset_told: false,
            excused: false,
            heard: Heard::default(),
        });
        self.listeners[listener].push_back(number);
        self.note("client opens connection", number);
        Some(number)
    }

    fn write(&mut self, number: usize, bytes: &[u8]) -> usize {
        let due_ns = self.due_ns();
        let connection = &mut self.connections[number];
        let length = bytes.len().min(connection.to_server.space());
        if length == 0 || connection.reset {
            return 0;
        }
        connection.to_server.write(&bytes[..length], due_ns);
        length
    }

    fn read(&mut self, number: usize, length: usize) -> Read {
        let connection = &mut self.connections[number];
        assert!(connection.client_open, "a client reads from a connection that it closed");
        let length = length.min(connection.to_client.arrived());
        let excused = connection.excused;
        if length > 0 {
            let bytes = connection.to_client.read(length);
            self.trace.received(self.clock_ns, number, &bytes);
            Read::Bytes(bytes)
        } else if connection.reset {
            Read::Reset { excused }
        } else if connection.to_client.is_drained() {
            Read::End { excused }
        } else {
            Read::Nothing
        }
    }

    fn excuse(&mut self, number: usize) {
        self.connections[number].excused = true;
    }

    fn is_excused(&self, number: usize) -> bool {
        self.connections[number].excused
    }

    fn close(&mut self, number: usize) {
        let due_ns = self.due_ns();
        let connection = &mut self.connections[number];
        connection.client_open = false;
        connection.excused = true;
        if !connection.reset {
            connection.to_server.end(due_ns);
        }
        self.note("client closes connection", number);
    }

    fn abort(&mut self, number: usize) {
        self.connections[number].client_open = false;
        self.break_connection(number);
    }

    fn count_many(&mut self, name: &'static str, times: u64) {
        *self.tally.entry(name).or_default() += times;
    }
}

/// What becomes of connections.
impl Network {
    /// Whether the server holds a connection whose client has gone.
    pub fn any_abandoned(&self) -> bool {
        let abandoned = |connection: &Connection| {
            !connection.client_open && !matches!(connection.server, ServerEnd::Closed)
        };
        self.connections.iter().any(abandoned)
    }

    /// The plane goes down: it may close every connection.
    pub fn excuse_all(&mut self) {
        self.connections.iter_mut().for_each(|connection| connection.excused = true);
    }

    /// The listeners are closed: who still waits there is sent away.
    pub fn close_listeners(&mut self) {
        for number in self.listeners.iter_mut().flat_map(std::mem::take).collect::<Vec<_>>() {
            self.connections[number].server = ServerEnd::Closed;
            self.break_connection(number);
        }
    }

    /// What the server's kernel knows of the client's end.
    pub fn peer_end(&self, number: usize) -> PeerEnd {
        let connection = &self.connections[number];
        match connection.reset {
            true => PeerEnd::Whole,
            false if connection.to_server.has_ended() => PeerEnd::Half,
            false => PeerEnd::Open,
        }
    }

    /// The server ends that are open, or still wait to be accepted.
    pub fn open_sockets(&self) -> Vec<String> {
        let describe = |(number, connection): (usize, &Connection)| {
            let state = match connection.server {
                ServerEnd::Waiting => "waits to be accepted",
                ServerEnd::Named => "was accepted and not asked for",
                ServerEnd::Open(_) => "is open",
                ServerEnd::Closing => "is about to be closed",
                ServerEnd::Closed => return None,
            };
            let client = if connection.client_open { "there" } else { "gone" };
            Some(format!("connection {number} {state}, its client is {client}"))
        };
        self.connections.iter().enumerate().filter_map(describe).collect()
    }

    fn break_connection(&mut self, number: usize) {
        let connection = &mut self.connections[number];
        connection.reset = true;
        connection.excused = true;
        connection.to_server.lose();
        connection.to_client.lose();
        self.note("reset of connection", number);
    }
}
