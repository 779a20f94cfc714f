//! Every refusal with bytes that cause it: one case a line, bytes in, code and sentence out.
//!
//! A line is `decoder | code | sentence | bytes`. The decoder is `split`, `request stream` or
//! `reply stream` (the bytes are whole frames), a kind (they are a request's body), or `reply` and
//! a kind (a reply's body). Bytes are written as `u8:1 u16:1 u32:1 u64:1`, as `"text"`, as
//! `zeros:32`, as hexadecimal digits, as `record:payload-length`, or as `urgent:count` for records
//! with a priority.

use std::collections::BTreeSet;

use ringway_protocol::frame::{self, Frame, Header, REPLY, Split};
use ringway_protocol::{Attribute, Code, Kind, Rejection, Reply, Request, limits, record};

const CASES: &str = include_str!("refusals.txt");

/// Files whose refusals the cases must cover.
const SOURCES: &[&str] = &[
    include_str!("../../src/attribute.rs"),
    include_str!("../../src/binding.rs"),
    include_str!("../../src/browse.rs"),
    include_str!("../../src/bytes.rs"),
    include_str!("../../src/description.rs"),
    include_str!("../../src/figures.rs"),
    include_str!("../../src/frame.rs"),
    include_str!("../../src/greeting.rs"),
    include_str!("../../src/group.rs"),
    include_str!("../../src/listing.rs"),
    include_str!("../../src/moving.rs"),
    include_str!("../../src/name.rs"),
    include_str!("../../src/options.rs"),
    include_str!("../../src/pattern.rs"),
    include_str!("../../src/push.rs"),
    include_str!("../../src/put.rs"),
    include_str!("../../src/record.rs"),
    include_str!("../../src/reply.rs"),
    include_str!("../../src/request.rs"),
    include_str!("../../src/request/decode.rs"),
    include_str!("../../src/settle.rs"),
    include_str!("../../src/take.rs"),
];

fn cases() -> impl Iterator<Item = [&'static str; 4]> {
    let lines = CASES.lines().map(str::trim);
    lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(|line| {
        let parts: Vec<&str> = line.splitn(4, '|').map(str::trim).collect();
        parts.try_into().unwrap_or_else(|_| panic!("four parts: {line}"))
    })
}

/// The bytes that the last column of a case spells.
fn bytes(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for word in text.split_whitespace() {
        let number = |digits: &str| digits.parse::<u64>().expect("a number");
        match word.split_once(':') {
            _ if word.starts_with('"') => out.extend(word.trim_matches('"').bytes()),
            Some(("u8", digits)) => out.push(number(digits) as u8),
            Some(("u16", digits)) => out.extend((number(digits) as u16).to_le_bytes()),
            Some(("u32", digits)) => out.extend((number(digits) as u32).to_le_bytes()),
            Some(("u64", digits)) => out.extend(number(digits).to_le_bytes()),
            Some(("zeros", digits)) => out.resize(out.len() + number(digits) as usize, 0),
            Some(("record", digits)) => {
                record::write(&mut out, &[], &vec![b'p'; number(digits) as usize]);
            }
            Some(("urgent", digits)) => {
                (0..number(digits)).for_each(|_| {
                    record::write(&mut out, &[Attribute::Priority(7)], b"");
                });
            }
            Some(_) => panic!("unknown word {word}"),
            None => {
                let digits: Vec<u32> =
                    word.chars().map(|c| c.to_digit(16).expect("a digit")).collect();
                out.extend(digits.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8));
            }
        }
    }
    out
}

fn kind(name: &str) -> Kind {
    let matches = |kind: &Kind| format!("{kind:?}").eq_ignore_ascii_case(name);
    Kind::ALL.into_iter().find(matches).unwrap_or_else(|| panic!("no kind {name}"))
}

/// What the named decoder makes of the bytes.
fn decode(decoder: &str, body: &[u8]) -> Result<(), Rejection> {
    let framed = |kind: u8| Header { length: body.len() as u32, kind, ..Header::decode(&[0; 16]) };
    match decoder.split_once(' ') {
        Some((direction, "stream")) => {
            let Split::Frame(frame) = frame::split(body, limits::FRAME_BYTES_MAX)? else {
                panic!("the frame is not whole");
            };
            match direction {
                "request" => Request::decode(frame).map(|_| ()),
                _ => Reply::decode(frame).map(|_| ()),
            }
        }
        Some(("reply", name)) => {
            let header = framed(kind(name) as u8 | REPLY);
            Reply::decode(Frame { header, body }).map(|_| ())
        }
        _ if decoder == "split" => frame::split(body, limits::FRAME_BYTES_MAX).map(|_| ()),
        _ => Request::decode(Frame { header: framed(kind(decoder) as u8), body }).map(|_| ()),
    }
}

fn check([decoder, code, sentence, text]: [&str; 4]) {
    match decode(decoder, &bytes(text)) {
        Err(refused) => {
            let got = (format!("{:?}", refused.code), refused.sentence);
            assert_eq!(got, (code.to_owned(), sentence), "{decoder} | {text}");
        }
        Ok(()) => assert_eq!((code, sentence), ("Ok", ""), "{decoder} | {text}"),
    }
}

#[test]
fn each_case_is_refused_with_its_code_and_sentence() {
    cases().for_each(check);
}

/// The sentences of all refusals in a source file.
fn sentences(source: &'static str) -> impl Iterator<Item = &'static str> {
    ["malformed(", "Rejection::new(", "invalid("].into_iter().flat_map(|call| {
        source.split(call).skip(1).filter_map(|after| {
            let call = &after[..after.find(';').unwrap_or(after.len())];
            let start = call.find('"')? + 1;
            Some(&call[start..start + call[start..].find('"')?])
        })
    })
}

#[test]
fn each_refusal_in_the_sources_has_a_case() {
    let tested: BTreeSet<&str> = cases().map(|[_, _, sentence, _]| sentence).collect();
    let stated: BTreeSet<&str> = SOURCES.iter().flat_map(|source| sentences(source)).collect();
    assert!(stated.len() > 80, "the scan of the sources finds refusals");
    let missing: Vec<_> = stated.difference(&tested).collect();
    assert!(missing.is_empty(), "no case for {missing:#?}");
}

#[test]
fn numbers_of_codes_and_kinds_come_back() {
    for code in Code::ALL {
        assert_eq!(Code::from_number(*code as u16), Some(*code));
        assert!(!code.remedy().is_empty());
    }
    for kind in Kind::ALL {
        assert_eq!(Kind::from_number(kind as u8), Some(kind));
    }
    assert_eq!([Kind::from_number(0), Kind::from_number(25), Kind::from_number(34)], [None; 3]);
    assert_eq!([Code::from_number(9), Code::from_number(33)], [None; 2]);
}
