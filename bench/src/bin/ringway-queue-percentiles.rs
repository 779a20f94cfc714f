//! `ringway-queue-percentiles`: times the queues of one shard alone and counts their allocations;
//! JSON on stdout.

use std::process::ExitCode;

use clap::Parser;
use serde_json::json;

use ringway_bench::queue_figures::{Requests, Subject, Work, percentiles};

/// Times put, take and acknowledgement on one thread, without sockets; messages of 100 bytes.
#[derive(Parser)]
#[command(name = "ringway-queue-percentiles", version)]
struct Arguments {
    /// Operations timed in each case
    #[arg(long, value_name = "COUNT", default_value_t = 2_000_000)]
    operations: u64,
    /// CPU to run on [default: wherever the kernel puts it]
    #[arg(long, value_name = "CPU")]
    cpu: Option<usize>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(cpu) = arguments.cpu
        && !core_affinity::set_for_current(core_affinity::CoreId { id: cpu })
    {
        eprintln!("CPU {cpu} is not allowed here: name another with --cpu, or leave it out");
        return ExitCode::from(2);
    }
    let mut cases = Vec::new();
    for (batch, backlog) in [(1, 0), (1, 100_000), (256, 0), (256, 1_000)] {
        let requests = Requests::new(batch, Work::Plain);
        let count = (arguments.operations / u64::from(batch)).max(1_000);
        let mut subject = Subject::new(&requests, backlog);
        let times = percentiles(count, || subject.operation());
        let counted = allocation_counter::measure(|| (0..count).for_each(|_| subject.operation()));
        cases.push(json!({
            "batch": batch,
            "backlog": backlog as u64 * u64::from(batch),
            "operations": count,
            "operation": times,
            "unclocked_ns_per_message": times.unclocked_ns / f64::from(batch),
            "allocations": counted.count_total,
            "allocated_bytes": counted.bytes_total,
        }));
    }
    println!(
        "{:#}",
        json!({ "payload_bytes": ringway_bench::queue_figures::PAYLOAD_BYTES, "cases": cases })
    );
    ExitCode::SUCCESS
}
