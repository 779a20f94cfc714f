//! One thread of the generator: its connections, its rounds, and how busy it was.
//!
//! A round reads the clock, begins what the schedule says, waits as it was told to, and then gives
//! each connection with replies one read, one look at the clock and one write.

use std::time::Duration;

use ringway_client::{Error, Pipeline};

use crate::load::control::{Control, Published, Task};
use crate::load::ledger::Ledger;
use crate::load::pace::Pace;
use crate::load::settings::Settings;
use crate::load::slots::Flow;
use crate::load::watch::Watch;

/// Series of reads of an empty socket, and reads of one, that tell what a read in vain costs.
const CALIBRATION: (u64, u64) = (8, 32);
/// Most that a round costs beside its reads. One that took longer was not on its CPU all the time.
const ROUND_NS_MAX: u64 = 2_000;

/// Where a thread's time went while latencies were recorded, in nanoseconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Busy {
    /// On the clock.
    pub wall_ns: u64,
    /// On a CPU.
    pub cpu_ns: u64,
    /// On a CPU, looking for replies that were not there.
    pub idle_ns: u64,
}

impl Busy {
    /// On a CPU with something to do.
    pub fn worked_ns(&self) -> u64 {
        self.cpu_ns.saturating_sub(self.idle_ns)
    }
}

/// A thread's own state.
pub struct Worker<'a> {
    control: &'a Control,
    published: &'a Published,
    flows: Vec<Flow>,
    ledger: Ledger,
    watch: Watch,
    /// Connections that may have something to read, if the kernel is asked.
    ready: Vec<usize>,
    pace: Option<Pace>,
    patience_ns: u64,
    /// The connection whose turn it is to begin a round of an open loop.
    next_flow: usize,
    empty_read_ns: u64,
    busy: Busy,
    /// Whether what is pushed was asked for.
    subscribed: bool,
    /// The clock and the CPU time when recording began.
    recording_since: Option<(u64, u64)>,
}

impl<'a> Worker<'a> {
    /// Takes the connections over; call it on the thread that will run them.
    pub fn new(
        (control, published): (&'a Control, &'a Published),
        settings: &Settings,
        flows: Vec<Flow>,
        ledger: Ledger,
        watch: Watch,
    ) -> Self {
        let mut worker = Self {
            control,
            published,
            flows,
            ledger,
            watch,
            ready: Vec::new(),
            pace: (settings.rate).map(|rate| Pace::new(rate, settings.batch, settings.threads)),
            // Nothing moves while everything waits for its time.
            patience_ns: (settings.patience + settings.work.delay).as_nanos() as u64,
            next_flow: 0,
            empty_read_ns: 0,
            busy: Busy::default(),
            subscribed: false,
            recording_since: None,
        };
        worker.calibrate();
        worker
    }

    /// Stage after stage, until the coordinator says it is over.
    pub fn run(mut self) -> (Ledger, Busy) {
        let mut last = 0;
        loop {
            let (number, task) = self.control.next_stage(last);
            if task == Task::End {
                return (self.ledger, self.busy);
            }
            last = number;
            self.run_stage(task);
            self.control.finish();
        }
    }

    fn run_stage(&mut self, task: Task) {
        let mut now_ns = self.control.now();
        self.start_stage(task, now_ns);
        let (mut progress, mut progress_ns) = (self.ledger.progress, now_ns);
        loop {
            let running = self.control.running();
            self.ledger.restart = running && self.pace.is_none();
            self.note_recording(now_ns);
            let longest = if running { self.begin_due(now_ns) } else { Duration::MAX };
            let (moved, empty_reads) = self.round(longest);
            self.ledger.tally.publish(self.published);
            let slots: usize = self.flows.iter().map(|flow| flow.slots.in_flight()).sum();
            let in_flight = slots as u64 + self.ledger.under_way();
            let more = running && self.flows.iter().any(|flow| flow.slots.can_begin());
            if in_flight == 0 && !more {
                break;
            }
            let before_ns = std::mem::replace(&mut now_ns, self.control.now());
            let most_ns = 2 * empty_reads * self.empty_read_ns + ROUND_NS_MAX;
            match moved {
                true => self.idle(empty_reads * self.empty_read_ns),
                false => self.idle((now_ns - before_ns).min(most_ns)),
            }
            if self.ledger.progress != progress || in_flight == 0 {
                (progress, progress_ns) = (self.ledger.progress, now_ns);
            } else if now_ns - progress_ns > self.patience_ns {
                self.give_up();
            }
        }
        self.note_recording_ended(self.control.now());
    }

    /// Allows each connection its share, and in a closed loop begins all it may have in flight.
    fn start_stage(&mut self, task: Task, now_ns: u64) {
        self.ledger.task = task;
        let share = match task {
            Task::Fill(messages) | Task::Empty(messages) => messages,
            Task::Run | Task::End => u64::MAX,
        };
        for (index, flow) in self.flows.iter_mut().enumerate() {
            let Some(pipeline) = &mut flow.pipeline else { continue };
            flow.slots.allow(share);
            if !self.subscribed {
                flow.slots.subscribe(pipeline.outbox(), &self.ledger);
            }
            while self.pace.is_none() && flow.slots.can_begin() && self.ledger.has_room() {
                flow.slots.begin(pipeline.outbox(), &mut self.ledger, now_ns);
            }
            if self.watch.asks() && !flow.ready {
                flow.ready = true;
                self.ready.push(index);
            }
        }
        self.subscribed = true;
        if let Some(pace) = &mut self.pace {
            pace.start(now_ns);
        }
    }

    /// Begins the rounds that the schedule has due, on the connections in turn. When every slot is
    /// taken, the rest waits: its latency counts from when it was due. Returns how long the thread
    /// may sleep unless replies come.
    fn begin_due(&mut self, now_ns: u64) -> Duration {
        let Some(pace) = &mut self.pace else { return Duration::MAX };
        let mut full = 0;
        while pace.next_ns() <= now_ns && full < self.flows.len() {
            let index = self.next_flow;
            self.next_flow = if index + 1 < self.flows.len() { index + 1 } else { 0 };
            let flow = &mut self.flows[index];
            let Some(pipeline) = flow.pipeline.as_mut().filter(|_| flow.slots.can_begin()) else {
                full += 1;
                continue;
            };
            full = 0;
            flow.slots.begin(pipeline.outbox(), &mut self.ledger, pace.next_ns());
            pace.advance();
            if self.watch.asks() && !flow.ready {
                flow.ready = true;
                self.ready.push(index);
            }
        }
        // With every slot taken, only a reply can make room.
        if full < self.flows.len() { pace.sleep(now_ns) } else { Duration::MAX }
    }

    /// Gives each connection that may have replies its turn. Returns whether any had, and how
    /// many reads found nothing.
    fn round(&mut self, longest: Duration) -> (bool, u64) {
        if let Err(error) = self.watch.wait(&mut self.flows, &mut self.ready, longest) {
            self.ledger.tally.fail(1, &format!("the kernel names no ready connections: {error}"));
        }
        let (mut moved, mut empty_reads) = (false, 0);
        if self.watch.asks() {
            let mut ready = std::mem::take(&mut self.ready);
            ready.retain(|index| {
                let count = self.turn(*index);
                moved |= count > 0;
                let flow = &mut self.flows[*index];
                let drained = flow.pipeline.as_ref().is_none_or(Pipeline::drained);
                flow.ready = count > 0 && !drained;
                flow.ready
            });
            self.ready = ready;
        } else {
            for index in 0..self.flows.len() {
                if self.flows[index].slots.expects() {
                    let empty = self.turn(index) == 0;
                    empty_reads += u64::from(empty);
                    moved |= !empty;
                }
            }
        }
        (moved, empty_reads)
    }

    /// Accounts for time spent looking for replies in vain.
    #[inline]
    fn idle(&mut self, ns: u64) {
        if self.recording_since.is_some() && !self.watch.sleeps() {
            self.busy.idle_ns += ns;
        }
    }

    /// One connection's turn: send, read once, answer. Returns how many bytes came.
    fn turn(&mut self, index: usize) -> usize {
        self.try_turn(index).unwrap_or_else(|error| {
            self.lose(index, &error.to_string());
            0
        })
    }

    fn try_turn(&mut self, index: usize) -> Result<usize, Error> {
        let Self { control, flows, ledger, watch, .. } = self;
        let Flow { pipeline: Some(pipeline), slots, .. } = &mut flows[index] else { return Ok(0) };
        let sent = pipeline.flush()?;
        let count = match watch {
            // With requests still unsent, a sleep in the read could wait for a server that waits
            // for us.
            Watch::Single if sent => pipeline.receive_blocking()?,
            _ => pipeline.receive()?,
        };
        if count > 0 {
            ledger.now_ns = control.now();
            let result = pipeline.replies(|frame, outbox| slots.on_reply(frame, outbox, ledger));
            ledger.tally.latencies.settle(ledger.now_ns);
            result?;
            pipeline.flush()?;
        }
        Ok(count)
    }

    #[cold]
    fn lose(&mut self, index: usize, sentence: &str) {
        let flow = &mut self.flows[index];
        flow.pipeline = None;
        let messages = flow.slots.abandon();
        self.ledger.tally.fail(messages.max(1), sentence);
        self.ledger.came_through(messages);
        let alive = self.flows.iter().filter(|flow| flow.pipeline.is_some()).count();
        self.published.alive.store(alive, std::sync::atomic::Ordering::Relaxed);
    }

    #[cold]
    fn give_up(&mut self) {
        for index in 0..self.flows.len() {
            if self.flows[index].slots.in_flight() > 0 {
                self.lose(index, "nothing moved any more: requests without a reply were given up");
            }
        }
        let messages = self.ledger.give_up_pushes();
        if messages > 0 {
            self.ledger.tally.fail(messages, "messages were put and never pushed");
        }
    }

    /// Starts or ends the recording of latencies, and with it the account of this thread's time.
    fn note_recording(&mut self, now_ns: u64) {
        let recording = self.control.recording();
        if recording == self.ledger.tally.recording {
            return;
        }
        if recording {
            self.ledger.tally.recording = true;
            self.recording_since = Some((now_ns, thread_cpu_ns()));
        } else {
            self.note_recording_ended(now_ns);
        }
    }

    fn note_recording_ended(&mut self, now_ns: u64) {
        self.ledger.tally.recording = false;
        if let Some((since_ns, cpu_ns)) = self.recording_since.take() {
            self.busy.wall_ns += now_ns - since_ns;
            self.busy.cpu_ns += thread_cpu_ns().saturating_sub(cpu_ns);
        }
    }

    /// Measures what a read of an empty socket costs, for the account of time spent looking.
    fn calibrate(&mut self) {
        let Some(pipeline) = self.flows.first_mut().and_then(|flow| flow.pipeline.as_mut()) else {
            return;
        };
        let (series, reads) = CALIBRATION;
        let control = self.control;
        let one = |_| {
            let start_ns = control.now();
            for _ in 0..reads {
                // An error comes back with the first real read, which reports it.
                let _ = pipeline.receive();
            }
            (control.now() - start_ns) / reads
        };
        // The shortest: in the others the thread may have lost its CPU.
        self.empty_read_ns = (0..series).map(one).min().unwrap_or(0);
    }
}

/// CPU time of this thread in nanoseconds, 0 where the kernel does not tell.
fn thread_cpu_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split_whitespace().next().and_then(|first| first.parse().ok()).unwrap_or(0)
}
