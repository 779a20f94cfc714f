//! What the coordinator and the threads of a run share: the stage, two flags, published counters.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Instant;

/// What the threads do in a stage.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Task {
    /// Put so many messages on each connection, into each of its queues.
    Fill(u64),
    /// Take so many messages on each connection, from each of its queues.
    Empty(u64),
    /// Do the run's operation until [`Control::running`] is false.
    Run,
    /// Go home.
    End,
}

/// Leads the threads from stage to stage.
///
/// The two flags are hints that threads look at once a round; all data passes through the mutex of
/// the stage or through joining the threads, so relaxed loads and stores suffice for them.
pub struct Control {
    epoch: Instant,
    stage: Mutex<(u64, Task)>,
    begin: Condvar,
    running: AtomicBool,
    recording: AtomicBool,
    /// Threads that have finished the stage; their release pairs with the coordinator's acquire.
    finished: AtomicUsize,
    /// When the last thread finished the stage, in nanoseconds of [`Control::now`].
    finished_ns: AtomicU64,
}

impl Default for Control {
    fn default() -> Self {
        Self {
            epoch: Instant::now(),
            stage: Mutex::new((0, Task::Run)),
            begin: Condvar::new(),
            running: AtomicBool::new(false),
            recording: AtomicBool::new(false),
            finished: AtomicUsize::new(0),
            finished_ns: AtomicU64::new(0),
        }
    }
}

impl Control {
    /// Nanoseconds since the run was set up.
    #[inline]
    pub fn now(&self) -> u64 {
        // 584 years fit; the cast cuts nothing off.
        self.epoch.elapsed().as_nanos() as u64
    }

    /// Sends every thread into a stage. Only the coordinator calls it, with all threads waiting.
    pub fn begin(&self, task: Task, recording: bool) {
        self.finished.store(0, Ordering::Relaxed);
        self.finished_ns.store(0, Ordering::Relaxed);
        self.recording.store(recording, Ordering::Relaxed);
        self.running.store(true, Ordering::Relaxed);
        let mut stage = self.stage.lock().unwrap_or_else(PoisonError::into_inner);
        *stage = (stage.0 + 1, task);
        self.begin.notify_all();
    }

    /// Waits for a stage after number `last` and returns its number and task.
    pub fn next_stage(&self, last: u64) -> (u64, Task) {
        let mut stage = self.stage.lock().unwrap_or_else(PoisonError::into_inner);
        while stage.0 == last {
            stage = self.begin.wait(stage).unwrap_or_else(PoisonError::into_inner);
        }
        *stage
    }

    /// A thread is done with its stage.
    pub fn finish(&self) {
        self.finished_ns.fetch_max(self.now(), Ordering::Relaxed);
        self.finished.fetch_add(1, Ordering::Release);
    }

    /// When the last of `threads` threads finished the stage, if all have.
    pub fn all_finished(&self, threads: usize) -> Option<u64> {
        (self.finished.load(Ordering::Acquire) >= threads)
            .then(|| self.finished_ns.load(Ordering::Relaxed))
    }

    /// Whether connections may begin another operation.
    #[inline]
    pub fn running(&self) -> bool {
        self.running.load(Ordering::Relaxed)
    }

    /// Lets the threads finish what is in flight, and no more.
    pub fn stop(&self) {
        self.running.store(false, Ordering::Relaxed);
    }

    /// Whether latencies are kept.
    #[inline]
    pub fn recording(&self) -> bool {
        self.recording.load(Ordering::Relaxed)
    }

    /// Starts or ends the keeping of latencies.
    pub fn record(&self, on: bool) {
        self.recording.store(on, Ordering::Relaxed);
    }
}

/// One thread's counters, written by it alone once a round and read by the coordinator.
#[repr(align(128))]
pub struct Published {
    /// Connections that are not lost.
    pub alive: AtomicUsize,
    /// Operations done, in messages.
    pub messages: AtomicU64,
    /// Replies that were no refusal.
    pub requests: AtomicU64,
    /// Messages of refused requests.
    pub refused: AtomicU64,
    /// Messages of failed requests.
    pub failed: AtomicU64,
    /// Operations done, by the shard that owns the queue.
    pub by_shard: Vec<AtomicU64>,
}

impl Published {
    /// Counters at zero for so many connections to a plane of so many shards.
    pub fn new(connections: usize, shards: usize) -> Self {
        Self {
            alive: AtomicUsize::new(connections),
            messages: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            by_shard: (0..shards).map(|_| AtomicU64::new(0)).collect(),
        }
    }
}
