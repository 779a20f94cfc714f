//! Decoding what arrives most: frames of puts, takes and acknowledgements, and records alone.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ringway_protocol::limits::FRAME_BYTES_MAX;
use ringway_protocol::request::{Put, Range, Take, encode_settle};
use ringway_protocol::{GroupId, Kind, LeaseId, QueueId, Records, Request, Split, frame, record};

/// Messages in one request.
const BATCHES: [u32; 2] = [1, 256];
const QUEUE: QueueId = QueueId(1);

fn records(count: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    (0..count).for_each(|_| record::write(&mut bytes, &[], &[7; 100]));
    bytes
}

fn put(count: u32) -> Vec<u8> {
    let (bytes, mut out) = (records(count), Vec::new());
    let records = Records::parse(&bytes, count).expect("valid records");
    Request::Put(Put::new(QUEUE, records)).encode(0, 1, &mut out);
    out
}

fn take() -> Vec<u8> {
    let mut out = Vec::new();
    let take = Take {
        queue: QUEUE,
        messages_max: 256,
        bytes_max: 0,
        wait_ms: 0,
        lease_ms: 0,
        group: GroupId::DEFAULT,
        acknowledged: false,
    };
    Request::Take(take).encode(0, 2, &mut out);
    out
}

fn ack(count: u32) -> Vec<u8> {
    let mut out = Vec::new();
    let whole = [Range { first: 0, count }];
    encode_settle(Kind::Ack, (QUEUE, LeaseId::new(1, 0, 0)), &whole, (0, 3), &mut out);
    out
}

/// A whole frame to a request, as the shard does it for each frame it received.
fn decode(bytes: &[u8]) -> Request<'_> {
    match frame::split(black_box(bytes), FRAME_BYTES_MAX) {
        Ok(Split::Frame(frame)) => Request::decode(frame).expect("a valid request"),
        other => unreachable!("a whole frame was encoded, not {other:?}"),
    }
}

fn frames(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode: frame");
    for count in BATCHES {
        let bytes = put(count);
        group.throughput(Throughput::Elements(count.into()));
        group.bench_function(BenchmarkId::new("put", count), |bencher| {
            bencher.iter(|| black_box(decode(&bytes)));
        });
    }
    group.throughput(Throughput::Elements(1));
    for (name, bytes) in [("take", take()), ("ack of 256", ack(256))] {
        group.bench_function(name, |bencher| bencher.iter(|| black_box(decode(&bytes))));
    }
    group.finish();
}

fn records_alone(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode: records");
    for count in BATCHES {
        let bytes = records(count);
        group.throughput(Throughput::Elements(count.into()));
        group.bench_function(BenchmarkId::new("parse", count), |bencher| {
            bencher.iter(|| Records::parse(black_box(&bytes), count).expect("valid records"));
        });
    }
    group.finish();
}

criterion_group!(decoding, frames, records_alone);
criterion_main!(decoding);
