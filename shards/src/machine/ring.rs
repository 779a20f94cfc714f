//! One raw io_uring ring, owned by the thread that made it: entries in, completions out, and what
//! the kernel's answers to "enter" mean.
//!
//! The three ends of the ring are split off once and kept, because the registered descriptor that
//! spares a look-up in each system call lives in one `Submitter`. Whoever pushes an entry promises
//! that the memory it names outlives the operation; the ring counts the operations under way, so
//! that its owner can wait for the last of them before it frees anything.

use io_uring::types::{BufRingEntry, SubmitArgs, Timespec};
use io_uring::{CompletionQueue, CompletionStatus, EnterFlags, IoUring};
use io_uring::{SubmissionQueue, Submitter, cqueue, squeue};
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::NonNull;
use std::sync::atomic::{Ordering, fence};
use std::time::Duration;

/// A completion as the kernel wrote it.
#[derive(Clone, Copy, Debug)]
pub struct RawCompletion {
    /// What the operation's entry carried.
    pub user_data: u64,
    /// A count or a descriptor, or a negative errno.
    pub result: i32,
    /// Whether more completions of the same operation follow.
    pub more: bool,
    /// The provided buffer that the kernel chose.
    pub buffer: Option<u16>,
}

/// What has to follow after the kernel was entered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Entered {
    /// It took what it was given.
    Taken,
    /// A signal came first: enter again.
    Interrupted,
    /// It has no room or no memory for now: take completions out, then enter again.
    ReapFirst,
}

/// The submission queue has no free entry: enter, then push again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SubmissionsFull;

/// A ring with what its flags need: Linux 6.1 or newer.
///
/// Field order matters on drop only in [`Drop::drop`], which takes the ends before the ring.
pub struct Ring {
    submitter: ManuallyDrop<Submitter<'static>>,
    submissions: ManuallyDrop<SubmissionQueue<'static>>,
    completions: ManuallyDrop<CompletionQueue<'static>>,
    status: CompletionStatus,
    /// From `Box::into_raw`; the fields above point into it, so it is freed after them.
    ring: NonNull<IoUring>,
    /// Whether the kernel finds the ring by a number of the thread's own.
    is_registered: bool,
    /// Operations whose terminal completion was not taken out yet.
    under_way: usize,
}

impl Ring {
    /// A ring for the calling thread, which is the only one that may ever use it.
    ///
    /// # Errors
    /// What `io_uring_setup` says; `probe.rs` knows what it means.
    pub fn new(submission_entries: u32, completion_entries: u32) -> io::Result<Self> {
        let ring = build(submission_entries, completion_entries)?;
        let ring = NonNull::from(Box::leak(Box::new(ring)));
        // SAFETY: the box was just leaked, so this is the only reference to it; the ends that
        // borrow from it are dropped in `drop` before the box is taken back.
        let (mut submitter, submissions, completions) = unsafe { (*ring.as_ptr()).split() };
        // Failing costs a look-up in each system call (a thread can register 16 rings), not more.
        let is_registered = submitter.register_ring_fd().is_ok();
        // SAFETY: dropped with `self`, before the ring.
        let status = unsafe { completions.status() };
        Ok(Self {
            submitter: ManuallyDrop::new(submitter),
            submissions: ManuallyDrop::new(submissions),
            completions: ManuallyDrop::new(completions),
            status,
            ring,
            is_registered,
            under_way: 0,
        })
    }

    /// Queues an operation for the next [`enter`](Self::enter).
    ///
    /// # Safety
    /// Everything that the entry points to stays valid, and is not written to where the kernel
    /// reads nor read where it writes, until the operation's terminal completion was taken out.
    #[inline]
    pub unsafe fn push(&mut self, entry: &squeue::Entry) -> Result<(), SubmissionsFull> {
        // SAFETY: as this function's.
        unsafe { self.submissions.push(entry) }.map_err(|_| SubmissionsFull)?;
        self.under_way += 1;
        Ok(())
    }

    /// Entries pushed and not handed to the kernel yet.
    #[inline]
    pub fn queued(&self) -> usize {
        self.submissions.len()
    }

    /// Operations that have not come to their end, including those still queued.
    pub fn under_way(&self) -> usize {
        self.under_way
    }

    /// Whether a completion can be taken out now.
    #[inline]
    pub fn has_completions(&self) -> bool {
        !self.status.is_empty()
    }

    /// Completions that can be taken out now.
    pub fn completed(&mut self) -> usize {
        self.completions.sync();
        self.completions.len()
    }

    /// Most completions that can wait to be taken out.
    pub fn completion_entries(&self) -> usize {
        self.completions.capacity()
    }

    /// Whether completions wait inside the kernel that only an [`enter`](Self::enter) brings out.
    #[inline]
    pub fn must_enter(&self) -> bool {
        self.submissions.taskrun() || self.overflowed()
    }

    /// Whether the completion queue was too short and the kernel keeps the rest.
    #[inline]
    pub fn overflowed(&self) -> bool {
        self.submissions.cq_overflow()
    }

    /// Hands the queued entries over and brings deferred completions out, without waiting: one
    /// system call. Panics where going on could lose a completion.
    pub fn enter(&mut self) -> Entered {
        self.try_enter().unwrap_or_else(|error| give_up(&error))
    }

    /// As [`enter`](Self::enter), for who can do without the ring.
    ///
    /// # Errors
    /// Where `enter` panics.
    pub fn try_enter(&mut self) -> io::Result<Entered> {
        self.submissions.sync();
        let queued = self.submissions.len() as u32;
        let flags = EnterFlags::GETEVENTS.bits();
        // SAFETY: no argument is passed, and the entries are as `push` demands.
        let result = unsafe { self.submitter.enter::<libc::sigset_t>(queued, 0, flags, None) };
        self.submissions.sync();
        meaning(result)
    }

    /// As [`enter`](Self::enter), but waits for a completion, at most for `timeout`.
    pub fn enter_and_wait(&mut self, timeout: Duration) -> Entered {
        self.submissions.sync();
        let timeout = Timespec::from(timeout);
        let arguments = SubmitArgs::new().timespec(&timeout);
        let result = self.submitter.submit_with_args(1, &arguments);
        self.submissions.sync();
        match result {
            Err(error) if error.raw_os_error() == Some(libc::ETIME) => Entered::Taken,
            result => meaning(result).unwrap_or_else(|error| give_up(&error)),
        }
    }

    /// Which operations the kernel knows.
    ///
    /// # Errors
    /// When it does not say.
    pub fn operations(&self) -> io::Result<io_uring::Probe> {
        let mut probe = io_uring::Probe::new();
        self.submitter.register_probe(&mut probe).map(|()| probe)
    }

    /// The oldest completion. Its place is free for the kernel after [`Self::taken`].
    #[inline]
    pub fn take(&mut self) -> Option<RawCompletion> {
        let entry = self.completions.next()?;
        let more = cqueue::more(entry.flags());
        if !more {
            debug_assert!(self.under_way > 0, "more ends than operations");
            self.under_way -= 1;
        }
        Some(RawCompletion {
            user_data: entry.user_data(),
            result: entry.result(),
            more,
            buffer: cqueue::buffer_select(entry.flags()),
        })
    }

    /// Gives the places of taken completions back and sees what arrived since: call it around a
    /// run of [`take`](Self::take)s.
    #[inline]
    pub fn taken(&mut self) {
        self.completions.sync();
    }

    /// Has `event` signalled when completions arrive, from [`wake_event`](Self::wake_event)`(true)`
    /// on.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn register_event(&mut self, event: BorrowedFd<'_>) -> io::Result<()> {
        self.completions.disable_eventfd();
        self.submitter.register_eventfd(event.as_raw_fd())
    }

    /// Switches the signalling on before a shard parks and off when it is awake. What completed
    /// before it was switched on is not signalled: enter and look once more after it.
    pub fn wake_event(&mut self, on: bool) {
        if on {
            self.completions.enable_eventfd();
            // The kernel publishes work and then reads the flag; we write the flag and then look
            // for work. Without an order on both sides each could miss the other.
            fence(Ordering::SeqCst);
        } else {
            self.completions.disable_eventfd();
        }
    }

    /// Registers a ring of provided buffers.
    ///
    /// # Safety
    /// `entries` is the page-aligned start of `count` entries that stay mapped until
    /// [`Self::unregister_buffers`] or the ring's end.
    ///
    /// # Errors
    /// When the kernel has no such rings, or no memory for one.
    pub unsafe fn register_buffers(
        &self,
        entries: NonNull<BufRingEntry>,
        count: u16,
        group: u16,
    ) -> io::Result<()> {
        let address = entries.as_ptr() as u64;
        // SAFETY: as this function's.
        unsafe { self.submitter.register_buf_ring_with_flags(address, count, group, 0) }
    }

    /// Ends the registration of a ring of provided buffers.
    ///
    /// # Errors
    /// When there is none with this number.
    pub fn unregister_buffers(&self, group: u16) -> io::Result<()> {
        self.submitter.unregister_buf_ring(group)
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // A thread has 16 places for registered rings; not giving this one back would leak it
        // until the thread ends, and the ring with it.
        if self.is_registered {
            let given_back = self.submitter.unregister_ring_fd();
            debug_assert!(given_back.is_ok(), "{given_back:?}");
        }
        // SAFETY: dropped once, here, and the ends before what they point into, which came from
        // `Box::leak` in `new`.
        unsafe {
            ManuallyDrop::drop(&mut self.completions);
            ManuallyDrop::drop(&mut self.submissions);
            ManuallyDrop::drop(&mut self.submitter);
            drop(Box::from_raw(self.ring.as_ptr()));
        }
    }
}

impl std::fmt::Debug for Ring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ring with {} operations under way", self.under_way)
    }
}

/// The flags of a shard's ring: one thread, completions only when it asks, a mark when it should.
fn build(submission_entries: u32, completion_entries: u32) -> io::Result<IoUring> {
    let mut builder = IoUring::builder();
    builder
        .dontfork()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_taskrun_flag()
        .setup_submit_all()
        .setup_cqsize(completion_entries);
    // Linux 6.6 spares the index array; an older kernel does not know the flag.
    match builder.clone().setup_no_sqarray().build(submission_entries) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            builder.build(submission_entries)
        }
        result => result,
    }
}

fn meaning(result: io::Result<usize>) -> io::Result<Entered> {
    let error = match result {
        Ok(_) => return Ok(Entered::Taken),
        Err(error) => error,
    };
    match error.raw_os_error() {
        Some(libc::EINTR) => Ok(Entered::Interrupted),
        Some(libc::EBUSY | libc::EAGAIN | libc::ENOMEM) => Ok(Entered::ReapFirst),
        _ => Err(error),
    }
}

fn give_up(error: &io::Error) -> ! {
    if error.raw_os_error() == Some(libc::EBADR) {
        panic!(
            "the kernel has dropped a completion for want of memory (EBADR): this shard no longer \
             knows which operations are under way and must not go on"
        );
    }
    panic!("io_uring_enter failed in a way that cannot be survived: {error}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use io_uring::opcode;

    fn nop(number: u64) -> squeue::Entry {
        opcode::Nop::new().build().user_data(number)
    }

    #[test]
    fn completions_come_out_in_order_and_are_counted() {
        let mut ring = Ring::new(8, 32).expect("this kernel has io_uring");
        for number in 0..8 {
            // SAFETY: a no-op refers to no memory.
            unsafe { ring.push(&nop(number)) }.expect("there is room");
        }
        // SAFETY: a no-op refers to no memory.
        assert_eq!(unsafe { ring.push(&nop(8)) }, Err(SubmissionsFull));
        assert_eq!((ring.queued(), ring.under_way(), ring.has_completions()), (8, 8, false));

        assert_eq!(ring.enter(), Entered::Taken);
        assert_eq!((ring.queued(), ring.completed()), (0, 8));
        let numbers: Vec<_> = std::iter::from_fn(|| ring.take()).map(|c| c.user_data).collect();
        ring.taken();
        assert_eq!(numbers, (0..8).collect::<Vec<_>>());
        assert_eq!((ring.under_way(), ring.has_completions()), (0, false));
    }

    #[test]
    fn errors_of_enter_have_a_meaning_each() {
        let of = |errno| meaning(Err(io::Error::from_raw_os_error(errno)));
        assert_eq!(meaning(Ok(3)).ok(), Some(Entered::Taken));
        assert_eq!(of(libc::EINTR).ok(), Some(Entered::Interrupted));
        for errno in [libc::EBUSY, libc::EAGAIN, libc::ENOMEM] {
            assert_eq!(of(errno).ok(), Some(Entered::ReapFirst));
        }
        for errno in [libc::EBADR, libc::EBADF, libc::EFAULT, libc::EEXIST, libc::EINVAL] {
            assert!(of(errno).is_err(), "errno {errno} must not be survived");
        }
    }

    #[test]
    fn a_thread_can_make_many_rings_one_after_the_other() {
        // More than the 16 places that a thread has for registered rings.
        for number in 0..40 {
            let ring = Ring::new(8, 32).expect("nothing is left over from the one before");
            assert!(ring.is_registered, "ring {number} found no place");
        }
    }
}
