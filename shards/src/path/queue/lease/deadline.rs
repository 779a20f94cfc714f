//! When a lease ends, and the timer that says so.

use super::{Lease, Leases};
use crate::path::queue::Timer;
use crate::path::queue::log::segment::NIL;
use crate::world::Wheel;

impl Leases {
    /// Sets when a lease ends. Leases that end in one tick do so in the order in which this was
    /// last said of them: so a timer that was left armed for the slot is moved, not kept.
    #[inline(always)]
    pub fn end_at(&mut self, slot: u32, ends_ns: u64, wheel: &mut Wheel<Timer>) {
        let lease = &mut self[slot];
        lease.ends_ns = ends_ns;
        lease.arm(slot, wheel);
    }

    /// The timer of a slot has fired; says whether there is a lease, which is over then. A lease
    /// that is settled before its end leaves its timer to the next one of the slot.
    pub fn is_over(&mut self, slot: u32) -> bool {
        let lease = &mut self[slot];
        lease.timer = None;
        lease.queue != NIL
    }
}

impl Lease {
    #[inline]
    fn arm(&mut self, slot: u32, wheel: &mut Wheel<Timer>) {
        if let Some(timer) = self.timer {
            wheel.disarm(timer);
        }
        self.timer = Some(wheel.arm(self.ends_ns, Timer::Lease(slot)));
    }
}
