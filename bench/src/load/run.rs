//! The coordinator: leads the threads through the stages of a run and measures between them.
//!
//! ```text
//! put, put-take, echo:  warm up | measure for --duration | finish what is in flight
//! take:                 fill the queues | measure emptying them | again, until --duration is full
//! ```

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::load::books::{Account, Imbalance};
use crate::load::control::{Control, Published, Task};
use crate::load::ledger::Ledger;
use crate::load::live::Live;
use crate::load::plan::{LoadError, Plan, check_cpus};
use crate::load::report::Report;
use crate::load::settings::{Operation, Settings};
use crate::load::tally::Tally;
use crate::load::watch::Watch;
use crate::load::window::{Snapshot, Window};
use crate::load::worker::{Busy, Worker};

/// How often the coordinator looks whether a stage is over. It shares CPUs with what it measures.
const LOOK: Duration = Duration::from_millis(5);
/// How long emptying the queues should take, in nanoseconds: long enough that its two ends, when
/// not all connections are at work, do not matter.
const ROUND_NS: u64 = 250_000_000;

/// Carries out a run. `interrupted` ends it early, with the report of what was done so far.
pub fn run(settings: &Settings, interrupted: &AtomicBool) -> Result<Report, LoadError> {
    settings.check().map_err(LoadError::Usage)?;
    check_cpus(&settings.cpus)?;
    let mut plan = Plan::make(settings)?;
    let driven = drive(settings, interrupted, &mut plan);
    let left = if settings.keep { Vec::new() } else { plan.remove_queues() };
    let mut report = driven?;
    report.warnings.extend(left);
    Ok(report)
}

fn drive(
    settings: &Settings,
    interrupted: &AtomicBool,
    plan: &mut Plan,
) -> Result<Report, LoadError> {
    let control = Control::default();
    let mut crew = Vec::new();
    for flows in std::mem::take(&mut plan.threads) {
        let watch = Watch::new(settings.wait, settings.rate.is_some(), &flows)
            .map_err(|error| LoadError::Host { doing: "watching the connections", error })?;
        let ledger = Ledger::new(settings, &plan.queues, plan.shards, flows.len())
            .map_err(|error| LoadError::client("encoding the requests", error))?;
        crew.push((flows, ledger, watch));
    }
    let published: Vec<Published> =
        crew.iter().map(|(flows, ..)| Published::new(flows.len(), plan.shards)).collect();
    let mut coordinator = Coordinator {
        settings,
        interrupted,
        control: &control,
        published: &published,
        window: Window::new(plan.shards),
        live: Live::new(settings),
        plan,
    };
    let mut total = Total::default();
    std::thread::scope(|scope| {
        let mut handles = Vec::new();
        for (index, (flows, ledger, watch)) in crew.into_iter().enumerate() {
            let (control, published) = (&control, &published[index]);
            let work = move || {
                if !settings.cpus.is_empty() {
                    let id = settings.cpus[index % settings.cpus.len()];
                    core_affinity::set_for_current(core_affinity::CoreId { id });
                }
                Worker::new((control, published), settings, flows, ledger, watch).run()
            };
            handles.push(scope.spawn(work));
        }
        coordinator.lead();
        control.begin(Task::End, false);
        for handle in handles {
            match handle.join() {
                Ok((ledger, busy)) => total.add(&ledger, busy),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
    });
    Ok(coordinator.report(&total))
}

/// What the threads bring home, added up.
#[derive(Default)]
struct Total {
    tally: Tally,
    accounts: Vec<Account>,
    busy: Busy,
}

impl Total {
    fn add(&mut self, ledger: &Ledger, busy: Busy) {
        self.tally.add(&ledger.tally);
        self.accounts.resize(ledger.accounts.len(), Account::default());
        for (mine, theirs) in self.accounts.iter_mut().zip(&ledger.accounts) {
            mine.add(theirs);
        }
        self.busy.wall_ns += busy.wall_ns;
        self.busy.cpu_ns += busy.cpu_ns;
        self.busy.idle_ns += busy.idle_ns;
    }
}

struct Coordinator<'a> {
    settings: &'a Settings,
    interrupted: &'a AtomicBool,
    control: &'a Control,
    published: &'a [Published],
    plan: &'a mut Plan,
    window: Window,
    live: Live,
}

impl Coordinator<'_> {
    fn lead(&mut self) {
        match self.settings.operation {
            Operation::Take => self.fill_and_empty(),
            _ => self.run_for_a_time(),
        }
        self.live.finish();
    }

    fn run_for_a_time(&mut self) {
        self.control.begin(Task::Run, false);
        self.pass(self.settings.warmup);
        let before = self.snapshot_before();
        self.control.record(true);
        self.pass(self.settings.duration);
        let after = Snapshot::take(self.control.now(), self.published);
        self.control.record(false);
        self.close_window(&before, after);
        self.control.stop();
        self.wait_for_threads();
    }

    /// Rounds of filling and emptying. They grow from a batch until emptying takes long enough to
    /// be measured, or the queues can hold no more; only then they count.
    fn fill_and_empty(&mut self) {
        let users = self.plan.connections_per_queue;
        let most = self.settings.fill_messages(self.plan.queues.len(), users);
        let put_batch = u64::from(self.settings.put_batch());
        let (mut messages, mut grown, mut warm_ns) = (put_batch.min(most), false, 0);
        while !self.over() && self.window.seconds() < self.settings.duration.as_secs_f64() {
            self.control.begin(Task::Fill(messages), false);
            self.wait_for_threads();
            if self.over() {
                return;
            }
            let measured = grown && warm_ns >= self.settings.warmup.as_nanos() as u64;
            let before = self.snapshot_before();
            self.control.begin(Task::Empty(messages), measured);
            let end_ns = self.wait_for_threads();
            let took_ns = end_ns.saturating_sub(before.at_ns).max(1);
            if measured {
                self.close_window(&before, Snapshot::take(end_ns, self.published));
                continue;
            }
            warm_ns += took_ns;
            let wanted = messages.saturating_mul(ROUND_NS / took_ns).min(8 * messages);
            grown = wanted <= messages || messages >= most;
            if !grown {
                messages = (wanted / put_batch * put_batch).min(most);
            }
        }
    }

    /// The server's figures first: what comes after belongs to the window.
    fn snapshot_before(&mut self) -> Snapshot {
        let plane = self.plan.door.stat_plane().unwrap_or_default();
        let mut before = Snapshot::take(self.control.now(), self.published);
        before.plane = plane;
        before
    }

    /// The server's figures last, for the same reason.
    fn close_window(&mut self, before: &Snapshot, mut after: Snapshot) {
        after.plane = self.plan.door.stat_plane().unwrap_or_default();
        self.window.add(before, &after);
    }

    /// Lets time pass, unless the run is over before.
    fn pass(&mut self, time: Duration) {
        let end_ns = self.control.now() + time.as_nanos() as u64;
        while !self.over() {
            let left = Duration::from_nanos(end_ns.saturating_sub(self.control.now()));
            if left.is_zero() {
                return;
            }
            std::thread::sleep(left.min(20 * LOOK));
            self.live.show(self.control.now(), self.published);
        }
    }

    /// Waits until every thread has finished the stage and returns when the last one did. Threads
    /// give up what does not move, so this ends.
    fn wait_for_threads(&mut self) -> u64 {
        loop {
            if let Some(end_ns) = self.control.all_finished(self.published.len()) {
                return end_ns;
            }
            if self.over() {
                self.control.stop();
            }
            std::thread::sleep(LOOK);
            self.live.show(self.control.now(), self.published);
        }
    }

    /// Whether somebody ended the run, or no connection is left.
    fn over(&self) -> bool {
        let alive = |thread: &Published| thread.alive.load(Ordering::Relaxed) > 0;
        self.interrupted.load(Ordering::Relaxed) || !self.published.iter().any(alive)
    }

    fn report(&self, total: &Total) -> Report {
        let interrupted = self.interrupted.load(Ordering::Relaxed);
        let lost_connections = (self.published.iter())
            .map(|thread| thread.alive.load(Ordering::Relaxed))
            .sum::<usize>()
            < self.settings.connections;
        let mut imbalance = Imbalance::default();
        let checked = match self.settings.operation {
            Operation::PutTake => !lost_connections,
            // Interrupted, it leaves queues half emptied.
            Operation::Take => !lost_connections && !interrupted,
            Operation::Put | Operation::Echo => false,
        };
        if checked {
            // A delayed message gets its place in line, and with it another sequence, when due.
            let by_count = !self.settings.work.delay.is_zero();
            for balance in total.accounts.iter().map(|account| account.balance(by_count)) {
                imbalance.lost += balance.lost;
                imbalance.duplicate += balance.duplicate;
            }
        }
        let (tally, busy) = (&total.tally, total.busy);
        let mut report =
            Report::assemble(self.settings, tally, busy, &self.window, imbalance, interrupted);
        if lost_connections && self.settings.operation == Operation::PutTake {
            let sentence = "connections were lost: whether messages were is not known";
            report.warnings.push(sentence.to_owned());
        }
        report
    }
}
