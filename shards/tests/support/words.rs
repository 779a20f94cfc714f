//! The words of a command: a verb, plain words and `key=value` ones, and what they say.

use super::options::Options;
use super::spec::Spec;

/// A command's words after its verb: plain ones, and `key=value` ones.
pub struct Words<'a> {
    pub verb: &'a str,
    plain: Vec<&'a str>,
    options: Vec<(&'a str, &'a str)>,
}

impl<'a> Words<'a> {
    pub fn of(command: &'a str) -> Self {
        let mut words = command.split_whitespace();
        let verb = words.next().expect("a command");
        let (options, plain): (Vec<_>, Vec<_>) = words.partition(|word| word.contains('='));
        let options = options.iter().filter_map(|word| word.split_once('=')).collect();
        Self { verb, plain, options }
    }

    /// The plain words, the verb not counted.
    pub fn plain(&self) -> &[&'a str] {
        &self.plain
    }

    /// A plain word by its place, which the command must have.
    pub fn word(&self, at: usize) -> &'a str {
        self.plain.get(at).copied().unwrap_or_else(|| panic!("{} has too few words", self.verb))
    }

    pub fn has(&self, word: &str) -> bool {
        self.plain.contains(&word)
    }

    pub fn get(&self, key: &str) -> Option<&'a str> {
        self.options.iter().find(|(name, _)| *name == key).map(|(_, value)| *value)
    }

    pub fn has_options(&self) -> bool {
        !self.options.is_empty()
    }

    pub fn number(&self, key: &str, default: u64) -> u64 {
        self.get(key).map_or(default, |value| value.parse().expect("a number"))
    }

    /// A length of time in milliseconds: `200`, `200ms`, `5s`, `3m`, `1h`.
    pub fn ms(&self, key: &str, default: u64) -> u64 {
        self.get(key).map_or(default, duration_ms)
    }

    /// Who asks: one letter.
    pub fn asker(&self) -> char {
        self.get("by").unwrap_or("x").chars().next().expect("an asker is a letter")
    }

    /// The group's name.
    pub fn group(&self) -> &'a str {
        self.get("group").unwrap_or("default")
    }

    /// The options of a queue, if the command has any.
    pub fn queue_options(&self, defaults: &Options) -> Option<Options> {
        self.has_options().then(|| Options::read(self, defaults))
    }

    /// The messages that the words from a place on describe. `numbers` counts those that ask for a
    /// payload of their own; `start_ms` is the wall clock at the start of the case.
    pub fn specs(&self, from: usize, numbers: &mut u64, start_ms: u64) -> Vec<Spec> {
        let words = &self.plain[from..];
        let each = |key: &str, at: usize| -> Option<&'a str> {
            let values: Vec<_> = self.get(key)?.split(',').collect();
            let value = if values.len() == 1 { values[0] } else { *values.get(at)? };
            (value != "-").then_some(value)
        };
        let spec = |(at, word): (usize, &&str)| Spec {
            payload: payload(word, numbers).into_bytes(),
            key: each("keys", at).map(String::from),
            delay_ms: each("delay", at).map(duration_ms),
            at_ms: each("at", at).map(|ms| {
                let ms: i64 = ms.parse().expect("milliseconds after the start");
                start_ms.saturating_add_signed(ms)
            }),
            ttl_ms: each("ttl", at).map(duration_ms),
            priority: each("priority", at).map(|band| band.parse().expect("a band")),
            dedup: each("ids", at).map(String::from),
            headers: each("headers", at)
                .map(|header| {
                    let (name, value) = header.split_once(':').expect("NAME:VALUE");
                    (String::from(name), value.as_bytes().to_vec())
                })
                .into_iter()
                .collect(),
        };
        words.iter().enumerate().map(spec).collect()
    }

    /// The ranges that the words from a place on name; `all` is every message of a lease that has
    /// so many.
    pub fn ranges(&self, from: usize, all: u32) -> Vec<(u32, u32)> {
        let words = self.plain[from..].iter().take_while(|word| **word != "to");
        let range = |word: &&str| {
            if *word == "all" {
                return (0, all.max(1));
            }
            let (first, count) = word.split_once('+').expect("FIRST+COUNT");
            (first.parse().expect("an index"), count.parse().expect("a count"))
        };
        words.map(range).collect()
    }

    /// A put's producer and its first sequence.
    pub fn producer(&self) -> Option<(u64, u64)> {
        let (id, sequence) = self.get("producer")?.split_once(':').expect("ID:SEQUENCE");
        Some((id.parse().expect("an id"), sequence.parse().expect("a sequence")))
    }
}

/// `200`, `200ms`, `5s`, `3m`, `1h` in milliseconds.
pub fn duration_ms(word: &str) -> u64 {
    for (unit, factor) in [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)] {
        if let Some(count) = word.strip_suffix(unit) {
            return factor * count.parse::<u64>().expect("a number before the unit");
        }
    }
    word.parse().expect("a length of time")
}

/// `x*100` is a hundred times x; other words are themselves.
pub fn long(word: &str) -> String {
    match word.split_once('*') {
        Some((text, times)) => text.repeat(times.parse().expect("how many times")),
        None => word.into(),
    }
}

/// A payload: as [`long`], and `#100` is the next number, with dots up to 100 bytes.
fn payload(word: &str, numbers: &mut u64) -> String {
    let Some(length) = word.strip_prefix('#') else { return long(word) };
    *numbers += 1;
    let number = numbers.to_string();
    let length: usize = length.parse().expect("a length");
    let dots = length.saturating_sub(number.len());
    number + &".".repeat(dots)
}

/// A sequence as text: `5`, `7/5` in band 7, `s/5` of a message that is scheduled.
pub fn sequence_text(sequence: u64) -> String {
    let count = sequence & ((1 << 60) - 1);
    match sequence >> 60 {
        0 => count.to_string(),
        8 => format!("s/{count}"),
        band => format!("{band}/{count}"),
    }
}

/// The sequence that a text names.
pub fn sequence_of(text: &str) -> u64 {
    let (band, count) = text.split_once('/').unwrap_or(("0", text));
    let band: u64 = if band == "s" { 8 } else { band.parse().expect("a band") };
    band << 60 | count.parse::<u64>().expect("a sequence")
}

/// What a page of a browse goes on from when it goes on from a message: of those that are ready the
/// most urgent come first.
pub fn cursor_of(state: &str, sequence: u64) -> u64 {
    if state == "ready" { sequence ^ (7 << 60) } else { sequence }
}

/// The index that a word names among so many things: a number from 1, `last`, `last-2`.
pub fn back(word: &str, count: usize) -> Option<usize> {
    if word == "last" {
        return count.checked_sub(1);
    }
    match word.strip_prefix("last-") {
        Some(back) => count.checked_sub(1 + back.parse::<usize>().expect("how far back")),
        None => word.parse::<usize>().ok()?.checked_sub(1).filter(|index| *index < count),
    }
}
