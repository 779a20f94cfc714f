//! Loom tries every interleaving of parking and ringing, on the file that the shards run.
//!
//! `parked.rs` takes its atomics from its parent module, so this test includes it twice: once
//! with loom's atomics, and once with a fence that does nothing, to show that the model can fail.
//! The handoff ring is a stand-in made of one atomic head, because loom cannot see into rtrb; what
//! matters of rtrb is kept: a push is a release store, a look is an acquire load of the same word.

/// The protocol as it runs.
#[path = "../src/machine"]
mod sound {
    mod atomics {
        pub use loom::sync::atomic::{AtomicBool, Ordering, fence};
    }
    #[path = "parked.rs"]
    pub mod parked;
}

/// The same file with its two fences taken out.
#[path = "../src/machine"]
#[allow(clippy::duplicate_mod)]
mod without_fences {
    mod atomics {
        pub use loom::sync::atomic::{AtomicBool, Ordering};
        pub fn fence(_: Ordering) {}
    }
    #[path = "parked.rs"]
    pub mod parked;
}

use loom::model::Builder;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::sync::{Arc, Condvar, Mutex};

/// A stand-in for a blocking eventfd: a counter that a reader waits for and takes.
struct Event {
    rings: Mutex<u64>,
    rung: Condvar,
}

impl Event {
    fn new() -> Self {
        Self { rings: Mutex::new(0), rung: Condvar::new() }
    }

    fn ring(&self) {
        *self.rings.lock().expect("no thread panics while it holds the lock") += 1;
        self.rung.notify_one();
    }

    fn wait(&self) {
        let mut rings = self.rings.lock().expect("no thread panics while it holds the lock");
        while *rings == 0 {
            rings = self.rung.wait(rings).expect("no thread panics while it holds the lock");
        }
        *rings = 0;
    }
}

/// The head of a handoff ring: how many items were pushed.
struct Ring(AtomicUsize);

impl Ring {
    fn push(&self) {
        let pushed = self.0.load(Ordering::Relaxed); // one producer: its own last store
        self.0.store(pushed + 1, Ordering::Release); // pairs with the load in `pushed`
    }

    fn pushed(&self) -> usize {
        self.0.load(Ordering::Acquire) // pairs with the store in `push`
    }
}

macro_rules! model {
    ($model:expr, $flag:path, callers: $callers:expr, items: $items:expr) => {
        // Deadlock is how a lost wake-up shows: loom panics when no thread can go on.
        $model.check(|| {
            let plane = Arc::new((
                <$flag>::new(),
                Event::new(),
                (0..$callers).map(|_| Ring(AtomicUsize::new(0))).collect::<Vec<_>>(),
            ));
            for caller in 0..$callers {
                let plane = Arc::clone(&plane);
                loom::thread::spawn(move || {
                    let (parked, event, rings) = &*plane;
                    for _ in 0..$items {
                        rings[caller].push();
                        if parked.must_ring() {
                            event.ring();
                        }
                    }
                });
            }
            let (parked, event, rings) = &*plane;
            let pushed = || rings.iter().map(Ring::pushed).sum::<usize>();
            let mut taken = 0;
            while taken < $callers * $items {
                parked.prepare_to_park();
                if pushed() == taken {
                    event.wait();
                }
                parked.unpark();
                taken = pushed();
            }
        })
    };
}

#[test]
fn loom_one_caller_never_loses_a_wake_up() {
    model!(Builder::new(), sound::parked::ParkedFlag, callers: 1, items: 2);
}

#[test]
fn loom_two_callers_share_one_ring_of_the_bell() {
    let mut model = Builder::new();
    // Every interleaving takes minutes (LOOM_MAX_PREEMPTIONS=99 tries them); lost wake-ups need
    // two or three switches at the wrong moment.
    model.preemption_bound = model.preemption_bound.or(Some(3));
    model!(model, sound::parked::ParkedFlag, callers: 2, items: 1);
}

#[test]
#[should_panic(expected = "deadlock")]
fn loom_finds_the_lost_wake_up_without_the_fences() {
    model!(Builder::new(), without_fences::parked::ParkedFlag, callers: 1, items: 1);
}
