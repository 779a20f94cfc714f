//! What a shard with a planted bug sends instead of the frames that it meant to send.

use ringway_protocol::frame::{self, Frame, Kind, REPLY, Split};
use ringway_protocol::limits::FRAME_BYTES_MAX;
use ringway_protocol::reply::{self, Run, delivery_prefix};
use ringway_protocol::{Attribute, Code, HEADER_BYTES, Header, Level, Record, Reply, record};
use ringway_shards::world::Outgoing;

use super::Canary;

impl Canary {
    /// What a shard with this bug would send instead of whole frames.
    pub fn tamper(self, outgoing: &Outgoing, bytes: &mut Vec<u8>, once_in_five: bool) {
        if outgoing.sent > 0 {
            return;
        }
        let sent = std::mem::take(bytes);
        let mut rest = &sent[..];
        while let Ok(Split::Frame(frame)) = frame::split(rest, FRAME_BYTES_MAX) {
            let whole = &rest[..HEADER_BYTES + frame.body.len()];
            match self {
                Canary::StaleSettles => stale_settles(frame, whole, bytes),
                Canary::Phantom => phantom(frame, whole, bytes),
                Canary::RefusalHidden => refusal_hidden(frame, whole, bytes),
                Canary::Reordered => delivery(frame, whole, bytes, |messages| messages.reverse()),
                Canary::PartsReordered => delivery(frame, whole, bytes, |messages| {
                    if messages.iter().all(|(run, _)| run.first_sequence >> 52 & 0xff > 0) {
                        messages.reverse();
                    }
                }),
                Canary::RemovalFeigned => removal_feigned(frame, whole, bytes),
                Canary::BrowseMistaken => browse_mistaken(frame, whole, bytes),
                Canary::ReasonChanged => delivery(frame, whole, bytes, |messages| {
                    messages.iter_mut().for_each(|message| change_reason(&mut message.1));
                }),
                Canary::ReplyTwice => {
                    bytes.extend_from_slice(whole);
                    if once_in_five {
                        bytes.extend_from_slice(whole);
                    }
                }
                _ => bytes.extend_from_slice(whole),
            }
            rest = &rest[whole.len()..];
        }
        bytes.extend_from_slice(rest);
    }
}

fn is_reply(frame: Frame<'_>, kind: Kind, code: Code) -> bool {
    frame.header.kind == kind as u8 | REPLY && frame.header.code == code as u16
}

/// Body: settled, stale, unknown, count of verdicts, then the verdicts; all u32.
fn stale_settles(frame: Frame<'_>, whole: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(whole);
    if !is_reply(frame, Kind::Ack, Code::Ok) {
        return;
    }
    let number =
        |at: usize| u32::from_le_bytes(frame.body[at..at + 4].try_into().expect("4 bytes"));
    let body = &mut out[start + HEADER_BYTES..];
    body[..4].copy_from_slice(&(number(0) + number(4)).to_le_bytes());
    body[4..8].fill(0);
    for verdict in body[16..].chunks_exact_mut(12).filter(|verdict| verdict[8] == 2) {
        verdict[8] = 1;
    }
}

fn phantom(frame: Frame<'_>, whole: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(whole);
    if is_reply(frame, Kind::Take, Code::Ok) && frame.body.len() > 64 {
        let last = out.len() - 1;
        out[last] ^= 0x10;
    }
}

fn refusal_hidden(frame: Frame<'_>, whole: &[u8], out: &mut Vec<u8>) {
    let Header { stream, request, .. } = frame.header;
    if is_reply(frame, Kind::Put, Code::QueueFull) {
        reply::put(out, (stream, request), u64::MAX >> 1, 1, Level::Memory);
    } else {
        out.extend_from_slice(whole);
    }
}

/// Body: removed, missing; both u32.
fn removal_feigned(frame: Frame<'_>, whole: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(whole);
    if is_reply(frame, Kind::Remove, Code::Ok) {
        let number =
            |at: usize| u32::from_le_bytes(frame.body[at..at + 4].try_into().expect("4 bytes"));
        let body = &mut out[start + HEADER_BYTES..];
        body[..4].copy_from_slice(&(number(0) + number(4)).to_le_bytes());
        body[4..].fill(0);
    }
}

/// Body: cursor u64, count and zero u32, then the first message's sequence.
fn browse_mistaken(frame: Frame<'_>, whole: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(whole);
    if is_reply(frame, Kind::Browse, Code::Ok) && frame.body.len() > 24 {
        out[start + HEADER_BYTES + 16] ^= 1;
    }
}

/// Where a message stands, and its bytes.
type Message = (Run, Vec<u8>);

/// A delivery with other messages.
fn delivery(
    frame: Frame<'_>,
    whole: &[u8],
    out: &mut Vec<u8>,
    change: impl FnOnce(&mut Vec<Message>),
) {
    let Ok(Reply::Delivery(delivery)) = Reply::decode(frame) else {
        return out.extend_from_slice(whole);
    };
    let each = delivery.runs().flat_map(|run| {
        let first = run.first_sequence;
        (first..first + u64::from(run.count)).map(move |first_sequence| Run {
            first_sequence,
            count: 1,
            ..run
        })
    });
    let records = delivery.records.iter().flat_map(|records| records.iter());
    let mut messages: Vec<Message> =
        each.zip(records.map(|record| written(&record, |value| value))).collect();
    change(&mut messages);
    let counts = (delivery.count(), delivery.dropped);
    let runs = messages.iter().map(|(run, _)| *run);
    frame::write(out, frame.header, |out| {
        delivery_prefix(out, (delivery.lease, delivery.lease_ms), counts, runs);
        messages.iter().for_each(|(_, record)| out.extend_from_slice(record));
    });
}

/// A record's bytes, with what its reason became if it is a dead letter.
fn written<'a>(record: &Record<'a>, reason: impl Fn(&'a [u8]) -> &'a [u8]) -> Vec<u8> {
    let attributes: Vec<Attribute<'a>> = record
        .attributes()
        .map(|attribute| match attribute {
            Attribute::Header { name: name @ "ringway-reason", value } => {
                Attribute::Header { name, value: reason(value) }
            }
            other => other,
        })
        .collect();
    let mut bytes = Vec::new();
    record::write(&mut bytes, &attributes, record.payload);
    bytes
}

fn change_reason(bytes: &mut Vec<u8>) {
    let (record, _) = record::first(bytes).expect("it was just written");
    let changed = written(&record, |value| match value {
        b"rejected" => b"deliveries",
        _ => b"rejected",
    });
    *bytes = changed;
}
