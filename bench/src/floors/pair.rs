//! One server thread and one client thread, each pinned to its CPU.
//!
//! The server owns the listening socket and ends when its last connection has closed. So nothing
//! has to be signalled: a client that ends, well or not, ends the server, and a server that fails
//! closes its sockets, which ends the client.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;

use super::cpus::{CpuPair, pin_to};

/// Runs `client` against `server` and returns what the client measured.
pub(super) fn run<S, C, T>(cpus: CpuPair, server: S, client: C) -> io::Result<T>
where
    S: FnOnce(TcpListener) -> io::Result<()> + Send,
    C: FnOnce(SocketAddr) -> io::Result<T> + Send,
    T: Send,
{
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    thread::scope(|scope| {
        let server = scope.spawn(move || {
            pin(cpus.server)?;
            server(listener)
        });
        let client = scope.spawn(move || {
            pin(cpus.client)?;
            client(address)
        });
        let measured = joined(client.join());
        // A client that failed before it connected leaves the server waiting for its first
        // connection: this one ends it. Refused means that it has ended already.
        drop(TcpStream::connect(address));
        // The server's failure is the cause, the client's then only its consequence.
        joined(server.join())?;
        measured
    })
}

fn pin(cpu: usize) -> io::Result<()> {
    if pin_to(cpu) {
        return Ok(());
    }
    Err(io::Error::other(format!("the kernel refused to pin a thread to CPU {cpu}")))
}

fn joined<T>(outcome: thread::Result<io::Result<T>>) -> io::Result<T> {
    outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn serve_one(listener: TcpListener) -> io::Result<()> {
        let (mut peer, _) = listener.accept()?;
        peer.read_to_end(&mut Vec::new()).map(drop)
    }

    #[test]
    fn a_client_that_never_connects_ends_the_server() {
        let cpus = CpuPair::choose(None, None).expect("this host tells its CPUs");
        let failed = run(cpus, serve_one, |_| Err::<(), _>(io::Error::other("no start")));
        assert_eq!(failed.unwrap_err().to_string(), "no start");
    }

    #[test]
    fn a_server_that_fails_is_the_cause_reported() {
        let cpus = CpuPair::choose(None, None).expect("this host tells its CPUs");
        let server = |_: TcpListener| Err(io::Error::other("blocked by the host"));
        let client = |address: SocketAddr| TcpStream::connect(address)?.read(&mut [0]);
        assert_eq!(run(cpus, server, client).unwrap_err().to_string(), "blocked by the host");
    }
}
