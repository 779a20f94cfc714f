//! Echo and sink servers on raw epoll, level-triggered: the classic way, with nothing around it.
//!
//! Busy-polling asks epoll with a timeout of zero for ever, which is the fastest a readiness server
//! answers; sleeping waits in the kernel and pays the wake-up of its CPU.

#![allow(unsafe_code)]

use std::io::{self, ErrorKind, Read};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

use serde::Serialize;

use super::client::{self, ClientWait, STREAM_WRITE_BYTES};
use super::{CpuPair, PingPong, Role, Stream, pair};

const EVENTS_MAX: usize = 64;
const LISTENER: u64 = u64::MAX;

/// How a server waits for its sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum ServerWait {
    /// Asks epoll again and again.
    Busy,
    /// Sleeps in epoll.
    Sleeping,
}

impl ServerWait {
    fn timeout_ms(self) -> i32 {
        match self {
            Self::Busy => 0,
            Self::Sleeping => -1,
        }
    }

    fn server(self) -> String {
        match self {
            Self::Busy => "busy epoll".into(),
            Self::Sleeping => "sleeping epoll".into(),
        }
    }
}

/// Ping-pong of `message_bytes` with an epoll echo server for about `duration`.
///
/// # Errors
/// When a thread cannot be pinned or a socket fails.
pub fn echo(
    cpus: CpuPair,
    server: ServerWait,
    client: ClientWait,
    message_bytes: usize,
    duration: Duration,
) -> io::Result<PingPong> {
    let latency_ns = pair::run(
        cpus,
        |listener| serve(listener, Role::Echo, server, cpus),
        |address| client::ping_pong(address, cpus, client, message_bytes, duration),
    )?;
    Ok(PingPong { server: server.server(), client, message_bytes, cpus, latency_ns })
}

/// A stream into an epoll server that drops it, for about `duration`.
///
/// # Errors
/// When a thread cannot be pinned or a socket fails.
pub fn sink(cpus: CpuPair, server: ServerWait, duration: Duration) -> io::Result<Stream> {
    let (bytes, seconds) = pair::run(
        cpus,
        |listener| serve(listener, Role::Sink, server, cpus),
        |address| client::stream(address, duration),
    )?;
    Ok(Stream {
        server: server.server(),
        write_bytes: STREAM_WRITE_BYTES,
        cpus,
        bytes,
        seconds,
        bytes_per_second: bytes as f64 / seconds,
    })
}

/// Serves until the last connection has closed.
fn serve(listener: TcpListener, role: Role, wait: ServerWait, cpus: CpuPair) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let epoll = Epoll::new()?;
    epoll.watch(listener.as_raw_fd(), LISTENER)?;
    let mut events = [libc::epoll_event { events: 0, u64: 0 }; EVENTS_MAX];
    let mut connections: Vec<Option<TcpStream>> = Vec::new();
    let mut buffer = vec![0; STREAM_WRITE_BYTES];
    loop {
        let ready = epoll.wait(&mut events, wait.timeout_ms())?;
        if ready == 0 && cpus.is_shared() {
            cpus.pause();
        }
        for event in &events[..ready] {
            if event.u64 == LISTENER {
                let (peer, _) = listener.accept()?;
                peer.set_nonblocking(true)?;
                peer.set_nodelay(true)?;
                epoll.watch(peer.as_raw_fd(), connections.len() as u64)?;
                connections.push(Some(peer));
                continue;
            }
            let connection = &mut connections[event.u64 as usize];
            // Events carry the index of a live connection: closing one also ends its events.
            let peer = connection.as_mut().expect("an event belongs to an open connection");
            if !receive(peer, role, &mut buffer, cpus)? {
                *connection = None;
            }
        }
        if !connections.is_empty() && connections.iter().all(Option::is_none) {
            return Ok(());
        }
    }
}

/// Takes what has arrived; false when the peer has closed.
fn receive(peer: &mut TcpStream, role: Role, buffer: &mut [u8], cpus: CpuPair) -> io::Result<bool> {
    loop {
        let received = match peer.read(buffer) {
            Ok(0) => return Ok(false),
            Ok(received) => received,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(false),
            Err(error) => return Err(error),
        };
        if role == Role::Echo {
            client::write_all(peer, &buffer[..received], cpus)?;
        }
        // A short read emptied the socket: asking again would only say so.
        if received < buffer.len() {
            return Ok(true);
        }
    }
}

/// An epoll instance.
struct Epoll {
    fd: OwnedFd,
}

impl Epoll {
    fn new() -> io::Result<Self> {
        // SAFETY: the call takes no pointer; its result is checked below.
        let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel just made this descriptor for us and nobody else owns it.
        Ok(Self { fd: unsafe { OwnedFd::from_raw_fd(fd) } })
    }

    /// Reports `fd` as `token` while it is readable; closing `fd` ends that.
    fn watch(&self, fd: RawFd, token: u64) -> io::Result<()> {
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: token };
        let epoll = self.fd.as_raw_fd();
        // SAFETY: `event` lives over the call, and the kernel copies it.
        match unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, fd, &raw mut event) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Fills `events` from its start and returns how many there are.
    fn wait(&self, events: &mut [libc::epoll_event], timeout_ms: i32) -> io::Result<usize> {
        let (pointer, room) = (events.as_mut_ptr(), events.len() as i32);
        // SAFETY: `pointer` leads to `room` events that are ours alone during the call.
        let ready = unsafe { libc::epoll_wait(self.fd.as_raw_fd(), pointer, room, timeout_ms) };
        if ready >= 0 {
            return Ok(ready as usize);
        }
        let error = io::Error::last_os_error();
        if error.kind() == ErrorKind::Interrupted { Ok(0) } else { Err(error) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(20);

    #[test]
    fn every_mode_answers() {
        let cpus = CpuPair::choose(None, None).expect("this host tells its CPUs");
        for server in [ServerWait::Busy, ServerWait::Sleeping] {
            for client in [ClientWait::Polling, ClientWait::Blocking] {
                let floor = echo(cpus, server, client, 100, SHORT).expect("echo runs");
                let latency = floor.latency_ns;
                assert!(latency.count > 0 && latency.p50 > 500, "{floor:?}");
                assert!(latency.p50 <= latency.p999 && latency.p999 <= latency.max, "{floor:?}");
            }
            let floor = sink(cpus, server, SHORT).expect("sink runs");
            assert!(floor.bytes_per_second > 1e4 && floor.seconds >= 0.02, "{floor:?}");
        }
    }

    #[test]
    fn the_largest_message_passes_and_a_larger_one_is_refused() {
        let cpus = CpuPair::choose(None, None).expect("this host tells its CPUs");
        let try_size = |bytes| echo(cpus, ServerWait::Busy, ClientWait::Blocking, bytes, SHORT);
        assert!(try_size(client::PING_BYTES_MAX).expect("the limit passes").latency_ns.count > 0);
        assert!(try_size(client::PING_BYTES_MAX + 1).is_err());
    }

    #[test]
    fn one_cpu_is_enough() {
        let one = CpuPair::choose(None, None).expect("this host tells its CPUs").server;
        let cpus = CpuPair { server: one, client: one };
        let floor = echo(cpus, ServerWait::Busy, ClientWait::Polling, 100, SHORT);
        assert!(floor.expect("echo runs on one CPU").latency_ns.count > 0);
    }
}
