//! The words of a line, taken one after the other.

use std::iter::Peekable;
use std::str::SplitWhitespace;

use super::number;
use crate::event::{
    Answer, Ask, Batch, Delivered, Due, Facts, How, Letter, Place, Push, RangeOutcome, Reason,
    Settled, Start, Stretch, Taken, Traits,
};

/// What is left of a line.
pub struct Words<'a> {
    words: Peekable<SplitWhitespace<'a>>,
}

impl<'a> Words<'a> {
    pub fn new(line: &'a str) -> Self {
        Self { words: line.split_whitespace().peekable() }
    }

    pub fn word(&mut self) -> Option<&'a str> {
        self.words.next()
    }

    pub fn number(&mut self) -> Option<u64> {
        number(self.word()?)
    }

    fn small(&mut self) -> Option<u32> {
        self.number()?.try_into().ok()
    }

    /// Takes the next word if it is this one.
    pub fn takes(&mut self, word: &str) -> bool {
        self.words.next_if(|next| *next == word).is_some()
    }

    /// The number after a word, or 0 without the word.
    fn after(&mut self, word: &str) -> Option<u64> {
        if self.takes(word) { self.number() } else { Some(0) }
    }

    pub fn is_over(&mut self) -> bool {
        self.words.peek().is_none()
    }

    /// The number of a group, or 0 if the next word is none.
    pub fn group(&mut self) -> u32 {
        let numbered =
            |word: &&str| word.strip_prefix('g').is_some_and(|rest| number(rest).is_some());
        let word = self.words.next_if(numbered);
        word.and_then(number).map_or(0, |group| group as u32)
    }

    pub fn traits(&mut self) -> Option<Traits> {
        let mut traits = Traits::default();
        while let Some(word) = self.word() {
            let number = self.number()?;
            match word {
                "key" => traits.key = Some(number),
                "priority" => traits.priority = number as u8,
                "after" => traits.due = Due::After(number),
                "at" => traits.due = Due::At(number),
                "ttl" => traits.ttl_ms = number,
                "id" => traits.deduplication = Some(number),
                _ => return None,
            }
        }
        Some(traits)
    }

    pub fn facts(&mut self) -> Option<Facts> {
        let mut facts = Facts::default();
        while let Some(word) = self.word() {
            match word {
                "strict" => facts.strict = true,
                "dead-expired" => facts.dead_letter_expired = true,
                "dedup" => facts.dedup_ms = self.number()?,
                "ttl" => facts.ttl_ms = self.number()?,
                "deliveries" => facts.deliveries_max = self.small()?,
                "backoff" => facts.backoff_least_ms = self.number()?,
                "spread" => facts.spread = self.number()? as u16,
                "per-key" => facts.per_key = true,
                "kept" => facts.keeps = true,
                _ => return None,
            }
        }
        Some(facts)
    }

    pub fn ask(&mut self, what: &str) -> Option<Ask> {
        Some(match what {
            "put" => Ask::Put(self.batch()?),
            "publish" => Ask::Publish { topic: self.number()?, messages: self.numbers()? },
            "bind" => Ask::Bind { queue: self.number()?, topic: self.number()? },
            "unbind" => Ask::Unbind { queue: self.number()?, topic: self.number()? },
            "take" | "take-for-good" => Ask::Take {
                queue: self.number()?,
                group: self.group(),
                messages_max: self.after("max")? as u32,
                for_good: what == "take-for-good",
                waits: self.takes("waiting"),
            },
            "subscribe" => Ask::Subscribe(Push {
                queue: self.number()?,
                group: self.group(),
                messages_max: self.after("max")? as u32,
            }),
            "credit" => Ask::Credit {
                queue: self.number()?,
                subscription: self.number()?,
                messages_max: self.after("max")? as u32,
            },
            "unsubscribe" => {
                Ask::Unsubscribe { queue: self.number()?, subscription: self.number()? }
            }
            "ack" => Ask::Settle(self.settled()?.0, How::Ack),
            "reject" => Ask::Settle(self.settled()?.0, How::Reject),
            "nack" => {
                let (settled, delay_ms) = self.settled()?;
                Ask::Settle(settled, How::Nack(delay_ms))
            }
            "transfer" => {
                let (settled, _) = self.settled()?;
                Ask::Transfer(settled, self.takes("into").then(|| self.batch())??)
            }
            "extend" => Ask::Extend {
                queue: self.number()?,
                lease: self.after("lease")?,
                lease_ms: self.after("for")? as u32,
            },
            "group" => {
                let queue = self.words.next_if(|word| word.starts_with('q'))?;
                let name = self.after("named")?;
                let (start, single) = (self.start()?, self.takes("single"));
                Ask::Group { queue: number(queue)?, name, start, single }
            }
            "pause-group" | "resume-group" => Ask::PauseGroup {
                queue: self.number()?,
                name: self.after("named")?,
                paused: what == "pause-group",
            },
            "pause" => Ask::Pause {
                queue: self.number()?,
                puts: self.takes("puts"),
                takes: self.takes("takes"),
            },
            "remove" => Ask::Remove { queue: self.number()?, sequences: self.sequences()? },
            "browse" => Ask::Browse { queue: self.number()? },
            "end-group" => Ask::EndGroup { queue: self.number()?, name: self.after("named")? },
            "move" => {
                Ask::Move { from: self.number()?, group: self.group(), to: self.after("to")? }
            }
            "delete" => Ask::Delete { queue: self.number()? },
            "other" => Ask::Other,
            _ => return None,
        })
    }

    fn start(&mut self) -> Option<Start> {
        Some(match self.words.peek().copied() {
            Some("earliest") => self.word().map(|_| Start::Earliest)?,
            Some("latest") => self.word().map(|_| Start::Latest)?,
            Some("from") => Start::Sequence(self.after("from")?),
            Some("since") => Start::Time(self.after("since")?),
            _ => Start::Anywhere,
        })
    }

    fn sequences(&mut self) -> Option<Vec<u64>> {
        std::iter::from_fn(|| self.word()).map(sequence).collect()
    }

    fn numbers(&mut self) -> Option<Vec<u64>> {
        std::iter::from_fn(|| self.word()).map(number).collect()
    }

    fn batch(&mut self) -> Option<Batch> {
        let queue = self.number()?;
        let producer = self.takes("as").then(|| self.word()).flatten();
        let producer = match producer {
            Some(word) => {
                let (producer, sequence) = word.split_once('/')?;
                Some((number(producer)?, number(sequence)?))
            }
            None => None,
        };
        Some(Batch { queue, messages: self.numbers()?, producer })
    }

    /// A lease with ranges, and the delay of a nack.
    fn settled(&mut self) -> Option<(Settled, u32)> {
        let (queue, lease) = (self.number()?, self.after("lease")?);
        let delay_ms = self.after("after")? as u32;
        let is_range = |word: &&str| word.contains('+');
        let ranges = std::iter::from_fn(|| self.words.next_if(is_range)).map(range);
        Some((Settled { queue, lease, ranges: ranges.collect::<Option<_>>()? }, delay_ms))
    }

    pub fn answer(&mut self, what: &'a str) -> Option<Answer> {
        Some(match what {
            "stored" | "before" | "later" => Answer::Stored(self.stretches(what)?),
            "transferred" => Answer::Transferred(true, self.stretches("stored")?),
            "half" => Answer::Transferred(false, self.stretches("stored")?),
            "reached" => {
                Answer::Published { matched: self.small()?, stored: self.after("stored")? as u32 }
            }
            "got" => {
                let lease = self.after("lease")?;
                let lease_ms = if lease == 0 { 0 } else { self.after("for")? as u32 };
                if lease == 0 {
                    self.takes("for");
                    self.word()?;
                }
                Answer::Delivered(Delivered { lease, lease_ms, messages: self.messages()? })
            }
            "settled" => Answer::Settled(vec![]),
            "settled:" => Answer::Settled(self.outcomes()?),
            "subscribed" => Answer::Subscribed(self.number()?),
            "extended" => Answer::Extended(self.small()?),
            "group" | "found" => Answer::Group(self.small()?, what == "group"),
            "removed" => {
                Answer::Removed { removed: self.small()?, missing: self.after("missing")? as u32 }
            }
            "shows" => Answer::Shown(self.messages()?),
            "refused" => Answer::Refused,
            "done" => Answer::Other,
            _ => return None,
        })
    }

    fn messages(&mut self) -> Option<Vec<Taken>> {
        std::iter::from_fn(|| self.word()).map(taken).collect()
    }

    fn stretches(&mut self, first: &'a str) -> Option<Vec<Stretch>> {
        let (mut stretches, mut place) = (Vec::new(), Some(first));
        while let Some(word) = place {
            let (first_sequence, count) = (sequence(self.word()?)?, self.small()?);
            let place_of = match word {
                "stored" => Place::Here,
                "before" => Place::Before,
                "later" => Place::Later,
                _ => return None,
            };
            stretches.push(Stretch { first_sequence, count, place: place_of });
            place = self.word();
        }
        Some(stretches)
    }

    fn outcomes(&mut self) -> Option<Vec<RangeOutcome>> {
        let (mut settled, mut outcomes) = (true, Vec::new());
        while let Some(word) = self.word() {
            if word == "stale" {
                settled = false;
            } else {
                let (first, count) = range(word)?;
                outcomes.push(RangeOutcome { first, count, settled });
            }
        }
        Some(outcomes)
    }
}

fn range(word: &str) -> Option<(u32, u32)> {
    let (first, count) = word.split_once('+')?;
    Some((first.parse().ok()?, count.parse().ok()?))
}

/// `3`, `s3` while it is scheduled, `b7.3` in band 7, `p2.3` in part 2.
fn sequence(word: &str) -> Option<u64> {
    if let Some((part, rest)) = word.strip_prefix('p').and_then(|rest| rest.split_once('.')) {
        return Some(part.parse::<u64>().ok()? << 52 | rest.parse::<u64>().ok()?);
    }
    if let Some(rest) = word.strip_prefix('s') {
        return Some(8 << 60 | rest.parse::<u64>().ok()?);
    }
    match word.strip_prefix('b') {
        Some(rest) => {
            let (band, rest) = rest.split_once('.')?;
            Some(band.parse::<u64>().ok()? << 60 | rest.parse::<u64>().ok()?)
        }
        None => word.parse().ok(),
    }
}

fn taken(word: &str) -> Option<Taken> {
    let (word, letter) = match word.split_once(':') {
        Some((word, letter)) => (word, Some(self::letter(letter)?)),
        None => (word, None),
    };
    let (place, message) = word.split_once('=')?;
    let (place, deliveries) = place.split_once('/')?;
    Some(Taken {
        sequence: sequence(place)?,
        deliveries: deliveries.parse().ok()?,
        message: message.parse().ok(),
        traits: None,
        letter,
    })
}

fn letter(word: &str) -> Option<Letter> {
    let (reason, rest) = word.split_once('/')?;
    let (deliveries, place) = rest.split_once('@')?;
    let reason = match reason {
        "deliveries" => Reason::Deliveries,
        "expired" => Reason::Expired,
        "rejected" => Reason::Rejected,
        _ => return None,
    };
    Some(Letter { reason, deliveries: deliveries.parse().ok()?, sequence: sequence(place)? })
}
