//! Delayed messages on one thread: what they need until they are due, and what one costs.

use std::time::Duration;

use super::figure::{Failure, Figure, Figures};
use super::in_process::on_cpu;
use super::subject::{Bench, Size};
use crate::delayed_figures::{Delayed, Due};
use crate::floors::scattered::scattered_ns;

/// About what one message costs, with the encoding of some of them.
const A_MESSAGE: Duration = Duration::from_nanos(400);

/// About how long the measurement takes.
pub(super) fn time_needed(size: Size) -> Duration {
    Duration::from_nanos(size.delayed_messages * A_MESSAGE.as_nanos() as u64)
}

/// Fills a queue with delayed messages and delivers them; then the same with a tenth of them, all
/// due together; then what memory alone costs of the first.
pub(super) fn measure(bench: &Bench) -> Result<Figures, Failure> {
    on_cpu(bench.cpus.server, || {
        let mut delayed = Delayed::new(bench.size.delayed_messages, Due::Scattered);
        let mut held_bytes = 0;
        delayed.fill(&mut |fill| held_bytes = (bench.count_allocations)(fill).held_bytes);
        let beyond_bytes = held_bytes.saturating_sub(delayed.payload_bytes()) as f64;
        let beyond_bytes = beyond_bytes / delayed.messages() as f64;
        let scattered = delayed.deliver();
        let mut burst = Delayed::new(bench.size.delayed_messages / 10, Due::Together);
        burst.fill(&mut |fill| fill());
        let burst = burst.deliver();
        let memory_ns = scattered_ns(bench.size.delayed_messages as usize, Delayed::record_bytes());
        Ok(Figures::from([
            (Figure::BytesBeyondPayload, beyond_bytes),
            (Figure::NsPerMessage, scattered.total_ns()),
            (Figure::ScheduleNs, scattered.schedule_ns),
            (Figure::DueNs, scattered.due_ns),
            (Figure::DeliverNs, scattered.deliver_ns),
            (Figure::MemoryNs, memory_ns),
            (Figure::MaxNs, scattered.longest.as_nanos() as f64),
            (Figure::BurstMaxNs, burst.longest.as_nanos() as f64),
        ]))
    })
}
