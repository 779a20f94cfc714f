//! Histories as text, one event a line, for tests and for people.
//!
//! ```text
//! 0 m7 key 3 priority 2 after 5ms ttl 9ms id 4   attributes of message 7; `at 1000` by the wall
//! 0 q1 is strict dedup 50ms ttl 9ms deliveries 3 backoff 5ms dead-expired
//! 0 q1 is spread 3 per-key kept  it lies on three shards, and keeps all that is done
//! 0 q1 dead q2                   poison of q1 goes to q2
//! 0 clock 1000                   the wall clock reads 1,000 ms from then on
//! 0 c1#1 put q1: 7 8             time in ms, connection, request; messages by number
//! 0 c1#1 put q1 as p5/0: 7 8     by producer 5 as its number 0
//! 1 c1#1 stored 0 x2             first sequence, how many; or `refused`
//! 1 c1#1 before 0 x1 later s0 x1 a repeat, one scheduled; `b7.0` is of band 7, `p2.0` of part 2
//! 2 c2#1 take q1 g2 max 10       or `take-for-good`; without `g2` for group 0; then `waiting`
//! 3 c2#1 got lease 5 for 50ms: 0/1=7     sequence/deliveries=message; `?` for no message
//! 3 c2#1 got for good: 0/1=7:deliveries/3@0  a dead letter: its reason, deliveries, sequence
//! 4 c2#2 ack q1 lease 5: 0+2     ranges as first+count; or `nack`, `nack .. after 5ms`, `reject`
//! 5 c2#2 settled                 or `settled: 0+1 stale 1+1`
//! 4 c2#2 transfer q1 lease 5: 0+2 into q2: 9     then `transferred 0 x1`, or `half 0 x1`
//! 4 c2#2 extend q1 lease 5 for 50ms              then `extended 50ms`
//! 6 c2#3 subscribe q1 max 10     then `subscribed 4`, and `got` again and again
//! 6 c2#4 credit q1 4 max 20       then `done`; as after bind, unsubscribe, move, delete, other
//! 7 c2#4 unsubscribe q1 4
//! 6 c2#3 publish t1: 7           then `reached 2 stored 2`; before that `bind q1 t1`
//! 6 c2#3 group q1 named 3 latest then `group 65537`, or `found 65537` if it was there; `earliest`,
//!                                `from 5`, `since 1000`, or nothing; then `single` or not
//! 7 c2#3 end-group q1 named 3    then `group 65537`; so `pause-group`, `resume-group`
//! 7 c2#5 pause q1 puts takes     both, one, or none of them; then `done`, as after unbind
//! 7 c2#5 remove q1: 0 s3         then `removed 2 missing 0`
//! 7 c2#5 browse q1               then `shows 0/1=7`
//! 8 c1 gone                      the connection has ended; or `broken` by itself, before that
//! 9 q1 g2 gone 3 expired 2       went without being taken
//! ```

mod words;

use super::event::{Event, Moment};
use super::{Checker, Verdict};
use words::Words;

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
    let mut words = Words::new(line);
    let at_ns = words.number()? * 1_000_000;
    let who = words.word()?;
    let event = match who.chars().next()? {
        'q' => of_queue(number(who)?, &mut words)?,
        'm' => Event::Made { message: number(who)?, traits: words.traits()? },
        _ if who == "clock" => Event::Clock { at_ns, wall_ms: words.number()? },
        _ => {
            let (connection, request) = who.split_once('#').unwrap_or((who, "0"));
            let connection = number(connection)?;
            if words.takes("gone") {
                Event::Ended { connection, at_ns, broken: false }
            } else if words.takes("broken") {
                Event::Ended { connection, at_ns, broken: true }
            } else {
                let moment = Moment { at_ns, connection, name: (0, request.parse().ok()?) };
                let what = words.word()?;
                match words.ask(what) {
                    Some(ask) => Event::Asked { moment, ask },
                    None => Event::Answered { moment, answer: words.answer(what)? },
                }
            }
        }
    };
    words.is_over().then_some(event)
}

fn of_queue(queue: u64, words: &mut Words<'_>) -> Option<Event> {
    if words.takes("is") {
        return Some(Event::Queue { queue, facts: words.facts()? });
    }
    if words.takes("dead") {
        return Some(Event::DeadLetters { queue, dead: words.number()? });
    }
    let group = words.group();
    let dropped = if words.takes("gone") { words.number()? } else { 0 };
    let expired = if words.takes("expired") { words.number()? } else { 0 };
    Some(Event::Gone { queue, group, dropped, expired })
}

/// The number in a word like `c1`, `q2:`, `x3`, `50ms:`.
fn number(word: &str) -> Option<u64> {
    word.trim_matches(|letter: char| !letter.is_ascii_digit()).parse().ok()
}
