//! One thread for everything: shards, kernels and clients get their turns in an order that the seed
//! chooses.

use std::cell::RefCell;
use std::rc::Rc;

use crate::canary::Canary;
use crate::network::Network;
use crate::shards_under_test::ShardsUnderTest;
use ringway_checker::chance::Chance;
use ringway_checker::clients::glutton::Glutton;
use ringway_checker::clients::queues::{HOUR_MS, QueuePlan};
use ringway_checker::clients::sweeper::Sweeper;
use ringway_checker::clients::vandal::Vandal;
use ringway_checker::clients::worker::Worker;
use ringway_checker::clients::{ClientSide, Found, Outside};
use ringway_checker::{Checker, Event};

/// Longest that a shard gets no turn, in nanoseconds.
const STARVED_NS_MAX: usize = 60_000_000;
/// Longest stall of the whole machine, in nanoseconds.
const STALL_NS_MAX: u64 = 60_000_000;
/// Longest jump of the clock when nothing moves, in nanoseconds.
const JUMP_NS_MAX: u64 = 5_000_000;
/// Rounds without an event after which the clock may jump.
const QUIET_ROUNDS: u32 = 3;
/// Nanoseconds within which a calm plane has answered everything, and within which it gives up
/// every lease: half a second where 400 seeds needed 0.14 s at most, since no wait or lease of a
/// run is longer than 60 ms. A shard that is woken only by some later timer is caught by this.
const ANSWERED_NS: u64 = 500_000_000;
/// Nanoseconds within which everything ends: connections linger for a second at most.
const ENDED_NS: u64 = 3_000_000_000;

/// Smallest steps of the wall clock, in milliseconds.
const SLEW_MS: u64 = 40;

/// Bytes of a pipe or a buffer that count as wide.
const WIDE_BYTES: usize = 64 << 10;
/// Things left open that a failure names.
const OPEN_SHOWN_MAX: usize = 20;

/// A shard between two turns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Sleep {
    Awake,
    /// It has said that it will sleep and looks once more for work.
    Announced,
    Asleep {
        deadline_ns: Option<u64>,
    },
}

/// A plane, its clients and what lies between them.
pub struct Scheduler {
    /// Everything outside the shards.
    pub network: Rc<RefCell<Network>>,
    /// The shards.
    pub shards: ShardsUnderTest,
    /// What clients saw.
    pub checker: Checker,
    sleep: Vec<Sleep>,
    starved_until_ns: Vec<u64>,
    workers: Vec<Worker>,
    vandals: Vec<Vandal>,
    glutton: Option<Glutton>,
    sweeper: Sweeper,
    chance: Chance,
    connections: u64,
    messages: u64,
    found: Found,
}

impl Scheduler {
    /// So many shards with clients drawn by `chance`.
    pub fn new(
        network: Rc<RefCell<Network>>,
        shards: usize,
        plans: Rc<[QueuePlan]>,
        mut chance: Chance,
    ) -> Self {
        let workers = chance.between(1, 8);
        let vandals = if chance.once_in(2) { chance.between(1, 3) } else { 0 };
        let faults = network.borrow().faults().clone();
        let narrowest = faults.buffers[0].1.min(faults.pipe_bytes);
        // Through narrow pipes and small buffers its appetite would not fit the steps of a run.
        let wide = faults.pipe_bytes >= WIDE_BYTES && faults.buffers[1].1 >= WIDE_BYTES;
        let glutton = wide.then(|| Glutton::new(chance.fork(), shards));
        let worker = |_| Worker::new(chance.fork(), plans.clone(), (shards, narrowest));
        let workers = (0..workers).map(worker).collect();
        let vandals = (0..vandals).map(|_| Vandal::new(chance.fork(), shards + 1)).collect();
        Self {
            shards: ShardsUnderTest::new(&network, shards),
            network,
            checker: Checker::new(),
            sleep: vec![Sleep::Awake; shards],
            starved_until_ns: vec![0; shards],
            workers,
            vandals,
            glutton,
            sweeper: Sweeper::new(chance.fork(), plans, shards),
            chance,
            connections: 0,
            messages: 1,
            found: Found::default(),
        }
    }

    /// Adds what the shards themselves have counted to the network's tally.
    pub fn tally_shards(&mut self) {
        let mut network = self.network.borrow_mut();
        for (name, count) in self.shards.figures() {
            network.count_many(name, count);
        }
    }

    /// How many connections and messages clients have made.
    pub fn totals(&self) -> (u64, u64) {
        (self.connections, self.messages - 1)
    }

    /// Lets the world run wild for so many steps.
    pub fn run(&mut self, steps: u64) {
        self.set_wall(0);
        for _ in 0..steps {
            self.pass_time();
            let shard = self.chance.below(self.sleep.len());
            match self.chance.below(10) {
                0..=2 => self.visit(shard),
                3..=5 => self.network.borrow_mut().progress(shard),
                _ => self.visit_client(),
            }
        }
    }

    /// From now on nothing goes wrong and nobody asks for anything new.
    pub fn calm(&mut self) {
        self.network.borrow_mut().calm();
        // Whatever time of day somebody waits for has come.
        self.set_wall(2 * HOUR_MS as i64);
        self.with_outside(|outside, this| {
            this.workers.iter_mut().for_each(|worker| worker.calm(outside));
            this.glutton.iter_mut().for_each(Glutton::calm);
        });
        for mut vandal in std::mem::take(&mut self.vandals) {
            self.with_outside(|outside, _| vandal.calm(outside));
        }
    }

    /// Runs the calm world until every request is answered.
    pub fn settle_requests(&mut self) -> Result<(), String> {
        self.settle("every request is answered in time", ANSWERED_NS, Self::is_answered)
    }

    /// Runs the calm world until the sweeper has emptied every queue.
    pub fn sweep(&mut self) -> Result<(), String> {
        // What clients that went had put may still be on its way into the queues.
        self.settle("the connections of clients that went are closed in time", ENDED_NS, |this| {
            !this.network.borrow().any_abandoned()
        })?;
        self.settle("every queue is emptied in time", ANSWERED_NS, |this| this.sweeper.is_done())
    }

    /// Everybody parts; sometimes the plane goes down first. Runs until nothing is left under way.
    pub fn end(&mut self) -> Result<(), String> {
        let shards = self.sleep.len();
        let holding = self.shards.holding();
        assert!(holding.is_empty(), "the sweeper found all queues empty, and yet: {holding:?}");
        if self.chance.once_in(2) {
            self.with_outside(|outside, this| {
                this.workers.iter_mut().for_each(|worker| worker.leave(outside));
                this.glutton.iter_mut().for_each(|glutton| glutton.leave(outside));
                this.sweeper.leave(outside);
            });
            self.settle("every socket is closed in time", ENDED_NS, |this| {
                this.network.borrow().open_sockets().is_empty()
            })?;
        }
        self.network.borrow_mut().excuse_all();
        self.shards.stop();
        self.sleep.fill(Sleep::Awake);
        self.settle("every shard stops in time", ENDED_NS, |this| {
            let stopped = this.shards.have_stopped();
            if stopped {
                this.network.borrow_mut().close_listeners();
            }
            stopped && this.network.borrow().open_sockets().is_empty()
        })?;
        (0..shards).for_each(|shard| self.network.borrow().assert_nothing_held(shard));
        Ok(())
    }

    /// Lets everything move until it is `done`, within so many nanoseconds of simulated time.
    fn settle(
        &mut self,
        what: &str,
        within_ns: u64,
        done: impl Fn(&Self) -> bool,
    ) -> Result<(), String> {
        let mut quiet = 0;
        let (mut came_to, mut until_ns) = ((0, usize::MAX), 0);
        loop {
            if done(self) {
                return Ok(());
            }
            let now_ns = self.network.borrow().now_ns();
            let comes_to = (self.sweeper.taken(), self.checker.outstanding().min(came_to.1));
            if until_ns == 0 || came_to != comes_to {
                // One message of a key at a time, or one put after the other that waits for room:
                // it may take long while it gets on.
                (came_to, until_ns) = (comes_to, now_ns + within_ns);
            }
            if now_ns >= until_ns {
                break;
            }
            let before = self.network.borrow().trace().events();
            self.round();
            let events = self.network.borrow().trace().events();
            quiet = if events == before { quiet + 1 } else { 0 };
            let by_ns = if quiet > QUIET_ROUNDS { self.quiet_ns() } else { 1_000 };
            self.network.borrow_mut().advance(by_ns);
        }
        let mut open: Vec<String> = self.workers.iter().flat_map(Worker::waiting).collect();
        open.push(self.sweeper.waiting());
        open.extend(self.network.borrow().open_sockets());
        open.truncate(OPEN_SHOWN_MAX);
        let (open, sleep) = (open.join("; "), &self.sleep);
        Err(format!("it never came about that {what}: {open}; shards: {sleep:?}"))
    }

    /// Everything gets on once.
    fn round(&mut self) {
        for shard in 0..self.sleep.len() {
            self.network.borrow_mut().progress_all(shard);
            // Turn, announce, sleep: three visits.
            (0..3).for_each(|_| self.visit(shard));
        }
        self.with_outside(|outside, this| {
            this.workers.iter_mut().for_each(|worker| worker.step(outside));
            this.glutton.iter_mut().for_each(|glutton| glutton.step(outside));
        });
        let abandoned = self.network.borrow().any_abandoned();
        if !abandoned && self.is_answered() {
            self.with_outside(|outside, this| this.sweeper.step(outside));
        }
    }

    fn is_answered(&self) -> bool {
        let glutton = self.glutton.as_ref().is_none_or(Glutton::is_done);
        glutton && self.workers.iter().all(Worker::is_done)
    }

    /// How long nothing will happen.
    fn quiet_ns(&self) -> u64 {
        let network = self.network.borrow();
        let now_ns = network.now_ns();
        let deadline_ns = |sleep: &Sleep| match sleep {
            Sleep::Asleep { deadline_ns } => *deadline_ns,
            _ => None,
        };
        let deadlines = self.sleep.iter().filter_map(deadline_ns);
        let sweeper = Some(self.sweeper.rests_until_ns());
        let next = deadlines.chain(network.next_due_ns()).chain(sweeper);
        let next = next.filter(|due_ns| *due_ns > now_ns).min();
        next.map_or(JUMP_NS_MAX, |due_ns| due_ns - now_ns).min(JUMP_NS_MAX)
    }

    fn pass_time(&mut self) {
        let mut by_ns = self.chance.between(0, 4_000);
        if self.chance.once_in(100) {
            by_ns += self.chance.between(0, 1_000_000);
        }
        let faults = self.network.borrow().faults().clone();
        if self.chance.happens(faults.stall) {
            by_ns += self.chance.between(1, STALL_NS_MAX);
            self.network.borrow_mut().count("stalls");
        }
        self.network.borrow_mut().advance(by_ns);
        if self.chance.happens(faults.clock_step) {
            let little = self.chance.between(0, 2 * SLEW_MS) as i64 - SLEW_MS as i64;
            let hour = HOUR_MS as i64;
            let ahead_ms = self.chance.pick(&[-hour, 0, hour]) + little;
            self.set_wall(ahead_ms);
            self.network.borrow_mut().count("steps of the wall clock");
        }
        if self.chance.happens(faults.starved_shard) {
            let shard = self.chance.below(self.sleep.len());
            let until_ns = self.chance.magnitude(STARVED_NS_MAX) as u64;
            self.starved_until_ns[shard] = self.network.borrow().now_ns() + until_ns;
            self.network.borrow_mut().count("starved shards");
        }
    }

    fn set_wall(&mut self, ahead_ms: i64) {
        let mut network = self.network.borrow_mut();
        network.set_wall(ahead_ms);
        let (at_ns, wall_ms) = (network.now_ns(), network.wall_ms());
        self.checker.record(Event::Clock { at_ns, wall_ms });
    }

    /// A shard gets its turn, goes to sleep, or sleeps on.
    fn visit(&mut self, shard: usize) {
        if self.network.borrow().now_ns() < self.starved_until_ns[shard] {
            return;
        }
        match self.sleep[shard] {
            Sleep::Awake => {
                if !self.shards.turn(shard) {
                    self.network.borrow_mut().set_parked(shard, true);
                    self.sleep[shard] = Sleep::Announced;
                }
            }
            Sleep::Announced => {
                let deadline_ns = self.shards.next_deadline(shard);
                if self.shards.has_work(shard) {
                    self.wake(shard);
                } else {
                    self.network.borrow_mut().count("parks");
                    self.sleep[shard] = Sleep::Asleep { deadline_ns };
                }
            }
            Sleep::Asleep { deadline_ns } => {
                if self.wakes(shard, deadline_ns) {
                    self.wake(shard);
                }
            }
        }
    }

    fn wakes(&mut self, shard: usize, deadline_ns: Option<u64>) -> bool {
        let mut network = self.network.borrow_mut();
        let now_ns = network.now_ns();
        let due = deadline_ns.is_some_and(|deadline_ns| deadline_ns <= now_ns)
            && network.canary() != Some(Canary::DeadlineIgnored);
        let spurious = network.faults().spurious_wake;
        let rung = network.hear_doorbell(shard);
        due || rung || network.pending(shard) || self.chance.happens(spurious)
    }

    fn wake(&mut self, shard: usize) {
        self.network.borrow_mut().set_parked(shard, false);
        self.sleep[shard] = Sleep::Awake;
    }

    fn visit_client(&mut self) {
        let (workers, vandals) = (self.workers.len(), self.vandals.len());
        let client = self.chance.below(workers + vandals + usize::from(self.glutton.is_some()));
        self.with_outside(|outside, this| {
            if client < workers {
                this.workers[client].step(outside);
            } else if client < workers + vandals {
                this.vandals[client - workers].step(outside);
            } else {
                this.glutton.iter_mut().for_each(|glutton| glutton.step(outside));
            }
        });
    }

    /// Lends clients what they reach outside themselves.
    fn with_outside(&mut self, act: impl FnOnce(&mut Outside<'_>, &mut Clients<'_>)) {
        let Self { network, checker, connections, messages, found, .. } = self;
        let Self { workers, vandals, glutton, sweeper, .. } = self;
        let mut network = network.borrow_mut();
        let network = &mut *network;
        let mut outside = Outside { network, checker, connections, messages, found };
        act(&mut outside, &mut Clients { workers, vandals, glutton, sweeper });
    }
}

/// Everybody outside the plane.
struct Clients<'a> {
    workers: &'a mut Vec<Worker>,
    vandals: &'a mut Vec<Vandal>,
    glutton: &'a mut Option<Glutton>,
    sweeper: &'a mut Sweeper,
}
