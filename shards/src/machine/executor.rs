//! The only file that knows glommio: threads that run one executor each, yielding, parking.
//!
//! A shard is one named thread, pinned to one CPU, with one glommio `LocalExecutor` on it. glommio
//! keeps tasks, timers and files; the shard's sockets live on a raw ring of its own, and its turn
//! task spins by itself before it parks here. Why glommio, which one, and the figures behind the
//! constants below: `docs/decisions/0001-executor.md`.
//!
//! Two things to know of glommio. A task that is always runnable keeps it from its timers, files
//! and wake-ups, so the turn task makes room with [`ParkEvent::yield_if_due`]. And it can go to
//! sleep beside a runnable task if its preempt timer fires at a bad moment, so that timer is kept
//! out of the way and a heartbeat ends such a sleep.
//!
//! A panic on such a thread takes the process down before anything unwinds: half a plane must not
//! go on serving, and unwinding would free buffers that the kernel still writes to.

use super::affinity;
use super::doorbell::Doorbell;
use crate::limits::PASS_NS;
use glommio::io::BufferedFile;
use glommio::{GlommioError, LocalExecutor, LocalExecutorBuilder, Placement};
use std::cell::Cell;
use std::future::Future;
use std::io::{self, Write};
use std::os::fd::{AsFd, FromRawFd, IntoRawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Once};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use thiserror::Error;

/// Memory that glommio registers for file I/O on an executor: the smallest it accepts, since the
/// shards' data does not go through its rings.
const FILE_IO_BYTES: usize = 64 * 1024;

/// Requests on each of an executor's three rings: the most that does not cost a page more.
const RING_DEPTH: usize = 64;

/// What one executor takes of the user's memlock limit: the file memory, registered on three rings,
/// and the rings themselves, which newer kernels count too. Measured on Linux 6.18: 221 KiB.
pub const EXECUTOR_MEMLOCK_BYTES: usize = 3 * FILE_IO_BYTES + 32 * 1024;

/// glommio parks for good, work or no work, when this timer fires between its arming and the first
/// task after it: a matter of microseconds, but the thread may lose its CPU there. At 200 us it
/// happened within seconds on a busy host; at a second it needs a second without CPU.
const PREEMPT_INTERVAL: Duration = Duration::from_secs(1);

/// Longest that such a sleep can last: a timer of ours is always armed. A wake-up costs an idle
/// shard 50 to 100 us, which is at most 0.01 % of a core.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// Memory of closed rings comes back to the user's memlock limit milliseconds late (measured: 11 ms
/// at most), so a start that finds too little waits this long for it.
const MEMLOCK_RETURN: Duration = Duration::from_secs(1);

/// Why an executor did not start, or did not end well.
#[derive(Debug, Error)]
pub enum ExecutorError {
    /// The operating system refused a thread.
    #[error("cannot start the thread '{name}': {source}; check the limit on processes (ulimit -u)")]
    Thread {
        /// The thread's name.
        name: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// The CPU does not exist or is outside the set that this process may use.
    #[error("cannot pin '{name}' to CPU {cpu}: {source}; see what is allowed with taskset -cp $$")]
    Pin {
        /// The thread's name.
        name: String,
        /// The CPU asked for.
        cpu: usize,
        /// What the operating system said.
        source: io::Error,
    },
    /// glommio could not make its rings: locked memory, descriptors, or io_uring itself.
    #[error("cannot start the executor of '{name}': {reason}")]
    Start {
        /// The thread's name.
        name: String,
        /// What glommio said.
        reason: String,
    },
    /// The thread ended without a result; a panic would have ended the process first.
    #[error("the thread '{name}' ended without a result")]
    Lost {
        /// The thread's name.
        name: String,
    },
}

/// A running executor thread; dropping it leaves the thread running.
#[derive(Debug)]
pub struct ExecutorHandle<T> {
    name: String,
    thread: JoinHandle<Option<T>>,
}

impl<T> ExecutorHandle<T> {
    /// Waits until the thread's task has returned and its executor is gone.
    ///
    /// # Errors
    /// [`ExecutorError::Lost`], which only a panic could cause, and that ends the process.
    pub fn join(self) -> Result<T, ExecutorError> {
        let name = self.name;
        self.thread.join().ok().flatten().ok_or(ExecutorError::Lost { name })
    }
}

/// Starts a thread called `name`, pinned to `cpu` unless that is `None`, with an executor that runs
/// the one future of `make`. Returns when the executor stands, so that every reason why it cannot
/// is an error here. Linux shows the first 15 bytes of the name.
///
/// # Errors
/// See [`ExecutorError`]; nothing is left running then.
pub fn spawn<Make, Task>(
    name: &str,
    cpu: Option<usize>,
    make: Make,
) -> Result<ExecutorHandle<Task::Output>, ExecutorError>
where
    Make: FnOnce() -> Task + Send + 'static,
    Task: Future + 'static,
    Task::Output: Send + 'static,
{
    abort_on_panic_of_executors();
    let (started, outcome) = sync_channel(1);
    let thread_name = name.to_owned();
    let thread = std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || run(&thread_name, cpu, &started, make))
        .map_err(|source| ExecutorError::Thread { name: name.to_owned(), source })?;
    let handle = ExecutorHandle { name: name.to_owned(), thread };
    match outcome.recv() {
        Ok(Ok(())) => Ok(handle),
        Ok(Err(error)) => {
            // The thread is on its way out; wait, so that its rings and locked memory are gone.
            let _ = handle.join();
            Err(error)
        }
        Err(_) => Err(ExecutorError::Lost { name: handle.name }),
    }
}

fn run<Make, Task>(
    name: &str,
    cpu: Option<usize>,
    started: &SyncSender<Result<(), ExecutorError>>,
    make: Make,
) -> Option<Task::Output>
where
    Make: FnOnce() -> Task,
    Task: Future + 'static,
{
    IS_EXECUTOR.set(true);
    let work = || {
        // `spawn` waits for the outcome, so the other end of the channel is there.
        let executor = match executor(name, cpu) {
            Ok(executor) => executor,
            Err(error) => return started.send(Err(error)).map(|()| None).unwrap_or(None),
        };
        let _ = started.send(Ok(()));
        Some(executor.run(async move {
            glommio::spawn_local(heartbeat()).detach();
            make().await
        }))
    };
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(output) => output,
        // Only where the program has replaced our panic hook.
        Err(_) => abort(),
    }
}

fn executor(name: &str, cpu: Option<usize>) -> Result<LocalExecutor, ExecutorError> {
    // We pin instead of glommio, which reads the whole topology from /sys for it and panics where
    // there is none. It happens before the first allocation, for memory of the right NUMA node, and
    // glommio's thread for blocking calls inherits it.
    if let Some(cpu) = cpu {
        affinity::pin_this_thread(cpu).map_err(|source| ExecutorError::Pin {
            name: name.to_owned(),
            cpu,
            source,
        })?;
    }
    let started = Instant::now();
    loop {
        let builder = LocalExecutorBuilder::new(Placement::Unbound).name(name);
        let builder = builder.io_memory(FILE_IO_BYTES).ring_depth(RING_DEPTH);
        match builder.preempt_timer(PREEMPT_INTERVAL).make() {
            Ok(executor) => return Ok(executor),
            Err(GlommioError::IoError(error))
                if error.kind() == io::ErrorKind::OutOfMemory
                    && started.elapsed() < MEMLOCK_RETURN =>
            {
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(error) => {
                let (name, reason) = (name.to_owned(), error.to_string());
                return Err(ExecutorError::Start { name, reason });
            }
        }
    }
}

async fn heartbeat() {
    loop {
        glommio::timer::sleep(HEARTBEAT).await;
    }
}

thread_local! {
    /// Tasks of [`spawn_beside`] on this thread that have not ended.
    static BESIDE: Cell<usize> = const { Cell::new(0) };
}

/// Counts a task as long as it lives.
struct Beside;

impl Drop for Beside {
    fn drop(&mut self) {
        BESIDE.set(BESIDE.get() - 1);
    }
}

/// Runs a task beside the turn task, on the executor of the calling thread; the turn task makes
/// room for it in [`ParkEvent::yield_if_due`]. Its outcome is `None` if the executor ends first.
pub fn spawn_beside<Task>(task: Task) -> impl Future<Output = Option<Task::Output>>
where
    Task: Future + 'static,
    Task::Output: 'static,
{
    BESIDE.set(BESIDE.get() + 1);
    let counted = Beside;
    let counted_task = async move {
        let _counted = counted;
        task.await
    };
    glommio::spawn_local(counted_task).detach()
}

/// Where the turn task of a shard parks: it waits in glommio until the shard's doorbell is rung, by
/// a caller or by the shard's own raw ring, whose completions signal the same eventfd.
///
/// Lives on one executor.
#[derive(Debug)]
pub struct ParkEvent {
    doorbell: Arc<Doorbell>,
    event: BufferedFile,
    /// When glommio is to have its next pass, in monotonic nanoseconds.
    pass_due_ns: Cell<u64>,
}

impl ParkEvent {
    /// Waits on the doorbell of this shard. Must be called on an executor.
    ///
    /// # Errors
    /// When the process has no file descriptor left: glommio closes what it waits on, so it gets
    /// a duplicate.
    pub fn new(doorbell: &Arc<Doorbell>) -> io::Result<Self> {
        let duplicate = doorbell.as_fd().try_clone_to_owned()?;
        // SAFETY: the descriptor is open, and its one owner hands it over.
        let event = unsafe { BufferedFile::from_raw_fd(duplicate.into_raw_fd()) };
        Ok(Self { doorbell: Arc::clone(doorbell), event, pass_due_ns: Cell::new(0) })
    }

    /// Parks the calling task until the doorbell is rung, and forgets all rings up to now. Returns
    /// at once if it was rung since the last wait: the ring may have nothing to say any more, so
    /// the caller looks at its work again and not at the count.
    ///
    /// # Errors
    /// When glommio cannot read the eventfd, which leaves the shard deaf: end it.
    pub async fn wait(&self) -> io::Result<()> {
        let count = self.event.read_at(0, size_of::<u64>()).await.map_err(io::Error::from)?;
        assert_eq!(count.len(), size_of::<u64>(), "an eventfd is read whole or not at all");
        Ok(())
    }

    /// Once a turn: gives way to the tasks of [`spawn_beside`] and what they wait for when their
    /// time has come, else costs a few loads: glommio allocates for each pass, so there is none
    /// without such tasks. `now_ns` is the turn's reading of the monotonic clock.
    ///
    /// Yielding to glommio's scheduler is not enough, as it never looks at its rings while a task
    /// is runnable. So this rings its own doorbell and waits for that: one full pass, no sleep.
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    #[inline]
    pub async fn yield_if_due(&self, now_ns: u64) -> io::Result<()> {
        if BESIDE.get() == 0
            || (now_ns < self.pass_due_ns.get() && !glommio::executor().need_preempt())
        {
            return Ok(());
        }
        self.pass_due_ns.set(now_ns + PASS_NS);
        self.doorbell.ring();
        self.wait().await
    }

    /// Gives the duplicate back at once; a drop leaves that to the executor's next pass.
    ///
    /// # Errors
    /// When closing fails.
    pub async fn close(self) -> io::Result<()> {
        self.event.close().await.map_err(io::Error::from)
    }
}

thread_local! {
    static IS_EXECUTOR: Cell<bool> = const { Cell::new(false) };
}

/// Adds to the process's panic hook, once: a panic on an executor thread is reported as ever, and
/// then ends the process.
fn abort_on_panic_of_executors() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let report = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            report(info);
            if IS_EXECUTOR.get() {
                abort();
            }
        }));
    });
}

fn abort() -> ! {
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("executor");
    // Nothing to do about a closed stderr, and `eprintln!` would panic over it.
    let _ = writeln!(
        io::stderr(),
        "ringway: '{name}' panicked; aborting, because the other shards must not serve without it"
    );
    std::process::abort()
}
