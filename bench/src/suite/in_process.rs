//! What needs no socket: queues on one thread, and lanes from one core to another.
//!
//! These run in the suite's own process: the queues on the CPU of servers, alone; of a lane the
//! shard on the CPU of servers and the embedding thread on the CPU of loads.

use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::figure::{Failure, Figure, Figures};
use super::subject::Bench;
use crate::floors::cpus::pin_to;
use crate::floors::{Latency, latency};
use crate::lane_figures::{BATCH, LaneSubject};
use crate::queue_figures::{Requests, Subject, Work, percentiles};
use crate::self_driven;

/// Operations by which the time of one is guessed.
const GUESSED_BY: u64 = 1_000;
/// Puts that are timed together: the clock adds a tenth of a nanosecond to each.
const PUTS_OF_A_STRETCH: u64 = 256;
/// Longest stretch told apart; a longer one counts as this.
const STRETCH_NS_MAX: u64 = 1_000_000_000;
/// Batches of a lane between two looks at the clock.
const BATCHES_PER_CLOCK_READ: u64 = 64;

/// What calls cost in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allocated {
    /// How often the allocator was asked for memory.
    pub allocations: u64,
    /// How many bytes it gave.
    pub bytes: u64,
    /// How many more bytes it has given than it got back.
    pub held_bytes: u64,
}

/// Put, take and acknowledgement of batches of `batch` messages, and what they allocate.
pub(super) fn queue(bench: &Bench, batch: u32, work: Work) -> Result<Figures, Failure> {
    on_cpu(bench.cpus.server, || {
        let requests = Requests::new(batch, work);
        let mut subject = Subject::new(&requests, requests.backlog());
        (0..requests.warm_up()).for_each(|_| subject.operation());
        let count = count_within(bench.duration, || subject.operation());
        let times = percentiles(count, || subject.operation());
        let allocated = (bench.count_allocations)(&mut || {
            (0..count).for_each(|_| subject.operation());
        });
        let an_operation = |number: u64| number as f64 / count as f64;
        Ok(Figures::from([
            (Figure::P50Ns, times.p50_ns as f64),
            (Figure::P95Ns, times.p95_ns as f64),
            (Figure::P99Ns, times.p99_ns as f64),
            (Figure::P999Ns, times.p999_ns as f64),
            (Figure::ClockNs, times.clock_ns as f64),
            (Figure::NsPerMessage, times.unclocked_ns / f64::from(batch)),
            (Figure::AllocationsPerOperation, an_operation(allocated.allocations)),
            (Figure::AllocatedBytesPerOperation, an_operation(allocated.bytes)),
        ]))
    })
}

/// Puts alone, one at a time; they are taken again outside of the measured time. A put is shorter
/// than a reading of the clock, so only stretches of them are timed.
pub(super) fn queue_put(bench: &Bench) -> Result<Figures, Failure> {
    on_cpu(bench.cpus.server, || {
        let requests = Requests::new(1, Work::Plain);
        let mut subject = Subject::new(&requests, 0);
        // Of a stretch, nanoseconds.
        let mut stretches =
            Histogram::<u64>::new_with_max(STRETCH_NS_MAX, 3).map_err(|why| failed(&why))?;
        let ends = Instant::now() + bench.duration;
        loop {
            let began = Instant::now();
            (0..PUTS_OF_A_STRETCH).for_each(|_| subject.put());
            let ended = Instant::now();
            stretches.saturating_record((ended - began).as_nanos() as u64);
            (0..PUTS_OF_A_STRETCH).for_each(|_| subject.take_for_good());
            if ended >= ends {
                break;
            }
        }
        let median = stretches.value_at_quantile(0.5) as f64 / PUTS_OF_A_STRETCH as f64;
        Ok(Figures::from([(Figure::NsPerMessage, median)]))
    })
}

/// Batches through a lane with many under way: messages a second, from the first to the last
/// answer.
pub(super) fn lane_pipelined(bench: &Bench) -> Result<Figures, Failure> {
    on_a_thread(|| {
        let mut subject = LaneSubject::start(bench.cpus).map_err(Failure::Failed)?;
        let mut run = |duration: Duration| {
            let (began, mut batches) = (Instant::now(), 0);
            while batches == 0 || began.elapsed() < duration {
                for _ in 0..BATCHES_PER_CLOCK_READ {
                    subject.offer().map_err(|why| failed(&why))?;
                }
                batches += BATCHES_PER_CLOCK_READ;
            }
            subject.settle().map_err(|why| failed(&why))?;
            Ok::<_, Failure>((batches * BATCH as u64) as f64 / began.elapsed().as_secs_f64())
        };
        run(bench.duration / 10)?;
        Ok(Figures::from([(Figure::MessagesPerSecond, run(bench.duration)?)]))
    })
}

/// One message through a lane and its answer back.
pub(super) fn lane_round_trip(bench: &Bench) -> Result<Latency, Failure> {
    on_a_thread(|| {
        let mut subject = LaneSubject::start(bench.cpus).map_err(Failure::Failed)?;
        latency::of_trips(bench.duration, || subject.enqueue()).map_err(|why| failed(&why))
    })
}

/// Shards that drive themselves, with one queue that is spread over them.
pub(super) fn self_driven(bench: &Bench, shards: usize) -> Result<Figures, Failure> {
    let driven = self_driven::measure(bench.cpus, shards, bench.duration);
    let driven = driven.map_err(Failure::Failed)?;
    let figures = Figures::from([(Figure::MessagesPerSecond, driven.messages_per_second)]);
    Ok(figures.with_server_cpu(Some(driven.cpu_ns_per_message)))
}

fn failed(why: &dyn std::fmt::Display) -> Failure {
    Failure::Failed(why.to_string())
}

/// How many calls take about a third of `duration`: they are made three times over.
fn count_within(duration: Duration, mut call: impl FnMut()) -> u64 {
    (0..GUESSED_BY).for_each(|_| call());
    let began = Instant::now();
    (0..GUESSED_BY).for_each(|_| call());
    let one_ns = began.elapsed().as_nanos() as f64 / GUESSED_BY as f64;
    ((duration.as_nanos() as f64 / 3.0 / one_ns) as u64).max(GUESSED_BY)
}

/// On a thread of its own that is pinned to `cpu` and ends with the measurement.
pub(super) fn on_cpu<T: Send>(
    cpu: usize,
    measure: impl FnOnce() -> Result<T, Failure> + Send,
) -> Result<T, Failure> {
    on_a_thread(|| {
        if !pin_to(cpu) {
            return Err(Failure::Failed("the kernel refused to pin a thread".to_owned()));
        }
        measure()
    })
}

/// On a thread of its own, which may be pinned and ends with the measurement.
fn on_a_thread<T: Send>(measure: impl FnOnce() -> Result<T, Failure> + Send) -> Result<T, Failure> {
    thread::scope(|scope| match scope.spawn(measure).join() {
        Ok(outcome) => outcome,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}
