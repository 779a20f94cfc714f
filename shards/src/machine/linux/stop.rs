//! The end of a shard's world: nothing is freed that the kernel still refers to.

use super::{LinuxWorld, Own, own};
use crate::machine::ring::RawCompletion;
use crate::world::{Purpose, Token};
use io_uring::{opcode, types};
use std::mem::ManuallyDrop;
use std::os::fd::{FromRawFd, OwnedFd};
use std::time::Duration;

/// How often everything is cancelled, and how long is waited after each time: 2 s in all, for what
/// takes microseconds.
const ATTEMPTS: u32 = 40;
const WAIT: Duration = Duration::from_millis(50);

impl Drop for LinuxWorld {
    fn drop(&mut self) {
        let quiet = self.cancel_everything();
        for accepted in self.unclaimed.drain(..) {
            // SAFETY: accepted for us, and no stage has asked for it.
            drop(unsafe { OwnedFd::from_raw_fd(accepted) });
        }
        if quiet {
            self.receives.leave(&self.ring);
            // SAFETY: dropped once, here, and no operation refers to them any more.
            unsafe {
                ManuallyDrop::drop(&mut self.receives);
                ManuallyDrop::drop(&mut self.sends);
                ManuallyDrop::drop(&mut self.alarm);
            }
        } else {
            let left = self.ring.under_way();
            log::error!("{left} operations did not end; their memory is left to the process's end");
        }
    }
}

impl LinuxWorld {
    /// Says whether no operation is under way any more.
    fn cancel_everything(&mut self) -> bool {
        for raw in std::mem::take(&mut self.held) {
            self.note_accepted(raw);
        }
        self.take_rest();
        for _ in 0..ATTEMPTS {
            if self.ring.under_way() == 0 {
                return true;
            }
            let all = types::CancelBuilder::any();
            let entry = opcode::AsyncCancel2::new(all).build().user_data(own(Own::CancelAll));
            // SAFETY: it refers to no memory. If the queue is full, it is entered below.
            let _ = unsafe { self.ring.push(&entry) };
            // Its own completion comes first, those of the others with the next rounds.
            for _ in 0..ATTEMPTS {
                self.ring.enter_and_wait(WAIT / ATTEMPTS);
                self.take_rest();
                if self.ring.under_way() == 0 {
                    return true;
                }
            }
        }
        self.ring.under_way() == 0
    }

    fn take_rest(&mut self) {
        self.ring.taken();
        while let Some(raw) = self.ring.take() {
            self.note_accepted(raw);
        }
        self.ring.taken();
    }

    fn note_accepted(&mut self, raw: RawCompletion) {
        if Token(raw.user_data).purpose() == Some(Purpose::Accept) && raw.result >= 0 {
            self.unclaimed.push_back(raw.result);
        }
    }
}
