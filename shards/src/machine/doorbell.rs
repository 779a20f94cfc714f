//! A doorbell wakes a shard that has parked, and costs the one who pushed a fence and a load
//! when it has not.
//!
//! Every shard has one, shared by `Arc` with all who push to its rings. Its eventfd is also what
//! the shard's raw ring signals for completions, so a parked shard waits for one thing only. The
//! owner's side, in order:
//!
//! ```text
//! doorbell.prepare_to_park();
//! if every ring and the completion queue are empty { park_event.wait().await }
//! doorbell.unpark();
//! ```

use super::parked::ParkedFlag;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// An eventfd that is rung only for a parked shard.
#[derive(Debug)]
pub struct Doorbell {
    parked: ParkedFlag,
    event: OwnedFd,
}

impl Doorbell {
    /// A doorbell of a shard that is awake.
    ///
    /// # Errors
    /// When the process has no file descriptor left.
    pub fn new() -> io::Result<Self> {
        // Blocking on purpose: io_uring waits on a blocking eventfd, and fails at once on others.
        // SAFETY: eventfd takes two integers and touches no memory.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor was made above and nobody else owns it.
        let event = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Self { parked: ParkedFlag::new(), event })
    }

    /// Caller, after pushing to a ring of the owner: wake it if it is parked. Says whether it rang.
    ///
    /// The push must come before this call in program order.
    #[inline]
    pub fn ring_if_parked(&self) -> bool {
        let must_ring = self.parked.must_ring();
        if must_ring {
            self.ring();
        }
        must_ring
    }

    /// Wake the owner whatever it does; one that is awake merely returns from its next park early.
    pub fn ring(&self) {
        let one = 1u64;
        // SAFETY: the pointer is valid for the 8 bytes that the kernel reads, for this call.
        let written = unsafe {
            libc::write(self.event.as_raw_fd(), (&raw const one).cast(), size_of::<u64>())
        };
        // The counter holds 2^64 - 2 rings before a write would block, and an eventfd that is open
        // takes 8 bytes or none: anything else is a mistake of ours.
        assert_eq!(written, 8, "ringing failed: {}", io::Error::last_os_error());
    }

    /// Owner that is a plain thread: sleep until it is rung, and forget all rings up to now.
    pub fn wait(&self) {
        let mut count = 0u64;
        // SAFETY: the pointer is valid for the 8 bytes that the kernel writes, for this call.
        let read = unsafe {
            libc::read(self.event.as_raw_fd(), (&raw mut count).cast(), size_of::<u64>())
        };
        // Interrupted by a signal: the caller looks at its work again, as after a ring.
        let interrupted = io::Error::last_os_error().kind() == io::ErrorKind::Interrupted;
        assert!(read == 8 || interrupted, "an eventfd is read whole");
    }

    /// Owner: announce the wish to sleep; then look at every ring once more.
    pub fn prepare_to_park(&self) {
        self.parked.prepare_to_park();
    }

    /// Owner: awake again, or work turned up after [`prepare_to_park`](Self::prepare_to_park).
    pub fn unpark(&self) {
        self.parked.unpark();
    }
}

/// The eventfd, to register with the shard's raw ring or to duplicate for its park event.
impl AsFd for Doorbell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    /// How often it was rung since the last look; reads the eventfd only when that cannot block.
    fn rings(doorbell: &Doorbell) -> u64 {
        let mut poll =
            libc::pollfd { fd: doorbell.event.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one pollfd, valid for the call.
        if unsafe { libc::poll(&raw mut poll, 1, 0) } == 0 {
            return 0;
        }
        read(doorbell)
    }

    /// Waits for the next ring.
    fn read(doorbell: &Doorbell) -> u64 {
        let mut count = 0u64;
        // SAFETY: the pointer is valid for the 8 bytes that the kernel writes.
        let bytes = unsafe {
            libc::read(doorbell.event.as_raw_fd(), (&raw mut count).cast(), size_of::<u64>())
        };
        assert_eq!(bytes, 8);
        count
    }

    #[test]
    fn rings_only_for_a_parked_shard() {
        let doorbell = Doorbell::new().expect("a descriptor is left");
        assert!(!doorbell.ring_if_parked());
        assert_eq!(rings(&doorbell), 0, "an awake shard was rung");

        doorbell.prepare_to_park();
        assert!(doorbell.ring_if_parked());
        assert!(!doorbell.ring_if_parked(), "the second caller rings again");
        assert_eq!(rings(&doorbell), 1);

        doorbell.prepare_to_park();
        doorbell.unpark();
        assert!(!doorbell.ring_if_parked());
        assert_eq!(rings(&doorbell), 0, "a shard that changed its mind was rung");

        doorbell.ring();
        doorbell.ring();
        assert_eq!(rings(&doorbell), 2, "ring() is unconditional");
    }

    /// Two threads push numbers one by one through real rings to an owner that parks whenever it
    /// finds nothing. A lost wake-up hangs it, so the whole test runs against a deadline.
    #[test]
    fn no_wake_up_is_lost_with_real_rings() {
        const CALLERS: u64 = 2;
        const ITEMS: u64 = 20_000;
        let doorbell = Arc::new(Doorbell::new().expect("a descriptor is left"));
        let (finished, deadline) = std::sync::mpsc::channel();
        let mut consumers = Vec::new();
        for _ in 0..CALLERS {
            let (mut producer, consumer) = rtrb::RingBuffer::<u64>::new(8);
            consumers.push(consumer);
            let doorbell = Arc::clone(&doorbell);
            std::thread::spawn(move || {
                for item in 0..ITEMS {
                    while producer.push(item).is_err() {
                        std::thread::yield_now();
                    }
                    doorbell.ring_if_parked();
                }
            });
        }
        std::thread::spawn(move || {
            let mut next = vec![0; consumers.len()];
            while next.iter().sum::<u64>() < CALLERS * ITEMS {
                for (consumer, next) in consumers.iter_mut().zip(&mut next) {
                    while let Ok(item) = consumer.pop() {
                        assert_eq!(item, *next);
                        *next += 1;
                    }
                }
                let done = next.iter().sum::<u64>() == CALLERS * ITEMS;
                doorbell.prepare_to_park();
                if !done && consumers.iter().all(rtrb::Consumer::is_empty) {
                    read(&doorbell);
                }
                doorbell.unpark();
            }
            finished.send(next).expect("the test waits");
        });
        let counts = deadline.recv_timeout(std::time::Duration::from_secs(60));
        assert_eq!(counts, Ok(vec![ITEMS; CALLERS as usize]), "the owner never woke");
    }
}
