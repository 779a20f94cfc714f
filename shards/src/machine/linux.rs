//! Linux as a shard's world: its sockets on one raw io_uring ring, driven from the shard's turn.
//!
//! Made, used and dropped on the shard's own thread. What the kernel may refer to (receive buffers,
//! bytes being sent, the alarm's time) belongs to this type until the operation's terminal
//! completion; on drop it cancels what is under way and waits for it before any memory goes.
//!
//! `config.rs` holds the sizes, `receive.rs` the three ways of receiving, `sends.rs` what is being
//! sent, `park.rs` how the shard goes to sleep, `stop.rs` the end.

mod config;
mod park;
mod receive;
mod sends;
mod stop;

pub use config::{LinuxConfig, StartError};
pub use receive::ReceiveMode;

use super::clock;
use super::doorbell::Doorbell;
use super::listeners::Listener;
use super::ring::{Entered, RawCompletion, Ring};
use crate::limits;
use crate::world::{BufferId, BufferSize, Completion, Outgoing, PeerEnd, Purpose, Token, World};
use io_uring::{opcode, squeue, types};
use receive::Receives;
use sends::Sends;
use socket2::SockRef;
use std::collections::VecDeque;
use std::io;
use std::mem::ManuallyDrop;
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::Arc;

/// System calls that one submit makes at most: each brings out some 20 deferred completions.
const ENTERS_PER_SUBMIT_MAX: usize = 256;
/// Refusals in a row after which the kernel is taken to be out of memory for good. Each was
/// answered by taking completions out, which is all that this side can do.
const REFUSALS_IN_A_ROW_MAX: u32 = 10_000;

/// What has happened on a shard's ring since it was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// System calls.
    pub enters: u64,
    /// Completions taken out.
    pub completions: u64,
    /// Times that the submission queue was full before the end of a turn.
    pub submissions_full: u64,
    /// System calls that found the completion queue overflowed.
    pub completions_overflowed: u64,
    /// System calls that a signal interrupted.
    pub interrupted: u64,
    /// System calls that the kernel refused for want of room or memory.
    pub refused: u64,
    /// Receives that ended because their group had no free buffer.
    pub buffers_exhausted: u64,
}

/// An open TCP connection.
#[derive(Debug)]
pub struct LinuxSocket(OwnedFd);

impl AsRawFd for LinuxSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// The world's own operations, as slots of [`Purpose::Internal`].
#[derive(Clone, Copy)]
enum Own {
    Close = 0,
    Alarm = 1,
    AlarmMoved = 2,
    CancelAll = 3,
}

fn own(operation: Own) -> u64 {
    Token::new(Purpose::Internal, operation as u32, 0).0
}

/// Network, clock and doorbells of one shard on Linux.
pub struct LinuxWorld {
    ring: Ring,
    /// Manually, because they must not be freed under an operation that could not be stopped.
    receives: ManuallyDrop<Receives>,
    sends: ManuallyDrop<Sends>,
    alarm: ManuallyDrop<Box<park::Alarm>>,
    listeners: Vec<Listener>,
    /// By shard, this one's included.
    doorbells: Vec<Arc<Doorbell>>,
    /// Accepted descriptors that no stage has asked for yet, in the order of completion.
    unclaimed: VecDeque<RawFd>,
    /// Completions that were taken out early to make room for the kernel.
    held: VecDeque<RawCompletion>,
    refusals_in_a_row: u32,
    counters: Counters,
}

impl LinuxWorld {
    /// The world of shard number `shard`, for the calling thread. `doorbells` are those of all
    /// shards, by number; completions ring this one's while the shard is parked.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn new(
        config: &LinuxConfig,
        shard: usize,
        doorbells: Vec<Arc<Doorbell>>,
        listeners: Vec<Listener>,
    ) -> Result<Self, StartError> {
        let mut ring = Ring::new(config.submission_entries, config.completion_entries)
            .map_err(StartError::Ring)?;
        ring.register_event(doorbells[shard].as_fd()).map_err(StartError::Doorbell)?;
        let receives = Receives::new(&ring, config).map_err(StartError::Buffers)?;
        Ok(Self {
            ring,
            receives: ManuallyDrop::new(receives),
            sends: ManuallyDrop::default(),
            alarm: ManuallyDrop::default(),
            listeners,
            doorbells,
            unclaimed: VecDeque::new(),
            held: VecDeque::with_capacity(config.completion_entries as usize),
            refusals_in_a_row: 0,
            counters: Counters::default(),
        })
    }

    /// What has happened so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// How many buffers of a group are free.
    pub fn buffers_free(&self, size: BufferSize) -> u16 {
        self.receives.free(size)
    }

    /// Operations under way, the world's own included.
    pub fn under_way(&self) -> usize {
        self.ring.under_way()
    }

    /// Queues an entry; a full queue is handed to the kernel first.
    ///
    /// # Safety
    /// As [`Ring::push`].
    unsafe fn push(&mut self, entry: &squeue::Entry) {
        // SAFETY: as this function's. The loop ends: `enter_once` gives up after many refusals.
        while unsafe { self.ring.push(entry) }.is_err() {
            self.counters.submissions_full += 1;
            self.enter_once();
        }
    }

    /// Hands over what is queued and brings deferred completions out, until there are none or as
    /// many as a turn can take.
    fn enter_until_quiet(&mut self) {
        let enough = self.ring.completion_entries().min(limits::BROUGHT_PER_TURN_MAX);
        for _ in 0..ENTERS_PER_SUBMIT_MAX {
            self.enter_once();
            let quiet = !self.ring.must_enter() || self.ring.completed() >= enough;
            if quiet && self.ring.queued() == 0 {
                return;
            }
        }
    }

    fn enter_once(&mut self) {
        self.counters.enters += 1;
        self.counters.completions_overflowed += u64::from(self.ring.overflowed());
        match self.ring.enter() {
            Entered::Taken => self.refusals_in_a_row = 0,
            Entered::Interrupted => self.counters.interrupted += 1,
            Entered::ReapFirst => self.hold(),
        }
    }

    /// Takes every completion out to be reaped later, so that the kernel has room.
    fn hold(&mut self) {
        self.counters.refused += 1;
        self.refusals_in_a_row += 1;
        assert!(
            self.refusals_in_a_row < REFUSALS_IN_A_ROW_MAX,
            "the kernel refuses operations although all completions were taken: out of memory?"
        );
        self.ring.taken();
        while let Some(completion) = self.ring.take() {
            self.held.push_back(completion);
        }
        self.ring.taken();
    }

    /// Does what only the world knows of, and says what the shard must know.
    #[inline]
    fn record(&mut self, completion: RawCompletion) -> Option<Completion> {
        self.counters.completions += 1;
        let token = Token(completion.user_data);
        let RawCompletion { result, more, .. } = completion;
        match token.purpose().expect("the kernel returns what it was given") {
            Purpose::Internal => {
                self.record_own(token.slot(), result);
                None
            }
            Purpose::Receive => self.received_raw(token, completion),
            Purpose::Send => {
                self.sends.completed(token);
                Some(Completion { token, result, more, buffer: None })
            }
            Purpose::Accept => {
                if result >= 0 {
                    self.unclaimed.push_back(result);
                }
                Some(Completion { token, result, more, buffer: None })
            }
            Purpose::Cancel | Purpose::Close => {
                Some(Completion { token, result, more, buffer: None })
            }
        }
    }

    fn record_own(&mut self, operation: u32, result: i32) {
        if operation == Own::Alarm as u32 {
            self.alarm.has_ended();
        } else if operation == Own::Close as u32 && result < 0 {
            let error = io::Error::from_raw_os_error(-result);
            log::error!("closing a connection failed: {error}");
        }
    }
}

impl World for LinuxWorld {
    type Socket = LinuxSocket;

    #[inline]
    fn now_ns(&mut self) -> u64 {
        clock::monotonic_ns()
    }

    #[inline]
    fn wall_ms(&mut self) -> u64 {
        clock::wall_ns() / 1_000_000
    }

    fn cpu_ns(&mut self) -> u64 {
        clock::thread_cpu_ns()
    }

    #[inline]
    fn pending(&self) -> bool {
        self.ring.has_completions() || self.ring.must_enter() || !self.held.is_empty()
    }

    fn reap(&mut self, completions: &mut Vec<Completion>) {
        if self.held.is_empty() && !self.ring.has_completions() {
            if !self.ring.must_enter() {
                return;
            }
            self.enter_once();
        }
        self.ring.taken();
        let mut received = 0;
        for _ in 0..limits::COMPLETIONS_PER_TURN_MAX {
            let Some(raw) = self.held.pop_front().or_else(|| self.ring.take()) else { break };
            let completion = self.record(raw);
            if let Some(Completion { result, buffer: Some(_), .. }) = completion {
                received += result.max(0) as usize;
            }
            completions.extend(completion);
            if received >= limits::RECEIVED_BYTES_PER_TURN_MAX {
                break;
            }
        }
        self.ring.taken();
    }

    fn accept(&mut self, listener: u32, token: Token) {
        let listener = types::Fd(self.listeners[listener as usize].as_raw_fd());
        let entry = if self.receives.mode() == ReceiveMode::Multishot {
            opcode::AcceptMulti::new(listener).flags(libc::SOCK_CLOEXEC).build()
        } else {
            let none = std::ptr::null_mut();
            opcode::Accept::new(listener, none, none.cast()).flags(libc::SOCK_CLOEXEC).build()
        };
        // SAFETY: it refers to no memory.
        unsafe { self.push(&entry.user_data(token.0)) };
    }

    fn accepted(&mut self, result: i32) -> LinuxSocket {
        let at = self.unclaimed.iter().position(|&fd| fd == result);
        let at = at.expect("a descriptor that a completion named, asked for once");
        self.unclaimed.remove(at);
        // SAFETY: the kernel has just made this descriptor for us, and nobody else was given it.
        LinuxSocket(unsafe { OwnedFd::from_raw_fd(result) })
    }

    fn receive(&mut self, socket: &LinuxSocket, token: Token, size: BufferSize) {
        let entry = self.receives.begin(socket.as_raw_fd(), token, size);
        // SAFETY: it refers to no memory but that of the registered groups, if to any.
        unsafe { self.push(&entry) };
    }

    #[inline]
    fn received(&self, buffer: BufferId, length: usize) -> &[u8] {
        self.receives.group(buffer.size).received(buffer.index, length)
    }

    #[inline]
    fn give_back(&mut self, buffer: BufferId) {
        self.receives.group_mut(buffer.size).give_back(buffer.index);
    }

    fn send(&mut self, socket: &LinuxSocket, token: Token, outgoing: Outgoing) {
        let entry = self.sends.begin(socket.as_raw_fd(), token, outgoing);
        // SAFETY: `sends` keeps what the entry refers to until `completed`.
        unsafe { self.push(&entry) };
    }

    fn take_back(&mut self, token: Token) -> Outgoing {
        self.sends.take_back(token)
    }

    fn cancel(&mut self, target: Token, token: Token) {
        let entry = opcode::AsyncCancel::new(target.0).build().user_data(token.0);
        // SAFETY: it refers to no memory.
        unsafe { self.push(&entry) };
    }

    fn cancel_all(&mut self, socket: &LinuxSocket, token: Token) {
        let of_socket = types::CancelBuilder::fd(types::Fd(socket.as_raw_fd())).all();
        let entry = opcode::AsyncCancel2::new(of_socket).build().user_data(token.0);
        // SAFETY: it refers to no memory.
        unsafe { self.push(&entry) };
    }

    fn peer_end(&mut self, socket: &LinuxSocket) -> PeerEnd {
        let mut poll = libc::pollfd { fd: socket.as_raw_fd(), events: libc::POLLRDHUP, revents: 0 };
        // SAFETY: one pollfd, valid for the call, which does not wait.
        let found = unsafe { libc::poll(&raw mut poll, 1, 0) };
        match poll.revents {
            _ if found <= 0 => PeerEnd::Open,
            revents if revents & (libc::POLLERR | libc::POLLHUP) != 0 => PeerEnd::Whole,
            revents if revents & libc::POLLRDHUP != 0 => PeerEnd::Half,
            _ => PeerEnd::Open,
        }
    }

    fn shutdown(&mut self, socket: &LinuxSocket) {
        // A peer that has reset meanwhile needs no last word; its receive says so.
        let _ = SockRef::from(&socket.0).shutdown(Shutdown::Write);
    }

    fn close(&mut self, socket: LinuxSocket) {
        let socket = types::Fd(socket.0.into_raw_fd());
        let entry = opcode::Close::new(socket).build().user_data(own(Own::Close));
        // SAFETY: it refers to no memory.
        unsafe { self.push(&entry) };
    }

    #[inline]
    fn submit(&mut self) {
        if self.ring.queued() > 0 || self.ring.must_enter() {
            self.enter_until_quiet();
        }
    }

    fn ring_doorbell(&mut self, shard: usize) {
        self.doorbells[shard].ring_if_parked();
    }
}

#[cfg(test)]
mod tests;
