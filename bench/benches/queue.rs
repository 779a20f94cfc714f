//! The queues of one shard alone: put, take and acknowledgement of 100 B messages on one thread.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ringway_bench::queue_figures::{Requests, Subject, Work};

/// Messages of a batch, and batches that stay in the queue.
const CASES: [(u32, usize); 4] = [(1, 0), (1, 100_000), (256, 0), (256, 1_000)];

fn operations(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("queue: put, take and ack");
    for (batch, backlog) in CASES {
        let requests = Requests::new(batch, Work::Plain);
        let mut subject = Subject::new(&requests, backlog);
        group.throughput(Throughput::Elements(batch.into()));
        let name = BenchmarkId::new(format!("batches of {batch}"), format!("backlog {backlog}"));
        group.bench_function(name, |bencher| bencher.iter(|| subject.operation()));
    }
    group.finish();
}

/// The parts of an operation, measured by what is added to the one before: put, then put and take.
fn parts(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("queue: settled at once");
    for batch in [1, 256] {
        let requests = Requests::new(batch, Work::Plain);
        let mut subject = Subject::new(&requests, 0);
        group.throughput(Throughput::Elements(batch.into()));
        group.bench_function(BenchmarkId::new("put and take", batch), |bencher| {
            bencher.iter(|| subject.put_and_take());
        });
    }
    group.finish();
}

criterion_group!(queue, operations, parts);
criterion_main!(queue);
