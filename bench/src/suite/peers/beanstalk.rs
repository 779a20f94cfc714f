//! beanstalkd: put, reserve, delete.
//!
//! It has no batches: a batch is as many commands, one after the other.

use std::io::Write;

use super::host::{BEANSTALKD, Program};
use super::wire::{Answers, Wire, unexpected};
use super::{Id, Peer};
use crate::suite::figure::Failure;

/// Priority, delay and time to run of every job, seconds. Far longer than a run: no job times out.
const PUT_OPTIONS: &str = "0 0 3600";

/// beanstalkd with its text protocol, in the tube `default`.
pub(super) struct Beanstalk;

impl Peer for Beanstalk {
    const SERVER: Program = BEANSTALKD;

    /// Every connection uses and watches `default` as it is.
    fn prepare(_: &mut Wire) -> Result<(), Failure> {
        Ok(())
    }

    fn put(out: &mut Vec<u8>, payload: &[u8]) {
        line(out, format_args!("put {PUT_OPTIONS} {}", payload.len()));
        out.extend_from_slice(payload);
        out.extend_from_slice(b"\r\n");
    }

    fn put_reply(answers: &mut Answers) -> Result<(), Failure> {
        let line = answers.line()?;
        let id = line.strip_prefix("INSERTED ").and_then(|id| id.parse::<u64>().ok());
        id.map(|_| ()).ok_or_else(|| unexpected(line, "INSERTED and an id"))
    }

    fn take(out: &mut Vec<u8>, count: u32) {
        (0..count).for_each(|_| line(out, format_args!("reserve")));
    }

    fn take_reply(
        answers: &mut Answers,
        count: u32,
        mut on_message: impl FnMut(Id, &[u8]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        for _ in 0..count {
            let line = answers.line()?;
            let reserved = line.strip_prefix("RESERVED ").and_then(|rest| {
                let (id, length) = rest.split_once(' ')?;
                Some((id.parse().ok()?, length.parse().ok()?))
            });
            let Some((id, length)) = reserved else {
                return Err(unexpected(line, "RESERVED, an id and a length"));
            };
            on_message((id, 0), answers.body(length)?)?;
        }
        Ok(())
    }

    fn settle(out: &mut Vec<u8>, ids: &[Id]) {
        ids.iter().for_each(|(id, _)| line(out, format_args!("delete {id}")));
    }

    fn settle_reply(answers: &mut Answers, count: u32) -> Result<(), Failure> {
        (0..count).try_for_each(|_| answers.expect("DELETED"))
    }

    fn check_end(wire: &mut Wire, put: u64) -> Result<(), Failure> {
        line(&mut wire.outgoing, format_args!("stats-tube default"));
        wire.send()?;
        let line = wire.answers.line()?;
        let length = line.strip_prefix("OK ").and_then(|length| length.parse().ok());
        let length = length.ok_or_else(|| unexpected(line, "OK and a length"))?;
        let told = String::from_utf8_lossy(wire.answers.body(length)?);
        check_counts(&told, put)
    }
}

/// Whether the tube had `put` jobs, all of them deleted.
fn check_counts(told: &str, put: u64) -> Result<(), Failure> {
    for (name, wanted) in [
        ("current-jobs-ready", 0),
        ("current-jobs-reserved", 0),
        ("current-jobs-delayed", 0),
        ("current-jobs-buried", 0),
        ("total-jobs", put),
        ("cmd-delete", put),
    ] {
        let is_line = |line: &&str| line.split_once(':').is_some_and(|(first, _)| first == name);
        let wanted = format!("{name}: {wanted}");
        match told.lines().find(is_line) {
            Some(line) if line == wanted => {}
            line => return Err(unexpected(line.unwrap_or("nothing"), &wanted)),
        }
    }
    Ok(())
}

fn line(out: &mut Vec<u8>, words: std::fmt::Arguments<'_>) {
    write!(out, "{words}\r\n").expect("a vector takes everything");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_lines() {
        let mut out = Vec::new();
        Beanstalk::put(&mut out, b"hi");
        Beanstalk::take(&mut out, 2);
        Beanstalk::settle(&mut out, &[(7, 0), (8, 0)]);
        let wanted = "put 0 0 3600 2\r\nhi\r\nreserve\r\nreserve\r\ndelete 7\r\ndelete 8\r\n";
        assert_eq!(String::from_utf8_lossy(&out), wanted);
    }

    #[test]
    fn replies_are_what_they_should_be_or_failures() {
        let mut seen = Vec::new();
        let mut taken = |reply: &'static str| {
            let mut answers = Answers::of(reply.as_bytes());
            Beanstalk::take_reply(&mut answers, 2, |(id, _), payload| {
                seen.push((id, payload.to_vec()));
                Ok(())
            })
        };
        assert_eq!(taken("RESERVED 7 2\r\nhi\r\nRESERVED 8 0\r\n\r\n"), Ok(()));
        for wrong in ["DEADLINE_SOON\r\n", "RESERVED 7\r\n", "RESERVED 9 1\r\na\r\nTIMED_OUT\r\n"] {
            let told = taken(wrong).expect_err(wrong).to_string();
            assert!(told.contains("and not RESERVED"), "{told}");
        }
        assert_eq!(seen, [(7, b"hi".to_vec()), (8, Vec::new()), (9, b"a".to_vec())]);
        let put = |reply: &'static str| Beanstalk::put_reply(&mut Answers::of(reply.as_bytes()));
        assert!(put("INSERTED 1\r\n").is_ok() && put("BURIED 1\r\n").is_err());
        let settled =
            |reply: &'static str| Beanstalk::settle_reply(&mut Answers::of(reply.as_bytes()), 1);
        assert!(settled("DELETED\r\n").is_ok() && settled("NOT_FOUND\r\n").is_err());
    }

    #[test]
    fn the_server_s_own_counts_have_to_agree() {
        let told = "---\nname: default\ncurrent-jobs-ready: 0\ncurrent-jobs-reserved: 0\n\
            current-jobs-delayed: 0\ncurrent-jobs-buried: 0\ntotal-jobs: 5\ncmd-delete: 5\n";
        assert_eq!(check_counts(told, 5), Ok(()));
        assert!(check_counts(told, 6).is_err());
        let left = told.replace("reserved: 0", "reserved: 1");
        let failure = check_counts(&left, 5).expect_err("one was not deleted").to_string();
        assert!(failure.contains("\"current-jobs-reserved: 1\""), "{failure}");
        assert!(check_counts("---\n", 5).is_err());
    }
}
