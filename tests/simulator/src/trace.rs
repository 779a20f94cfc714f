//! The trace of a run: a hash of every completion handed out and every byte that clients received.

use ringway_shards::world::Completion;

/// A running hash (FNV-1a over 64 bits), and the lines behind it if somebody wants to read them.
#[derive(Debug)]
pub struct Trace {
    hash: u64,
    events: u64,
    printed: bool,
}

impl Trace {
    /// A trace that prints its lines on stderr, or not.
    pub fn new(printed: bool) -> Self {
        Self { hash: 0xcbf2_9ce4_8422_2325, events: 0, printed }
    }

    /// Everything so far in 64 bits.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// How many things have happened so far.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// A completion was handed to a shard.
    pub fn completion(&mut self, now_ns: u64, shard: usize, completion: &Completion) {
        let Completion { token, result, more, buffer } = completion;
        let buffer =
            buffer.map_or(u64::MAX, |buffer| u64::from(buffer.index) | (buffer.size as u64) << 16);
        self.events += 1;
        for number in [now_ns, shard as u64, token.0, *result as u64, u64::from(*more), buffer] {
            self.bytes(&number.to_le_bytes());
        }
        self.line(now_ns, || {
            let (purpose, slot) = (token.purpose(), token.slot());
            format!("shard {shard}: {purpose:?} of slot {slot}: {result}, more {more}")
        });
    }

    /// A client received bytes.
    pub fn received(&mut self, now_ns: u64, connection: usize, bytes: &[u8]) {
        self.events += 1;
        self.bytes(&(connection as u64).to_le_bytes());
        self.bytes(bytes);
        self.line(now_ns, || format!("client of connection {connection}: {} bytes", bytes.len()));
    }

    /// Something happened that has no bytes: a connection, a close, a wake.
    pub fn note(&mut self, now_ns: u64, what: &str, who: usize) {
        self.events += 1;
        self.bytes(what.as_bytes());
        self.bytes(&(who as u64).to_le_bytes());
        self.line(now_ns, || format!("{what} {who}"));
    }

    fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.hash = (self.hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        }
    }

    fn line(&self, now_ns: u64, text: impl FnOnce() -> String) {
        if self.printed {
            eprintln!("{:>12} {}", now_ns, text());
        }
    }
}
