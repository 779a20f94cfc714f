//! One direction of a connection: bytes on their way, bytes that have arrived, and the end.

use std::collections::VecDeque;

/// A byte pipe of finite size.
///
/// Invariant: travelling bytes + arrived bytes <= capacity; chunks arrive in the order in which
/// they were written.
#[derive(Debug)]
pub struct Pipe {
    capacity: usize,
    travelling: VecDeque<(u64, Vec<u8>)>,
    travelling_bytes: usize,
    arrived: VecDeque<u8>,
    last_due_ns: u64,
    end_due_ns: Option<u64>,
    ended: bool,
}

impl Pipe {
    /// An empty pipe.
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity,
            travelling: VecDeque::new(),
            travelling_bytes: 0,
            arrived: VecDeque::new(),
            last_due_ns: 0,
            end_due_ns: None,
            ended: false,
        }
    }

    /// How many bytes it can still take.
    pub fn space(&self) -> usize {
        self.capacity - self.travelling_bytes - self.arrived.len()
    }

    /// Makes room for more.
    pub fn widen(&mut self, capacity: usize) {
        self.capacity = self.capacity.max(capacity);
    }

    /// Puts bytes on their way. There must be space for them.
    pub fn write(&mut self, bytes: &[u8], due_ns: u64) {
        assert!(self.end_due_ns.is_none(), "nothing is written after the end of a pipe");
        assert!(bytes.len() <= self.space(), "a pipe takes no more than its capacity");
        self.last_due_ns = self.last_due_ns.max(due_ns);
        self.travelling_bytes += bytes.len();
        self.travelling.push_back((self.last_due_ns, bytes.to_vec()));
    }

    /// Says that no more bytes come (FIN).
    pub fn end(&mut self, due_ns: u64) {
        self.end_due_ns.get_or_insert(self.last_due_ns.max(due_ns));
    }

    /// Whether the end was said, though it may not have arrived.
    pub fn is_ending(&self) -> bool {
        self.end_due_ns.is_some()
    }

    /// Lets everything arrive that is due.
    pub fn arrive(&mut self, now_ns: u64) {
        while self.travelling.front().is_some_and(|(due_ns, _)| *due_ns <= now_ns) {
            let (_, bytes) = self.travelling.pop_front().expect("there is a front");
            self.travelling_bytes -= bytes.len();
            self.arrived.extend(bytes);
        }
        self.ended |= self.end_due_ns.is_some_and(|due_ns| due_ns <= now_ns);
    }

    /// How many bytes wait for the reader.
    pub fn arrived(&self) -> usize {
        self.arrived.len()
    }

    /// Takes the first bytes that arrived.
    pub fn read(&mut self, length: usize) -> Vec<u8> {
        self.arrived.drain(..length).collect()
    }

    /// Lets the reader read these bytes again: a planted bug.
    pub fn unread(&mut self, bytes: &[u8]) {
        bytes.iter().rev().for_each(|byte| self.arrived.push_front(*byte));
        self.capacity = self.capacity.max(self.arrived.len() + self.travelling_bytes);
    }

    /// Whether the end has arrived, behind whatever is still to be read.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// Whether the reader has read everything that will ever come.
    pub fn is_drained(&self) -> bool {
        self.ended && self.arrived.is_empty()
    }

    /// When the next thing arrives, if anything is on its way.
    pub fn next_due_ns(&self) -> Option<u64> {
        let end = self.end_due_ns.filter(|_| !self.ended);
        self.travelling.front().map(|(due_ns, _)| *due_ns).or(end)
    }

    /// Loses what is on its way (the connection was reset).
    pub fn lose(&mut self) {
        self.travelling.clear();
        self.travelling_bytes = 0;
    }
}
