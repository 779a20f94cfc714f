//! `rtrb` on one thread: the cheapest a message can pass from one side of a core to another.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rtrb::RingBuffer;

/// Items in one chunk, as the handoff moves them.
const CHUNK_ITEMS: usize = 256;

fn one_item(criterion: &mut Criterion) {
    let (mut producer, mut consumer) = RingBuffer::<[u64; 2]>::new(CHUNK_ITEMS);
    let mut group = criterion.benchmark_group("ring");
    group.throughput(Throughput::Elements(1));
    group.bench_function("push and pop, one 16 B item", |bencher| {
        bencher.iter(|| {
            producer.push(black_box([1, 2])).expect("the ring is empty before each push");
            consumer.pop().expect("the item pushed above")
        });
    });
    group.finish();
}

fn one_chunk(criterion: &mut Criterion) {
    let (mut producer, mut consumer) = RingBuffer::<[u64; 2]>::new(2 * CHUNK_ITEMS);
    let mut group = criterion.benchmark_group("ring");
    group.throughput(Throughput::Elements(CHUNK_ITEMS as u64));
    group.bench_function("push and pop, a chunk of 256 16 B items", |bencher| {
        bencher.iter(|| {
            let room = producer.write_chunk_uninit(CHUNK_ITEMS).expect("the ring is empty");
            room.fill_from_iter(std::iter::repeat(black_box([1, 2])));
            let chunk = consumer.read_chunk(CHUNK_ITEMS).expect("the chunk pushed above");
            chunk.into_iter().for_each(|item| {
                black_box(item);
            });
        });
    });
    group.finish();
}

criterion_group!(ring, one_item, one_chunk);
criterion_main!(ring);
