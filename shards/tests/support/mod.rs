//! What the tests of the queues share: batches, settlements and figures from plain values.
#![allow(dead_code)]

pub mod clock;
pub mod model;
pub mod options;
pub mod outcome;
pub mod pair;
pub mod real;
pub mod spec;
pub mod words;

use ringway_protocol::reply::QUEUE_COLUMNS;
use ringway_protocol::request::{Put, Range, Settle, encode_nack, encode_settle};
use ringway_protocol::{
    Frame, Kind, LeaseId, QueueId, Record, Records, Rejection, Request, Split, frame, record,
};
use ringway_shards::path::origin::Origin;
use ringway_shards::path::queue::{Admission, Store, Stored};
use ringway_shards::world::Now;

/// A reading of the clocks: the wall clock began at the same time as the other.
pub fn at(ns: u64) -> Now {
    Now { ns, wall_ms: ns / 1_000_000 }
}

/// Puts a batch; the sequence of its first message.
pub fn put(
    store: &mut Store,
    queue: QueueId,
    records: Records<'_>,
    now: Now,
) -> Result<u64, Rejection> {
    let origin = Origin { shard: 0, peer: 0, stream: 0, request: 0 };
    let mut stored = Stored::new();
    let admission = store.put(&Put::new(queue, records), origin, now, &mut stored)?;
    assert_eq!(admission, Admission::Stored);
    Ok(stored.first_sequence())
}

/// A record without attributes.
pub fn record_of(payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    record::write(&mut bytes, &[], payload);
    bytes
}

/// The records of a slice one by one, and their bytes.
pub fn records_in(mut bytes: &[u8]) -> Vec<(Record<'_>, &[u8])> {
    let mut records = Vec::new();
    while let Some((record, rest)) = record::first(bytes) {
        records.push((record, &bytes[..bytes.len() - rest.len()]));
        bytes = rest;
    }
    assert!(bytes.is_empty(), "a run is whole records");
    records
}

/// A settlement as the wire would bring it: encoded into `room`, then decoded.
pub fn settle<'a>(
    queue: QueueId,
    lease: LeaseId,
    ranges: &[(u32, u32)],
    room: &'a mut Vec<u8>,
) -> Settle<'a> {
    settle_with((queue, lease), ranges, None, room)
}

/// The same; with the delay of a nack it is one.
pub fn settle_with<'a>(
    lease: (QueueId, LeaseId),
    ranges: &[(u32, u32)],
    delay_ms: Option<u32>,
    room: &'a mut Vec<u8>,
) -> Settle<'a> {
    let ranges: Vec<_> =
        ranges.iter().map(|(first, count)| Range { first: *first, count: *count }).collect();
    room.clear();
    match delay_ms {
        None => encode_settle(Kind::Ack, lease, &ranges, (0, 0), room),
        Some(delay_ms) => encode_nack(lease, &ranges, delay_ms, (0, 0), room),
    }
    match Request::decode(whole(room)) {
        Ok(Request::Ack(settle) | Request::Nack(settle)) => settle,
        other => panic!("an acknowledgement decodes to itself, not {other:?}"),
    }
}

fn whole(bytes: &[u8]) -> Frame<'_> {
    match frame::split(bytes, ringway_protocol::limits::FRAME_BYTES_MAX) {
        Ok(Split::Frame(frame)) => frame,
        other => panic!("one whole frame, not {other:?}"),
    }
}

/// A figure of a row by its column's name.
pub fn figure(row: &[u64; QUEUE_COLUMNS.len()], column: &str) -> u64 {
    let index = QUEUE_COLUMNS.iter().position(|name| *name == column);
    row[index.unwrap_or_else(|| panic!("no column {column}"))]
}
