//! Echo and sink servers on a raw `io_uring`, with the flags and the operations that a shard uses:
//! SINGLE_ISSUER, DEFER_TASKRUN, multishot accept, multishot receive into provided buffers.
//!
//! The server looks at the completion queue and at the TASKRUN flag, which are both in memory, and
//! enters the kernel only when one of them says so or something waits to be submitted. It spins for
//! ever, or for a bounded time and then parks inside the ring.

#![allow(unsafe_code)]

use std::collections::{HashMap, VecDeque};
use std::io::{self, ErrorKind};
use std::net::TcpListener;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

use io_uring::{IoUring, cqueue, opcode, squeue, types};

use super::buffer_ring::BufferRing;
use super::client::{self, ClientWait, STREAM_WRITE_BYTES};
use super::{CpuPair, PingPong, Role, Stream, pair};

const SUBMISSIONS: u32 = 256;
/// Four times the submissions, so that a burst of receives does not overflow.
const COMPLETIONS: u32 = 1024;
const _: () = assert!(COMPLETIONS >= 4 * SUBMISSIONS, "a completion queue that overflows is slow");

/// Ping-pong of `message_bytes` with a ring echo server that parks after `spin` without work
/// (`None`: never).
///
/// # Errors
/// When this host blocks `io_uring`, a thread cannot be pinned, or a socket fails.
pub fn echo(
    cpus: CpuPair,
    spin: Option<Duration>,
    client: ClientWait,
    message_bytes: usize,
    duration: Duration,
) -> io::Result<PingPong> {
    let latency_ns = pair::run(
        cpus,
        |listener| RingServer::new(Role::Echo, cpus)?.serve(listener, spin),
        |address| client::ping_pong(address, cpus, client, message_bytes, duration),
    )?;
    Ok(PingPong { server: server_name(spin), client, message_bytes, cpus, latency_ns })
}

/// A stream into a ring server that drops it, for about `duration`.
///
/// # Errors
/// When this host blocks `io_uring`, a thread cannot be pinned, or a socket fails.
pub fn sink(cpus: CpuPair, spin: Option<Duration>, duration: Duration) -> io::Result<Stream> {
    let (bytes, seconds) = pair::run(
        cpus,
        |listener| RingServer::new(Role::Sink, cpus)?.serve(listener, spin),
        |address| client::stream(address, duration),
    )?;
    Ok(Stream {
        server: server_name(spin),
        write_bytes: STREAM_WRITE_BYTES,
        cpus,
        bytes,
        seconds,
        bytes_per_second: bytes as f64 / seconds,
    })
}

fn server_name(spin: Option<Duration>) -> String {
    match spin {
        None => "busy raw ring".into(),
        Some(spin) => format!("raw ring parking after {} us", spin.as_micros()),
    }
}

/// What a completion is about, packed into its `user_data`:
/// `operation << 48 | buffer << 32 | descriptor`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Accept,
    Receive(RawFd),
    Send(RawFd, u16),
}

impl Token {
    fn pack(self) -> u64 {
        match self {
            Self::Accept => 0,
            Self::Receive(fd) => 1 << 48 | fd as u64,
            Self::Send(fd, buffer) => 2 << 48 | u64::from(buffer) << 32 | fd as u64,
        }
    }

    fn unpack(packed: u64) -> Self {
        let fd = packed as u32 as RawFd;
        match packed >> 48 {
            0 => Self::Accept,
            1 => Self::Receive(fd),
            _ => Self::Send(fd, (packed >> 32) as u16),
        }
    }
}

/// One peer. Its descriptor closes when both directions have ended, so no completion can name a
/// descriptor that meanwhile belongs to another peer.
struct Connection {
    _socket: OwnedFd,
    receiving: bool,
    /// Buffers to send back, in order, with their length; the first one is being sent.
    sending: VecDeque<(u16, u32)>,
}

struct RingServer {
    ring: IoUring,
    buffers: BufferRing,
    role: Role,
    cpus: CpuPair,
    connections: HashMap<RawFd, Connection>,
    completed: Vec<(Token, i32, u32)>,
    had_connection: bool,
}

impl RingServer {
    /// Built on the thread that serves: SINGLE_ISSUER binds the ring to it.
    fn new(role: Role, cpus: CpuPair) -> io::Result<Self> {
        let ring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_taskrun_flag()
            .setup_cqsize(COMPLETIONS)
            .build(SUBMISSIONS)?;
        let buffers = BufferRing::register(&ring)?;
        Ok(Self {
            ring,
            buffers,
            role,
            cpus,
            connections: HashMap::new(),
            completed: Vec::with_capacity(COMPLETIONS as usize),
            had_connection: false,
        })
    }

    /// Serves until the last connection has closed.
    fn serve(mut self, listener: TcpListener, spin: Option<Duration>) -> io::Result<()> {
        let accept = opcode::AcceptMulti::new(types::Fd(listener.as_raw_fd()))
            .flags(libc::SOCK_CLOEXEC)
            .build()
            .user_data(Token::Accept.pack());
        self.queue(&accept)?;
        let mut busy_at = Instant::now();
        while !self.had_connection || !self.connections.is_empty() {
            self.reap()?;
            if !self.completed.is_empty() {
                self.act(&listener)?;
                busy_at = Instant::now();
            } else if spin.is_some_and(|spin| busy_at.elapsed() >= spin) {
                uninterrupted(self.ring.submit_and_wait(1))?;
                busy_at = Instant::now();
            } else {
                self.cpus.pause();
            }
        }
        Ok(())
    }

    /// Submits what is queued, lets the kernel finish what is due, and records completions.
    fn reap(&mut self) -> io::Result<()> {
        let submissions = self.ring.submission();
        let due = !submissions.is_empty() || submissions.taskrun() || submissions.cq_overflow();
        drop(submissions);
        if due {
            uninterrupted(self.ring.submit())?;
        }
        let completions = self.ring.completion();
        let recorded = completions.map(|c| (Token::unpack(c.user_data()), c.result(), c.flags()));
        self.completed.extend(recorded);
        Ok(())
    }

    fn act(&mut self, listener: &TcpListener) -> io::Result<()> {
        let completed = std::mem::take(&mut self.completed);
        for &(token, result, flags) in &completed {
            match token {
                Token::Accept if result < 0 => return Err(io::Error::from_raw_os_error(-result)),
                Token::Accept => self.accepted(result, flags, listener)?,
                Token::Receive(fd) => self.received(fd, result, flags)?,
                Token::Send(fd, buffer) => self.sent(fd, buffer, result)?,
            }
        }
        self.completed = completed;
        self.completed.clear();
        Ok(())
    }

    fn accepted(&mut self, fd: RawFd, flags: u32, listener: &TcpListener) -> io::Result<()> {
        // SAFETY: the accept just made this descriptor for us and nobody else owns it.
        let socket = unsafe { OwnedFd::from_raw_fd(fd) };
        socket2::SockRef::from(&socket).set_tcp_nodelay(true)?;
        let connection = Connection { _socket: socket, receiving: true, sending: VecDeque::new() };
        self.connections.insert(fd, connection);
        self.had_connection = true;
        if !cqueue::more(flags) {
            let accept = opcode::AcceptMulti::new(types::Fd(listener.as_raw_fd()));
            self.queue(&accept.build().user_data(Token::Accept.pack()))?;
        }
        self.receive(fd)
    }

    fn receive(&mut self, fd: RawFd) -> io::Result<()> {
        let receive = opcode::RecvMulti::new(types::Fd(fd), 0).build();
        self.queue(&receive.user_data(Token::Receive(fd).pack()))
    }

    fn received(&mut self, fd: RawFd, result: i32, flags: u32) -> io::Result<()> {
        let buffer = cqueue::buffer_select(flags);
        if let (Some(buffer), 1..) = (buffer, result) {
            match self.role {
                Role::Sink => self.buffers.give_back(buffer),
                Role::Echo => {
                    let sending = &mut self.connection(fd).sending;
                    sending.push_back((buffer, result as u32));
                    // A second send beside one in flight could overtake its remainder.
                    if sending.len() == 1 {
                        self.send(fd, buffer, result as u32)?;
                    }
                }
            }
        }
        if cqueue::more(flags) {
            return Ok(());
        }
        // The end of the stream and errors end the connection; an empty buffer ring, or a multishot
        // that the kernel ended without a reason, is armed again.
        if result > 0 || result == -libc::ENOBUFS {
            return self.receive(fd);
        }
        self.connection(fd).receiving = false;
        self.close_if_done(fd);
        Ok(())
    }

    fn send(&mut self, fd: RawFd, buffer: u16, bytes: u32) -> io::Result<()> {
        // MSG_WAITALL has the kernel finish short sends.
        let send = opcode::Send::new(types::Fd(fd), self.buffers.at(buffer), bytes)
            .flags(libc::MSG_WAITALL | libc::MSG_NOSIGNAL)
            .build();
        self.queue(&send.user_data(Token::Send(fd, buffer).pack()))
    }

    fn sent(&mut self, fd: RawFd, buffer: u16, result: i32) -> io::Result<()> {
        self.buffers.give_back(buffer);
        let sending = &mut self.connection(fd).sending;
        let asked = sending.pop_front().map(|(_, bytes)| bytes as i32);
        if asked != Some(result) {
            let failed = io::Error::other(format!("a send of {asked:?} bytes ended with {result}"));
            return Err(failed);
        }
        if let Some(&(buffer, bytes)) = sending.front() {
            return self.send(fd, buffer, bytes);
        }
        self.close_if_done(fd);
        Ok(())
    }

    fn close_if_done(&mut self, fd: RawFd) {
        let connection = self.connection(fd);
        if !connection.receiving && connection.sending.is_empty() {
            self.connections.remove(&fd);
        }
    }

    fn connection(&mut self, fd: RawFd) -> &mut Connection {
        // A connection stays until its last completion, so every completion finds its own.
        self.connections.get_mut(&fd).expect("a completion belongs to an open connection")
    }

    fn queue(&mut self, entry: &squeue::Entry) -> io::Result<()> {
        loop {
            // SAFETY: what entries refer to outlives them: descriptors stay open until their last
            // completion, and the buffers are never freed.
            if unsafe { self.ring.submission().push(entry) }.is_ok() {
                return Ok(());
            }
            uninterrupted(self.ring.submit())?;
        }
    }
}

/// An interrupted call, and a kernel that wants its completions reaped first, are no failures.
fn uninterrupted(entered: io::Result<usize>) -> io::Result<()> {
    match entered {
        Err(error) if error.kind() == ErrorKind::Interrupted => Ok(()),
        Err(error) if error.raw_os_error() == Some(libc::EBUSY) => Ok(()),
        other => other.map(drop),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(20);

    #[test]
    fn tokens_survive_packing() {
        let max = RawFd::MAX;
        for token in [Token::Accept, Token::Receive(7), Token::Send(max, 15), Token::Receive(max)] {
            assert_eq!(Token::unpack(token.pack()), token);
        }
    }

    #[test]
    fn every_mode_answers() {
        let cpus = CpuPair::choose(None, None).expect("this host tells its CPUs");
        for spin in [None, Some(Duration::from_micros(50)), Some(Duration::ZERO)] {
            for client in [ClientWait::Polling, ClientWait::Blocking] {
                let floor = echo(cpus, spin, client, 100, SHORT).expect("echo runs");
                assert!(floor.latency_ns.count > 0 && floor.latency_ns.p50 > 500, "{floor:?}");
            }
            let floor = sink(cpus, spin, SHORT).expect("sink runs");
            assert!(floor.bytes_per_second > 1e4, "{floor:?}");
        }
    }

    #[test]
    fn long_messages_come_back_whole_and_in_order() {
        let cpus = CpuPair::choose(None, None).expect("this host tells its CPUs");
        let floor = echo(cpus, None, ClientWait::Blocking, client::PING_BYTES_MAX, SHORT);
        assert!(floor.expect("the client compares the last echo").latency_ns.count > 0);
    }
}
