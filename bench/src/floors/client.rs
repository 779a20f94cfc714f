//! The two clients that drive every socket floor: one message back and forth, and a stream.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::cpus::CpuPair;
use super::latency::{self, Latency};

/// Largest message of a ping-pong, bytes: both directions together fit the smallest socket buffers
/// that Linux starts with, so a client that writes before it reads cannot deadlock.
pub const PING_BYTES_MAX: usize = 64 * 1024;
/// Bytes in each write of the stream client: a pipe's worth, beyond which nothing is gained.
pub const STREAM_WRITE_BYTES: usize = 64 * 1024;

/// How a client waits for a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum ClientWait {
    /// Asks the socket again and again.
    Polling,
    /// Sleeps in the kernel.
    Blocking,
}

/// Sends `message_bytes`, waits for as many, and again, for `duration` after a warm-up.
pub(super) fn ping_pong(
    address: SocketAddr,
    cpus: CpuPair,
    wait: ClientWait,
    message_bytes: usize,
    duration: Duration,
) -> io::Result<Latency> {
    if message_bytes == 0 || message_bytes > PING_BYTES_MAX {
        let told = format!("a ping-pong takes 1 to {PING_BYTES_MAX} bytes, not {message_bytes}");
        return Err(io::Error::new(ErrorKind::InvalidInput, told));
    }
    let mut socket = TcpStream::connect(address)?;
    socket.set_nodelay(true)?;
    socket.set_nonblocking(wait == ClientWait::Polling)?;
    let (ping, mut pong) = (vec![0x5a; message_bytes], vec![0; message_bytes]);
    let latency = latency::of_trips(duration, || {
        write_all(&mut socket, &ping, cpus)?;
        read_all(&mut socket, &mut pong, cpus)
    })?;
    if pong != ping {
        return Err(io::Error::new(ErrorKind::InvalidData, "the echo differs from what was sent"));
    }
    Ok(latency)
}

/// Writes zeros for `duration`; returns bytes and the seconds until the server had read them all.
pub(super) fn stream(address: SocketAddr, duration: Duration) -> io::Result<(u64, f64)> {
    let mut socket = TcpStream::connect(address)?;
    let block = vec![0; STREAM_WRITE_BYTES];
    let mut bytes = 0;
    let began = Instant::now();
    while bytes == 0 || began.elapsed() < duration {
        socket.write_all(&block)?;
        bytes += block.len() as u64;
    }
    // The server closes when it has read the end of the stream, so megabytes that are still in
    // socket buffers do not count as received before they are.
    socket.shutdown(Shutdown::Write)?;
    socket.read_to_end(&mut Vec::new())?;
    Ok((bytes, began.elapsed().as_secs_f64()))
}

/// Writes all of `bytes`, pausing while a non-blocking socket is full.
pub(super) fn write_all(socket: &mut TcpStream, mut bytes: &[u8], cpus: CpuPair) -> io::Result<()> {
    while !bytes.is_empty() {
        match socket.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(error) => pause_or_fail(error, cpus)?,
        }
    }
    Ok(())
}

fn read_all(socket: &mut TcpStream, mut bytes: &mut [u8], cpus: CpuPair) -> io::Result<()> {
    while !bytes.is_empty() {
        match socket.read(bytes) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(received) => bytes = &mut bytes[received..],
            Err(error) => pause_or_fail(error, cpus)?,
        }
    }
    Ok(())
}

fn pause_or_fail(error: io::Error, cpus: CpuPair) -> io::Result<()> {
    match error.kind() {
        ErrorKind::WouldBlock => cpus.pause(),
        ErrorKind::Interrupted => {}
        _ => return Err(error),
    }
    Ok(())
}
