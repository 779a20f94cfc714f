//! The story of a checked run: load, calm, empty the queues, judge.

use std::net::{SocketAddr, ToSocketAddrs};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ringway_checker::chance::Chance;
use ringway_checker::clients::queues::{self, QueuePlan, Scene};
use ringway_checker::clients::sweeper::Sweeper;
use ringway_checker::clients::vandal::Vandal;
use ringway_checker::clients::worker::Worker;
use ringway_checker::clients::{ClientSide, Found, Outside};
use ringway_checker::{Checker, Event, Verdict};
use ringway_client::{Client, Options};

use super::sockets::Sockets;
use super::{CheckReport, CheckSettings};
use crate::load::LoadError;

/// The unit of leases, waits and delays: the longest are 60 times that. Long enough beside
/// [`SLACK_NS`] that what comes too early shows, short enough that queues are empty soon.
const UNIT_MS: u64 = 30;
/// How much too early the server may read its clocks: its threads may lose their CPU between that
/// and acting, and on a busy host for long.
const SLACK_NS: u64 = 500_000_000;
/// Memory of a queue at most: clients do not take all that they put.
const QUEUE_BYTES_MAX: u64 = 16 << 20;
/// The narrowest place between a client and the plane, in bytes: a socket's buffer.
const NARROWEST_BYTES: usize = 64 << 10;
/// Clients for each one that breaks the protocol.
const CLIENTS_PER_VANDAL: usize = 10;
/// How long nobody looks when nothing moved.
const PAUSE: Duration = Duration::from_micros(100);
/// How long what broken connections had sent may still be carried out.
const AFTERMATH: Duration = Duration::from_millis(500);
/// So long without progress means that it never comes.
const PATIENCE: Duration = Duration::from_secs(30);

/// Carries out a checked run. `interrupted` ends the load early; what was done is still judged.
pub fn run(settings: &CheckSettings, interrupted: &AtomicBool) -> Result<CheckReport, LoadError> {
    if settings.clients == 0 || settings.messages_max == 0 {
        let sentence = "--connections and --messages must be at least 1";
        return Err(LoadError::Usage(sentence.to_owned()));
    }
    let options = Options { token: settings.token.clone(), ..Options::default() };
    let mut door = Client::connect(&settings.address, &options)
        .map_err(|error| LoadError::client("connecting", error))?;
    let failed = |error| LoadError::client("listing queues", error);
    if !door.list(&settings.queue_prefix).map_err(failed)?.is_empty() {
        return Err(LoadError::Usage(format!(
            "there are queues {}* already, whose messages nobody could judge: choose another \
             --queue-prefix",
            settings.queue_prefix
        )));
    }
    let listeners = listeners(&settings.address, &door.welcome().shards)?;
    let mut check = Check::new(settings, listeners);
    check.load(settings, interrupted);
    let seconds = check.sockets.now_ns() as f64 / 1e9;
    let mut report = check.judge(settings.seed, seconds);
    if !settings.keep {
        report.warnings.extend(remove(settings, &options).err().map(|error| {
            format!("the queues {}* may be left on the server: {error}", settings.queue_prefix)
        }));
    }
    Ok(report)
}

/// Removes the run's queues, over a connection that is as good as the server now is.
fn remove(settings: &CheckSettings, options: &Options) -> Result<(), ringway_client::Error> {
    let mut door = Client::connect(&settings.address, options)?;
    for queue in door.list(&settings.queue_prefix)? {
        door.delete(queue.queue)?;
    }
    Ok(())
}

/// Where each shard listens, then the plane. Shards without an address are reached by the plane's.
fn listeners(address: &str, shards: &[String]) -> Result<Vec<SocketAddr>, LoadError> {
    let resolve = |name: &str| {
        let mut found = name.to_socket_addrs().map_err(|error| LoadError::Host {
            doing: "looking for the plane's addresses",
            error,
        })?;
        found.next().ok_or_else(|| LoadError::Usage(format!("{name} has no address")))
    };
    let own = |shard: &String| resolve(if shard.is_empty() { address } else { shard });
    shards.iter().map(own).chain([resolve(address)]).collect()
}

/// Clients, their sockets, and who judges.
struct Check {
    sockets: Sockets,
    checker: Checker,
    workers: Vec<Worker>,
    vandals: Vec<Vandal>,
    sweeper: Sweeper,
    connections: u64,
    messages: u64,
    found: Found,
}

impl Check {
    fn new(settings: &CheckSettings, listeners: Vec<SocketAddr>) -> Self {
        let mut chance = Chance::new(settings.seed);
        let local = listeners.iter().all(|address| address.ip().is_loopback());
        let prefix = settings.queue_prefix.clone();
        let scene = Scene { prefix, unit_ms: UNIT_MS, hours_pass: false };
        let mut plans = queues::draw(scene, &mut chance);
        plans.iter_mut().for_each(|plan| plan.options.bytes_max = QUEUE_BYTES_MAX);
        let plans: Rc<[QueuePlan]> = plans.into();
        let shards = listeners.len() - 1;
        let worker = |_| Worker::new(chance.fork(), plans.clone(), (shards, NARROWEST_BYTES));
        let workers = (0..settings.clients).map(worker).collect();
        let vandals = settings.clients / CLIENTS_PER_VANDAL;
        let vandals = (0..vandals).map(|_| Vandal::new(chance.fork(), shards + 1)).collect();
        let sockets = Sockets::new(listeners, &settings.token);
        let mut checker = Checker::with_slack(SLACK_NS);
        if local {
            // Another host's wall clock is not known here: times of day are not judged there.
            let (at_ns, wall_ms) = (sockets.now_ns(), sockets.wall_ms());
            checker.record(Event::Clock { at_ns, wall_ms });
        }
        Self {
            sockets,
            checker,
            workers,
            vandals,
            sweeper: Sweeper::new(chance.fork(), plans, shards),
            connections: 0,
            messages: 1,
            found: Found::default(),
        }
    }

    fn with_outside(
        &mut self,
        act: impl FnOnce(&mut Outside<'_>, &mut [Worker], &mut [Vandal], &mut Sweeper),
    ) {
        let Self { sockets, checker, workers, vandals, sweeper, connections, messages, found } =
            self;
        let mut outside = Outside { network: sockets, checker, connections, messages, found };
        act(&mut outside, workers, vandals, sweeper);
    }

    /// Everybody works until enough was done; then what was asked for is answered.
    fn load(&mut self, settings: &CheckSettings, interrupted: &AtomicBool) {
        let started = Instant::now();
        while started.elapsed() < settings.duration
            && self.messages <= settings.messages_max
            && !interrupted.load(Ordering::Relaxed)
        {
            self.round(|outside, workers, vandals, _| {
                workers.iter_mut().for_each(|worker| worker.step(outside));
                vandals.iter_mut().for_each(|vandal| vandal.step(outside));
            });
        }
        self.with_outside(|outside, workers, vandals, _| {
            workers.iter_mut().for_each(|worker| worker.calm(outside));
            vandals.iter_mut().for_each(|vandal| vandal.calm(outside));
        });
    }

    /// Empties the queues and judges.
    fn judge(mut self, seed: u64, seconds: f64) -> CheckReport {
        let mut violations = Vec::new();
        // While queues are not empty, what nobody has seen is not lost.
        let swept = self.wait_for_replies().and_then(|()| self.sweep());
        let whole = swept.is_ok();
        violations.extend(swept.err());
        self.with_outside(|outside, workers, _, sweeper| {
            workers.iter_mut().for_each(|worker| worker.leave(outside));
            sweeper.leave(outside);
        });
        let found = self.checker.finish().into_iter();
        let found = found.filter(|violation| whole || violation.verdict != Verdict::Lost);
        violations.extend(found.map(|violation| violation.to_string()));
        CheckReport {
            seed,
            seconds,
            messages: self.messages - 1,
            connections: self.connections,
            happened: self.sockets.into_tally(),
            verdict: if violations.is_empty() { "good" } else { "violated" },
            violations,
            warnings: Vec::new(),
        }
    }

    fn wait_for_replies(&mut self) -> Result<(), String> {
        let (mut moved, mut since) = (self.sockets.moved(), Instant::now());
        while !self.workers.iter().all(Worker::is_done) {
            self.round(|outside, workers, _, _| {
                workers.iter_mut().for_each(|worker| worker.step(outside));
            });
            if std::mem::replace(&mut moved, self.sockets.moved()) != moved {
                since = Instant::now();
            }
            if since.elapsed() > PATIENCE {
                let waiting: Vec<String> =
                    self.workers.iter().flat_map(Worker::waiting).take(3).collect();
                return Err(format!("requests are not answered: {}", waiting.join("; ")));
            }
        }
        std::thread::sleep(AFTERMATH);
        Ok(())
    }

    fn sweep(&mut self) -> Result<(), String> {
        let (mut taken, mut since) = (0, Instant::now());
        while !self.sweeper.is_done() {
            self.round(|outside, workers, _, sweeper| {
                // They ask for nothing, and see whether their connections live.
                workers.iter_mut().for_each(|worker| worker.step(outside));
                sweeper.step(outside);
            });
            if std::mem::replace(&mut taken, self.sweeper.taken()) != taken {
                since = Instant::now();
            }
            if since.elapsed() > PATIENCE {
                return Err(format!("queues are not emptied: {}", self.sweeper.waiting()));
            }
        }
        Ok(())
    }

    /// One step of everybody, then a pause if nothing moved.
    fn round(
        &mut self,
        act: impl FnOnce(&mut Outside<'_>, &mut [Worker], &mut [Vandal], &mut Sweeper),
    ) {
        let before = self.sockets.moved();
        self.with_outside(act);
        if self.sockets.moved() == before {
            std::thread::sleep(PAUSE);
        }
    }
}
