//! Listening sockets, and the options that accepted ones get from them.
//!
//! Linux copies a listener's TCP options to each socket it accepts, so they are set once here and
//! cost an accept nothing. All sockets are blocking: io_uring waits for them by polling, and would
//! hand `EAGAIN` back for non-blocking ones.

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::time::Duration;

/// How a listener is set up.
#[derive(Clone, Debug)]
pub struct ListenerOptions {
    /// Connections that the kernel completes before they are accepted; `somaxconn` caps it.
    pub backlog: i32,
    /// Silence after which the kernel probes a peer. One that does not answer is given up after
    /// twice as long, whether it is silent or owes acknowledgements for what it was sent.
    pub heartbeat: Duration,
    /// Whether several listeners share the address, each with its part of the connections.
    pub reuse_port: bool,
    /// The kernel's receive buffer of each connection, instead of one that grows as needed.
    pub receive_bytes: Option<usize>,
    /// The kernel's send buffer of each connection, instead of one that grows as needed.
    pub send_bytes: Option<usize>,
}

impl Default for ListenerOptions {
    fn default() -> Self {
        Self {
            backlog: 4096,
            heartbeat: Duration::from_millis(crate::limits::HEARTBEAT_MS),
            reuse_port: false,
            receive_bytes: None,
            send_bytes: None,
        }
    }
}

/// A bound, listening socket.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    address: SocketAddr,
}

impl Listener {
    /// Binds and listens; port 0 takes a free one.
    ///
    /// # Errors
    /// When the address is in use, not of this host, or not allowed.
    pub fn bind(address: SocketAddr, options: &ListenerOptions) -> io::Result<Self> {
        // socket2 sets SOCK_CLOEXEC.
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        // A restart must not wait for the last run's connections to be forgotten.
        socket.set_reuse_address(true)?;
        if options.reuse_port {
            socket.set_reuse_port(true)?;
        }
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        if let Some(bytes) = options.receive_bytes {
            socket.set_recv_buffer_size(bytes)?;
        }
        if let Some(bytes) = options.send_bytes {
            socket.set_send_buffer_size(bytes)?;
        }
        set_connection_options(SockRef::from(&socket), options.heartbeat)?;
        socket.bind(&address.into())?;
        socket.listen(options.backlog)?;
        let address = socket.local_addr()?.as_socket();
        let address = address.ok_or_else(|| io::Error::other("a TCP socket has an IP address"))?;
        Ok(Self { socket, address })
    }

    /// Where it listens; the port is the real one.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Another descriptor of the same socket: two shards may accept from one listener.
    ///
    /// # Errors
    /// When the process has no descriptor left.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { socket: self.socket.try_clone()?, address: self.address })
    }
}

impl AsRawFd for Listener {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn set_connection_options(socket: SockRef<'_>, heartbeat: Duration) -> io::Result<()> {
    // The kernel counts these in whole seconds and takes none below one.
    let second = Duration::from_secs(1);
    let idle = heartbeat.max(second);
    let probe = (heartbeat / 3).max(second);
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(
        &TcpKeepalive::new().with_time(idle).with_interval(probe).with_retries(3),
    )?;
    // Also counts unanswered probes: whichever comes first, a half-open peer is found in time.
    socket.set_tcp_user_timeout(Some(2 * heartbeat))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn accepted_sockets_have_the_options() {
        let options =
            ListenerOptions { heartbeat: Duration::from_secs(9), ..ListenerOptions::default() };
        let listener = Listener::bind("127.0.0.1:0".parse().expect("an address"), &options)
            .expect("loopback is there");
        let _peer = TcpStream::connect(listener.address()).expect("it listens");
        let (accepted, _) = TcpListener::from(listener.socket).accept().expect("a peer waits");
        let accepted = SockRef::from(&accepted);
        assert!(accepted.tcp_nodelay().expect("readable"));
        assert!(accepted.keepalive().expect("readable"));
        assert_eq!(accepted.tcp_keepalive_time().expect("readable"), Duration::from_secs(9));
        assert_eq!(accepted.tcp_keepalive_interval().expect("readable"), Duration::from_secs(3));
        assert_eq!(accepted.tcp_keepalive_retries().expect("readable"), 3);
        let limit = accepted.tcp_user_timeout().expect("readable");
        assert_eq!(limit, Some(Duration::from_secs(18)));
        assert!(!accepted.nonblocking().expect("readable"));
    }

    #[test]
    fn an_address_in_use_is_refused_unless_it_is_shared() {
        let any = "127.0.0.1:0".parse().expect("an address");
        let alone = ListenerOptions::default();
        let first = Listener::bind(any, &alone).expect("loopback is there");
        let second = Listener::bind(first.address(), &alone);
        assert_eq!(second.expect_err("in use").kind(), io::ErrorKind::AddrInUse);

        let shared = ListenerOptions { reuse_port: true, ..alone };
        let first = Listener::bind(any, &shared).expect("loopback is there");
        Listener::bind(first.address(), &shared).expect("shared by both");
    }
}
