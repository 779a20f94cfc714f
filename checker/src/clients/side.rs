//! What clients need of a network, simulated or real: connections that are called by numbers, two
//! clocks, and somebody who counts.

/// The clients' side of a network. Nothing here waits.
pub trait ClientSide {
    /// The monotonic clock's reading in nanoseconds: the one clock of the history.
    fn now_ns(&self) -> u64;

    /// The wall clock's reading, in milliseconds since 1970.
    fn wall_ms(&self) -> u64;

    /// Connects to a listener; `None` if that is not possible now.
    fn connect(&mut self, listener: usize) -> Option<usize>;

    /// The access token that a greeting carries; empty for none.
    fn token(&self) -> &[u8] {
        b""
    }

    /// Writes as much of `bytes` as fits and says how much that was.
    fn write(&mut self, connection: usize, bytes: &[u8]) -> usize;

    /// Reads at most `length` bytes, at least 1.
    fn read(&mut self, connection: usize, length: usize) -> Read;

    /// From now on the server may close this connection: its client did something wrong.
    fn excuse(&mut self, connection: usize);

    /// Whether the server may have closed it already, for such a reason or because it broke.
    fn is_excused(&self, connection: usize) -> bool;

    /// Closes in order: what was written still arrives, then the end.
    fn close(&mut self, connection: usize);

    /// Closes at once (SO_LINGER 0): what was on its way is lost.
    fn abort(&mut self, connection: usize);

    /// Counts something that happened so many times.
    fn count_many(&mut self, name: &'static str, times: u64);

    /// Counts something that happened.
    fn count(&mut self, name: &'static str) {
        self.count_many(name, 1);
    }
}

/// What a client finds when it reads.
#[derive(Debug, PartialEq, Eq)]
pub enum Read {
    /// These bytes.
    Bytes(Vec<u8>),
    /// Nothing now.
    Nothing,
    /// Nothing any more: the server closed. Says whether it had a reason that the network knows of.
    End {
        /// Whether the server may have closed it.
        excused: bool,
    },
    /// The connection is broken.
    Reset {
        /// Whether the server may have broken it.
        excused: bool,
    },
}
