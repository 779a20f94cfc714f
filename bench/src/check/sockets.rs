//! The network of a checked load: real sockets that never block, and the host's clocks.

use std::collections::{BTreeMap, HashMap};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ringway_checker::clients::{ClientSide, Read};
use socket2::SockRef;

/// How long a connection may take to come about, while everybody else waits.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Sockets by number.
pub struct Sockets {
    epoch: Instant,
    /// What the wall clock reads; it follows the monotonic one from the start, as the checker's.
    began_ms: u64,
    /// Where each shard listens, then the plane.
    listeners: Vec<SocketAddr>,
    token: Vec<u8>,
    open: HashMap<usize, Socket>,
    /// Connections so far.
    made: usize,
    /// Bytes that went either way.
    moved: u64,
    tally: BTreeMap<&'static str, u64>,
}

struct Socket {
    stream: TcpStream,
    /// Something happened after which the server may close it.
    excused: bool,
}

impl Sockets {
    /// No sockets yet, to a plane that listens there.
    pub fn new(listeners: Vec<SocketAddr>, token: &str) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            epoch: Instant::now(),
            began_ms: since.as_millis() as u64,
            listeners,
            token: token.as_bytes().to_vec(),
            open: HashMap::new(),
            made: 0,
            moved: 0,
            tally: BTreeMap::new(),
        }
    }

    /// Bytes that went either way so far.
    pub fn moved(&self) -> u64 {
        self.moved
    }

    /// What clients have counted.
    pub fn into_tally(self) -> BTreeMap<&'static str, u64> {
        self.tally
    }
}

impl ClientSide for Sockets {
    fn now_ns(&self) -> u64 {
        // 584 years fit; the cast cuts nothing off.
        self.epoch.elapsed().as_nanos() as u64
    }

    fn wall_ms(&self) -> u64 {
        self.began_ms + self.now_ns() / 1_000_000
    }

    fn connect(&mut self, listener: usize) -> Option<usize> {
        let address = &self.listeners[listener];
        let stream = TcpStream::connect_timeout(address, CONNECT_TIMEOUT).ok()?;
        stream.set_nonblocking(true).ok()?;
        stream.set_nodelay(true).ok()?;
        self.made += 1;
        self.open.insert(self.made, Socket { stream, excused: false });
        Some(self.made)
    }

    fn token(&self) -> &[u8] {
        &self.token
    }

    fn write(&mut self, connection: usize, bytes: &[u8]) -> usize {
        let Some(socket) = self.open.get_mut(&connection) else { return 0 };
        // What went wrong shows when the socket is read.
        let written = socket.stream.write(bytes).unwrap_or(0);
        self.moved += written as u64;
        written
    }

    fn read(&mut self, connection: usize, length: usize) -> Read {
        let Some(socket) = self.open.get_mut(&connection) else {
            return Read::Reset { excused: true };
        };
        let (mut bytes, excused) = (vec![0; length], socket.excused);
        match socket.stream.read(&mut bytes) {
            Ok(0) => Read::End { excused },
            Ok(count) => {
                self.moved += count as u64;
                bytes.truncate(count);
                Read::Bytes(bytes)
            }
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::Interrupted => Read::Nothing,
                _ => Read::Reset { excused },
            },
        }
    }

    fn excuse(&mut self, connection: usize) {
        if let Some(socket) = self.open.get_mut(&connection) {
            socket.excused = true;
        }
    }

    fn is_excused(&self, connection: usize) -> bool {
        self.open.get(&connection).is_none_or(|socket| socket.excused)
    }

    fn close(&mut self, connection: usize) {
        // The end goes out behind what was written.
        self.open.remove(&connection);
    }

    fn abort(&mut self, connection: usize) {
        if let Some(socket) = self.open.remove(&connection) {
            // Without it this is a close in order, which a run has as well.
            let _ = SockRef::from(&socket.stream).set_linger(Some(Duration::ZERO));
        }
    }

    fn count_many(&mut self, name: &'static str, times: u64) {
        *self.tally.entry(name).or_default() += times;
    }
}
