//! Redis streams with a consumer group: XADD, XREADGROUP, XACK.
//!
//! A stream keeps what was acknowledged: taking it out would need a fourth command (XDEL or XTRIM),
//! which is not measured. A run is too short for its memory to matter.

use std::io::Write;

use super::host::{Program, REDIS};
use super::wire::{Answers, Wire, unexpected};
use super::{Id, Peer};
use crate::suite::figure::Failure;

const STREAM: &[u8] = b"s";
const GROUP: &[u8] = b"g";
const CONSUMER: &[u8] = b"c";
const FIELD: &[u8] = b"m";

/// Redis, spoken to in RESP version 2.
pub(super) struct Streams;

impl Peer for Streams {
    const SERVER: Program = REDIS;

    fn prepare(wire: &mut Wire) -> Result<(), Failure> {
        command(&mut wire.outgoing, &[b"XGROUP", b"CREATE", STREAM, GROUP, b"0", b"MKSTREAM"]);
        wire.send()?;
        wire.answers.expect("+OK")
    }

    fn put(out: &mut Vec<u8>, payload: &[u8]) {
        command(out, &[b"XADD", STREAM, b"*", FIELD, payload]);
    }

    fn put_reply(answers: &mut Answers) -> Result<(), Failure> {
        id(answers).map(|_| ())
    }

    fn take(out: &mut Vec<u8>, count: u32) {
        let mut digits = Vec::with_capacity(10);
        decimal(&mut digits, u64::from(count));
        let parts = [b"XREADGROUP", b"GROUP" as &[u8], GROUP, CONSUMER, b"COUNT", &digits];
        array(out, parts.len() + 3);
        parts.iter().for_each(|part| bulk(out, part));
        [b"STREAMS", STREAM, b">"].iter().for_each(|part| bulk(out, part));
    }

    /// ```text
    /// *1   one stream
    ///   *2 $1 s  *n   its name, its entries
    ///     *2 $.. 1700000000000-0  *2 $1 m  $100 ...   an entry: its id, its one field
    /// ```
    fn take_reply(
        answers: &mut Answers,
        count: u32,
        mut on_message: impl FnMut(Id, &[u8]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        number_is(answers, b'*', 1)?;
        number_is(answers, b'*', 2)?;
        text_is(answers, STREAM)?;
        number_is(answers, b'*', i64::from(count))?;
        for _ in 0..count {
            number_is(answers, b'*', 2)?;
            let id = id(answers)?;
            number_is(answers, b'*', 2)?;
            text_is(answers, FIELD)?;
            on_message(id, text(answers)?)?;
        }
        Ok(())
    }

    fn settle(out: &mut Vec<u8>, ids: &[Id]) {
        array(out, 3 + ids.len());
        [b"XACK", STREAM, GROUP].iter().for_each(|part| bulk(out, part));
        let mut text = Vec::with_capacity(41);
        for (ms, count) in ids {
            text.clear();
            decimal(&mut text, *ms);
            text.push(b'-');
            decimal(&mut text, *count);
            bulk(out, &text);
        }
    }

    fn settle_reply(answers: &mut Answers, count: u32) -> Result<(), Failure> {
        number_is(answers, b':', i64::from(count))
    }

    fn check_end(wire: &mut Wire, put: u64) -> Result<(), Failure> {
        command(&mut wire.outgoing, &[b"XLEN", STREAM]);
        command(&mut wire.outgoing, &[b"XPENDING", STREAM, GROUP]);
        wire.send()?;
        let answers = &mut wire.answers;
        number_is(answers, b':', i64::try_from(put).unwrap_or(i64::MAX))?;
        // How many are pending, the first, the last, and by consumer.
        number_is(answers, b'*', 4)?;
        number_is(answers, b':', 0)?;
        number_is(answers, b'$', -1)?;
        number_is(answers, b'$', -1)?;
        number_is(answers, b'*', -1)
    }
}

/// Appends a command: an array of its words.
fn command(out: &mut Vec<u8>, parts: &[&[u8]]) {
    array(out, parts.len());
    parts.iter().for_each(|part| bulk(out, part));
}

fn array(out: &mut Vec<u8>, count: usize) {
    out.push(b'*');
    decimal(out, count as u64);
    out.extend_from_slice(b"\r\n");
}

fn bulk(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'$');
    decimal(out, bytes.len() as u64);
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
}

fn decimal(out: &mut Vec<u8>, number: u64) {
    write!(out, "{number}").expect("a vector takes everything");
}

/// The number of a line that begins with `kind`.
fn number(answers: &mut Answers, kind: u8) -> Result<i64, Failure> {
    let line = answers.line()?;
    let number = line.strip_prefix(char::from(kind)).and_then(|digits| digits.parse().ok());
    number.ok_or_else(|| unexpected(line, &format!("'{}' and a number", char::from(kind))))
}

fn number_is(answers: &mut Answers, kind: u8, wanted: i64) -> Result<(), Failure> {
    let kind_char = char::from(kind);
    match number(answers, kind)? {
        number if number == wanted => Ok(()),
        number => Err(unexpected(&format!("{kind_char}{number}"), &format!("{kind_char}{wanted}"))),
    }
}

/// A bulk string that has to be there.
fn text(answers: &mut Answers) -> Result<&[u8], Failure> {
    let length = number(answers, b'$')?;
    let length = usize::try_from(length).map_err(|_| unexpected("$-1", "a text"))?;
    answers.body(length)
}

fn text_is(answers: &mut Answers, wanted: &[u8]) -> Result<(), Failure> {
    match text(answers)? {
        text if text == wanted => Ok(()),
        text => Err(unexpected(&String::from_utf8_lossy(text), &String::from_utf8_lossy(wanted))),
    }
}

/// An entry's id: milliseconds and a count, `1700000000000-0`.
fn id(answers: &mut Answers) -> Result<Id, Failure> {
    let text = String::from_utf8_lossy(text(answers)?);
    let parts = text.split_once('-');
    parts
        .and_then(|(ms, count)| Some((ms.parse().ok()?, count.parse().ok()?)))
        .ok_or_else(|| unexpected(&text, "the id of an entry"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_arrays_of_their_words() {
        let mut out = Vec::new();
        Streams::put(&mut out, b"hi");
        Streams::take(&mut out, 256);
        Streams::settle(&mut out, &[(17, 0), (18, 12)]);
        let wanted = "*5\r\n$4\r\nXADD\r\n$1\r\ns\r\n$1\r\n*\r\n$1\r\nm\r\n$2\r\nhi\r\n\
            *9\r\n$10\r\nXREADGROUP\r\n$5\r\nGROUP\r\n$1\r\ng\r\n$1\r\nc\r\n$5\r\nCOUNT\r\n\
            $3\r\n256\r\n$7\r\nSTREAMS\r\n$1\r\ns\r\n$1\r\n>\r\n\
            *5\r\n$4\r\nXACK\r\n$1\r\ns\r\n$1\r\ng\r\n$4\r\n17-0\r\n$5\r\n18-12\r\n";
        assert_eq!(String::from_utf8_lossy(&out), wanted);
    }

    const DELIVERY: &str = "*1\r\n*2\r\n$1\r\ns\r\n*2\r\n\
        *2\r\n$4\r\n17-0\r\n*2\r\n$1\r\nm\r\n$2\r\nhi\r\n\
        *2\r\n$4\r\n17-1\r\n*2\r\n$1\r\nm\r\n$3\r\nyou\r\n";

    fn taken(reply: &str, count: u32) -> Result<Vec<(Id, String)>, String> {
        let mut answers = Answers::of(std::io::Cursor::new(reply.to_owned()));
        let mut seen = Vec::new();
        let outcome = Streams::take_reply(&mut answers, count, |id, payload| {
            seen.push((id, String::from_utf8_lossy(payload).into_owned()));
            Ok(())
        });
        outcome.map_err(|failure| failure.to_string())?;
        assert!(answers.line().is_err(), "the whole reply is read");
        Ok(seen)
    }

    #[test]
    fn a_delivery_is_read_as_it_is() {
        let wanted = vec![((17, 0), "hi".to_owned()), ((17, 1), "you".to_owned())];
        assert_eq!(taken(DELIVERY, 2), Ok(wanted));
    }

    #[test]
    fn fewer_messages_none_an_error_and_another_shape_are_failures() {
        for (reply, wanted) in [
            (DELIVERY, "\"*2\" and not *3"),
            ("*-1\r\n", "\"*-1\" and not *1"),
            ("-NOGROUP no such group\r\n", "\"-NOGROUP no such group\" and not '*'"),
            ("*1\r\n*2\r\n$1\r\nt\r\n", "\"t\" and not s"),
            ("*1\r\n*2\r\n$-1\r\n", "\"$-1\" and not a text"),
        ] {
            let told = taken(reply, 3).expect_err(wanted);
            assert!(told.contains(wanted), "{told}");
        }
        let settled =
            |reply: &'static str| Streams::settle_reply(&mut Answers::of(reply.as_bytes()), 3);
        assert_eq!(settled(":3\r\n"), Ok(()));
        assert!(settled(":2\r\n").is_err(), "one was acknowledged before");
        let put = |reply: &'static str| Streams::put_reply(&mut Answers::of(reply.as_bytes()));
        assert_eq!(put("$4\r\n17-0\r\n"), Ok(()));
        assert!(put("-OOM command not allowed\r\n").is_err() && put("$2\r\nno\r\n").is_err());
    }
}
