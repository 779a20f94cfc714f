//! A lane from another core: puts in batches with many under way, and one message at a time.

use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ringway_bench::floors::CpuPair;
use ringway_bench::lane_figures::{BATCH, LaneSubject};

fn subject() -> LaneSubject {
    let cpus = CpuPair::choose(None, None).expect("this host tells its CPUs");
    LaneSubject::start(cpus).expect("a plane of one shard starts here")
}

/// The time of `count` calls and of waiting for what they left under way.
fn pipelined(subject: &mut LaneSubject, count: u64) -> Duration {
    let began = Instant::now();
    for _ in 0..count {
        subject.offer().expect("a queue that drops its oldest has room");
    }
    subject.settle().expect("a queue that drops its oldest has room");
    began.elapsed()
}

fn batches(criterion: &mut Criterion) {
    let mut subject = subject();
    let mut group = criterion.benchmark_group("lane");
    group.throughput(Throughput::Elements(BATCH as u64));
    group.bench_function("pipelined puts, batches of 256 x 100 B", |bencher| {
        bencher.iter_custom(|count| pipelined(&mut subject, count));
    });
    group.finish();
}

fn one_by_one(criterion: &mut Criterion) {
    let mut subject = subject();
    let mut group = criterion.benchmark_group("lane");
    group.throughput(Throughput::Elements(1));
    group.bench_function("round trip, enqueue 100 B", |bencher| {
        bencher.iter(|| subject.enqueue().expect("a queue that drops its oldest has room"));
    });
    // A queue of its own, so that what is taken is what was just put.
    let mut subject = self::subject();
    group.bench_function("enqueue and dequeue 100 B", |bencher| {
        bencher.iter(|| {
            subject.enqueue().expect("a queue that drops its oldest has room");
            subject.dequeue().expect("the plane runs");
        });
    });
    group.finish();
}

criterion_group!(lane, batches, one_by_one);
criterion_main!(lane);
