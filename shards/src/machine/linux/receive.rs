//! The three ways of receiving: the kernel picks a buffer many times, once, or we do it ourselves.
//!
//! All three look the same to a shard: a completion lends a buffer, and `more` says whether another
//! follows without asking.

use super::{LinuxConfig, LinuxWorld};
use crate::machine::buffer_rings::{BufferGroup, buffer_of, group};
use crate::machine::ring::{RawCompletion, Ring};
use crate::world::{BufferId, BufferSize, Completion, Token};
use io_uring::{opcode, squeue, types};
use std::io;
use std::os::fd::RawFd;

/// How a shard receives and accepts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ReceiveMode {
    /// One request delivers until it ends; the kernel picks buffers. Linux 6.0 and newer.
    #[default]
    Multishot,
    /// One request delivers once; the kernel picks the buffer.
    SingleShot,
    /// The ring says only that a socket is readable, and the shard reads it with a system call of
    /// its own into a plain buffer: for kernels whose provided buffers cannot be used or trusted.
    Readiness,
}

/// The receive buffers, and in readiness mode what to read when a socket is readable.
pub struct Receives {
    mode: ReceiveMode,
    small: BufferGroup,
    large: BufferGroup,
    /// By slot; only in readiness mode.
    armed: Vec<(RawFd, BufferSize)>,
}

impl Receives {
    pub fn new(ring: &Ring, config: &LinuxConfig) -> io::Result<Self> {
        let make = |size, bytes, count| match config.receive {
            ReceiveMode::Readiness => BufferGroup::plain(size, bytes, count),
            _ => BufferGroup::provided(ring, size, bytes, count),
        };
        let small = make(BufferSize::Small, config.small_buffer_bytes, config.small_buffers)?;
        let large = match make(BufferSize::Large, config.large_buffer_bytes, config.large_buffers) {
            Ok(large) => large,
            Err(error) => {
                small.leave(ring);
                return Err(error);
            }
        };
        Ok(Self { mode: config.receive, small, large, armed: Vec::new() })
    }

    pub fn mode(&self) -> ReceiveMode {
        self.mode
    }

    #[inline]
    pub fn group(&self, size: BufferSize) -> &BufferGroup {
        match size {
            BufferSize::Small => &self.small,
            BufferSize::Large => &self.large,
        }
    }

    #[inline]
    pub fn group_mut(&mut self, size: BufferSize) -> &mut BufferGroup {
        match size {
            BufferSize::Small => &mut self.small,
            BufferSize::Large => &mut self.large,
        }
    }

    pub fn free(&self, size: BufferSize) -> u16 {
        self.group(size).free()
    }

    /// The entry that receives from a socket.
    pub fn begin(&mut self, socket: RawFd, token: Token, size: BufferSize) -> squeue::Entry {
        let fd = types::Fd(socket);
        let entry = match self.mode {
            ReceiveMode::Multishot => opcode::RecvMulti::new(fd, group(size)).build(),
            // Length 0 means the whole buffer.
            ReceiveMode::SingleShot => opcode::Recv::new(fd, std::ptr::null_mut(), 0)
                .buf_group(group(size))
                .build()
                .flags(squeue::Flags::BUFFER_SELECT),
            ReceiveMode::Readiness => {
                let slot = token.slot() as usize;
                if slot >= self.armed.len() {
                    self.armed.resize(slot + 1, (-1, BufferSize::Small));
                }
                self.armed[slot] = (socket, size);
                readable(socket)
            }
        };
        entry.user_data(token.0)
    }

    /// Reads a socket that is readable: bytes and their buffer, or an error of `recv`.
    fn read(&mut self, token: Token) -> Result<(i32, Option<BufferId>), i32> {
        let (socket, size) = self.armed[token.slot() as usize];
        let group = self.group_mut(size);
        let Some((index, buffer)) = group.next_plain() else { return Err(libc::ENOBUFS) };
        let (start, length) = (buffer.as_mut_ptr().cast(), buffer.len());
        // SAFETY: the buffer is ours for the call.
        let received = unsafe { libc::recv(socket, start, length, libc::MSG_DONTWAIT) };
        if received < 0 {
            return Err(io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO));
        }
        if received == 0 {
            return Ok((0, None));
        }
        group.mark_lent(index);
        Ok((received as i32, Some(BufferId { size, index })))
    }

    /// Before the memory goes; no operation is under way any more.
    pub fn leave(&self, ring: &Ring) {
        self.small.leave(ring);
        self.large.leave(ring);
    }
}

impl LinuxWorld {
    /// A receive's completion, with its buffer noted as lent.
    #[inline]
    pub(super) fn received_raw(&mut self, token: Token, raw: RawCompletion) -> Option<Completion> {
        let RawCompletion { mut result, more, buffer, .. } = raw;
        let mut buffer = buffer.map(buffer_of);
        if let Some(BufferId { size, index }) = buffer {
            let group = self.receives.group_mut(size);
            group.mark_lent(index);
            if result <= 0 {
                group.give_back(index);
                buffer = None;
            }
        }
        if self.receives.mode == ReceiveMode::Readiness && result >= 0 {
            match self.receives.read(token) {
                Ok(read) => (result, buffer) = read,
                Err(libc::EAGAIN | libc::EINTR) => {
                    let (socket, _) = self.receives.armed[token.slot() as usize];
                    // SAFETY: it refers to no memory.
                    unsafe { self.push(&readable(socket).user_data(token.0)) };
                    return None;
                }
                Err(errno) => result = -errno,
            }
        }
        self.counters.buffers_exhausted += u64::from(result == -libc::ENOBUFS);
        Some(Completion { token, result, more, buffer })
    }
}

fn readable(socket: RawFd) -> squeue::Entry {
    opcode::PollAdd::new(types::Fd(socket), libc::POLLIN as u32).build()
}
