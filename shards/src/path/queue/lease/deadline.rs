//! When a lease ends, and the timer that says so.

use super::{Lease, Leases};
use crate::path::queue::Timer;
use crate::path::queue::log::segment::NIL;
use crate::world::Wheel;

impl Leases {
    /// Sets when a lease ends. A timer that fires before that stays as it is, and is armed again
    /// when it has fired: where leases are settled long before their end, few timers are moved.
    #[inline(always)]
    pub fn end_at(&mut self, slot: u32, ends_ns: u64, wheel: &mut Wheel<Timer>) {
        let lease = &mut self[slot];
        lease.ends_ns = ends_ns;
        if lease.timer.is_none_or(|(fires_ns, _)| fires_ns > ends_ns) {
            lease.arm(slot, wheel);
        }
    }

    /// The timer of a slot has fired; says whether its lease is over.
    pub fn is_over(&mut self, slot: u32, now_ns: u64, wheel: &mut Wheel<Timer>) -> bool {
        let lease = &mut self[slot];
        lease.timer = None;
        let lives = lease.queue != NIL;
        if lives && lease.ends_ns > now_ns {
            lease.arm(slot, wheel);
            return false;
        }
        lives
    }
}

impl Lease {
    #[cold]
    fn arm(&mut self, slot: u32, wheel: &mut Wheel<Timer>) {
        if let Some((_, timer)) = self.timer {
            wheel.disarm(timer);
        }
        self.timer = Some((self.ends_ns, wheel.arm(self.ends_ns, Timer::Lease(slot))));
    }
}
