//! Histories as text, one event a line, for tests and for people.
//!
//! ```text
//! 0 c1#1 put q1: 7 8             time in ms, connection, request; messages by number
//! 1 c1#1 stored 0 x2             first sequence, how many; or `refused`
//! 2 c2#1 take q1 max 10          or `take-for-good`
//! 3 c2#1 got lease 5 for 50ms: 0/1=7     sequence/deliveries=message; `?` for no message
//! 4 c2#2 ack q1 lease 5: 0+2     ranges as first+count; or `nack`
//! 5 c2#2 settled                 or `settled: 0+1 stale 1+1`
//! 6 c2#3 purge q1                then `removed 3`
//! 7 c2#4 other                   then `done`
//! 8 c1 gone                      the connection has ended
//! 9 q1 dead q2                   poison of q1 goes to q2
//! 9 q1 dropped 3
//! ```

use super::event::{Answer, Ask, Delivered, Event, Moment, RangeOutcome, Taken};
use super::{Checker, Verdict};

/// Reads a history. Panics on a line that is none, with that line.
pub fn history(text: &str) -> Vec<Event> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.map(|line| event(line).unwrap_or_else(|| panic!("no event: {line}"))).collect()
}

/// The verdicts on a history, each once, in their order.
pub fn verdicts(text: &str) -> Vec<Verdict> {
    let mut checker = Checker::new();
    history(text).into_iter().for_each(|event| checker.record(event));
    let mut verdicts: Vec<Verdict> =
        checker.finish().into_iter().map(|violation| violation.verdict).collect();
    verdicts.dedup();
    verdicts
}

fn event(line: &str) -> Option<Event> {
    let mut words = line.split_whitespace();
    let at_ns = words.next()?.parse::<u64>().ok()? * 1_000_000;
    let who = words.next()?;
    let what = words.next()?;
    let rest: Vec<&str> = words.collect();
    if who.starts_with('q') {
        let queue = number(who)?;
        return match what {
            "dead" => Some(Event::DeadLetters { queue, dead: number(rest.first()?)? }),
            "dropped" => Some(Event::Dropped { queue, count: number(rest.first()?)? }),
            _ => None,
        };
    }
    let (connection, request) = who.split_once('#').unwrap_or((who, "0"));
    let connection = number(connection)?;
    if what == "gone" {
        return Some(Event::Ended { connection });
    }
    let moment = Moment { at_ns, connection, name: (0, request.parse().ok()?) };
    match ask(what, &rest) {
        Some(ask) => Some(Event::Asked { moment, ask }),
        None => Some(Event::Answered { moment, answer: answer(what, &rest)? }),
    }
}

fn ask(what: &str, rest: &[&str]) -> Option<Ask> {
    let queue = || number(rest.first()?);
    Some(match what {
        "put" => Ask::Put { queue: queue()?, messages: numbers(&rest[1..])? },
        "take" | "take-for-good" => Ask::Take {
            queue: queue()?,
            messages_max: number(rest.get(2)?)? as u32,
            for_good: what == "take-for-good",
        },
        "ack" | "nack" => Ask::Settle {
            queue: queue()?,
            lease: number(rest.get(2)?)?,
            ranges: rest[3..].iter().map(|word| range(word)).collect::<Option<_>>()?,
            nack: what == "nack",
        },
        "purge" => Ask::Remove { queue: queue()? },
        "other" => Ask::Other,
        _ => return None,
    })
}

fn answer(what: &str, rest: &[&str]) -> Option<Answer> {
    Some(match what {
        "stored" => Answer::Stored {
            first_sequence: number(rest.first()?)?,
            count: number(rest.get(1)?)? as u32,
        },
        "refused" => Answer::Refused,
        "got" => Answer::Delivered(Delivered {
            lease: number(rest.get(1)?)?,
            lease_ms: number(rest.get(3)?)? as u32,
            messages: rest[4..].iter().map(|word| taken(word)).collect::<Option<_>>()?,
        }),
        "settled" => Answer::Settled(vec![]),
        "settled:" => {
            let mut settled = true;
            let mut outcomes = Vec::new();
            for word in rest {
                if *word == "stale" {
                    settled = false;
                } else {
                    let (first, count) = range(word)?;
                    outcomes.push(RangeOutcome { first, count, settled });
                }
            }
            Answer::Settled(outcomes)
        }
        "removed" => Answer::Removed(number(rest.first()?)?),
        "done" => Answer::Other,
        _ => return None,
    })
}

/// The number in a word like `c1`, `q2:`, `x3`, `50ms:`.
fn number(word: &str) -> Option<u64> {
    word.trim_matches(|letter: char| !letter.is_ascii_digit()).parse().ok()
}

fn numbers(words: &[&str]) -> Option<Vec<u64>> {
    words.iter().map(|word| number(word)).collect()
}

fn range(word: &str) -> Option<(u32, u32)> {
    let (first, count) = word.split_once('+')?;
    Some((first.parse().ok()?, count.parse().ok()?))
}

fn taken(word: &str) -> Option<Taken> {
    let (place, message) = word.split_once('=')?;
    let (sequence, deliveries) = place.split_once('/')?;
    Some(Taken {
        sequence: sequence.parse().ok()?,
        deliveries: deliveries.parse().ok()?,
        message: message.parse().ok(),
    })
}
