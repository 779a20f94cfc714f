//! A ring as a shard's, tried for real: set-up flags, operations, and whether bytes arrive.

use crate::machine::buffer_rings::{BufferGroup, group};
use crate::machine::linux::{LinuxConfig, ReceiveMode};
use crate::machine::ring::{RawCompletion, Ring};
use crate::world::BufferSize;
use io_uring::{IoUring, opcode, squeue, types};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// How often and at what distance is looked for a byte that this very thread has written: it is
/// there at once, or never.
const STEPS: u32 = 10;
const STEP: Duration = Duration::from_millis(5);

/// What became of the attempt.
#[derive(Clone, Debug)]
pub enum Trial {
    /// There is no ring.
    Refused {
        /// What `io_uring_setup` has answered.
        errno: i32,
        /// Set-up flags that it does not take even alone.
        missing_flags: Vec<&'static str>,
    },
    /// There is a ring.
    Made {
        /// Operations that a shard uses and this kernel does not know.
        missing_operations: Vec<&'static str>,
        /// What it delivers.
        delivery: Delivery,
    },
}

/// Which ways of receiving have delivered a byte.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Delivery {
    /// Provided buffers, one request for many.
    pub multishot: bool,
    /// Provided buffers, one request each.
    pub single_shot: bool,
}

impl Delivery {
    /// The fastest way that delivers.
    pub fn best(self) -> ReceiveMode {
        match self {
            Self { multishot: true, .. } => ReceiveMode::Multishot,
            Self { single_shot: true, .. } => ReceiveMode::SingleShot,
            Self { .. } => ReceiveMode::Readiness,
        }
    }
}

/// Makes a ring with a shard's sizes and tries it; all is gone again when this returns.
pub fn run(world: &LinuxConfig) -> Trial {
    let mut ring = match Ring::new(world.submission_entries, world.completion_entries) {
        Ok(ring) => ring,
        Err(error) => return refused(&error),
    };
    let missing_operations = match ring.operations() {
        Ok(known) => missing_operations(&known),
        // Setting up is allowed and registering is not: no eventfd, so no parking either.
        Err(error) => return refused(&error),
    };
    let single = |fd| {
        opcode::Recv::new(fd, std::ptr::null_mut(), 0)
            .buf_group(group(BufferSize::Small))
            .build()
            .flags(squeue::Flags::BUFFER_SELECT)
    };
    let multi = |fd| opcode::RecvMulti::new(fd, group(BufferSize::Small)).build();
    let delivery = Delivery {
        multishot: delivers(&mut ring, multi, true).unwrap_or(false),
        single_shot: delivers(&mut ring, single, false).unwrap_or(false),
    };
    Trial::Made { missing_operations, delivery }
}

fn refused(error: &io::Error) -> Trial {
    let errno = error.raw_os_error().unwrap_or(libc::EIO);
    let missing_flags = if errno == libc::EINVAL { missing_flags() } else { Vec::new() };
    Trial::Refused { errno, missing_flags }
}

fn missing_operations(known: &io_uring::Probe) -> Vec<&'static str> {
    let used = [
        (opcode::Accept::CODE, "ACCEPT"),
        (opcode::Recv::CODE, "RECV"),
        (opcode::PollAdd::CODE, "POLL_ADD"),
        (opcode::Send::CODE, "SEND"),
        (opcode::SendMsg::CODE, "SENDMSG"),
        (opcode::AsyncCancel::CODE, "ASYNC_CANCEL"),
        (opcode::Close::CODE, "CLOSE"),
        (opcode::Timeout::CODE, "TIMEOUT"),
        (opcode::TimeoutUpdate::CODE, "TIMEOUT_REMOVE"),
    ];
    let missing = used.iter().filter(|(code, _)| !known.is_supported(*code));
    missing.map(|(_, name)| *name).collect()
}

fn missing_flags() -> Vec<&'static str> {
    type Flag = fn(&mut io_uring::Builder) -> &mut io_uring::Builder;
    // DEFER_TASKRUN is valid only together with SINGLE_ISSUER, TASKRUN_FLAG only with one of two.
    let flags: [(Flag, &str); 5] = [
        (|builder| builder.setup_cqsize(64), "IORING_SETUP_CQSIZE (Linux 5.5)"),
        (|builder| builder.setup_submit_all(), "IORING_SETUP_SUBMIT_ALL (5.18)"),
        (
            |builder| builder.setup_coop_taskrun().setup_taskrun_flag(),
            "IORING_SETUP_TASKRUN_FLAG (5.19)",
        ),
        (|builder| builder.setup_single_issuer(), "IORING_SETUP_SINGLE_ISSUER (6.0)"),
        (
            |builder| builder.setup_single_issuer().setup_defer_taskrun(),
            "IORING_SETUP_DEFER_TASKRUN (6.1)",
        ),
    ];
    let refused = |set: Flag| {
        let mut builder = IoUring::builder();
        let built = set(&mut builder).build(8);
        built.is_err_and(|error| error.raw_os_error() == Some(libc::EINVAL))
    };
    flags.iter().filter(|(set, _)| refused(*set)).map(|(_, name)| *name).collect()
}

/// Whether a byte that is written arrives in a provided buffer, with or without more to come.
fn delivers(
    ring: &mut Ring,
    receive: impl Fn(types::Fd) -> squeue::Entry,
    more: bool,
) -> io::Result<bool> {
    let buffers = BufferGroup::provided(ring, BufferSize::Small, 4096, 2)?;
    let (reader, mut writer) = UnixStream::pair()?;
    let entry = receive(types::Fd(reader.as_raw_fd())).user_data(1);
    // SAFETY: it refers to no memory but that of `buffers`, which outlives it, see below.
    let pushed = unsafe { ring.push(&entry) };
    let first = if pushed.is_ok() && writer.write_all(b"x").is_ok() {
        next_completion(ring)
    } else {
        Ok(None)
    };
    // The end of the stream ends a multishot receive, and one that has not seen the byte.
    drop(writer);
    while ring.under_way() > 0 && matches!(next_completion(ring), Ok(Some(_))) {}
    if ring.under_way() > 0 {
        // The kernel may still write there, so it is never unmapped.
        std::mem::forget(buffers);
        return Ok(false);
    }
    buffers.leave(ring);
    let arrived =
        |first: RawCompletion| first.result == 1 && first.buffer.is_some() && first.more == more;
    Ok(first?.is_some_and(arrived))
}

fn next_completion(ring: &mut Ring) -> io::Result<Option<RawCompletion>> {
    for step in 0..STEPS {
        if step > 0 {
            std::thread::sleep(STEP);
        }
        ring.try_enter()?;
        ring.taken();
        if let Some(completion) = ring.take() {
            ring.taken();
            return Ok(Some(completion));
        }
    }
    Ok(None)
}
