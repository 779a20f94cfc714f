//! How a shard goes to sleep on its ring: an alarm for the next deadline, and the doorbell's
//! eventfd switched on for completions.

use super::{LinuxWorld, Own, own};
use crate::world::{Purpose, Token, World};
use io_uring::types::{TimeoutFlags, Timespec};
use io_uring::{opcode, squeue};

const NANOSECONDS_PER_SECOND: u64 = 1_000_000_000;

/// The one timeout of a ring. The kernel reads `time` while it takes the entry.
#[derive(Debug, Default)]
pub struct Alarm {
    /// The deadline of the timeout under way.
    armed_ns: Option<u64>,
    time: Timespec,
}

impl Alarm {
    /// The timeout has rung, or was cancelled.
    pub fn has_ended(&mut self) {
        self.armed_ns = None;
    }

    /// The entry that makes it ring at `deadline_ns` at the latest, unless it does already. One
    /// that rings too early costs a look at the clock, which is less than moving it.
    fn arm(&mut self, deadline_ns: u64) -> Option<squeue::Entry> {
        if self.armed_ns.is_some_and(|armed_ns| armed_ns <= deadline_ns) {
            return None;
        }
        let nanoseconds = (deadline_ns % NANOSECONDS_PER_SECOND) as u32;
        self.time = Timespec::new().sec(deadline_ns / NANOSECONDS_PER_SECOND).nsec(nanoseconds);
        let (time, at) = (&raw const self.time, TimeoutFlags::ABS);
        let was_armed = self.armed_ns.replace(deadline_ns).is_some();
        Some(if was_armed {
            let alarm = own(Own::Alarm);
            // If the alarm rings before this arrives, its completion is there and nobody parks.
            let entry = opcode::TimeoutUpdate::new(alarm, time).flags(at).build();
            entry.user_data(own(Own::AlarmMoved))
        } else {
            opcode::Timeout::new(time).flags(at).build().user_data(own(Own::Alarm))
        })
    }
}

impl LinuxWorld {
    /// Makes sure that the doorbell is rung by the next completion, and at `deadline_ns` of
    /// [`World::now_ns`] at the latest. `false` says that something is there already: do not park.
    ///
    /// The caller has announced itself as parked at its doorbell before; after waking, or when it
    /// decides not to park, it calls [`Self::unpark`].
    pub fn prepare_to_park(&mut self, deadline_ns: Option<u64>) -> bool {
        if let Some(entry) = deadline_ns.and_then(|deadline_ns| self.alarm.arm(deadline_ns)) {
            // SAFETY: the time lies in a box, and changes only in `arm`, after the kernel has read
            // it: entries are handed over below.
            unsafe { self.push(&entry) };
        }
        self.submit();
        self.swallow_own();
        let has_rung = deadline_ns.is_some() && self.alarm.armed_ns.is_none();
        if has_rung || self.pending() {
            return false;
        }
        self.ring.wake_event(true);
        // What came between the look above and the switch was not signalled, and the TASKRUN flag
        // alone does not order the two sides everywhere: only the kernel knows.
        self.enter_once();
        if self.pending() {
            self.unpark();
            return false;
        }
        true
    }

    /// Takes the world's own completions out: a moved alarm or a closed socket is no reason to stay
    /// awake, and a shard that stays awake spins. The others are held for the next reap.
    fn swallow_own(&mut self) {
        self.ring.taken();
        while let Some(raw) = self.ring.take() {
            if Token(raw.user_data).purpose() == Some(Purpose::Internal) {
                self.record(raw);
            } else {
                self.held.push_back(raw);
            }
        }
        self.ring.taken();
    }

    /// Stops completions from ringing the doorbell: awake, the shard looks for itself.
    pub fn unpark(&mut self) {
        self.ring.wake_event(false);
    }
}
