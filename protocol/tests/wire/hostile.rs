//! No input panics, and nothing is accepted that would be written differently.

use proptest::prelude::*;
use ringway_protocol::frame::{self, Frame, HEADER_BYTES, Header, REPLY, Split};
use ringway_protocol::greeting::{Greet, Welcome};
use ringway_protocol::{
    Code, Kind, Pattern, QueueName, Records, Reply, Request, Tags, limits, record,
};

use crate::values;

/// Decodes bytes in every way there is; what is accepted must be written as the same bytes.
fn decode_every_way(bytes: &[u8]) {
    let Ok(Split::Frame(frame)) = frame::split(bytes, limits::FRAME_BYTES_MAX) else {
        return;
    };
    let Header { stream, request: id, .. } = frame.header;
    let read = &bytes[..HEADER_BYTES + frame.body.len()];
    let mut written = Vec::new();
    if let Ok(request) = Request::decode(frame) {
        request.encode(stream, id, &mut written);
        assert_eq!(written, read, "{request:?}");
    }
    written.clear();
    if let Ok(reply) = Reply::decode(frame) {
        let kind = Kind::from_number(frame.header.kind & !REPLY).expect("its reply was accepted");
        reply.encode(kind, (stream, id), &mut written);
        assert_eq!(written, read, "{reply:?}");
    }
    walk(frame);
}

/// Walks everything that borrows from a body, so that a lazy part cannot hide a panic.
fn walk(frame: Frame<'_>) {
    for count in [1, 2, frame.header.stream] {
        if let Ok(records) = Records::parse(frame.body, count) {
            let mut written = Vec::new();
            for message in records.iter() {
                let attributes: Vec<_> = message.attributes().collect();
                record::write(&mut written, &attributes, message.payload);
            }
            assert_eq!(written, records.as_bytes());
            let keyed = records.iter().any(|message| message.traits().key.is_some());
            assert_eq!(keyed, records.tags().meets(Tags::KEY));
            assert_eq!(records.iter().count(), count as usize);
        }
    }
    match Reply::decode(frame) {
        Ok(Reply::Figures(figures)) => assert!(figures.rows().count() <= frame.body.len()),
        Ok(Reply::Groups(groups)) => {
            assert_eq!(groups.iter().count(), groups.count() as usize);
            groups.iter().for_each(|entry| _ = entry.figures().count());
        }
        Ok(Reply::Browsed(page)) => assert_eq!(page.iter().count(), page.count() as usize),
        Ok(Reply::Bindings(page)) => assert_eq!(page.iter().count(), page.count() as usize),
        Ok(Reply::Put(receipt) | Reply::Transferred(_, receipt)) => {
            let counts = receipt.runs().map(|run| u64::from(run.count));
            assert_eq!(counts.sum::<u64>(), u64::from(receipt.count));
        }
        _ => {}
    }
    let _ = (Greet::decode(frame.body), Welcome::decode(frame.body));
    let _ = QueueName::check(frame.body);
    let _ = Pattern::check(frame.body).map(|pattern| pattern.matches("a.name/like.this"));
}

/// A frame with any kind and any body, its length being right.
fn any_frames() -> impl Strategy<Value = Vec<u8>> {
    let numbers = (0..36_u8, any::<bool>(), 0..3_u8, 0..40_u16);
    // Small numbers are likelier than chance to be counts and lengths that make sense.
    let body = prop::collection::vec(prop_oneof![Just(0_u8), 0..40_u8, any::<u8>()], 0..200);
    (numbers, any::<(u32, u32)>(), body).prop_map(|((kind, reply, flags, code), ids, body)| {
        let mut out = Vec::new();
        let kind = if reply { kind | REPLY } else { kind };
        let (flags, code) = (if flags == 2 { 1 } else { 0 }, if code < 15 { 0 } else { code });
        let header = Header { length: 0, kind, flags, code, stream: ids.0, request: ids.1 };
        frame::write(&mut out, header, |out| out.extend_from_slice(&body));
        out
    })
}

#[derive(Clone, Debug)]
enum Mutation {
    Flip(usize, u8),
    Cut(usize),
    Insert(usize, u8),
    Number(usize, u32),
}

fn mutations() -> impl Strategy<Value = Vec<Mutation>> {
    let numbers = prop_oneof![Just(u32::MAX), Just(0), Just(1 << 31), 0..300_u32, any::<u32>()];
    let mutation = prop_oneof![
        (any::<usize>(), 0..8_u8).prop_map(|(at, bit)| Mutation::Flip(at, 1 << bit)),
        any::<usize>().prop_map(Mutation::Cut),
        any::<(usize, u8)>().prop_map(|(at, byte)| Mutation::Insert(at, byte)),
        (any::<usize>(), numbers).prop_map(|(at, number)| Mutation::Number(at, number)),
    ];
    prop::collection::vec(mutation, 1..4)
}

fn mutate(bytes: &mut Vec<u8>, mutation: &Mutation) {
    let length = bytes.len().max(1);
    match *mutation {
        Mutation::Flip(at, bit) => {
            if let Some(byte) = bytes.get_mut(at % length) {
                *byte ^= bit;
            }
        }
        Mutation::Cut(at) => bytes.truncate(at % length),
        Mutation::Insert(at, byte) => bytes.insert(at % length.min(bytes.len() + 1), byte),
        Mutation::Number(at, number) => {
            let at = (at % length) & !3;
            if let Some(field) = bytes.get_mut(at..at + 4) {
                field.copy_from_slice(&number.to_le_bytes());
            }
        }
    }
}

/// Sets the length of the first frame to what is there: a mutated body is reached that way.
fn mend_length(bytes: &mut [u8]) {
    if let Some(body) = bytes.len().checked_sub(HEADER_BYTES) {
        bytes[..4].copy_from_slice(&(body as u32).to_le_bytes());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn random_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        decode_every_way(&bytes);
    }

    #[test]
    fn random_frames(bytes in any_frames()) {
        decode_every_way(&bytes);
    }

    #[test]
    fn mutated_frames(
        mut bytes in prop_oneof![values::request_frames(), values::reply_frames()],
        mutations in mutations(),
        mend: bool,
    ) {
        mutations.iter().for_each(|mutation| mutate(&mut bytes, mutation));
        if mend {
            mend_length(&mut bytes);
        }
        decode_every_way(&bytes);
    }

    /// What a header announces is refused before a byte of the body is waited for.
    #[test]
    fn lengths_over_the_limit(length: u32, limit in 0..2_usize << 20) {
        let header = Header { length, ..Header::request(Kind::Echo, 1, 2) };
        match frame::split(&header.encode(), limit) {
            Err(refused) => {
                prop_assert_eq!(refused.code, Code::FrameTooLarge);
                prop_assert!(length as usize > limit);
            }
            Ok(Split::NeedMore(total)) => {
                prop_assert_eq!(total, HEADER_BYTES + length as usize);
                prop_assert!(length as usize <= limit);
            }
            Ok(Split::Frame(frame)) => prop_assert_eq!((frame.body, length), (&[][..], 0)),
        }
    }

    /// What does not fit its field is written as bytes that are refused, never as a shorter value.
    #[test]
    fn attributes_over_their_limit(name in 200..600_usize, value in 0..3000_usize, wrap: bool) {
        let value = if wrap { value + 65_000 } else { value };
        let (name, value) = ("n".repeat(name), vec![0_u8; value]);
        let header = ringway_protocol::Attribute::Header { name: &name, value: &value };
        let mut out = Vec::new();
        record::write(&mut out, &[header], b"payload");
        let fits = name.len() <= 255 && 1 + name.len() + value.len() <= 1024;
        prop_assert_eq!(Records::parse(&out, 1).is_ok(), fits);
    }
}
