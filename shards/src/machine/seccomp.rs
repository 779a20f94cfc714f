//! Faults of system calls for tests: a seccomp filter on the calling thread, gone when it ends.

use libc::sock_filter;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;

const LOAD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
const EQUALS: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
const RETURN: u32 = libc::BPF_RET | libc::BPF_K;
/// Where a filter finds the number of the system call, and the low half of its second argument.
const NUMBER: u32 = 0;
const SECOND_ARGUMENT: u32 = if cfg!(target_endian = "little") { 24 } else { 28 };
/// A supervisor's answer: let the call happen.
const CONTINUE: u32 = 1;

/// From now on this system call fails with `errno` on this thread.
pub fn deny(call: libc::c_long, errno: i32) {
    install(call, libc::SECCOMP_RET_ERRNO | errno as u32, 0);
}

/// From now on this operation of `io_uring_register` fails with `errno` on this thread.
pub fn deny_registering(operation: u32, errno: i32) {
    const REGISTERED_RING: u32 = 1 << 31;
    install_program(
        &mut [
            statement(LOAD, NUMBER),
            sock_filter { jf: 4, ..statement(EQUALS, libc::SYS_io_uring_register as u32) },
            statement(LOAD, SECOND_ARGUMENT),
            statement(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K, !REGISTERED_RING),
            sock_filter { jf: 1, ..statement(EQUALS, operation) },
            statement(RETURN, libc::SECCOMP_RET_ERRNO | errno as u32),
            statement(RETURN, libc::SECCOMP_RET_ALLOW),
        ],
        0,
    );
}

/// From now on the next calls of this system call on this thread fail with these errnos, one each
/// (0 lets one through), and later ones go through. Joining says how many calls there were; it
/// waits for the end of the thread.
pub fn fail_next(call: libc::c_long, errnos: Vec<i32>) -> JoinHandle<usize> {
    let (to_supervisor, listener) = channel();
    // Before the filter is there, so that it is not inherited and ends with this thread.
    let supervisor = std::thread::spawn(move || supervise(&listener, &errnos));
    let flags = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;
    let listener = install(call, libc::SECCOMP_RET_USER_NOTIF, flags);
    // SAFETY: with that flag the call returns a descriptor that is ours.
    let listener = unsafe { OwnedFd::from_raw_fd(listener) };
    to_supervisor.send(listener).expect("the supervisor waits for it");
    supervisor
}

fn install(call: libc::c_long, action: u32, flags: libc::c_ulong) -> i32 {
    install_program(
        &mut [
            statement(LOAD, NUMBER),
            sock_filter { jf: 1, ..statement(EQUALS, call as u32) },
            statement(RETURN, action),
            statement(RETURN, libc::SECCOMP_RET_ALLOW),
        ],
        flags,
    )
}

fn statement(code: u32, k: u32) -> sock_filter {
    sock_filter { code: code as u16, jt: 0, jf: 0, k }
}

fn install_program(program: &mut [sock_filter], flags: libc::c_ulong) -> i32 {
    let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: numbers, and a program that the kernel copies before the call returns.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        let mode = libc::SECCOMP_SET_MODE_FILTER;
        let result = libc::syscall(libc::SYS_seccomp, mode, flags, &raw const program);
        assert!(result >= 0, "seccomp: {}", std::io::Error::last_os_error());
        result as i32
    }
}

fn supervise(listener: &Receiver<OwnedFd>, errnos: &[i32]) -> usize {
    let listener = listener.recv().expect("the filter is installed");
    let mut calls = 0;
    loop {
        let mut poll = libc::pollfd { fd: listener.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one pollfd, valid for the call.
        unsafe { libc::poll(&raw mut poll, 1, -1) };
        if poll.revents & libc::POLLIN == 0 {
            return calls;
        }
        let errno = errnos.get(calls).copied().unwrap_or(0);
        // SAFETY: both structures are integers, for which zero is a value, and the kernel reads
        // and writes no more than their sizes, which are part of the requests' numbers.
        unsafe {
            let mut call: libc::seccomp_notif = std::mem::zeroed();
            if libc::ioctl(listener.as_raw_fd(), request::<libc::seccomp_notif>(0), &mut call) < 0 {
                continue;
            }
            let mut answer: libc::seccomp_notif_resp = std::mem::zeroed();
            answer.id = call.id;
            answer.error = -errno;
            answer.flags = if errno == 0 { CONTINUE } else { 0 };
            libc::ioctl(listener.as_raw_fd(), request::<libc::seccomp_notif_resp>(1), &mut answer);
        }
        calls += 1;
    }
}

/// `_IOWR('!', number, T)`.
fn request<T>(number: u64) -> libc::Ioctl {
    (3 << 30 | (size_of::<T>() as u64) << 16 | u64::from(b'!') << 8 | number) as libc::Ioctl
}
